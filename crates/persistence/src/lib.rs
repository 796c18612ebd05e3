//! Inboxes that outlive a connection.
//!
//! A user's inbox is a log with a number a message ([`Seq`]: 1, 2, 3, …). A device is a named cursor in it:
//! acknowledging moves the cursor, and a message goes once every known device has passed it. A user without
//! a device keeps what comes for the first that does; a device that comes later begins with new messages.
//!
//! | store | survives the process | done when |
//! |---|---|---|
//! | [`MemoryStore`] | no | it is in memory |
//! | `DiskStore`, feature `disk` | yes | the disk has said that it is written |
//! | `RedisStore`, feature `redis` | yes, as far as Redis does | Redis has answered |
//!
//! Cursors instead of a queue a device: a message for a user with five devices is written once, and a
//! device that comes back after a month costs nothing in between but the messages it has not seen.
//!
//! A store does not deliver, and does not know who is connected: it keeps, numbers, and forgets what every
//! device has.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use std::sync::Arc;
//!
//! use msgserver_message::{Content, DeviceId, Message, UserId};
//! use msgserver_persistence::{Append, MemoryStore, Store};
//!
//! let store = MemoryStore::new();
//! let ada = UserId::new("ada")?;
//! let message = Arc::new(Message::new(Content::text("hello")));
//! store.keep(Append::new(message.clone(), [ada.clone()])).await?;
//!
//! let phone = DeviceId::new("phone")?;
//! let cursor = store.open(&ada, &phone).await?;
//! let entries = store.read(&ada, cursor.acknowledged, 10).await?;
//! assert_eq!(entries[0].message, message);
//!
//! store.acknowledge(&ada, &phone, entries[0].seq).await?;
//! assert_eq!(store.stored().await?, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Seq`]: msgserver_message::Seq

mod codec;
#[cfg(feature = "disk")]
mod disk;
mod error;
mod fingerprint;
#[cfg(fuzzing)]
pub mod fuzz;
#[cfg(feature = "redis")]
mod go;
mod inboxes;
mod listening;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod store;

#[cfg(feature = "redis")]
pub use crate::go::TakenOver;
#[cfg(feature = "redis")]
pub use crate::redis::RedisStore;
#[cfg(feature = "simulation")]
pub use disk::steps;
#[cfg(feature = "disk")]
pub use disk::{Checked, DiskStore, Exported, Imported, Recovery, Stats};
pub use error::{InboxLimit, StoreError};
pub use listening::{StepListener, StepMade};
pub use memory::MemoryStore;
pub use store::{
    Acknowledge, Append, Appended, Cancelled, Cursor, Device, Due, Entry, IfFull, Inbox, Limits, Recipients,
    Released, Store, Swept, TopicLog,
};
