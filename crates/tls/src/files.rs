//! Which files a server's TLS comes from.

use std::path::PathBuf;
use std::time::SystemTime;

/// Where what a server shows comes from, and what it asks of its clients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFiles {
    /// Certificates with their issuers, each with its key, in PEM. The first is for who names no server, or one that
    /// is in none.
    pub certificates: Vec<(PathBuf, PathBuf)>,
    /// The authorities of clients, in PEM. Without them nothing is asked of clients.
    pub client_ca: Option<PathBuf>,
    /// Whether clients have to show one.
    pub clients: ClientCertificates,
    /// Where in it the user is.
    pub user: NameIn,
}

/// Whether clients have to show a certificate, if there is an authority for theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// Who shows one is the user in it; who shows none proves it in another way.
    #[default]
    Optional,
    /// Who shows none is not let in.
    Required,
}

/// Where in a client's certificate its user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameIn {
    /// The common name of the subject.
    #[default]
    CommonName,
    /// The first alternative name of the subject that is a mail address, a host or a URI.
    AlternativeName,
}

/// By which it is seen that a file is another one than it was.
pub(crate) type Stamp = Option<(SystemTime, u64)>;

impl TlsFiles {
    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        let certificates = self.certificates.iter().flat_map(|(certificate, key)| [certificate, key]);
        let stamp = |path: &PathBuf| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.modified().ok()?, file.len()))
        };
        certificates.chain(&self.client_ca).map(stamp).collect()
    }
}
