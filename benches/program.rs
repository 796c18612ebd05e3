//! The real program under load.
#![allow(dead_code, reason = "each bench uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The real program, as a process of its own.
pub(crate) struct Server {
    child: Child,
    pub(crate) http: String,
    pub(crate) frame: String,
    /// Seconds until its doors were open.
    pub(crate) took: f64,
}

impl Server {
    /// Starts what `cargo build --release` has made, or `MSGSERVER`, with its data in `directory`.
    pub(crate) fn start(directory: &Path, flags: &[&str]) -> Self {
        let ready = directory.join("ready");
        let _ = std::fs::remove_file(&ready);
        let program = std::env::var_os("MSGSERVER").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/msgserver"),
            PathBuf::from,
        );
        let began = Instant::now();
        let child = Command::new(&program)
            .args(["serve", "--listen", "off", "--frame", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(["--log-level", "error"])
            .args(flags)
            .arg("--data-dir")
            .arg(directory.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`cargo build --release` makes it");
        let doors: Value = loop {
            if let Ok(text) = std::fs::read(&ready) {
                break serde_json::from_slice(&text).expect("it is written whole");
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let took = began.elapsed().as_secs_f64();
        let door = |name: &str| doors[name].as_str().expect("it is open").to_owned();
        Self { child, http: door("http"), frame: door("frame"), took }
    }

    /// Memory of its own, in KiB.
    pub(crate) fn anonymous_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse().ok()).expect("Linux")
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    pub(crate) fn stop(mut self) {
        let pid = self.child.id().to_string();
        Command::new("kill").arg(pid).status().expect("there is kill");
        assert!(self.child.wait().expect("it ends").success());
    }
}
