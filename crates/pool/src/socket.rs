//! What a session's bytes go through.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use msgserver_tls::Channel;

#[cfg(feature = "simulation")]
use crate::simulation::Wire;
use crate::unacknowledged::unacknowledged;

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// A connection that a session can have.
#[non_exhaustive]
pub enum Connection {
    /// Over TCP.
    Tcp(std::net::TcpStream),
    /// On this machine.
    Unix(std::os::unix::net::UnixStream),
    /// Under TLS, whose handshake is over.
    Sealed(Box<Sealed>),
    /// Over a wire that a simulation makes.
    #[cfg(feature = "simulation")]
    Simulated(Box<dyn Wire>),
}

/// A connection under TLS, whose handshake is over.
pub struct Sealed {
    /// What the sealed bytes go through.
    pub socket: Connection,
    /// What seals and opens them.
    pub channel: Box<Channel>,
    /// Sealed bytes that the socket has not taken yet.
    pub unsent: Vec<u8>,
}

impl From<std::net::TcpStream> for Connection {
    fn from(socket: std::net::TcpStream) -> Self {
        Self::Tcp(socket)
    }
}

/// A connection that does not wait.
pub(crate) enum Socket {
    /// Over TCP, or on this machine: the calls are the same, and one type for both spares each session a word.
    Stream(mio::net::TcpStream),
    #[cfg(feature = "simulation")]
    Simulated(Box<dyn Wire>),
}

impl Socket {
    /// A socket, and what goes before everything that is written to it: TLS and bytes that are sealed already.
    pub(crate) fn new(connection: Connection) -> io::Result<(Self, Option<Box<Channel>>, Vec<u8>)> {
        match connection {
            Connection::Sealed(sealed) => {
                let Sealed { socket, channel, unsent } = *sealed;
                Ok((Self::clear(socket)?, Some(channel), unsent))
            }
            clear => Ok((Self::clear(clear)?, None, Vec::new())),
        }
    }

    fn clear(connection: Connection) -> io::Result<Self> {
        match connection {
            Connection::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                socket.set_nodelay(true)?;
                Ok(Self::Stream(mio::net::TcpStream::from_std(socket)))
            }
            Connection::Unix(socket) => {
                socket.set_nonblocking(true)?;
                let socket = std::net::TcpStream::from(OwnedFd::from(socket));
                Ok(Self::Stream(mio::net::TcpStream::from_std(socket)))
            }
            Connection::Sealed(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS inside TLS")),
            #[cfg(feature = "simulation")]
            Connection::Simulated(wire) => Ok(Self::Simulated(wire)),
        }
    }

    /// Has the registry tell of it by an index.
    pub(crate) fn register(&self, with: &Registry, index: usize) -> io::Result<()> {
        match self {
            Self::Stream(socket) => with.register(&mut SourceFd(&socket.as_raw_fd()), Token(index), BOTH),
            #[cfg(feature = "simulation")]
            Self::Simulated(wire) => {
                wire.watch(Some(index));
                Ok(())
            }
        }
    }

    pub(crate) fn deregister(&self, with: &Registry) -> io::Result<()> {
        match self {
            Self::Stream(socket) => with.deregister(&mut SourceFd(&socket.as_raw_fd())),
            #[cfg(feature = "simulation")]
            Self::Simulated(wire) => {
                wire.watch(None);
                Ok(())
            }
        }
    }

    /// Bytes that were written and that the peer has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> io::Result<u64> {
        match self {
            // Of a Unix socket it is what its peer has not read.
            Self::Stream(socket) => unacknowledged(socket),
            #[cfg(feature = "simulation")]
            Self::Simulated(wire) => Ok(wire.unacknowledged()),
        }
    }

    pub(crate) fn shutdown(&self) -> io::Result<()> {
        match self {
            Self::Stream(socket) => socket.shutdown(Shutdown::Both),
            #[cfg(feature = "simulation")]
            Self::Simulated(wire) => {
                wire.shutdown();
                Ok(())
            }
        }
    }
}

impl Read for &Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Stream(socket) => (&mut &*socket).read(into),
            #[cfg(feature = "simulation")]
            Socket::Simulated(wire) => wire.read(into),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Stream(socket) => (&mut &*socket).write(bytes),
            #[cfg(feature = "simulation")]
            Socket::Simulated(wire) => wire.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Stream(socket) => (&mut &*socket).write_vectored(slices),
            #[cfg(feature = "simulation")]
            Socket::Simulated(wire) => {
                wire.write(&slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<u8>>())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
