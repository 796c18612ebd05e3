//! What a process has used, as the system counts it.

use std::fs;

/// A process that is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(u32);

impl Process {
    pub(super) const fn new(id: u32) -> Self {
        Self(id)
    }

    /// This program itself.
    pub(super) fn own() -> Self {
        Self(std::process::id())
    }

    /// Seconds of processor time of all its threads, those that have ended too. The system counts in hundredths.
    pub(super) fn cpu_seconds(self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        // The name may have spaces and parentheses in it; behind its end, time in programs and in the system are the
        // 12th and 13th.
        let fields = &stat[stat.rfind(')')? + 1..];
        let ticks: Vec<f64> = fields.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
        let [user, system] = ticks[..] else { return None };
        Some((user + system) / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Bytes of memory that are neither shared nor a file's.
    pub(super) fn memory(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| 1024 * kilobytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something_and_none_has_no_figures() {
        assert!(Process::own().memory().unwrap() > 4096);
        assert!(Process::own().cpu_seconds().is_some());
        let nobody = Process::new(u32::MAX);
        assert_eq!((nobody.cpu_seconds(), nobody.memory()), (None, None));
    }
}
