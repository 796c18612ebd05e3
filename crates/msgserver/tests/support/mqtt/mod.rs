//! MQTT written out by hand: also what no client library would say.

mod connection;
mod packets;
mod received;

pub use connection::Mqtt;
pub use packets::{Connect, Will, packet, puback, publish, publish_with, string, subscribe, unsubscribe};
pub use received::{Connack, Properties, Published};

/// What a server needs to be told to have the door.
pub const MQTT: [&str; 2] = ["--mqtt", "127.0.0.1:0"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V311 = 4,
    V5 = 5,
}

pub const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

impl Version {
    /// One value for clients of 3.1.1, another for those of 5.
    pub fn either<T>(self, of_311: T, of_5: T) -> T {
        match self {
            Self::V311 => of_311,
            Self::V5 => of_5,
        }
    }
}
