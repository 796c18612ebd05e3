//! Closing a connection without losing what was said last.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// How long, and for how many bytes, a client may go on sending after it was answered.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A connection that reads on for a while after it was shut down.
///
/// A request may be answered before all of it was read. Closing then would make the kernel reset the
/// connection, and a client that is still sending would see that instead of its answer.
pub(crate) struct Lingering {
    socket: TcpStream,
    left: usize,
    /// Set once the server has said its last.
    until: Option<Pin<Box<Sleep>>>,
}

impl Lingering {
    pub(crate) const fn new(socket: TcpStream) -> Self {
        Self { socket, left: MAX_BYTES, until: None }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, into)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.until.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        }
        let until = this.until.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        let mut scratch = [std::mem::MaybeUninit::uninit(); 8 * 1024];
        while this.left > 0 && until.as_mut().poll(cx).is_pending() {
            let mut rest = ReadBuf::uninit(&mut scratch);
            match ready!(Pin::new(&mut this.socket).poll_read(cx, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => {
                    this.left = this.left.saturating_sub(rest.filled().len());
                }
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
