//! The first program's hello: each line of standard input goes to everybody who is connected; `count` says
//! how many that is.
//!
//! Run it with `cargo run -p msgserver-examples --bin hello`, and connect with `nc 127.0.0.1 3366`.

use msgserver::{Content, Server};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3366".to_owned());
    let server = Server::builder().build()?;
    let listener = TcpListener::bind(address).await?;
    println!("connect to {} and input a msg:", listener.local_addr()?);
    tokio::spawn({
        let server = server.clone();
        async move { server.serve(listener).await }
    });

    let sender = server.sender();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        if line == "count" {
            println!("{}", server.online_count());
        } else {
            sender.send_notice(Content::text(&line)).await?;
        }
    }
    Ok(())
}
