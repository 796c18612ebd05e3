//! Bytes of a delivery, and frames of bytes.

use std::hint::black_box;

use bytes::BytesMut;
use msgserver_benches::content;
use msgserver_handshake::SessionCipher;
use msgserver_message::{Message, Seq};
use msgserver_protocol::{
    Bar, ClientFrame, Delivery, Encoder, EventStream, FrameDecoder, FrameFormat, Json, LengthPrefixed,
    MAX_FRAME_BYTES, MessagePack, Protocol, Serializer, WebSocket,
};
use tokio_util::codec::Decoder;

use super::Rounds;

fn encode(rounds: Rounds<'_>, protocol: impl Protocol, serializer: impl Serializer) {
    let encoder = Encoder::new(protocol, serializer).expect("they fit");
    let message = Message::new(content(128));
    rounds(&mut || {
        black_box(encoder.encode(&Delivery::kept(black_box(&message), Seq::new(7))).expect("it has a form"));
    });
}

pub(super) fn encode_default(rounds: Rounds<'_>) {
    encode(rounds, Bar, Json);
}

pub(super) fn encode_frame(rounds: Rounds<'_>) {
    encode(rounds, LengthPrefixed, Json);
}

pub(super) fn encode_message_pack(rounds: Rounds<'_>) {
    encode(rounds, LengthPrefixed, MessagePack);
}

pub(super) fn encode_web_socket(rounds: Rounds<'_>) {
    encode(rounds, WebSocket::new(FrameFormat::Json), Json);
}

pub(super) fn encode_event(rounds: Rounds<'_>) {
    encode(rounds, EventStream, Json);
}

pub(super) fn seal(rounds: Rounds<'_>) {
    let encoder = Encoder::new(Bar, Json).expect("they fit");
    let cipher = SessionCipher::from_key([7; 16]);
    let message = Message::new(content(128));
    let mut out = Vec::with_capacity(1024);
    rounds(&mut || {
        out.clear();
        let payload = encoder.payload(&Delivery::notice(black_box(&message))).expect("it has a form");
        encoder.seal(&payload, &cipher, &mut out);
        black_box(&out);
    });
}

fn decode(rounds: Rounds<'_>, frame: &[u8]) {
    let bytes = [&(frame.len() as u32).to_be_bytes(), frame].concat();
    let mut decoder = FrameDecoder::<ClientFrame>::new(FrameFormat::Json, MAX_FRAME_BYTES);
    let mut buffer = BytesMut::with_capacity(1024);
    rounds(&mut || {
        // What has come is read into a buffer that is there already.
        buffer.extend_from_slice(&bytes);
        black_box(decoder.decode(&mut buffer).expect("a frame").expect("a whole one"));
    });
}

pub(super) fn decode_publish(rounds: Rounds<'_>) {
    let text = "x".repeat(126);
    let frame = format!(
        "{{\"type\":\"publish\",\"ref\":1,\"message\":{{\"to\":{{\"user\":\"ada\"}},\"content\":\"{text}\"}}}}"
    );
    decode(rounds, frame.as_bytes());
}

pub(super) fn decode_acknowledgement(rounds: Rounds<'_>) {
    decode(rounds, b"{\"type\":\"ack\",\"seq\":123456}");
}
