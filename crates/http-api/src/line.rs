//! The connection that a request has come by, for who takes it over.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use msgserver_listener::{Peer, Stream};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Sleep;

/// How many bytes of answers wait for each other.
const TOGETHER: usize = 16 * 1024;

/// The connection that a request has come by.
///
/// A session does not live in an HTTP connection: once the request is understood, its socket is taken out and becomes
/// a session like any other, and the task and the buffers of the HTTP connection end.
///
/// What it is answered waits until [`Line::poll_send`], unless it is long: a client may send many requests without
/// waiting for their answers, and a write for each would cost more than the requests.
pub(crate) struct Line {
    open: Mutex<Option<Open>>,
    taken: Notify,
    peer: Peer,
    /// How long a client may leave what it is answered.
    patience: Duration,
}

struct Open {
    socket: Stream,
    answers: BytesMut,
    /// Set while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Line {
    pub(crate) fn new(socket: Stream, peer: Peer, patience: Duration) -> Self {
        let open = Open { socket, answers: BytesMut::new(), stalled: None };
        Self { open: Mutex::new(Some(open)), taken: Notify::new(), peer, patience }
    }

    /// Who is at the other end.
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Takes the socket out, unless it was before, or its client does not read what it was answered before. From then on
    /// HTTP neither reads nor writes.
    #[cfg_attr(
        not(any(feature = "websocket", feature = "sse")),
        allow(dead_code, reason = "only sessions take a connection over")
    )]
    pub(crate) fn take(&self) -> Option<Stream> {
        let open = self.open.lock().take();
        self.taken.notify_one();
        let mut open = open?;
        let sent = open.poll_send(&mut Context::from_waker(Waker::noop()), self.patience);
        matches!(sent, Poll::Ready(Ok(()))).then_some(open.socket)
    }

    /// Done when the socket was taken out.
    pub(crate) async fn taken(&self) {
        self.taken.notified().await;
    }

    /// Reads; of a socket that was taken out there is nothing more to hear.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|open| Pin::new(&mut open.socket).poll_read(cx, into))
    }

    /// Has bytes wait, or writes them, with those that wait before them, if they are many.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let bytes = slices.iter().map(|slice| slice.len()).sum::<usize>();
        self.with(|open| {
            if open.answers.len() + bytes > TOGETHER {
                ready!(open.poll_send(cx, self.patience))?;
            }
            if bytes > TOGETHER {
                let outcome = Pin::new(&mut open.socket).poll_write_vectored(cx, slices);
                return open.in_time(cx, outcome, self.patience);
            }
            slices.iter().for_each(|slice| open.answers.extend_from_slice(slice));
            Poll::Ready(Ok(bytes))
        })
    }

    /// Writes what waits. Whoever has taken the socket out has what waited, too.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut open = self.open.lock();
        open.as_mut().map_or(Poll::Ready(Ok(())), |open| open.poll_send(cx, self.patience))
    }

    /// Writes what waits, and says that nothing more comes.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|open| {
            ready!(open.poll_send(cx, self.patience))?;
            Pin::new(&mut open.socket).poll_shutdown(cx)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Open) -> Poll<T>) -> Poll<T> {
        self.open.lock().as_mut().map_or(Poll::Pending, act)
    }
}

impl Open {
    fn poll_send(&mut self, cx: &mut Context<'_>, patience: Duration) -> Poll<io::Result<()>> {
        if self.answers.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.answers.is_empty() {
            let outcome = Pin::new(&mut self.socket).poll_write(cx, &self.answers);
            match ready!(self.in_time(cx, outcome, patience))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.answers.advance(written),
            }
        }
        // A connection may be idle for long.
        self.answers = BytesMut::new();
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// What a write gave, or that the client has taken nothing for too long: else it would hold a descriptor for ever.
    fn in_time(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
        patience: Duration,
    ) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}
