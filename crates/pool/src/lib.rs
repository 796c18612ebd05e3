//! Live sessions: who is connected, and writing to their sockets.
//!
//! A [`Session`] is one connection that is online. Whoever has a message for it writes to its socket there
//! and then, from whatever thread it is on ([`Session::send`]); only what the socket would not take waits,
//! in the session's outbox, for the [`Reactor`] to find the socket writable. So a message wakes no task for
//! a client that keeps up, and an idle session owns no buffer, no timer and no task: an entry in a table, a
//! few hundred bytes.
//!
//! The reactor's threads also read (what a client says, and that it has gone), fan notices out to their
//! sessions in bursts (one write a socket, however many notices wait), and watch for what the peers' TCP
//! has acknowledged. What happens is told upward through [`Events`].
//!
//! A [`Pool`] is where a user's sessions are found; [`ShardedPool`] is the default. [`Topics`] knows which sessions follow
//! which topics; a [`Notice`] may be for the [`Audience`] of one.
//!
//! A connection may be under TLS, whose handshake is over: the session seals what it sends in its turn, and owns no
//! buffer for it either.
//!
//! The crate does not accept connections, does not ask who a client is and keeps nothing for who is away:
//! it takes a connected socket and the name of its user. It needs no async runtime.
//!
//! ```
//! use std::io::Read;
//! use std::net::{TcpListener, TcpStream};
//! use std::sync::{Arc, mpsc};
//!
//! use msgserver_message::{Content, DeviceId, Message, Seq, SessionId, UserId};
//! use msgserver_pool::{
//!     CloseReason, Events, Pool, Reactor, ReactorOptions, Sent, Session, SessionSetup, ShardedPool,
//! };
//! use msgserver_protocol::{Bar, ClientFrame, Delivery, Encoder, Json};
//!
//! /// Only wants to know when a session is over.
//! struct Ends(mpsc::Sender<CloseReason>);
//!
//! impl Events for Ends {
//!     fn on_frame(&self, _: &Arc<Session>, _: ClientFrame) {}
//!     fn on_delivered(&self, _: &Arc<Session>, _: Seq) {}
//!     fn on_room(&self, _: &Arc<Session>) {}
//!     fn on_closed(&self, _: &Arc<Session>, reason: &CloseReason) {
//!         let _ = self.0.send(reason.clone());
//!     }
//! }
//!
//! let (ended, ends) = mpsc::channel();
//! let events: Arc<dyn Events> = Arc::new(Ends(ended));
//! let reactor = Reactor::start(&ReactorOptions::default(), &events)?;
//! let pool = ShardedPool::default();
//! let ada = UserId::new("ada")?;
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let mut client = TcpStream::connect(listener.local_addr()?)?;
//! let session = reactor.session(
//!     listener.accept()?.0,
//!     SessionSetup {
//!         id: SessionId::new(1),
//!         user: ada.clone(),
//!         device: DeviceId::unnamed(),
//!         encoders: Arc::new([Encoder::new(Bar, Json)?]),
//!         encoding: 0,
//!         cipher: None,
//!         outbox_limit: 1024 * 1024,
//!         window: 1000,
//!         standing: None,
//!         may_publish: false,
//!         terms: Default::default(),
//!         read_ahead: Vec::new(),
//!     },
//! )?;
//! let session = Arc::new(session);
//! pool.insert(Arc::clone(&session));
//! reactor.watch(&session);
//!
//! let message = Message::new(Content::text("hello"));
//! for session in pool.sessions_of(&ada) {
//!     assert_eq!(session.send(&Delivery::notice(&message)), Sent::Taken);
//! }
//! let mut frame = [0; 8];
//! client.read_exact(&mut frame)?;
//! assert_eq!(&frame, b"\"hello\"|");
//!
//! drop(client);
//! assert_eq!(ends.recv()?, CloseReason::ClosedByPeer);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod choice;
mod events;
mod notice;
mod outbox;
mod pool;
mod reactor;
mod round;
mod session;
mod shard;
#[cfg(feature = "simulation")]
pub mod simulation;
mod socket;
mod standing;
mod topics;
mod unacknowledged;
mod unconfirmed;

pub use choice::{Choice, Guarantee, Terms};
pub use events::{CloseReason, Events};
pub use notice::Notice;
pub use pool::{Pool, Replacement, Sessions, ShardedPool};
pub use reactor::{Reactor, ReactorOptions};
pub use session::{Sent, Session, SessionSetup};
pub use socket::{Connection, Sealed};
pub use standing::{InFlight, Standing};
pub use topics::{Audience, Topics};
