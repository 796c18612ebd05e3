//! Contents: what is taken can be written in every form, and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msgserver_message::{Content, Message, Seq};
use msgserver_protocol::{
    Delivery, Encoder, FrameFormat, Json, LengthPrefixed, MessagePack, Serializer, ServerFrame,
};

fuzz_target!(|json: &str| {
    let Ok(content) = Content::from_json(json) else { return };
    assert_eq!(Content::from_json(content.as_json()).unwrap(), content);
    if let Some(text) = content.as_text() {
        assert_eq!(Content::text(&text).as_text(), Some(text));
    }
    MessagePack.serialize(&content, &mut Vec::new()).expect("JSON has a form in MessagePack");

    let message = Message::new(content);
    let delivery = Delivery::kept(&message, Seq::new(1));
    let json = Encoder::new(LengthPrefixed, Json).unwrap().encode(&delivery).unwrap();
    let pack = Encoder::new(LengthPrefixed, MessagePack).unwrap().encode(&delivery).unwrap();
    let read = |format: FrameFormat, frame: &[u8]| format.read::<ServerFrame>(&frame[4..]);
    // A content at the limit of nesting is one level deeper inside a frame.
    if let Ok(frame) = read(FrameFormat::Json, &json) {
        assert!(matches!(frame, ServerFrame::Message { id, .. } if id == message.id));
        read(FrameFormat::MessagePack, &pack).unwrap();
    }
});
