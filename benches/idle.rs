//! What an idle connection costs in memory: anonymous resident bytes of a server process of its own (`RssAnon` of
//! `/proc/PID/status`), before and with the connections.
//!
//! `cargo bench -p msgserver-benches --bench idle -- [CONNECTIONS]`; 15,000 unless said. Both processes need as
//! many descriptors: `ulimit -n 20000`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use msgserver::{Server, SharedSecret};
use tokio::net::TcpListener;

const SERVE: &str = "serve";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, authenticated] = &arguments[..]
        && serve == SERVE
    {
        return serve_until_killed(authenticated == "true");
    }
    let connections = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(15_000);
    for authenticated in [false, true] {
        measure(connections, authenticated);
    }
}

fn serve_until_killed(authenticated: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let builder = Server::builder();
        let builder =
            if authenticated { builder.authentication(SharedSecret::new("secret")) } else { builder };
        let server = builder.build().expect("the defaults fit");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("bound"));
        let door = server.clone();
        tokio::spawn(async move { door.serve(listener).await });
        // Each line asks how many are online.
        let asked = tokio::task::spawn_blocking(move || {
            for _ in std::io::stdin().lines() {
                println!("{}", server.online_count());
            }
        });
        asked.await.expect("it ends with its input");
    });
}

fn measure(connections: usize, authenticated: bool) {
    let mut server = Command::new(std::env::current_exe().expect("this program"))
        .args([SERVE, &authenticated.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program");
    let mut ask = server.stdin.take().expect("piped");
    let mut answers = BufReader::new(server.stdout.take().expect("piped")).lines();
    let mut answer = || answers.next().expect("the server lives").expect("text");
    let address = answer();
    let before = rss_anon(server.id());
    let sockets: Vec<TcpStream> = (0..connections)
        .map(|n| {
            let mut socket = TcpStream::connect(&address).expect("a connection; see `ulimit -n`");
            if authenticated {
                write!(socket, "u{n};secret|").expect("it is open");
            }
            socket
        })
        .collect();
    loop {
        writeln!(ask).expect("the server lives");
        if answer() == connections.to_string() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let each = (rss_anon(server.id()) - before) as f64 / connections as f64;
    let kind = if authenticated { "authenticated" } else { "anonymous" };
    println!("idle, {connections} {kind} connections: {each:.0} bytes each");
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
