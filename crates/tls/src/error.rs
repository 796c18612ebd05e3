//! Why a server has no TLS.

use std::path::{Path, PathBuf};

/// Why what a server is to show cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("{path:?}: {fault}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system or the parser says.
        fault: String,
    },
    /// A file has no certificate in it.
    #[error(
        "{0:?}: there is no certificate in it; give PEM with the server's certificate first, then its issuers'"
    )]
    NoCertificate(PathBuf),
    /// A file has no private key in it.
    #[error(
        "{0:?}: there is no private key in it; give PEM with a PKCS#8, PKCS#1 or SEC1 key without a password"
    )]
    NoKey(PathBuf),
    /// A key is of a kind, or of a size, that nobody here can use.
    #[error("{path:?}: this key cannot be used: {fault}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: String,
    },
    /// A key is not that of its certificate.
    #[error("{certificate:?}: its key is not the one in {key:?}; give the key that it was issued for")]
    Mismatch {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// A certificate is no certificate.
    #[error("{path:?}: this is not a certificate of X.509: {fault}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        fault: String,
    },
    /// A certificate is not valid any more.
    #[error("{path:?}: it expired at {at}; give one that is valid now")]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        at: String,
    },
    /// A certificate is not valid yet.
    #[error("{path:?}: it is not valid before {at}; give one that is valid now, or set the clock")]
    NotYet {
        /// The file.
        path: PathBuf,
        /// When it will be.
        at: String,
    },
    /// No certificate is to be shown.
    #[error("there is no certificate; give at least one")]
    Nothing,
    /// The authority of clients cannot be used.
    #[error("{path:?}: clients cannot be checked against it: {fault}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: String,
    },
}

impl TlsError {
    /// The file that has to be another one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Unreadable { path, .. }
            | Self::NoCertificate(path)
            | Self::NoKey(path)
            | Self::Key { path, .. }
            | Self::Mismatch { certificate: path, .. }
            | Self::Malformed { path, .. }
            | Self::Expired { path, .. }
            | Self::NotYet { path, .. }
            | Self::Authority { path, .. } => Some(path),
            Self::Nothing => None,
        }
    }
}
