//! Accepting connections: TCP and Unix sockets, TLS, and proxies that say for whom they speak.
//!
//! A [`Listener`] is an open socket and what goes for all that come there: whether they speak TLS, and whether they
//! come by a proxy. An [`Acceptor`] takes connections from it, also when the system has nothing left to take them
//! with. What it gives is an [`Arrival`]: what has to be spoken before a client's own words is spoken by
//! [`Arrival::open`], in the task of that client and not of the door. Out of it come a [`Stream`] and a [`Peer`], in
//! which every door finds the same: bytes, an address, and perhaps a user whom a certificate names.
//!
//! The crate knows nothing of what is spoken inside, and keeps no connection: a stream can be taken apart again
//! ([`Stream::into_parts`]) for who drives sockets without tasks.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use msgserver_listener::{Acceptor, Listener};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! let socket = TcpListener::bind("127.0.0.1:0").await?;
//! let mut client = TcpStream::connect(socket.local_addr()?).await?;
//! client.write_all(b"hello").await?;
//!
//! let mut acceptor = Acceptor::new(Listener::from(socket));
//! let mut opened = acceptor.accept().await.open().await?;
//! assert_eq!(opened.peer.address, client.local_addr()?);
//! let mut said = [0; 5];
//! opened.stream.read_exact(&mut said).await?;
//! assert_eq!(&said, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acceptor;
mod agreement;
mod arrival;
mod error;
mod listener;
mod peer;
mod proxies;
mod proxy;
mod sealed;
mod seldom;
mod stream;
mod unix;

pub use acceptor::Acceptor;
pub use arrival::{Arrival, Opened};
pub use error::OpeningError;
pub use listener::Listener;
pub use peer::Peer;
pub use proxies::Proxies;
pub use proxy::ProxyFault;
pub use sealed::Sealed;
pub use stream::{Parts, RawSocket, Stream};
pub use unix::UnixDoor;
