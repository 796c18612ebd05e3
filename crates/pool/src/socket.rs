//! What a session's bytes go through.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

#[cfg(feature = "simulation")]
use crate::simulation::Wire;
use crate::unacknowledged::unacknowledged;

/// A connection that a session can have.
#[non_exhaustive]
pub enum Connection {
    /// Over TCP.
    Tcp(std::net::TcpStream),
    /// Over a wire that a simulation makes.
    #[cfg(feature = "simulation")]
    Simulated(Box<dyn Wire>),
}

impl From<std::net::TcpStream> for Connection {
    fn from(socket: std::net::TcpStream) -> Self {
        Self::Tcp(socket)
    }
}

/// A connection that does not wait.
pub(crate) enum Socket {
    Tcp(mio::net::TcpStream),
    #[cfg(feature = "simulation")]
    Simulated(Box<dyn Wire>),
}

impl Socket {
    pub(crate) fn new(connection: Connection) -> io::Result<Self> {
        match connection {
            Connection::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                socket.set_nodelay(true)?;
                Ok(Self::Tcp(mio::net::TcpStream::from_std(socket)))
            }
            #[cfg(feature = "simulation")]
            Connection::Simulated(wire) => Ok(Self::Simulated(wire)),
        }
    }

    /// Has the registry tell of it by an index.
    pub(crate) fn register(&self, with: &Registry, index: usize) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => {
                let interest = Interest::READABLE | Interest::WRITABLE;
                with.register(&mut SourceFd(&socket.as_raw_fd()), Token(index), interest)
            }
            #[cfg(feature = "simulation")]
            Self::Simulated(wire) => {
                wire.watch(Some(index));
                Ok(())
            }
        }
    }

    pub(crate) fn deregister(&self, with: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => with.deregister(&mut SourceFd(&socket.as_raw_fd())),
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
            Self::Tcp(socket) => unacknowledged(socket),
            #[cfg(feature = "simulation")]
            Self::Simulated(wire) => Ok(wire.unacknowledged()),
        }
    }

    pub(crate) fn shutdown(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Both),
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
            Socket::Tcp(socket) => (&mut &*socket).read(into),
            #[cfg(feature = "simulation")]
            Socket::Simulated(wire) => wire.read(into),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => (&mut &*socket).write(bytes),
            #[cfg(feature = "simulation")]
            Socket::Simulated(wire) => wire.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => (&mut &*socket).write_vectored(slices),
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
