//! A client of msgserver: what is sent to a user arrives as a stream, each message once and in order, over lost
//! connections and restarts on either side; and publishing that counts once, however often it had to be tried.
//!
//! A [`Client`] speaks the `frame` protocol over TCP or WebSocket, each in the clear or within TLS ([`Address`]). It
//! is two halves: [`Messages`] is what arrives, [`Client`] is by what an application asks for something. Who only publishes
//! needs no session, and uses a [`Publisher`], which speaks HTTP.
//!
//! ```no_run
//! use msgserver_client::{Client, Content, DeviceId, FilePosition, Publication, UserId};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (ada, phone) = (UserId::new("ada")?, DeviceId::new("phone")?);
//! let (client, mut messages) = Client::builder("tcp://127.0.0.1:3367")?
//!     .position(FilePosition::open("position", &ada, &phone)?)
//!     .user(ada)
//!     .device(phone)
//!     .connect()
//!     .await?;
//! while let Some(message) = messages.next().await {
//!     let message = message?;
//!     println!("{}", message.content);
//!     // Only now is it safe here: until then it comes again to the next process of this device.
//!     message.ack().await?;
//!     let answer = Publication::to_user(UserId::new("bob")?, Content::text("read"));
//!     client.publish(&answer).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it sees to
//!
//! * **Once.** What comes again after a lost connection, or because it was not acknowledged in time, is not handed
//!   over again. Over the end of a process this takes a [`Position`] that keeps the number of the last
//!   acknowledgement, such as [`FilePosition`]. What a process had and did not acknowledge before its end comes again.
//! * **Coming back.** After a lost connection there is another one, after a wait that doubles up to 30 s and is spread
//!   by chance, or after the time that the server has named. Only what no new connection would mend ends the stream.
//! * **Publishing.** A [`Publication`] has an id from the beginning, under which it is tried until it is answered, or
//!   its deadline is over.
//! * **Bounded memory.** Messages that are not taken wait in the server's store, not here.
//!
//! Two things it leaves to the server: the order of two publications of which the first is not answered yet, and
//! whether a device exists. A server that does not know the device any more counts anew, and so does the position.

mod address;
mod builder;
mod client;
mod connection;
mod end;
mod error;
mod http;
mod line;
mod messages;
mod position;
mod publication;
mod publisher;
mod requests;
mod session;
mod standing;
mod state;
mod trust;
mod waits;

pub use address::{Address, InvalidAddress};
pub use builder::Builder;
pub use client::Client;
pub use error::Error;
pub use messages::{Message, Messages};
pub use msgserver_message::{
    CollapseKey, Content, DeviceId, InvalidContent, InvalidName, MessageId, Priority, Seq, SessionId, Stage,
    Timestamp, Topic, TopicFilter, UserId,
};
pub use msgserver_protocol::{ByeCode, ErrorCode};
pub use position::{FilePosition, Position, Unkept};
pub use publication::{Publication, Published};
pub use publisher::Publisher;
pub use state::State;
pub use trust::Trust;
