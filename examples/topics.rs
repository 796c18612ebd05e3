//! Messages to whoever follows a topic, connected or away: each line is a topic and a text, such as
//! `news/europe hello`.
//!
//! `cargo run -p msgserver-examples --bin topics`, and for who follows
//! `cargo run -- listen --url tcp://127.0.0.1:3366 --user ada --topic 'news/+'`.

use msgserver::{Content, MemoryStore, Publication, Server, Target, Topic};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().protocol("frame").store(MemoryStore::new()).build()?;
    msgserver_examples::open(&server).await?;
    let sender = server.sender();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let Some((topic, text)) = line.split_once(' ') else { continue };
        let topic = Topic::new(topic)?;
        sender.publish(Publication::new(Target::Topic(topic.clone()), Content::text(text))).await?;
        let presence = sender.topic(&topic).await?;
        println!("{} users follow {topic}, {} sessions now", presence.log.followers, presence.sessions.len());
    }
    Ok(())
}
