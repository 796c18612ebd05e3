//! From bytes to messages.

use bytes::{Buf, Bytes, BytesMut};

use super::CloseCode;
use super::header::{Header, Opcode, unmask, write};
use crate::{DecodeError, FrameFormat, Heard, Partial};

/// The beginning of a message that comes in several frames.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    is_text: bool,
    bytes: BytesMut,
    /// Up to where a text is known to be UTF-8.
    checked: usize,
}

impl Fragments {
    /// Adds a part, and looks whether a text is still one: a client hears at the first part that it is not.
    fn add(&mut self, part: BytesMut) -> Result<(), DecodeError> {
        if self.bytes.is_empty() {
            self.bytes = part;
        } else {
            self.bytes.extend_from_slice(&part);
        }
        if self.is_text {
            self.checked += match std::str::from_utf8(&self.bytes[self.checked..]) {
                Ok(text) => text.len(),
                // Cut inside a character.
                Err(fault) if fault.error_len().is_none() => fault.valid_up_to(),
                Err(_) => return Err(DecodeError::NotUtf8),
            };
        }
        Ok(())
    }

    /// The whole message.
    fn end(self) -> Result<WebSocketEvent, DecodeError> {
        match self.is_text {
            true if self.checked < self.bytes.len() => Err(DecodeError::NotUtf8),
            true => Ok(WebSocketEvent::Text(self.bytes.freeze())),
            false => Ok(WebSocketEvent::Binary(self.bytes.freeze())),
        }
    }
}

/// What has come over a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebSocketEvent {
    /// A whole text message, which is UTF-8.
    Text(Bytes),
    /// A whole binary message.
    Binary(Bytes),
    /// A ping, and the pong that answers it.
    Ping(Bytes),
    /// A close frame, and the one that answers it. The connection is to be closed then.
    Close(Bytes),
}

impl WebSocketEvent {
    /// The next thing that a client has said, in messages of at most `limit` bytes; nothing if more has to come. With
    /// `only`, messages are of this kind alone. Control frames may stand between the parts of a message.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not as RFC 6455 says. What follows cannot be understood any more.
    pub fn next(
        only: Option<FrameFormat>,
        partial: &mut Partial,
        limit: usize,
    ) -> Result<Option<Self>, DecodeError> {
        loop {
            let Some(head) = Header::read(&partial.bytes)? else { return Ok(None) };
            if !head.opcode.is_control() {
                check(&head, only, partial, limit)?;
            }
            if partial.bytes.len() < head.bytes + head.payload {
                return Ok(None);
            }
            partial.bytes.advance(head.bytes);
            let mut payload = partial.bytes.split_to(head.payload);
            unmask(&mut payload, head.mask);
            match head.opcode {
                Opcode::Ping => {
                    let mut pong = Vec::with_capacity(payload.len() + 2);
                    write(Opcode::Pong, &payload, &mut pong);
                    return Ok(Some(Self::Ping(pong.into())));
                }
                Opcode::Pong => {}
                Opcode::Close => return goodbye(&payload).map(|answer| Some(Self::Close(answer))),
                Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                    let is_text = head.opcode == Opcode::Text;
                    let begin = || Fragments { is_text, ..Fragments::default() };
                    let mut message = partial.fragments.take().unwrap_or_else(begin);
                    message.add(payload)?;
                    if head.last {
                        return message.end().map(Some);
                    }
                    partial.fragments = Some(message);
                }
            }
        }
    }
}

/// The next thing that a client of the `frame` protocol's objects has said.
pub(crate) fn next(
    format: FrameFormat,
    partial: &mut Partial,
    limit: usize,
) -> Result<Option<Heard>, DecodeError> {
    Ok(match WebSocketEvent::next(Some(format), partial, limit)? {
        None => None,
        Some(WebSocketEvent::Text(bytes) | WebSocketEvent::Binary(bytes)) => {
            Some(Heard::Frame(format.read(&bytes)?))
        }
        Some(WebSocketEvent::Ping(answer)) => Some(Heard::Asked(answer)),
        Some(WebSocketEvent::Close(answer)) => Some(Heard::Goodbye(answer)),
    })
}

/// Whether a frame may stand here, and its message is not too long.
fn check(
    head: &Header,
    only: Option<FrameFormat>,
    partial: &Partial,
    limit: usize,
) -> Result<(), DecodeError> {
    let begun = match (&partial.fragments, head.opcode) {
        (Some(begun), Opcode::Continuation) => begun.bytes.len(),
        (Some(_), _) => return Err(DecodeError::Violation("a message begins before the last one has ended")),
        (None, Opcode::Continuation) => {
            return Err(DecodeError::Violation("a message goes on that has not begun"));
        }
        (None, opcode) => match only {
            Some(format) if opcode != Opcode::of(format) => {
                return Err(DecodeError::WrongKind(match format {
                    FrameFormat::Json => "text",
                    FrameFormat::MessagePack => "binary",
                }));
            }
            _ => 0,
        },
    };
    let length = begun.saturating_add(head.payload);
    if length > limit { Err(DecodeError::TooLong { length, limit }) } else { Ok(()) }
}

/// A close frame is answered with its own status.
fn goodbye(payload: &[u8]) -> Result<Bytes, DecodeError> {
    let mut answer = Vec::new();
    match payload {
        [] => write(Opcode::Close, &[], &mut answer),
        [_] => return Err(DecodeError::Violation("the status of a close frame has two bytes")),
        [high, low, reason @ ..] => {
            let code = CloseCode::from_client(u16::from_be_bytes([*high, *low]));
            let code =
                code.ok_or(DecodeError::Violation("the status of the close frame is not for clients"))?;
            std::str::from_utf8(reason).map_err(|_| DecodeError::NotUtf8)?;
            code.write("", &mut answer);
        }
    }
    Ok(answer.into())
}
