//! The way of a message: from an accepted publication to the sessions of its users.
//!
//! [`Scheduler::publish`] takes a [`Publication`]. A notice goes straight to the reactor, which writes it to
//! every session. A message to users is first put into their inboxes, if there is a store, and only then
//! answered; its lane in the queue keeps one user's order while several workers serve many users. Without
//! a store a message that finds nobody is tried again after [`Settings::resend_interval`], and given up
//! after [`Settings::resend_times`].
//!
//! [`Scheduler::serve`] opens connections: filter, handshake, authentication, online. A door that has a port of its
//! own, such as HTTP's, brings its clients with [`Scheduler::visit`].
//!
//! It decides nothing about how a server is configured or reached from outside: it takes its [`Parts`] ready
//! made, each behind a trait, and open listeners. Whoever wants a server with defaults takes the crate
//! `msgserver`, which puts these parts together.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use std::sync::Arc;
//!
//! use msgserver_message::{Content, UserId};
//! use msgserver_persistence::MemoryStore;
//! use msgserver_pool::ShardedPool;
//! use msgserver_protocol::{Bar, Encoder, Json};
//! use msgserver_queue::LaneQueue;
//! use msgserver_scheduler::{Door, Parts, Scheduler, Settings, SharedSecret};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! let parts = Parts {
//!     pool: Arc::new(ShardedPool::default()),
//!     queue: Arc::new(LaneQueue::default()),
//!     store: Some(Arc::new(MemoryStore::new())),
//!     doors: vec![Door { encoder: Encoder::new(Bar, Json)?, encryption: None, max_connections: None }],
//!     filter: None,
//!     authentication: Some(Arc::new(SharedSecret::new("123456"))),
//!     failed_callback: None,
//!     witness: None,
//! };
//! let scheduler = Scheduler::start(parts, Settings::default())?;
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let door = scheduler.clone();
//! tokio::spawn(async move { door.serve(listener, 0).await });
//!
//! // Ada is not there yet: it waits for her.
//! scheduler.send_message(Content::text("hello"), UserId::new("ada")?).await?;
//! let mut client = TcpStream::connect(address).await?;
//! client.write_all(b"ada;123456|").await?;
//! let mut frame = [0; 8];
//! client.read_exact(&mut frame).await?;
//! assert_eq!(&frame, b"\"hello\"|");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
mod agreement;
mod core;
mod delivering;
mod drain;
mod entering;
mod entrance;
mod error;
mod figures;
mod grants;
mod guest;
mod intake;
mod listening;
mod mqtt;
mod occupancy;
mod opening;
mod passing;
mod publication;
mod publisher;
mod publishing;
mod receipts;
mod redelivery;
mod refusal;
mod schedule;
mod settings;
#[cfg(feature = "simulation")]
mod simulation;
mod subscribing;
mod telling;
mod turning_away;
mod turnstile;

pub use admission::{AsyncFunction, Authenticate, Filter, Networks, SharedSecret};
pub use core::{Presence, Scheduler};
pub use delivering::Job;
pub use entrance::{Admitted, Entered, Visitor};
pub use error::{PublishError, SubscribeError};
pub use figures::Figures;
pub use intake::{Intake, Taken};
pub use publication::{InvalidPublication, Publication, Published};
pub use publisher::Publishers;
pub use refusal::Refusal;
pub use settings::{Door, FailedCallback, FailedDelivery, FailureReason, Parts, Settings, Witness};
pub use subscribing::TopicPresence;
pub use turnstile::Admission;
