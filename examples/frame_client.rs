//! A client of the `frame` protocol, with the codec of `msgserver-protocol` and without the server's crate: it
//! prints what arrives and acknowledges it, so what it has not seen comes again after a lost connection.
//!
//! `cargo run -p msgserver-examples --bin frame_client -- 127.0.0.1:3367 ada phone 'news/+'`, with `msgserver serve`
//! running; what comes after the device is what it follows.
//! `msgserver listen` is such a client that also reconnects.

use futures_util::{SinkExt, StreamExt};
use msgserver_message::{DeviceId, TopicFilter, UserId};
use msgserver_protocol::{ClientFrame, FrameDecoder, FrameFormat, Hello, MAX_FRAME_BYTES, ServerFrame};
use tokio::net::TcpStream;
use tokio_util::codec::Framed;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3367".to_owned());
    let user = UserId::new(arguments.next().as_deref().unwrap_or("ada"))?;
    let device = DeviceId::new(arguments.next().as_deref().unwrap_or("phone"))?;
    let topics = arguments.map(TopicFilter::new).collect::<Result<_, _>>()?;

    let codec = FrameDecoder::<ServerFrame>::new(FrameFormat::Json, MAX_FRAME_BYTES);
    let mut frames = Framed::new(TcpStream::connect(address).await?, codec);
    let hello = Hello { user: Some(user), device: Some(device), topics, ..Hello::default() };
    frames.send(ClientFrame::Hello(hello)).await?;

    while let Some(frame) = frames.next().await {
        match frame? {
            ServerFrame::Welcome { user, resumed, .. } => println!("welcome {user}, resumed: {resumed}"),
            ServerFrame::Message { seq, content, .. } => {
                println!("{content}");
                // Only now is it safe here. A notice has no number: it is not kept, and not acknowledged.
                if let Some(seq) = seq {
                    frames.send(ClientFrame::Ack { seq }).await?;
                }
            }
            ServerFrame::Bye { detail, .. } => println!("bye: {detail}"),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
