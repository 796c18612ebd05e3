//! A connection as a stream of bytes, whatever it comes by.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use msgserver_tls::Channel;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::Sealed;

/// A connection in which the client's own words are next.
#[derive(Debug)]
pub enum Stream {
    /// In the clear.
    Clear(RawSocket),
    /// Under TLS.
    Sealed(Box<Sealed>),
}

/// A socket.
#[derive(Debug)]
pub enum RawSocket {
    /// Over TCP.
    Tcp(TcpStream),
    /// On this machine.
    Unix(UnixStream),
}

/// What a stream is made of, for who drives sockets without tasks.
#[derive(Debug)]
pub struct Parts {
    /// The socket.
    pub socket: RawSocket,
    /// TLS, if it is spoken.
    pub channel: Option<Box<Channel>>,
    /// What the client has said and nobody has read.
    pub read_ahead: Vec<u8>,
    /// Bytes that the socket has not taken yet. They go before everything else.
    pub unsent: Vec<u8>,
}

impl Stream {
    /// Takes it apart.
    #[must_use]
    pub fn into_parts(self) -> Parts {
        match self {
            Self::Clear(socket) => {
                Parts { socket, channel: None, read_ahead: Vec::new(), unsent: Vec::new() }
            }
            Self::Sealed(sealed) => sealed.into_parts(),
        }
    }

    /// Says a last word if the socket takes it at once.
    pub fn say_at_once(self, bytes: &[u8]) {
        let _ = match self {
            Self::Clear(RawSocket::Tcp(socket)) => socket.into_std().and_then(|mut to| to.write_all(bytes)),
            Self::Clear(RawSocket::Unix(socket)) => socket.into_std().and_then(|mut to| to.write_all(bytes)),
            Self::Sealed(_) => Ok(()),
        };
    }

    /// Sends small packets at once.
    pub fn set_nodelay(&self) {
        let socket = match self {
            Self::Clear(socket) => socket,
            Self::Sealed(sealed) => sealed.socket(),
        };
        if let RawSocket::Tcp(socket) = socket {
            let _ = socket.set_nodelay(true);
        }
    }
}

impl RawSocket {
    /// Where it was accepted, for logs.
    pub(crate) fn door(&self) -> String {
        match self {
            Self::Tcp(socket) => {
                socket.local_addr().map_or_else(|fault| fault.to_string(), |at| at.to_string())
            }
            Self::Unix(socket) => {
                let path =
                    socket.local_addr().ok().and_then(|at| Some(at.as_pathname()?.display().to_string()));
                format!("unix:{}", path.unwrap_or_default())
            }
        }
    }
}

impl From<RawSocket> for Stream {
    fn from(socket: RawSocket) -> Self {
        Self::Clear(socket)
    }
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Self::Clear(RawSocket::Tcp(socket))
    }
}

/// The same for each kind of socket.
macro_rules! each {
    ($of:expr, $kind:ident: $($variant:ident),+; $socket:ident => $act:expr) => {
        match $of { $($kind::$variant($socket) => { let $socket = Pin::new($socket); $act })+ }
    };
}

impl AsyncRead for RawSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), Self: Tcp, Unix; socket => socket.poll_read(cx, into))
    }
}

impl AsyncWrite for RawSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), Self: Tcp, Unix; socket => socket.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), Self: Tcp, Unix; socket => socket.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), Self: Tcp, Unix; socket => socket.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), Self: Tcp, Unix; socket => socket.poll_shutdown(cx))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), Self: Clear, Sealed; stream => stream.poll_read(cx, into))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), Self: Clear, Sealed; stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), Self: Clear, Sealed; stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Self::Clear(_))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), Self: Clear, Sealed; stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), Self: Clear, Sealed; stream => stream.poll_shutdown(cx))
    }
}
