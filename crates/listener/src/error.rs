//! Why a connection is not opened.

use std::io;

use msgserver_message::InvalidName;
use msgserver_tls::Broken;

use crate::ProxyFault;

/// Why a connection is not opened. There is nobody to be told but the log: what the client speaks is not known yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// The connection is lost.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is no TLS with this client.
    #[error("TLS: {0}")]
    Tls(#[from] Broken),
    /// What has to stand before everything else is not there.
    #[error(transparent)]
    Proxy(#[from] ProxyFault),
    /// The client's certificate names somebody who cannot be a user.
    #[error("TLS: the client's certificate names no user: {0}")]
    User(#[from] InvalidName),
}
