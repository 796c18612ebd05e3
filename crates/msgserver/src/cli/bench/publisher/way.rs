//! How messages are handed over.

use std::io::{Read, Write};

use super::plan::Message;
use super::{frame, http};
use crate::cli::bench::line::{framed, hello, split_frame};
use crate::cli::bench::peer::Peer;
use crate::cli::bench::place::{Place, Stream};

/// A way to a server. A new one is a variant here, and how its requests and answers are written.
#[derive(Debug, Clone)]
pub(in crate::cli::bench) enum Way {
    /// A request a message, the next without waiting for the answer.
    Http { place: Place, host: String, key: Option<String> },
    /// A request for all that may go.
    Batch { place: Place, host: String, key: Option<String> },
    /// Frames of one session.
    Frame { place: Place, user: String, token: Option<String> },
    /// The floor, which answers nothing.
    Floor { place: Place },
    /// As a peer is published to.
    Peer { place: Place, peer: Peer },
}

/// What a server has said of publications.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::cli::bench) struct Answers {
    pub(super) accepted: u64,
    pub(super) refused: u64,
    /// What it said of the first that it refused.
    pub(super) refusal: Option<String>,
}

impl Answers {
    pub(in crate::cli::bench) fn accept(&mut self, count: u64) {
        self.accepted += count;
    }

    pub(in crate::cli::bench) fn refuse(&mut self, count: u64, detail: &[u8]) {
        self.refused += count;
        self.refusal.get_or_insert_with(|| String::from_utf8_lossy(detail).trim().to_owned());
    }

    /// How many were accepted and how many refused.
    #[cfg(test)]
    pub(in crate::cli::bench) const fn counts(&self) -> (u64, u64) {
        (self.accepted, self.refused)
    }
}

impl Way {
    const fn place(&self) -> &Place {
        match self {
            Self::Http { place, .. }
            | Self::Batch { place, .. }
            | Self::Frame { place, .. }
            | Self::Floor { place }
            | Self::Peer { place, .. } => place,
        }
    }

    pub(super) const fn is_batch(&self) -> bool {
        matches!(self, Self::Batch { .. })
    }

    pub(super) fn answers(&self) -> bool {
        match self {
            Self::Floor { .. } => false,
            Self::Peer { peer, .. } => peer.dialect().answers(),
            Self::Http { .. } | Self::Batch { .. } | Self::Frame { .. } => true,
        }
    }

    /// A connection over which messages may go.
    pub(super) fn connect(&self) -> Result<Stream, String> {
        let place = self.place();
        let open = || {
            let mut socket = place.connect()?;
            if let Self::Frame { user, token, .. } = self {
                socket.write_all(&framed(&hello(user, token.as_deref())))?;
                let mut came = Vec::new();
                while split_frame(&came).is_none() {
                    let mut byte = [0; 1];
                    socket.read_exact(&mut byte)?;
                    came.push(byte[0]);
                }
                if !came[4..].starts_with(b"{\"type\":\"welcome\"") {
                    return Err(std::io::Error::other(String::from_utf8_lossy(&came[4..]).into_owned()));
                }
            }
            if let Self::Peer { peer, .. } = self {
                socket.write_all(&peer.dialect().greeting())?;
            }
            Ok(socket)
        };
        open().map_err(|fault: std::io::Error| format!("a publisher at {}: {fault}", place.address))
    }

    /// Appends messages as they go over the wire.
    pub(super) fn write<'a>(&self, messages: impl Iterator<Item = Message<'a>>, out: &mut Vec<u8>) {
        match self {
            Self::Http { host, key, .. } => http::write(messages, host, key.as_deref(), out),
            Self::Batch { host, key, .. } => http::write_batch(messages, host, key.as_deref(), out),
            Self::Frame { .. } => frame::write(messages, out),
            Self::Floor { .. } => messages.for_each(|message| {
                let to = message.to.map_or(u32::MAX, |(_, number)| number as u32);
                let size = message.size as u32 + 1;
                out.extend_from_slice(&to.to_be_bytes());
                out.extend_from_slice(&size.to_be_bytes());
                message.stamp.write(message.size, out);
                out.push(b'|');
            }),
            Self::Peer { peer, .. } => {
                let mut content = Vec::new();
                for message in messages {
                    content.clear();
                    message.stamp.write(message.size, &mut content);
                    peer.write(message.to, &content, out);
                }
            }
        }
    }

    /// Takes the answers that are whole and gives how many bytes those are. `batch` is the number of messages in the
    /// request that is answered first.
    pub(super) fn read(&self, bytes: &[u8], batch: u64, answers: &mut Answers) -> Result<usize, String> {
        match self {
            Self::Http { .. } => http::read(bytes, |status, body| match status {
                202 => answers.accepted += 1,
                _ => answers.refuse(1, body),
            }),
            Self::Batch { .. } => http::read(bytes, |status, body| match status {
                202 => http::read_results(body, answers),
                _ => answers.refuse(batch, body),
            }),
            Self::Frame { .. } => frame::read(bytes, answers),
            Self::Floor { .. } => Ok(bytes.len()),
            Self::Peer { peer, .. } => peer.dialect().read(bytes, answers),
        }
    }
}
