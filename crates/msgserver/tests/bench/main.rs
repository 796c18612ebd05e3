//! `msgserver bench` on the real binary: what it reports is what happened.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod ends;
mod faults;
mod loads;
mod other_server;
mod report;
#[path = "../support/mod.rs"]
mod support;
mod under_tls;

use std::process::{Command, Output, Stdio};

use serde_json::Value;

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
        (&["mixed", "--peer", "redis"], "to-one"),
        (&["fan-out", "--tls", "--door", "encrypted"], "give another door"),
        (&["fan-out", "--url", "http://localhost", "--ca", "ca.pem"], "https://"),
        (&["fan-out", "--url", "https://localhost", "--tls"], "cannot be used with"),
    ] {
        let output = bench(arguments).output().unwrap();
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert!(line.contains(right), "{arguments:?}: {line}");
    }
}
