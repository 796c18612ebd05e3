//! Accepting connections, also when the system has nothing left to accept them with.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::seldom::Seldom;

/// How long to wait when the system has no descriptor for a connection: its clients stay in the backlog.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// A listener that outlasts a lack of file descriptors or memory.
///
/// While there is none, clients wait in the system's backlog, and the log says so once a minute.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    lack: Seldom,
}

impl Acceptor {
    /// Accepts what comes to `listener`, whose queue in the kernel is made as long as the system allows
    /// (`somaxconn`).
    #[must_use]
    pub fn new(listener: TcpListener) -> Self {
        // Clients that come back all at once wait in that queue; where it is full, they are not heard for a
        // second or more.
        if let Err(fault) = SockRef::from(&listener).listen(i32::MAX) {
            tracing::warn!(%fault, "a door's queue could not be made longer");
        }
        Self { listener, lack: Seldom::default() }
    }

    /// The next connection. May be dropped at any time without losing one.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                // Gone before it was accepted.
                Err(fault)
                    if matches!(
                        fault.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                    ) => {}
                Err(fault) => {
                    if self.lack.is_due(Instant::now()) {
                        let door = self.listener.local_addr().ok();
                        tracing::warn!(?door, %fault, "connections have to wait: they cannot be accepted");
                    }
                    tokio::time::sleep(NO_DESCRIPTOR).await;
                }
            }
        }
    }
}
