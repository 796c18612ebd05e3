//! What is spoken at a door.

use std::sync::Arc;

use msgserver_handshake::ServerKey;
use msgserver_protocol::{Bar, Encoder, Json, LengthPrefixed, MessagePack, Protocol, Serializer};

#[cfg(feature = "mqtt")]
use msgserver_mqtt::Version;
#[cfg(feature = "mqtt")]
use msgserver_protocol::Mqtt;
#[cfg(feature = "sse")]
use msgserver_protocol::{EventStream, Poll};
#[cfg(feature = "websocket")]
use msgserver_protocol::{FrameFormat, WebSocket};

use crate::builder::{BuildError, chosen};
use crate::{Choice, Encryption};

/// A door: what its connections speak, and how many there may be.
///
/// ```
/// use msgserver::{Door, Server};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().door(Door::new("frame", "msgpack").max_connections(1000)).build()?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// tokio::spawn(async move { server.serve_door(listener, 0).await });
/// # Ok(())
/// # }
/// ```
pub struct Door {
    pub(crate) protocol: Choice<dyn Protocol>,
    pub(crate) serializer: Choice<dyn Serializer>,
    pub(crate) encryption: Choice<Encryption>,
    pub(crate) max_connections: Option<usize>,
}

impl Door {
    /// A door in the clear, for as many connections as come. The choices are those of
    /// [`ServerBuilder::protocol`](crate::ServerBuilder::protocol) and
    /// [`ServerBuilder::serializer`](crate::ServerBuilder::serializer).
    #[must_use]
    pub fn new(
        protocol: impl Into<Choice<dyn Protocol>>,
        serializer: impl Into<Choice<dyn Serializer>>,
    ) -> Self {
        Self {
            protocol: protocol.into(),
            serializer: serializer.into(),
            encryption: "none".into(),
            max_connections: None,
        }
    }

    /// Whether connections are encrypted: `"none"`, `"ssl"`, or an [`Encryption`].
    #[must_use]
    pub fn encryption(mut self, encryption: impl Into<Choice<Encryption>>) -> Self {
        self.encryption = encryption.into();
        self
    }

    /// How many connections there may be at a time. One more is told so and closed.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// The doors whose clients come by the HTTP port.
    pub(crate) fn on_http() -> Vec<Self> {
        vec![
            #[cfg(feature = "websocket")]
            Self::speaking(WebSocket::new(FrameFormat::Json), "json"),
            #[cfg(feature = "websocket")]
            Self::speaking(WebSocket::new(FrameFormat::MessagePack), "msgpack"),
            #[cfg(feature = "sse")]
            Self::speaking(EventStream, "json"),
            #[cfg(feature = "sse")]
            Self::speaking(Poll, "json"),
        ]
    }

    /// The doors whose clients come by the port of MQTT, one a version.
    pub(crate) fn on_mqtt() -> Vec<Self> {
        vec![
            #[cfg(feature = "mqtt")]
            Self::speaking(Mqtt(Version::V5), "json"),
            #[cfg(feature = "mqtt")]
            Self::speaking(Mqtt(Version::V311), "json"),
        ]
    }

    #[cfg(any(feature = "websocket", feature = "sse", feature = "mqtt"))]
    fn speaking(protocol: impl Protocol, serializer: &str) -> Self {
        Self::new(Arc::new(protocol), serializer)
    }

    pub(crate) fn build(self) -> Result<msgserver_scheduler::Door, BuildError> {
        let serializer = chosen("serializer", "json and msgpack", self.serializer, |name| match name {
            "json" => Some(Arc::new(Json) as Arc<dyn Serializer>),
            "msgpack" => Some(Arc::new(MessagePack)),
            _ => None,
        })?;
        let protocol = chosen("protocol", "default and frame", self.protocol, |name| match name {
            "default" => Some(Arc::new(Bar) as Arc<dyn Protocol>),
            "frame" => Some(Arc::new(LengthPrefixed)),
            _ => None,
        })?;
        let encryption = chosen("encryption", "none and ssl", self.encryption, |name| match name {
            "none" => Some(Arc::new(Encryption::None)),
            "ssl" => Some(Arc::new(Encryption::Ssl(1024))),
            _ => None,
        })?;
        let encryption = match &*encryption {
            Encryption::None => None,
            Encryption::Ssl(bits) => Some(ServerKey::generate(*bits)?),
            Encryption::Key(key) => Some(key.clone()),
        };
        let encoder = Encoder::of(protocol, serializer, encryption.is_some())?;
        if encryption.is_some() && !encoder.inbound().is_silent() {
            return Err(BuildError::EncryptedFrames(encoder.protocol().name().to_owned()));
        }
        Ok(msgserver_scheduler::Door { encoder, encryption, max_connections: self.max_connections })
    }
}
