//! Clients that nobody here wrote, as processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A client process: what it prints, and what it is told.
pub struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// A Python that has what scripts/test installs.
pub fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("venv").join("bin/python");
    if own.exists() { own } else { "python3".into() }
}

impl Client {
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_owned();
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|fault| panic!("{name:?}: {fault}; scripts/test installs it"));
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { input: child.stdin.take(), child, output }
    }

    /// The WebSocket client of the Python library `websockets`.
    pub fn websocket(url: &str, subprotocol: &str, headers: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/websocket_client.py");
        Self::start(Command::new(python()).args([script, url, subprotocol]).args(headers))
    }

    /// The MQTT client of the Python library `paho-mqtt`.
    pub fn paho(address: &str, version: &str, user: &str, client_id: &str, options: &Value) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/mqtt_client.py");
        let options = options.to_string();
        Self::start(Command::new(python()).args([script, address, version, user, client_id, &options]))
    }

    /// curl, which shows the head of the answer as well, and gives up in the end.
    pub fn curl(arguments: &[&str]) -> Self {
        Self::start(
            Command::new("curl")
                .args(["--silent", "--no-buffer", "--include", "--max-time", "60"])
                .args(arguments),
        )
    }

    /// The next line that it prints; nothing at its end.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.output.read_line(&mut line).unwrap() > 0).then(|| line.trim_end().to_owned())
    }

    /// The next line, which is JSON.
    pub fn json(&mut self) -> Value {
        let line = self.line().expect("the client goes on");
        serde_json::from_str(&line).unwrap_or_else(|fault| panic!("{line}: {fault}"))
    }

    /// The next line that begins so.
    pub fn line_with(&mut self, start: &str) -> String {
        loop {
            let line = self.line().unwrap_or_else(|| panic!("no line begins with {start}"));
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// The next object that has this field; others are passed over.
    pub fn json_with(&mut self, field: &str) -> Value {
        loop {
            let object = self.json();
            if object.get(field).is_some() {
                return object;
            }
        }
    }

    /// Reads until this was printed, whether the line has an end or not.
    pub fn read_until(&mut self, part: &str) {
        let mut printed = Vec::new();
        while !printed.ends_with(part.as_bytes()) {
            let mut byte = [0];
            self.output
                .read_exact(&mut byte)
                .unwrap_or_else(|fault| panic!("{part} is not printed: {fault}"));
            printed.push(byte[0]);
        }
    }

    /// Writes bytes to its input as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("its input is open");
        input.write_all(bytes).and_then(|()| input.flush()).unwrap();
    }

    /// Tells it that nothing more comes.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    pub fn tell(&mut self, what: impl ToString) {
        writeln!(self.input.as_mut().unwrap(), "{}", what.to_string()).unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
