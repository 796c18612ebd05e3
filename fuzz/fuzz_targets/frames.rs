//! The `frame` protocol, in both forms and both directions: however its bytes are cut, the frames are the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use msgserver_protocol::{ClientFrame, FrameDecoder, FrameFormat, ServerFrame};
use tokio_util::codec::{Decoder, Encoder};

const LIMIT: usize = 4096;

/// The frames up to the first fault, and whether there was one.
fn frames(format: FrameFormat, bytes: &[u8], step: usize) -> (Vec<ClientFrame>, bool) {
    let mut decoder = FrameDecoder::<ClientFrame>::new(format, LIMIT);
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for part in bytes.chunks(step) {
        buffer.extend_from_slice(part);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (json, step, bytes) = input;
    let format = if json { FrameFormat::Json } else { FrameFormat::MessagePack };
    let whole = frames(format, bytes, bytes.len().max(1));
    assert_eq!(whole, frames(format, bytes, usize::from(step).max(1)));

    // The bytes as one payload, so that inputs need not guess a length.
    let _ = format.read::<ServerFrame>(bytes);
    if let Ok(frame) = format.read::<ClientFrame>(bytes) {
        let mut wire = BytesMut::new();
        FrameDecoder::<ClientFrame>::new(format, LIMIT).encode(frame.clone(), &mut wire).unwrap();
        let read = FrameDecoder::<ClientFrame>::new(format, 1 << 24).decode(&mut wire);
        // What a frame holds at the limit of nesting may be refused when it is read again.
        if let Ok(read) = read {
            assert_eq!(read, Some(frame));
        }
    }
});
