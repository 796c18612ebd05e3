//! TLS for a server that drives its own sockets: what a door shows its clients, and one connection as bytes in and
//! bytes out.
//!
//! [`Tls`] is read from files: certificates, each with its key, and perhaps an authority whose certificates clients
//! may or must show. It is read again while connections are open; they go on under what they began with. A door has
//! it with what is spoken there ([`DoorTls`]), and each of its connections is a [`Channel`]: bytes that came go in,
//! bytes that are to be sent come out. A channel owns no socket, and nothing between records but its keys, so whoever
//! has thousands of idle ones pays for no buffers.
//!
//! The crate opens no socket and waits for nothing. The listener that accepts connections has the handshake done, and
//! a session seals what it sends.
//!
//! ```
//! # #[cfg(feature = "server")] {
//! use msgserver_tls::{Tls, TlsError, TlsFiles};
//!
//! let files = TlsFiles { certificates: vec![("absent.pem".into(), "absent.key".into())], ..TlsFiles::default() };
//! assert!(matches!(Tls::open(files), Err(TlsError::Unreadable { .. })));
//! # }
//! ```

mod broken;
#[cfg(feature = "server")]
mod certificate;
#[cfg(feature = "server")]
mod channel;
#[cfg(feature = "server")]
mod door;
#[cfg(feature = "server")]
mod error;
#[cfg(feature = "server")]
mod files;
#[cfg(not(feature = "server"))]
mod none;
#[cfg(feature = "server")]
mod shown;
#[cfg(feature = "server")]
mod tls;

pub use broken::Broken;
#[cfg(feature = "server")]
pub use channel::{Came, Channel};
#[cfg(feature = "server")]
pub use door::{Application, DoorTls};
#[cfg(feature = "server")]
pub use error::TlsError;
#[cfg(feature = "server")]
pub use files::{ClientCertificates, NameIn, TlsFiles};
#[cfg(not(feature = "server"))]
pub use none::{Came, Channel, DoorTls};
#[cfg(feature = "server")]
pub use tls::Tls;
