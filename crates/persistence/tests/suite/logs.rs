use crate::*;

pub(crate) fn limits() -> Limits {
    Limits::default()
}

pub(crate) async fn messages_are_in_order(store: Arc<dyn Store>) {
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
    assert_eq!(store.inbox(&user("a")).await.unwrap().bytes, 9, "three contents like \"1\"");
    assert_eq!(store.stored().await.unwrap(), 5);
    store.ready().await.unwrap();
}

pub(crate) async fn everything_about_a_message_is_kept(store: Arc<dyn Store>) {
    let json = r#"{"n":1234567890123456789012345678901234567890,"t":"a|b\nc","u":"小甘"}"#;
    let plain = Message::new(Content::from_json(json).unwrap());
    let full = Message {
        topic: Some(Topic::new("news").unwrap()),
        expires_at: Some(in_an_hour()),
        priority: Priority::Low,
        collapse_key: Some(CollapseKey::new("k").unwrap()),
        properties: properties(),
        ..plain.clone()
    };
    let name = "小甘 {1}:*";
    put(&*store, to(&[name], plain.clone())).await;
    put(&*store, to(&[name], full.clone())).await;
    let entries = store.read(&user(name), Seq::ZERO, 10).await.unwrap();
    assert_eq!(*entries[0].message, plain);
    assert_eq!(*entries[1].message, full);
}

pub(crate) async fn a_number_is_never_given_twice(store: Arc<dyn Store>) {
    let store = &*store;
    open(store, "a", "x").await;
    assert_eq!(append(store, "1", &["a"]).await, [1]);
    acknowledge(store, "a", "x", 1).await;
    assert_eq!(inbox(store, "a").await, (0, 1));
    assert_eq!(append(store, "2", &["a"]).await, [2]);
    assert_eq!(read(store, "a", 0, 10).await, ["2:2"]);
}

pub(crate) async fn a_page_is_bounded_in_bytes(store: Arc<dyn Store>) {
    let long = "x".repeat(400 * 1024);
    for _ in 0..6 {
        append(&*store, &long, &["a"]).await;
    }
    let mut after = Seq::ZERO;
    let mut pages = Vec::new();
    loop {
        let page = store.read(&user("a"), after, 1000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        pages.push(page.len());
    }
    assert_eq!(pages.iter().sum::<usize>(), 6);
    assert!(pages.iter().all(|page| *page <= 3), "{pages:?}");
}

pub(crate) async fn a_batch_is_answered_in_order(store: Arc<dyn Store>) {
    let once = message("once");
    let other = Message { content: Content::text("other"), ..once.clone() };
    let batch = vec![
        to(&["a"], message("1")),
        named(&["a"], once.clone()),
        named(&["a"], other),
        named(&["a"], once),
        to(&["b", "a"], message("2")),
    ];
    let done = store.append(batch).await;
    let seqs =
        |of: &[(&str, u64)]| Appended::New(of.iter().map(|(name, n)| (user(name), Seq::new(*n))).collect());
    assert_eq!(done[0].as_ref().unwrap(), &seqs(&[("a", 1)]));
    assert_eq!(done[1].as_ref().unwrap(), &seqs(&[("a", 2)]));
    assert!(matches!(done[2], Err(StoreError::Conflict(_))));
    assert_eq!(done[3].as_ref().unwrap(), &Appended::Duplicate);
    assert_eq!(done[4].as_ref().unwrap(), &seqs(&[("b", 1), ("a", 3)]));
    assert!(store.append(Vec::new()).await.is_empty());
    assert_eq!(all(&*store, "a").await, ["1:1", "2:once", "3:2"]);
}

pub(crate) async fn a_message_to_all_known_is_in_the_inbox_of_each_user_with_a_device(store: Arc<dyn Store>) {
    let store = &*store;
    append(store, "before", &["nobody yet"]).await;
    open(store, "a", "x").await;
    open(store, "b", "x").await;
    leave(store, "b", "x", 0).await;
    let known = Append { recipients: Recipients::Known, ..to(&[], message("for all")) };
    assert_eq!(put(store, known).await, [1, 1]);
    assert_eq!(all(store, "a").await, ["1:for all"]);
    assert_eq!(all(store, "b").await, ["1:for all"]);
    assert_eq!(all(store, "nobody yet").await, ["1:before"]);
    assert_eq!(store.stored().await.unwrap(), 3);
}

pub(crate) async fn numbers_have_no_gaps_under_many_publishers(store: Arc<dyn Store>) {
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

pub(crate) async fn a_closed_store_says_so(store: Arc<dyn Store>) {
    append(&*store, "1", &["a"]).await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let (a, x) = (user("a"), device("x"));
    let outcomes = [
        try_append(&*store, to(&["a"], message("2"))).await.map(drop),
        store.ready().await,
        store.stored().await.map(drop),
        store.open(&a, &x).await.map(drop),
        store.read(&a, Seq::ZERO, 1).await.map(drop),
        store.sweep(Timestamp::now()).await.map(drop),
    ];
    for outcome in outcomes {
        assert!(matches!(outcome.unwrap_err(), StoreError::Closed { .. }));
    }
}
