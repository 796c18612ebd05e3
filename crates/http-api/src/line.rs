//! The connection that a request has come by, for who takes it over.
#![cfg_attr(
    not(any(feature = "websocket", feature = "sse")),
    allow(dead_code, reason = "only sessions take a connection over")
)]

use std::pin::Pin;

use msgserver_listener::{Peer, Stream};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The connection that a request has come by.
///
/// A session does not live in an HTTP connection: once the request is understood, its socket is taken out and becomes
/// a session like any other, and the task and the buffers of the HTTP connection end.
pub(crate) struct Line {
    socket: Mutex<Option<Stream>>,
    taken: Notify,
    peer: Peer,
}

impl Line {
    pub(crate) fn new(socket: Stream, peer: Peer) -> Self {
        Self { socket: Mutex::new(Some(socket)), taken: Notify::new(), peer }
    }

    /// Who is at the other end.
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Takes the socket out. From then on HTTP neither reads nor writes.
    pub(crate) fn take(&self) -> Option<Stream> {
        let socket = self.socket.lock().take();
        self.taken.notify_one();
        socket
    }

    /// Done when the socket was taken out.
    pub(crate) async fn taken(&self) {
        self.taken.notified().await;
    }

    /// Does something with the socket; nothing if it was taken out.
    pub(crate) fn with<T>(&self, act: impl FnOnce(Pin<&mut Stream>) -> T) -> Option<T> {
        self.socket.lock().as_mut().map(|socket| act(Pin::new(socket)))
    }
}
