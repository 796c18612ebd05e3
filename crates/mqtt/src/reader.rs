//! Taking a packet's bytes apart.

use std::num::NonZeroU16;

use bytes::{Buf, Bytes};

use crate::Fault;

/// The bytes of one packet behind its fixed header, as far as they are not read.
#[derive(Debug)]
pub(crate) struct Reader(Bytes);

impl Reader {
    pub(crate) const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<Bytes, Fault> {
        if self.0.len() < count { Err(Fault::Short(what)) } else { Ok(self.0.split_to(count)) }
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, Fault> {
        Ok(self.take(1, what)?.get_u8())
    }

    pub(crate) fn two(&mut self, what: &'static str) -> Result<u16, Fault> {
        Ok(self.take(2, what)?.get_u16())
    }

    pub(crate) fn four(&mut self, what: &'static str) -> Result<u32, Fault> {
        Ok(self.take(4, what)?.get_u32())
    }

    pub(crate) fn packet_id(&mut self) -> Result<NonZeroU16, Fault> {
        NonZeroU16::new(self.two("a packet id")?).ok_or(Fault::PacketId)
    }

    /// A number of one to four bytes, the lowest first.
    pub(crate) fn varying(&mut self, what: &'static str) -> Result<u32, Fault> {
        match varying(&self.0)? {
            None => Err(Fault::Short(what)),
            Some((number, bytes)) => {
                self.0.advance(bytes);
                Ok(number)
            }
        }
    }

    pub(crate) fn binary(&mut self, what: &'static str) -> Result<Bytes, Fault> {
        let length = self.two(what)?;
        self.take(length.into(), what)
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<String, Fault> {
        let bytes = self.binary(what)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
            _ => Err(Fault::Text(what)),
        }
    }

    /// A part of its own, as long as the number before it says.
    pub(crate) fn part(&mut self, what: &'static str) -> Result<Self, Fault> {
        let length = self.varying(what)?;
        Ok(Self(self.take(length as usize, what)?))
    }

    /// All that is left.
    pub(crate) fn rest(self) -> Bytes {
        self.0
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault::Long(self.0.len())) }
    }
}

/// A number of one to four bytes and how many it takes; nothing if it is not whole.
pub(crate) fn varying(bytes: &[u8]) -> Result<Option<(u32, usize)>, Fault> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        number |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            // A number in more bytes than it needs is not allowed.
            return if *byte == 0 && at > 0 { Err(Fault::Length) } else { Ok(Some((number, at + 1))) };
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Fault::Length) }
}
