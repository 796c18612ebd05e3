//! Connections that are cut, hang and come late.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use msgserver_pool::simulation::Wire;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What the server's reactor is told by the network. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network {
    ready: Arc<Mutex<Vec<(usize, bool, bool)>>>,
    pub(crate) stirs: Arc<Notify>,
}

impl Network {
    pub(crate) fn take_ready(&self) -> Vec<(usize, bool, bool)> {
        std::mem::take(&mut *self.ready.lock())
    }

    /// A new connection whose server side takes `room` bytes before its client's TCP has acknowledged some.
    pub(crate) fn connect(&self, room: usize) -> (Box<dyn Wire>, Line) {
        let line = Line { ends: Arc::default(), network: self.clone(), came: Arc::default() };
        let server = ServerSide { line: Line { ends: Arc::clone(&line.ends), ..line.clone() }, room };
        (Box::new(server), line)
    }
}

/// A connection, from the client's side. Clones are the same connection.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    ends: Arc<Mutex<Ends>>,
    network: Network,
    /// Told when the server has written or ended it.
    pub(crate) came: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Ends {
    index: Option<usize>,
    /// Written by the server, and not acknowledged by the client's TCP.
    to_client: VecDeque<u8>,
    /// Whether the server waits for room.
    full: bool,
    /// Arrived at the server.
    to_server: VecDeque<u8>,
    /// No more comes from the client.
    finished: bool,
    reset: bool,
    /// Ended by the server.
    shut: bool,
}

impl Line {
    fn tell(&self, ends: &Ends, readable: bool, writable: bool) {
        if let Some(index) = ends.index {
            self.network.ready.lock().push((index, readable, writable));
            self.network.stirs.notify_one();
        }
    }

    /// At most `most` bytes arrive at the client, whose TCP acknowledges them.
    pub(crate) fn arrive(&self, most: usize) -> Vec<u8> {
        let ends = &mut *self.ends.lock();
        if ends.reset {
            return Vec::new();
        }
        let count = most.min(ends.to_client.len());
        let bytes = ends.to_client.drain(..count).collect();
        if count > 0 && std::mem::take(&mut ends.full) {
            self.tell(ends, false, true);
        }
        bytes
    }

    /// Whether the server has ended it, and all that it wrote has come.
    pub(crate) fn is_over(&self) -> bool {
        let ends = self.ends.lock();
        ends.reset || ends.shut && ends.to_client.is_empty()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.ends.lock().to_client.is_empty()
    }

    /// What the client has sent arrives at the server.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let ends = &mut *self.ends.lock();
        if !ends.finished && !ends.reset {
            ends.to_server.extend(bytes);
            self.tell(ends, true, false);
        }
    }

    /// The client ends it, in order or not.
    pub(crate) fn end(&self, in_order: bool) {
        let ends = &mut *self.ends.lock();
        ends.finished = true;
        ends.reset |= !in_order;
        self.tell(ends, true, true);
    }
}

struct ServerSide {
    line: Line,
    room: usize,
}

impl Wire for ServerSide {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let ends = &mut *self.line.ends.lock();
        if ends.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let count = into.len().min(ends.to_server.len());
        for (to, byte) in into.iter_mut().zip(ends.to_server.drain(..count)) {
            *to = byte;
        }
        if count == 0 && !ends.finished && !ends.shut {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            Ok(count)
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let ends = &mut *self.line.ends.lock();
        if ends.reset || ends.shut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(self.room - self.room.min(ends.to_client.len()));
        ends.full |= count < bytes.len();
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        ends.to_client.extend(&bytes[..count]);
        self.line.came.notify_one();
        Ok(count)
    }

    fn unacknowledged(&self) -> u64 {
        self.line.ends.lock().to_client.len() as u64
    }

    fn shutdown(&self) {
        let ends = &mut *self.line.ends.lock();
        if !std::mem::replace(&mut ends.shut, true) {
            self.line.tell(ends, true, true);
            self.line.came.notify_one();
        }
    }

    fn watch(&self, index: Option<usize>) {
        let ends = &mut *self.line.ends.lock();
        ends.index = index;
        // As a poll does for what was there before it.
        self.line.tell(ends, !ends.to_server.is_empty() || ends.finished || ends.reset || ends.shut, true);
    }
}
