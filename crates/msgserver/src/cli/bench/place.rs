//! Where a door is, and how it is connected to.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use msgserver_client::Trust;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::PATIENCE;
use super::channel::Channel;
use super::line::{Line, Sealed};

/// Where a door is, and whose certificate is asked for there, if TLS is spoken.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Certified>,
}

/// Who has to show a certificate, and who may vouch for it.
#[derive(Debug, Clone)]
pub(super) struct Certified {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Certified {
    /// Who is called so, by those who are trusted.
    ///
    /// # Errors
    /// What is wrong with the name, or with those who are trusted.
    pub(super) fn new(name: &str, trust: &Trust) -> Result<Self, String> {
        let mut config = (*trust.config().map_err(|fault| fault.to_string())?).clone();
        // Each client is one of its own, which has not been here before.
        config.resumption = Resumption::disabled();
        let certified = ServerName::try_from(name.to_owned());
        let name = certified.map_err(|_| format!("{name:?} is no name that a certificate may have"))?;
        Ok(Self { config: Arc::new(config), name })
    }

    fn connection(&self) -> Result<ClientConnection, rustls::Error> {
        ClientConnection::new(Arc::clone(&self.config), self.name.clone())
    }
}

impl Place {
    pub(super) const fn in_the_clear(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// What a client says and hears here, who would say and hear this in the clear.
    ///
    /// # Errors
    /// What TLS cannot begin with.
    pub(super) fn line(&self, line: Box<dyn Line>) -> io::Result<Box<dyn Line>> {
        let Some(tls) = &self.tls else { return Ok(line) };
        let connection = tls.connection().map_err(io::Error::other)?;
        Ok(Box::new(Sealed::new(Channel::new(connection), line)))
    }

    /// A connection that waits for what it reads and writes, but not for ever.
    ///
    /// # Errors
    /// What the system says, or what is wrong with the server's certificate.
    pub(super) fn connect(&self) -> io::Result<Stream> {
        let mut socket = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let Some(tls) = &self.tls else { return Ok(Stream::Clear(socket)) };
        let mut connection = tls.connection().map_err(io::Error::other)?;
        connection.complete_io(&mut socket)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, socket))))
    }
}

/// A connection to a place.
pub(super) enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// The socket, and what is to be said and heard through, if TLS is spoken over it.
    pub(super) fn into_parts(self) -> (TcpStream, Option<Channel>) {
        match self {
            Self::Clear(socket) => (socket, None),
            Self::Tls(tls) => {
                let (connection, socket) = tls.into_parts();
                (socket, Some(Channel::new(connection)))
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
