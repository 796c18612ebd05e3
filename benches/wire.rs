//! Clients on the wire, written out by hand.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::Sender;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// A client of the `frame` protocol that reads.
pub(crate) struct Quick {
    pub(crate) socket: TcpStream,
    bytes: Vec<u8>,
}

impl Quick {
    fn frame(&mut self) -> Option<Value> {
        let (length, rest) = self.bytes.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let frame: Value = serde_json::from_slice(rest.get(..length)?).expect("JSON");
        self.bytes.drain(..4 + length);
        if let Some(seq) = Value::as_u64(&frame["seq"]) {
            let ack = json!({"type": "ack", "seq": seq}).to_string();
            let bytes = [&(ack.len() as u32).to_be_bytes(), ack.as_bytes()].concat();
            self.socket.write_all(&bytes).expect("it is open");
        }
        Some(frame)
    }

    pub(crate) fn fill(&mut self) -> io::Result<usize> {
        let mut part = [0; 64 * 1024];
        let count = self.socket.read(&mut part)?;
        self.bytes.extend_from_slice(&part[..count]);
        Ok(count)
    }

    pub(crate) fn read(&mut self) -> Value {
        loop {
            if let Some(frame) = self.frame() {
                return frame;
            }
            assert_ne!(self.fill().expect("it is open"), 0, "the server has closed the connection");
        }
    }

    /// Reads until either side closes, and says when a frame with this content comes.
    pub(crate) fn read_for(mut self, content: &str, came: &Sender<()>) {
        while self.fill().is_ok_and(|count| count > 0) {
            while let Some(frame) = self.frame() {
                if frame["content"] == content {
                    // Who has heard enough asks no more.
                    let _ = came.send(());
                }
            }
        }
    }

    /// Drops the whole frames that are there; how many.
    pub(crate) fn pass_over(&mut self) -> usize {
        let (mut at, mut frames) = (0, 0);
        while let Some(length) = self.bytes[at..].first_chunk::<4>() {
            let end = at + 4 + u32::from_be_bytes(*length) as usize;
            if end > self.bytes.len() {
                break;
            }
            (at, frames) = (end, frames + 1);
        }
        self.bytes.drain(..at);
        frames
    }
}

/// A client of whose bytes the kernels of both sides hold little: else each would hide some MiB of them.
pub(crate) fn hello_narrowly(address: &str, user: &str) -> Quick {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a socket");
    socket.set_tcp_mss(536).expect("a socket");
    socket.connect(&address.parse::<SocketAddr>().expect("an address").into()).expect("it listens");
    greet(socket.into(), user)
}

pub(crate) fn hello(address: &str, user: &str) -> Quick {
    greet(TcpStream::connect(address).expect("it listens"), user)
}

fn greet(socket: TcpStream, user: &str) -> Quick {
    socket.set_nodelay(true).expect("a socket");
    let mut client = Quick { socket, bytes: Vec::new() };
    let hello = json!({"type": "hello", "user": user, "device": "phone"}).to_string();
    let bytes = [&(hello.len() as u32).to_be_bytes(), hello.as_bytes()].concat();
    client.socket.write_all(&bytes).expect("it is open");
    assert_eq!(client.read()["type"], "welcome");
    client
}

/// One connection for requests.
pub(crate) struct Http(BufReader<TcpStream>);

impl Http {
    pub(crate) fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).expect("it listens");
        socket.set_nodelay(true).expect("a socket");
        Self(BufReader::new(socket))
    }

    pub(crate) fn batch(&mut self, messages: &[Value]) -> io::Result<(u64, String)> {
        self.post("/v1/messages/batch", &Value::from(messages).to_string())
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> io::Result<(u64, String)> {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {length}\r\n\r\n");
        self.0.get_mut().write_all((head + body).as_bytes())?;
        self.answer()
    }

    pub(crate) fn get(&mut self, path: &str) -> Value {
        let head = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n");
        self.0.get_mut().write_all(head.as_bytes()).expect("it is open");
        serde_json::from_str(&self.answer().expect("it answers").1).expect("JSON")
    }

    fn answer(&mut self) -> io::Result<(u64, String)> {
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.starts_with("http/") {
                status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
