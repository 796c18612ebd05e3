//! One TLS connection, as bytes in and bytes out.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError};

use crate::Broken;

/// What a record adds to what is in it, at most: its head, an explicit nonce, the tag and the hidden type.
const RECORD_OVERHEAD: usize = 5 + 8 + 16 + 1;

/// How much one record holds.
const RECORD: usize = 16 * 1024;

/// The longest record, with its head, that a peer may send.
const LONGEST_RECORD: usize = 5 + RECORD + 2048;

/// The longest flight of a handshake that is kept until it is whole: a chain of client certificates.
const LONGEST_FLIGHT: usize = 128 * 1024;

/// The server's side of one TLS connection. It owns no socket and, between records, no buffer: bytes that came are
/// given to it, and what it gives is to be sent in that order.
pub struct Channel {
    connection: UnbufferedServerConnection,
    /// A record that has not come whole.
    half: Vec<u8>,
    is_open: bool,
}

/// What has come of bytes from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// The handshake is under way, or over; nothing is to be noted.
    More,
    /// The peer has said that it sends no more.
    End,
}

impl Channel {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Self, Broken> {
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(Self { connection, half: Vec::new(), is_open: false })
    }

    /// Whether the handshake is over.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Takes bytes that came from the peer. What they say is put to `plain`, and what is to be sent in answer to
    /// `answer`: also in case of an error, of which the peer is told by that.
    ///
    /// # Errors
    /// [`Broken`]: nothing more can be said or heard.
    pub fn take(
        &mut self,
        bytes: &mut [u8],
        plain: &mut Vec<u8>,
        answer: &mut Vec<u8>,
    ) -> Result<Came, Broken> {
        if self.half.is_empty() {
            let (came, used) = self.advance(bytes, plain, answer)?;
            self.half.extend_from_slice(&bytes[used..]);
            return self.bounded(came);
        }
        let mut whole = std::mem::take(&mut self.half);
        whole.extend_from_slice(bytes);
        let (came, used) = self.advance(&mut whole, plain, answer)?;
        if used < whole.len() {
            whole.drain(..used);
            self.half = whole;
        }
        self.bounded(came)
    }

    fn bounded(&self, came: Came) -> Result<Came, Broken> {
        let limit = if self.is_open { LONGEST_RECORD } else { LONGEST_FLIGHT };
        if self.half.len() > limit { Err(Broken::too_long()) } else { Ok(came) }
    }

    /// Goes as far as `bytes` reach; gives how many are done with.
    fn advance(
        &mut self,
        bytes: &mut [u8],
        plain: &mut Vec<u8>,
        answer: &mut Vec<u8>,
    ) -> Result<(Came, usize), Broken> {
        let (mut used, mut came) = (0, Came::More);
        loop {
            let status = self.connection.process_tls_records(&mut bytes[used..]);
            let mut discard = status.discard;
            match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(answer, 1024, |room| match data.encode(room) {
                        Err(EncodeError::InsufficientSize(short)) => Err(Some(short)),
                        Err(EncodeError::AlreadyEncoded) => Ok(0),
                        Ok(n) => Ok(n),
                    });
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => came = Came::End,
                Ok(ConnectionState::WriteTraffic(_)) => {
                    // A server might already speak to a client that has not proven anything yet.
                    self.is_open = !self.connection.is_handshaking();
                    return Ok((came, used + discard));
                }
                // Early data is not offered.
                Ok(_) => return Ok((came, used + discard)),
                Err(fault) => {
                    self.last_words(answer);
                    return Err(fault.into());
                }
            }
            used += discard;
        }
    }

    /// What the peer is to be told of a fault.
    fn last_words(&mut self, answer: &mut Vec<u8>) {
        while let Ok(ConnectionState::EncodeTlsData(mut data)) =
            self.connection.process_tls_records(&mut []).state
        {
            append(answer, 64, |room| match data.encode(room) {
                Err(EncodeError::InsufficientSize(short)) => Err(Some(short)),
                Err(EncodeError::AlreadyEncoded) => Ok(0),
                Ok(n) => Ok(n),
            });
        }
    }

    /// Puts what `plain` is on the wire to `sealed`, which is to be sent in the order of the calls.
    ///
    /// # Errors
    /// [`Broken`] if the handshake is not over, or so much was sent that the keys are used up.
    pub fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), Broken> {
        let room = plain.len() + plain.len().div_ceil(RECORD).max(1) * RECORD_OVERHEAD;
        self.say(room, sealed, |traffic, room| traffic.encrypt(plain, room))
    }

    /// Puts what tells the peer that nothing more comes to `sealed`.
    ///
    /// # Errors
    /// As [`Channel::seal`].
    pub fn close(&mut self, sealed: &mut Vec<u8>) -> Result<(), Broken> {
        self.say(64, sealed, |traffic, room| traffic.queue_close_notify(room))
    }

    fn say(
        &mut self,
        room: usize,
        sealed: &mut Vec<u8>,
        mut say: impl FnMut(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), Broken> {
        loop {
            match self.connection.process_tls_records(&mut []).state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let said = append(sealed, room, |room| match say(&mut traffic, room) {
                        Err(EncryptError::InsufficientSize(short)) => Err(Some(short)),
                        Err(EncryptError::EncryptExhausted) => Err(None),
                        Ok(n) => Ok(n),
                    });
                    return if said { Ok(()) } else { Err(Broken::used_up()) };
                }
                // What was due before, such as an answer to a change of keys.
                ConnectionState::EncodeTlsData(mut data) => {
                    append(sealed, 64, |room| match data.encode(room) {
                        Err(EncodeError::InsufficientSize(short)) => Err(Some(short)),
                        Err(EncodeError::AlreadyEncoded) => Ok(0),
                        Ok(n) => Ok(n),
                    });
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => {}
                _ => return Err(Broken::not_open()),
            }
        }
    }

    /// The certificate that the client has proven to be its own.
    pub(crate) fn client_certificate(&self) -> Option<&[u8]> {
        self.connection.peer_certificates()?.first().map(AsRef::as_ref)
    }
}

type Traffic<'c> = rustls::unbuffered::WriteTraffic<'c, rustls::server::ServerConnectionData>;

/// Has `write` write to the end of `to`, into as much room as it says that it needs; whether it could.
fn append(
    to: &mut Vec<u8>,
    mut room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> bool {
    let start = to.len();
    loop {
        to.resize(start + room, 0);
        match write(&mut to[start..]) {
            Ok(n) => {
                to.truncate(start + n);
                return true;
            }
            Err(Some(short)) => room = short.required_size,
            Err(None) => {
                to.truncate(start);
                return false;
            }
        }
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Channel({})", if self.is_open { "open" } else { "in its handshake" })
    }
}
