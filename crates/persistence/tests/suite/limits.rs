use crate::*;

pub(crate) fn limits() -> Limits {
    Limits { messages: 3, bytes: 100, ..Limits::default() }
}

fn refusing(append: Append) -> Append {
    Append { if_full: IfFull::Refuse, ..append }
}

pub(crate) async fn the_oldest_go_first_when_there_are_too_many(store: Arc<dyn Store>) {
    let store = &*store;
    open(store, "a", "x").await;
    let first = message("1");
    put(store, to(&["a"], first.clone())).await;
    for text in ["2", "3", "4"] {
        append(store, text, &["a"]).await;
    }
    assert_eq!(all(store, "a").await, ["2:2", "3:3", "4:4"]);
    assert_eq!((inbox(store, "a").await, store.stored().await.unwrap()), ((3, 4), 3));
    assert_eq!(steps(store, first.id).await, ["accepted", "expired a the inbox was full"]);
    acknowledge(store, "a", "x", 3).await;
    append(store, "5", &["a"]).await;
    append(store, "6", &["a"]).await;
    assert_eq!(all(store, "a").await, ["4:4", "5:5", "6:6"], "what is acknowledged makes room");
}

pub(crate) async fn the_oldest_go_first_when_they_are_too_large(store: Arc<dyn Store>) {
    let store = &*store;
    let [small, large] = [10, 80].map(|bytes| "x".repeat(bytes - 2));
    append(store, &small, &["a"]).await;
    append(store, &small, &["a"]).await;
    append(store, &large, &["a"]).await;
    assert_eq!(store.inbox(&user("a")).await.unwrap().bytes, 100, "to the last byte");
    append(store, &"x".repeat(9), &["a"]).await;
    let kept = store.inbox(&user("a")).await.unwrap();
    assert_eq!((kept.waiting, kept.bytes), (2, 91), "two had to go for eleven bytes");
}

pub(crate) async fn a_message_larger_than_the_limit_is_kept_alone(store: Arc<dyn Store>) {
    let store = &*store;
    let huge = "x".repeat(500);
    append(store, "1", &["a"]).await;
    append(store, &huge, &["a"]).await;
    assert_eq!(inbox(store, "a").await, (1, 2));
    put(store, refusing(to(&["b"], message(&huge)))).await;
    assert_eq!(inbox(store, "b").await, (1, 1));
    append(store, "3", &["a"]).await;
    assert_eq!(all(store, "a").await, ["3:3"]);
}

pub(crate) async fn a_full_inbox_can_refuse(store: Arc<dyn Store>) {
    let store = &*store;
    for text in ["1", "2", "3"] {
        put(store, refusing(to(&["a"], message(text)))).await;
    }
    let fault = try_append(store, refusing(to(&["a"], message("4")))).await.unwrap_err();
    let full = user("a");
    assert!(
        matches!(&fault, StoreError::Full { user, limit: InboxLimit::Messages(3) } if *user == full),
        "{fault}"
    );
    append(store, "x", &["b"]).await;
    let fault = try_append(store, refusing(to(&["b"], message(&"x".repeat(99))))).await.unwrap_err();
    assert!(matches!(&fault, StoreError::Full { limit: InboxLimit::Bytes(100), .. }), "{fault}");
    assert_eq!(all(store, "a").await, ["1:1", "2:2", "3:3"]);
    assert_eq!(inbox(store, "b").await, (1, 1));
}

pub(crate) async fn a_refusal_leaves_nothing_behind(store: Arc<dyn Store>) {
    let store = &*store;
    for text in ["1", "2", "3"] {
        append(store, text, &["full"]).await;
    }
    let refused = message("refused");
    let to_all = || refusing(named(&["empty", "full", "other"], refused.clone()));
    assert!(matches!(try_append(store, to_all()).await, Err(StoreError::Full { .. })));
    for name in ["empty", "other"] {
        assert_eq!(inbox(store, name).await, (0, 0));
    }
    assert_eq!(store.stored().await.unwrap(), 3);
    assert_eq!(store.receipt(refused.id).await.unwrap(), None);
    open(store, "full", "x").await;
    acknowledge(store, "full", "x", 1).await;
    assert_eq!(put(store, to_all()).await, [1, 4, 1], "its id was not taken");
}
