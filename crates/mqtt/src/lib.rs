//! The packets of MQTT 3.1.1 and 5, as a server reads and writes them. No I/O, no session, no clock.
//!
//! [`Connect::next`] reads the first packet of a connection, which says the [`Version`]; [`Packet::next`] reads all
//! others. Both take what has come so far and give a packet once it is whole, so it does not matter how the bytes
//! were cut. What is wrong with a packet is a [`Fault`], and each has the [`Reason`] that the standard gives it.
//! What a server says is written by [`Answer::encode`] and [`Delivered::encode`].
//!
//! Only what clients may send is read, and only what servers may send is written. Everything that the standards let a
//! packet be refused for by its bytes alone is refused here; what depends on the session is for the caller.
//!
//! ```
//! use bytes::BytesMut;
//! use msgserver_mqtt::{Answer, Connect, Packet, Reason, Version};
//!
//! let mut bytes = BytesMut::from(&b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a\xc0\x00"[..]);
//! let connect = Connect::next(&mut bytes, 1024)?.expect("it is whole");
//! assert_eq!((connect.version, connect.client.as_str(), connect.keep_alive), (Version::V311, "a", 60));
//! assert_eq!(Packet::next(&mut bytes, connect.version, 1024)?, Some(Packet::Ping));
//! assert_eq!(&Answer::Pong.encode(connect.version)[..], b"\xd0\x00");
//!
//! let mut bytes = BytesMut::from(&b"\x36\x03\x00\x01a"[..]);
//! let fault = Packet::next(&mut bytes, Version::V5, 1024).unwrap_err();
//! assert_eq!(fault.reason(), Reason::MALFORMED);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod connect;
mod delivered;
mod fault;
mod packet;
mod properties;
mod publish;
mod reader;
mod reason;
mod subscribe;
mod version;
mod writer;

pub use answer::{Answer, Welcome};
pub use connect::{Connect, Refused, Will};
pub use delivered::Delivered;
pub use fault::Fault;
pub use packet::{Disconnect, Packet};
pub use publish::Publish;
pub use reason::Reason;
pub use subscribe::{Retained, Subscribe, Subscription, Unsubscribe};
pub use version::{Qos, Version};
