use ::redis::AsyncCommands;
use msgserver_persistence::TakenOver;

use super::*;

/// A message as the Go server kept it.
async fn go_message(redis: &mut impl AsyncCommands, user: &str, id: &str, content: &str, sent: &str) {
    let json = format!(
        r#"{{"MsgId":"{id}","MsgType":0,"Content":{content},"To":"{user}","TrySendTimes":2,"SendTime":"{sent}","KeepLiveTime":"2019-03-02T00:00:00.5+08:00"}}"#
    );
    let _: () = redis.set(id, json).await.unwrap();
    let _: () = redis.sadd(format!("u_m_{user}"), id).await.unwrap();
}

#[tokio::test]
async fn what_the_go_server_left_is_taken_over_in_the_order_it_was_sent() {
    let server = Server::start();
    let store = server.store().await;
    let mut redis = server.connection().await;
    let day = "2019-03-01T";
    go_message(&mut redis, "ada", "a", "\"third\"", &format!("{day}03:00:00.000000001Z")).await;
    go_message(&mut redis, "ada", "z", "\"first\"", &format!("{day}10:00:00.999999999+08:00")).await;
    go_message(&mut redis, "ada", "m", "\"second\"", &format!("{day}03:00:00Z")).await;
    go_message(&mut redis, "bob", "o", "{\"k\":[1,null,1.50]}", &format!("{day}03:00:00Z")).await;
    // One that two users have.
    go_message(&mut redis, "ada", "shared", "\"fourth\"", &format!("{day}04:00:00Z")).await;
    let _: () = redis.sadd("u_m_bob", "shared").await.unwrap();
    // What cannot be read.
    go_message(&mut redis, "ada", "late", "\"x\"", "yesterday").await;
    let _: () = redis.sadd("u_m_ada", "gone").await.unwrap();
    let _: () = redis.set("u_m_text", "not a set").await.unwrap();
    let _: () = redis.sadd("u_m_", "nobody").await.unwrap();

    let taken = store.take_over().await.unwrap();
    assert_eq!(taken, TakenOver { users: 2, messages: 6, skipped: 4 });
    assert_eq!(read(&store, "ada", 0, 10).await, ["1:first", "2:second", "3:third", "4:fourth"]);
    let bob = store.read(&user("bob"), Seq::ZERO, 10).await.unwrap();
    assert_eq!(bob[0].message.content.as_json(), "{\"k\":[1,null,1.50]}");
    assert_eq!(bob[0].message.sent_at.to_string(), "2019-03-01T03:00:00.000Z");
    assert_eq!(bob[0].message.expires_at, None, "as old as it is");
    assert_eq!(bob[1].message.content.as_text().unwrap(), "fourth");
    assert_eq!(store.stored().await.unwrap(), 6);
    assert_eq!(open(&store, "ada", "phone").await, (0, false), "the first device gets them all");

    let mut left: Vec<String> = redis.keys("[^m]*").await.unwrap();
    left.sort();
    assert_eq!(left, ["late", "u_m_", "u_m_ada", "u_m_text"]);
    let again = store.take_over().await.unwrap();
    assert_eq!(again, TakenOver { users: 0, messages: 0, skipped: 4 });
    assert_eq!(inbox(&store, "ada").await, (4, 4));
}

#[tokio::test]
async fn many_messages_are_taken_over_in_several_steps() {
    let server = Server::start();
    let store = server.store().await;
    let mut redis = server.connection().await;
    for n in 0..1203 {
        let sent = format!("2019-03-01T03:00:00.{n:09}Z");
        go_message(&mut redis, "ada", &format!("id{}", 5000 - n), &n.to_string(), &sent).await;
    }
    let taken = store.take_over().await.unwrap();
    assert_eq!(taken, TakenOver { users: 1, messages: 1203, skipped: 0 });
    let entries = store.read(&user("ada"), Seq::ZERO, 2000).await.unwrap();
    for (n, entry) in entries.iter().enumerate() {
        assert_eq!((entry.seq.get(), entry.message.content.as_json()), (n as u64 + 1, &*n.to_string()));
    }
    assert_eq!(store.take_over().await.unwrap(), TakenOver::default());
}
