//! Choices by name or by value.

use std::sync::Arc;

use msgserver_handshake::ServerKey;
use msgserver_pool::Pool;
use msgserver_protocol::{Protocol, Serializer};
use msgserver_queue::Queue;
use msgserver_scheduler::Job;

/// A part of a server: one of ours, by its name, or one of yours.
pub enum Choice<T: ?Sized> {
    /// By name.
    Name(String),
    /// The part itself.
    Value(Arc<T>),
}

impl<T: ?Sized> From<&str> for Choice<T> {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

macro_rules! by_value {
    ($($part:path),+) => { $(
        impl<T: $part + 'static> From<Arc<T>> for Choice<dyn $part> {
            fn from(value: Arc<T>) -> Self {
                Self::Value(value)
            }
        }
    )+ };
}

by_value!(Pool, Serializer, Protocol, Queue<Job>);

impl From<Encryption> for Choice<Encryption> {
    fn from(value: Encryption) -> Self {
        Self::Value(Arc::new(value))
    }
}

/// Whether connections are encrypted, and under which key.
#[derive(Debug, Clone, Default)]
pub enum Encryption {
    /// `"none"`: in the clear.
    #[default]
    None,
    /// `"ssl"`, with the first msgserver's 1024 bits: its handshake with a fresh key of so many bits.
    Ssl(usize),
    /// The first msgserver's handshake with this key.
    Key(ServerKey),
}
