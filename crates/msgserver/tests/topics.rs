//! Topics on the real binary: who follows gets what is published, with the promises of any message.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::net::TcpStream;

use serde_json::{Value, json};
use support::{
    Http, Redis, Server, acknowledge, assert_no_more, contents, hello, read_frame, until, write_frame,
};

fn to(topic: &str, content: impl Into<Value>) -> Value {
    json!({"to": {"topic": topic}, "content": content.into()})
}

/// Asks for something, and waits until it is done.
fn ask(socket: &mut TcpStream, frame: &Value) {
    write_frame(socket, frame);
    assert_no_more(socket);
}

fn subscribe(socket: &mut TcpStream, topic: &str) {
    ask(socket, &json!({"type": "subscribe", "topic": topic}));
}

/// A device that follows these from its hello on.
fn follower(server: &Server, hello: &Value) -> TcpStream {
    let mut socket = server.connect("frame");
    write_frame(&mut socket, hello);
    let welcome = read_frame(&mut socket);
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    socket
}

/// The next message: its content, number and topic, and whether it may have come before.
fn message(socket: &mut TcpStream) -> (Value, Option<u64>, Value, bool) {
    let frame = read_frame(socket);
    assert_eq!(frame["type"], "message", "{frame}");
    (frame["content"].clone(), frame["seq"].as_u64(), frame["topic"].clone(), frame["redelivered"] == true)
}

fn waiting(http: &mut Http, user: &str) -> Value {
    http.get(&format!("/v1/users/{user}"))["waiting"].clone()
}

/// What every store has to make possible.
fn whoever_follows_gets_it(flags: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), flags);
    let mut http = server.http();
    let hello_ada = json!({"type": "hello", "user": "ada", "device": "phone", "topics": ["news/+"]});
    let mut phone = follower(&server, &hello_ada);
    let (mut laptop, _) = hello(&server, "ada", "laptop");
    let (mut bob, _) = hello(&server, "bob", "phone");
    subscribe(&mut bob, "news/eu");

    assert_eq!(http.publish(&to("news/eu", 1)).1, "accepted");
    assert_eq!(message(&mut phone), (json!(1), Some(1), json!("news/eu"), false));
    assert_eq!(message(&mut bob), (json!(1), Some(1), json!("news/eu"), false));
    // It is in Ada's inbox, and not for this device.
    assert_no_more(&mut laptop);
    // Both kinds of messages share one order and one acknowledgement.
    http.publish(&json!({"to": {"user": "ada"}, "content": 2}));
    http.publish(&to("news/us", 3));
    assert_eq!(message(&mut phone).1, Some(2));
    assert_eq!(message(&mut phone), (json!(3), Some(3), json!("news/us"), false));
    assert_eq!(message(&mut laptop), (json!(2), Some(2), Value::Null, false));
    assert_no_more(&mut bob);
    acknowledge(&mut phone, 3);
    acknowledge(&mut laptop, 2);
    // What the laptop is not sent counts as safe with it, so nothing waits for it.
    until(|| (waiting(&mut http, "ada") == 0).then_some(()));

    // A follower that is away finds it when it comes back, and so again what it has not acknowledged.
    drop((phone, laptop, bob));
    for user in ["ada", "bob"] {
        server.wait_until_away(user);
    }
    http.publish(&to("news/eu", 4));
    let mut phone = follower(&server, &json!({"type": "hello", "user": "ada", "device": "phone"}));
    assert_eq!(message(&mut phone), (json!(4), Some(4), json!("news/eu"), false));
    let (mut bob, _) = hello(&server, "bob", "phone");
    assert_eq!(message(&mut bob), (json!(1), Some(1), json!("news/eu"), true));
    assert_eq!(message(&mut bob), (json!(4), Some(2), json!("news/eu"), false));

    // Until it follows no more.
    ask(&mut bob, &json!({"type": "unsubscribe", "topic": "news/eu"}));
    http.publish(&to("news/eu", 5));
    assert_eq!(message(&mut phone).0, 5);
    assert_no_more(&mut bob);

    let topic = http.get("/v1/topics/news%2Feu");
    assert_eq!(
        (&topic["subscribers"], &topic["online"], &topic["retained"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(
        (&topic["sessions"][0]["user"], &topic["sessions"][0]["device"]),
        (&json!("ada"), &json!("phone"))
    );
    let log = http.get("/v1/topics/news%2Feu/messages");
    assert_eq!(log["messages"][0]["content"], 5);
    assert_eq!(log["messages"][0]["seq"], topic["last"]);
    let devices = http.get("/v1/users/ada")["devices"].clone();
    assert_eq!(devices[1]["topics"], json!(["news/+"]), "{devices}");
    assert_eq!(server.stats()["subscriptions"], 1);
}

#[test]
fn whoever_follows_gets_it_with_a_store_in_memory() {
    whoever_follows_gets_it(&["--store", "memory"]);
}

#[test]
fn whoever_follows_gets_it_with_a_store_on_disk() {
    whoever_follows_gets_it(&["--store", "disk"]);
}

#[test]
fn whoever_follows_gets_it_with_a_store_in_redis() {
    let redis = Redis::start();
    whoever_follows_gets_it(&["--store", &redis.url()]);
}

#[test]
fn a_subscription_outlives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    let (mut phone, _) = hello(&server, "ada", "phone");
    subscribe(&mut phone, "+/eu");
    server.http().publish(&to("news/eu", 1));
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    drop(server);
    let server = Server::start(directory.path(), &[]);
    server.http().publish(&to("news/eu", 2));
    let (mut phone, _) = hello(&server, "ada", "phone");
    assert_eq!(contents(&mut phone, 2), [1, 2]);
    server.http().publish(&to("news/eu", 3));
    assert_eq!(contents(&mut phone, 1), [3]);
}

#[test]
fn who_has_no_inbox_follows_as_long_as_it_is_connected() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--topics-per-device", "2"]);
    let mut http = server.http();
    let mut guest = follower(&server, &json!({"type": "hello", "topics": ["news", "+"]}));
    let (mut phone, _) = hello(&server, "ada", "phone");
    subscribe(&mut phone, "news");
    http.publish(&to("news", 1));
    // Once, though it follows it twice; and without a number.
    assert_eq!(message(&mut guest), (json!(1), None, json!("news"), false));
    assert_eq!(message(&mut phone), (json!(1), Some(1), json!("news"), false));
    // What is not to be kept is for who is connected, inbox or not, and counts once.
    let passing = json!({"to": {"topic": "news"}, "content": 2, "store": false,
        "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"});
    assert_eq!(http.publish(&passing).1, "queued");
    assert_eq!(http.publish(&passing).1, "queued");
    for socket in [&mut guest, &mut phone] {
        assert_eq!(message(socket), (json!(2), None, json!("news"), false));
        assert_no_more(socket);
    }
    assert_eq!(http.get("/v1/topics/news/messages")["messages"][0]["content"], 1);
    // It may follow two, as a device may.
    for socket in [&mut guest, &mut phone] {
        write_frame(socket, &json!({"type": "subscribe", "topic": "a"}));
        write_frame(socket, &json!({"type": "subscribe", "topic": "b"}));
    }
    assert_eq!(read_frame(&mut guest)["code"], "too_many_topics");
    assert_eq!(read_frame(&mut guest)["code"], "too_many_topics");
    let refused = read_frame(&mut phone);
    assert_eq!(refused["code"], "too_many_topics", "{refused}");
    assert_no_more(&mut phone);
    ask(&mut guest, &json!({"type": "unsubscribe", "topic": "+"}));
    ask(&mut guest, &json!({"type": "unsubscribe", "topic": "news"}));
    http.publish(&to("news", 3));
    assert_no_more(&mut guest);
    drop((guest, phone));
    server.wait_for("subscriptions", 0);
}

#[test]
fn a_topic_tells_what_came_last_to_who_asks() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--topics-history", "3", "--store", "memory"]);
    let mut http = server.http();
    for n in 1..=5 {
        http.publish(&to("weather/oslo", n));
        http.publish(&to("weather/rome", 10 * n));
    }
    let (mut phone, _) = hello(&server, "ada", "phone");
    write_frame(&mut phone, &json!({"type": "subscribe", "topic": "weather/oslo", "history": 2}));
    assert_eq!(message(&mut phone), (json!(4), None, json!("weather/oslo"), false));
    assert_eq!(message(&mut phone).0, 5);
    write_frame(&mut phone, &json!({"type": "subscribe", "topic": "weather/+", "history": 1}));
    assert_eq!(contents(&mut phone, 2), [5, 50]);
    assert_no_more(&mut phone);
    let page = http.get("/v1/topics/weather%2Foslo/messages?after=3&limit=1");
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
    assert_eq!(page["messages"][0]["content"], 4);
    assert_eq!(http.get("/v1/topics/other/messages")["messages"], json!([]));
}

#[test]
fn what_publishers_can_ask_for_holds_for_topics() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let mut http = server.http();
    let (mut phone, _) = hello(&server, "ada", "phone");
    subscribe(&mut phone, "news");
    drop(phone);
    server.wait_until_away("ada");
    let with = |fields: Value, content: &str| {
        let mut message = to("news", content);
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        message
    };
    let ids = http.publish_all([
        with(json!({"collapse_key": "k"}), "collapsed"),
        with(json!({"collapse_key": "k"}), "newest"),
        with(json!({"priority": "high"}), "urgent"),
        with(json!({"ttl": "1ms"}), "over"),
        with(json!({}), "taken back"),
    ]);
    let (late, state) = http.publish(&with(json!({"deliver_at": "2100-01-01T00:00:00Z"}), "late"));
    assert_eq!(state, "scheduled");
    for id in [&ids[4], &late] {
        assert_eq!(http.call("DELETE", &format!("/v1/messages/{id}"), "")["state"], "cancelled");
    }
    let soon = json!({"deliver_at": "2020-01-01T00:00:00Z", "id": "01ARZ3NDEKTSV4RRFFQ69G5FAW"});
    http.publish(&with(soon.clone(), "soon"));
    let other = http.post("/v1/messages", &with(soon, "other")).unwrap();
    other.assert_problem(409);
    // A publisher with a session has its frames done in order.
    let (mut laptop, _) = hello(&server, "bob", "laptop");
    write_frame(&mut laptop, &json!({"type": "subscribe", "topic": "news"}));
    write_frame(&mut laptop, &json!({"type": "publish", "ref": 1, "message": to("news", "mine")}));
    let (mut own, mut answer) = (read_frame(&mut laptop), read_frame(&mut laptop));
    if own["type"] == "published" {
        std::mem::swap(&mut own, &mut answer);
    }
    assert_eq!((&own["content"], &answer["state"]), (&json!("mine"), &json!("accepted")));

    let (mut phone, _) = hello(&server, "ada", "phone");
    let came: Vec<_> = (0..4).map(|_| message(&mut phone)).collect();
    let texts: Vec<_> = came.iter().map(|(content, ..)| content.as_str().unwrap()).collect();
    assert_eq!(texts, ["urgent", "newest", "soon", "mine"]);
    acknowledge(&mut phone, came[3].1.unwrap());
    let receipt = until(|| {
        let receipt = http.get(&format!("/v1/messages/{}", ids[1]));
        (receipt["state"] == "acknowledged").then_some(receipt)
    });
    let last = receipt["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["user"], &last["device"], &last["door"]),
        (&json!("ada"), &json!("phone"), &json!("frame"))
    );
    assert_eq!(http.get(&format!("/v1/messages/{}", ids[0]))["state"], "cancelled");
}

#[test]
fn a_topic_that_cannot_be_is_refused_with_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let mut http = server.http();
    http.post("/v1/messages", &to("news/+", 1)).unwrap().assert_problem(400);
    let refused = http.request("GET", "/v1/topics/a%2F%23", "").unwrap();
    refused.assert_problem(400);
    assert!(refused.body.contains("whole level"), "{}", refused.body);
    let (mut phone, _) = hello(&server, "ada", "phone");
    write_frame(&mut phone, &json!({"type": "subscribe", "topic": "a/#"}));
    let bye = read_frame(&mut phone);
    assert_eq!((&bye["type"], &bye["code"]), (&json!("bye"), &json!("bad_frame")));
    assert!(bye["detail"].as_str().unwrap().contains("whole level"), "{bye}");
}
