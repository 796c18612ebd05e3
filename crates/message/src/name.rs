//! Names that people and applications choose: users, devices.

use std::net::SocketAddr;
use std::sync::LazyLock;

/// The longest name in bytes of UTF-8: enough for a mail address (254) or two UUIDs, and small enough
/// that a table of a million names stays a table.
pub const MAX_NAME_BYTES: usize = 256;

/// A name was refused; the text says which kind of name, what is wrong with it and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The name has no characters.
    #[error("a {kind} must have at least one character")]
    Empty {
        /// What was to be named: `user`, `device` or `topic`.
        kind: &'static str,
    },
    /// The name is longer than [`MAX_NAME_BYTES`].
    #[error("a {kind} may be {MAX_NAME_BYTES} bytes long, this one has {bytes}")]
    TooLong {
        /// What was to be named.
        kind: &'static str,
        /// How long the name is.
        bytes: usize,
    },
    /// The name holds a control character, which logs and line protocols would trip over.
    #[error("a {kind} may not hold the control character {character:?}, found at byte {at}")]
    ControlCharacter {
        /// What was to be named.
        kind: &'static str,
        /// The offending character.
        character: char,
        /// Where it stands.
        at: usize,
    },
    /// The name of a topic holds a character that stands for others, or a filter holds it where it cannot.
    #[error(
        "a {kind} may not hold {character:?} at byte {at}; who follows topics may write + for one whole level, \
         as in news/+/sport, and nothing else stands for others"
    )]
    Wildcard {
        /// What was to be named: `topic` or `topic filter`.
        kind: &'static str,
        /// The offending character: `+` or `#`.
        character: char,
        /// Where it stands.
        at: usize,
    },
    /// A topic has more levels than [`MAX_TOPIC_LEVELS`](crate::MAX_TOPIC_LEVELS).
    #[error("a {kind} may have {} levels between slashes, this one has {levels}", crate::MAX_TOPIC_LEVELS)]
    TooManyLevels {
        /// What was to be named.
        kind: &'static str,
        /// How many levels the name has.
        levels: usize,
    },
}

pub(crate) fn check(kind: &'static str, name: &str) -> Result<(), InvalidName> {
    if name.is_empty() {
        return Err(InvalidName::Empty { kind });
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(InvalidName::TooLong { kind, bytes: name.len() });
    }
    match name.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, character)) => Err(InvalidName::ControlCharacter { kind, character, at }),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(pub(crate) std::sync::Arc<str>);

        impl $type {
            #[doc = concat!("Takes `name` as a ", $kind, " if it is one.")]
            ///
            /// # Errors
            /// [`InvalidName`](crate::InvalidName) if it is empty, longer than
            /// [`MAX_NAME_BYTES`](crate::MAX_NAME_BYTES) bytes, holds a control character or what such a name
            /// may not hold.
            pub fn new(name: impl AsRef<str>) -> Result<Self, crate::InvalidName> {
                let name = name.as_ref();
                $check($kind, name)?;
                Ok(Self(name.into()))
            }

            /// The name as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = crate::InvalidName;
            fn try_from(name: String) -> Result<Self, crate::InvalidName> {
                Self::new(name)
            }
        }

        impl std::str::FromStr for $type {
            type Err = crate::InvalidName;
            fn from_str(name: &str) -> Result<Self, crate::InvalidName> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.as_str().to_owned()
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

pub(crate) use name;

name! {
    /// Somebody that messages are for. Cheap to clone.
    UserId, "user", check
}
name! {
    /// One of a user's devices: a named cursor in the user's inbox.
    DeviceId, "device", check
}
name! {
    /// What a message is about: of those that wait for a user under one key, only the newest counts.
    CollapseKey, "collapse key", check
}

impl UserId {
    /// The name of a connection that nobody has authenticated: `conn<ip>:<port>`, as the first msgserver
    /// called it.
    #[must_use]
    pub fn anonymous(peer: SocketAddr) -> Self {
        Self(format!("conn{peer}").into())
    }

    /// The peer address if this is the name of an unauthenticated connection. Such a name ends with its
    /// connection: the next one from the same port is somebody else, so nothing may be kept for it.
    #[must_use]
    pub fn anonymous_peer(&self) -> Option<SocketAddr> {
        self.0.strip_prefix("conn")?.parse().ok()
    }
}

impl DeviceId {
    /// The device of clients that do not name one: those of the first msgserver, and `hello` frames
    /// without `device`.
    #[must_use]
    pub fn unnamed() -> Self {
        // One for all: most clients of a large server may name none.
        static UNNAMED: LazyLock<DeviceId> = LazyLock::new(|| DeviceId("default".into()));
        UNNAMED.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_refused_with_what_is_wrong_with_it() {
        assert_eq!(UserId::new("").unwrap_err().to_string(), "a user must have at least one character");
        assert_eq!(
            DeviceId::new("x".repeat(257)).unwrap_err().to_string(),
            "a device may be 256 bytes long, this one has 257"
        );
        assert_eq!(
            CollapseKey::new("a\u{7f}").unwrap_err().to_string(),
            "a collapse key may not hold the control character '\\u{7f}', found at byte 1"
        );
        assert!(UserId::new("小甘 18").is_ok());
    }

    #[test]
    fn an_anonymous_user_is_known_by_its_address() {
        for peer in ["127.0.0.1:3366", "[::1]:9"] {
            let peer: SocketAddr = peer.parse().unwrap();
            assert_eq!(UserId::anonymous(peer).anonymous_peer(), Some(peer));
        }
        assert_eq!(UserId::new("connie").unwrap().anonymous_peer(), None);
    }

    #[test]
    fn a_name_from_json_is_checked_as_well() {
        assert!(serde_json::from_str::<UserId>(r#""a\u0000b""#).is_err());
        assert_eq!(serde_json::from_str::<UserId>(r#""a""#).unwrap().as_str(), "a");
    }
}
