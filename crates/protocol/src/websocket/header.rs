//! The head of a WebSocket frame (RFC 6455, section 5.2).

use crate::{DecodeError, FrameFormat};

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// The longest payload of a control frame.
pub(super) const MAX_CONTROL_BYTES: usize = 125;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    pub(super) const fn of(format: FrameFormat) -> Self {
        match format {
            FrameFormat::Json => Self::Text,
            FrameFormat::MessagePack => Self::Binary,
        }
    }

    const fn read(byte: u8) -> Option<Self> {
        Some(match byte & 0x0f {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The head of a frame that a client has sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) last: bool,
    pub(super) opcode: Opcode,
    /// Of the head itself.
    pub(super) bytes: usize,
    pub(super) payload: usize,
    pub(super) mask: [u8; 4],
}

const fn violation(what: &'static str) -> DecodeError {
    DecodeError::Violation(what)
}

impl Header {
    /// Reads a head; nothing if more of it has to come. What is wrong is told as soon as it can be seen.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some(&[first, second]) = bytes.first_chunk::<2>() else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err(violation("a reserved bit is set, and no extension was agreed on"));
        }
        let opcode =
            Opcode::read(first).ok_or(violation("the opcode is not one that RFC 6455 gives a meaning"))?;
        if second & MASKED == 0 {
            return Err(violation("a client has to mask its frames"));
        }
        let last = first & FIN != 0;
        let short = usize::from(second & !MASKED);
        if opcode.is_control() && (!last || short > MAX_CONTROL_BYTES) {
            return Err(violation("a control frame is whole and has at most 125 bytes"));
        }
        let (length, at) = match short {
            126 => match bytes.get(2..4) {
                Some(length) => (u64::from(u16::from_be_bytes([length[0], length[1]])), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..10).and_then(|length| length.try_into().ok()) {
                Some(length) => (u64::from_be_bytes(length), 10),
                None => return Ok(None),
            },
            short => (short as u64, 2),
        };
        if length > i64::MAX as u64 {
            return Err(violation("the highest bit of a length is 0"));
        }
        let Some(mask) = bytes.get(at..at + 4).and_then(|mask| mask.try_into().ok()) else { return Ok(None) };
        let payload = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(Some(Self { last, opcode, bytes: at + 4, payload, mask }))
    }
}

/// Appends a whole frame as a server sends it.
pub(super) fn write(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    out.push(FIN | opcode as u8);
    match payload.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Takes the mask off (section 5.3).
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let mut words = payload.chunks_exact_mut(4);
    for word in &mut words {
        for (byte, mask) in word.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask) {
        *byte ^= mask;
    }
}
