//! The TLS of a running server: read at the start, and again when its files change.

use std::sync::Arc;
use std::time::Duration;

use msgserver::{Tls, TlsError};
use tokio::signal::unix::{SignalKind, signal};

use super::Fault;
use super::configuration::Configuration;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The TLS that is configured, if it is.
pub(crate) fn open(configuration: &Configuration) -> Result<Option<Arc<Tls>>, Fault> {
    if !configuration.tls.is_on() {
        return Ok(None);
    }
    let opened = Tls::open(configuration.tls.files());
    opened.map(|tls| Some(Arc::new(tls))).map_err(|fault| Fault::Usage(vec![named(&fault, configuration)]))
}

/// A fault with the key of the file that has it.
fn named(fault: &TlsError, configuration: &Configuration) -> String {
    let tls = &configuration.tls;
    let key = match fault.path() {
        Some(path) if tls.client_ca.as_deref() == Some(path) => "tls.client_ca",
        Some(path) if tls.keys.iter().any(|key| key == path) => "tls_key",
        _ => "tls_cert",
    };
    format!("{key} = {fault}")
}

/// Reads the files again when they change, and at SIGHUP. What was in force stays so if they are not of use.
pub(crate) fn keep(tls: Arc<Tls>) -> std::io::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            let asked = tokio::time::timeout(LOOK_EVERY, hangup.recv()).await.is_ok();
            let looked = Arc::clone(&tls);
            let look = move || (asked || looked.has_changed()).then(|| looked.reload());
            match tokio::task::spawn_blocking(look).await {
                Ok(Some(Ok(()))) => tracing::info!("the certificates were read again"),
                Ok(Some(Err(fault))) => {
                    tracing::warn!(%fault, "the certificates cannot be read; those that were stay in force");
                }
                _ => {}
            }
        }
    })
}
