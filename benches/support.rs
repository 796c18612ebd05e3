//! What several benches need: clients that read, names, contents.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use msgserver_message::{Content, UserId};

/// A text of so many bytes as JSON, its quotes included.
#[must_use]
pub fn content(bytes: usize) -> Content {
    Content::text(&"x".repeat(bytes.saturating_sub(2)))
}

/// The users `u0`, `u1`, …
///
/// # Panics
/// Never: the names are names.
#[must_use]
pub fn users(count: usize) -> Vec<UserId> {
    (0..count).map(|n| UserId::new(format!("u{n}")).expect("a short name")).collect()
}

/// Connections of one thread that reads whatever comes and counts its bytes.
#[derive(Debug)]
pub struct Readers {
    read: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Readers {
    /// Reads from these sockets until dropped.
    ///
    /// # Errors
    /// What the system says of a socket.
    pub fn of(sockets: Vec<TcpStream>) -> io::Result<Self> {
        let mut poll = Poll::new()?;
        let mut sockets = sockets
            .into_iter()
            .map(|socket| socket.set_nonblocking(true).map(|()| mio::net::TcpStream::from_std(socket)))
            .collect::<io::Result<Vec<_>>>()?;
        for (n, socket) in sockets.iter_mut().enumerate() {
            poll.registry().register(socket, Token(n), Interest::READABLE)?;
        }
        let (read, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (read, stop) = (Arc::clone(&read), Arc::clone(&stop));
            move || {
                let mut events = Events::with_capacity(1024);
                let mut buffer = vec![0; 256 * 1024];
                while !stop.load(Ordering::Relaxed) {
                    poll.poll(&mut events, Some(Duration::from_millis(50))).expect("the poll is open");
                    for event in &events {
                        while let Ok(n @ 1..) = sockets[event.token().0].read(&mut buffer) {
                            read.fetch_add(n as u64, Ordering::Release);
                        }
                    }
                }
            }
        });
        Ok(Self { read, stop, thread: Some(thread) })
    }

    /// So many connections to a door that asks nothing.
    ///
    /// # Errors
    /// What the system says of a socket.
    pub fn connect(address: SocketAddr, count: usize) -> io::Result<Self> {
        Self::of((0..count).map(|_| TcpStream::connect(address)).collect::<io::Result<_>>()?)
    }

    /// How many bytes have been read by now.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Acquire)
    }

    /// Waits until so many bytes have been read.
    pub fn wait_for(&self, bytes: u64) {
        while self.read() < bytes {
            std::thread::yield_now();
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
