//! The words that every part of a push server uses: who a message is for, what it says, what it is called.
//!
//! This crate holds types whose constructors check: a [`UserId`] with a control character in it, a
//! [`Content`] that is not JSON or a [`MessageId`] that is not a ULID cannot be made, so no later step has
//! to ask again. A content is kept as the text that its publisher sent: nothing is parsed twice, and a number
//! keeps all its digits.
//!
//! It has no I/O and knows no wire format; of the clock it only reads [`Timestamp::now`].
//!
//! ```
//! use msgserver_message::{Content, Message, Target, UserId};
//!
//! let user = UserId::new("ada")?;
//! let message = Message::new(Content::text("hello"));
//! assert_eq!(message.content.as_json(), r#""hello""#);
//! assert_eq!(Target::from(user).to_string(), "user ada");
//! assert!(UserId::new("line\nbreak").is_err());
//! # Ok::<(), msgserver_message::InvalidName>(())
//! ```

mod content;
mod id;
mod message;
mod name;
mod priority;
mod properties;
mod receipt;
#[cfg(feature = "simulation")]
pub mod simulation;
mod target;
mod timestamp;
mod topic;

pub use content::{Content, InvalidContent, MAX_CONTENT_BYTES, MAX_MESSAGE_BYTES};
pub use id::{InvalidId, MessageId, Seq, SessionId};
pub use message::Message;
pub use name::{CollapseKey, DeviceId, InvalidName, MAX_NAME_BYTES, UserId};
pub use priority::{InvalidPriority, Priority};
pub use properties::Properties;
pub use receipt::{Receipt, Stage, Step};
pub use target::Target;
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use topic::{MAX_TOPIC_LEVELS, Topic, TopicFilter};
