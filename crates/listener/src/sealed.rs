//! A TLS connection as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use msgserver_tls::{Broken, Came, Channel};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::{Parts, RawSocket};

/// How much is sealed at a time.
const PIECE: usize = 64 * 1024;

/// A TLS connection, open.
#[derive(Debug)]
pub struct Sealed {
    socket: RawSocket,
    channel: Box<Channel>,
    /// What was said and not asked for yet.
    plain: Vec<u8>,
    /// How much of it was.
    read: usize,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
    sent: usize,
    peer_is_done: bool,
    is_closed: bool,
}

impl Sealed {
    pub(crate) const fn new(socket: RawSocket, channel: Box<Channel>, plain: Vec<u8>) -> Self {
        Self {
            socket,
            channel,
            plain,
            read: 0,
            unsent: Vec::new(),
            sent: 0,
            peer_is_done: false,
            is_closed: false,
        }
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(crate) const fn socket(&self) -> &RawSocket {
        &self.socket
    }

    pub(crate) fn into_parts(mut self) -> Parts {
        self.plain.drain(..self.read);
        self.unsent.drain(..self.sent);
        Parts {
            socket: self.socket,
            channel: Some(self.channel),
            read_ahead: self.plain,
            unsent: self.unsent,
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            let n = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.unsent[self.sent..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += n;
        }
        // An idle connection owns no buffer.
        (self.unsent, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }
}

fn broken(fault: Broken) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

impl AsyncRead for Sealed {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.read < this.plain.len() {
                let n = into.remaining().min(this.plain.len() - this.read);
                into.put_slice(&this.plain[this.read..this.read + n]);
                this.read += n;
                if this.read == this.plain.len() {
                    (this.plain, this.read) = (Vec::new(), 0);
                }
                return Poll::Ready(Ok(()));
            }
            if this.peer_is_done || into.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; 8 * 1024];
            let mut room = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.socket).poll_read(cx, &mut room))?;
            let n = room.filled().len();
            if n == 0 {
                // Many clients end so, and say nothing before.
                this.peer_is_done = true;
                continue;
            }
            let came = this.channel.take(&mut bytes[..n], &mut this.plain, &mut this.unsent);
            // What answers the peer's own records goes out now, or with what is written next.
            if let Poll::Ready(Err(fault)) = this.poll_send(cx) {
                return Poll::Ready(Err(fault));
            }
            this.peer_is_done |= came.map_err(broken)? == Came::End;
        }
    }
}

impl AsyncWrite for Sealed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        let piece = &bytes[..bytes.len().min(PIECE)];
        this.channel.seal(piece, &mut this.unsent).map_err(broken)?;
        // What is sealed has to be sent: it counts as written.
        if let Poll::Ready(Err(fault)) = this.poll_send(cx) {
            return Poll::Ready(Err(fault));
        }
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !std::mem::replace(&mut this.is_closed, true) {
            this.channel.close(&mut this.unsent).map_err(broken)?;
        }
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}
