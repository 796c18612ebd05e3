//! Counting instructions: this program once more, under Valgrind.

use std::path::PathBuf;
use std::process::Command;

use crate::WATCHED;

/// Rounds of the shorter and of the longer run. What both have, which is the start and the end, falls out of the
/// difference.
const ROUNDS: (usize, usize) = (32, 96);

pub(crate) struct Counter {
    program: PathBuf,
}

/// Something that counts, or why nothing does.
pub(crate) fn counter() -> Result<Counter, String> {
    if cfg!(debug_assertions) {
        return Err("the build is not optimised, see --release".to_owned());
    }
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) if output.status.success() => {
            Ok(Counter { program: std::env::current_exe().map_err(|fault| fault.to_string())? })
        }
        _ => Err("there is no valgrind; scripts/test installs it".to_owned()),
    }
}

impl Counter {
    /// Instructions of each of a part's operations, of all threads together, without what the kernel does.
    pub(crate) fn count(&self, part: usize, each: usize) -> u64 {
        let [short, long] = [ROUNDS.0, ROUNDS.1].map(|rounds| self.total(part, rounds));
        long.saturating_sub(short) / ((ROUNDS.1 - ROUNDS.0) * each) as u64
    }

    fn total(&self, part: usize, rounds: usize) -> u64 {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            // Without it a thread that asks again and again may keep the others from their turn.
            .arg("--fair-sched=yes")
            .arg(&self.program)
            .args([WATCHED, &part.to_string(), &rounds.to_string()])
            .output()
            .expect("there is a valgrind");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let collected = told.lines().find_map(|line| line.split_once("Collected :"));
        collected.and_then(|(_, count)| count.trim().parse().ok()).expect("callgrind tells a total")
    }
}
