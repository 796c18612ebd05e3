//! `msgserver bench` on the real binary: what it reports is what happened.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use support::{Server, until};

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
    command.arg("bench").args(arguments).stdin(Stdio::null());
    command
}

fn succeed(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

/// Runs it with these arguments and gives the works of its report.
fn works(arguments: &[&str]) -> Vec<Value> {
    let output = bench(arguments).args(["--json", "-"]).output().unwrap();
    succeed(&output);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["complete"], true);
    report["works"].as_array().unwrap().clone()
}

/// Everything was delivered once and in order, and the figures fit to each other.
fn assert_whole(figures: &Value, messages: u64, each: u64) {
    let counts = &figures["messages"];
    assert_eq!(counts["published"], messages, "{figures}");
    for field in ["expected", "delivered"] {
        assert_eq!(counts[field], messages * each, "{figures}");
    }
    for field in ["lost", "doubled", "out_of_order", "refused", "closed"] {
        assert_eq!(counts[field], 0, "{figures}");
    }
    let latency = &figures["latency_us"];
    let percentiles = ["p50", "p90", "p99", "p999", "max"].map(|name| latency[name].as_u64().unwrap());
    assert!(percentiles.is_sorted(), "{latency}");
    let over_time = figures["over_time"]["counts"].as_array().unwrap();
    let counted: u64 = over_time.iter().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(counted, latency["count"].as_u64().unwrap(), "each delivery has a latency and a moment");
    let rate = figures["count"].as_f64().unwrap() / figures["seconds"].as_f64().unwrap();
    assert!((rate / figures["per_second"].as_f64().unwrap() - 1.0).abs() < 1e-6);
}

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

#[test]
fn without_a_mode_there_is_one_table_and_a_picture_of_everything() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let mut command = bench(&["--clients", "20", "--messages", "60"]);
    command.arg("--svg").arg(file("bench.svg")).arg("--json").arg(file("bench.json"));
    let output = command.output().unwrap();
    succeed(&output);
    let table = String::from_utf8(output.stdout).unwrap();
    for title in ["fan-out", "to one", "connect", "idle", "durable", "mixed"] {
        assert_eq!(
            table.lines().filter(|line| line.starts_with(&format!("{title}: "))).count(),
            1,
            "{table}"
        );
    }
    assert!(table.contains("none lost, none doubled, none out of order"), "{table}");
    let report: Value = serde_json::from_slice(&std::fs::read(file("bench.json")).unwrap()).unwrap();
    let works = report["works"].as_array().unwrap();
    let with_latency = works.iter().filter(|work| work["server"]["latency_us"].is_object()).count();
    assert_well_formed(&std::fs::read_to_string(file("bench.svg")).unwrap(), with_latency);
}

/// Every tag is closed in turn, and there are as many panels as should be.
fn assert_well_formed(svg: &str, panels: usize) {
    let mut open = Vec::new();
    let mut groups = 0;
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a stray > in {}", &rest[..start]);
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        match tag {
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "{tag}"),
            _ if tag.ends_with('/') => {}
            _ => open.push(name),
        }
        groups += usize::from(tag.starts_with("g "));
        assert!(!tag.contains("NaN") && !tag.contains("inf"), "{tag}");
        rest = &rest[end + 1..];
    }
    assert_eq!((open.len(), groups), (0, panels));
}

#[test]
fn another_server_is_loaded_with_its_key_and_its_secret() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--api-key", "K", "--shared-secret", "S"]);
    let (url, connect) = (format!("http://{}", server.address("http")), server.address("listen"));
    let (frame, process) = (server.address("frame"), server.child.id().to_string());
    let to = ["--url", &url, "--connect", connect, "--frame", frame, "--shared-secret", "S"];
    let load = ["to-one", "--clients", "5", "--messages", "50", "--api-key", "K", "--pid", &process];
    for work in works(&[&load[..], &to].concat()) {
        assert_whole(&work["server"], 50, 1);
        assert!(work["server"]["cpu_seconds"].is_number());
        assert!(work["store"].is_null());
    }
    let refused = bench(&["fan-out", "--clients", "2", "--messages", "5"]).args(to).output().unwrap();
    let line = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(line.contains("401"), "{line}");
}

/// What is done to the frames on their way.
type Change = fn(&mut Vec<Vec<u8>>);

/// Stands between one client and a raw door and hands on the frames that `change` gives for all of them.
fn meddle(door: SocketAddr, frames: usize, change: Change) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = BufReader::new(TcpStream::connect(door).unwrap());
        let mut came = Vec::new();
        for _ in 0..frames {
            let mut frame = Vec::new();
            server.read_until(b'|', &mut frame).unwrap();
            came.push(frame);
        }
        change(&mut came);
        client.write_all(&came.concat()).unwrap();
        // Until the bench has gone.
        let _ = client.read(&mut [0]);
    });
    address
}

#[test]
fn what_is_lost_doubled_or_out_of_order_is_counted_and_ends_with_code_1() {
    const MESSAGES: usize = 20;
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let door = server.address("listen").parse().unwrap();
    let faults: [(&str, Change); 3] = [
        ("lost", |frames| drop(frames.remove(4))),
        ("doubled", |frames| frames.insert(9, frames[3].clone())),
        ("out_of_order", |frames| frames.swap(11, 12)),
    ];
    for (fault, change) in faults {
        let connect = meddle(door, MESSAGES, change).to_string();
        let url = format!("http://{}", server.address("http"));
        let load = ["fan-out", "--clients", "1", "--messages", "20", "--window", "20"];
        let to = ["--url", &url, "--connect", &connect, "--json", "-"];
        let output = bench(&[&load[..], &to].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let counts = &report["works"][0]["server"]["messages"];
        for field in ["lost", "doubled", "out_of_order"] {
            assert_eq!(counts[field], u64::from(field == fault), "{fault}: {counts}");
        }
        let line = String::from_utf8(output.stderr).unwrap();
        assert!(line.contains(&format!("1 {}", fault.replace('_', " "))), "{line}");
    }
}

#[test]
fn a_paced_message_is_late_by_all_the_time_since_the_moment_it_was_meant_for() {
    const MESSAGES: u64 = 20;
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    // Everything is held back until the last has gone, so the first is late by the length of the load at least.
    let connect = meddle(server.address("listen").parse().unwrap(), MESSAGES as usize, |_| {}).to_string();
    let url = format!("http://{}", server.address("http"));
    let load = ["fan-out", "--clients", "1", "--messages", "20", "--rate", "200", "--size", "4096"];
    let work = &works(&[&load[..], &["--url", &url, "--connect", &connect]].concat())[0];
    assert_whole(&work["server"], MESSAGES, 1);
    assert_eq!((&work["rate"], &work["size"]), (&200.0.into(), &4096.into()));
    let between = 1_000_000 / 200;
    assert!(work["server"]["latency_us"]["max"].as_u64().unwrap() >= between * (MESSAGES - 1), "{work}");
}

/// The servers that a bench has started, and that live.
fn children(bench: &Child) -> Vec<u32> {
    let path = format!("/proc/{0}/task/{0}/children", bench.id());
    let children = std::fs::read_to_string(path).unwrap_or_default();
    children.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

/// The state and the used processor time of a process; nothing if there is none.
fn standing(process: u32) -> Option<(char, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat[stat.rfind(')')? + 2..].split(' ').collect();
    Some((fields[0].chars().next()?, fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?))
}

fn is_gone(process: u32) -> bool {
    standing(process).is_none_or(|(state, _)| matches!(state, 'Z' | 'X'))
}

/// A bench that would run for ten minutes, and its server, which is under load.
fn long_bench(report: &Path) -> (Child, u32) {
    let load = ["fan-out", "--clients", "50", "--seconds", "600", "--json"];
    let child = bench(&load).arg(report).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let server = until(|| children(&child).first().copied());
    // In hundredths of a second: more than it takes to start.
    until(|| standing(server).is_some_and(|(_, used)| used > 50).then_some(()));
    (child, server)
}

#[test]
fn a_signal_ends_a_run_with_the_report_so_far_and_its_server_too() {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("bench.json");
    let (child, server) = long_bench(&report);
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    succeed(&child.wait_with_output().unwrap());
    assert!(is_gone(server));
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["complete"], false);
    let figures = &report["works"][0]["server"];
    let published = figures["messages"]["published"].as_u64().unwrap();
    assert!(published > 0);
    assert_whole(figures, published, 50);
}

#[test]
fn a_bench_that_is_killed_leaves_no_server_behind() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, server) = long_bench(&directory.path().join("bench.json"));
    child.kill().unwrap();
    child.wait().unwrap();
    until(|| is_gone(server).then_some(()));
}

#[test]
fn what_cannot_be_is_refused_with_what_would_be_right() {
    for (arguments, right) in [
        (&["fan-out", "--url", "localhost"][..], "http://"),
        (&["fan-out", "--clients", "1000000"], "ulimit -n"),
        (&["mixed", "--clients", "1"], "at least 2"),
        (&["to-one", "--door", "sse"], "give another"),
        (&["fan-out", "--rate", "0"], "above 0"),
        (&["fan-out", "--size", "3"], "27"),
        (&["fan-out", "--rate", "5", "--window", "5"], "cannot be used with"),
    ] {
        let output = bench(arguments).output().unwrap();
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert!(line.contains(right), "{arguments:?}: {line}");
    }
}
