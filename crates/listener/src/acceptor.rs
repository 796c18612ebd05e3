//! Accepting connections, also when the system has nothing left to accept them with.

use std::io;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::listener::Socket;
use crate::seldom::Seldom;
use crate::stream::RawSocket;
use crate::{Arrival, Listener, Peer};

/// How long to wait when the system has no descriptor for a connection: its clients stay in the backlog.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// A listener that outlasts a lack of file descriptors or memory.
///
/// While there is none, clients wait in the system's backlog, and the log says so once a minute.
#[derive(Debug)]
pub struct Acceptor {
    listener: Listener,
    lack: Seldom,
}

impl Acceptor {
    /// Accepts what comes to `listener`, whose queue in the kernel is made as long as the system allows
    /// (`somaxconn`).
    #[must_use]
    pub fn new(listener: impl Into<Listener>) -> Self {
        let listener = listener.into();
        // Clients that come back all at once wait in that queue; where it is full, they are not heard for a
        // second or more.
        let socket = match &listener.socket {
            Socket::Tcp(socket) => SockRef::from(socket),
            Socket::Unix(socket, _) => SockRef::from(socket),
        };
        if let Err(fault) = socket.listen(i32::MAX) {
            tracing::warn!(%fault, "a door's queue could not be made longer");
        }
        Self { listener, lack: Seldom::default() }
    }

    /// The next connection. May be dropped at any time without losing one.
    pub async fn accept(&mut self) -> Arrival {
        loop {
            let accepted = match &self.listener.socket {
                Socket::Tcp(socket) => {
                    socket.accept().await.map(|(socket, peer)| (RawSocket::Tcp(socket), peer))
                }
                Socket::Unix(socket, _) => {
                    socket.accept().await.map(|(socket, _)| (RawSocket::Unix(socket), Peer::local()))
                }
            };
            match accepted {
                Ok((socket, peer)) => return Arrival::new(socket, peer, self.listener.terms.clone()),
                // Gone before it was accepted.
                Err(fault)
                    if matches!(
                        fault.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                    ) => {}
                Err(fault) => {
                    if self.lack.is_due(Instant::now()) {
                        let door = self.listener.name();
                        tracing::warn!(door, %fault, "connections have to wait: they cannot be accepted");
                    }
                    tokio::time::sleep(NO_DESCRIPTOR).await;
                }
            }
        }
    }
}
