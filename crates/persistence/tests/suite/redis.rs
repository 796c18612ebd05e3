use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::redis::AsyncCommands;
use msgserver_persistence::{RedisStore, TakenOver};

use super::*;

/// A server of the test's own, which ends with it. On a socket in its directory: no port to lose to another.
struct Server {
    process: Option<Child>,
    directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let mut server = Self { process: None, directory: tempfile::tempdir().unwrap() };
        server.start_again();
        server
    }

    fn start_again(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", "socket", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(self.directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server has to be installed");
        self.process = Some(process);
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn url(&self) -> String {
        format!("redis+unix://{}/socket?db=1", self.directory.path().display())
    }

    async fn store(&self) -> RedisStore {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match RedisStore::connect(&self.url()).await {
                Ok(store) => return store,
                Err(fault) => assert!(Instant::now() < end, "{fault}"),
            }
        }
    }

    async fn connection(&self) -> ::redis::aio::MultiplexedConnection {
        let client = ::redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

keeps_its_promises!(promises, async |_: &Path| {
    let server = Server::start();
    (server.store().await, server)
});

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
    let fault = store.keep(Append::new(message("lost"), [user("a")])).await.unwrap_err();
    assert!(matches!(fault, StoreError::Unavailable { store: "redis", .. }), "{fault}");
    assert!(store.ready().await.is_err());
    assert!(asked.elapsed() < Duration::from_secs(11), "5 s each at most");

    server.start_again();
    server.store().await;
    assert_eq!(append(&store, "3", &["a"]).await, [3], "the first that is asked of it works");
    assert_eq!(read(&store, "a", 0, 10).await, ["2:2", "3:3"]);
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

#[tokio::test]
async fn every_key_expires_and_what_expired_is_not_counted() {
    let server = Server::start();
    let store = server.store().await;
    let mut redis = server.connection().await;
    open(&store, "a", "x").await;
    store.keep(given(&message("1"), &[user("a"), user("b")])).await.unwrap();
    let keys: Vec<String> = redis.keys("*").await.unwrap();
    assert_eq!(keys.len(), 10, "{keys:?}");
    for key in keys {
        let seconds: i64 = redis.ttl(&key).await.unwrap();
        let day = 24 * 60 * 60;
        let kept = if key.starts_with("msgserver:id:") { day } else { 30 * day };
        assert!((kept - 60..=kept).contains(&seconds), "{key} expires in {seconds} s");
    }

    let _: () =
        redis.del(&["msgserver:{a}:log", "msgserver:{a}:last", "msgserver:{a}:devices"]).await.unwrap();
    let _: () = redis.zadd("msgserver:used", "a", 0).await.unwrap();
    assert_eq!(store.stored().await.unwrap(), 1);
    // At the next use, even if nobody asked in between.
    let _: () = redis.del(&["msgserver:{b}:log", "msgserver:{b}:last"]).await.unwrap();
    append(&store, "2", &["b"]).await;
    assert_eq!(store.stored().await.unwrap(), 1);
}

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
