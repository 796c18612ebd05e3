//! What became of a message, as the real binary tells it.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufReader, Write};

use serde_json::{Value, json};
use support::{Http, Server, acknowledge, bar, contents, hello, until};

/// The steps of a message, without their times, once the last one is `state`.
fn steps(http: &mut Http, id: &str, state: &str) -> Vec<Value> {
    let receipt = until(|| {
        let receipt = http.get(&format!("/v1/messages/{id}"));
        (receipt["state"] == state).then_some(receipt)
    });
    assert_eq!(receipt["id"], id);
    let mut steps = receipt["steps"].as_array().unwrap().clone();
    let times: Vec<_> = steps.iter().map(|step| step["at"].as_str().unwrap().to_owned()).collect();
    assert!(times.is_sorted(), "{receipt}");
    steps.iter_mut().for_each(|step| drop(step.as_object_mut().unwrap().remove("at")));
    steps
}

fn step(state: &str, user: &str, device: &str, door: &str) -> Value {
    json!({"state": state, "user": user, "device": device, "door": door})
}

/// The first step, which is about the message as a whole.
fn states(steps: &[Value]) -> Vec<&str> {
    steps.iter().map(|step| step["state"].as_str().unwrap()).collect()
}

#[test]
fn each_step_of_a_message_is_told_with_its_device_and_door() {
    for store in ["memory", "disk"] {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), &["--store", store, "--shared-secret", "S"]);
        let mut http = server.http();
        let (id, _) = http.publish(&json!({"to": {"users": ["ada", "bob"]}, "content": "hello"}));
        assert_eq!(states(&steps(&mut http, &id, "accepted")), ["accepted"]);

        let mut phone = server.connect("frame");
        support::write_frame(
            &mut phone,
            &json!({"type": "hello", "user": "ada", "device": "phone", "token": "S"}),
        );
        assert_eq!(support::read_frame(&mut phone)["type"], "welcome");
        assert_eq!(contents(&mut phone, 1), ["hello"]);
        assert_eq!(steps(&mut http, &id, "sent")[1..], [step("sent", "ada", "phone", "frame")]);
        acknowledge(&mut phone, 1);
        let ada = [step("sent", "ada", "phone", "frame"), step("acknowledged", "ada", "phone", "frame")];
        assert_eq!(steps(&mut http, &id, "acknowledged")[1..], ada);

        // A client that can say nothing: its TCP has acknowledged.
        let mut old = server.connect("listen");
        old.write_all(b"bob;S|").unwrap();
        assert_eq!(bar(&mut BufReader::new(old)), "\"hello\"");
        let both = until(|| Some(steps(&mut http, &id, "acknowledged")).filter(|steps| steps.len() == 5));
        let bob =
            [step("sent", "bob", "default", "default"), step("acknowledged", "bob", "default", "default")];
        assert_eq!(both[1..3], ada);
        assert_eq!(both[3..], bob);
    }
}

#[test]
fn a_message_that_went_to_a_client_that_left_says_sent_and_then_to_which_device_it_came() {
    for store in ["memory", "disk"] {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), &["--store", store]);
        let mut http = server.http();
        let (mut phone, _) = hello(&server, "ada", "phone");
        let (id, _) = http.publish(&json!({"to": {"user": "ada"}, "content": 1}));
        assert_eq!(contents(&mut phone, 1), [1]);
        drop(phone);
        server.wait_until_away("ada");
        assert_eq!(steps(&mut http, &id, "sent")[1..], [step("sent", "ada", "phone", "frame")]);
        let (mut phone, _) = hello(&server, "ada", "phone");
        assert_eq!(contents(&mut phone, 1), [1]);
        acknowledge(&mut phone, 1);
        assert_eq!(
            states(&steps(&mut http, &id, "acknowledged")),
            ["accepted", "sent", "sent", "acknowledged"]
        );
    }
}

#[test]
fn receipts_survive_a_kill_and_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    let (mut phone, _) = hello(&server, "ada", "phone");
    let mut http = server.http();
    let message = |n: u64| json!({"to": {"user": "ada"}, "content": n});
    let ids = http.publish_all((1..=2).map(message));
    contents(&mut phone, 2);
    acknowledge(&mut phone, 1);
    // Once the second cursor move is on disk, the steps before it are as well.
    server.wait_for("stored", 1);
    assert_eq!(states(&steps(&mut http, &ids[0], "acknowledged")), ["accepted", "sent", "acknowledged"]);
    let (last, _) = http.publish(&message(3));
    server.child.kill().unwrap();
    server.child.wait().unwrap();

    let server = Server::start(directory.path(), &[]);
    let mut http = server.http();
    assert_eq!(states(&steps(&mut http, &ids[0], "acknowledged")), ["accepted", "sent", "acknowledged"]);
    assert_eq!(http.get(&format!("/v1/messages/{last}"))["state"], "accepted");
    let (mut phone, _) = hello(&server, "ada", "phone");
    assert_eq!(contents(&mut phone, 2), [2, 3]);
    acknowledge(&mut phone, 3);
    for id in [&ids[1], &last] {
        let steps = steps(&mut http, id, "acknowledged");
        assert_eq!(steps.last(), Some(&step("acknowledged", "ada", "phone", "frame")));
    }
}

#[test]
fn what_is_not_known_has_no_receipt() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let mut http = server.http();
    for (id, status) in
        [("01ARZ3NDEKTSV4RRFFQ69G5FAV", 404), ("8ZZZZZZZZZZZZZZZZZZZZZZZZZ", 400), ("%20", 400)]
    {
        http.request("GET", &format!("/v1/messages/{id}"), "").unwrap().assert_problem(status);
    }
}
