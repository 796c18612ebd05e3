//! Connections of clients that are still sending when they are answered.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use msgserver_listener::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use crate::line::Line;

/// How long a client may go on sending after it was answered.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long once the server stops: a client that keeps an idle connection may never notice that it was shut down.
const LAST_PATIENCE: Duration = Duration::from_millis(500);

/// For how many bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A connection that reads on for a while after it was shut down.
///
/// A request may be answered before all of it was read. Closing then would make the kernel reset the
/// connection, and a client that is still sending would see that instead of its answer.
pub(crate) struct Lingering {
    line: Arc<Line>,
    left: usize,
    stopping: CancellationToken,
    /// Set once the server has said its last.
    until: Option<Pin<Box<Sleep>>>,
}

impl Lingering {
    pub(crate) const fn new(line: Arc<Line>, stopping: CancellationToken) -> Self {
        Self { line, left: MAX_BYTES, stopping, until: None }
    }

    /// The socket, unless somebody has taken it over already.
    #[cfg_attr(
        not(feature = "websocket"),
        allow(dead_code, reason = "only an upgrade takes a connection over here")
    )]
    pub(crate) fn into_socket(self) -> Option<Stream> {
        self.line.take()
    }
}

impl AsyncRead for Lingering {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.line.poll_read(cx, into)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.line.poll_write(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.line.poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Whoever drives the connection sends what waits, once there is nothing more to answer.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.until.is_none() {
            ready!(this.line.poll_shutdown(cx))?;
        }
        let patience = if this.stopping.is_cancelled() { LAST_PATIENCE } else { PATIENCE };
        let until = this.until.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        let mut scratch = [std::mem::MaybeUninit::uninit(); 8 * 1024];
        while this.left > 0 && until.as_mut().poll(cx).is_pending() {
            let mut rest = ReadBuf::uninit(&mut scratch);
            match ready!(this.line.poll_read(cx, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => {
                    this.left = this.left.saturating_sub(rest.filled().len());
                }
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
