//! The real binary killed with -9 under load, again and again, with real publishers and clients of every kind:
//! what was answered arrives, to each device once by number and in order; to an old client at least once and in order.
//!
//! `KILLS` says how often each test kills, 12 times unless set. A long run:
//!
//! ```sh
//! KILLS=200 cargo test --release -p msgserver --test durability -- --nocapture
//! ```
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that meets an error has to end")]
#![allow(clippy::print_stdout, reason = "a long run says how long it was")]

mod clients;
mod publishers;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::sync::atomic::Ordering;

use publishers::{Publisher, publish_end};
use serde_json::{Value, json};
use stage::{FLAGS, Stage};
use support::{AtEnd, Redis, Server, hello, read_frame, until};

const USERS: u64 = 3;
const SECRET: &str = "S";
const KEY: &str = "K";

/// The last content that a client waits for.
const END: &str = "end";

/// Publishers and clients on the server that `start` gives, while `strike` breaks something `KILLS` times.
fn what_was_answered_arrives(start: impl Fn() -> Server, mut strike: impl FnMut(&Stage)) {
    let kills = std::env::var("KILLS").map_or(12, |kills| kills.parse().unwrap());
    let stage = Stage::new(start());
    std::thread::scope(|scope| {
        let stage = &stage;
        let _over = AtEnd(|| {
            stage.publishing.store(false, Ordering::Relaxed);
            stage.over.store(true, Ordering::Relaxed);
        });
        let clients: Vec<_> = (0..USERS)
            .map(|user| {
                (scope.spawn(move || stage.follow(user)), scope.spawn(move || stage.follow_as_of_old(user)))
            })
            .collect();
        // Every device is known before the first message, so that each gets all of them.
        until(|| (stage.server.read().unwrap().stats()["connections"] == 2 * USERS).then_some(()));
        let publishers: Vec<_> = Publisher::all()
            .into_iter()
            .map(|publisher| (publisher, scope.spawn(move || publisher.publish(stage))))
            .collect();
        for kill in 0..kills {
            stage.wait_for_messages([1, 30, 300, 1000, 100][kill % 5]);
            strike(stage);
        }
        stage.wait_for_messages(10);
        stage.publishing.store(false, Ordering::Relaxed);
        let answers: Vec<_> =
            publishers.into_iter().map(|(publisher, thread)| (publisher, thread.join().unwrap())).collect();
        answers.iter().for_each(|(publisher, answers)| publisher.wait_until_released(stage, answers));
        (0..USERS).for_each(|user| publish_end(stage, user));

        for (user, (phone, old)) in (0..USERS).zip(clients) {
            let (phone, old) = (phone.join().unwrap(), old.join().unwrap());
            for (publisher, answers) in answers.iter().filter(|(publisher, _)| publisher.user() == user) {
                assert!(answers.contains(&true), "{publisher:?} was never answered");
                clients::audit(*publisher, answers, &phone, &old);
            }
        }
    });
    let server = stage.server.into_inner().unwrap();
    server.wait_for("stored", 0);
    let answered = stage.answered.into_inner();
    println!("{kills} strikes, {answered} messages answered: none lost, none doubled, none out of order");
}

#[test]
fn what_was_answered_survives_kills_of_the_server_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let start = || Server::start(directory.path(), &FLAGS);
    what_was_answered_arrives(start, |stage| stage.kill_server(start));
}

#[test]
fn what_was_answered_survives_kills_of_the_server_with_redis() {
    let (directory, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let start = || Server::start(directory.path(), &[&FLAGS[..], &["--store", &redis.url()]].concat());
    what_was_answered_arrives(start, |stage| stage.kill_server(start));
}

#[test]
fn what_was_answered_survives_kills_of_redis() {
    let (directory, mut redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let url = redis.url();
    let start = || Server::start(directory.path(), &[&FLAGS[..], &["--store", &url]].concat());
    what_was_answered_arrives(start, |_| {
        redis.kill();
        redis.start_again();
    });
}

#[test]
fn what_was_answered_survives_stalls_of_redis() {
    let (directory, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let start = || Server::start(directory.path(), &[&FLAGS[..], &["--store", &redis.url()]].concat());
    what_was_answered_arrives(start, |stage| {
        redis.signal("-STOP");
        // Long enough for the server to give up what it had asked; Redis may do it nevertheless.
        stage.wait_for_refusal();
        redis.signal("-CONT");
    });
}

#[test]
fn a_backlog_is_delivered_once_its_store_is_back() {
    let (directory, mut redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let server = Server::start(directory.path(), &["--store", &redis.url()]);
    let (mut phone, _) = hello(&server, "ada", "phone");
    let mut http = server.http();
    let message = json!({"to": {"user": "ada"}, "content": "x".repeat(200_000)});
    for _ in 0..100 {
        assert_eq!(http.post("/v1/messages", &message).unwrap().status, 202);
    }
    redis.kill();
    // What was under way arrives; the rest waits in a store that is not there.
    assert_eq!(read_frame(&mut phone)["seq"], 1);
    http.post("/v1/messages", &message).unwrap().assert_problem(503);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for seq in 2..=100 {
                assert_eq!(read_frame(&mut phone)["seq"], seq);
            }
        });
        until(|| server.log().contains("an inbox cannot be read").then_some(()));
        redis.start_again();
    });
}

#[test]
fn a_server_whose_store_does_not_answer_says_that_it_is_not_ready_and_what_it_does_not_know() {
    let (directory, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let server = Server::start(directory.path(), &["--store", &redis.url()]);
    let mut http = server.http();
    let mut get = |path: &str| http.request("GET", path, "").unwrap();
    assert_eq!(get("/readyz").status, 200);
    let stats = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    assert_eq!(stats(&get("/v1/stats").body)["stored"], 0);

    redis.signal("-STOP");
    get("/readyz").assert_problem(503);
    assert_eq!(get("/healthz").status, 200);
    let known = stats(&get("/v1/stats").body);
    assert_eq!((&known["stored"], &known["connections"]), (&Value::Null, &json!(0)));
    let metrics = get("/metrics").body;
    assert!(
        metrics.contains("msgserver_connections 0") && !metrics.contains("msgserver_stored"),
        "{metrics}"
    );
    redis.signal("-CONT");
    until(|| (get("/readyz").status == 200).then_some(()));
}
