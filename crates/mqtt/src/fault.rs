//! What can be wrong with a packet.

use crate::{Qos, Reason};

/// What is wrong with a packet that a client sent. Nothing that follows it can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The first byte is of no packet that a client sends.
    #[error("a packet begins with its type and the flags that belong to it; {0:#04x} begins none")]
    FirstByte(u8),
    /// The length of a packet takes more bytes than it may.
    #[error("the length of a packet takes four bytes at most")]
    Length,
    /// The packet is longer than allowed.
    #[error("a packet may be {limit} bytes long, this one says {length}")]
    TooLarge {
        /// What the packet says.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A packet ends before what belongs into it.
    #[error("the packet ends within {0}")]
    Short(&'static str),
    /// A packet has more in it than belongs there.
    #[error("the packet has {0} bytes behind its end")]
    Long(usize),
    /// A text is not UTF-8, or has a null in it.
    #[error("{0} has to be UTF-8 without a null character")]
    Text(&'static str),
    /// Bits have a value that the standard reserves.
    #[error("{0} has a reserved value")]
    Reserved(&'static str),
    /// The version of the protocol is not 3.1.1 or 5.
    #[error("the protocol is MQTT at level 4 (3.1.1) or 5, not {name:?} at level {level}")]
    Version {
        /// The protocol's name.
        name: String,
        /// Its level.
        level: u8,
    },
    /// Something else came before CONNECT, or CONNECT came twice.
    #[error("CONNECT comes first, and once")]
    NotConnect,
    /// A packet id is zero.
    #[error("a packet id is never zero")]
    PacketId,
    /// There is no such property, or not in this packet.
    #[error("the property {id:#04x} does not belong into {packet}")]
    Property {
        /// Its number.
        id: u32,
        /// The packet.
        packet: &'static str,
    },
    /// A property comes twice.
    #[error("the property {0:#04x} may come once")]
    Twice(u32),
    /// A property has a value that it cannot have.
    #[error("the property {0:#04x} cannot have this value")]
    Value(u32),
    /// A packet that has to ask for something asks for nothing.
    #[error("{0} has to name a topic filter")]
    Nothing(&'static str),
    /// A topic to publish to is empty or has a wildcard in it.
    #[error("a topic to publish to has characters, and neither + nor # among them: {0:?}")]
    TopicName(String),
    /// A topic alias, of which none was allowed.
    #[error("the topic alias {0}: none is allowed here")]
    TopicAlias(u16),
    /// A quality of service that this server has said it has not.
    #[error("QoS {}: the server's most is 1", .0.bits())]
    Qos(Qos),
    /// A packet that belongs to an exchange which this server never begins.
    #[error("{0} does not belong here")]
    Unexpected(&'static str),
    /// Subscription identifiers, which the server has said it has not.
    #[error("this server has no subscription identifiers")]
    SubscriptionId,
}

impl Fault {
    /// The reason code that the standard has for it.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::FirstByte(_)
            | Self::Length
            | Self::Short(_)
            | Self::Long(_)
            | Self::Text(_)
            | Self::Reserved(_) => Reason::MALFORMED,
            Self::TooLarge { .. } => Reason::TOO_LARGE,
            Self::Version { .. } => Reason::VERSION,
            Self::NotConnect
            | Self::PacketId
            | Self::Property { .. }
            | Self::Twice(_)
            | Self::Value(_)
            | Self::Nothing(_)
            | Self::Unexpected(_) => Reason::PROTOCOL_ERROR,
            Self::TopicName(_) => Reason::TOPIC_NAME,
            Self::TopicAlias(_) => Reason::TOPIC_ALIAS,
            Self::Qos(_) => Reason::QOS,
            Self::SubscriptionId => Reason::SUBSCRIPTION_ID,
        }
    }
}
