//! A connection that has come, and what is spoken before the client's own words.

use std::net::SocketAddr;

use msgserver_message::UserId;

use crate::listener::Terms;
use crate::stream::RawSocket;
use crate::{OpeningError, Peer, ProxyFault, Stream, agreement, proxy};

/// A connection that has come.
#[derive(Debug)]
pub struct Arrival {
    socket: RawSocket,
    peer: SocketAddr,
    terms: Terms,
}

/// A connection in which the client's own words are next.
#[derive(Debug)]
pub struct Opened {
    /// Its bytes.
    pub stream: Stream,
    /// Who is at the other end.
    pub peer: Peer,
}

impl Arrival {
    pub(crate) const fn new(socket: RawSocket, peer: SocketAddr, terms: Terms) -> Self {
        Self { socket, peer, terms }
    }

    /// From where the connection comes. It may be a proxy.
    #[must_use]
    pub const fn from(&self) -> SocketAddr {
        self.peer
    }

    /// Whether something has to be waited for before the client's own words.
    #[must_use]
    pub const fn has_to_be_opened(&self) -> bool {
        self.terms.tls.is_some() || self.terms.proxies.is_some()
    }

    /// Whether who comes is surely [`Arrival::from`], and not somebody for whom a proxy speaks.
    #[must_use]
    pub const fn speaks_for_itself(&self) -> bool {
        self.terms.proxies.is_none()
    }

    /// Where the door is, for logs.
    #[must_use]
    pub fn door(&self) -> String {
        self.socket.door()
    }

    /// The connection as it is, for who wants to say something without opening it; nothing if the client would not
    /// understand it.
    #[must_use]
    pub fn into_clear(self) -> Option<Stream> {
        self.terms.tls.is_none().then(|| self.socket.into())
    }

    /// Has the proxy say for whom it speaks, and agrees on keys, as the listener has it. The caller has a deadline for
    /// it.
    ///
    /// # Errors
    /// [`OpeningError`]; the connection is closed.
    pub async fn open(self) -> Result<Opened, OpeningError> {
        let Self { mut socket, peer, terms } = self;
        let mut address = peer;
        if let Some(proxies) = terms.proxies
            && let RawSocket::Tcp(socket) = &mut socket
        {
            if !proxies.trust(peer.ip()) {
                return Err(ProxyFault::Stranger(peer.ip()).into());
            }
            address = proxy::read(socket).await?.unwrap_or(peer);
        }
        let Some(tls) = terms.tls else {
            return Ok(Opened { stream: socket.into(), peer: address.into() });
        };
        let sealed = agreement::agree(socket, &tls).await?;
        let user = tls.user(sealed.channel())?.map(UserId::new).transpose()?;
        Ok(Opened { stream: Stream::Sealed(Box::new(sealed)), peer: Peer { address, user } })
    }
}
