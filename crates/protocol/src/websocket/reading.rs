//! From bytes to messages.

use bytes::{Buf, Bytes, BytesMut};

use super::CloseCode;
use super::header::{Header, Opcode, unmask, write};
use crate::{DecodeError, FrameFormat, Heard, Partial};

/// The beginning of a message that comes in several frames.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    bytes: BytesMut,
    /// Up to where a text is known to be UTF-8.
    checked: usize,
}

impl Fragments {
    /// Adds a part, and looks whether a text is still one: a client hears at the first part that it is not.
    fn add(&mut self, part: BytesMut, is_text: bool) -> Result<(), DecodeError> {
        if self.bytes.is_empty() {
            self.bytes = part;
        } else {
            self.bytes.extend_from_slice(&part);
        }
        if is_text {
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
    fn end(self, is_text: bool) -> Result<BytesMut, DecodeError> {
        if is_text && self.checked < self.bytes.len() { Err(DecodeError::NotUtf8) } else { Ok(self.bytes) }
    }
}

/// The next thing that a client has said; control frames may stand between the parts of a message.
pub(crate) fn next(
    format: FrameFormat,
    partial: &mut Partial,
    limit: usize,
) -> Result<Option<Heard>, DecodeError> {
    let is_text = format == FrameFormat::Json;
    loop {
        let Some(head) = Header::read(&partial.bytes)? else { return Ok(None) };
        if !head.opcode.is_control() {
            check(&head, format, partial, limit)?;
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
                return Ok(Some(Heard::Asked(pong.into())));
            }
            Opcode::Pong => {}
            Opcode::Close => return goodbye(&payload).map(Some),
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                let mut message = partial.fragments.take().unwrap_or_default();
                message.add(payload, is_text)?;
                if head.last {
                    return format.read(&message.end(is_text)?).map(|frame| Some(Heard::Frame(frame)));
                }
                partial.fragments = Some(message);
            }
        }
    }
}

/// Whether a frame may stand here, and its message is not too long.
fn check(head: &Header, format: FrameFormat, partial: &Partial, limit: usize) -> Result<(), DecodeError> {
    let begun = match (&partial.fragments, head.opcode) {
        (Some(begun), Opcode::Continuation) => begun.bytes.len(),
        (Some(_), _) => return Err(DecodeError::Violation("a message begins before the last one has ended")),
        (None, Opcode::Continuation) => {
            return Err(DecodeError::Violation("a message goes on that has not begun"));
        }
        (None, opcode) if opcode != Opcode::of(format) => {
            return Err(DecodeError::WrongKind(match format {
                FrameFormat::Json => "text",
                FrameFormat::MessagePack => "binary",
            }));
        }
        (None, _) => 0,
    };
    let length = begun.saturating_add(head.payload);
    if length > limit { Err(DecodeError::TooLong { length, limit }) } else { Ok(()) }
}

/// A close frame is answered with its own status.
fn goodbye(payload: &[u8]) -> Result<Heard, DecodeError> {
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
    Ok(Heard::Goodbye(Bytes::from(answer)))
}
