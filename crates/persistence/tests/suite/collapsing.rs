use crate::*;

pub(crate) fn limits() -> Limits {
    Limits::default()
}

fn about(key: &str, text: &str) -> Message {
    Message { collapse_key: Some(CollapseKey::new(key).unwrap()), ..message(text) }
}

pub(crate) async fn the_newest_takes_the_place_of_what_was_not_sent(store: Arc<dyn Store>) {
    let store = &*store;
    let first = about("k", "1");
    put(store, to(&["a"], first.clone())).await;
    append(store, "2", &["a"]).await;
    assert_eq!(put(store, to(&["a"], about("k", "3"))).await, [3]);
    assert_eq!(all(store, "a").await, ["2:2", "3:3"]);
    assert_eq!((inbox(store, "a").await, store.stored().await.unwrap()), ((2, 3), 2));
    assert_eq!(steps(store, first.id).await, ["accepted", "cancelled a collapsed"]);
    put(store, to(&["a"], about("k", "4"))).await;
    assert_eq!(all(store, "a").await, ["2:2", "4:4"]);
}

pub(crate) async fn what_was_sent_stays(store: Arc<dyn Store>) {
    let store = &*store;
    put(store, to(&["a"], about("k", "1"))).await;
    open(store, "a", "x").await;
    put(store, to(&["a"], about("k", "2"))).await;
    assert_eq!(all(store, "a").await, ["1:1", "2:2"], "x is connected, and may have been sent it");
    leave(store, "a", "x", 1).await;
    put(store, to(&["a"], about("k", "3"))).await;
    assert_eq!(all(store, "a").await, ["1:1", "3:3"]);
}

pub(crate) async fn another_key_and_another_user_stay(store: Arc<dyn Store>) {
    let store = &*store;
    put(store, to(&["a", "b"], about("k", "1"))).await;
    put(store, to(&["a"], about("l", "2"))).await;
    put(store, to(&["a"], about("k", "3"))).await;
    assert_eq!(all(store, "a").await, ["2:2", "3:3"]);
    assert_eq!(all(store, "b").await, ["1:1"]);
    open(store, "a", "x").await;
    acknowledge(store, "a", "x", 3).await;
    leave(store, "a", "x", 3).await;
    put(store, to(&["a"], about("k", "4"))).await;
    assert_eq!(all(store, "a").await, ["4:4"]);
}

pub(crate) async fn a_key_is_followed_when_its_message_moves(store: Arc<dyn Store>) {
    let store = &*store;
    put(store, to(&["a"], about("k", "1"))).await;
    put(store, to(&["a"], Message { priority: Priority::High, ..message("2") })).await;
    assert_eq!(all(store, "a").await, ["1:2", "2:1"]);
    put(store, to(&["a"], about("k", "3"))).await;
    assert_eq!(all(store, "a").await, ["1:2", "3:3"]);
}
