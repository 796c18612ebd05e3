//! What goes wrong on the way is found.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::Value;

use crate::support::Server;
use crate::{assert_whole, bench, works};

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
