//! A client's side of TLS without its socket: bytes in, bytes out.

use std::io::{Read, Write};

use rustls::ClientConnection;

/// One connection. What comes out of it is to be sent in that order.
pub(super) struct Channel(ClientConnection);

impl Channel {
    pub(super) fn new(mut connection: ClientConnection) -> Self {
        // What is sealed goes out at once, so nothing piles up that a limit would have to hold.
        connection.set_buffer_limit(None);
        Self(connection)
    }

    /// Whether the handshake is over.
    pub(super) fn is_open(&self) -> bool {
        !self.0.is_handshaking()
    }

    /// Takes what has come; appends what it says.
    ///
    /// # Errors
    /// Why nothing more can be said or heard.
    pub(super) fn open(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<(), String> {
        while !bytes.is_empty() {
            self.0.read_tls(&mut bytes).map_err(|fault| format!("TLS: {fault}"))?;
            let state = self.0.process_new_packets().map_err(|fault| format!("TLS: {fault}"))?;
            let start = plain.len();
            plain.resize(start + state.plaintext_bytes_to_read(), 0);
            self.0.reader().read_exact(&mut plain[start..]).map_err(|fault| format!("TLS: {fault}"))?;
        }
        Ok(())
    }

    /// Appends what is to be sent so that the server hears this, and what TLS itself has to say.
    pub(super) fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) {
        self.0.writer().write_all(plain).expect("there is no limit to what is sealed");
        while self.0.wants_write() {
            self.0.write_tls(sealed).expect("memory takes everything");
        }
    }
}
