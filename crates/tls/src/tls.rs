//! What a server shows its clients, read from files.

use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use crate::files::Stamp;
use crate::shown::Shown;
use crate::{Application, ClientCertificates, TlsError, TlsFiles, certificate};

/// One for each [`Application`].
type Configs = [Arc<ServerConfig>; Application::ALL.len()];

/// What a server shows its clients, and asks of them.
pub struct Tls {
    files: TlsFiles,
    configs: RwLock<Configs>,
    /// Of the files as they were last looked at.
    stamps: Mutex<Vec<Stamp>>,
    provider: Arc<CryptoProvider>,
    /// Kept when files are read again: clients go on with the tickets that they have.
    tickets: Option<Arc<dyn ProducesTickets>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] says which file is not of use, and why.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(default_provider());
        // A ticket stands for a handshake that was done. Where clients are known by their certificates each has to
        // prove itself anew, or one that was withdrawn would be good for as long as its last ticket.
        let tickets = if files.client_ca.is_none() { Ticketer::new().ok() } else { None };
        let stamps = files.stamps().into();
        let configs = RwLock::new(build(&files, &provider, tickets.as_ref())?);
        Ok(Self { files, configs, stamps, provider, tickets })
    }

    /// Where it comes from.
    #[must_use]
    pub const fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Whether a file is another one than when it was last looked at.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        *self.stamps.lock() != self.files.stamps()
    }

    /// Reads the files again. Connections that are open go on under what they began with; what was in force stays so
    /// if a file is not of use.
    ///
    /// # Errors
    /// [`TlsError`] says which file is not of use, and why.
    pub fn reload(&self) -> Result<(), TlsError> {
        // Before they are read: what is written meanwhile is seen the next time.
        *self.stamps.lock() = self.files.stamps();
        *self.configs.write() = build(&self.files, &self.provider, self.tickets.as_ref())?;
        Ok(())
    }

    pub(crate) fn config(&self, application: Application) -> Arc<ServerConfig> {
        Arc::clone(&self.configs.read()[application as usize])
    }
}

fn build(
    files: &TlsFiles,
    provider: &Arc<CryptoProvider>,
    tickets: Option<&Arc<dyn ProducesTickets>>,
) -> Result<Configs, TlsError> {
    let now = SystemTime::now();
    let certificates = files.certificates.iter();
    let certificates = certificates.map(|(path, key)| certificate::certified(path, key, provider, now));
    let certificates = certificates.collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err(TlsError::Nothing);
    }
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has the ciphers of both versions");
    let builder = match clients(files, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Shown(certificates)));
    // What a client needs to come back sooner is in its ticket, and not in this server's memory.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    match tickets {
        Some(tickets) => config.ticketer = Arc::clone(tickets),
        None => config.send_tls13_tickets = 0,
    }
    Ok(Application::ALL.map(|application| {
        let mut config = config.clone();
        config.alpn_protocols = application.names();
        Arc::new(config)
    }))
}

/// How certificates of clients are checked, if they are asked for.
fn clients(
    files: &TlsFiles,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let Some(path) = &files.client_ca else { return Ok(None) };
    let unusable = |fault: String| TlsError::Authority { path: path.clone(), fault };
    let mut roots = RootCertStore::empty();
    for authority in certificate::read(path)? {
        roots.add(authority).map_err(|fault| unusable(fault.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
    let verifier = match files.clients {
        ClientCertificates::Optional => verifier.allow_unauthenticated(),
        ClientCertificates::Required => verifier,
    };
    verifier.build().map(Some).map_err(|fault| unusable(fault.to_string()))
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").field(&self.files).finish()
    }
}
