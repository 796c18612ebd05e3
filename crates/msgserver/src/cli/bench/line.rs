//! What a client says and hears at a door, without its socket.

mod encrypted;
mod frame;
pub(super) mod mqtt;
mod raw;
mod sealed;
mod sse;
mod websocket;

use std::fmt;

use msgserver_handshake::ClientKey;

use self::encrypted::Encrypted;
use self::frame::Frame;
pub(super) use self::frame::{framed, hello, split_frame};
use self::mqtt::Mqtt;
use self::raw::Raw;
pub(super) use self::sealed::Sealed;
use self::sse::EventStream;
pub(super) use self::websocket::Frames;
use self::websocket::WebSocket;
use super::peer::Peer;
use super::stamp::Stamp;

/// A door that clients of the load can use. A new one is a variant here and a [`Line`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Door {
    /// The first msgserver's protocol
    Raw,
    /// The `frame` protocol; its clients acknowledge
    Frame,
    /// The first msgserver's protocol behind its handshake
    Encrypted,
    /// WebSocket, in JSON; its clients acknowledge
    Websocket,
    /// Server-Sent Events; for notices, as its clients acknowledge elsewhere
    Sse,
    /// MQTT 3.1.1; its clients subscribe to notices and, at QoS 1, to what is for them
    Mqtt,
}

impl Door {
    /// The key of this door in a ready file.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Raw | Self::Encrypted => "listen",
            Self::Frame => "frame",
            Self::Websocket | Self::Sse => "http",
            Self::Mqtt => "mqtt",
        }
    }

    /// The port of this door where nothing else is said.
    pub(super) const fn usual_port(self) -> u16 {
        match self {
            Self::Raw | Self::Encrypted => 3366,
            Self::Frame => 3367,
            Self::Websocket | Self::Sse => 3365,
            Self::Mqtt => 1883,
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Frame => "frame",
            Self::Encrypted => "encrypted",
            Self::Websocket => "websocket",
            Self::Sse => "sse",
            Self::Mqtt => "mqtt",
        })
    }
}

/// How clients come to a server.
#[derive(Clone)]
pub(super) enum Entrance {
    /// To a door of a msgserver.
    Door { door: Door, secret: Option<String>, key: Option<ClientKey> },
    /// To the floor: the number of the client, and a byte in answer.
    Floor,
    /// To a peer: each client gets its own messages, or those for all.
    Peer { peer: Peer, to_one: bool },
}

impl Entrance {
    /// At a door; users prove themselves with the secret if there is one.
    pub(super) fn new(door: Door, secret: Option<String>) -> Result<Self, String> {
        let key = match door {
            // One for all: to find a key takes far longer than to use it.
            Door::Encrypted => Some(ClientKey::generate(1024).map_err(|fault| fault.to_string())?),
            _ => None,
        };
        Ok(Self::Door { door, secret, key })
    }

    /// Whether a client is told that it is online.
    pub(super) const fn is_answered(&self) -> bool {
        !matches!(self, Self::Door { door: Door::Raw, .. })
    }

    /// What the client of this number, who is `user`, says and hears.
    pub(super) fn line(&self, number: usize, user: &str) -> Box<dyn Line> {
        match self {
            Self::Floor => Box::new(Raw::of_floor(number)),
            Self::Peer { peer, to_one } => peer.line(user, *to_one),
            Self::Door { door: Door::Raw, secret, .. } => Box::new(Raw::new(proof(user, secret.as_deref()))),
            Self::Door { door: Door::Frame, secret, .. } => Box::new(Frame::new(user, secret.as_deref())),
            Self::Door { door: Door::Websocket, secret, .. } => {
                Box::new(WebSocket::new(user, secret.as_deref()))
            }
            Self::Door { door: Door::Sse, secret, .. } => Box::new(EventStream::new(user, secret.as_deref())),
            Self::Door { door: Door::Mqtt, secret, .. } => Box::new(Mqtt::new(user, secret.as_deref())),
            Self::Door { door: Door::Encrypted, secret, key } => {
                let key = key.clone().expect("made for this door");
                Box::new(Encrypted::new(key, proof(user, secret.as_deref())))
            }
        }
    }
}

/// What a client of the first msgserver proves itself with.
fn proof(user: &str, secret: Option<&str>) -> Option<String> {
    secret.map(|secret| format!("{user};{secret}"))
}

/// One client's side of a connection: bytes in, stamps and bytes out.
pub(super) trait Line: Send {
    /// What the client says as soon as it is connected.
    fn greet(&mut self) -> Vec<u8>;

    /// Takes what has come, as far as it is whole, and gives how many bytes that is.
    ///
    /// # Errors
    /// Why the connection is of no use any more.
    fn take(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<usize, String>;
}

/// What was heard on a line. One for all lines of a thread, so that a client owns no buffer.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Whether the client is online now.
    pub(super) online: bool,
    /// The messages of the load that came, in order; whether each was marked as sent again.
    pub(super) stamps: Vec<(Stamp, bool)>,
    /// What the client is to say.
    pub(super) say: Vec<u8>,
    /// What was opened, while a line within TLS takes it.
    plain: Vec<u8>,
}

impl Heard {
    pub(super) fn clear(&mut self) {
        self.online = false;
        self.stamps.clear();
        self.say.clear();
    }
}
