//! Checking tokens.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Validation;
use serde::Deserialize;

use crate::{Access, Denied, Key, KeyRing};

/// What a token has to say besides being signed and not over.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// Its `aud` has to name one of these; if there are none, it may have no `aud`.
    pub audience: Vec<String>,
    /// Its `iss` has to be this one.
    pub issuer: Option<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self { audience: Vec::new(), issuer: None, leeway: Duration::from_secs(30) }
    }
}

/// The part of a token's header that decides which key it is checked with.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

impl Header {
    fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (header, _, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
            return None;
        };
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
    }
}

/// Checks access tokens: JWTs signed with one of the keys of a ring.
#[derive(Debug)]
pub struct Tokens {
    keys: Arc<KeyRing>,
    rules: Validation,
    leeway: Duration,
}

impl Tokens {
    /// Checks with these keys and by these rules.
    #[must_use]
    pub fn new(keys: Arc<KeyRing>, rules: TokenRules) -> Self {
        // Which algorithms there are is the key's to say, one at a time.
        let leeway = rules.leeway.as_secs();
        let mut validation = Validation { validate_nbf: true, leeway, ..Validation::default() };
        let mut required = vec!["exp"];
        if !rules.audience.is_empty() {
            validation.set_audience(&rules.audience);
            required.push("aud");
        }
        if let Some(issuer) = &rules.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.required_spec_claims = required.into_iter().map(str::to_owned).collect::<HashSet<_>>();
        Self { keys, rules: validation, leeway: rules.leeway }
    }

    /// Whether a text has the shape of a token.
    #[must_use]
    pub fn is_token(text: &str) -> bool {
        Header::of(text).is_some()
    }

    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &Arc<KeyRing> {
        &self.keys
    }

    /// What a token gives.
    ///
    /// # Errors
    /// [`Denied`] says why it gives nothing.
    pub async fn check(&self, token: &str) -> Result<Access, Denied> {
        let header = Header::of(token).ok_or(Denied::NotAToken)?;
        if header.crit.is_some() {
            return Err(Denied::Critical);
        }
        let first = self.check_with(token, &header, &self.keys.keys());
        // The key may be newer than what is known of it.
        let unknown = matches!(&first, Err(Denied::UnknownKey(_) | Denied::Unavailable(_)));
        if unknown && self.keys.look_again().await {
            return self.check_with(token, &header, &self.keys.keys());
        }
        first
    }

    fn check_with(&self, token: &str, header: &Header, keys: &[Arc<[Key]>]) -> Result<Access, Denied> {
        if keys.iter().all(|keys| keys.is_empty()) {
            return Err(Denied::Unavailable("the keys of tokens could not be fetched yet".to_owned()));
        }
        let is_meant = |key: &&Key| match (&header.kid, key.kid()) {
            (Some(wanted), Some(kid)) => wanted == kid,
            _ => true,
        };
        let mut meant = keys.iter().flat_map(|keys| keys.iter()).filter(is_meant).peekable();
        if meant.peek().is_none() {
            return Err(Denied::UnknownKey(header.kid.clone().unwrap_or_default()));
        }
        // A key takes its own algorithm alone, whatever the token says: none is taken by no key.
        let mut denied = Denied::Algorithm(header.alg.chars().take(32).collect());
        for key in meant.filter(|key| key.algorithm().as_str() == header.alg) {
            match key.open(token, &self.rules) {
                Ok(claims) => return Ok(Access::of(claims, self.leeway)),
                Err(Denied::Signature) => denied = Denied::Signature,
                Err(other) => return Err(other),
            }
        }
        Err(denied)
    }
}
