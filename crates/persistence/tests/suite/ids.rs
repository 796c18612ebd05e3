use crate::*;

pub(crate) fn limits() -> Limits {
    Limits::default()
}

pub(crate) async fn an_id_is_taken_once(store: Arc<dyn Store>) {
    let store = &*store;
    let once = message("once");
    assert_eq!(put(store, named(&["a", "b"], once.clone())).await, [1, 1]);
    for users in [["a", "b"], ["b", "a"]] {
        assert_eq!(try_append(store, named(&users, once.clone())).await.unwrap(), Appended::Duplicate);
    }
    let other = Message { content: Content::text("other"), ..once.clone() };
    let known = Append { recipients: Recipients::Known, ..named(&[], once.clone()) };
    for append in [named(&["a", "b"], other), named(&["a"], once.clone()), known] {
        let fault = try_append(store, append).await.unwrap_err();
        assert!(matches!(fault, StoreError::Conflict(id) if id == once.id), "{fault}");
    }
    assert_eq!(all(store, "a").await, ["1:once"]);
    assert_eq!(put(store, to(&["a"], once)).await, [2], "not looked at");
}

pub(crate) async fn a_notice_takes_an_id_and_no_place(store: Arc<dyn Store>) {
    let store = &*store;
    open(store, "a", "x").await;
    let notice = message("notice");
    let taken = || Append { recipients: Recipients::Nobody, ..named(&[], notice.clone()) };
    assert_eq!(try_append(store, taken()).await.unwrap(), Appended::New(Vec::new()));
    assert_eq!(try_append(store, taken()).await.unwrap(), Appended::Duplicate);
    assert!(try_append(store, named(&["a"], notice.clone())).await.is_err());
    assert_eq!(store.stored().await.unwrap(), 0);
    assert_eq!(steps(store, notice.id).await, ["accepted"]);
}

pub(crate) async fn an_id_is_forgotten_after_a_day_and_not_before(store: Arc<dyn Store>) {
    let store = &*store;
    // By its own account it was made in 1970, which says nothing about when it came.
    let old = Message { id: MessageId::from_bytes([0; 16]), ..message("old") };
    put(store, named(&["a"], old.clone())).await;
    let minute = Duration::from_secs(60);
    let now = Timestamp::now();
    assert_eq!(sweep(store, now.saturating_add(DAY - minute)).await.receipts, 0);
    assert_eq!(try_append(store, named(&["a"], old.clone())).await.unwrap(), Appended::Duplicate);
    assert_eq!(sweep(store, now.saturating_add(DAY + minute)).await.receipts, 1);
    assert_eq!(put(store, named(&["a"], old)).await, [2]);
}

pub(crate) async fn a_message_of_a_topic_is_the_same_for_other_followers(store: Arc<dyn Store>) {
    let store = &*store;
    let news = Message { topic: Some(Topic::new("news").unwrap()), ..message("news") };
    put(store, named(&["a"], news.clone())).await;
    assert_eq!(try_append(store, named(&["a", "b"], news.clone())).await.unwrap(), Appended::Duplicate);
    let elsewhere = Message { topic: Some(Topic::new("olds").unwrap()), ..news };
    assert!(matches!(try_append(store, named(&["a"], elsewhere)).await, Err(StoreError::Conflict(_))));
}
