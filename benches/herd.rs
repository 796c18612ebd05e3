//! What a herd of clients that come back with backlogs costs those who are connected, and what clients that do not
//! read cost in memory. The server is a process of its own with the store on disk.
//!
//! `cargo bench -p msgserver-benches --bench herd -- [CLIENTS] [BACKLOG]`; 15,000 with 10 messages each unless said.
//! Both processes need as many descriptors: `ulimit -n 20000`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use msgserver::{
    Admission, Content, DiskStore, Publication, Publishers, Server, Settings, Store, Target, UserId,
};
use msgserver_benches::tell;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SERVE: &str = "serve";

/// Who is connected all the time, and how often something comes for one of them.
const CONNECTED: usize = 100;
const EVERY: Duration = Duration::from_millis(5);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, backlog, clients, rate, burst, parallel] = &arguments[..]
        && serve == SERVE
    {
        let number = |text: &String| text.parse::<usize>().expect("a number");
        let admission =
            Admission { rate: number(rate) as u32, burst: number(burst) as u32, parallel: number(parallel) };
        return serve_until_killed(number(clients), number(backlog), admission);
    }
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse().ok());
    let (clients, backlog) = (numbers.next().unwrap_or(15_000), numbers.next().unwrap_or(10));
    let unpaced = Admission { rate: 1_000_000, burst: 1_000_000, parallel: 1_000_000 };
    println!(
        "{clients} clients with {backlog} messages of 128 bytes each; {CONNECTED} are connected already"
    );
    for (name, admission) in [("as they come", unpaced), ("paced", Admission::default())] {
        measure(name, clients, backlog, admission);
    }
}

fn serve_until_killed(clients: usize, backlog: usize, admission: Admission) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("room");
        let store = Arc::new(DiskStore::open(directory.path()).expect("a new directory"));
        let settings = Settings { publishers: Publishers::Everybody, admission, ..Settings::default() };
        let shared: Arc<dyn Store> = store;
        let server = Server::builder().settings(settings).shared_store(shared).build().expect("they fit");
        let sender = server.sender();
        let users: Vec<UserId> =
            (0..clients).map(|n| UserId::new(format!("herd{n}")).expect("a name")).collect();
        for _ in 0..backlog {
            for users in users.chunks(1000) {
                let content = Content::text(&"x".repeat(126));
                let publication = Publication::new(Target::Users(users.to_vec()), content);
                sender.publish(publication).await.expect("there is room");
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("bound"));
        let door = server.clone();
        tokio::spawn(async move { door.serve_frames(listener).await });
        tokio::task::spawn_blocking(|| std::io::stdin().lines().for_each(drop)).await.expect("it ends");
    });
    // The directory went with its block.
    std::process::exit(0);
}

struct Process {
    child: Child,
    _input: ChildStdin,
    address: SocketAddr,
}

fn start(clients: usize, backlog: usize, admission: Admission) -> Process {
    let Admission { rate, burst, parallel, .. } = admission;
    let numbers = [backlog, clients, rate as usize, burst as usize, parallel].map(|n| n.to_string());
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .arg(SERVE)
        .args(numbers)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program");
    let input = child.stdin.take().expect("piped");
    let mut address = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut address).expect("an address");
    Process { child, _input: input, address: address.trim().parse().expect("an address") }
}

fn framed(json: &str) -> Vec<u8> {
    [&(json.len() as u32).to_be_bytes(), json.as_bytes()].concat()
}

fn read_frame(socket: &mut impl Read) -> String {
    let mut length = [0; 4];
    socket.read_exact(&mut length).expect("a frame");
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut frame).expect("a frame");
    String::from_utf8(frame).expect("JSON")
}

fn hello(address: SocketAddr, user: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).expect("a connection");
    socket.set_nodelay(true).expect("a socket");
    socket.write_all(&framed(&format!(r#"{{"type":"hello","user":"{user}"}}"#))).expect("it is open");
    assert!(read_frame(&mut socket).contains("welcome"));
    socket
}

/// Latencies of messages to those who are connected, one after the other, until told to end.
fn probe(address: SocketAddr, over: &AtomicBool) -> Vec<Duration> {
    let mut connected: Vec<_> = (0..CONNECTED).map(|n| hello(address, &format!("there{n}"))).collect();
    let mut publisher = hello(address, "publisher");
    let mut latencies = Vec::new();
    let mut due = Instant::now();
    for n in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let (who, start) = (n % CONNECTED, Instant::now());
        let publish = format!(
            r#"{{"type":"publish","ref":{n},"message":{{"to":{{"user":"there{who}"}},"content":"{}"}}}}"#,
            "x".repeat(126)
        );
        publisher.write_all(&framed(&publish)).expect("it is open");
        let message = read_frame(&mut connected[who]);
        latencies.push(start.elapsed());
        assert!(message.contains("\"message\""), "{message}");
        let seq = n / CONNECTED + 1;
        connected[who].write_all(&framed(&format!(r#"{{"type":"ack","seq":{seq}}}"#))).expect("it is open");
        assert!(read_frame(&mut publisher).contains("published"));
        due += EVERY;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    latencies.sort_unstable();
    latencies
}

/// A client of the herd: everything that waits for it, acknowledged. It stays.
async fn come_back(
    address: SocketAddr,
    n: usize,
    backlog: usize,
    turned_away: &AtomicUsize,
) -> tokio::net::TcpStream {
    loop {
        match try_to_come_back(address, n, backlog).await {
            Ok(Some(socket)) => return socket,
            _ => turned_away.fetch_add(1, Ordering::Relaxed),
        };
        tokio::time::sleep(Duration::from_millis(rand_ms(n))).await;
    }
}

fn rand_ms(n: usize) -> u64 {
    (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1000
}

async fn try_to_come_back(
    address: SocketAddr,
    n: usize,
    backlog: usize,
) -> std::io::Result<Option<tokio::net::TcpStream>> {
    let mut socket = tokio::net::TcpStream::connect(address).await?;
    socket.write_all(&framed(&format!(r#"{{"type":"hello","user":"herd{n}"}}"#))).await?;
    let mut seq = 0;
    while seq < backlog {
        let length = socket.read_u32().await?;
        let mut frame = vec![0; length as usize];
        socket.read_exact(&mut frame).await?;
        let text = String::from_utf8_lossy(&frame);
        if text.contains("\"bye\"") {
            return Ok(None);
        }
        seq += usize::from(text.contains("\"message\""));
    }
    socket.write_all(&framed(&format!(r#"{{"type":"ack","seq":{seq}}}"#))).await?;
    Ok(Some(socket))
}

fn measure(name: &str, clients: usize, backlog: usize, admission: Admission) {
    let mut process = start(clients, backlog, admission);
    let address = process.address;
    let quiet = with_probe(address, || std::thread::sleep(Duration::from_secs(3)));
    let before = rss_anon(process.child.id());
    let peak = AtomicUsize::new(0);
    let turned_away = AtomicUsize::new(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut took = Duration::ZERO;
    let mut sockets = Vec::new();
    let crowded = with_probe(address, || {
        let start = Instant::now();
        sockets = runtime.block_on(async {
            let coming = (0..clients).map(|n| come_back(address, n, backlog, &turned_away));
            let mut coming = std::pin::pin!(futures_util::future::join_all(coming));
            let mut look = tokio::time::interval(Duration::from_millis(20));
            loop {
                tokio::select! {
                    sockets = &mut coming => break sockets,
                    _ = look.tick() => {
                        peak.fetch_max(rss_anon(process.child.id()), Ordering::Relaxed);
                    }
                }
            }
        });
        took = start.elapsed();
    });
    let kib = |bytes: usize| bytes / 1024;
    println!(
        "{name}: all in after {:.1} s, {} turned away once",
        took.as_secs_f64(),
        turned_away.into_inner()
    );
    for (when, latencies) in [("quiet", &quiet), ("herd", &crowded)] {
        tell(when, latencies);
    }
    println!(
        "  memory: {} KiB before, {} KiB at most, {} KiB with all of them",
        kib(before),
        kib(peak.into_inner()),
        kib(rss_anon(process.child.id()))
    );
    drop(sockets);
    let _ = process.child.kill();
    let _ = process.child.wait();
}

fn with_probe(address: SocketAddr, meanwhile: impl FnOnce()) -> Vec<Duration> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let probing = scope.spawn(|| probe(address, &over));
        meanwhile();
        over.store(true, Ordering::Relaxed);
        probing.join().expect("no panic")
    })
}

/// In bytes.
fn rss_anon(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux 4.5 or newer");
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1024
}
