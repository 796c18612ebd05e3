//! A Redis server of a test's own.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::until;

#[path = "../../../persistence/tests/suite/redis/mending.rs"]
mod mending;

/// A Redis server that syncs before it answers, and ends with the test.
pub struct Redis {
    process: Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl Redis {
    pub fn start() -> Self {
        loop {
            // Free a moment ago: should somebody else take it meanwhile, Redis ends and another is tried.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let directory = tempfile::tempdir().unwrap();
            let mut redis = Self { process: Self::spawn(&directory, port), directory, port };
            if redis.is_up() {
                return redis;
            }
        }
    }

    fn spawn(directory: &tempfile::TempDir, port: u16) -> Child {
        Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server has to be installed")
    }

    fn is_up(&mut self) -> bool {
        until(|| {
            let ended = self.process.try_wait().unwrap().is_some();
            let answers = !ended && TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            (ended || answers).then_some(answers)
        })
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again on what it had written, as docs/delivery.md says.
    pub fn start_again(&mut self) {
        mending::mend(self.directory.path());
        self.process = Self::spawn(&self.directory, self.port);
        assert!(self.is_up(), "redis-server ended");
    }

    /// How many bytes it has been sent and has not read.
    pub fn unread(&self) -> u64 {
        let own = format!(":{:04X}", self.port);
        let unread = |line: &str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let queues = fields[4].split_once(':').filter(|_| fields[1].ends_with(&own));
            queues.map(|(_, unread)| u64::from_str_radix(unread, 16).unwrap())
        };
        std::fs::read_to_string("/proc/net/tcp").unwrap().lines().skip(1).filter_map(unread).sum()
    }

    /// Makes it stand still, or go on.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(name).arg(self.process.id().to_string()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
