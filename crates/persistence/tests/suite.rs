//! What every store promises, written once and run on each.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test like the tests do")]

use std::path::Path;
use std::sync::Arc;

use msgserver_message::{Content, DeviceId, Message, Seq, UserId};
use msgserver_persistence::{Appended, Inbox, MemoryStore, Store, StoreError};

#[cfg(feature = "redis")]
#[path = "suite/redis.rs"]
mod redis;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

fn message(text: &str) -> Arc<Message> {
    Arc::new(Message::new(Content::text(text)))
}

async fn append(store: &dyn Store, text: &str, users: &[&str]) -> Vec<u64> {
    let users: Vec<_> = users.iter().map(|name| user(name)).collect();
    match store.append(&message(text), &users, false).await.unwrap() {
        Appended::New(seqs) => seqs.into_iter().map(Seq::get).collect(),
        Appended::Duplicate => panic!("{text} is no duplicate"),
    }
}

/// Where a device stands, and whether it was known.
async fn open(store: &dyn Store, name: &str, of: &str) -> (u64, bool) {
    let cursor = store.open(&user(name), &device(of)).await.unwrap();
    (cursor.acknowledged.get(), cursor.known)
}

async fn acknowledge(store: &dyn Store, name: &str, of: &str, upto: u64) {
    store.acknowledge(&user(name), &device(of), Seq::new(upto)).await.unwrap();
}

async fn inbox(store: &dyn Store, name: &str) -> (u64, u64) {
    let Inbox { waiting, last } = store.inbox(&user(name)).await.unwrap();
    (waiting, last.get())
}

async fn read(store: &dyn Store, name: &str, after: u64, limit: usize) -> Vec<String> {
    let entries = store.read(&user(name), Seq::new(after), limit).await.unwrap();
    entries
        .into_iter()
        .map(|entry| format!("{}:{}", entry.seq, entry.message.content.as_text().unwrap()))
        .collect()
}

async fn messages_are_in_order(store: Arc<dyn Store>) {
    let store = &*store;
    assert_eq!(inbox(store, "a").await, (0, 0));
    assert!(read(store, "a", 0, 10).await.is_empty());
    assert_eq!(append(store, "1", &["a"]).await, [1]);
    assert_eq!(append(store, "2", &["a", "b"]).await, [2, 1]);
    assert_eq!(append(store, "3", &["b", "a"]).await, [2, 3]);
    assert!(append(store, "none", &[]).await.is_empty());
    assert_eq!(read(store, "a", 0, 10).await, ["1:1", "2:2", "3:3"]);
    assert_eq!(read(store, "a", 1, 1).await, ["2:2"]);
    assert_eq!(read(store, "b", 0, 10).await, ["1:2", "2:3"]);
    assert!(read(store, "a", 0, 0).await.is_empty());
    for beyond in [3, 4, u64::MAX - 1, u64::MAX] {
        assert!(read(store, "a", beyond, 10).await.is_empty());
    }
    assert_eq!(inbox(store, "a").await, (3, 3));
    assert_eq!(inbox(store, "b").await, (2, 2));
    assert_eq!(store.stored().await.unwrap(), 5);
    store.ready().await.unwrap();
}

async fn everything_about_a_message_is_kept(store: Arc<dyn Store>) {
    let json = r#"{"n":1234567890123456789012345678901234567890,"t":"a|b\nc","u":"小甘"}"#;
    let plain = Message::new(Content::from_json(json).unwrap());
    let full = Message {
        topic: Some(msgserver_message::Topic::new("news").unwrap()),
        expires_at: Some(plain.sent_at),
        ..plain.clone()
    };
    let (plain, full) = (Arc::new(plain), Arc::new(full));
    let users = [user("小甘 {1}:*")];
    store.append(&plain, &users, false).await.unwrap();
    store.append(&full, &users, false).await.unwrap();
    let entries = store.read(&users[0], Seq::ZERO, 10).await.unwrap();
    assert_eq!(entries[0].message, plain);
    assert_eq!(entries[1].message, full);
}

async fn the_first_device_begins_at_the_oldest_and_a_later_one_at_the_end(store: Arc<dyn Store>) {
    let store = &*store;
    append(store, "1", &["a"]).await;
    append(store, "2", &["a"]).await;
    assert_eq!(open(store, "a", "first").await, (0, false));
    assert_eq!(open(store, "a", "later").await, (2, false));
    assert_eq!(open(store, "a", "first").await, (0, true));
    append(store, "3", &["a"]).await;
    assert_eq!(open(store, "a", "latest").await, (3, false));
    assert_eq!(open(store, "a", "later").await, (2, true));
    assert_eq!(open(store, "nobody", "first").await, (0, false));
    assert_eq!(open(store, "nobody", "later").await, (0, false));
}

async fn a_message_goes_when_every_device_has_passed_it(store: Arc<dyn Store>) {
    let store = &*store;
    open(store, "a", "x").await;
    open(store, "a", "y").await;
    // Another user's devices, with names that sort on both sides, have no say.
    open(store, "a!", "x").await;
    open(store, "A", "x").await;
    for text in ["1", "2", "3"] {
        append(store, text, &["a"]).await;
    }
    acknowledge(store, "a", "y", 99).await;
    assert_eq!(open(store, "a", "y").await, (3, true), "not beyond the newest");
    assert_eq!(inbox(store, "a").await, (3, 3), "x has not passed them");
    acknowledge(store, "a", "x", 2).await;
    acknowledge(store, "a", "x", 1).await;
    assert_eq!(open(store, "a", "x").await, (2, true), "never backwards");
    assert_eq!(read(store, "a", 0, 10).await, ["3:3"]);
    assert_eq!((inbox(store, "a").await, store.stored().await.unwrap()), ((1, 3), 1));
    acknowledge(store, "a", "unknown", 3).await;
    acknowledge(store, "nobody", "unknown", 3).await;
    assert_eq!(inbox(store, "a").await, (1, 3));
    assert_eq!(open(store, "a", "unknown").await, (3, false), "it was not made known");
    acknowledge(store, "a", "x", u64::MAX).await;
    assert_eq!((inbox(store, "a").await, store.stored().await.unwrap()), ((0, 3), 0));
}

async fn a_number_is_never_given_twice(store: Arc<dyn Store>) {
    let store = &*store;
    open(store, "a", "x").await;
    assert_eq!(append(store, "1", &["a"]).await, [1]);
    acknowledge(store, "a", "x", 1).await;
    assert_eq!(inbox(store, "a").await, (0, 1));
    assert_eq!(append(store, "2", &["a"]).await, [2]);
    assert_eq!(read(store, "a", 0, 10).await, ["2:2"]);
}

async fn an_id_is_taken_once(store: Arc<dyn Store>) {
    let once = message("once");
    let (a, b) = (user("a"), user("b"));
    let both = [a.clone(), b.clone()];
    assert!(matches!(store.append(&once, &both, true).await.unwrap(), Appended::New(_)));
    assert_eq!(store.append(&once, &both, true).await.unwrap(), Appended::Duplicate);
    assert_eq!(store.append(&once, &[b, a.clone()], true).await.unwrap(), Appended::Duplicate);
    let other = Arc::new(Message { content: Content::text("other"), ..(*once).clone() });
    for (message, users) in [(&other, &both[..]), (&once, &[a][..])] {
        let fault = store.append(message, users, true).await.unwrap_err();
        assert!(matches!(fault, StoreError::Conflict(id) if id == once.id), "{fault}");
    }
    assert_eq!(read(&*store, "a", 0, 10).await, ["1:once"]);
    assert!(matches!(store.append(&once, &both, false).await.unwrap(), Appended::New(_)), "not looked at");
}

async fn numbers_have_no_gaps_under_many_publishers(store: Arc<dyn Store>) {
    let publishers: Vec<_> = (0..50)
        .map(|publisher| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let own = format!("own {publisher}");
                for text in ["1", "2", "3", "4"] {
                    append(&*store, text, &["busy", &own]).await;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let entries = store.read(&user("busy"), Seq::ZERO, 2000).await.unwrap();
    assert!(entries.iter().map(|entry| entry.seq.get()).eq(1..=200));
    for publisher in 0..50 {
        let own = format!("own {publisher}");
        assert_eq!(read(&*store, &own, 0, 10).await, ["1:1", "2:2", "3:3", "4:4"]);
    }
    assert_eq!(store.stored().await.unwrap(), 400);
}

async fn a_closed_store_says_so(store: Arc<dyn Store>) {
    append(&*store, "1", &["a"]).await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let appended = store.append(&message("2"), &[user("a")], false).await.map(drop);
    for outcome in [appended, store.ready().await, store.stored().await.map(drop)] {
        assert!(matches!(outcome.unwrap_err(), StoreError::Closed { .. }));
    }
}

/// Each promise as a test of one store, which `$open` makes in a directory.
macro_rules! keeps_its_promises {
    ($store:ident, $open:expr) => {
        keeps_its_promises! { $store, $open,
            messages_are_in_order
            everything_about_a_message_is_kept
            the_first_device_begins_at_the_oldest_and_a_later_one_at_the_end
            a_message_goes_when_every_device_has_passed_it
            a_number_is_never_given_twice
            an_id_is_taken_once
            numbers_have_no_gaps_under_many_publishers
            a_closed_store_says_so
        }
    };
    ($store:ident, $open:expr, $($promise:ident)*) => {
        mod $store {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    let directory = tempfile::tempdir().unwrap();
                    // What the store needs, such as a server, lives as long as the test.
                    let (store, _needs) = ($open)(directory.path()).await;
                    super::$promise(Arc::new(store)).await;
                }
            )*
        }
    };
}
#[cfg(feature = "redis")]
use keeps_its_promises;

keeps_its_promises!(memory, async |_: &Path| (MemoryStore::new(), ()));

#[cfg(feature = "disk")]
#[path = "suite/disk.rs"]
mod on_disk;
