//! An HTTP receiver of a test's own, over plain sockets.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "a test that meets an error has to end")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver as Requests};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Long enough for the slowest machine; nothing passes by waiting for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The secret of the specification's example.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A request that has come.
#[derive(Debug, Clone)]
pub struct Request {
    pub head: String,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| {
            let (header, value) = line.split_once(':')?;
            header.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        line.unwrap_or_else(|| panic!("no {name}: {}", self.head))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn steps(&self) -> Vec<Value> {
        self.json()["data"]["steps"].as_array().unwrap().clone()
    }
}

/// What is answered: a status with headers, or nothing at all.
pub enum Reply {
    Status(u16, String),
    Nothing,
    /// A head that promises more than comes.
    Half(u16),
}

pub fn status(status: u16) -> Reply {
    Reply::Status(status, String::new())
}

/// A receiver that answers each request as it is told.
pub struct Receiver {
    pub address: SocketAddr,
    requests: Requests<Request>,
}

impl Receiver {
    pub fn start(answer: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    pub fn on(listener: TcpListener, answer: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let (came, requests) = mpsc::channel();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(answer));
        std::thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let (came, answer) = (came.clone(), Arc::clone(&answer));
                std::thread::spawn(move || serve(socket, &came, &answer));
            }
        });
        Self { address, requests }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hooks?a=b", self.address)
    }

    pub fn next(&self) -> Request {
        self.requests.recv_timeout(PATIENCE).expect("a request comes")
    }

    /// What has come and was not asked for.
    pub fn rest(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

fn serve(
    socket: TcpStream,
    came: &mpsc::Sender<Request>,
    answer: &Mutex<impl FnMut(&Request) -> Reply>,
) -> Option<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if socket.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let mut request = Request { head, body: String::new() };
        let mut body = vec![0; request.header("content-length").parse().unwrap()];
        socket.read_exact(&mut body).ok()?;
        request.body = String::from_utf8(body).unwrap();
        let reply = answer.lock().unwrap()(&request);
        came.send(request).ok()?;
        match reply {
            Reply::Status(status, headers) => {
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n{headers}\r\nok");
                socket.get_mut().write_all(answer.as_bytes()).ok()?;
            }
            Reply::Half(status) => {
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 100\r\n\r\nhalf");
                socket.get_mut().write_all(head.as_bytes()).ok()?;
                return socket.read(&mut [0]).ok().map(drop);
            }
            // Until the other side has had enough.
            Reply::Nothing => return socket.read(&mut [0]).ok().map(drop),
        }
    }
}

pub async fn until(mut probe: impl FnMut() -> bool) {
    let start = Instant::now();
    while !probe() {
        assert!(start.elapsed() < PATIENCE, "it did not come to pass");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
