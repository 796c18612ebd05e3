//! A client's connection to a door: in the clear, or within TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::PATIENCE;

/// A client's connection within TLS.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// TLS with who is `localhost`, over a connection that is there. Its handshake is made with the first words.
pub fn within_tls(config: Arc<ClientConfig>, socket: TcpStream) -> Tls {
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket)
}

/// Where a door is, and whether TLS is spoken there.
#[derive(Clone)]
pub struct Way {
    pub address: String,
    pub tls: Option<Arc<ClientConfig>>,
}

impl Way {
    pub fn connect(&self) -> io::Result<Stream> {
        let socket = TcpStream::connect(&self.address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Stream::Clear(socket),
            Some(config) => Stream::Tls(Box::new(within_tls(Arc::clone(config), socket))),
        })
    }
}

/// One connection.
pub enum Stream {
    Clear(TcpStream),
    Tls(Box<Tls>),
}

impl Stream {
    /// What the bytes go over.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Clear(socket) => socket,
            Self::Tls(tls) => &tls.sock,
        }
    }

    /// Says that nothing more follows. Who listens may have gone meanwhile.
    pub fn finish(&mut self) {
        if let Self::Tls(tls) = self {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
        let _ = self.socket().shutdown(Shutdown::Write);
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
