//! A server of a test's own, from the real binary, and its clients written out by hand.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses a part; a test that meets an error has to end"
)]

mod application;
pub mod authority;
mod browser;
mod clients;
mod document;
mod http;
pub mod mqtt;
mod redis;
mod stream;
pub mod tokens;

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use authority::Authority;
use serde_json::{Value, json};

pub use self::redis::Redis;
pub use application::Application;
pub use browser::{Browser, Console};
pub use clients::{Client, python};
pub use document::{blocks, document};
pub use http::{Answer, Http};
pub use stream::{Stream, Tls, Way};

/// Long enough for the slowest machine; nothing passes by waiting for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Server {
    pub child: Child,
    pub doors: Value,
    directory: PathBuf,
    key: Option<String>,
    /// Who vouches for it, if it speaks TLS.
    authority: Option<Authority>,
}

impl Server {
    /// A server whose data, ready file and log are in `directory`.
    pub fn start(directory: &Path, flags: &[&str]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_msgserver")), directory, flags)
    }

    /// As [`Server::start`], with TLS on every door.
    pub fn start_within_tls(directory: &Path, flags: &[&str]) -> Self {
        let authority = Authority::new(directory);
        let [certificate, key] = authority.server();
        let tls = ["--tls-cert", &certificate, "--tls-key", &key];
        let mut server = Self::start(directory, &[&tls, flags].concat());
        server.authority = Some(authority);
        server
    }

    /// As [`Server::start`], under what `ulimit` is told.
    pub fn start_under(ulimit: &str, directory: &Path, flags: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit {ulimit} && exec \"$0\" \"$@\""));
        shell.arg(env!("CARGO_BIN_EXE_msgserver"));
        Self::spawn(shell, directory, flags)
    }

    fn spawn(mut command: Command, directory: &Path, flags: &[&str]) -> Self {
        let doors = ["--listen", "--frame", "--http"].into_iter().filter(|door| !flags.contains(door));
        command.arg("serve").args(doors.flat_map(|door| [door, "127.0.0.1:0"])).args(flags);
        let key = flags.iter().skip_while(|flag| **flag != "--api-key").nth(1).map(|key| (*key).to_owned());
        let mut server = Self::run(command, directory);
        server.key = key;
        server
    }

    /// A server of a whole command, but for where its data, ready file and log are.
    pub fn run(mut command: Command, directory: &Path) -> Self {
        let ready = directory.join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let log = File::options().create(true).append(true).open(directory.join("log")).unwrap();
        let mut child = command
            .arg("--data-dir")
            .arg(directory.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .stderr(log)
            .spawn()
            .unwrap();
        let doors = until(|| {
            assert!(child.try_wait().unwrap().is_none(), "the server ended");
            std::fs::read(&ready).ok().map(|json| serde_json::from_slice(&json).unwrap())
        });
        Self { child, doors, directory: directory.to_owned(), key: None, authority: None }
    }

    /// What it and its predecessors in this directory have written to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap()
    }

    /// Its memory that is neither shared nor a file's, in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    }

    /// How many file descriptors it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub fn address(&self, door: &str) -> &str {
        self.doors[door].as_str().unwrap()
    }

    pub fn connect(&self, door: &str) -> TcpStream {
        let socket = TcpStream::connect(self.address(door)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Where a door is, and with whom TLS is spoken there, if it is.
    pub fn way(&self, door: &str) -> Way {
        let tls = self.authority.as_ref().map(|authority| authority.config(None));
        Way { address: self.address(door).to_owned(), tls }
    }

    /// A connection to a door, within TLS if the server speaks it.
    pub fn dial(&self, door: &str) -> Stream {
        self.way(door).connect().unwrap()
    }

    /// Who vouches for a server with TLS on every door.
    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("it was started within TLS")
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<String>,
    ) -> (u16, String) {
        let mut http = Http::by(&self.way("http")).unwrap().with_key(Some(key.unwrap_or("none")));
        let answer = http.request(method, path, &body.unwrap_or_default()).unwrap();
        (answer.status, answer.body)
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, String) {
        self.request("POST", path, None, Some(body.to_string()))
    }

    pub fn http(&self) -> Http {
        Http::by(&self.way("http")).unwrap().with_key(self.key.as_deref())
    }

    /// Waits until the store knows that a user has no connected device.
    pub fn wait_until_away(&self, user: &str) {
        let mut http = self.http();
        until(|| {
            let user = http.get(&format!("/v1/users/{user}"));
            let devices = user["devices"].as_array().unwrap();
            devices.iter().all(|device| device["connected"] == false).then_some(())
        });
    }

    pub fn stats(&self) -> Value {
        serde_json::from_str(&self.request("GET", "/v1/stats", self.key.as_deref(), None).1).unwrap()
    }

    pub fn wait_for(&self, figure: &str, value: u64) {
        until(|| (self.stats()[figure] == value).then_some(()));
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn until<T>(mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "it did not come to pass");
        // Between two looks, so that the server gets the processor.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Does something at the end of a scope, also when an assertion ends it: else its threads would go on.
pub struct AtEnd<F: Fn()>(pub F);

impl<F: Fn()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The next frame of the default protocol, without its `|` and without keepalives.
pub fn next_bar(socket: &mut impl BufRead) -> io::Result<String> {
    let mut frame = Vec::new();
    socket.read_until(b'|', &mut frame)?;
    if frame.pop() != Some(b'|') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8(frame).unwrap().trim_matches('\0').to_owned())
}

pub fn bar(socket: &mut impl BufRead) -> String {
    next_bar(socket).unwrap()
}

pub fn put_frame(socket: &mut impl Write, frame: &Value) -> io::Result<()> {
    let json = frame.to_string();
    let length = (json.len() as u32).to_be_bytes();
    socket.write_all(&[&length, json.as_bytes()].concat())
}

pub fn write_frame(socket: &mut impl Write, frame: &Value) {
    put_frame(socket, frame).unwrap();
}

pub fn next_frame(socket: &mut impl Read) -> io::Result<Value> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let mut json = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut json)?;
    Ok(serde_json::from_slice(&json).unwrap())
}

pub fn read_frame(socket: &mut impl Read) -> Value {
    next_frame(socket).unwrap()
}

pub fn hello(server: &Server, user: &str, device: &str) -> (TcpStream, Value) {
    let mut socket = server.connect("frame");
    write_frame(&mut socket, &json!({"type": "hello", "user": user, "device": device, "new": 1}));
    let welcome = read_frame(&mut socket);
    assert_eq!(welcome["type"], "welcome");
    (socket, welcome)
}

/// Acknowledges, and waits until the server has heard it.
pub fn acknowledge(socket: &mut TcpStream, seq: u64) {
    write_frame(socket, &json!({"type": "ack", "seq": seq}));
    assert_no_more(socket);
}

/// Nothing more was sent so far: the answer to a ping is the next frame.
pub fn assert_no_more(socket: &mut TcpStream) {
    write_frame(socket, &json!({"type": "ping"}));
    assert_eq!(read_frame(socket)["type"], "pong");
}

/// The contents of the next messages.
pub fn contents(socket: &mut impl Read, count: usize) -> Vec<Value> {
    let next = |_| {
        let frame = read_frame(socket);
        assert_eq!(frame["type"], "message", "{frame}");
        frame["content"].clone()
    };
    (0..count).map(next).collect()
}
