//! One message to several users, who need not be connected: it is kept once for each of them.
//!
//! `cargo run -p msgserver-examples --bin several_users`, connect with `nc 127.0.0.1 3366` and say `ada|`, and
//! again as `bob|`. Each line that you type goes to both, and to nobody else.

use std::collections::BTreeMap;

use msgserver::{Content, MemoryStore, Server, UserId};
use msgserver_examples::open;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server =
        Server::builder().authentication(|text: &str| UserId::new(text)).store(MemoryStore::new()).build()?;
    open(&server).await?;
    let sender = server.sender();
    let both = vec![UserId::new("ada")?, UserId::new("bob")?];
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        // A content is any value that serde can write as JSON.
        let content = Content::of(&BTreeMap::from([("text", line)]))?;
        let published = sender.send_message(content, both.clone()).await?;
        println!("{} {}", published.id, published.state.as_str());
    }
    Ok(())
}
