use crate::*;

pub(crate) fn limits() -> Limits {
    Limits::default()
}

pub(crate) async fn the_first_device_begins_at_the_oldest_and_a_later_one_at_the_end(store: Arc<dyn Store>) {
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

pub(crate) async fn a_message_goes_when_every_device_has_passed_it(store: Arc<dyn Store>) {
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
    acknowledge(store, "a", "x", u64::MAX).await;
    assert_eq!((inbox(store, "a").await, store.stored().await.unwrap()), ((0, 3), 0));
    assert_eq!(store.inbox(&user("a")).await.unwrap().bytes, 0);
}

pub(crate) async fn many_devices_pass_messages_together(store: Arc<dyn Store>) {
    const USERS: [&str; 3] = ["a", "b", "c"];
    for name in USERS {
        open(&*store, name, "x").await;
    }
    open(&*store, "a", "y").await;
    for text in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        append(&*store, text, &USERS).await;
    }
    let passed =
        |(name, of, upto)| Acknowledge { user: user(name), device: device(of), upto: Seq::new(upto) };
    // One that nobody knows is among them, and one that comes twice.
    let batch =
        [("a", "x", 3), ("b", "x", 2), ("b", "nobody", 5), ("a", "y", 2), ("b", "x", 7), ("c", "x", 99)];
    let noted = store.acknowledge_all(batch.into_iter().map(passed).collect()).await;
    assert!(noted.len() == batch.len() && noted.iter().all(Result::is_ok), "{noted:?}");
    let mut left = Vec::new();
    for name in USERS {
        left.push(inbox(&*store, name).await.0);
    }
    assert_eq!((left, store.stored().await.unwrap()), (vec![6, 1, 0], 7));
    assert_eq!((open(&*store, "a", "x").await, open(&*store, "a", "y").await), ((3, true), (2, true)));
    assert!(store.acknowledge_all(Vec::new()).await.is_empty());
}

pub(crate) async fn a_cursor_knows_what_was_sent_and_what_is_newest(store: Arc<dyn Store>) {
    let at = async |of: &str| {
        let cursor = store.open(&user("a"), &device(of)).await.unwrap();
        (cursor.acknowledged.get(), cursor.sent.get(), cursor.last.get())
    };
    for text in ["1", "2", "3", "4"] {
        append(&*store, text, &["a"]).await;
    }
    assert_eq!(at("x").await, (0, 0, 4));
    leave(&*store, "a", "x", 3).await;
    assert_eq!(at("x").await, (0, 3, 4));
    leave(&*store, "a", "x", 2).await;
    assert_eq!(at("x").await, (0, 3, 4), "what was sent stays sent");
    acknowledge(&*store, "a", "x", 4).await;
    leave(&*store, "a", "x", 0).await;
    assert_eq!(at("x").await, (4, 4, 4), "what is acknowledged was sent");
    append(&*store, "5", &["a"]).await;
    assert_eq!(at("x").await, (4, 5, 5), "while it has a session, it may have been sent everything");
    assert_eq!(at("y").await, (5, 5, 5), "a further device has seen nothing, and needs nothing");
}

pub(crate) async fn devices_are_listed_with_where_they_stand(store: Arc<dyn Store>) {
    let listed = async || {
        let devices = store.devices(&user("a")).await.unwrap();
        let told =
            devices.iter().map(|at| (at.device.as_str().to_owned(), at.acknowledged.get(), at.connected));
        told.collect::<Vec<_>>()
    };
    let told = |name: &str, at, connected| (name.to_owned(), at, connected);
    assert!(listed().await.is_empty());
    let before = Timestamp::now();
    open(&*store, "a", "phone").await;
    open(&*store, "a", "laptop").await;
    open(&*store, "a b", "other").await;
    append(&*store, "1", &["a"]).await;
    acknowledge(&*store, "a", "phone", 1).await;
    assert_eq!(listed().await, [told("laptop", 0, true), told("phone", 1, true)]);
    open(&*store, "a", "phone").await;
    leave(&*store, "a", "phone", 1).await;
    assert_eq!(listed().await, [told("laptop", 0, true), told("phone", 1, true)], "it has another session");
    leave(&*store, "a", "phone", 1).await;
    assert_eq!(listed().await, [told("laptop", 0, true), told("phone", 1, false)]);
    let seen = store.devices(&user("a")).await.unwrap()[1].last_seen;
    assert!(before <= seen && seen <= Timestamp::now(), "{seen}");
}

pub(crate) async fn a_device_that_is_not_known_changes_nothing(store: Arc<dyn Store>) {
    let store = &*store;
    append(store, "1", &["a"]).await;
    for name in ["a", "nobody"] {
        acknowledge(store, name, "unknown", 1).await;
        leave(store, name, "unknown", 1).await;
        assert!(store.devices(&user(name)).await.unwrap().is_empty());
    }
    assert_eq!(inbox(store, "a").await, (1, 1));
    assert_eq!(open(store, "a", "unknown").await, (0, false), "it was not made known");
}

pub(crate) async fn a_device_that_is_forgotten_is_as_one_that_never_came(store: Arc<dyn Store>) {
    let store = &*store;
    let forget = async |name: &str| store.forget(&user("a"), &device(name)).await.unwrap();
    forget("x").await;
    open(store, "a", "x").await;
    open(store, "a", "y").await;
    append(store, "1", &["a"]).await;
    append(store, "2", &["a"]).await;
    acknowledge(store, "a", "x", 2).await;
    forget("y").await;
    assert_eq!(inbox(store, "a").await, (2, 2), "it has a session");
    store.follow(&user("a"), &device("y"), &TopicFilter::new("t").unwrap()).await.unwrap();
    leave(store, "a", "y", 2).await;
    forget("y").await;
    assert_eq!(inbox(store, "a").await, (0, 2), "nobody else has to get them");
    assert_eq!(store.devices(&user("a")).await.unwrap().len(), 1);
    append(store, "3", &["a"]).await;
    leave(store, "a", "x", 3).await;
    forget("x").await;
    assert_eq!(inbox(store, "a").await, (1, 3), "what is kept waits for the first that comes");
    let cursor = store.open(&user("a"), &device("y")).await.unwrap();
    assert_eq!((cursor.acknowledged.get(), cursor.known, cursor.topics), (2, false, Vec::new()));
}
