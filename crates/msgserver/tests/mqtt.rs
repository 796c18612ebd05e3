//! The MQTT door, with the clients of Mosquitto.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::json;
use support::Server;
use tempfile::tempdir;

const VERSIONS: [&str; 2] = ["311", "5"];

/// One of Mosquitto's clients, on its way to a server.
fn client(server: &Server, program: &str, version: &str, arguments: &[&str]) -> Command {
    let (host, port) = server.address("mqtt").rsplit_once(':').unwrap();
    let mut command = Command::new(program);
    command.args(["-V", version, "-h", host, "-p", port]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a subscriber prints until it has so many messages, and has acknowledged what was sent to `user`. A client that
/// leaves before it has read all that it was sent resets the connection, and its last acknowledgements are lost with it.
fn heard(server: &Server, version: &str, user: &str, count: usize, arguments: &[&str]) -> Vec<String> {
    let arguments = [&["-u", user, "-v"], arguments].concat();
    let mut subscriber = client(server, "mosquitto_sub", version, &arguments).spawn().unwrap();
    let lines = BufReader::new(subscriber.stdout.take().unwrap()).lines();
    let heard = lines.take(count).map(Result::unwrap).collect();
    support::until(|| {
        let (_, presence) = server.request("GET", &format!("/v1/users/{user}"), None, None);
        presence.contains("\"waiting\":0").then_some(())
    });
    subscriber.kill().unwrap();
    subscriber.wait().unwrap();
    heard
}

fn published(server: &Server, version: &str, arguments: &[&str]) -> Output {
    client(server, "mosquitto_pub", version, arguments).output().unwrap()
}

fn send(server: &Server, user: &str, content: &str) {
    let (status, answer) = server.post("/v1/messages", &json!({"to": {"user": user}, "content": content}));
    assert_eq!(status, 202, "{answer}");
}

#[test]
fn what_waits_and_what_comes_while_away_is_delivered_once_and_in_order() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--mqtt", "127.0.0.1:0"]);
    for version in VERSIONS {
        let user = format!("ada{version}");
        let device = ["-i", "phone", "-c", "-x", "3600", "-q", "1", "-t", "inbox"];
        let topic = format!("t/news/{version}");
        send(&server, &user, "first");
        let got = heard(&server, version, &user, 1, &[&device[..], &["-t", &topic]].concat());
        assert_eq!(got, ["inbox first"]);
        server.wait_until_away(&user);
        send(&server, &user, "second");
        let output = published(&server, version, &["-u", "bob", "-q", "1", "-t", &topic, "-m", "third"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        send(&server, &user, "fourth");
        let got = heard(&server, version, &user, 3, &device);
        assert_eq!(got, ["inbox second", &format!("{topic} third"), "inbox fourth"]);
        server.wait_until_away(&user);
        send(&server, &user, "last");
        let got = heard(&server, version, &user, 1, &device);
        assert_eq!(got, ["inbox last"], "nothing comes twice");
    }
}

#[test]
fn a_wrong_password_and_a_wrong_topic_are_refused_with_the_reason_of_the_standard() {
    let directory = tempdir().unwrap();
    let flags = ["--mqtt", "127.0.0.1:0", "--shared-secret", "open sesame", "--api-key", "publisher"];
    let server = Server::start(directory.path(), &flags);
    let publish = |version, password, topic| {
        let output =
            published(&server, version, &["-u", "ada", "-P", password, "-q", "1", "-t", topic, "-m", "x"]);
        (output.status.success(), text(&output.stderr))
    };
    let (done, said) = publish("311", "wrong", "all");
    assert!(!done && said.contains("bad user name or password"), "{said}");
    let (done, said) = publish("5", "wrong", "all");
    assert!(!done && said.contains("Bad User Name or Password"), "{said}");
    let (_, said) = publish("5", "open sesame", "all");
    assert!(said.contains("Not authorized"), "who is a user has not proven to be a publisher: {said}");
    let (_, said) = publish("5", "publisher", "nowhere");
    assert!(said.contains("Topic Name invalid"), "{said}");
    assert_eq!(publish("5", "publisher", "all"), (true, String::new()));
}

#[test]
fn the_last_message_of_a_topic_and_a_will_reach_who_comes() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--mqtt", "127.0.0.1:0"]);
    for version in VERSIONS {
        let topic = format!("t/state/{version}");
        let will = ["-u", "thing", "-t", "all", "--will-topic", &topic, "--will-payload", "gone"];
        let mut thing = client(&server, "mosquitto_sub", version, &will).spawn().unwrap();
        support::until(|| {
            let (_, presence) = server.request("GET", "/v1/users/thing", None, None);
            presence.contains("\"online\":true").then_some(())
        });
        thing.kill().unwrap();
        thing.wait().unwrap();
        assert_eq!(heard(&server, version, "eve", 1, &["-t", &topic]), [format!("{topic} gone")]);
        assert_eq!(heard(&server, version, "dan", 1, &["-t", "t/state/+"]).len(), 1);
    }
}

#[test]
fn a_session_that_ends_with_its_connection_leaves_nothing_behind() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--mqtt", "127.0.0.1:0"]);
    for version in VERSIONS {
        let user = format!("kim{version}");
        for content in ["first", "second"] {
            send(&server, &user, content);
            let got = heard(&server, version, &user, 1, &["-q", "1", "-t", "inbox"]);
            assert_eq!(
                got,
                [format!("inbox {content}")],
                "what nobody has had waits for the first that comes"
            );
            support::until(|| {
                let (_, presence) = server.request("GET", &format!("/v1/users/{user}"), None, None);
                let presence: serde_json::Value = serde_json::from_str(&presence).unwrap();
                presence["devices"].as_array().unwrap().is_empty().then_some(())
            });
        }
    }
}
