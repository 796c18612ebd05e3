//! WebSocket frames: however their bytes are cut, what is heard is the same, and no message is longer than allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msgserver_protocol::{FrameFormat, Heard, Inbound, Partial, WebSocketEvent};

const LIMIT: usize = 4096;

/// What is heard up to the first fault, and the fault.
fn heard(only: Option<FrameFormat>, bytes: &[u8], step: usize) -> (Vec<WebSocketEvent>, Option<String>) {
    let (mut partial, mut heard) = (Partial::default(), Vec::new());
    for part in bytes.chunks(step) {
        partial.extend(part);
        loop {
            match WebSocketEvent::next(only, &mut partial, LIMIT) {
                Ok(Some(event)) => {
                    if let WebSocketEvent::Text(message) | WebSocketEvent::Binary(message) = &event {
                        assert!(message.len() <= LIMIT);
                    }
                    if let WebSocketEvent::Text(text) = &event {
                        assert!(std::str::from_utf8(text).is_ok());
                    }
                    let is_end = matches!(event, WebSocketEvent::Close(_));
                    heard.push(event);
                    if is_end {
                        return (heard, None);
                    }
                }
                Ok(None) => break,
                Err(fault) => return (heard, Some(fault.to_string())),
            }
        }
    }
    (heard, None)
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (kind, step, bytes) = input;
    let only = [None, Some(FrameFormat::Json), Some(FrameFormat::MessagePack)][usize::from(kind % 3)];
    let whole = heard(only, bytes, bytes.len().max(1));
    assert_eq!(whole, heard(only, bytes, usize::from(step).max(1)));

    // The objects of the conversation as well.
    let inbound = Inbound::WebSocket(only.unwrap_or(FrameFormat::Json));
    let mut partial = Partial::default();
    partial.extend(bytes);
    while let Ok(Some(Heard::Frame(_) | Heard::Asked(_))) = inbound.next(&mut partial, LIMIT) {}
});
