use crate::*;

pub(crate) fn limits() -> Limits {
    Limits::default()
}

pub(crate) async fn what_waits_is_taken_back(store: Arc<dyn Store>) {
    let store = &*store;
    let wrong = message("wrong");
    append(store, "1", &["a"]).await;
    put(store, to(&["a", "b"], wrong.clone())).await;
    append(store, "3", &["a"]).await;
    assert_eq!(store.cancel(MessageId::generate()).await.unwrap(), Cancelled::Unknown);
    assert_eq!(store.cancel(wrong.id).await.unwrap(), Cancelled::TakenBack(2));
    assert_eq!(all(store, "a").await, ["1:1", "3:3"]);
    assert_eq!(inbox(store, "b").await, (0, 1));
    assert_eq!(store.stored().await.unwrap(), 2);
    let mut told = steps(store, wrong.id).await;
    told.sort();
    assert_eq!(told, ["accepted", "cancelled a", "cancelled b"]);
    assert_eq!(store.cancel(wrong.id).await.unwrap(), Cancelled::TooLate);
}

pub(crate) async fn what_was_sent_to_everybody_is_not(store: Arc<dyn Store>) {
    let store = &*store;
    let sent = message("sent");
    for of in ["x", "y"] {
        open(store, "a", of).await;
    }
    put(store, to(&["a"], sent.clone())).await;
    leave(store, "a", "x", 1).await;
    leave(store, "a", "y", 1).await;
    assert_eq!(store.cancel(sent.id).await.unwrap(), Cancelled::TooLate);
    assert_eq!(all(store, "a").await, ["1:sent"]);
    acknowledge(store, "a", "x", 1).await;
    acknowledge(store, "a", "y", 1).await;
    assert_eq!(store.cancel(sent.id).await.unwrap(), Cancelled::TooLate);
}

pub(crate) async fn what_is_connected_counts_as_sent(store: Arc<dyn Store>) {
    let store = &*store;
    open(store, "a", "x").await;
    let message = message("1");
    put(store, to(&["a"], message.clone())).await;
    assert_eq!(store.cancel(message.id).await.unwrap(), Cancelled::TooLate);
    open(store, "a", "y").await;
    leave(store, "a", "y", 1).await;
    assert_eq!(store.cancel(message.id).await.unwrap(), Cancelled::TooLate, "y begins behind it");
    leave(store, "a", "x", 0).await;
    assert_eq!(store.cancel(message.id).await.unwrap(), Cancelled::TakenBack(1));
    assert!(all(store, "a").await.is_empty());
}

pub(crate) async fn what_has_moved_is_found(store: Arc<dyn Store>) {
    let store = &*store;
    let low = Message { priority: Priority::Low, ..message("low") };
    put(store, to(&["a"], low.clone())).await;
    append(store, "1", &["a"]).await;
    append(store, "2", &["a"]).await;
    assert_eq!(all(store, "a").await, ["1:1", "2:2", "3:low"]);
    assert_eq!(store.cancel(low.id).await.unwrap(), Cancelled::TakenBack(1));
    assert_eq!(all(store, "a").await, ["1:1", "2:2"]);
}

pub(crate) async fn what_is_scheduled_is_taken_back(store: Arc<dyn Store>) {
    let store = &*store;
    let (at, later) = (in_an_hour(), message("later"));
    let scheduled = Append { deliver_at: Some(at), ..to(&["a"], later.clone()) };
    assert_eq!(try_append(store, scheduled).await.unwrap(), Appended::Scheduled);
    assert_eq!(store.cancel(later.id).await.unwrap(), Cancelled::TakenBack(1));
    assert_eq!(store.release_due(at, 10).await.unwrap(), Due::default());
    assert_eq!(steps(store, later.id).await, ["scheduled", "cancelled"]);
    assert_eq!(store.cancel(later.id).await.unwrap(), Cancelled::TooLate);
}
