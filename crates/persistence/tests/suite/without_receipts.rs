use crate::*;

pub(crate) fn limits() -> Limits {
    Limits { receipts: Duration::ZERO, messages: 3, ..Limits::default() }
}

pub(crate) async fn nothing_is_noted(store: Arc<dyn Store>) {
    let store = &*store;
    let (own, given) = (message("own"), message("given"));
    put(store, to(&["a"], own.clone())).await;
    put(store, named(&["a"], given.clone())).await;
    for message in [&own, &given] {
        store.record(vec![(message.id, vec![Step::new(Stage::Sent, Timestamp::now())])]).await.unwrap();
        assert_eq!(store.receipt(message.id).await.unwrap(), None);
    }
    assert_eq!(store.cancel(own.id).await.unwrap(), Cancelled::Unknown);
    assert_eq!(store.cancel(given.id).await.unwrap(), Cancelled::TakenBack(1));
    assert_eq!(try_append(store, named(&["a"], given.clone())).await.unwrap(), Appended::Duplicate);
    let time = in_an_hour();
    try_append(store, Append { deliver_at: Some(time), ..to(&["a"], message("later")) }).await.unwrap();
    assert_eq!(store.release_due(time, 10).await.unwrap().released.len(), 1);
    assert_eq!(all(store, "a").await, ["1:own", "3:later"]);
    assert_eq!(
        sweep(store, time.saturating_add(DAY)).await.receipts,
        1,
        "ids are known for a day all the same"
    );
}
