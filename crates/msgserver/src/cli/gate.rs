//! What is asked of who comes in, as the configuration says.

use std::sync::Arc;

use msgserver::{ApiKeys, Gate, Hook, Key, KeyError, KeyRing, KeySource, Revocations, Tokens};

use super::Fault;
use super::configuration::{Configuration, TokenSettings};

/// The gate of a server whose data directory is its own.
pub(crate) fn build(configuration: &Configuration) -> Result<Gate, Fault> {
    let settings = &configuration.tokens;
    let mut api_keys = ApiKeys::from(configuration.api_keys.clone());
    if let Some(path) = &configuration.api_keys_file {
        api_keys = api_keys
            .with_file(path.clone())
            .map_err(|fault| Fault::Failed(format!("api_keys_file: {fault}")))?;
    }
    let mut gate = Gate::default().keys(api_keys);
    if settings.has_key() {
        let keys = KeyRing::open(sources(settings)?)
            .map_err(|fault| Fault::Failed(format!("tokens.key_file: {fault}")))?;
        gate = gate.tokens(Tokens::new(Arc::new(keys), settings.rules.clone()));
    }
    if let Some(address) = &settings.hook_url {
        gate = gate.hook(Hook::new(address.clone(), settings.hook_deadline));
    }
    if settings.ask() {
        let kept = Revocations::open(configuration.data_dir.join("revocations"));
        gate = gate.revocations(kept.map_err(Fault::failed)?);
    }
    Ok(gate)
}

fn sources(settings: &TokenSettings) -> Result<Vec<KeySource>, Fault> {
    let mut sources = Vec::new();
    sources.extend(secret(settings).map_err(Fault::failed)?.map(|key| KeySource::Fixed(vec![key])));
    sources.extend(settings.key_file.clone().map(KeySource::File));
    sources.extend(settings.jwks_url.clone().map(|address| KeySource::Address(address, settings.refresh)));
    Ok(sources)
}

/// The key that the secret is, if there is one.
pub(crate) fn secret(settings: &TokenSettings) -> Result<Option<Key>, KeyError> {
    settings.secret.as_ref().map(|secret| Key::secret(secret.as_bytes())).transpose()
}
