//! How many are online.
//!
//! `cargo run -p msgserver-examples --bin online_count`, and connect with `nc 127.0.0.1 3366`, several times, as
//! `ada|` or as `bob|`. Each line that you type is answered with the figures.

use msgserver::{Replacement, Server, Settings, UserId};
use msgserver_examples::open;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder()
        .authentication(|text: &str| UserId::new(text))
        // Old clients name no device, and a device's second connection replaces its first unless both may stay.
        .settings(Settings { replacement: Replacement::All, ..Settings::default() })
        .build()?;
    open(&server).await?;
    let mut lines = BufReader::new(stdin()).lines();
    while lines.next_line().await?.is_some() {
        let figures = server.sender().figures().await;
        println!("{} connections of {} users", server.online_count(), figures.users);
    }
    Ok(())
}
