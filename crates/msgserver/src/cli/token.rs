//! `msgserver token`: making access tokens and API keys.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use msgserver::{ApiKey, Claims, Key, PublishRight, Scope, Timestamp, TopicPattern};
use msgserver_access::{Algorithm, Audience, KeyError};
use msgserver_message::{DeviceId, MessageId, UserId};

use super::configuration::{Configuration, Flags, InForce};
use super::{Fault, gate};

#[derive(Args)]
#[command(after_help = "The key is --secret, --key, or that of the server's configuration (tokens.secret, \
    tokens.key_file), which is read as `serve` reads it. A public key cannot sign. docs/tokens.md says what the \
    claims mean, and how other programs make the same tokens.")]
pub(crate) struct Token {
    /// For this user
    #[arg(long)]
    user: Option<UserId>,
    /// On this device alone
    #[arg(long, requires = "user")]
    device: Option<DeviceId>,
    /// Who may follow these topics; `+` is one level, a last `#` all that follow (several times)
    #[arg(long = "topic", value_name = "PATTERN", requires = "user")]
    topics: Vec<TopicPattern>,
    /// Who may publish there: everything, all, to/USER, to/+ or t/PATTERN (several times)
    #[arg(long, value_name = "WHERE")]
    publish: Vec<PublishRight>,
    /// How long it counts
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    ttl: Duration,
    /// Its name, by which it can be revoked; a fresh one unless said
    #[arg(long)]
    jti: Option<String>,
    /// A file with the key: PEM, a JWK or JWKS, or a secret
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "secret")]
    key: Option<PathBuf>,
    /// The secret
    #[arg(long)]
    secret: Option<String>,
    /// HS256, RS256, ES256 or EdDSA: what the key has to be for
    #[arg(long, value_name = "ALGORITHM")]
    alg: Option<Algorithm>,
    /// Its iss; that of the configuration unless said
    #[arg(long)]
    issuer: Option<String>,
    /// Its aud; the first of the configuration unless said
    #[arg(long)]
    audience: Option<String>,
    /// The server's TOML file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "MSGSERVER_CONFIG")]
    config: Option<PathBuf>,
    /// Make an API key of this name: prints the key, and below it what `api_keys` of the configuration takes
    #[arg(long, value_name = "NAME", conflicts_with_all = ["user", "publish", "key", "secret", "alg", "jti", "issuer", "audience"])]
    api_key: Option<String>,
    /// What the API key is for: publish, read or operate (several times); all three unless said
    #[arg(long = "scope", value_name = "SCOPE", requires = "api_key")]
    scopes: Vec<Scope>,
}

impl Token {
    pub(crate) fn run(self) -> Result<(), Fault> {
        let text = match &self.api_key {
            Some(name) => api_key(name, &self.scopes)?,
            None => self.token()?,
        };
        writeln!(std::io::stdout(), "{text}").map_err(Fault::failed)
    }

    fn token(self) -> Result<String, Fault> {
        if self.user.is_none() && self.publish.is_empty() {
            let line = "give --user for a token of a user, --publish for one of a publisher, or --api-key";
            return Err(Fault::Usage(vec![line.to_owned()]));
        }
        let mut in_force = InForce::read(&Flags::of_file(self.config.clone())).map_err(Fault::Usage)?;
        let hidden = in_force.hidden();
        let configuration = in_force.configuration();
        let key = match (&self.secret, &self.key) {
            (Some(secret), _) => Key::secret(secret.as_bytes()).map_err(|fault| usage("--secret", &fault))?,
            (_, Some(path)) => signing(Key::read_file(path)).map_err(|fault| usage("--key", &fault))?,
            _ if hidden.iter().any(|line| line.starts_with("tokens.secret")) => {
                return Err(Fault::Usage(hidden));
            }
            _ => of_configuration(&configuration)?,
        };
        if let Some(wanted) = self.alg.filter(|wanted| *wanted != key.algorithm()) {
            return Err(usage("--alg", &KeyError::Algorithm { wanted, has: key.algorithm() }));
        }
        let rules = configuration.tokens.rules;
        let now = Timestamp::now();
        let claims = Claims {
            sub: self.user,
            device: self.device,
            topics: self.topics,
            publish: self.publish,
            jti: Some(self.jti.unwrap_or_else(|| MessageId::generate().to_string())),
            iat: Some(now),
            nbf: None,
            exp: Some(now.saturating_add(self.ttl)),
            iss: self.issuer.or(rules.issuer),
            aud: self.audience.or(rules.audience.into_iter().next()).map(Audience::One),
        };
        key.sign(&claims).map_err(Fault::failed)
    }
}

fn usage(flag: &str, fault: &KeyError) -> Fault {
    Fault::Usage(vec![format!("{flag}: {fault}")])
}

/// The first key that can sign.
fn signing(keys: Result<Vec<Key>, KeyError>) -> Result<Key, KeyError> {
    keys?.into_iter().find(Key::can_sign).ok_or(KeyError::CannotSign)
}

fn of_configuration(configuration: &Configuration) -> Result<Key, Fault> {
    let tokens = &configuration.tokens;
    if let Some(key) = gate::secret(tokens).map_err(|fault| usage("tokens.secret", &fault))? {
        return Ok(key);
    }
    let Some(path) = &tokens.key_file else {
        let line = "there is no key to sign with; give --secret or --key, or a configuration with tokens.secret or \
                    tokens.key_file (--config)";
        return Err(Fault::Usage(vec![line.to_owned()]));
    };
    signing(Key::read_file(path)).map_err(|fault| usage("tokens.key_file", &fault))
}

fn api_key(name: &str, scopes: &[Scope]) -> Result<String, Fault> {
    let scopes = if scopes.is_empty() { &Scope::ALL } else { scopes };
    let made = ApiKey::generate(name, scopes);
    let (secret, key) = made.map_err(|fault| Fault::Usage(vec![format!("--api-key: {fault}")]))?;
    Ok(format!("{secret}\n{key}"))
}
