//! One client of the load: a socket, its line, and what has come.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::line::{Heard, Line};
use super::order::Order;

/// How a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Whatever comes, at once.
    Always,
    /// A kilobyte a second.
    Slowly,
    /// Nothing.
    Never,
}

/// What a slow client leaves in its own kernel; without this limit a short run would fit in there.
const SLOW_BUFFER: usize = 4096;

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting,
    Opening,
    Online,
    Closed,
}

pub(super) struct Client {
    pub(super) number: usize,
    pub(super) reading: Reading,
    pub(super) stage: Stage,
    /// When it began to connect.
    pub(super) since: u64,
    pub(super) socket: TcpStream,
    pub(super) order: Order,
    line: Box<dyn Line>,
    /// What has come of a frame that is not whole.
    tail: Vec<u8>,
    /// What the socket did not take.
    unsaid: Vec<u8>,
}

impl Client {
    /// Begins to connect.
    pub(super) fn connect(
        number: usize,
        reading: Reading,
        address: SocketAddr,
        line: Box<dyn Line>,
        since: u64,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if reading != Reading::Always {
            socket.set_recv_buffer_size(SLOW_BUFFER)?;
        }
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        if let Err(fault) = socket.connect(&address.into())
            && fault.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error())
        {
            return Err(fault);
        }
        let socket = TcpStream::from_std(socket.into());
        let (order, stage) = (Order::default(), Stage::Connecting);
        Ok(Self { number, reading, stage, since, socket, order, line, tail: Vec::new(), unsaid: Vec::new() })
    }

    /// Does what the socket is ready for. Each piece that comes is heard in turn.
    pub(super) fn turn(
        &mut self,
        event: &Event,
        buffer: &mut [u8],
        heard: &mut Heard,
        mut each: impl FnMut(&mut Self, &Heard),
    ) -> Result<(), String> {
        if self.stage == Stage::Connecting && event.is_writable() {
            if let Some(fault) = self.socket.take_error().map_err(text)? {
                return Err(text(fault));
            }
            self.stage = Stage::Opening;
            let greeting = self.line.greet();
            self.say(&greeting)?;
            self.hear(&[], heard)?;
            each(self, heard);
        }
        if event.is_writable() && !self.unsaid.is_empty() {
            let unsaid = std::mem::take(&mut self.unsaid);
            self.say(&unsaid)?;
        }
        if !event.is_readable() {
            return Ok(());
        }
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Err("the server closed the connection".to_owned()),
                Ok(read) => {
                    self.hear(&buffer[..read], heard)?;
                    each(self, heard);
                    // A short read has emptied the socket, unless the end stands behind it.
                    if read < buffer.len() && !event.is_read_closed() {
                        return Ok(());
                    }
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(text(fault)),
            }
        }
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<(), String> {
        heard.clear();
        if self.tail.is_empty() {
            let taken = self.line.take(bytes, heard)?;
            self.tail.extend_from_slice(&bytes[taken..]);
        } else {
            self.tail.extend_from_slice(bytes);
            let taken = self.line.take(&self.tail, heard)?;
            self.tail.drain(..taken);
        }
        if heard.say.is_empty() { Ok(()) } else { self.say(&heard.say) }
    }

    fn say(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() && self.unsaid.is_empty() {
            match self.socket.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => break,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(text(fault)),
            }
        }
        self.unsaid.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads so many bytes at most and drops them; false if the connection is at its end.
    pub(super) fn skip(&mut self, most: usize, buffer: &mut [u8]) -> bool {
        let mut left = most;
        while left > 0 {
            let part = left.min(buffer.len());
            match self.socket.read(&mut buffer[..part]) {
                Ok(0) => return false,
                Ok(read) => left -= read,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return fault.kind() == io::ErrorKind::WouldBlock,
            }
        }
        true
    }
}

fn text(fault: io::Error) -> String {
    fault.to_string()
}
