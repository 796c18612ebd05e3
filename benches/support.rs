//! What several benches need: clients that read, names, contents.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Interest, Poll, Token};
use msgserver_message::{Content, DeviceId, Seq, SessionId, UserId};
use msgserver_pool::{CloseReason, Events, Session, SessionSetup, Terms};
use msgserver_protocol::{ClientFrame, Encoder};

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

/// Nobody who has to be told of sessions.
#[derive(Debug)]
pub struct Nobody;

impl Events for Nobody {
    fn on_frame(&self, _: &Arc<Session>, _: ClientFrame) {}
    fn on_delivered(&self, _: &Arc<Session>, _: Seq) {}
    fn on_room(&self, _: &Arc<Session>) {}
    fn on_closed(&self, _: &Arc<Session>, _: &CloseReason) {}
}

/// A session in the clear for which nothing is kept.
#[must_use]
pub fn plain_session(number: u64, user: UserId, encoders: &Arc<[Encoder]>) -> SessionSetup {
    SessionSetup {
        id: SessionId::new(number),
        user,
        device: DeviceId::unnamed(),
        encoders: Arc::clone(encoders),
        encoding: 0,
        cipher: None,
        outbox_limit: 1024 * 1024,
        window: 1000,
        standing: None,
        may_publish: false,
        terms: Terms::default(),
        read_ahead: Vec::new(),
    }
}

/// Prints how long messages took, the shortest first.
pub fn tell(when: &str, latencies: &[Duration]) {
    if latencies.is_empty() {
        return println!("  {when}: nothing was taken that was for the connected");
    }
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!(
        "  {when}: {} messages to the connected, median {:.1} ms, 99 of 100 {:.1} ms, longest {:.1} ms",
        latencies.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
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
                let mut events = mio::Events::with_capacity(1024);
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
