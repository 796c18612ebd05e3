//! The `frame` protocol: a length, then an object.

use std::marker::PhantomData;

use bytes::{Buf, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::codec::{Decoder, Encoder};

use crate::{
    Acknowledgement, DecodeError, Delivery, EncodeError, FrameFormat, Inbound, Protocol, Serializer,
    ServerFrame,
};

/// The longest frame that a peer may send unless told otherwise.
pub const MAX_FRAME_BYTES: usize = msgserver_message::MAX_MESSAGE_BYTES;

const LENGTH_BYTES: usize = 4;

/// The `frame` protocol: a 4-byte big-endian length, then one object in the serializer's form.
#[derive(Debug, Clone, Copy, Default)]
pub struct LengthPrefixed;

fn format_of(serializer: &dyn Serializer) -> Result<FrameFormat, EncodeError> {
    serializer.frame_format().ok_or_else(|| EncodeError {
        serializer: serializer.name().to_owned(),
        detail: "it has no frames".to_owned(),
    })
}

impl Protocol for LengthPrefixed {
    fn name(&self) -> &str {
        "frame"
    }

    fn objection(&self, serializer: &dyn Serializer) -> Option<&'static str> {
        serializer.frame_format().is_none().then_some("its objects have a form in json and msgpack only")
    }

    fn payload(
        &self,
        delivery: &Delivery<'_>,
        serializer: &dyn Serializer,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        format_of(serializer)?.write(&ServerFrame::from(delivery), out)
    }

    fn frame(&self, payload: &[u8], out: &mut Vec<u8>) {
        let length = u32::try_from(payload.len()).expect("a payload is far below 4 GiB");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(payload);
    }

    fn inbound(&self, serializer: &dyn Serializer) -> Inbound {
        serializer.frame_format().map_or(Inbound::Silent, Inbound::LengthPrefixed)
    }

    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement::ByFrame
    }

    fn say(
        &self,
        frame: &ServerFrame,
        serializer: &dyn Serializer,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let mut payload = Vec::new();
        format_of(serializer)?.write(frame, &mut payload)?;
        self.frame(&payload, out);
        Ok(())
    }
}

/// Reads frames of `T` out of a stream of bytes, however it was cut; writes frames into one.
///
/// `T` is what is read: [`ClientFrame`](crate::ClientFrame) in a server, [`ServerFrame`] in a client.
#[derive(Debug)]
pub struct FrameDecoder<T> {
    format: FrameFormat,
    limit: usize,
    read: PhantomData<fn() -> T>,
}

impl<T> FrameDecoder<T> {
    /// For frames of at most `limit` bytes.
    #[must_use]
    pub const fn new(format: FrameFormat, limit: usize) -> Self {
        Self { format, limit, read: PhantomData }
    }
}

impl<T: DeserializeOwned> Decoder for FrameDecoder<T> {
    type Item = T;
    type Error = DecodeError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<T>, DecodeError> {
        let Some(head) = bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if length > self.limit {
            return Err(DecodeError::TooLong { length, limit: self.limit });
        }
        if bytes.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        bytes.advance(LENGTH_BYTES);
        self.format.read(&bytes.split_to(length)).map(Some)
    }
}

impl<T, S: Serialize> Encoder<S> for FrameDecoder<T> {
    type Error = DecodeError;

    fn encode(&mut self, frame: S, out: &mut BytesMut) -> Result<(), DecodeError> {
        let mut payload = Vec::new();
        self.format.write(&frame, &mut payload).map_err(|e| DecodeError::Malformed(e.to_string()))?;
        let mut framed = Vec::with_capacity(payload.len() + LENGTH_BYTES);
        LengthPrefixed.frame(&payload, &mut framed);
        out.extend_from_slice(&framed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientFrame, Hello};
    use msgserver_message::{Content, DeviceId, Message, Seq, UserId};
    use proptest::prelude::*;

    fn hello() -> ClientFrame {
        ClientFrame::Hello(Hello {
            user: Some(UserId::new("ada").unwrap()),
            device: Some(DeviceId::new("phone").unwrap()),
            ..Hello::default()
        })
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        for format in [FrameFormat::Json, FrameFormat::MessagePack] {
            let frames = [hello(), ClientFrame::Ack { seq: Seq::new(7) }, ClientFrame::Ping];
            let mut codec = FrameDecoder::<ClientFrame>::new(format, 1024);
            let mut wire = BytesMut::new();
            for frame in &frames {
                codec.encode(frame, &mut wire).unwrap();
            }
            for step in 1..wire.len() {
                let (mut bytes, mut seen) = (BytesMut::new(), Vec::new());
                for part in wire.chunks(step) {
                    bytes.extend_from_slice(part);
                    while let Some(frame) = codec.decode(&mut bytes).unwrap() {
                        seen.push(frame);
                    }
                }
                assert_eq!(seen, frames, "{format:?} in steps of {step}");
            }
        }
    }

    #[test]
    fn a_message_frame_has_the_fields_of_the_contract() {
        let mut message = Message::new(Content::from_json(r#"{"n": 1e400}"#).unwrap_or(Content::text("x")));
        message.sent_at = msgserver_message::Timestamp::from_millis(0);
        let mut out = Vec::new();
        FrameFormat::Json
            .write(&ServerFrame::from(&Delivery::kept(&message, Seq::new(3))), &mut out)
            .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["type"], "message");
        assert_eq!(json["seq"], 3);
        assert_eq!(json["sent_at"], "1970-01-01T00:00:00.000Z");
        assert!(json.get("redelivered").is_none());
    }

    #[test]
    fn unknown_fields_are_passed_over_and_unknown_types_are_not() {
        let read = |text: &str| FrameFormat::Json.read::<ClientFrame>(text.as_bytes());
        assert_eq!(read(r#"{"type":"ping","new":1}"#).unwrap(), ClientFrame::Ping);
        assert!(read(r#"{"type":"dance"}"#).is_err());
        assert!(read(r#"{"type":"ack","seq":-1}"#).is_err());
    }

    #[test]
    fn a_frame_is_an_object_and_nothing_like_it() {
        for (json, pack) in
            [(r#"["hello"]"#, &b"\x91\xa5hello"[..]), (r#""hello""#, b"\xa5hello"), ("{}", b"\x80")]
        {
            assert!(FrameFormat::Json.read::<ClientFrame>(json.as_bytes()).is_err(), "{json}");
            assert!(FrameFormat::MessagePack.read::<ClientFrame>(pack).is_err(), "{json}");
        }
    }

    #[test]
    fn a_publication_keeps_the_digits_of_its_numbers() {
        let digits = "123456789012345678901234567890.500";
        for frame in [
            format!(r#"{{"type":"publish","ref":null,"message":{{"n": {digits}}}}}"#),
            format!(r#"{{"message":{{"n": {digits}}},"ref":null,"new":[1],"type":"publish"}}"#),
        ] {
            let read = FrameFormat::Json.read::<ClientFrame>(frame.as_bytes()).unwrap();
            let message = format!(r#"{{"n": {digits}}}"#).into();
            assert_eq!(read, ClientFrame::Publish { reference: serde_json::Value::Null, message });
        }
        for without in [r#"{"type":"publish","message":{}}"#, r#"{"type":"publish","ref":1}"#] {
            let fault = FrameFormat::Json.read::<ClientFrame>(without.as_bytes()).unwrap_err();
            assert!(fault.to_string().contains("takes `ref` and `message`"), "{fault}");
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_at_its_length() {
        let mut codec = FrameDecoder::<ClientFrame>::new(FrameFormat::Json, 10);
        let fault = codec.decode(&mut BytesMut::from(&[0, 0, 0, 11][..])).unwrap_err();
        assert!(matches!(fault, DecodeError::TooLong { length: 11, limit: 10 }));
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_a_wait(bytes: Vec<u8>, pack: bool) {
            let format = if pack { FrameFormat::MessagePack } else { FrameFormat::Json };
            let mut codec = FrameDecoder::<ClientFrame>::new(format, 1024);
            let mut bytes = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = codec.decode(&mut bytes) {}
        }
    }
}
