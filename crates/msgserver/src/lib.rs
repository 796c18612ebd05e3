//! A message push server: what is accepted is safe, and reaches each user's devices in order.
//!
//! The crate wires the layers together: [`Server::builder`] takes the five choices of the first msgserver
//! (pool, queue, serializer, protocol, encryption), by name or by value, and what goes with them.
//!
//! ```no_run
//! use msgserver::{Content, DiskStore, Server, SharedSecret, UserId};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let server = Server::builder()
//!         .authentication(SharedSecret::new("123456"))
//!         .store(DiskStore::open("./inboxes")?)
//!         .build()?;
//!     let sender = server.sender();
//!     tokio::spawn(async move {
//!         let ada = UserId::new("ada")?;
//!         sender.send_message(Content::text("hello"), ada).await?;
//!         sender.send_notice(Content::text("to all")).await?;
//!         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//!     });
//!     server.listen("127.0.0.1:3366").await?;
//!     Ok(())
//! }
//! ```

mod builder;
mod choice;
mod door;
#[cfg(feature = "webhooks")]
mod webhooks;

pub use builder::{BuildError, Server, ServerBuilder};
pub use choice::{Choice, Encryption};
pub use door::Door;
pub use msgserver_access::{
    Access, Address, ApiKey, ApiKeys, Claims, Denied, Gate, Hook, Key, KeyError, KeyRing, KeySource,
    PublishRight, Revocation, RevocationError, Revocations, Scope, TokenRules, Tokens, TopicPattern,
};
pub use msgserver_handshake::{HandshakeError, ServerKey};
#[cfg(feature = "http")]
pub use msgserver_http_api::{Figure, HttpApi};
pub use msgserver_listener::{Listener, Peer, Proxies};
pub use msgserver_message::{
    CollapseKey, Content, DeviceId, InvalidContent, InvalidId, InvalidName, Message, MessageId, Priority,
    Receipt, Seq, SessionId, Stage, Step, Target, Timestamp, Topic, TopicFilter, UserId,
};
#[cfg(feature = "disk")]
pub use msgserver_persistence::DiskStore;
pub use msgserver_persistence::{
    Append, Appended, Cancelled, Cursor, Device, Due, Entry, IfFull, Inbox, Limits, MemoryStore, Recipients,
    Released, StepListener, StepMade, Store, StoreError, Swept, TopicLog,
};
#[cfg(feature = "redis")]
pub use msgserver_persistence::{RedisStore, TakenOver};
pub use msgserver_pool::{Pool, ReactorOptions, Replacement, Session, Sessions, ShardedPool};
pub use msgserver_protocol::{
    Bar, Delivery, EncodeError, FrameFormat, IncompatibleChoice, Json, LengthPrefixed, MessagePack, Protocol,
    Serializer,
};
pub use msgserver_queue::{Lane, LaneQueue, Queue};
pub use msgserver_scheduler::{
    Admission, AsyncFunction, Authenticate, FailedDelivery, FailureReason, Figures, Filter, Intake,
    InvalidPublication, Job, Networks, Presence, Publication, PublishError, Published, Publishers, Scheduler,
    Settings, SharedSecret, SubscribeError, TopicPresence, Witness,
};
#[cfg(feature = "tls")]
pub use msgserver_tls::{Application, ClientCertificates, DoorTls, NameIn, Tls, TlsError, TlsFiles};
#[cfg(feature = "webhooks")]
pub use msgserver_webhooks::{
    Endpoint, Retry, Secret as WebhookSecret, TargetPattern, WebhookError, WebhookFigures, Webhooks,
};
