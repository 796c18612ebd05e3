use ::redis::AsyncCommands;

use super::*;

async fn is_connected(store: &dyn Store, name: &str) -> bool {
    store.devices(&user(name)).await.unwrap()[0].connected
}

async fn leases(server: &Server) -> Vec<String> {
    server.connection().await.keys("msgserver:server:*").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_share_the_inboxes() {
    let server = Server::start();
    let stores = [Arc::new(server.store().await), Arc::new(server.store().await)];
    let publishers: Vec<_> = (0..20)
        .map(|n| {
            let store = Arc::clone(&stores[n % 2]);
            tokio::spawn(async move {
                for text in 0..20 {
                    append(&*store, &format!("{n} {text}"), &["busy"]).await;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let entries = stores[0].read(&user("busy"), Seq::ZERO, 2000).await.unwrap();
    assert!(entries.iter().map(|entry| entry.seq.get()).eq(1..=400));
    for n in 0..20 {
        let texts = entries.iter().map(|entry| entry.message.content.as_text().unwrap());
        let own: Vec<_> = texts.filter(|text| text.starts_with(&format!("{n} "))).collect();
        assert!(own.iter().eq(&(0..20).map(|text| format!("{n} {text}")).collect::<Vec<_>>()));
    }
    // What one has counted and not told yet is told soon.
    until("each knows what all have", async || stores[1].stored().await.unwrap() == 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_taken_once_by_many_at_one_time() {
    let server = Server::start();
    let stores = [Arc::new(server.store().await), Arc::new(server.store().await)];
    let once = message("once");
    let publishers: Vec<_> = (0..20)
        .map(|n| {
            let (store, once) = (Arc::clone(&stores[n % 2]), once.clone());
            tokio::spawn(async move { try_append(&*store, named(&["a", "b"], once)).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for publisher in publishers {
        new += usize::from(publisher.await.unwrap() != Appended::Duplicate);
    }
    assert!((1..=2).contains(&new), "a server tells one publisher: {new}");
    for name in ["a", "b"] {
        assert_eq!(all(&*stores[0], name).await, ["1:once"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_is_released_by_one_server() {
    let server = Server::start();
    let stores = [Arc::new(server.store().await), Arc::new(server.store().await)];
    let time = in_an_hour();
    let batch = (0..200).map(|n| Append { deliver_at: Some(time), ..to(&["a"], message(&n.to_string())) });
    assert!(stores[0].append(batch.collect()).await.iter().all(Result::is_ok));
    let releasing: Vec<_> = (0..8)
        .map(|n| {
            let store = Arc::clone(&stores[n % 2]);
            tokio::spawn(async move { store.release_due(time, 1000).await.unwrap().released.len() })
        })
        .collect();
    let mut released = 0;
    for some in releasing {
        released += some.await.unwrap();
    }
    assert_eq!(released, 200);
    assert_eq!(inbox(&*stores[0], "a").await, (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_devices_of_a_server_that_died_are_gone_with_everything_sent() {
    let server = Server::start();
    let (dies, lives) = (server.store().await, server.store().await);
    open(&dies, "a", "x").await;
    append(&lives, "1", &["a"]).await;
    assert!(is_connected(&lives, "a").await);
    let urgent = Message { priority: Priority::High, ..message("urgent") };
    assert_eq!(put(&lives, to(&["a"], urgent.clone())).await, [2], "it is connected elsewhere");
    drop(dies);
    until("the lease runs out", async || !is_connected(&lives, "a").await).await;
    // What may have been sent keeps its number.
    assert_eq!(put(&lives, to(&["a"], Message { id: MessageId::generate(), ..urgent.clone() })).await, [3]);
    append(&lives, "4", &["a"]).await;
    assert_eq!(put(&lives, to(&["a"], Message { id: MessageId::generate(), ..urgent })).await, [4]);
    assert_eq!(all(&lives, "a").await, ["1:1", "2:urgent", "3:urgent", "4:urgent", "5:4"]);
    let cursor = lives.open(&user("a"), &device("x")).await.unwrap();
    assert_eq!((cursor.acknowledged.get(), cursor.sent.get(), cursor.known), (0, 2, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_taken_for_dead_begins_its_sessions_again() {
    let server = Server::start();
    let (cut_off, other) = (server.store().await, server.store().await);
    open(&cut_off, "a", "x").await;
    open(&cut_off, "b", "x").await;
    leave(&cut_off, "b", "x", 0).await;
    append(&other, "1", &["a"]).await;
    // As if it had been cut off from Redis for long.
    let before = leases(&server).await;
    let _: () = server.connection().await.del(&before).await.unwrap();
    let are_new = async || {
        let now = leases(&server).await;
        now.len() == 2 && now.iter().all(|lease| !before.contains(lease))
    };
    until("both have new names", are_new).await;
    assert!(is_connected(&other, "a").await);
    assert!(!is_connected(&other, "b").await, "it had left");
    leave(&cut_off, "a", "x", 1).await;
    until("the old name dies", async || !is_connected(&other, "a").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_while_redis_was_away_has_left() {
    let mut server = Server::start();
    let store = server.store().await;
    open(&store, "a", "x").await;
    append(&store, "1", &["a"]).await;
    server.stop();
    assert!(store.leave(&user("a"), &device("x"), Seq::new(1)).await.is_err());
    server.start_again();
    server.store().await;
    until("Redis is told", async || {
        let devices = store.devices(&user("a")).await;
        devices.is_ok_and(|devices| !devices[0].connected)
    })
    .await;
}
