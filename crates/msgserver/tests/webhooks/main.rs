//! What an application is told of its messages, by the real binary over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod configuration;
#[path = "../../../webhooks/tests/support/mod.rs"]
mod receiver;
mod script;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::net::TcpListener;
use std::process::Command;

use receiver::{Receiver, Reply, SECRET, status};
use script::{Script, documented};
use serde_json::{Value, json};
use support::authority::Authority;
use support::{Redis, Server, acknowledge, contents, hello, read_frame, until, write_frame};

const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ALL_STEPS: &str = "accepted,scheduled,queued,sent,acknowledged,expired,cancelled";

/// The steps that a receipt has, in the form in which they are told.
fn receipt(server: &Server, id: &str) -> Vec<Value> {
    let receipt = server.http().get(&format!("/v1/messages/{id}"));
    let mut steps = receipt["steps"].as_array().unwrap().clone();
    steps.iter_mut().for_each(|step| step["id"] = json!(id));
    steps
}

fn without_target(mut steps: Vec<Value>) -> Vec<Value> {
    steps.iter_mut().for_each(|step| drop(step.as_object_mut().unwrap().remove("to")));
    steps
}

fn states(steps: &[Value]) -> Vec<&str> {
    steps.iter().map(|step| step["state"].as_str().unwrap()).collect()
}

#[test]
fn the_documented_receiver_is_told_each_step_as_the_receipt_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let script = Script::start(directory.path(), &documented(), SECRET);
    let url = format!("http://127.0.0.1:{}/hooks", script.port);
    let flags = ["--webhook-url", &url, "--webhook-secrets", SECRET, "--webhook-steps", ALL_STEPS];
    let server = Server::start(directory.path(), &flags);
    let (mut http, mut told) = (server.http(), Vec::new());
    let (mut ada, _) = hello(&server, "ada", "phone");

    let (id, _) = http.publish(&json!({"to": {"user": "ada"}, "content": 1}));
    let seq = read_frame(&mut ada)["seq"].as_u64().unwrap();
    // That it was sent is told before the device has said anything.
    let steps = script.steps_until(&mut told, &id, "sent");
    assert_eq!(states(&steps), ["accepted", "sent"]);
    assert_eq!(steps[0]["to"], json!({"user": "ada"}));
    acknowledge(&mut ada, seq);
    let steps = script.steps_until(&mut told, &id, "acknowledged");
    let expected = json!([{"state": "sent"}, {"state": "acknowledged"}]);
    for (step, expected) in steps[1..].iter().zip(expected.as_array().unwrap()) {
        let named = [&step["state"], &step["user"], &step["device"], &step["door"]];
        assert_eq!(named, [&expected["state"], &json!("ada"), &json!("phone"), &json!("frame")]);
    }
    assert_eq!(without_target(steps), receipt(&server, &id));

    let of_absent = |fields: Value| {
        let mut message = json!({"to": {"users": ["bob", "carl"]}, "content": 1});
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        message
    };
    let (collapsed, _) = http.publish(&of_absent(json!({"collapse_key": "k"})));
    http.publish(&of_absent(json!({"collapse_key": "k"})));
    let (taken_back, _) = http.publish(&of_absent(json!({"deliver_at": "2999-01-01T00:00:00Z"})));
    http.call("DELETE", &format!("/v1/messages/{taken_back}"), "");
    let soon = humantime_soon();
    let (scheduled, _) = http.publish(&of_absent(json!({"deliver_at": soon})));
    let (expired, _) = http.publish(&of_absent(json!({"ttl": "1ms"})));
    let (notice, state) = http.publish(&json!({"to": {"all": true}, "content": 1}));
    assert_eq!(state, "queued");

    for (id, last, all) in [
        (&collapsed, "cancelled", &["accepted", "cancelled", "cancelled"][..]),
        (&taken_back, "cancelled", &["scheduled", "cancelled"]),
        (&scheduled, "accepted", &["scheduled", "accepted"]),
        (&expired, "expired", &["accepted", "expired", "expired"]),
    ] {
        script.steps_until(&mut told, id, last);
        // The one of the other user comes with it.
        let steps = until(|| {
            told.extend(script.lines.try_iter());
            let steps = script.steps_until(&mut told, id, last);
            (steps.len() == all.len()).then_some(steps)
        });
        assert_eq!(states(&steps), all);
        assert_eq!(without_target(steps), receipt(&server, id));
    }
    let steps = script.steps_until(&mut told, &notice, "queued");
    assert_eq!(steps[0]["to"], json!({"all": true}));
    assert_eq!(server.stats()["webhooks_dropped"], 0);
    assert!(server.stats()["webhooks_delivered"].as_u64().unwrap() >= 15);
}

/// A moment that is not over yet, and soon will be.
fn humantime_soon() -> String {
    let soon = std::time::SystemTime::now() + std::time::Duration::from_millis(200);
    msgserver::Timestamp::from(soon).to_string()
}

/// Many messages to a client that acknowledges at once: what is told of each comes in its order.
fn are_told_in_order(store: &str) {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_| status(204));
    let flags = [
        "--store",
        store,
        "--webhook-url",
        &receiver.url(),
        "--webhook-secrets",
        SECRET,
        "--webhook-steps",
        ALL_STEPS,
    ];
    let server = Server::start(directory.path(), &flags);
    let (mut ada, _) = hello(&server, "ada", "phone");
    let mut acknowledging = ada.try_clone().unwrap();
    let client = std::thread::spawn(move || {
        for _ in 0..600 {
            let seq = read_frame(&mut ada)["seq"].clone();
            write_frame(&mut acknowledging, &json!({"type": "ack", "seq": seq}));
        }
        ada
    });
    let message = json!({"to": {"user": "ada"}, "content": 1});
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut http = server.http();
                (0..100).for_each(|_| drop(http.publish(&message)));
                http.publish_all((0..100).map(|_| message.clone()));
            });
        }
    });
    let _ada = client.join().unwrap();
    let mut told = HashMap::<String, Vec<Value>>::new();
    let mut acknowledged = 0;
    while acknowledged < 600 {
        for step in receiver.next().steps() {
            acknowledged += usize::from(step["state"] == "acknowledged");
            told.entry(step["id"].as_str().unwrap().to_owned()).or_default().push(step);
        }
    }
    assert_eq!(told.len(), 600);
    for steps in told.values() {
        assert_eq!(states(steps), ["accepted", "sent", "acknowledged"]);
    }
}

#[test]
fn steps_of_a_message_are_told_in_order_from_memory() {
    are_told_in_order("memory");
}

#[test]
fn steps_of_a_message_are_told_in_order_from_disk() {
    are_told_in_order("disk");
}

#[test]
fn steps_of_a_message_are_told_in_order_from_redis() {
    let redis = Redis::start();
    are_told_in_order(&redis.url());
}

#[test]
fn a_stuck_endpoint_delays_no_message_and_does_not_hold_up_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    // It takes connections, as far as the system does it alone, and nobody ever reads.
    let stuck = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = format!(
        "[[webhook]]\nurl = \"http://{}/\"\nsecrets = [\"{SECRET}\"]\nbacklog_bytes = \"64 KiB\"\ntimeout = \"1h\"\n\
         steps = [\"accepted\", \"sent\", \"acknowledged\"]\n[delivery]\ndrain = \"100ms\"\n",
        stuck.local_addr().unwrap()
    );
    std::fs::write(&config, file).unwrap();
    let mut server = Server::start(directory.path(), &["--config", config.to_str().unwrap()]);
    let (mut ada, _) = hello(&server, "ada", "phone");
    let mut http = server.http();
    for part in 0..10 {
        http.publish_all((0..500).map(|n| json!({"to": {"user": "ada"}, "content": part * 500 + n})));
        let all = contents(&mut ada, 500);
        assert!(all.into_iter().eq((0..500).map(|n| json!(part * 500 + n))));
        acknowledge(&mut ada, (part + 1) * 500);
    }
    until(|| (server.stats()["webhooks_dropped"].as_u64().unwrap() > 10_000).then_some(()));
    let (_, metrics) = server.request("GET", "/metrics", None, None);
    let line = metrics.lines().find(|line| line.starts_with("msgserver_webhooks_dropped ")).unwrap();
    assert!(line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 10_000.0, "{line}");
    assert_eq!(server.log().matches("events are dropped").count(), 1, "{}", server.log());

    server.signal("-TERM");
    assert!(server.child.wait().unwrap().success());
    assert!(server.log().contains("the webhook has not taken everything before the end"), "{}", server.log());
}

#[test]
fn several_endpoints_are_told_what_each_has_chosen_and_what_waits_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    // It knows the second secret alone.
    let script = Script::start(directory.path(), &documented(), OTHER_SECRET);
    let mut left = 2;
    let failing = Receiver::start(move |_| {
        left -= i32::from(left > 0);
        if left > 0 { Reply::Status(503, "Retry-After: 0\r\n".to_owned()) } else { status(200) }
    });
    let file = format!(
        "[[webhook]]\nurl = \"http://127.0.0.1:{}/\"\nsecrets = [\"{SECRET}\", \"{OTHER_SECRET}\"]\n\
         steps = [\"accepted\"]\ntargets = [\"user/ours-*\"]\n\
         [[webhook]]\nurl = \"{}\"\nsecrets = [\"{SECRET}\"]\nsteps = [\"accepted\"]\nretry_first = \"1ms\"\n",
        script.port,
        failing.url()
    );
    std::fs::write(&config, file).unwrap();
    let mut server = Server::start(directory.path(), &["--config", config.to_str().unwrap()]);
    let mut http = server.http();
    let (theirs, _) = http.publish(&json!({"to": {"user": "theirs"}, "content": 1}));
    let (ours, _) = http.publish(&json!({"to": {"users": ["theirs", "ours-ada"]}, "content": 1}));
    server.signal("-TERM");
    assert!(server.child.wait().unwrap().success());
    let mut told = Vec::new();
    assert_eq!(script.steps_until(&mut told, &ours, "accepted").len(), 1);
    assert_eq!(told.len(), 1, "{told:?}");
    // Everything was told before the server ended, the failure notwithstanding.
    let ids: Vec<_> =
        failing.rest().iter().flat_map(receiver::Request::steps).map(|step| step["id"].clone()).collect();
    assert!(ids.contains(&json!(theirs)) && ids.contains(&json!(ours)), "{ids:?}");
}

#[test]
fn after_a_crash_a_receiver_sees_that_the_server_has_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_| status(200));
    let url = receiver.url();
    let flags = ["--webhook-url", &url, "--webhook-secrets", SECRET, "--webhook-steps", "accepted"];
    let since = |server: &Server| {
        let (id, _) = server.http().publish(&json!({"to": {"user": "ada"}, "content": 1}));
        let request = receiver.next();
        assert_eq!(request.steps()[0]["id"], id);
        request.json()["data"]["since"].as_str().unwrap().to_owned()
    };
    let mut server = Server::start(directory.path(), &flags);
    let first = since(&server);
    assert_eq!(since(&server), first);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let server = Server::start(directory.path(), &flags);
    assert!(since(&server) > first);
}

#[test]
fn an_https_endpoint_has_to_show_a_certificate_that_is_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let [certificate, key] = authority.server();
    let over_tls = format!(
        "import ssl\n    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n    \
         tls.load_cert_chain('{certificate}', '{key}')\n    \
         server.socket = tls.wrap_socket(server.socket, server_side=True)\n    "
    );
    let code = documented().replace("server.serve_forever()", &format!("{over_tls}server.serve_forever()"));
    let script = Script::start(directory.path(), &code, SECRET);

    let start = |trusted: &Authority| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
        command.args(["serve", "--listen", "off", "--frame", "off", "--http", "127.0.0.1:0"]);
        command.args(["--webhook-url", &format!("https://127.0.0.1:{}/", script.port)]);
        command.args(["--webhook-secrets", SECRET, "--webhook-steps", "accepted", "--delivery-drain", "0s"]);
        command.env("SSL_CERT_FILE", trusted.ca());
        Server::run(command, directory.path())
    };
    let server = start(&authority);
    let (id, _) = server.http().publish(&json!({"to": {"user": "ada"}, "content": 1}));
    let mut told = Vec::new();
    script.steps_until(&mut told, &id, "accepted");
    drop(server);

    let server = start(&Authority::named(directory.path(), "stranger"));
    server.http().publish(&json!({"to": {"user": "ada"}, "content": 1}));
    until(|| (server.stats()["webhooks_failed"].as_u64().unwrap() > 0).then_some(()));
    assert!(server.log().contains("invalid peer certificate"), "{}", server.log());
    assert!(script.lines.try_recv().is_err());
}
