//! Who is at the other end.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use msgserver_message::UserId;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its address: behind a trusted proxy, that of the proxy's client. One that comes by a Unix socket has none; it
    /// counts as one of this machine, 127.0.0.1 with a number of its own in the place of the port.
    pub address: SocketAddr,
    /// The user whom its certificate names, if it has proven to have one.
    pub user: Option<UserId>,
}

impl Peer {
    /// Somebody on this machine, by a Unix socket.
    pub(crate) fn local() -> SocketAddr {
        static NEXT: AtomicU16 = AtomicU16::new(1);
        SocketAddr::from((Ipv4Addr::LOCALHOST, NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self { address, user: None }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}
