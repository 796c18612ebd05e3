//! What every store promises, written once and run on each.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test like the tests do")]

use std::path::Path;
use std::sync::Arc;

use msgserver_message::{
    CollapseKey, Content, DeviceId, Message, MessageId, Priority, Seq, Stage, Step, Timestamp, UserId,
};
use msgserver_persistence::{
    Append, Appended, Cancelled, IfFull, Inbox, Limits, MemoryStore, Recipients, Store, StoreError,
};

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

/// An append under an id that its publisher chose.
fn given(message: &Arc<Message>, users: &[UserId]) -> Append {
    Append { check_id: true, ..Append::new(Arc::clone(message), users) }
}

async fn append(store: &dyn Store, text: &str, users: &[&str]) -> Vec<u64> {
    let users: Vec<_> = users.iter().map(|name| user(name)).collect();
    match store.keep(Append::new(message(text), users)).await.unwrap() {
        Appended::New(seqs) => seqs.into_iter().map(|(_, seq)| seq.get()).collect(),
        other => panic!("{text}: {other:?}"),
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
    let Inbox { waiting, last, .. } = store.inbox(&user(name)).await.unwrap();
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
        expires_at: Some(plain.sent_at.saturating_add(std::time::Duration::from_secs(3600))),
        priority: Priority::Low,
        ..plain.clone()
    };
    let (plain, full) = (Arc::new(plain), Arc::new(full));
    let users = [user("小甘 {1}:*")];
    store.keep(Append::new(Arc::clone(&plain), users.clone())).await.unwrap();
    store.keep(Append::new(Arc::clone(&full), users.clone())).await.unwrap();
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
    assert!(matches!(store.keep(given(&once, &both)).await.unwrap(), Appended::New(_)));
    assert_eq!(store.keep(given(&once, &both)).await.unwrap(), Appended::Duplicate);
    assert_eq!(store.keep(given(&once, &[b, a.clone()])).await.unwrap(), Appended::Duplicate);
    let other = Arc::new(Message { content: Content::text("other"), ..(*once).clone() });
    for (message, users) in [(&other, &both[..]), (&once, &[a][..])] {
        let fault = store.keep(given(message, users)).await.unwrap_err();
        assert!(matches!(fault, StoreError::Conflict(id) if id == once.id), "{fault}");
    }
    assert_eq!(read(&*store, "a", 0, 10).await, ["1:once"]);
    assert!(
        matches!(store.keep(Append::new(Arc::clone(&once), both.clone())).await.unwrap(), Appended::New(_)),
        "not looked at"
    );
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
    let appended = store.keep(Append::new(message("2"), [user("a")])).await.map(drop);
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

// What follows is what the stores with the rules of inboxes promise: those in memory and on disk.

fn at(message: Message) -> Arc<Message> {
    Arc::new(message)
}

fn urgent(text: &str, priority: Priority) -> Append {
    Append::new(at(Message { priority, ..Message::new(Content::text(text)) }), [user("a")])
}

async fn the_more_urgent_goes_first_while_nobody_is_connected(store: Arc<dyn Store>) {
    let store = &*store;
    for (text, priority) in [
        ("l1", Priority::Low),
        ("n1", Priority::Normal),
        ("h1", Priority::High),
        ("n2", Priority::Normal),
        ("h2", Priority::High),
        ("l2", Priority::Low),
    ] {
        store.keep(urgent(text, priority)).await.unwrap();
    }
    assert_eq!(read(store, "a", 0, 10).await, ["1:h1", "2:h2", "3:n1", "4:n2", "5:l1", "6:l2"]);
    assert_eq!(inbox(store, "a").await, (6, 6));

    // A connected device is sent what comes in the order in which it comes.
    open(store, "a", "x").await;
    store.keep(urgent("h3", Priority::High)).await.unwrap();
    assert_eq!(read(store, "a", 6, 10).await, ["7:h3"]);

    // Nothing overtakes its own priority.
    store.leave(&user("a"), &device("x"), Seq::new(4)).await.unwrap();
    store.keep(urgent("h4", Priority::High)).await.unwrap();
    assert_eq!(
        read(store, "a", 0, 10).await,
        ["1:h1", "2:h2", "3:n1", "4:n2", "5:l1", "6:l2", "7:h3", "8:h4"]
    );
    acknowledge(store, "a", "x", 8).await;
    assert_eq!((inbox(store, "a").await, store.stored().await.unwrap()), ((0, 8), 0));
}

async fn a_cursor_tells_what_may_have_been_seen(store: Arc<dyn Store>) {
    let (a, x) = (user("a"), device("x"));
    for text in ["1", "2", "3", "4"] {
        append(&*store, text, &["a"]).await;
    }
    let places = |cursor: msgserver_persistence::Cursor| {
        (cursor.acknowledged.get(), cursor.sent.get(), cursor.last.get(), cursor.known)
    };
    assert_eq!(places(store.open(&a, &x).await.unwrap()), (0, 0, 4, false));
    acknowledge(&*store, "a", "x", 1).await;
    store.leave(&a, &x, Seq::new(3)).await.unwrap();
    assert_eq!(places(store.open(&a, &x).await.unwrap()), (1, 3, 4, true));
    // What its other session is sent meanwhile is not known.
    assert_eq!(places(store.open(&a, &x).await.unwrap()), (1, 4, 4, true));
    let devices = store.devices(&a).await.unwrap();
    assert_eq!(devices.len(), 1);
    assert!(devices[0].connected && devices[0].device == x && devices[0].acknowledged == Seq::new(1));
    for _ in 0..2 {
        store.leave(&a, &x, Seq::new(4)).await.unwrap();
    }
    assert!(!store.devices(&a).await.unwrap()[0].connected);
}

async fn of_those_with_one_collapse_key_the_newest_waits(store: Arc<dyn Store>) {
    let about = |text: &str, key: &str| {
        let collapse_key = Some(CollapseKey::new(key).unwrap());
        Append::new(at(Message { collapse_key, ..Message::new(Content::text(text)) }), [user("a")])
    };
    let first = about("score 1", "score");
    let id = first.message.id;
    store.keep(first).await.unwrap();
    store.keep(about("weather", "weather")).await.unwrap();
    append(&*store, "plain", &["a"]).await;
    store.keep(about("score 2", "score")).await.unwrap();
    // Moved by something more urgent, it is found all the same.
    store.keep(urgent("urgent", Priority::High)).await.unwrap();
    store.keep(about("score 3", "score")).await.unwrap();
    assert_eq!(read(&*store, "a", 0, 10).await, ["2:urgent", "3:weather", "4:plain", "6:score 3"]);
    assert_eq!((inbox(&*store, "a").await, store.stored().await.unwrap()), ((4, 6), 4));
    let receipt = store.receipt(id).await.unwrap().unwrap();
    assert_eq!((receipt.state, receipt.steps.len()), (Stage::Cancelled, 2));

    // What a device was sent is its own.
    open(&*store, "a", "x").await;
    store.leave(&user("a"), &device("x"), Seq::new(6)).await.unwrap();
    store.keep(about("score 4", "score")).await.unwrap();
    assert_eq!(read(&*store, "a", 4, 10).await, ["6:score 3", "7:score 4"]);
}

async fn what_is_scheduled_goes_into_its_inboxes_once_in_its_time(store: Arc<dyn Store>) {
    let now = Timestamp::now();
    let later = |secs| now.saturating_add(std::time::Duration::from_secs(secs));
    let scheduled =
        |text: &str, secs| Append { deliver_at: Some(later(secs)), ..given(&message(text), &[user("a")]) };
    let (second, first) = (scheduled("second", 20), scheduled("first", 10));
    for append in [&second, &first] {
        assert_eq!(store.keep(append.clone()).await.unwrap(), Appended::Scheduled);
        assert_eq!(store.keep(append.clone()).await.unwrap(), Appended::Duplicate);
    }
    let due = store.release_due(later(5), 10).await.unwrap();
    assert_eq!((due.released.len(), due.next), (0, first.deliver_at));
    assert_eq!(inbox(&*store, "a").await, (0, 0));
    let due = store.release_due(later(10), 10).await.unwrap();
    assert_eq!(due.released[0].seqs, [(user("a"), Seq::new(1))]);
    assert_eq!((due.released.len(), due.next), (1, second.deliver_at));
    assert!(store.release_due(later(10), 10).await.unwrap().released.is_empty(), "once");
    let states: Vec<_> =
        store.receipt(first.message.id).await.unwrap().unwrap().steps.iter().map(|step| step.state).collect();
    assert_eq!(states, [Stage::Scheduled, Stage::Accepted]);

    assert_eq!(store.cancel(second.message.id).await.unwrap(), Cancelled::TakenBack(1));
    let due = store.release_due(later(30), 10).await.unwrap();
    assert_eq!((due.released.len(), due.next), (0, None));
    assert_eq!(read(&*store, "a", 0, 10).await, ["1:first"]);
}

async fn a_message_is_taken_back_where_it_was_not_sent(store: Arc<dyn Store>) {
    let message = message("oops");
    open(&*store, "b", "x").await;
    store.keep(Append::new(Arc::clone(&message), [user("a"), user("b")])).await.unwrap();
    store.leave(&user("b"), &device("x"), Seq::new(1)).await.unwrap();
    assert_eq!(store.cancel(message.id).await.unwrap(), Cancelled::TakenBack(1));
    assert!(read(&*store, "a", 0, 10).await.is_empty());
    assert_eq!(read(&*store, "b", 0, 10).await, ["1:oops"], "b has been sent it");
    assert_eq!(store.cancel(message.id).await.unwrap(), Cancelled::TooLate);
    assert_eq!(store.cancel(MessageId::generate()).await.unwrap(), Cancelled::Unknown);
    assert_eq!(append(&*store, "next", &["a"]).await, [2], "its number is not given again");
}

async fn receipts_tell_each_step(store: Arc<dyn Store>) {
    let message = message("m");
    store.keep(Append::new(Arc::clone(&message), [user("a")])).await.unwrap();
    let now = Timestamp::now();
    let step = |state| Step { device: Some(device("x")), ..Step::of(&user("a"), state, now) };
    let steps = vec![step(Stage::Sent), step(Stage::Acknowledged)];
    store.record(vec![(message.id, steps.clone()), (MessageId::generate(), steps)]).await.unwrap();
    let receipt = store.receipt(message.id).await.unwrap().unwrap();
    let states: Vec<_> = receipt.steps.iter().map(|step| step.state).collect();
    assert_eq!(states, [Stage::Accepted, Stage::Sent, Stage::Acknowledged]);
    assert_eq!(store.receipt(MessageId::generate()).await.unwrap(), None);
}

async fn a_full_inbox_lets_the_oldest_go_or_refuses(store: Arc<dyn Store>) {
    // The store of this test has room for five messages.
    let first = message("1");
    store.keep(Append::new(Arc::clone(&first), [user("a")])).await.unwrap();
    for text in ["2", "3", "4", "5", "6"] {
        append(&*store, text, &["a"]).await;
    }
    assert_eq!(read(&*store, "a", 0, 10).await, ["2:2", "3:3", "4:4", "5:5", "6:6"]);
    let receipt = store.receipt(first.id).await.unwrap().unwrap();
    assert_eq!(receipt.state, Stage::Expired);
    assert!(receipt.steps[1].reason.is_some());

    let refused = Append { if_full: IfFull::Refuse, ..Append::new(message("7"), [user("b"), user("a")]) };
    let fault = store.keep(refused).await.unwrap_err();
    assert!(matches!(&fault, StoreError::Full { user, .. } if user.as_str() == "a"), "{fault}");
    assert_eq!(inbox(&*store, "b").await, (0, 0), "in all inboxes or in none");
}

async fn what_has_expired_is_not_read_and_is_forgotten(store: Arc<dyn Store>) {
    let now = Timestamp::now();
    let ends = |text: &str, at_: Timestamp| {
        Append::new(at(Message { expires_at: Some(at_), ..Message::new(Content::text(text)) }), [user("a")])
    };
    let over = ends("over", now);
    let id = over.message.id;
    store.keep(over).await.unwrap();
    let soon = now.saturating_add(std::time::Duration::from_secs(100));
    store.keep(ends("soon", soon)).await.unwrap();
    append(&*store, "lasts", &["a"]).await;
    assert_eq!(read(&*store, "a", 0, 10).await, ["2:soon", "3:lasts"]);
    let a_little_later = now.saturating_add(std::time::Duration::from_secs(10));
    assert_eq!(store.sweep(a_little_later).await.unwrap().expired, 1);
    assert_eq!(inbox(&*store, "a").await, (2, 3));
    assert_eq!(store.receipt(id).await.unwrap().unwrap().state, Stage::Expired);
    assert_eq!(store.sweep(soon).await.unwrap().expired, 1);
    assert_eq!((inbox(&*store, "a").await, store.stored().await.unwrap()), ((1, 3), 1));

    // Everything has an end: messages, devices and receipts.
    open(&*store, "a", "x").await;
    store.leave(&user("a"), &device("x"), Seq::ZERO).await.unwrap();
    let month = now.saturating_add(std::time::Duration::from_secs(31 * 24 * 60 * 60));
    let swept = store.sweep(month).await.unwrap();
    assert_eq!((swept.expired, swept.devices), (1, 1));
    assert_eq!(store.receipt(id).await.unwrap(), None);
    assert_eq!((inbox(&*store, "a").await, store.stored().await.unwrap()), ((0, 3), 0));
    assert_eq!(append(&*store, "next", &["a"]).await, [4]);
}

async fn a_kept_notice_waits_for_every_user_who_has_a_device(store: Arc<dyn Store>) {
    for name in ["a", "b"] {
        open(&*store, name, "x").await;
    }
    append(&*store, "only kept", &["c"]).await;
    let notice = Append { recipients: Recipients::Known, ..given(&message("to all"), &[]) };
    let appended = store.keep(notice.clone()).await.unwrap();
    assert_eq!(appended, Appended::New(vec![(user("a"), Seq::new(1)), (user("b"), Seq::new(1))]));
    assert_eq!(store.keep(notice).await.unwrap(), Appended::Duplicate);
    assert_eq!(inbox(&*store, "c").await, (1, 1));
    let nobody = Append { recipients: Recipients::Nobody, ..given(&message("id"), &[]) };
    assert_eq!(store.keep(nobody.clone()).await.unwrap(), Appended::New(Vec::new()));
    assert_eq!(store.keep(nobody).await.unwrap(), Appended::Duplicate);
}

async fn one_of_a_batch_fails_alone(store: Arc<dyn Store>) {
    let used = message("used");
    store.keep(given(&used, &[user("a")])).await.unwrap();
    let other = at(Message { content: Content::text("other"), ..(*used).clone() });
    let batch = vec![
        Append::new(message("1"), [user("a")]),
        given(&other, &[user("a")]),
        Append::new(message("2"), [user("a")]),
    ];
    let outcomes = store.append(batch).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert!(matches!(outcomes[1], Err(StoreError::Conflict(_))));
    assert_eq!(read(&*store, "a", 0, 10).await, ["1:used", "2:1", "3:2"]);
}

/// A limit that one of the promises is about, and that is in the way of none of the others.
fn few() -> Limits {
    Limits { messages: 5, ..Limits::default() }
}

macro_rules! keeps_the_rules {
    ($store:ident, $open:expr, $few:expr) => {
        keeps_its_promises! { $store, $open,
            the_more_urgent_goes_first_while_nobody_is_connected
            a_cursor_tells_what_may_have_been_seen
            of_those_with_one_collapse_key_the_newest_waits
            what_is_scheduled_goes_into_its_inboxes_once_in_its_time
            a_message_is_taken_back_where_it_was_not_sent
            receipts_tell_each_step
            what_has_expired_is_not_read_and_is_forgotten
            a_kept_notice_waits_for_every_user_who_has_a_device
            one_of_a_batch_fails_alone
        }
        #[tokio::test(flavor = "multi_thread")]
        async fn a_full_inbox_lets_the_oldest_go_or_refuses() {
            let directory = tempfile::tempdir().unwrap();
            let store = ($few)(directory.path());
            super::a_full_inbox_lets_the_oldest_go_or_refuses(Arc::new(store)).await;
        }
    };
}
#[cfg(feature = "disk")]
use keeps_the_rules;

mod memory_rules {
    use super::*;

    keeps_the_rules!(rules, async |_: &Path| (MemoryStore::new(), ()), |_: &Path| {
        MemoryStore::with_limits(few())
    });
}
