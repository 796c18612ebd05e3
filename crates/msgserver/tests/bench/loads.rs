//! Each load, over each door.

use std::path::Path;

use serde_json::Value;

use crate::{assert_whole, works};

fn fan_out_at(door: &str, publisher: &str) {
    let load = ["fan-out", "--clients", "30", "--messages", "200", "--door", door, "--publisher", publisher];
    let works = works(&load);
    assert_eq!(works.len(), 1);
    let work = &works[0];
    assert_eq!((&work["door"], &work["publisher"]), (&door.into(), &publisher.into()));
    assert_whole(&work["server"], 200, 30);
    assert_eq!(work["server"]["messages"]["accepted"], 200);
    assert_eq!(work["beside"][0]["name"], "floor");
    assert_whole(&work["beside"][0]["figures"], 200, 30);
    assert!(work["beside"][0]["ratio"]["per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_notice_reaches_every_client_of_each_door() {
    fan_out_at("raw", "http");
    fan_out_at("frame", "frame");
    fan_out_at("encrypted", "batch");
    fan_out_at("websocket", "http");
    fan_out_at("sse", "http");
    fan_out_at("mqtt", "http");
}

#[test]
fn messages_to_one_user_at_a_time_reach_that_user_over_each_publisher() {
    for door in ["raw", "frame", "websocket", "mqtt"] {
        let works = works(&["to-one", "--clients", "7", "--messages", "100", "--door", door]);
        let publishers: Vec<_> = works.iter().map(|work| work["publisher"].as_str().unwrap()).collect();
        assert_eq!(publishers, ["http", "batch", "frame"]);
        for work in works {
            assert_whole(&work["server"], 100, 1);
            assert_whole(&work["beside"][0]["figures"], 100, 1);
        }
    }
}

#[test]
fn a_peer_gets_the_same_load_beside() {
    let is_here = |program: &&str| {
        ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"]
            .iter()
            .any(|place| Path::new(place).join(program).is_file())
    };
    // Redis has to be here for other tests as well.
    let more = [("nats", "nats-server"), ("mosquitto", "mosquitto")];
    let more = more.iter().filter(|(_, program)| is_here(program)).map(|(peer, _)| *peer);
    let peers: Vec<&str> = std::iter::once("redis").chain(more).collect();
    let chosen: Vec<&str> = peers.iter().flat_map(|peer| ["--peer", peer]).collect();
    for (mode, each) in [("fan-out", 30), ("to-one", 1)] {
        let load = [mode, "--clients", "30", "--messages", "300", "--publisher", "frame"];
        let work = &works(&[&load[..], &chosen].concat())[0];
        assert_whole(&work["server"], 300, each);
        let beside = work["beside"].as_array().unwrap();
        let names: Vec<_> = beside.iter().map(|beside| beside["name"].as_str().unwrap()).collect();
        assert_eq!(names, [&["floor"], &peers[..]].concat());
        beside.iter().for_each(|beside| assert_whole(&beside["figures"], 300, each));
    }
    let idle = &works(&[&["idle", "--clients", "200"], &chosen[..]].concat())[0];
    for beside in idle["beside"].as_array().unwrap() {
        assert_eq!(beside["figures"]["count"], 200, "{beside}");
        assert!(beside["figures"]["memory"]["with_clients"].as_u64().unwrap() > 0, "{beside}");
    }
}

#[test]
fn connections_are_counted_and_their_memory_is_told() {
    for mode in ["idle", "connect"] {
        let work = &works(&[mode, "--clients", "500"])[0];
        assert_eq!(work["server"]["count"], 500);
        let memory = &work["server"]["memory"];
        let [before, with_clients] = ["before", "with_clients"].map(|name| memory[name].as_f64().unwrap());
        assert!(with_clients > before, "{memory}");
        assert!((memory["each"].as_f64().unwrap() * 500.0 - (with_clients - before)).abs() < 1.0, "{memory}");
        // Who comes by the frame door is told when it is online.
        let latency = &work["server"]["latency_us"]["count"];
        assert_eq!(latency, &if mode == "connect" { Value::from(500) } else { Value::Null });
    }
}

#[test]
fn what_was_published_for_users_who_are_away_is_all_there_when_they_come() {
    let works = works(&["durable", "--clients", "16", "--window", "8", "--messages", "100"]);
    let windows: Vec<_> = works.iter().map(|work| work["window"].as_u64().unwrap()).collect();
    assert_eq!(windows, [1, 8, 8, 8]);
    for work in works {
        assert_eq!(work["store"], "disk");
        assert_whole(&work["server"], 100, 1);
        let floor = work["beside"].as_array().unwrap().last().unwrap();
        assert!(floor["figures"]["syncs"].as_u64().unwrap() > 0, "{floor}");
    }
}

#[test]
fn clients_that_do_not_read_take_nothing_from_those_that_do() {
    let work = &works(&["mixed", "--clients", "40", "--messages", "400", "--size", "2000"])[0];
    assert_whole(&work["server"], 400, 36);
    assert_eq!(work["beside"][0]["name"], "the same without them");
    assert_whole(&work["beside"][0]["figures"], 400, 36);
}
