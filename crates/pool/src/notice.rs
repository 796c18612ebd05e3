//! A message to everybody, encoded once for each encoding.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use msgserver_message::Message;
use msgserver_protocol::{Delivery, EncodeError, Encoder};

/// A message to everybody. Its bytes are made when the first session of an encoding needs them, and
/// shared by all others.
#[derive(Debug)]
pub struct Notice {
    message: Message,
    encoders: Arc<[Encoder]>,
    framed: Box<[OnceLock<Bytes>]>,
}

impl Notice {
    /// A notice for the sessions of these encodings; [`Session::encoding`](crate::Session::encoding) is an
    /// index into them.
    ///
    /// # Errors
    /// [`EncodeError`] if one of the encodings has no form for the content.
    pub fn new(message: Message, encoders: Arc<[Encoder]>) -> Result<Self, EncodeError> {
        let framed = encoders.iter().map(|_| OnceLock::new()).collect();
        let notice = Self { message, encoders, framed };
        for encoding in 0..notice.encoders.len() {
            let bytes = notice.encoders[encoding].encode(&Delivery::notice(&notice.message))?;
            let _ = notice.framed[encoding].set(bytes);
        }
        Ok(notice)
    }

    /// The framed bytes for sessions in the clear.
    pub(crate) fn framed(&self, encoding: usize) -> Option<&Bytes> {
        self.framed.get(encoding)?.get()
    }

    /// The message.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }
}
