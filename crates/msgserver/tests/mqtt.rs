//! The MQTT door, with the clients of Mosquitto.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

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

/// What a subscriber prints until it has as many messages as it is told to wait for.
fn heard(server: &Server, version: &str, arguments: &[&str]) -> Vec<String> {
    let arguments = [arguments, &["-W", "60", "-v"]].concat();
    let output = client(server, "mosquitto_sub", version, &arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(str::to_owned).collect()
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
        let device = ["-u", &user, "-i", "phone", "-c", "-x", "3600", "-q", "1"];
        send(&server, &user, "first");
        let got =
            heard(&server, version, &[&device[..], &["-t", "inbox", "-t", "t/news", "-C", "1"]].concat());
        assert_eq!(got, ["inbox first"]);
        server.wait_until_away(&user);
        send(&server, &user, "second");
        let output = published(&server, version, &["-u", "bob", "-q", "1", "-t", "t/news", "-m", "third"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        send(&server, &user, "fourth");
        let got = heard(&server, version, &[&device[..], &["-t", "inbox", "-C", "3"]].concat());
        assert_eq!(got, ["inbox second", "t/news third", "inbox fourth"]);
        server.wait_until_away(&user);
        send(&server, &user, "last");
        let got = heard(&server, version, &[&device[..], &["-t", "inbox", "-C", "1"]].concat());
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
        assert_eq!(
            heard(&server, version, &["-u", "eve", "-t", &topic, "-C", "1"]),
            [format!("{topic} gone")]
        );
        assert_eq!(heard(&server, version, &["-u", "dan", "-t", "t/state/+", "-C", "1"]).len(), 1);
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
            let got = heard(&server, version, &["-u", &user, "-q", "1", "-t", "inbox", "-C", "1"]);
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
