//! The default protocol's encoder: whatever a text holds, it is one frame that says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msgserver_message::{Content, Message};
use msgserver_protocol::{Bar, Delivery, Encoder, Json};

fuzz_target!(|text: &str| {
    let message = Message::new(Content::text(text));
    let frame = Encoder::new(Bar, Json).unwrap().encode(&Delivery::notice(&message)).unwrap();
    assert_eq!(frame.iter().position(|&byte| byte == b'|'), Some(frame.len() - 1));
    assert_eq!(serde_json::from_slice::<String>(&frame[..frame.len() - 1]).unwrap(), text);

    if let Ok(content) = Content::from_json(text) {
        let message = Message::new(content);
        let frame = Encoder::new(Bar, Json).unwrap().encode(&Delivery::notice(&message)).unwrap();
        assert_eq!(frame.iter().position(|&byte| byte == b'|'), Some(frame.len() - 1));
        let sent: serde_json::Value = serde_json::from_slice(&frame[..frame.len() - 1]).unwrap();
        assert_eq!(sent, serde_json::from_str::<serde_json::Value>(message.content.as_json()).unwrap());
    }
});
