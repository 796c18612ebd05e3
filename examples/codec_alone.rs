//! The codec alone: frames out of a stream of bytes, however it was cut, without a socket or a runtime.
//!
//! `cargo run -p msgserver-examples --bin codec_alone`

use bytes::BytesMut;
use msgserver_message::{Content, Message, Seq, UserId};
use msgserver_protocol::{
    Bar, ClientFrame, Delivery, Encoder, FrameDecoder, FrameFormat, Hello, Json, LengthPrefixed,
};
use tokio_util::codec::{Decoder, Encoder as _};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let message = Message::new(Content::text("a|b"));
    let old_clients = Encoder::new(Bar, Json)?.encode(&Delivery::notice(&message))?;
    println!("default: {}", String::from_utf8_lossy(&old_clients));
    let framed = Encoder::new(LengthPrefixed, Json)?.encode(&Delivery::kept(&message, Seq::new(1)))?;
    println!("frame: {} bytes after a length of {:?}", framed.len() - 4, &framed[..4]);

    let mut codec = FrameDecoder::<ClientFrame>::new(FrameFormat::MessagePack, 1024);
    let mut wire = BytesMut::new();
    codec.encode(
        ClientFrame::Hello(Hello { user: Some(UserId::new("ada")?), ..Hello::default() }),
        &mut wire,
    )?;
    codec.encode(ClientFrame::Ack { seq: Seq::new(1) }, &mut wire)?;
    let mut read = BytesMut::new();
    for byte in wire {
        read.extend_from_slice(&[byte]);
        if let Some(frame) = codec.decode(&mut read)? {
            println!("{frame:?}");
        }
    }
    Ok(())
}
