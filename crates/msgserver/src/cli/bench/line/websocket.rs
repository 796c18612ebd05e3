//! The WebSocket door, in JSON.

use memchr::memmem;

use super::frame::{Session, hello};
use super::{Heard, Line};

/// The first bytes of what a client sends: one frame, masked.
const TEXT: u8 = 0x81;
const PONG: u8 = 0x8a;
const MASKED: u8 = 0x80;

const OPCODE: u8 = 0x0f;
const IS_CLOSE: u8 = 0x8;
const IS_PING: u8 = 0x9;

pub(super) struct WebSocket {
    frames: Frames,
    session: Session,
}

impl WebSocket {
    pub(super) fn new(user: &str, token: Option<&str>) -> Self {
        Self { frames: Frames::saying(hello(user, token)), session: Session::default() }
    }
}

/// A client's side of any WebSocket.
#[derive(Debug, Default)]
pub(in super::super) struct Frames {
    /// What is said once it is open, if anything.
    first: String,
    is_open: bool,
}

impl Frames {
    /// Says something as soon as it is open.
    fn saying(first: String) -> Self {
        Self { first, is_open: false }
    }

    /// The request with which it begins.
    pub(in super::super) fn request(path: &str, subprotocol: Option<&str>) -> String {
        let subprotocol =
            subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
        format!(
            "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{subprotocol}\r\n"
        )
    }

    /// Whether the request was answered.
    pub(in super::super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Has `each` take the payloads of messages that are whole, and gives how many bytes were taken.
    pub(in super::super) fn take(
        &mut self,
        bytes: &[u8],
        heard: &mut Heard,
        mut each: impl FnMut(&[u8], &mut Heard) -> Result<(), String>,
    ) -> Result<usize, String> {
        let mut rest = bytes;
        if !self.is_open {
            let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(0) };
            if !bytes.starts_with(b"HTTP/1.1 101 ") {
                return Err(format!("no WebSocket: {}", String::from_utf8_lossy(bytes).trim()));
            }
            self.is_open = true;
            if !self.first.is_empty() {
                say(TEXT, std::mem::take(&mut self.first).as_bytes(), &mut heard.say);
            }
            rest = &bytes[end + 4..];
        }
        while let Some((opcode, payload, behind)) = split(rest) {
            rest = behind;
            match opcode {
                IS_CLOSE => return Err("the server closed the WebSocket".to_owned()),
                IS_PING => say(PONG, payload, &mut heard.say),
                _ => each(payload, heard)?,
            }
        }
        Ok(bytes.len() - rest.len())
    }
}

/// Appends a client's frame. The mask is zero: there is no proxy here for whose sake it should be a secret, and the load
/// is to be cheap.
fn say(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    match u8::try_from(payload.len()) {
        Ok(length @ ..126) => out.push(MASKED | length),
        _ => {
            out.push(MASKED | 126);
            let length = u16::try_from(payload.len()).expect("what clients of the load say is short");
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// The opcode and the payload of the server's first frame, and what stands behind it; nothing if it is not whole.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[first, length], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        126 => {
            rest.split_first_chunk::<2>().map(|(length, rest)| (u16::from_be_bytes(*length).into(), rest))?
        }
        127 => rest.split_first_chunk::<8>().map(|(length, rest)| (u64::from_be_bytes(*length), rest))?,
        length => (length.into(), rest),
    };
    let (payload, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((first & OPCODE, payload, rest))
}

impl Line for WebSocket {
    fn greet(&mut self) -> Vec<u8> {
        Frames::request("/v1/ws", Some("msgserver.v1.json")).into_bytes()
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<usize, String> {
        let Self { frames, session } = self;
        let taken = frames.take(bytes, heard, |payload, heard| session.hear(payload, heard))?;
        if let Some(ack) = session.acknowledge() {
            say(TEXT, ack.as_bytes(), &mut heard.say);
        }
        heard.online = session.is_welcome;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::stamp::Stamp;
    use super::*;

    #[test]
    fn messages_of_every_length_are_heard_and_acknowledged() {
        let (mut line, mut heard) = (WebSocket::new("ada", None), Heard::default());
        assert!(line.greet().starts_with(b"GET /v1/ws "));
        let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x12{\"type\":\"welcome\"}".to_vec();
        for (number, size) in [(0, 40), (1, 300), (2, 70_000)] {
            let mut object =
                format!("{{\"type\":\"message\",\"seq\":{},\"content\":", number + 5).into_bytes();
            Stamp { number, moment: 1 }.write(size, &mut object);
            object.push(b'}');
            bytes.push(TEXT);
            match object.len() {
                length @ ..126 => bytes.push(length as u8),
                length @ ..65_536 => bytes.extend([&[126], &(length as u16).to_be_bytes()[..]].concat()),
                length => bytes.extend([&[127], &(length as u64).to_be_bytes()[..]].concat()),
            }
            bytes.extend(object);
        }
        bytes.extend(b"\x89\x01p");
        assert_eq!(line.take(&bytes[..20], &mut heard), Ok(0));
        assert_eq!(line.take(&bytes, &mut heard), Ok(bytes.len()));
        assert!(heard.online);
        let numbers: Vec<u32> = heard.stamps.iter().map(|(stamp, _)| stamp.number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        let ack = b"\x81\x96\0\0\0\0{\"type\":\"ack\",\"seq\":7}";
        assert!(heard.say.ends_with(&[&b"\x8a\x81\0\0\0\0p"[..], ack].concat()), "{:?}", heard.say);
        assert!(line.take(b"\x88\x00", &mut heard).is_err());
    }
}
