//! The MQTT door with clients that nobody here wrote: the Python library `paho-mqtt`, and those of Mosquitto, in both
//! versions, over kills of the server.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::mqtt::MQTT;
use support::{Client, Server};
use tempfile::tempdir;

const VERSIONS: [&str; 2] = ["311", "5"];

/// A client of user `ada` that is connected; whether its session went on.
fn paho(server: &Server, version: &str, options: &Value) -> (Client, bool) {
    let mut client = Client::paho(server.address("mqtt"), version, "ada", "phone", options);
    let connected = client.json();
    assert_eq!(connected["connected"], 0, "{connected}");
    let goes_on = connected["session_present"] == true;
    if !goes_on {
        client.tell(json!({"subscribe": [["inbox", 1], ["all", 0], ["t/news/+", 1]]}));
        assert_eq!(client.json_with("subscribed")["subscribed"], json!([1, 0, 1]));
    }
    (client, goes_on)
}

fn leave(mut client: Client) {
    client.tell(json!({"leave": true}));
    client.json_with("ended");
}

fn send(server: &Server, contents: impl IntoIterator<Item = u32>) {
    let message = |n: u32| json!({"to": {"user": "ada"}, "content": n.to_string()});
    server.http().publish_all(contents.into_iter().map(message));
}

/// Kills the server, and starts it again where its clients look for it.
fn kill(mut server: Server, directory: &Path) -> Server {
    let address = server.address("mqtt").to_owned();
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    drop(server);
    Server::start(directory, &["--mqtt", &address])
}

#[test]
fn paho_receives_acknowledges_goes_and_comes_back_to_what_waits() {
    for version in VERSIONS {
        let directory = tempdir().unwrap();
        let server = Server::start(directory.path(), &MQTT);
        let (mut client, goes_on) = paho(&server, version, &json!({}));
        assert!(!goes_on);
        send(&server, 0..3);
        for n in 0..3 {
            let message = client.json_with("payload");
            assert_eq!((&message["payload"], &message["dup"]), (&json!(n.to_string()), &json!(false)));
            assert_eq!(message["topic"], "inbox");
        }
        server.http().publish(&json!({"to": {"all": true}, "content": "a notice"}));
        let notice = client.json_with("payload");
        assert_eq!((&notice["topic"], &notice["qos"]), (&json!("all"), &json!(0)));
        leave(client);
        server.wait_until_away("ada");
        send(&server, 3..6);
        server.http().publish(&json!({"to": {"topic": "news/eu"}, "content": "6"}));
        let (mut client, goes_on) = paho(&server, version, &json!({}));
        assert!(goes_on);
        for n in 3..7 {
            let message = client.json_with("payload");
            assert_eq!((&message["payload"], &message["dup"]), (&json!(n.to_string()), &json!(false)));
        }
        leave(client);
    }
}

#[test]
fn paho_gets_again_what_it_has_not_acknowledged() {
    for version in VERSIONS {
        let directory = tempdir().unwrap();
        let server = Server::start(directory.path(), &MQTT);
        let (mut client, _) = paho(&server, version, &json!({"manual": true}));
        send(&server, 0..3);
        let first: Vec<_> = (0..3).map(|_| client.json_with("payload")).collect();
        client.tell(json!({"acknowledge": first[0]["packet"]}));
        client.tell(json!({"publish": ["t/behind", "", 1]}));
        assert_eq!(client.json_with("published")["published"], 0);
        // Killed, and not left.
        drop(client);
        server.wait_until_away("ada");
        let (mut client, goes_on) = paho(&server, version, &json!({}));
        assert!(goes_on);
        for first in &first[1..] {
            let again = client.json_with("payload");
            assert_eq!((&again["payload"], &again["packet"]), (&first["payload"], &first["packet"]));
            assert_eq!(again["dup"], true);
        }
        leave(client);
    }
}

#[test]
fn paho_sees_each_message_once_and_in_order_though_the_server_is_killed() {
    for version in VERSIONS {
        let directory = tempdir().unwrap();
        let mut server = Server::start(directory.path(), &MQTT);
        let (mut client, _) = paho(&server, version, &json!({}));
        let mut seen = Seen::default();
        for round in 0..3 {
            send(&server, round * 20..round * 20 + 10);
            while seen.contents.len() < round as usize * 20 + 5 {
                seen.note(&client.json_with("payload"));
            }
            send(&server, round * 20 + 10..round * 20 + 20);
            server = kill(server, directory.path());
        }
        while seen.contents.len() < 60 {
            seen.note(&client.json_with("payload"));
        }
        assert_eq!(seen.contents, (0..60).collect::<Vec<_>>());
        leave(client);
    }
}

/// What a client has that keeps the last number it was told; in 3.1.1, where there is none, what it has seen.
#[derive(Default)]
struct Seen {
    last: u64,
    contents: Vec<u32>,
}

impl Seen {
    fn note(&mut self, message: &Value) {
        let content = message["payload"].as_str().unwrap().parse().unwrap();
        let is_new = match message["properties"]["seq"].as_str() {
            Some(seq) => {
                let (seq, before) = (seq.parse().unwrap(), self.last);
                self.last = before.max(seq);
                seq > before
            }
            None => !self.contents.contains(&content),
        };
        if is_new {
            self.contents.push(content);
        }
    }
}

#[test]
fn paho_is_told_why_it_may_not_come_in() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[&MQTT[..], &["--shared-secret", "s3cret"]].concat());
    for version in VERSIONS {
        for (options, reason) in [(json!({"password": "guess"}), 134), (json!({}), 135)] {
            let mut client = Client::paho(server.address("mqtt"), version, "ada", "phone", &options);
            assert_eq!(client.json()["connected"], reason);
        }
        let (client, _) = paho(&server, version, &json!({"password": "s3cret"}));
        leave(client);
    }
}

#[test]
fn what_paho_publishes_and_leaves_behind_reaches_a_client_of_mosquitto() {
    for version in VERSIONS {
        let directory = tempdir().unwrap();
        let server = Server::start(directory.path(), &MQTT);
        let (mut client, _) = paho(&server, version, &json!({"will": ["t/state/ada", "gone"]}));
        let mut mosquitto = mosquitto_sub(&server, version, &["-t", "inbox", "-t", "t/state/+"]);
        server.wait_for("connections", 2);
        for n in 0..20 {
            client.tell(json!({"publish": ["to/eve", n.to_string(), 1]}));
        }
        for n in 0..20 {
            assert_eq!(mosquitto.line().unwrap(), format!("inbox {n}"));
        }
        for _ in 0..20 {
            assert_eq!(client.json_with("published")["published"], 0);
        }
        drop(client);
        assert_eq!(mosquitto.line().unwrap(), "t/state/ada gone");
    }
}

fn mosquitto_sub(server: &Server, version: &str, arguments: &[&str]) -> Client {
    let (host, port) = server.address("mqtt").rsplit_once(':').unwrap();
    let mut command = Command::new("mosquitto_sub");
    command.args(["-h", host, "-p", port, "-V", version, "-u", "eve", "-i", "sub", "-c", "-x", "3600"]);
    command.args(["-q", "1", "-v", "-W", "120"]).args(arguments);
    Client::start(&mut command)
}

#[test]
fn mosquitto_sees_each_message_in_order_though_the_server_is_killed() {
    for version in VERSIONS {
        let directory = tempdir().unwrap();
        let mut server = Server::start(directory.path(), &MQTT);
        let mut mosquitto = mosquitto_sub(&server, version, &["-t", "inbox"]);
        server.wait_for("connections", 1);
        let (mut seen, mut came) = (HashSet::new(), Vec::new());
        for round in 0..3 {
            let message = |n: u32| json!({"to": {"user": "eve"}, "content": n.to_string()});
            server.http().publish_all((round * 10..round * 10 + 10).map(message));
            // Of what was sent and not acknowledged before the kill, some may come twice.
            while came.len() < round as usize * 10 + 5 {
                let line = mosquitto.line().unwrap();
                if seen.insert(line.clone()) {
                    came.push(line);
                }
            }
            server = kill(server, directory.path());
        }
        while came.len() < 30 {
            let line = mosquitto.line().unwrap();
            if seen.insert(line.clone()) {
                came.push(line);
            }
        }
        assert_eq!(came, (0..30).map(|n| format!("inbox {n}")).collect::<Vec<_>>());
    }
}
