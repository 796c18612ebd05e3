//! What an idle connection costs in memory: anonymous resident bytes of a server process of its own (`RssAnon` of
//! `/proc/PID/status`), before and with the connections.
//!
//! `cargo bench -p msgserver-benches --bench idle -- [CONNECTIONS]`; 15,000 unless said. Both processes need as
//! many descriptors: `ulimit -n 20000`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use msgserver::{HttpApi, Server, SharedSecret};
use tokio::net::TcpListener;

const SERVE: &str = "serve";

/// How clients come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Anonymous,
    Authenticated,
    WebSocket,
    Events,
}

const KINDS: [Kind; 4] = [Kind::Anonymous, Kind::Authenticated, Kind::WebSocket, Kind::Events];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, kind] = &arguments[..]
        && serve == SERVE
    {
        let kind = KINDS.into_iter().find(|known| format!("{known:?}") == *kind);
        return serve_until_killed(kind.expect("this program names one"));
    }
    let connections = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(15_000);
    for kind in KINDS {
        measure(connections, kind);
    }
}

fn serve_until_killed(kind: Kind) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let builder = Server::builder();
        let builder = if kind == Kind::Authenticated {
            builder.authentication(SharedSecret::new("secret"))
        } else {
            builder
        };
        let server = builder.build().expect("the defaults fit");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("bound"));
        let door = server.clone();
        if matches!(kind, Kind::WebSocket | Kind::Events) {
            tokio::spawn(HttpApi::new(server.sender()).serve(listener, std::future::pending()));
        } else {
            tokio::spawn(async move { door.serve(listener).await });
        }
        // Each line asks how many are online.
        let asked = tokio::task::spawn_blocking(move || {
            for _ in std::io::stdin().lines() {
                println!("{}", server.online_count());
            }
        });
        asked.await.expect("it ends with its input");
    });
}

fn connect(address: &str, kind: Kind, n: usize) -> TcpStream {
    let mut socket = TcpStream::connect(address).expect("a connection; see `ulimit -n`");
    match kind {
        Kind::Anonymous => {}
        Kind::Authenticated => write!(socket, "u{n};secret|").expect("it is open"),
        Kind::WebSocket => {
            let request = "GET /v1/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            socket.write_all(request.as_bytes()).expect("it is open");
            let mut head = [0; 12];
            socket.read_exact(&mut head).expect("an answer");
            assert_eq!(&head, b"HTTP/1.1 101");
            // Under a mask of zeros.
            let hello = format!(r#"{{"type":"hello","user":"u{n}"}}"#);
            let frame = [&[0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0][..], hello.as_bytes()].concat();
            socket.write_all(&frame).expect("it is open");
        }
        Kind::Events => {
            write!(socket, "GET /v1/sse?user=u{n} HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is open");
        }
    }
    socket
}

fn measure(connections: usize, kind: Kind) {
    let mut server = Command::new(std::env::current_exe().expect("this program"))
        .args([SERVE, &format!("{kind:?}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program");
    let mut ask = server.stdin.take().expect("piped");
    let mut answers = BufReader::new(server.stdout.take().expect("piped")).lines();
    let mut answer = || answers.next().expect("the server lives").expect("text");
    let address = answer();
    let before = rss_anon(server.id());
    let sockets: Vec<TcpStream> = (0..connections).map(|n| connect(&address, kind, n)).collect();
    loop {
        writeln!(ask).expect("the server lives");
        if answer() == connections.to_string() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let each = (rss_anon(server.id()) - before) as f64 / connections as f64;
    println!("idle, {connections} connections, {kind:?}: {each:.0} bytes each");
    drop((sockets, ask));
    let _ = server.wait();
}

/// In bytes.
fn rss_anon(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux 4.5 or newer");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1024
}
