//! The reason codes of MQTT 5.

use std::fmt;

/// Why something was refused, or that it was not: a reason code of MQTT 5 (section 2.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason(u8);

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)+) => {
        impl Reason {
            $($(#[$doc])* pub const $name: Self = Self($code);)+

            const fn text(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)+
                    _ => None,
                }
            }
        }
    };
}

reasons! {
    /// It is done. Also that QoS 0 is granted, and that a client leaves in good order.
    SUCCESS = 0x00, "success";
    /// QoS 1 is granted.
    GRANTED_1 = 0x01, "QoS 1 granted";
    /// A client leaves and wants its will published.
    WITH_WILL = 0x04, "disconnect with will";
    /// What is published has nobody who would get it.
    NO_MATCHING_SUBSCRIBERS = 0x10, "no matching subscribers";
    /// There was no such subscription.
    NO_SUBSCRIPTION_EXISTED = 0x11, "no subscription existed";
    /// For what no other code is for.
    UNSPECIFIED = 0x80, "unspecified error";
    /// A packet is not as the standard has it.
    MALFORMED = 0x81, "malformed packet";
    /// A packet may not come here, or not with this in it.
    PROTOCOL_ERROR = 0x82, "protocol error";
    /// It is right, and this server does not do it.
    IMPLEMENTATION = 0x83, "implementation specific error";
    /// The version is not supported.
    VERSION = 0x84, "unsupported protocol version";
    /// The client id cannot be one here.
    CLIENT_ID = 0x85, "client identifier not valid";
    /// User name or password are wrong.
    BAD_CREDENTIALS = 0x86, "bad user name or password";
    /// The client may not do that.
    NOT_AUTHORIZED = 0x87, "not authorized";
    /// The server cannot be used now.
    UNAVAILABLE = 0x88, "server unavailable";
    /// The server has too much to do.
    BUSY = 0x89, "server busy";
    /// The server stops.
    SHUTTING_DOWN = 0x8b, "server shutting down";
    /// The way to authenticate is not supported.
    AUTHENTICATION_METHOD = 0x8c, "bad authentication method";
    /// Nothing was heard for one and a half times the keep alive.
    KEEP_ALIVE = 0x8d, "keep alive timeout";
    /// The same client id has connected again.
    TAKEN_OVER = 0x8e, "session taken over";
    /// The topic filter is right, and not one that this server has.
    TOPIC_FILTER = 0x8f, "topic filter invalid";
    /// The topic name is right, and not one that this server has.
    TOPIC_NAME = 0x90, "topic name invalid";
    /// The packet id is not known.
    PACKET_ID_UNKNOWN = 0x92, "packet identifier not found";
    /// More was sent without an answer than the receiver had allowed.
    RECEIVE_MAXIMUM = 0x93, "receive maximum exceeded";
    /// The topic alias is zero, or over what the receiver had allowed.
    TOPIC_ALIAS = 0x94, "topic alias invalid";
    /// The packet is longer than the receiver had allowed.
    TOO_LARGE = 0x95, "packet too large";
    /// A limit of the server is reached.
    QUOTA = 0x97, "quota exceeded";
    /// Somebody who runs the server has closed the connection.
    ADMINISTRATIVE = 0x98, "administrative action";
    /// The payload is not what it says it is.
    PAYLOAD = 0x99, "payload format invalid";
    /// The quality of service is over what the server had said.
    QOS = 0x9b, "QoS not supported";
    /// There are no shared subscriptions.
    SHARED = 0x9e, "shared subscriptions not supported";
    /// The time for which a connection may live is over.
    CONNECT_TIME = 0xa0, "maximum connect time";
    /// There are no subscription identifiers.
    SUBSCRIPTION_ID = 0xa1, "subscription identifiers not supported";
    /// There are no subscriptions with such a wildcard.
    WILDCARD = 0xa2, "wildcard subscriptions not supported";
}

impl Reason {
    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// What a code stands for, if it is one that this crate knows.
    #[must_use]
    pub const fn of_code(code: u8) -> Option<Self> {
        if Self(code).text().is_some() { Some(Self(code)) } else { None }
    }

    /// Whether it says that something was refused.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        self.0 >= 0x80
    }

    /// The return code of 3.1.1 for a connection that is refused.
    pub(crate) const fn return_code(self) -> u8 {
        match self {
            Self::SUCCESS => 0,
            Self::VERSION => 1,
            Self::CLIENT_ID => 2,
            Self::BAD_CREDENTIALS => 4,
            Self::NOT_AUTHORIZED | Self::AUTHENTICATION_METHOD => 5,
            _ => 3,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => f.write_str(text),
            None => write!(f, "reason {:#04x}", self.0),
        }
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x} {self}", self.0)
    }
}
