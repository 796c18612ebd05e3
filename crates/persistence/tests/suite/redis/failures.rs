use std::net::TcpListener;

use super::*;

#[tokio::test]
async fn redis_may_go_away_and_come_back() {
    let mut server = Server::start();
    let store = server.store().await;
    open(&store, "a", "x").await;
    append(&store, "1", &["a"]).await;
    append(&store, "2", &["a"]).await;
    acknowledge(&store, "a", "x", 1).await;

    server.stop();
    let asked = Instant::now();
    let fault = try_append(&store, to(&["a"], message("lost"))).await.unwrap_err();
    assert!(matches!(fault, StoreError::Unavailable { store: "redis", .. }), "{fault}");
    assert!(store.ready().await.is_err());
    assert!(asked.elapsed() < Duration::from_secs(11), "5 s each at most");

    server.start_again();
    server.store().await;
    assert_eq!(append(&store, "3", &["a"]).await, [3], "the first that is asked of it works");
    assert_eq!(read(&store, "a", 0, 10).await, ["2:2", "3:3"]);
    let device = &store.devices(&user("a")).await.unwrap()[0];
    assert!(device.connected, "its session has lasted all the time");
    assert_eq!(open(&store, "a", "x").await, (1, true));
    assert_eq!(store.stored().await.unwrap(), 2);
}

#[tokio::test]
async fn a_redis_that_does_not_answer_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let asked = Instant::now();
    assert!(matches!(RedisStore::connect(&url).await, Err(StoreError::Unavailable { .. })));
    assert!(asked.elapsed() < Duration::from_secs(6));
    assert!(matches!(RedisStore::connect("no url").await, Err(StoreError::Unavailable { .. })));
}

/// Lets every script fail that touches the inbox of a user, until it is mended.
async fn break_inbox(server: &Server, name: &str) {
    let key = format!("msgserver:{{u:{name}}}:log");
    let _: () =
        ::redis::cmd("SET").arg(key).arg("no log").query_async(&mut server.connection().await).await.unwrap();
}

async fn mend_inbox(server: &Server, name: &str) {
    let key = format!("msgserver:{{u:{name}}}:log");
    let _: () = ::redis::cmd("DEL").arg(key).query_async(&mut server.connection().await).await.unwrap();
}

#[tokio::test]
async fn what_has_failed_half_way_is_completed_by_publishing_it_again() {
    let server = Server::start();
    let store = server.store().await;
    open(&store, "b", "x").await;
    let half = message("half");
    break_inbox(&server, "c").await;
    let fault = try_append(&store, named(&["a", "b", "c"], half.clone())).await.unwrap_err();
    assert!(matches!(fault, StoreError::Unavailable { .. }), "{fault}");
    assert_eq!(all(&store, "a").await, ["1:half"], "it may be in some");
    assert_eq!(store.receipt(half.id).await.unwrap(), None, "but nobody was told that it was accepted");
    // Who has had it already does not get it again.
    acknowledge(&store, "b", "x", 1).await;
    assert!(try_append(&store, named(&["a"], message("else"))).await.is_ok());

    mend_inbox(&server, "c").await;
    let again = try_append(&store, named(&["a", "b", "c"], half.clone())).await.unwrap();
    assert_eq!(again, Appended::New(vec![(user("a"), Seq::new(1)), (user("c"), Seq::new(1))]));
    assert_eq!(try_append(&store, named(&["a", "b", "c"], half.clone())).await.unwrap(), Appended::Duplicate);
    assert_eq!(all(&store, "a").await, ["1:half", "2:else"]);
    assert!(all(&store, "b").await.is_empty());
    assert_eq!(all(&store, "c").await, ["1:half"]);
    assert_eq!(steps(&store, half.id).await, ["accepted"]);
}

#[tokio::test]
async fn what_has_failed_half_way_can_be_taken_back_for_good() {
    let server = Server::start();
    let store = server.store().await;
    let half = message("half");
    break_inbox(&server, "b").await;
    assert!(try_append(&store, named(&["a", "b"], half.clone())).await.is_err());
    mend_inbox(&server, "b").await;
    assert_eq!(store.cancel(half.id).await.unwrap(), Cancelled::TakenBack(1));
    assert_eq!(try_append(&store, named(&["a", "b"], half)).await.unwrap(), Appended::Duplicate);
    assert_eq!(store.stored().await.unwrap(), 0);
}

#[tokio::test]
async fn what_could_not_be_released_comes_later_and_once() {
    let server = Server::start();
    let store = server.store().await;
    let time = in_an_hour();
    let late = message("late");
    try_append(&store, Append { deliver_at: Some(time), ..to(&["a", "b"], late.clone()) }).await.unwrap();
    break_inbox(&server, "b").await;
    assert!(store.release_due(time, 10).await.is_err());
    mend_inbox(&server, "b").await;
    let due = store.release_due(time, 10).await.unwrap();
    assert!(due.released.is_empty(), "it is left to the server that has it");
    assert_eq!(
        store.cancel(late.id).await.unwrap(),
        Cancelled::TakenBack(1),
        "of the one who had it already"
    );
    let due = store.release_due(due.next.unwrap(), 10).await.unwrap();
    assert_eq!(due.released.len(), 1);
    assert!(all(&store, "a").await.is_empty());
    assert_eq!(store.release_due(time.saturating_add(HOUR), 10).await.unwrap(), Due::default());
}

/// Redis is killed again and again while messages come. Each that was answered is there once; each that was not
/// is there once after it was published again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_redis_is_killed() {
    const USERS: [[&str; 2]; 4] = [["a", "b"], ["b", "c"], ["c", "d"], ["d", "a"]];
    let mut server = Server::start();
    let store = Arc::new(server.store().await);
    let (count, mut counted) = tokio::sync::watch::channel(0);
    let publishers: Vec<_> = USERS
        .into_iter()
        .map(|users| {
            let (store, count) = (Arc::clone(&store), count.clone());
            tokio::spawn(async move {
                for n in 0..400 {
                    let message = message(&format!("{users:?} {n}"));
                    while let Err(fault) = try_append(&*store, named(&users, message.clone())).await {
                        assert!(matches!(fault, StoreError::Unavailable { .. }), "{fault}");
                    }
                    count.send_modify(|count| *count += 1);
                }
            })
        })
        .collect();
    for kill_at in [100, 400, 700, 1000, 1300] {
        counted.wait_for(|count| *count >= kill_at).await.unwrap();
        server.stop();
        server.start_again();
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    for name in ["a", "b", "c", "d"] {
        let texts: Vec<_> = store.read(&user(name), Seq::ZERO, 2000).await.unwrap();
        let texts: Vec<_> = texts.iter().map(|entry| entry.message.content.as_text().unwrap()).collect();
        for users in USERS.into_iter().filter(|users| users.contains(&name)) {
            let own: Vec<_> = texts.iter().filter(|text| text.starts_with(&format!("{users:?}"))).collect();
            let right: Vec<_> = (0..400).map(|n| format!("{users:?} {n}")).collect();
            assert!(own.into_iter().eq(&right), "{name} has each once and in order");
        }
    }
    assert_eq!(store.stored().await.unwrap(), 3200);
}
