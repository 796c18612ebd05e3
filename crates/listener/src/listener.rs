//! An open socket, and what goes for all who come there.

use std::sync::Arc;

use msgserver_tls::DoorTls;
use tokio::net::{TcpListener, UnixListener};

use crate::{Proxies, UnixDoor};

/// An open socket, and what goes for all who come there.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: Socket,
    pub(crate) terms: Terms,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, #[allow(dead_code, reason = "it takes the file away at its end")] UnixDoor),
}

/// What goes for each connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    pub(crate) tls: Option<DoorTls>,
    /// Those who have to say for whom they speak, if it is so here.
    pub(crate) proxies: Option<Arc<Proxies>>,
}

impl Listener {
    /// Has all who come here speak TLS.
    #[must_use]
    pub fn tls(mut self, tls: DoorTls) -> Self {
        self.terms.tls = Some(tls);
        self
    }

    /// Takes connections only from these proxies, each of which has to say for whom it speaks: by the PROXY protocol,
    /// version 1 or 2, before everything else.
    #[must_use]
    pub fn behind(mut self, proxies: Arc<Proxies>) -> Self {
        self.terms.proxies = Some(proxies);
        self
    }

    /// A name for logs.
    pub(crate) fn name(&self) -> String {
        match &self.socket {
            Socket::Tcp(socket) => {
                socket.local_addr().map_or_else(|fault| fault.to_string(), |at| at.to_string())
            }
            Socket::Unix(_, door) => door.to_string(),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Self {
        Self { socket: Socket::Tcp(socket), terms: Terms::default() }
    }
}
