//! Inboxes that outlive a connection.
//!
//! A user's inbox is a log with a number a message ([`Seq`]). A device is a named
//! cursor in it: acknowledging moves the cursor, and a message goes once every known device has passed it.
//! A user without a device keeps what comes for the first that does.
//!
//! [`EmbeddedStore`] keeps inboxes on disk ([`EmbeddedStore::open`]) or in memory
//! ([`EmbeddedStore::in_memory`]), with the same code and so with the same meaning. One thread writes, and
//! takes all that waits into one transaction: many publishers share one sync of the disk, and each is
//! answered only after it.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use msgserver_message::{Content, DeviceId, Message, Seq, UserId};
//! use msgserver_persistence::{Appended, EmbeddedStore, Store};
//!
//! let store = EmbeddedStore::in_memory()?;
//! let ada = UserId::new("ada")?;
//! store.append(&Message::new(Content::text("hello")), &[ada.clone()], false).await?;
//! let phone = DeviceId::new("phone")?;
//! let cursor = store.open_device(&ada, &phone).await?.acknowledged;
//! let entries = store.read(&ada, cursor, 10).await?;
//! assert_eq!(entries[0].message.content.as_json(), "\"hello\"");
//! store.acknowledge(&ada, &phone, entries[0].seq).await?;
//! assert_eq!(store.stored(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Seq`]: msgserver_message::Seq

mod embedded;
mod error;
mod store;
mod writer;

pub use embedded::EmbeddedStore;
pub use error::StoreError;
pub use store::{Appended, Cursor, Entry, Store};
