//! The normative statements of MQTT 3.1.1 and 5 that are for servers, octet by octet: a test for each, or for a few that
//! are one rule. Numbers of 3.1.1 stand before those of 5 where they differ. `docs/mqtt.md` has all of them in a table,
//! also those that do not hold.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that meets an error has to end")]

mod connecting;
mod credentials;
mod delivering;
mod formats;
mod limits;
mod properties;
mod publishing;
mod retaining;
mod sessions;
mod subscribing;
#[path = "../support/mod.rs"]
mod support;
mod unsubscribing;
mod wills;

use serde_json::json;
use support::Server;
use support::mqtt::{Connect, MQTT, Mqtt, Version};

/// A server with the door, and what it has on its disk.
fn server(flags: &[&str]) -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[&MQTT, flags].concat());
    (directory, server)
}

/// A client of user `eve` that has subscribed to nothing, of both versions.
fn clients(server: &Server) -> [Mqtt; 2] {
    support::mqtt::VERSIONS.map(|version| {
        let device = format!("shell{}", version as u8);
        Mqtt::connect(server, &Connect::new(version, "eve", &device))
    })
}

/// A client that gets what is for its user at QoS 1, and all that was published to some topics.
fn subscriber(server: &Server, version: Version, user: &str, filters: &[(&str, u8)]) -> Mqtt {
    let mut mqtt = Mqtt::connect(server, &Connect::new(version, user, "subscriber"));
    let granted = mqtt.subscribe(filters);
    assert!(granted.iter().all(|code| *code < 0x80), "{granted:02x?}");
    mqtt
}

/// Publishes messages to a user that are these texts.
fn send(server: &Server, user: &str, texts: &[&str]) {
    let message = |text: &&str| json!({"to": {"user": user}, "content": text});
    server.http().publish_all(texts.iter().map(message));
}
