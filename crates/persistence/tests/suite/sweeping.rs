use crate::*;

pub(crate) fn limits() -> Limits {
    Limits { age: DAY * 2, device_ttl: DAY * 5, ..Limits::default() }
}

fn until(end: Timestamp, message: Message) -> Message {
    Message { expires_at: Some(end), ..message }
}

pub(crate) async fn what_has_expired_is_not_read_and_goes(store: Arc<dyn Store>) {
    let store = &*store;
    let over = until(Timestamp::from_millis(1), message("over"));
    let soon = until(in_an_hour(), message("soon"));
    append(store, "1", &["a"]).await;
    put(store, to(&["a", "b"], over.clone())).await;
    put(store, to(&["a"], soon.clone())).await;
    append(store, "4", &["a"]).await;
    assert_eq!(all(store, "a").await, ["1:1", "3:soon", "4:4"]);
    assert_eq!(inbox(store, "a").await, (4, 4), "until it is swept out");
    assert_eq!(sweep(store, Timestamp::now()).await.expired, 2);
    assert_eq!((inbox(store, "a").await, inbox(store, "b").await), ((3, 4), (0, 1)));
    assert_eq!(sweep(store, in_an_hour()).await.expired, 1);
    assert_eq!(all(store, "a").await, ["1:1", "4:4"]);
    assert_eq!(steps(store, soon.id).await, ["accepted", "expired a"]);
    assert_eq!(store.stored().await.unwrap(), 2);
    assert_eq!(sweep(store, in_an_hour()).await, Swept::default());
}

pub(crate) async fn what_has_moved_expires_too(store: Arc<dyn Store>) {
    let store = &*store;
    let low = Message { priority: Priority::Low, ..until(in_an_hour(), message("low")) };
    put(store, to(&["a"], low)).await;
    append(store, "1", &["a"]).await;
    assert_eq!(all(store, "a").await, ["1:1", "2:low"]);
    assert_eq!(sweep(store, in_an_hour()).await.expired, 1);
    assert_eq!(all(store, "a").await, ["1:1"]);
    // What was acknowledged before is not said to have expired.
    open(store, "a", "x").await;
    let gone = until(in_an_hour(), message("gone"));
    put(store, to(&["a"], gone.clone())).await;
    acknowledge(store, "a", "x", 3).await;
    assert_eq!(sweep(store, in_an_hour()).await.expired, 0);
    assert_eq!(steps(store, gone.id).await, ["accepted"]);
}

pub(crate) async fn what_is_old_goes(store: Arc<dyn Store>) {
    let store = &*store;
    let old = message("old");
    put(store, to(&["a"], old.clone())).await;
    append(store, "2", &["a"]).await;
    let time = Timestamp::now().saturating_add(DAY * 3);
    // A scheduled message is as old as its place in the inbox.
    let later = Append { deliver_at: Some(time), ..to(&["b"], message("later")) };
    try_append(store, later).await.unwrap();
    store.release_due(time, 10).await.unwrap();
    assert_eq!(sweep(store, Timestamp::now().saturating_add(DAY + HOUR)).await.expired, 0);
    assert_eq!(sweep(store, time).await.expired, 2);
    assert_eq!(inbox(store, "a").await, (0, 2));
    assert_eq!(inbox(store, "b").await, (1, 1));
    assert_eq!(store.stored().await.unwrap(), 1);
    assert_eq!(append(store, "3", &["a"]).await, [3]);
}

pub(crate) async fn a_device_that_is_not_seen_is_forgotten(store: Arc<dyn Store>) {
    let store = &*store;
    for of in ["gone", "stays", "connected"] {
        open(store, "a", of).await;
    }
    append(store, "1", &["a"]).await;
    let much_later = Timestamp::now().saturating_add(DAY * 6);
    for of in ["gone", "stays"] {
        leave(store, "a", of, 1).await;
    }
    acknowledge(store, "a", "connected", 1).await;
    acknowledge(store, "a", "stays", 1).await;
    open(store, "b", "last").await;
    leave(store, "b", "last", 0).await;
    assert_eq!(sweep(store, Timestamp::now().saturating_add(DAY)).await.devices, 0);
    assert_eq!(inbox(store, "a").await, (1, 1), "it waits for the one that is gone");
    assert_eq!(sweep(store, much_later).await.devices, 3);
    let left: Vec<_> = store.devices(&user("a")).await.unwrap().into_iter().map(|at| at.device).collect();
    assert_eq!(left, [device("connected")]);
    assert_eq!((inbox(store, "a").await, store.stored().await.unwrap()), ((0, 1), 0));
    append(store, "for whoever comes", &["b"]).await;
    assert_eq!(open(store, "b", "new").await, (0, false));
}

pub(crate) async fn many_are_swept_in_parts(store: Arc<dyn Store>) {
    let end = in_an_hour();
    let batch = |n| (0..500).map(|i| to(&[&format!("u{}", n * 500 + i)], until(end, message("x")))).collect();
    for n in 0..10 {
        assert!(store.append(batch(n)).await.iter().all(Result::is_ok));
    }
    assert_eq!(store.stored().await.unwrap(), 5000);
    assert!(store.sweep(end).await.unwrap().more, "a call does a bounded part");
    let much_later = Timestamp::now().saturating_add(DAY * 40);
    let swept = sweep(&*store, much_later).await;
    assert!(swept.expired < 5000 && swept.receipts > 0, "{swept:?}");
    assert_eq!(store.stored().await.unwrap(), 0);
    assert_eq!(sweep(&*store, much_later).await, Swept::default());
}
