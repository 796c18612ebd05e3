//! A connection that cannot go on.

/// A connection that cannot go on: the peer does not keep to TLS, or does not agree to what the server asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

#[cfg(feature = "server")]
impl Broken {
    pub(crate) fn too_long() -> Self {
        Self("the peer sends more than a record of TLS holds".to_owned())
    }

    pub(crate) fn used_up() -> Self {
        Self("so much was sent under these keys that they are used up".to_owned())
    }

    pub(crate) fn not_open() -> Self {
        Self("the connection is not open".to_owned())
    }

    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

#[cfg(feature = "server")]
impl From<rustls::Error> for Broken {
    fn from(fault: rustls::Error) -> Self {
        Self(fault.to_string())
    }
}
