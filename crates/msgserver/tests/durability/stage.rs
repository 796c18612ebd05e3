//! What everybody in a test sees.

use std::io;
use std::net::TcpStream;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::support::{Http, PATIENCE, Server, until};
use crate::{KEY, SECRET};

/// The server that runs now, and how far things have come.
pub struct Stage {
    pub server: RwLock<Server>,
    pub answered: AtomicU64,
    pub refused: AtomicU64,
    pub received: AtomicU64,
    pub publishing: AtomicBool,
    pub over: AtomicBool,
}

/// What each server of these tests is told.
pub const FLAGS: [&str; 4] = ["--shared-secret", SECRET, "--api-key", KEY];

impl Stage {
    pub fn new(server: Server) -> Self {
        Self {
            server: RwLock::new(server),
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            received: AtomicU64::new(0),
            publishing: AtomicBool::new(true),
            over: AtomicBool::new(false),
        }
    }

    fn address(&self, door: &str) -> String {
        self.server.read().unwrap().address(door).to_owned()
    }

    pub fn connect(&self, door: &str) -> io::Result<TcpStream> {
        let socket = TcpStream::connect(self.address(door))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    }

    pub fn http(&self) -> io::Result<Http> {
        Ok(Http::connect(self.address("http"))?.with_key(Some(KEY)))
    }

    pub fn is_publishing(&self) -> bool {
        self.publishing.load(Ordering::Relaxed)
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub fn note_answered(&self, count: u64) {
        self.answered.fetch_add(count, Ordering::Relaxed);
    }

    pub fn note_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until so many more messages were answered, and as many came somewhere.
    pub fn wait_for_messages(&self, count: u64) {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (answered, received) = (now(&self.answered) + count, now(&self.received) + count);
        until(|| (now(&self.answered) >= answered && now(&self.received) >= received).then_some(()));
    }

    /// Waits until one more publisher was refused.
    pub fn wait_for_refusal(&self) {
        let before = self.refused.load(Ordering::Relaxed);
        until(|| (self.refused.load(Ordering::Relaxed) > before).then_some(()));
    }

    /// kill -9, and a new server on what the old one has left.
    pub fn kill_server(&self, start: impl Fn() -> Server) {
        let mut server = self.server.write().unwrap();
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        *server = start();
    }
}
