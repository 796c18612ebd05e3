//! The power goes at any moment: what was answered is there, once and in order.
//!
//! A store does its work under `strace`, which writes down what it asks of the filesystem, byte by byte. From that
//! come directories as a power cut could have left them at any point: what was not synced is there, or not, or a
//! part of it, or in another order, and so is each name in a directory that was not synced. The real store opens
//! each of them, the files of its engine included.
//!
//! `POWER_CUTS=20000 POWER_CUTS_SEED=7 cargo test -p msgserver-persistence --test power_cuts` looks at more.
#![cfg(all(feature = "disk", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

use std::path::Path;
use std::process::Command;

#[path = "power_cuts/answers.rs"]
mod answers;
#[path = "power_cuts/disk.rs"]
mod disk;
#[path = "power_cuts/trace.rs"]
mod trace;
#[path = "power_cuts/work.rs"]
mod work;

/// Small numbers in an order that a seed names.
pub(crate) struct Dice(u64);

impl Dice {
    /// Less than `sides`.
    pub(crate) fn throw(&mut self, sides: usize) -> usize {
        // SplitMix64: short, and the same everywhere.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % sides as u64) as usize
    }
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// What a store asks of the filesystem while it works in `directory`.
fn record(directory: &Path) -> Vec<trace::Call> {
    let log = directory.join("trace");
    let status = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "16777216", "--seccomp-bpf", "-e", trace::CALLS, "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "the_work_that_is_recorded", "--ignored"])
        .env("POWER_CUTS_DIRECTORY", directory)
        .status()
        .expect("strace has to be installed for this test");
    assert!(status.success(), "the recorded work failed: {status}");
    trace::read(&std::fs::read(log).unwrap())
}

#[test]
#[ignore = "it is started by the test below, under strace"]
fn the_work_that_is_recorded() {
    work::run(Path::new(&std::env::var_os("POWER_CUTS_DIRECTORY").unwrap()));
}

#[test]
fn whatever_a_power_cut_leaves_has_what_was_answered() {
    let (cuts, seed) = (from_environment("POWER_CUTS", 300), from_environment("POWER_CUTS_SEED", 1));
    let recorded = tempfile::tempdir().unwrap();
    let calls = record(recorded.path());
    let mut dice = Dice(seed);
    let mut at: Vec<usize> = (0..cuts).map(|_| dice.throw(calls.len() + 1)).collect();
    at.sort_unstable();
    let root = recorded.path().join("data");
    let mut disk = disk::Disk::new(recorded.path());
    let mut answers = answers::Answers::new(recorded.path());
    let mut calls = calls.into_iter().enumerate().peekable();
    let mut opened = 0;
    for cut in at {
        while let Some((_, call)) = calls.next_if(|(number, _)| *number < cut) {
            answers.hear(&call);
            disk.take(call);
        }
        let left = tempfile::tempdir().unwrap();
        let what = disk.cut(&root, &left.path().join("data"), &mut dice);
        opened += u32::from(
            answers.check(&left.path().join("data"), &format!("seed {seed}, cut at {cut}, {what}")),
        );
    }
    assert!(opened > cuts as u32 / 2, "only {opened} of {cuts} cuts were after the first answer");
}
