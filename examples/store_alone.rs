//! The store alone: a durable log a user, with a cursor a device.
//!
//! `cargo run -p msgserver-examples --bin store_alone -- ./inboxes`, twice: the second time goes on where the first
//! one ended.

use std::sync::Arc;

use msgserver_message::{Content, DeviceId, Message, UserId};
use msgserver_persistence::{Append, Appended, DiskStore, Store};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "./inboxes".to_owned());
    let store = DiskStore::open(directory)?;
    let (ada, phone) = (UserId::new("ada")?, DeviceId::new("phone")?);

    let cursor = store.open(&ada, &phone).await?;
    println!("phone is known: {}, and has seen up to {}", cursor.known, cursor.acknowledged);
    for text in ["one", "two"] {
        let message = Arc::new(Message::new(Content::text(text)));
        // Done once it is on disk.
        if let Appended::New(places) = store.keep(Append::new(message, [ada.clone()])).await? {
            println!("kept {text:?} as {}", places[0].1);
        }
    }
    let entries = store.read(&ada, cursor.acknowledged, 100).await?;
    for entry in &entries {
        println!("{}: {}", entry.seq, entry.message.content);
    }
    // All but the last: that one waits for the next time.
    if let [.., last, _] = &entries[..] {
        store.acknowledge(&ada, &phone, last.seq).await?;
    }
    println!("{} still waits", store.inbox(&ada).await?.waiting);
    store.close().await?;
    Ok(())
}
