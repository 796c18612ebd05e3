//! `msgserver send` and `msgserver listen` as a shell has them.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::json;
use support::{Server, contents, hello};

fn to_ada(content: impl Into<serde_json::Value>) -> serde_json::Value {
    json!({"to": {"user": "ada"}, "content": content.into()})
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `msgserver send … -`, reading what a test writes.
fn send_lines(server: &Server, flags: &[&str]) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let url = format!("http://{}", server.address("http"));
    let mut send = command(&[&["send", "--url", &url], flags, &["-"]].concat()).spawn().unwrap();
    let (stdin, stdout) = (send.stdin.take().unwrap(), send.stdout.take().unwrap());
    (send, stdin, BufReader::new(stdout))
}

#[test]
fn lines_are_sent_in_order_and_each_gets_an_id_and_a_state() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let (mut send, mut stdin, stdout) = send_lines(&server, &["--to", "ada"]);
    let mut standings = stdout.lines();
    let mut ids = std::collections::HashSet::new();
    let mut is_accepted = || {
        let line = standings.next().unwrap().unwrap();
        let (id, state) = line.split_once(' ').unwrap();
        assert_eq!((id.len(), state), (26, "accepted"), "{line}");
        assert!(ids.insert(id.to_owned()));
    };
    // A line of a person is not kept until there are more.
    stdin.write_all(b"0\n").unwrap();
    is_accepted();
    let lines: String = (1..3500).map(|n| format!("{n}\n")).collect();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
        (1..3500).for_each(|_| is_accepted());
    });
    assert!(send.wait().unwrap().success());
    let mut http = server.http();
    let mut after = 0;
    while after < 3500 {
        let page = http.get(&format!("/v1/users/ada/inbox?limit=1000&after={after}"));
        for message in page["messages"].as_array().unwrap() {
            assert_eq!(message["content"], after.to_string());
            after += 1;
        }
    }
}

#[test]
fn a_line_that_is_refused_is_named_and_the_others_are_sent() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory", "--api-key", "K"]);
    let (send, mut stdin, stdout) = send_lines(&server, &["--to", "ada", "--api-key", "K"]);
    stdin.write_all(format!("one\n{}\nthree\n", "x".repeat(1 << 20)).as_bytes()).unwrap();
    drop(stdin);
    assert_eq!(stdout.lines().count(), 2);
    let output = send.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("line 2: refused with 413") && said.contains("1 of 3"), "{said}");
    let (mut phone, _) = hello(&server, "ada", "phone");
    assert_eq!(contents(&mut phone, 2), ["one", "three"]);

    let (mut send, mut stdin, _) = send_lines(&server, &["--to", "ada", "--api-key", "wrong"]);
    stdin.write_all(b"one\n").unwrap();
    assert_eq!(send.wait().unwrap().code(), Some(1));
}

#[test]
fn send_waits_for_a_server_that_is_away_and_what_it_sends_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &["--store", "memory"]);
    let http = server.address("http").to_owned();
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let url = format!("http://{http}");
    let mut send =
        command(&["send", "--url", &url, "--deadline", "60s", "--to", "ada", "hello"]).spawn().unwrap();
    let mut said = BufReader::new(send.stderr.take().unwrap()).lines();
    let line = said.next().unwrap().unwrap();
    assert!(line.starts_with(&url) && line.contains("refused") && line.contains("trying again"), "{line}");
    let server = Server::start(directory.path(), &["--store", "memory", "--http", &http]);
    let output = send.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.ends_with(b" accepted\n"), "{output:?}");
    let (mut phone, _) = hello(&server, "ada", "phone");
    assert_eq!(contents(&mut phone, 1), ["hello"]);
    support::assert_no_more(&mut phone);

    let output = command(&["send", "--url", "tcp://127.0.0.1:1", "--to", "ada", "hello"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--url") && said.contains("http://127.0.0.1:3365"), "{said}");
}

/// `msgserver listen` as ada, with a state file.
struct Listen {
    child: Child,
    printed: Lines<BufReader<ChildStdout>>,
    said: Lines<BufReader<ChildStderr>>,
}

impl Listen {
    fn start(address: &str, state: &Path) -> Self {
        Self::at(&format!("tcp://{address}"), state)
    }

    fn at(url: &str, state: &Path) -> Self {
        let mut child =
            command(&["listen", "--url", url, "--user", "ada", "--state"]).arg(state).spawn().unwrap();
        let printed = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, printed, said }
    }

    fn line(&mut self) -> String {
        self.printed.next().expect("a line").unwrap()
    }

    /// Has it end; gives what it had printed by then and nobody has read.
    fn stop(mut self, signal: &str) -> Vec<String> {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
        assert!(self.child.wait().unwrap().success());
        self.printed.by_ref().map(Result::unwrap).collect()
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_message_is_printed_once_however_often_listen_is_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let state = directory.path().join("state");
    let mut http = server.http();
    let mut printed = Vec::new();
    for (round, signal) in (0..).zip(["-INT", "-TERM", "-INT", "-TERM"]) {
        http.publish_all((1000 * round..1000 * (round + 1)).map(|n| to_ada(n.to_string())));
        let mut listen = Listen::start(server.address("frame"), &state);
        // Somewhere in between.
        while printed.len() < 1000 * round + 300 {
            printed.push(listen.line());
        }
        printed.extend(listen.stop(signal));
    }
    let mut listen = Listen::start(server.address("frame"), &state);
    while printed.len() < 4000 {
        printed.push(listen.line());
    }
    assert!(printed.iter().zip(0..).all(|(line, n): (_, u32)| *line == n.to_string()), "{printed:?}");
    server.wait_for("stored", 0);
    http.publish(&to_ada("last"));
    assert_eq!(listen.line(), "last");
    drop(listen);

    let url = format!("tcp://{}", server.address("frame"));
    let other = command(&["listen", "--url", &url, "--user", "eve", "--state"]).arg(&state).output().unwrap();
    let said = String::from_utf8(other.stderr).unwrap();
    assert_eq!(other.status.code(), Some(1));
    assert!(said.contains("user ada"), "{said}");
}

#[test]
fn listen_goes_on_by_websocket_where_it_was_by_tcp() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let state = directory.path().join("state");
    let urls = [format!("tcp://{}", server.address("frame")), format!("ws://{}", server.address("http"))];
    for (n, url) in (0..6).zip(urls.iter().cycle()) {
        server.http().publish(&to_ada(format!("{n}")));
        let mut listen = Listen::at(url, &state);
        assert_eq!(listen.line(), n.to_string());
        server.http().publish(&to_ada("and"));
        assert_eq!(listen.line(), "and");
        assert!(listen.stop("-TERM").is_empty());
    }
    let user = server.http().get("/v1/users/ada");
    assert_eq!(user["devices"].as_array().unwrap().len(), 1, "{user}");
}

#[test]
fn listen_comes_back_when_it_was_told_to_also_to_a_server_that_has_forgotten_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &["--store", "memory"]);
    let frame = server.address("frame").to_owned();
    let mut listen = Listen::start(&frame, &directory.path().join("state"));
    server.wait_for("connections", 1);
    server.http().publish_all((1..=3).map(|n| to_ada(n.to_string())));
    assert_eq!([listen.line(), listen.line(), listen.line()], ["1", "2", "3"]);
    server.signal("-TERM");
    assert!(server.child.wait().unwrap().success());
    let named = loop {
        let line = listen.said.next().unwrap().unwrap();
        if let Some(named) = line.split("the server stops; trying again in ").nth(1) {
            break named.trim_end_matches(" ms").parse::<u64>().unwrap();
        }
    };
    assert!(named <= 5000, "{named}");
    // Its inboxes have ended with the first one, so it counts from 1 again.
    let server = Server::start(directory.path(), &["--store", "memory", "--frame", &frame]);
    server.wait_for("connections", 1);
    server.http().publish(&to_ada("again"));
    assert_eq!(listen.line(), "again");
}
