//! What an independent implementation puts on the wire; `vectors/generate.py` made the data.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

use bytes::BytesMut;
use msgserver_message::{Content, Message, Seq};
use msgserver_protocol::{
    Bar, ClientFrame, Delivery, Encoder, FrameDecoder, FrameFormat, Json, LengthPrefixed, MAX_FRAME_BYTES,
    MessagePack, Serializer,
};
use serde::Deserialize;
use tokio_util::codec::Decoder;

#[derive(Deserialize)]
struct Vectors {
    default: Vec<BarFrame>,
    msgpack: Vec<Packed>,
    messages: Vec<MessageFrame>,
    client: Vec<Frame>,
    no_frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct BarFrame {
    content: String,
    frame: String,
}

#[derive(Deserialize)]
struct Packed {
    content: String,
    bytes: String,
}

#[derive(Deserialize)]
struct MessageFrame {
    content: String,
    seq: Option<Seq>,
    json: String,
    msgpack: String,
}

#[derive(Deserialize)]
struct Frame {
    frame: serde_json::Value,
    json: String,
    msgpack: String,
}

impl Vectors {
    fn read() -> Self {
        serde_json::from_str(include_str!("vectors/frames.json")).unwrap()
    }
}

impl Frame {
    fn forms(&self) -> [(FrameFormat, Vec<u8>); 2] {
        [(FrameFormat::Json, bytes(&self.json)), (FrameFormat::MessagePack, bytes(&self.msgpack))]
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn content(json: &str) -> Content {
    Content::from_json(json).unwrap()
}

#[test]
fn the_default_protocol_is_the_serialized_content_and_a_bar() {
    let encoder = Encoder::new(Bar, Json).unwrap();
    for vector in Vectors::read().default {
        let message = Message::new(content(&vector.content));
        assert_eq!(encoder.encode(&Delivery::notice(&message)).unwrap(), vector.frame.as_bytes());
    }
}

#[test]
fn messagepack_is_what_others_write() {
    for vector in Vectors::read().msgpack {
        let mut out = Vec::new();
        MessagePack.serialize(&content(&vector.content), &mut out).unwrap();
        assert_eq!(out, bytes(&vector.bytes), "{}", vector.content);
    }
}

#[test]
fn message_frames_are_what_others_expect() {
    let json = Encoder::new(LengthPrefixed, Json).unwrap();
    let pack = Encoder::new(LengthPrefixed, MessagePack).unwrap();
    for vector in Vectors::read().messages {
        let mut message = Message::new(content(&vector.content));
        message.id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        message.sent_at = "2026-01-31T12:00:00.123Z".parse().unwrap();
        let delivery = Delivery { seq: vector.seq, ..Delivery::notice(&message) };
        assert_eq!(json.encode(&delivery).unwrap(), bytes(&vector.json), "{}", vector.content);
        assert_eq!(pack.encode(&delivery).unwrap(), bytes(&vector.msgpack), "{}", vector.content);
    }
}

/// The same frame with its message written anew: it has come as its sender wrote it, spaces and all.
fn by_value(frame: ClientFrame) -> ClientFrame {
    match frame {
        ClientFrame::Publish { reference, message } => {
            let message = serde_json::from_str::<serde_json::Value>(&message).unwrap().to_string().into();
            ClientFrame::Publish { reference, message }
        }
        frame => frame,
    }
}

#[test]
fn frames_of_others_are_read_however_they_are_cut() {
    for vector in Vectors::read().client {
        let expected: ClientFrame = serde_json::from_value(vector.frame.clone()).unwrap();
        for (format, wire) in vector.forms() {
            for end in 0..wire.len() {
                let mut decoder = FrameDecoder::<ClientFrame>::new(format, MAX_FRAME_BYTES);
                let mut buffer = BytesMut::from(&wire[..end]);
                assert_eq!(decoder.decode(&mut buffer).unwrap(), None, "{format:?} {}", vector.frame);
                buffer.extend_from_slice(&wire[end..]);
                let frame = decoder.decode(&mut buffer).unwrap().unwrap();
                assert_eq!((by_value(frame), buffer.len()), (expected.clone(), 0), "{format:?}");
            }
        }
    }
}

#[test]
fn what_is_whole_and_no_frame_is_refused() {
    for vector in Vectors::read().no_frames {
        for (format, wire) in vector.forms() {
            let mut decoder = FrameDecoder::<ClientFrame>::new(format, MAX_FRAME_BYTES);
            let read = decoder.decode(&mut BytesMut::from(&wire[..]));
            assert!(read.is_err(), "{format:?} {} was read as {read:?}", vector.frame);
        }
    }
}
