//! A run that ends before it is through.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::until;
use crate::{assert_whole, bench, succeed};

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
