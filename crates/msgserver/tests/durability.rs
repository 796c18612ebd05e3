//! The real binary killed with -9 under load, again and again, with real publishers and clients: what was
//! answered arrives, to each device once by number and in order; to an old client at least once and in order.
//!
//! `KILLS` says how often each test kills, 10 times unless set. A long run:
//!
//! ```sh
//! KILLS=200 cargo test -p msgserver --test durability -- --nocapture
//! ```
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]
#![allow(clippy::print_stdout, reason = "a long run says how long it was")]

mod support;

use std::collections::HashSet;
use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use support::{
    AtEnd, Http, PATIENCE, Redis, Server, hello, next_bar, next_frame, put_frame, read_frame, until,
};

const USERS: u64 = 3;
const PUBLISHERS: u64 = 6;
const SECRET: &str = "S";

/// The last content that a client waits for.
const END: &str = "end";

/// What everybody in a test sees: the server that runs now, and how far things have come.
struct Stage {
    server: RwLock<Server>,
    answered: AtomicU64,
    received: AtomicU64,
    publishing: AtomicBool,
    over: AtomicBool,
}

impl Stage {
    fn connect(&self, door: &str) -> io::Result<TcpStream> {
        let address = self.server.read().unwrap().address(door).to_owned();
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    }

    /// Waits until so many more messages were answered, and as many came somewhere.
    fn wait_for_messages(&self, count: u64) {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (answered, received) = (now(&self.answered) + count, now(&self.received) + count);
        until(|| (now(&self.answered) >= answered && now(&self.received) >= received).then_some(()));
    }

    /// kill -9, and a new server on what the old one has left.
    fn kill_server(&self, start: impl Fn() -> Server) {
        let mut server = self.server.write().unwrap();
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        *server = start();
    }

    /// Whether a message was answered with 202.
    fn post(&self, connection: &mut Option<Http>, message: &Value) -> bool {
        let address = || self.server.read().unwrap().address("http").to_owned();
        let http = match connection {
            Some(http) => http,
            None => match Http::connect(address()) {
                Ok(http) => connection.insert(http),
                Err(_) => return false,
            },
        };
        match http.post("/v1/messages", message) {
            Ok(answer) if answer.status == 202 => true,
            Ok(answer) => {
                answer.assert_problem(503);
                false
            }
            Err(_) => {
                *connection = None;
                false
            }
        }
    }

    /// Publishes numbers to one user until told to stop; gives for each whether it was answered. A publisher
    /// that is `careful` gives ids, and tries each number again until it is answered.
    fn publish(&self, publisher: u64, careful: bool) -> Vec<bool> {
        let (mut answers, mut connection) = (Vec::new(), None);
        while self.publishing.load(Ordering::Relaxed) {
            let n = answers.len() as u64;
            let mut message =
                json!({"to": {"user": format!("user{}", publisher % USERS)}, "content": [publisher, n]});
            if careful {
                message["id"] = json!(format!("{:026}", publisher * 1_000_000_000 + n));
            }
            let answered = self.post(&mut connection, &message);
            self.answered.fetch_add(answered.into(), Ordering::Relaxed);
            if answered || !careful {
                answers.push(answered);
            }
        }
        answers
    }

    fn publish_end(&self, user: u64) {
        let mut connection = None;
        let to = json!({"user": format!("user{user}")});
        let message = json!({"to": to, "content": END, "id": format!("7{user:025}")});
        until(|| self.post(&mut connection, &message).then_some(()));
    }

    /// A device that acknowledges and keeps the last number that it has seen: what came, once each.
    fn follow(&self, user: u64) -> Vec<Value> {
        let (mut last, mut came) = (0, Vec::new());
        while !self.over.load(Ordering::Relaxed) && came.last() != Some(&json!(END)) {
            // An error is the connection's end; the next one goes on from here.
            let _ = self.follow_once(user, &mut last, &mut came);
        }
        came
    }

    fn follow_once(&self, user: u64, last: &mut u64, came: &mut Vec<Value>) -> io::Result<()> {
        let mut socket = self.connect("frame")?;
        let hello =
            json!({"type": "hello", "user": format!("user{user}"), "device": "phone", "token": SECRET});
        put_frame(&mut socket, &hello)?;
        let mut frames = BufReader::new(socket.try_clone()?);
        let enough = came.len() + 50;
        while came.last() != Some(&json!(END)) {
            if came.len() == enough {
                // Gone without a word; what is on its way has not come.
                return Ok(());
            }
            let frame = next_frame(&mut frames)?;
            let Some(seq) = frame["seq"].as_u64() else { continue };
            if seq > *last {
                *last = seq;
                came.push(frame["content"].clone());
                self.received.fetch_add(1, Ordering::Relaxed);
            }
            // Not each one: a kill is to find some that have come and are not acknowledged.
            if seq % 3 == 0 || frame["content"] == END {
                put_frame(&mut socket, &json!({"type": "ack", "seq": seq}))?;
            }
        }
        // The answer says that the acknowledgement was read.
        put_frame(&mut socket, &json!({"type": "ping"}))?;
        while next_frame(&mut frames)?["type"] != "pong" {}
        Ok(())
    }

    /// A client of the first msgserver, which can acknowledge nothing: all that came, again and again.
    fn follow_as_of_old(&self, user: u64) -> Vec<Value> {
        let mut came: Vec<Value> = Vec::new();
        while !self.over.load(Ordering::Relaxed) && came.last() != Some(&json!(END)) {
            let _ = self.follow_as_of_old_once(user, &mut came);
        }
        came
    }

    fn follow_as_of_old_once(&self, user: u64, came: &mut Vec<Value>) -> io::Result<()> {
        let mut socket = self.connect("listen")?;
        socket.write_all(format!("user{user};{SECRET}|").as_bytes())?;
        let mut frames = BufReader::new(socket);
        while came.last() != Some(&json!(END)) {
            came.push(serde_json::from_str(&next_bar(&mut frames)?).unwrap());
        }
        Ok(())
    }
}

/// The numbers of one publisher, in the order in which they came.
fn numbers(came: &[Value], publisher: u64) -> Vec<u64> {
    came.iter()
        .filter(|content| content[0] == publisher)
        .map(|content| content[1].as_u64().unwrap())
        .collect()
}

/// Publishers and clients on the server that `start` gives, while `strike` breaks something `KILLS` times.
fn what_was_answered_arrives(start: impl Fn() -> Server, mut strike: impl FnMut(&Stage)) {
    let kills = std::env::var("KILLS").map_or(10, |kills| kills.parse().unwrap());
    let stage = Stage {
        server: RwLock::new(start()),
        answered: AtomicU64::new(0),
        received: AtomicU64::new(0),
        publishing: AtomicBool::new(true),
        over: AtomicBool::new(false),
    };
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
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| scope.spawn(move || stage.publish(publisher, publisher < USERS)))
            .collect();
        for kill in 0..kills {
            stage.wait_for_messages([1, 30, 300, 1000, 100][kill % 5]);
            strike(stage);
        }
        stage.wait_for_messages(10);
        stage.publishing.store(false, Ordering::Relaxed);
        let answers: Vec<Vec<bool>> = publishers.into_iter().map(|thread| thread.join().unwrap()).collect();
        (0..USERS).for_each(|user| stage.publish_end(user));

        for (user, (phone, old)) in (0..USERS).zip(clients) {
            let (phone, old) = (phone.join().unwrap(), old.join().unwrap());
            for publisher in [user, user + USERS] {
                let answered = answers[publisher as usize].iter().zip(0..);
                let answered: Vec<u64> = answered.filter_map(|(answered, n)| answered.then_some(n)).collect();
                let on_phone = numbers(&phone, publisher);
                assert!(on_phone.is_sorted_by(|a, b| a < b), "doubled or out of order: {on_phone:?}");
                let mut first = HashSet::new();
                let on_old: Vec<u64> =
                    numbers(&old, publisher).into_iter().filter(|n| first.insert(*n)).collect();
                assert!(on_old.is_sorted(), "out of order: {on_old:?}");
                for came in [on_phone, on_old] {
                    let came: HashSet<u64> = came.into_iter().collect();
                    let lost: Vec<_> = answered.iter().filter(|n| !came.contains(n)).collect();
                    assert!(lost.is_empty(), "answered and lost: {lost:?}");
                }
            }
        }
    });
    let server = stage.server.into_inner().unwrap();
    server.wait_for("stored", 0);
    let answered = stage.answered.into_inner();
    println!("{kills} kills, {answered} messages answered: none lost, none doubled, none out of order");
}

#[test]
fn what_was_answered_survives_kills_of_the_server_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let start = || Server::start(directory.path(), &["--shared-secret", SECRET]);
    what_was_answered_arrives(start, |stage| stage.kill_server(start));
}

#[test]
fn what_was_answered_survives_kills_of_the_server_with_redis() {
    let (directory, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let start = || Server::start(directory.path(), &["--shared-secret", SECRET, "--store", &redis.url()]);
    what_was_answered_arrives(start, |stage| stage.kill_server(start));
}

#[test]
fn what_was_answered_survives_kills_of_redis() {
    let (directory, mut redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let url = redis.url();
    let start = || Server::start(directory.path(), &["--shared-secret", SECRET, "--store", &url]);
    what_was_answered_arrives(start, |_| {
        redis.kill();
        redis.start_again();
    });
}

#[test]
fn a_backlog_is_delivered_once_its_store_is_back() {
    let (directory, mut redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let server = Server::start(directory.path(), &["--store", &redis.url()]);
    let (mut phone, _) = hello(&server, "ada", "phone");
    let mut http = Http::connect(server.address("http")).unwrap();
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
    let mut http = Http::connect(server.address("http")).unwrap();
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
