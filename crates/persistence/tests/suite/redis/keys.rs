use std::collections::BTreeSet;

use ::redis::AsyncCommands;

use super::*;

/// All that a store keeps, once each.
pub(super) async fn use_everything(store: &dyn Store) {
    open(store, "a", "x").await;
    open(store, "a", "y").await;
    leave(store, "a", "y", 0).await;
    put(store, named(&["a", "b"], message("1"))).await;
    let about = Message {
        collapse_key: Some(CollapseKey::new("news").unwrap()),
        expires_at: Some(in_an_hour()),
        ..message("2")
    };
    put(store, to(&["a"], about.clone())).await;
    store.record(vec![(about.id, vec![Step::new(Stage::Sent, Timestamp::now())])]).await.unwrap();
    for (at, text) in [(in_an_hour(), "3"), (in_an_hour().saturating_add(DAY * 90), "4")] {
        try_append(store, Append { deliver_at: Some(at), ..to(&["a"], message(text)) }).await.unwrap();
    }
    for filter in ["news", "+/art"] {
        store.follow(&user("a"), &device("x"), &TopicFilter::new(filter).unwrap()).await.unwrap();
    }
    let of_topic = Message { topic: Some(Topic::new("news").unwrap()), ..message("5") };
    put(store, Append { recipients: Recipients::Followers, ..to(&[], of_topic) }).await;
    acknowledge(store, "a", "x", 1).await;
    store.release_due(in_an_hour(), 1).await.unwrap();
    store.stored().await.unwrap();
}

#[tokio::test]
async fn every_key_expires_and_those_of_a_user_at_one_moment() {
    let server = Server::start();
    let store = server.store().await;
    use_everything(&store).await;
    let mut redis = server.connection().await;
    let keys: Vec<String> = redis.keys("*").await.unwrap();
    let ends = |key: String| {
        let mut redis = redis.clone();
        async move { (redis.expire_time(&key).await.unwrap_or(-1), key) }
    };
    let mut ends_of_users = BTreeSet::new();
    for key in keys.clone() {
        let (end, key): (i64, String) = ends(key).await;
        assert!(end > 0, "{key} expires");
        if key.contains("{u:a}") {
            ends_of_users.insert(end);
        }
    }
    assert_eq!(ends_of_users.len(), 1, "all of a user's: {ends_of_users:?}");
    let month = i64::try_from(Timestamp::now().as_millis() / 1000).unwrap() + 30 * 24 * 60 * 60;
    assert!(ends_of_users.iter().all(|end| *end > month), "not before a device or a message");
    // What is scheduled for later than that is kept until then.
    for what in ["schedule", "scheduled"] {
        let mut last = 0;
        for key in keys.iter().filter(|key| key.ends_with(&format!("}}:{what}"))) {
            last = last.max(ends(key.clone()).await.0);
        }
        assert!(last > month + 60 * 24 * 60 * 60, "{what}");
    }
}

#[tokio::test]
async fn what_expired_in_redis_is_forgotten() {
    let server = Server::start();
    let store = server.store().await;
    append(&store, "1", &["gone"]).await;
    append(&store, "1", &["here"]).await;
    assert_eq!(store.stored().await.unwrap(), 2);
    let mut redis = server.connection().await;
    let keys: Vec<String> = redis.keys("msgserver:{u:gone}:*").await.unwrap();
    let _: () = redis.del(keys).await.unwrap();
    sweep(&store, Timestamp::now().saturating_add(DAY * 29)).await;
    assert_eq!(store.stored().await.unwrap(), 2, "nobody has looked");
    assert_eq!(sweep(&store, Timestamp::now().saturating_add(DAY * 31)).await.expired, 1);
    assert_eq!(store.stored().await.unwrap(), 0);
    assert_eq!(append(&store, "2", &["gone"]).await, [1]);
    assert_eq!(store.stored().await.unwrap(), 1);
}

#[tokio::test]
async fn a_message_to_all_reaches_more_users_than_one_page_has() {
    let server = Server::start();
    let store = server.store().await;
    let store = Arc::new(store);
    let opening: Vec<_> = (0..3000)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { open(&*store, &format!("u{n}"), "x").await })
        })
        .collect();
    for opened in opening {
        assert_eq!(opened.await.unwrap(), (0, false));
    }
    let all = Append { recipients: Recipients::Known, ..named(&[], message("all")) };
    match try_append(&*store, all.clone()).await.unwrap() {
        Appended::New(seqs) => {
            let users: BTreeSet<_> = seqs.iter().map(|(user, _)| user.clone()).collect();
            assert_eq!((seqs.len(), users.len()), (3000, 3000));
            assert!(seqs.iter().all(|(_, seq)| *seq == Seq::new(1)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(try_append(&*store, all).await.unwrap(), Appended::Duplicate);
    assert_eq!(store.stored().await.unwrap(), 3000);
}
