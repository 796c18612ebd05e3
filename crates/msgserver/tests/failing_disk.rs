//! A server whose disk fails, or turns read-only: what is new is refused, all else goes on, and nothing that was
//! answered is lost.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::{Http, Server, acknowledge, contents, hello, read_frame, until, write_frame};

/// What waits for Ada, who takes one message at a time.
const WAITING: u64 = 5;

fn to(user: &str, text: &str) -> Value {
    json!({"to": {"user": user}, "content": text})
}

/// A server with something for Bob, who is away, and Ada, who has been sent the first of what waits for her.
fn with_messages(directory: &Path) -> (Server, TcpStream) {
    let server = Server::start(directory, &["--sessions-window", "1", "--sessions-ack-timeout", "1h"]);
    let mut http = server.http();
    http.publish_all((0..WAITING).map(|n| to("ada", &format!("waiting {n}"))));
    http.publish(&to("bob", "before"));
    let (mut ada, _) = hello(&server, "ada", "phone");
    assert_eq!(contents(&mut ada, 1), ["waiting 0"]);
    (server, ada)
}

/// Nothing new is taken, over any door; who is there is served from what was kept before.
fn assert_refuses(server: &Server, ada: &mut TcpStream, says: &str) {
    let mut http = server.http();
    // What was on its way when the fault began may have been taken before.
    let refused = until(|| Some(publish(&mut http, "refused")).filter(|answer| answer.status != 202));
    refused.assert_problem(503);
    assert!(refused.body.contains(says), "{}", refused.body);
    let batch =
        http.post("/v1/messages/batch", &json!([to("bob", "refused"), to("carol", "refused")])).unwrap();
    for result in serde_json::from_str::<Value>(&batch.body).unwrap().as_array().unwrap() {
        assert_eq!(result["status"], 503, "{result}");
    }
    let ready = http.request("GET", "/readyz", "").unwrap();
    assert_eq!(ready.status, 503, "{ready:?}");
    assert_eq!(http.request("GET", "/healthz", "").unwrap().status, 200);

    write_frame(ada, &json!({"type": "publish", "ref": 1, "message": to("bob", "refused")}));
    assert_eq!(read_frame(ada)["code"], "unavailable");
    http.publish(&json!({"to": {"all": true}, "content": "a notice"}));
    assert_eq!(read_frame(ada)["content"], "a notice");
    for seq in 1..WAITING {
        acknowledge_one(ada, seq);
        assert_eq!(read_frame(ada)["content"], format!("waiting {seq}"));
    }
}

fn publish(http: &mut Http, text: &str) -> support::Answer {
    http.post("/v1/messages", &to("bob", text)).unwrap()
}

fn acknowledge_one(ada: &mut TcpStream, seq: u64) {
    write_frame(ada, &json!({"type": "ack", "seq": seq}));
}

/// Each sync of a server's disk fails, as long as it lives.
struct FailingSyncs(Child);

impl FailingSyncs {
    fn begin(server: &Server) -> Self {
        let mut strace = Command::new("strace")
            .args(["-f", "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO"])
            .args(["-o", "/dev/null", "-p", &server.child.id().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace has to be installed");
        let mut line = String::new();
        BufReader::new(strace.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("attached"), "{line}");
        Self(strace)
    }
}

impl Drop for FailingSyncs {
    fn drop(&mut self) {
        // It lets go of the server before it ends.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

#[test]
fn a_disk_that_fails_refuses_what_is_new_until_it_is_well_again() {
    let directory = tempfile::tempdir().unwrap();
    let (server, mut ada) = with_messages(directory.path());
    let mut kept = vec![json!("before")];
    for round in 0..3 {
        let failing = FailingSyncs::begin(&server);
        if round == 0 {
            assert_refuses(&server, &mut ada, "Input/output error");
        } else {
            let mut http = server.http();
            until(|| (publish(&mut http, "refused").status == 503).then_some(()));
        }
        drop(failing);
        let text = format!("after {round}");
        let mut http = server.http();
        until(|| (publish(&mut http, &text).status == 202).then_some(()));
        until(|| (http.request("GET", "/readyz", "").unwrap().status == 200).then_some(()));
        kept.push(json!(text));
    }
    acknowledge(&mut ada, WAITING);
    drop(server);

    let server = Server::start(directory.path(), &[]);
    let (mut bob, _) = hello(&server, "bob", "phone");
    assert_eq!(contents(&mut bob, kept.len()), kept);
    // What was acknowledged meanwhile is safe with what was published after it.
    let (mut ada, _) = hello(&server, "ada", "phone");
    server.http().publish(&to("ada", "the next"));
    let next = until(|| Some(read_frame(&mut ada)).filter(|frame| frame["seq"].as_u64() > Some(WAITING)));
    assert_eq!(next["content"], "the next");
}

/// An ext4 of its own, which turns read-only when it has met an error.
struct Ext4 {
    image: PathBuf,
    place: PathBuf,
}

impl Ext4 {
    fn make(directory: &Path) -> Self {
        let disk = Self { image: directory.join("image"), place: directory.join("data") };
        File::create(&disk.image).unwrap().set_len(64 << 20).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg(&disk.image));
        fs::create_dir(&disk.place).unwrap();
        disk.mount();
        disk
    }

    fn mount(&self) {
        run(Command::new("mount").args(["-o", "loop,errors=remount-ro"]).arg(&self.image).arg(&self.place));
    }

    fn unmount(&self) {
        run(Command::new("umount").arg(&self.place));
    }

    fn meet_an_error(&self) {
        let source = Command::new("findmnt").args(["-no", "SOURCE"]).arg(&self.place).output().unwrap();
        let device = String::from_utf8(source.stdout).unwrap();
        let device = Path::new(device.trim()).file_name().unwrap();
        fs::write(Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error"), "a test").unwrap();
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--quiet", "--lazy"]).arg(&self.place).status();
    }
}

fn run(command: &mut Command) {
    let done = command.status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "{command:?}: this test has to be allowed to mount an ext4 of its own"
    );
}

#[test]
fn a_disk_that_turns_read_only_refuses_what_is_new_and_keeps_what_was_answered() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Ext4::make(directory.path());
    let (server, mut ada) = with_messages(directory.path());
    disk.meet_an_error();
    assert_refuses(&server, &mut ada, "Read-only file system");
    drop(server);

    let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
    command.args(["serve", "--listen", "off", "--frame", "off", "--http", "127.0.0.1:0", "--data-dir"]);
    let refused = command.arg(&disk.place).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let says = String::from_utf8_lossy(&refused.stderr);
    assert!(says.contains("Read-only file system") && says.contains(disk.place.to_str().unwrap()), "{says}");

    disk.unmount();
    disk.mount();
    let server = Server::start(directory.path(), &[]);
    let (mut bob, _) = hello(&server, "bob", "phone");
    assert_eq!(contents(&mut bob, 1), ["before"]);
    let (mut ada, _) = hello(&server, "ada", "phone");
    assert_eq!(contents(&mut ada, WAITING as usize).len(), WAITING as usize);
    server.http().publish(&to("bob", "after"));
    assert_eq!(contents(&mut bob, 1), ["after"]);
    drop(server);
}
