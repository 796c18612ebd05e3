//! A client of a running server, with the client crate: it prints what arrives, each message once however often it and
//! the server are ended and started.
//!
//! `cargo run -p msgserver-examples --bin client -- tcp://127.0.0.1:3367 ada position 'news/+'`, with `msgserver serve`
//! running; what comes after the file is what it follows. The address may begin with `ws://` as well, or with `tls://` or
//! `wss://` where the server has a certificate.

use std::pin::pin;

use msgserver_client::{Client, DeviceId, FilePosition, TopicFilter, UserId};
use tokio::signal::ctrl_c;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "tcp://127.0.0.1:3367".to_owned());
    let user = UserId::new(arguments.next().as_deref().unwrap_or("ada"))?;
    let file = arguments.next().unwrap_or_else(|| "position".to_owned());
    let device = DeviceId::new("terminal")?;
    let topics: Vec<_> = arguments.map(TopicFilter::new).collect::<Result<_, _>>()?;

    let (client, mut messages) = Client::builder(&address)?
        .position(FilePosition::open(file, &user, &device)?)
        .user(user)
        .device(device)
        .topics(topics)
        .on_state(|state| eprintln!("{state:?}"))
        .connect()
        .await?;
    // One for all turns: what comes between two would else be missed.
    let mut interrupted = pin!(ctrl_c());
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            _ = &mut interrupted => break,
        };
        let Some(message) = message.transpose()? else { break };
        println!("{}", message.content);
        // Only now: what was not acknowledged comes again to the next run.
        message.ack().await?;
    }
    // What was acknowledged is said before the connection ends.
    client.close().await;
    Ok(())
}
