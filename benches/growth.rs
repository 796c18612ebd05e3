//! What a message to one user costs as more users are known, in process with the store in memory: processor time and
//! instructions of a message, memory of a user.
//!
//! `cargo bench -p msgserver-benches --bench growth -- [USERS]…`; 1,000 to 1,000,000 unless said. Each row is a process
//! of its own. Instructions are counted by Valgrind, if it is there; with a million users that takes minutes.

use std::process::Command;
use std::sync::Arc;

use msgserver::{MemoryStore, Publication, Server};
use msgserver_benches::{content, users};
use msgserver_message::{Message, UserId};
use msgserver_persistence::{Append, Store};
use tokio::runtime::{Builder, Runtime};

const KNOWN: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Messages of which the processor time is taken, and of which the instructions are counted.
const TIMED: usize = 200_000;
const COUNTED: usize = 2_000;

/// What a child is told: to measure so many users, or to be counted by Valgrind.
const TIME: &str = "time";
const COUNT: &str = "count";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match &arguments[..] {
        [what, known] if what == TIME || what == COUNT => {
            child(what == COUNT, known.parse().expect("a number"))
        }
        _ => {
            let said: Vec<usize> = arguments.iter().filter_map(|known| known.parse().ok()).collect();
            let known = if said.is_empty() { KNOWN.to_vec() } else { said };
            println!(
                "{:>12} {:>12} {:>14} {:>14}",
                "users known", "bytes a user", "µs a message", "instructions"
            );
            known.into_iter().for_each(row);
        }
    }
}

fn row(known: usize) {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(&program).args([TIME, &known.to_string()]).output().expect("this program");
    assert!(output.status.success(), "{output:?}");
    let timed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let counted = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--instr-atstart=no",
            "--fair-sched=yes",
        ])
        .arg(&program)
        .args([COUNT, &known.to_string()])
        .output();
    let instructions = counted.ok().and_then(|output| {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let collected = told.lines().find_map(|line| line.split_once("Collected :"))?.1.trim().to_owned();
        collected.parse::<usize>().ok()
    });
    let instructions = instructions.map_or_else(|| "-".to_owned(), |count| (count / COUNTED).to_string());
    println!("{known:>12} {timed} {instructions:>14}");
}

fn child(is_counted: bool, known: usize) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let users = users(known);
    let before = anonymous_bytes();
    let store = Arc::new(MemoryStore::new());
    make_known(&runtime, &*store, &users);
    let each = anonymous_bytes().saturating_sub(before) / known as u64;
    let server = {
        let _in_runtime = runtime.enter();
        Server::builder().shared_store(store).build().expect("the defaults fit")
    };
    let publish = |count: usize| {
        let sender = server.sender();
        runtime.block_on(async {
            for n in 0..count {
                // Neighbours are not next to each other in the tables.
                let user = users[n * 7919 % known].clone();
                sender.publish(Publication::new(user, content(128))).await.expect("it is taken");
            }
        });
    };
    if is_counted {
        publish(64);
        instrument("on");
        publish(COUNTED);
        instrument("off");
        std::process::exit(0);
    }
    let began = cpu_seconds();
    publish(TIMED);
    println!("{each:>12} {:>14.2}", (cpu_seconds() - began) * 1e6 / TIMED as f64);
    std::process::exit(0);
}

/// A message for each.
fn make_known(runtime: &Runtime, store: &dyn Store, users: &[UserId]) {
    for users in users.chunks(1000) {
        let append = |user| Append::new(Arc::new(Message::new(content(128))), std::slice::from_ref(user));
        let kept = runtime.block_on(store.append(users.iter().map(append).collect()));
        assert!(kept.iter().all(Result::is_ok), "{kept:?}");
    }
}

/// Has Valgrind begin or end to count.
fn instrument(state: &str) {
    let own = std::process::id().to_string();
    let status =
        Command::new("callgrind_control").args(["-i", state, &own]).output().expect("it is Valgrind's");
    assert!(status.status.success(), "{status:?}");
}

fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux");
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit_once(") ").expect("Linux").1.split(' ').skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}
