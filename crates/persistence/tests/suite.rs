//! What every store promises, written once and run on each.
#![allow(
    clippy::unwrap_used,
    clippy::cloned_ref_to_slice_refs,
    reason = "a test that meets an error has to end"
)]

use std::sync::Arc;

use msgserver_message::{Content, DeviceId, Message, Seq, UserId};
use msgserver_persistence::{Appended, EmbeddedStore, Store, StoreError};

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}
fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}
fn message(text: &str) -> Message {
    Message::new(Content::text(text))
}
async fn texts(store: &dyn Store, name: &str, after: u64) -> Vec<String> {
    let entries = store.read(&user(name), Seq::new(after), 1000).await.unwrap();
    entries
        .into_iter()
        .map(|entry| format!("{}:{}", entry.seq, entry.message.content.as_text().unwrap()))
        .collect()
}

async fn keeps_order_and_cursors(store: &dyn Store) {
    let (a, b) = (user("a"), user("b"));
    assert_eq!(
        store.append(&message("1"), &[a.clone()], false).await.unwrap(),
        Appended::New(vec![Seq::new(1)])
    );
    let both = store.append(&message("2"), &[a.clone(), b.clone()], false).await.unwrap();
    assert_eq!(both, Appended::New(vec![Seq::new(2), Seq::new(1)]));
    assert_eq!(texts(store, "a", 0).await, ["1:1", "2:2"]);
    assert_eq!(texts(store, "a", 1).await, ["2:2"]);
    assert_eq!(store.stored(), 3);

    let first = store.open_device(&a, &device("x")).await.unwrap();
    assert_eq!((first.acknowledged, first.known), (Seq::ZERO, false));
    let second = store.open_device(&a, &device("y")).await.unwrap();
    assert_eq!((second.acknowledged, second.known), (Seq::new(2), false));

    store.append(&message("3"), &[a.clone()], false).await.unwrap();
    store.acknowledge(&a, &device("y"), Seq::new(99)).await.unwrap();
    assert_eq!(texts(store, "a", 0).await.len(), 3, "x has not passed them");
    store.acknowledge(&a, &device("x"), Seq::new(2)).await.unwrap();
    store.acknowledge(&a, &device("x"), Seq::new(1)).await.unwrap();
    assert_eq!(texts(store, "a", 0).await, ["3:3"]);
    let again = store.open_device(&a, &device("x")).await.unwrap();
    assert_eq!((again.acknowledged, again.known), (Seq::new(2), true));
    store.acknowledge(&a, &device("x"), Seq::new(3)).await.unwrap();
    assert_eq!(store.append(&message("4"), &[a], false).await.unwrap(), Appended::New(vec![Seq::new(4)]));
    assert_eq!(texts(store, "b", 0).await, ["1:2"]);
}

async fn takes_an_id_once(store: &dyn Store) {
    let (message, users) = (message("once"), [user("id")]);
    assert!(matches!(store.append(&message, &users, true).await.unwrap(), Appended::New(_)));
    assert_eq!(store.append(&message, &users, true).await.unwrap(), Appended::Duplicate);
    let other = Message { content: Content::text("other"), ..message.clone() };
    assert!(
        matches!(store.append(&other, &users, true).await.unwrap_err(), StoreError::Conflict(id) if id == message.id)
    );
    assert!(store.append(&message, &[user("elsewhere")], true).await.is_err());
    assert_eq!(texts(store, "id", 0).await, ["1:once"]);
}

async fn numbers_have_no_gaps_under_many_publishers(store: Arc<dyn Store>) {
    let publishers: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..20 {
                    store.append(&message("m"), &[user("busy")], false).await.unwrap();
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let entries = store.read(&user("busy"), Seq::ZERO, 2000).await.unwrap();
    assert!(entries.iter().map(|entry| entry.seq.get()).eq(1..=1000));
}

async fn all(store: Arc<dyn Store>) {
    keeps_order_and_cursors(&*store).await;
    takes_an_id_once(&*store).await;
    numbers_have_no_gaps_under_many_publishers(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_store() {
    all(Arc::new(EmbeddedStore::in_memory().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_store() {
    let directory = tempfile::tempdir().unwrap();
    all(Arc::new(EmbeddedStore::open(directory.path()).unwrap())).await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    store.append(&message("kept"), &[user("a")], true).await.unwrap();
    drop(store);
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(store.stored(), 1);
    assert_eq!(texts(&store, "a", 0).await, ["1:kept"]);
}

#[tokio::test]
async fn a_directory_has_one_server() {
    let directory = tempfile::tempdir().unwrap();
    let _first = EmbeddedStore::open(directory.path()).unwrap();
    let fault = EmbeddedStore::open(directory.path()).unwrap_err();
    assert!(fault.to_string().contains(&*directory.path().to_string_lossy()), "{fault}");
    assert!(fault.to_string().contains("in use"), "{fault}");
}
