//! A receiver that nobody compiled: the one that the document shows.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver as Lines};

use serde_json::Value;

use crate::support::PATIENCE;

/// A script of Python that receives webhooks, and what it prints.
pub(crate) struct Script {
    child: Child,
    pub(crate) port: u16,
    pub(crate) lines: Lines<Value>,
}

impl Script {
    pub(crate) fn start(directory: &Path, code: &str, secret: &str) -> Self {
        let path = directory.join("receiver.py");
        std::fs::write(&path, code).unwrap();
        let mut child = Command::new("python3")
            .args([path.to_str().unwrap(), "0"])
            .env("WEBHOOK_SECRET", secret)
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
        let port = said.trim().strip_prefix("listening on port ").unwrap_or_else(|| panic!("{said}"));
        let port = port.parse().unwrap();
        let (tell, lines) = mpsc::channel();
        let printed = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            printed.map_while(Result::ok).try_for_each(|line| tell.send(serde_json::from_str(&line).unwrap()))
        });
        Self { child, port, lines }
    }

    /// Waits for a step of a message; gives all that were told of it until then.
    pub(crate) fn steps_until(&self, told: &mut Vec<Value>, id: &str, state: &str) -> Vec<Value> {
        let of_it = |told: &[Value]| told.iter().filter(|step| step["id"] == id).cloned().collect::<Vec<_>>();
        while !of_it(told).iter().any(|step| step["state"] == state) {
            told.push(
                self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {state} of {id}: {told:?}")),
            );
        }
        of_it(told)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The receiver that the document shows.
pub(crate) fn documented() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/webhooks.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (_, code) = document.split_once("```python\n").unwrap();
    code.split_once("```").unwrap().0.to_owned()
}
