//! Loads under TLS.

use serde_json::Value;

use crate::support::Server;
use crate::support::authority::Authority;
use crate::{assert_whole, bench, succeed, works};

/// The server was under TLS, and the floor beside it was not.
fn assert_under_tls(work: &Value) {
    let title = work["title"].as_str().unwrap();
    assert!(title.ends_with(", under TLS"), "{title}");
    assert_eq!(work["tls"], true);
    let beside = &work["beside"][0];
    assert_eq!((&beside["name"], &beside["tls"]), (&"floor".into(), &false.into()));
}

#[test]
fn a_notice_reaches_every_client_of_each_door() {
    for (door, publisher) in
        [("raw", "http"), ("frame", "frame"), ("websocket", "batch"), ("sse", "http"), ("mqtt", "frame")]
    {
        let load = ["fan-out", "--tls", "--clients", "30", "--messages", "200", "--door", door];
        let work = &works(&[&load[..], &["--publisher", publisher]].concat())[0];
        assert_under_tls(work);
        assert_whole(&work["server"], 200, 30);
        assert_whole(&work["beside"][0]["figures"], 200, 30);
    }
}

#[test]
fn long_messages_to_one_user_at_a_time_reach_that_user_over_each_publisher() {
    // Of more than one record each.
    let load =
        ["to-one", "--tls", "--clients", "7", "--messages", "70", "--size", "40000", "--door", "frame"];
    let works = works(&load);
    assert_eq!(works.len(), 3);
    for work in works {
        assert_under_tls(&work);
        assert_whole(&work["server"], 70, 1);
    }
}

#[test]
fn what_was_published_for_users_who_are_away_is_all_there_when_they_come() {
    let load = ["durable", "--tls", "--clients", "16", "--window", "8", "--messages", "100"];
    for work in works(&load) {
        assert_eq!(work["tls"], true);
        assert_whole(&work["server"], 100, 1);
        // The disk is no connection.
        assert_eq!(work["beside"].as_array().unwrap().last().unwrap()["tls"], Value::Null);
    }
}

#[test]
fn clients_that_do_not_read_take_nothing_from_those_that_do() {
    let load = ["mixed", "--tls", "--clients", "40", "--messages", "400", "--size", "2000"];
    let work = &works(&load)[0];
    assert_whole(&work["server"], 400, 36);
    assert_eq!(work["beside"][0]["tls"], true, "the same without them is under TLS as well");
    assert_whole(&work["beside"][0]["figures"], 400, 36);
}

#[test]
fn connections_are_counted_and_cost_more_than_in_the_clear() {
    for door in ["raw", "websocket"] {
        let each = |tls: &[&str]| {
            let load = ["idle", "--clients", "500", "--door", door];
            let work = &works(&[&load[..], tls].concat())[0];
            assert_eq!((&work["server"]["count"], &work["tls"]), (&500.into(), &(!tls.is_empty()).into()));
            work["server"]["memory"]["each"].as_f64().unwrap()
        };
        // Keys and states of 500 connections are more than a server's memory moves by itself.
        let (clear, tls) = (each(&[]), each(&["--tls"]));
        assert!(tls > clear + 1024.0, "{door}: {clear} {tls}");
    }
}

#[test]
fn the_table_says_what_was_under_tls_and_what_was_not() {
    let load = ["fan-out", "--tls", "--clients", "5", "--messages", "20", "--peer", "redis"];
    let output = bench(&load).output().unwrap();
    succeed(&output);
    let table = String::from_utf8(output.stdout).unwrap();
    for line in [
        "fan-out: 5 clients, 128 B, 32 on their way, under TLS",
        "floor, in the clear",
        "redis, in the clear",
    ] {
        assert_eq!(
            table.lines().filter(|said| said.trim_start().starts_with(line)).count(),
            1,
            "{line}: {table}"
        );
    }
    assert!(table.contains("holds what TLS costs"), "{table}");
}

#[test]
fn another_server_is_loaded_if_it_is_the_one_that_it_should_be() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_within_tls(directory.path(), &["--mqtt", "127.0.0.1:0"]);
    let port = server.address("http").rsplit_once(':').unwrap().1;
    let url = format!("https://localhost:{port}");
    let ca = server.authority().ca();
    for door in ["raw", "frame", "websocket", "sse", "mqtt"] {
        let key = match door {
            "raw" => "listen",
            "websocket" | "sse" => "http",
            other => other,
        };
        let to = ["--url", &url, "--connect", server.address(key), "--frame", server.address("frame")];
        let load = ["fan-out", "--clients", "3", "--messages", "30", "--door", door, "--publisher", "frame"];
        let work = &works(&[&load[..], &to, &["--ca", &ca]].concat())[0];
        assert_under_tls(work);
        assert_whole(&work["server"], 30, 3);
    }
    let stranger = Authority::named(directory.path(), "stranger").ca();
    let load = ["fan-out", "--clients", "3", "--messages", "30", "--url", &url, "--ca", &stranger];
    let output = bench(&load).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains("invalid peer certificate"), "{line}");
}
