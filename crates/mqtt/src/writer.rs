//! Putting a packet's bytes together.

use bytes::{BufMut, Bytes, BytesMut};

/// The longest text that a packet takes.
const MOST: usize = u16::MAX as usize;

/// Appends a number of one to four bytes, the lowest first.
pub(crate) fn varying(mut number: usize, out: &mut BytesMut) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return out.put_u8(low);
        }
        out.put_u8(low | 0x80);
    }
}

/// Appends a text, cut where it is longer than a packet can say.
pub(crate) fn text(text: &str, out: &mut BytesMut) {
    let mut length = text.len().min(MOST);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    out.put_u16(length as u16);
    out.put_slice(&text.as_bytes()[..length]);
}

/// Appends bytes, of which a packet has brought no more than another can say.
pub(crate) fn binary(bytes: &[u8], out: &mut BytesMut) {
    let bytes = &bytes[..bytes.len().min(MOST)];
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
}

/// Appends properties with their length.
pub(crate) fn properties(properties: &[u8], out: &mut BytesMut) {
    varying(properties.len(), out);
    out.put_slice(properties);
}

/// A whole packet.
pub(crate) fn packet(first: u8, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(body.len() + 5);
    out.put_u8(first);
    varying(body.len(), &mut out);
    out.put_slice(body);
    out.freeze()
}
