//! An application's HTTP server, which the real server asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// An answer: status, further headers with their line ends, body. Nothing: the question is never answered.
pub type Reply = Option<(u16, String, String)>;

/// Answers each request by what `reply` says to its body, until the end of the process.
pub struct Application {
    pub address: SocketAddr,
}

impl Application {
    pub fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let reply = Arc::new(reply);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let reply = Arc::clone(&reply);
                std::thread::spawn(move || serve(&socket, &*reply));
            }
        });
        Self { address }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn serve(socket: &TcpStream, reply: &dyn Fn(&str) -> Reply) {
    let mut reader = BufReader::new(socket);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let Some((status, headers, answer)) = reply(&String::from_utf8(body).unwrap()) else {
            // Whoever asked gives up, and that ends the connection.
            let _ = reader.read(&mut [0]);
            return;
        };
        let head = format!("HTTP/1.1 {status} said\r\nContent-Length: {}\r\n{headers}\r\n", answer.len());
        if (&*socket).write_all(format!("{head}{answer}").as_bytes()).is_err() {
            return;
        }
    }
}
