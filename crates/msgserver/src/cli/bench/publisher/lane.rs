//! One connection of a publisher.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use mio::net::TcpStream;

use super::way::{Answers, Way};
use crate::cli::bench::channel::Channel;

pub(super) struct Lane {
    pub(super) socket: TcpStream,
    /// What TLS is spoken through, if it is.
    channel: Option<Channel>,
    /// What is to be written.
    out: Vec<u8>,
    /// How many messages have gone this way.
    pub(super) sent: u64,
    answered: u64,
    /// When those were sent that are not answered, and how many together.
    waiting: VecDeque<(u64, u64)>,
    /// What has come of an answer that is not whole.
    tail: Vec<u8>,
}

impl Lane {
    pub(super) fn connect(way: &Way) -> Result<Self, String> {
        let (socket, channel) = way.connect()?.into_parts();
        socket.set_nonblocking(true).map_err(|fault| fault.to_string())?;
        let socket = TcpStream::from_std(socket);
        let (out, tail, waiting) = (Vec::new(), Vec::new(), VecDeque::new());
        Ok(Self { socket, channel, out, sent: 0, answered: 0, waiting, tail })
    }

    pub(super) const fn unanswered(&self) -> u64 {
        self.sent - self.answered
    }

    /// Whether the socket has taken all that was to be written.
    pub(super) const fn is_written(&self) -> bool {
        self.out.is_empty()
    }

    /// Has something written as soon as the socket takes it.
    pub(super) fn say(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        match &mut self.channel {
            None => write(&mut self.out),
            Some(channel) => {
                let mut plain = Vec::new();
                write(&mut plain);
                channel.seal(&plain, &mut self.out);
            }
        }
    }

    /// Notes that so many messages go now.
    pub(super) fn note_sent(&mut self, count: u64, now: u64) {
        self.sent += count;
        self.waiting.push_back((now, count));
    }

    /// Notes so many answers; gives when those were sent that are answered, and how many.
    pub(super) fn note_answered(&mut self, count: u64) -> Vec<(u64, u64)> {
        let mut left = count;
        let mut answered = Vec::new();
        while let Some((sent, waiting)) = self.waiting.front_mut() {
            let part = left.min(*waiting);
            if part == 0 {
                break;
            }
            answered.push((*sent, part));
            self.answered += part;
            left -= part;
            *waiting -= part;
            if *waiting == 0 {
                self.waiting.pop_front();
            }
        }
        answered
    }

    pub(super) fn flush(&mut self) -> Result<(), String> {
        let mut written = 0;
        let outcome = loop {
            if written == self.out.len() {
                break Ok(());
            }
            match self.socket.write(&self.out[written..]) {
                Ok(more) => written += more,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => break Err(format!("the publisher's connection: {fault}")),
            }
        };
        self.out.drain(..written);
        outcome
    }

    /// Reads the answers that have come.
    pub(super) fn read(&mut self, way: &Way) -> Result<Answers, String> {
        let mut answers = Answers::default();
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err("the server closed the publisher's connection".to_owned()),
                Ok(read) => match &mut self.channel {
                    None => self.tail.extend_from_slice(&buffer[..read]),
                    Some(channel) => channel.open(&buffer[..read], &mut self.tail)?,
                },
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => break,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(format!("the publisher's connection: {fault}")),
            }
        }
        let batch = self.waiting.front().map_or(0, |(_, count)| *count);
        let taken = way.read(&self.tail, batch, &mut answers)?;
        self.tail.drain(..taken);
        Ok(answers)
    }
}
