//! Server-Sent Events and long polls of the real binary: with curl, also through nginx.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::{Client, Server, until};
use tempfile::tempdir;

/// A stream of events, and its place.
struct Events(Client);

impl Events {
    fn open(address: &str, query: &str, headers: &[&str]) -> Self {
        let url = format!("http://{address}/v1/sse?{query}");
        let headers = headers.iter().flat_map(|header| ["--header", header]);
        Self(Client::curl(&headers.chain([url.as_str()]).collect::<Vec<_>>()))
    }

    fn online(address: &str, query: &str, headers: &[&str]) -> Self {
        let mut events = Self::open(address, query, headers);
        events.0.line_with("event: welcome");
        events
    }

    /// The next message: its id, if it has one, and its object.
    fn message(&mut self) -> (Option<String>, Value) {
        let mut id = None;
        loop {
            let line = self.0.line().expect("the stream goes on");
            if let Some(said) = line.strip_prefix("id: ") {
                id = Some(said.to_owned());
            } else if let Some(data) = line.strip_prefix("data: ") {
                let object: Value = serde_json::from_str(data).unwrap();
                if object["type"] == "message" {
                    return (id, object);
                }
            }
        }
    }

    fn content(&mut self) -> Value {
        self.message().1["content"].clone()
    }
}

fn publish(server: &Server, to: Value, content: impl Into<Value>) -> String {
    server.http().publish(&json!({"to": to, "content": content.into()})).0
}

fn ada() -> Value {
    json!({"user": "ada"})
}

#[test]
fn what_was_the_last_event_is_acknowledged_and_the_rest_comes() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let address = server.address("http");
    let ids: Vec<_> = (1..=3).map(|n| publish(&server, ada(), n)).collect();
    let mut events = Events::online(address, "user=ada&device=tab", &[]);
    for n in 1..=3 {
        let (id, message) = events.message();
        assert_eq!((id.as_deref(), &message["content"]), (Some(n.to_string().as_str()), &json!(n)));
    }
    publish(&server, json!({"all": true}), "notice");
    let (id, notice) = events.message();
    assert_eq!((id, &notice["content"]), (None, &json!("notice")));
    drop(events);
    server.wait_until_away("ada");

    let mut again = Events::online(address, "user=ada&device=tab", &["Last-Event-ID: 2"]);
    let (_, message) = again.message();
    assert_eq!((&message["seq"], &message["redelivered"]), (&json!(3), &json!(true)));
    let receipt = |n: usize| server.http().get(&format!("/v1/messages/{}", ids[n]));
    until(|| (receipt(1)["state"] == "acknowledged").then_some(()));
    assert_eq!(receipt(2)["state"], "sent");
    let steps = receipt(2)["steps"].clone();
    assert!(steps.as_array().unwrap().iter().any(|step| step["door"] == "sse"), "{steps}");
    // A number from another time acknowledges nothing.
    drop(again);
    server.wait_until_away("ada");
    assert_eq!(Events::online(address, "user=ada&device=tab&after=99", &[]).content(), 3);
}

#[test]
fn an_acknowledgement_by_post_counts_at_once_also_for_who_is_away() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--shared-secret", "s3cret"]);
    let address = server.address("http");
    for n in 1..=2 {
        publish(&server, ada(), n);
    }
    let mut events = Events::online(address, "user=ada&device=tab&token=s3cret", &[]);
    assert_eq!((events.content(), events.content()), (json!(1), json!(2)));
    let acknowledge = |body: Value| server.http().post("/v1/ack", &body).unwrap();
    let ack = |seq: u64| json!({"user": "ada", "device": "tab", "seq": seq, "token": "s3cret"});
    let waiting = || server.http().get("/v1/users/ada")["waiting"].clone();
    let answer = acknowledge(ack(1));
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"acknowledged":1}"#));
    assert_eq!(waiting(), 1);
    acknowledge(json!({"user": "ada", "device": "tab", "seq": 1})).assert_problem(401);
    acknowledge(ack(3)).assert_problem(400);
    acknowledge(json!({"user": "ada"})).assert_problem(400);
    drop(events);
    server.wait_until_away("ada");
    assert_eq!(acknowledge(ack(2)).status, 200);
    assert_eq!(waiting(), 0);
}

#[test]
fn a_stream_whose_window_is_full_ends_and_goes_on_where_it_was() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--sessions-window", "10"]);
    let mut http = server.http();
    http.publish_all((1..=25).map(|n| json!({"to": {"user": "ada"}, "content": n})));
    let (mut seen, mut last) = (Vec::new(), 0);
    for _ in 0..3 {
        let header = format!("Last-Event-ID: {last}");
        let mut events = Events::open(server.address("http"), "user=ada", &[&header]);
        while let Some(line) = events.0.line() {
            if let Some(id) = line.strip_prefix("id: ") {
                last = id.parse().unwrap();
                seen.push(last);
                if last == 25 {
                    break;
                }
            }
        }
    }
    assert_eq!(seen, (1..=25).collect::<Vec<u64>>());
}

#[test]
fn a_poll_ends_with_what_there_is_or_with_its_time() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let mut polls = Polls { server: &server, after: 0 };
    publish(&server, ada(), 1);
    publish(&server, ada(), 2);
    assert_eq!(polls.contents("wait=30"), [1, 2]);
    assert_eq!(polls.contents("wait=1"), [0; 0]);
    // It is there when the message comes.
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| polls.contents("wait=30"));
        server.wait_for("connections", 1);
        publish(&server, ada(), 3);
        waiting.join().unwrap()
    });
    assert_eq!(waiting, [3]);
    let mut all = Vec::new();
    server.http().publish_all((4..=2003).map(|n| json!({"to": {"user": "ada"}, "content": n})));
    while all.len() < 2000 {
        all.extend(polls.contents("wait=30"));
    }
    assert_eq!(all, (4..=2003).collect::<Vec<u64>>());
    server.http().request("GET", "/v1/poll?wait=3600", "").unwrap().assert_problem(400);
}

struct Polls<'a> {
    server: &'a Server,
    after: u64,
}

impl Polls<'_> {
    /// One poll, which acknowledges what the last one gave.
    fn contents(&mut self, query: &str) -> Vec<u64> {
        let address = self.server.address("http");
        let url = format!("http://{address}/v1/poll?user=ada&device=old&after={}&{query}", self.after);
        let output = Command::new("curl").args(["--silent", "--fail", &url]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let messages = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let messages = messages.inspect(|message| self.after = message["seq"].as_u64().unwrap());
        messages.map(|message| message["content"].as_u64().unwrap()).collect()
    }
}

#[test]
fn a_stop_says_goodbye_and_when_to_come_back() {
    let directory = tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    let mut events = Events::online(server.address("http"), "user=ada", &[]);
    server.signal("-TERM");
    let wait = events.0.line_with("retry: ");
    assert!(wait.parse::<u64>().is_ok(), "{wait}");
    assert_eq!(events.0.line_with("event: "), "bye");
    assert!(events.0.line_with("data: ").contains("shutting_down"));
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn heartbeats_are_comments_and_a_page_of_a_named_origin_may_read() {
    let directory = tempdir().unwrap();
    let flags = ["--sessions-heartbeat", "1s", "--browser-origins", "https://app.example.org"];
    let server = Server::start(directory.path(), &flags);
    let address = server.address("http");
    let mut events = Events::open(address, "user=ada", &["Origin: https://app.example.org"]);
    assert_eq!(events.0.line_with("x-accel-buffering: "), "no");
    assert_eq!(events.0.line_with("access-control-allow-origin: "), "https://app.example.org");
    assert_eq!(events.0.line_with(":"), "");
    let mut refused = Events::open(address, "user=ada", &["Origin: https://evil.example"]);
    assert_eq!(refused.0.line_with("HTTP/1.1 ")[..3], *"403");
}

/// nginx in front of a server, with the settings that docs/doors.md gives.
struct Nginx(Child);

impl Nginx {
    fn start(directory: &Path, upstream: &str) -> (Self, String) {
        let settings = &support::blocks("docs/doors.md", "nginx")[0];
        let settings = settings.replace("127.0.0.1:3365", upstream);
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = directory.display();
        let whole = format!(
            "pid {place}/nginx.pid; error_log {place}/nginx.log; daemon off; events {{}}\nhttp {{ access_log off; \
             client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/f; \
             uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\nserver {{ listen 127.0.0.1:{port};\n{settings}\n}} }}"
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, whole).unwrap();
        let nginx = ["nginx", "/usr/sbin/nginx"].into_iter().find_map(|nginx| {
            let mut command = Command::new(nginx);
            command.arg("-c").arg(&file).arg("-p").arg(directory).stderr(Stdio::null()).spawn().ok()
        });
        let nginx = Self(nginx.expect("nginx has to be installed; scripts/test does it"));
        let address = format!("127.0.0.1:{port}");
        until(|| TcpStream::connect(&address).ok());
        (nginx, address)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only if it is asked.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

#[test]
fn through_nginx_each_message_comes_at_once() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--sessions-heartbeat", "1s"]);
    let (_nginx, address) = Nginx::start(directory.path(), server.address("http"));
    let mut events = Events::online(&address, "user=ada&device=sse", &[]);
    let mut socket = Client::websocket(&format!("ws://{address}/v1/ws"), "msgserver.v1.json", &[]);
    socket.tell(json!({"type": "hello", "user": "ada", "device": "ws"}));
    assert_eq!(socket.json()["type"], "welcome");
    // Each is there before the next is sent: nothing waits in a buffer for more.
    for n in 1..=20 {
        publish(&server, ada(), n);
        assert_eq!(events.content(), n);
        assert_eq!(socket.json()["content"], n);
    }
    assert_eq!(events.0.line_with(":"), "");
    let url = format!("http://{address}/v1/poll?user=ada&device=poll&wait=1");
    let output = Command::new("curl").args(["--silent", "--fail", &url]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
