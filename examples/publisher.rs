//! Publishes a batch over HTTP, without a session.
//!
//! `cargo run -p msgserver-examples --bin publisher -- http://127.0.0.1:3365 one two`, with `msgserver serve` running: a
//! message to ada for each word. The server's API key is taken from `MSGSERVER_API_KEY`.

use std::error::Error;
use std::time::Duration;

use msgserver_client::{Content, Publication, Publisher, UserId};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:3365".to_owned());
    let mut publisher = Publisher::new(&url)?
        .deadline(Duration::from_secs(60))
        .on_retry(|detail, wait| eprintln!("{detail}; trying again in {wait:?}"));
    if let Ok(key) = std::env::var("MSGSERVER_API_KEY") {
        publisher = publisher.key(&key)?;
    }

    let ada = UserId::new("ada")?;
    let batch: Vec<_> = arguments
        .map(|word| {
            // Each has an id already: to publish it again, after a crash too, is to publish the same message.
            Publication::to_user(ada.clone(), Content::text(&word)).ttl(Duration::from_secs(24 * 3600))
        })
        .collect();
    for result in publisher.publish_all(&batch).await? {
        let published = result?;
        println!("{} {}", published.id, published.state.as_str());
    }
    Ok(())
}
