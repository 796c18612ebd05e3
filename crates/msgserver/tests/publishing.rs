//! What a publisher can ask for, of the real binary over real sockets: schedules, priorities, collapsing, taking back,
//! ids that count once, batches, stored notices.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use msgserver::Timestamp;
use serde_json::{Value, json};
use support::{
    Http, Redis, Server, acknowledge, assert_no_more, bar, contents, hello, read_frame, until, write_frame,
};

/// Runs a test on a server with each store.
fn on_each_store(test: impl Fn(&Server)) {
    let redis = Redis::start();
    for store in ["memory", "disk", &redis.url()] {
        let directory = tempfile::tempdir().unwrap();
        test(&Server::start(directory.path(), &["--store", store]));
    }
}

fn to_ada(content: impl Into<Value>) -> Value {
    json!({"to": {"user": "ada"}, "content": content.into()})
}

/// The same message with more fields.
fn with(mut message: Value, fields: Value) -> Value {
    for (key, value) in fields.as_object().unwrap() {
        message[key] = value.clone();
    }
    message
}

fn in_millis(millis: u64) -> Timestamp {
    Timestamp::now().saturating_add(Duration::from_millis(millis))
}

/// A device that is known, and gone.
fn known_and_away(server: &Server, user: &str, device: &str) {
    drop(hello(server, user, device));
    server.wait_until_away(user);
}

/// Everything that came up to a message that is published now.
fn until_now(http: &mut Http, socket: &mut TcpStream) -> Vec<Value> {
    http.publish(&to_ada("now"));
    let mut came = Vec::new();
    loop {
        let content = contents(socket, 1).remove(0);
        if content == "now" {
            return came;
        }
        came.push(content);
    }
}

#[test]
fn a_scheduled_message_comes_once_and_not_before_its_time() {
    on_each_store(|server| {
        let (mut http, (mut phone, _)) = (server.http(), hello(server, "ada", "phone"));
        let (soon, later) = (in_millis(1500), in_millis(2500));
        let (last, state) = http.publish(&with(to_ada("last"), json!({"deliver_at": later})));
        assert_eq!(state, "scheduled");
        http.publish(&with(to_ada("second"), json!({"deliver_at": soon})));
        assert_eq!(http.publish(&with(to_ada("first"), json!({"deliver_at": in_millis(0)}))).1, "accepted");
        assert_eq!(contents(&mut phone, 2), ["first", "second"]);
        assert!(Timestamp::now() >= soon);
        assert_eq!(contents(&mut phone, 1), ["last"]);
        assert!(Timestamp::now() >= later);
        assert_eq!(until_now(&mut http, &mut phone), [] as [Value; 0]);
        let receipt = http.get(&format!("/v1/messages/{last}"));
        assert_eq!(receipt["steps"][0]["state"], "scheduled");
    });
}

#[test]
fn a_schedule_survives_kills_and_restarts_and_fires_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    known_and_away(&server, "ada", "phone");
    let missed = in_millis(200);
    let (far, _) = server.http().publish(&with(to_ada("far"), json!({"deliver_at": in_millis(3_600_000)})));
    server.http().publish(&with(to_ada("missed"), json!({"deliver_at": missed})));
    server.child.kill().unwrap();
    // Its time comes while no server runs.
    until(|| (Timestamp::now() > missed).then_some(()));

    let mut server = Server::start(directory.path(), &[]);
    server.http().publish(&with(to_ada("coming"), json!({"deliver_at": in_millis(2000)})));
    server.signal("-TERM");
    assert!(server.child.wait().unwrap().success());

    let server = Server::start(directory.path(), &[]);
    let (mut phone, _) = hello(&server, "ada", "phone");
    assert_eq!(contents(&mut phone, 2), ["missed", "coming"]);
    let mut http = server.http();
    assert_eq!(http.get(&format!("/v1/messages/{far}"))["state"], "scheduled");
    assert_eq!(until_now(&mut http, &mut phone), [] as [Value; 0]);
    assert_eq!(http.call("DELETE", &format!("/v1/messages/{far}"), "")["state"], "cancelled");
}

#[test]
fn what_is_more_urgent_goes_first_to_who_is_away() {
    on_each_store(|server| {
        let mut http = server.http();
        let publish_all = |http: &mut Http| {
            for priority in ["low", "normal", "high", "low", "normal", "high"] {
                let (_, state) = http.publish(&with(to_ada(priority), json!({"priority": priority})));
                assert_eq!(state, "accepted");
            }
        };
        let sorted = ["high", "high", "normal", "normal", "low", "low"];
        // To the first device ever, and to one that was there before.
        for first in [1, 7] {
            publish_all(&mut http);
            let (mut phone, _) = hello(server, "ada", "phone");
            for (seq, content) in (first..).zip(sorted) {
                let frame = read_frame(&mut phone);
                assert_eq!((&frame["content"], &frame["seq"]), (&json!(content), &json!(seq)));
            }
            acknowledge(&mut phone, first + 5);
            drop(phone);
            server.wait_until_away("ada");
        }
        // Who is there gets each as it comes.
        let (mut phone, _) = hello(server, "ada", "phone");
        publish_all(&mut http);
        assert_eq!(contents(&mut phone, 6), ["low", "normal", "high", "low", "normal", "high"]);
    });
}

#[test]
fn of_what_waits_under_one_collapse_key_only_the_newest_comes() {
    on_each_store(|server| {
        known_and_away(server, "ada", "phone");
        let mut http = server.http();
        let score = |n: u64| with(to_ada(n), json!({"collapse_key": "score"}));
        let (first, _) = http.publish(&score(1));
        http.publish(&to_ada("else"));
        http.publish(&with(to_ada("weather"), json!({"collapse_key": "weather"})));
        http.publish(&score(2));
        http.publish(&score(3));
        let (mut phone, _) = hello(server, "ada", "phone");
        assert_eq!(contents(&mut phone, 3), [json!("else"), json!("weather"), json!(3)]);
        let receipt = http.get(&format!("/v1/messages/{first}"));
        let step = receipt["steps"].as_array().unwrap().last().unwrap();
        assert_eq!((&step["state"], &step["user"]), (&json!("cancelled"), &json!("ada")));
        assert!(step["reason"].as_str().is_some_and(|reason| reason.contains("collapse")), "{step}");
        // What has gone to a device stays with it.
        http.publish(&score(4));
        http.publish(&score(5));
        assert_eq!(contents(&mut phone, 2), [4, 5]);
    });
}

#[test]
fn what_is_taken_back_in_time_does_not_come() {
    on_each_store(|server| {
        let (mut http, (mut phone, _)) = (server.http(), hello(server, "ada", "phone"));
        let cancel =
            |http: &mut Http, id: &str| http.request("DELETE", &format!("/v1/messages/{id}"), "").unwrap();
        let is_taken_back = |http: &mut Http, id: &str| {
            let answer = cancel(http, id);
            assert_eq!(answer.status, 200, "{answer:?}");
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(body, json!({"id": id, "state": "cancelled"}));
            assert_eq!(http.get(&format!("/v1/messages/{id}"))["state"], "cancelled");
        };
        // Scheduled.
        let at = in_millis(2000);
        let (scheduled, _) = http.publish(&with(to_ada("taken back"), json!({"deliver_at": at})));
        http.publish(&with(to_ada("in time"), json!({"deliver_at": at})));
        is_taken_back(&mut http, &scheduled);
        assert_eq!(contents(&mut phone, 1), ["in time"]);
        // Too late.
        let (sent, _) = http.publish(&to_ada("sent"));
        assert_eq!(contents(&mut phone, 1), ["sent"]);
        cancel(&mut http, &sent).assert_problem(409);
        acknowledge(&mut phone, 2);
        server.wait_for("stored", 0);
        cancel(&mut http, &sent).assert_problem(409);
        // Waiting for who is away, and for who was never there.
        drop(phone);
        server.wait_until_away("ada");
        for user in ["ada", "eve"] {
            let message = |content: &str| json!({"to": {"user": user}, "content": content});
            let (waiting, _) = http.publish(&message("taken back"));
            http.publish(&message("stays"));
            is_taken_back(&mut http, &waiting);
            let (mut phone, _) = hello(server, user, "phone");
            assert_eq!(contents(&mut phone, 1), ["stays"]);
            assert_no_more(&mut phone);
        }
        // Unknown.
        cancel(&mut http, "01ARZ3NDEKTSV4RRFFQ69G5FAV").assert_problem(404);
        cancel(&mut http, "what").assert_problem(400);
    });
}

#[test]
fn what_has_outlived_its_time_does_not_come() {
    on_each_store(|server| {
        known_and_away(server, "ada", "phone");
        let mut http = server.http();
        let (short, _) = http.publish(&with(to_ada("short"), json!({"ttl": "1ms"})));
        let at = in_millis(3000);
        // Its time begins with its delivery.
        http.publish(&with(to_ada("later"), json!({"ttl": "2500ms", "deliver_at": at})));
        http.publish(&with(to_ada("long"), json!({"ttl": "1h"})));
        // A millisecond is long enough for a client to come in it.
        until(|| (http.get("/v1/users/ada/inbox")["messages"][0]["content"] == "long").then_some(()));
        let (mut phone, _) = hello(server, "ada", "phone");
        assert_eq!(contents(&mut phone, 2), ["long", "later"]);
        until(|| (http.get(&format!("/v1/messages/{short}"))["state"] == "expired").then_some(()));
        assert_eq!(until_now(&mut http, &mut phone), [] as [Value; 0]);
        assert!(server.stats()["expired"].as_u64() >= Some(1));
    });
}

#[test]
fn an_id_counts_once_also_after_a_kill() {
    let id = |n: u64| format!("{n:026}");
    let conflict =
        |http: &mut Http, message: Value| http.post("/v1/messages", &message).unwrap().assert_problem(409);
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    let mut old = BufReader::new(server.connect("listen"));
    server.wait_for("connections", 1);
    let at = in_millis(2000);
    let messages = [
        with(to_ada("message"), json!({"id": id(1)})),
        with(to_ada("scheduled"), json!({"id": id(2), "deliver_at": at})),
        json!({"to": {"all": true}, "content": "notice", "id": id(3)}),
        json!({"to": {"all": true}, "content": "stored notice", "id": id(4), "store": true}),
        json!({"to": {"users": ["ada", "bob"]}, "content": "to both", "id": id(5)}),
        with(to_ada("nowhere"), json!({"id": id(6), "store": false})),
    ];
    let (mut phone, _) = hello(&server, "ada", "phone");
    let mut http = server.http();
    let answers: Vec<_> = messages.iter().map(|message| http.publish(message)).collect();
    assert_eq!((&*answers[0].1, &*answers[1].1, &*answers[2].1), ("accepted", "scheduled", "queued"));
    let again = |http: &mut Http| {
        for (message, answer) in messages.iter().zip(&answers) {
            assert_eq!(&http.publish(message), answer);
            let mut other = message.clone();
            other["content"] = json!("other");
            conflict(http, other);
        }
        conflict(http, json!({"to": {"user": "eve"}, "content": "message", "id": id(1)}));
    };
    again(&mut http);
    let mut came = contents(&mut phone, 6);
    // After its time as before it.
    again(&mut http);
    assert_eq!(came.pop(), Some(json!("scheduled")));
    came.sort_by_key(ToString::to_string);
    assert_eq!(came, ["message", "notice", "nowhere", "stored notice", "to both"]);
    assert_eq!(until_now(&mut http, &mut phone), [] as [Value; 0]);
    assert_eq!((bar(&mut old), bar(&mut old)), ("\"notice\"".to_owned(), "\"stored notice\"".to_owned()));

    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let server = Server::start(directory.path(), &[]);
    let mut old = BufReader::new(server.connect("listen"));
    let (mut phone, _) = hello(&server, "ada", "laptop");
    server.wait_for("connections", 2);
    let mut http = server.http();
    again(&mut http);
    http.publish(&json!({"to": {"all": true}, "content": "news"}));
    assert_eq!(bar(&mut old), "\"news\"");
    assert_eq!(contents(&mut phone, 1), ["news"]);
}

#[test]
fn a_stored_notice_reaches_whoever_is_known_or_online_once() {
    on_each_store(|server| {
        known_and_away(server, "ada", "phone");
        let (mut bob, _) = hello(server, "bob", "phone");
        let mut anonymous = BufReader::new(server.connect("listen"));
        server.wait_for("connections", 2);
        let mut http = server.http();
        let notice =
            |content: &str, store: bool| json!({"to": {"all": true}, "content": content, "store": store});
        assert_eq!(http.publish(&notice("kept", true)).1, "accepted");
        let (passing, state) = http.publish(&notice("passing", false));
        assert_eq!(
            (state.as_str(), &http.get(&format!("/v1/messages/{passing}"))["state"]),
            ("queued", &json!("queued"))
        );
        let (far, state) = http.publish(&with(notice("later", true), json!({"deliver_at": in_millis(2000)})));
        assert_eq!(state, "scheduled");

        let mut came: Vec<_> = contents(&mut bob, 2);
        came.sort_by_key(ToString::to_string);
        assert_eq!(came, ["kept", "passing"]);
        let later = read_frame(&mut bob);
        assert_eq!((&later["content"], &later["seq"]), (&json!("later"), &json!(2)));
        assert_no_more(&mut bob);
        let heard: Vec<_> = (0..3).map(|_| bar(&mut anonymous)).collect();
        assert_eq!(heard, ["\"kept\"", "\"passing\"", "\"later\""]);

        let (mut ada, _) = hello(server, "ada", "phone");
        assert_eq!(contents(&mut ada, 2), ["kept", "later"]);
        assert_no_more(&mut ada);
        // Nobody knew her.
        let (mut eve, _) = hello(server, "eve", "phone");
        assert_no_more(&mut eve);
        assert_eq!(http.get(&format!("/v1/messages/{far}"))["id"], json!(far));
    });
}

#[test]
fn an_id_stands_for_its_users_also_when_nothing_is_kept() {
    on_each_store(|server| {
        let mut http = server.http();
        let to = |user: &str| {
            let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
            json!({"to": {"user": user}, "content": 1, "id": id, "store": false})
        };
        assert_eq!(http.publish(&to("ada")), http.publish(&to("ada")));
        http.post("/v1/messages", &to("bob")).unwrap().assert_problem(409);
    });
}

#[test]
fn a_publication_through_a_session_keeps_its_digits() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let (mut ada, _) = hello(&server, "ada", "phone");
    let digits = "1234567890123456789012345678901234567890.50";
    let publish =
        format!(r#"{{"type":"publish","ref":1,"message":{{"to":{{"user":"ada"}},"content":{digits}}}}}"#);
    ada.write_all(&[&(publish.len() as u32).to_be_bytes(), publish.as_bytes()].concat()).unwrap();
    let (mut frames, mut said) = (ada.try_clone().unwrap(), Vec::new());
    until(|| {
        let mut byte = [0];
        frames.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
        String::from_utf8_lossy(&said).contains(digits).then_some(())
    });
}

#[test]
fn a_batch_is_answered_in_its_order_and_its_form_and_one_bad_message_spoils_nothing() {
    on_each_store(|server| {
        let (mut http, (mut phone, _)) = (server.http(), hello(server, "ada", "phone"));
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let items = [
            to_ada(1).to_string(),
            r#"{"to":{"user":"ada"}}"#.to_owned(),
            with(to_ada(2), json!({"id": id})).to_string(),
            with(to_ada("other"), json!({"id": id})).to_string(),
            with(to_ada(2), json!({"id": id})).to_string(),
            json!({"to": {"users": []}, "content": 1}).to_string(),
            "7".to_owned(),
            with(to_ada(3), json!({"deliver_at": "2999-01-01T00:00:00Z"})).to_string(),
            to_ada(4).to_string(),
        ];
        let statuses = [202, 400, 202, 409, 202, 400, 400, 202, 202];
        let check = |results: &[Value]| {
            assert_eq!(results.len(), items.len(), "{results:?}");
            for (result, status) in results.iter().zip(statuses) {
                if status == 202 {
                    assert!(result["id"].is_string() && result["state"].is_string(), "{result}");
                } else {
                    assert_eq!(result["status"], status, "{result}");
                    assert!(result["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{result}");
                }
            }
            assert_eq!((&results[2], &results[2]["id"]), (&results[4], &json!(id)));
            assert_eq!(results[7]["state"], "scheduled");
        };
        let array = http.request("POST", "/v1/messages/batch", &format!("[{}]", items.join(","))).unwrap();
        assert_eq!((array.status, array.header("content-type")), (202, Some("application/json")));
        check(&serde_json::from_str::<Vec<Value>>(&array.body).unwrap());
        assert_eq!(contents(&mut phone, 3), [1, 2, 4]);

        let mut lines = items.join("\n");
        // A line that is no JSON at all spoils nothing either.
        lines = lines.replacen("\n7\n", "\n\n{\"to\":\n", 1);
        let answer = http.request("POST", "/v1/messages/batch", &lines).unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (202, Some("application/x-ndjson")));
        check(&answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>());
        assert_eq!(contents(&mut phone, 2), [1, 4]);
    });
}

#[test]
fn a_batch_that_is_none_or_too_large_is_refused_whole() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    // Each on a connection of its own: one whose body was too large is closed behind the answer.
    let batch = |body: &str| server.http().request("POST", "/v1/messages/batch", body).unwrap();
    batch("").assert_problem(400);
    batch(" \n\n").assert_problem(400);
    batch("[").assert_problem(400);
    batch(&format!("[{}", to_ada(1))).assert_problem(400);
    batch(&"[".repeat(1_000_000)).assert_problem(400);
    batch(&format!("[{}]", vec!["1"; 10_001].join(","))).assert_problem(413);
    batch(&vec!["1"; 10_001].join("\n")).assert_problem(413);
    batch(&"x".repeat(9 << 20)).assert_problem(413);
    let nothing = batch("[]");
    assert_eq!((nothing.status, &*nothing.body), (202, "[]"));
    let most = batch(&format!("[{}]", vec![to_ada(1).to_string(); 10_000].join(",")));
    assert_eq!(most.status, 202);
    server.wait_for("stored", 10_000);
    // A long one and others behind it.
    let long = "x".repeat((1 << 20) - 2);
    let answer = batch(
        &[to_ada(long.clone()), to_ada(format!("{long}x")), to_ada(1)].map(|m| m.to_string()).join("\n"),
    );
    let results: Vec<Value> = answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&results[0]["state"], &results[2]["state"]), (&json!("accepted"), &json!("accepted")));
    assert_eq!(results[1]["status"], 413, "{}", results[1]);
}

#[test]
fn a_full_inbox_drops_the_oldest_or_refuses_the_newest_as_its_publisher_wants() {
    on_each_store(|server| {
        let mut http = server.http();
        let ids = http.publish_all((0..10_000).map(to_ada));
        let refuse = with(to_ada("refused"), json!({"if_full": "refuse"}));
        http.post("/v1/messages", &refuse).unwrap().assert_problem(429);
        // For nobody, if not for all.
        let both = with(refuse.clone(), json!({"to": {"users": ["ada", "bob"]}}));
        http.post("/v1/messages", &both).unwrap().assert_problem(429);
        http.publish(&to_ada("newest"));
        let oldest = http.get(&format!("/v1/messages/{}", ids[0]));
        let step = oldest["steps"].as_array().unwrap().last().unwrap();
        assert_eq!((&oldest["state"], &step["user"]), (&json!("expired"), &json!("ada")));
        assert!(step["reason"].is_string(), "{oldest}");
        let ada = http.get("/v1/users/ada");
        assert_eq!((&ada["waiting"], &ada["last"]), (&json!(10_000), &json!(10_001)));
        assert_eq!(http.get("/v1/users/bob")["waiting"], 0);
        let (mut phone, _) = hello(server, "ada", "phone");
        assert_eq!(contents(&mut phone, 1), [1]);
    });
}

#[test]
fn one_can_look_at_a_user_and_an_inbox_and_close_the_sessions() {
    on_each_store(|server| {
        let mut http = server.http();
        let path = "/v1/users/ada%20%2F%20%E5%B0%8F%E7%94%98";
        let name = "ada / 小甘";
        let message = |content: Value| json!({"to": {"user": name}, "content": content});
        let nobody = http.get(path);
        assert_eq!(
            (&nobody["user"], &nobody["online"], &nobody["devices"]),
            (&json!(name), &json!(false), &json!([]))
        );
        let ids = http.publish_all((1..=5).map(|n| message(json!({"n": n}))));
        let digits = r#"{"to":{"user":"ada / 小甘"},"content":1234567890123456789012345678901234567890.50}"#;
        http.call("POST", "/v1/messages", digits);

        let first = http.get(&format!("{path}/inbox?limit=2"));
        let first = first["messages"].as_array().unwrap();
        assert_eq!(first.len(), 2);
        assert_eq!(
            (&first[1]["seq"], &first[1]["id"], &first[1]["content"]),
            (&json!(2), &json!(ids[1]), &json!({"n": 2}))
        );
        assert!(first[0]["sent_at"].as_str().is_some_and(|at| at.parse::<Timestamp>().is_ok()));
        let rest = http.request("GET", &format!("{path}/inbox?after=2"), "").unwrap();
        assert_eq!(rest.body.matches("\"seq\"").count(), 4);
        assert!(rest.body.contains("1234567890123456789012345678901234567890.50"), "{}", rest.body);
        assert_eq!(http.get(&format!("{path}/inbox?after=6"))["messages"], json!([]));
        http.request("GET", &format!("{path}/inbox?limit=0"), "").unwrap().assert_problem(400);
        http.request("GET", "/v1/users/%ff", "").unwrap().assert_problem(400);
        http.request("GET", "/v1/users/a%0a", "").unwrap().assert_problem(400);

        let (mut phone, welcome) = hello(server, name, "phone");
        let (mut laptop, _) = hello(server, name, "laptop");
        contents(&mut phone, 6);
        acknowledge(&mut phone, 4);
        let ada = until(|| {
            let ada = http.get(path);
            (ada["devices"][1]["acknowledged"] == 4).then_some(ada)
        });
        assert_eq!(ada["online"], true);
        let session = json!({"session": welcome["session"], "device": "phone", "door": "frame"});
        assert!(ada["sessions"].as_array().unwrap().contains(&session), "{ada}");
        let device = &ada["devices"][1];
        assert_eq!((&device["device"], &device["connected"]), (&json!("phone"), &json!(true)));
        assert!(device["last_seen"].as_str().is_some_and(|at| at.parse::<Timestamp>().is_ok()));
        assert_eq!((&ada["waiting"], &ada["last"]), (&json!(2), &json!(6)));

        assert_eq!(http.call("DELETE", &format!("{path}/sessions"), "")["closed"], 2);
        for socket in [&mut phone, &mut laptop] {
            let bye = read_frame(socket);
            assert_eq!((&bye["type"], &bye["code"]), (&json!("bye"), &json!("dismissed")));
        }
        until(|| (http.get(path)["online"] == false).then_some(()));
        assert_eq!(http.call("DELETE", &format!("{path}/sessions"), "")["closed"], 0);
    });
}

#[test]
fn what_is_not_acknowledged_comes_again_marked_and_no_more_than_the_window_is_in_flight() {
    on_each_store(|server| {
        let (mut http, (mut phone, _)) = (server.http(), hello(server, "ada", "phone"));
        http.publish_all((1..=1500).map(to_ada));
        for n in 1..=1000 {
            let frame = read_frame(&mut phone);
            assert_eq!((&frame["seq"], frame.get("redelivered")), (&json!(n), None));
        }
        assert_no_more(&mut phone);
        write_frame(&mut phone, &json!({"type": "ack", "seq": 400}));
        for n in 1001..=1400 {
            assert_eq!(read_frame(&mut phone)["seq"], n);
        }
        assert_no_more(&mut phone);
        drop(phone);
        server.wait_until_away("ada");
        let (mut phone, welcome) = hello(server, "ada", "phone");
        assert_eq!(welcome["resumed"], true);
        for n in 401..=1400 {
            let frame = read_frame(&mut phone);
            assert_eq!((&frame["seq"], &frame["redelivered"]), (&json!(n), &json!(true)));
        }
        // It had kept its place, and says so at once.
        write_frame(&mut phone, &json!({"type": "ack", "seq": 1400}));
        for n in 1401..=1500 {
            let frame = read_frame(&mut phone);
            assert_eq!((&frame["seq"], frame.get("redelivered")), (&json!(n), None));
        }
        acknowledge(&mut phone, 1500);
        server.wait_for("stored", 0);
    });
}

fn publish_frame(socket: &mut TcpStream, reference: &Value, message: &Value) {
    write_frame(socket, &json!({"type": "publish", "ref": reference, "message": message}));
}

#[test]
fn a_client_publishes_through_its_session_in_order() {
    on_each_store(|server| {
        let (mut publisher, _) = hello(server, "robot", "one");
        let (mut phone, _) = hello(server, "ada", "phone");
        for n in 0..2000 {
            let message = if n % 100 == 50 { json!({"to": {}}) } else { to_ada(n) };
            publish_frame(&mut publisher, &json!({"n": n}), &message);
        }
        let mut ids = Vec::new();
        for n in 0..2000 {
            let answer = read_frame(&mut publisher);
            assert_eq!(answer["ref"]["n"], n, "{answer}");
            if n % 100 == 50 {
                assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("invalid")));
            } else {
                assert_eq!((&answer["type"], &answer["state"]), (&json!("published"), &json!("accepted")));
                ids.push(answer["id"].clone());
            }
        }
        let mut numbers = (0..2000).filter(|n| n % 100 != 50).zip(ids);
        for (seq, (n, id)) in (1..=1980).zip(&mut numbers) {
            let frame = read_frame(&mut phone);
            assert_eq!((&frame["content"], &frame["id"], &frame["seq"]), (&json!(n), &id, &json!(seq)));
            write_frame(&mut phone, &json!({"type": "ack", "seq": seq}));
        }
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        for (content, kind) in [("same", "published"), ("same", "published"), ("other", "error")] {
            publish_frame(&mut publisher, &json!(content), &with(to_ada(content), json!({"id": id})));
            let answer = read_frame(&mut publisher);
            assert_eq!((&answer["type"], &answer["ref"]), (&json!(kind), &json!(content)));
            assert_eq!(answer["code"] == "conflict", kind == "error");
        }
        assert_eq!(until_now(&mut server.http(), &mut phone), ["same"]);
    });
}

#[test]
fn where_publishers_have_a_key_only_they_publish_through_a_session() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--store", "memory", "--api-key", "K", "--shared-secret", "S"];
    let server = Server::start(directory.path(), &flags);
    let come = |user: &str, token: &str| {
        let mut socket = server.connect("frame");
        write_frame(&mut socket, &json!({"type": "hello", "user": user, "token": token}));
        (read_frame(&mut socket), socket)
    };
    assert_eq!(come("eve", "guess").0["code"], "unauthorized");
    let (welcome, mut ada) = come("ada", "S");
    assert_eq!(welcome["type"], "welcome");
    publish_frame(&mut ada, &json!(1), &json!({"to": {"all": true}, "content": "mine"}));
    let answer = read_frame(&mut ada);
    assert_eq!(
        (&answer["type"], &answer["code"], &answer["ref"]),
        (&json!("error"), &json!("forbidden"), &json!(1))
    );
    let (welcome, mut publisher) = come("robot", "K");
    assert_eq!(welcome["type"], "welcome");
    publish_frame(&mut publisher, &json!([2]), &to_ada("hello"));
    assert_eq!(read_frame(&mut publisher)["ref"], json!([2]));
    assert_eq!(contents(&mut ada, 1), ["hello"]);
}
