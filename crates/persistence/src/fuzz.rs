//! The parsers of what stores read, for fuzz targets: here only when the compiler is told `--cfg fuzzing`.

use crate::{codec, go};

/// A message as stores keep it.
///
/// # Panics
/// If what is read cannot be written, or is another when it is read again.
pub fn stored_message(bytes: &[u8]) {
    if let Ok(message) = codec::decode(bytes) {
        let written = codec::encode(&message).expect("what was read has a form");
        assert_eq!(codec::decode(&written).expect("what was written is read"), message);
    }
}

/// A message as the Go server wrote it.
///
/// # Panics
/// If what is read cannot be kept.
pub fn go_message(json: &[u8]) {
    if let Ok(message) = go::parse(json) {
        let message = message.message(b"old id");
        assert_eq!(message.content.as_json().trim_ascii(), message.content.as_json());
        stored_message(&codec::encode(&message).expect("a message has a form"));
    }
}

/// What may be a journal of the store on disk, and one that is made from the bytes and damaged as they say.
///
/// # Panics
/// If what counts of it reads differently once it is known how much that is, or a damaged row is taken for a row.
#[cfg(feature = "disk")]
pub fn journal(bytes: &[u8]) {
    crate::disk::read_anything(bytes);
}
