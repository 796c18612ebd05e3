//! A message to everybody, encoded once for each encoding.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use msgserver_message::Message;
use msgserver_protocol::{Delivery, EncodeError, Encoder};

use crate::Audience;

/// A message to everybody, or to an audience, with its bytes for each encoding, which all sessions share.
#[derive(Debug)]
pub struct Notice {
    message: Message,
    /// Whether it is only for sessions for which nothing is kept.
    without_inbox: bool,
    /// To whom, if not to everybody.
    audience: Option<Audience>,
    encoders: Arc<[Encoder]>,
    /// Made when the first session of the encoding needs it, so that doors without sessions cost nothing.
    framed: Box<[OnceLock<Option<Bytes>>]>,
    /// What encrypted sessions seal, each under its own key; made when the first of them needs it.
    payloads: Box<[OnceLock<Option<Vec<u8>>>]>,
    held: Option<Arc<dyn Any + Send + Sync>>,
}

impl Notice {
    /// A notice for the sessions of these encodings; [`Session::encoding`](crate::Session::encoding) is an
    /// index into them.
    ///
    /// # Errors
    /// [`EncodeError`] if one of the encodings has no form for the content.
    pub fn new(message: Message, encoders: Arc<[Encoder]>) -> Result<Self, EncodeError> {
        let framed = encoders.iter().map(|encoder| {
            let sure = encoder.serializer().takes_everything();
            let bytes = if sure { None } else { Some(Some(encoder.encode(&Delivery::notice(&message))?)) };
            Ok(bytes.map_or_else(OnceLock::new, OnceLock::from))
        });
        let framed = framed.collect::<Result<_, _>>()?;
        let payloads = encoders.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { message, without_inbox: false, audience: None, encoders, framed, payloads, held: None })
    }

    /// Only for sessions for which nothing is kept: the others find it in their inboxes.
    #[must_use]
    pub fn without_inbox(mut self) -> Self {
        self.without_inbox = true;
        self
    }

    /// Only for these sessions.
    #[must_use]
    pub fn to(mut self, audience: Audience) -> Self {
        self.audience = Some(audience);
        self
    }

    /// Keeps something until the last thread has handed the notice on.
    #[must_use]
    pub fn holding(mut self, held: Arc<dyn Any + Send + Sync>) -> Self {
        self.held = Some(held);
        self
    }

    pub(crate) const fn is_without_inbox(&self) -> bool {
        self.without_inbox
    }

    pub(crate) const fn audience(&self) -> Option<&Audience> {
        self.audience.as_ref()
    }

    /// Whether it goes to the same sessions as another one.
    pub(crate) fn goes_where(&self, other: &Self) -> bool {
        self.without_inbox == other.without_inbox
            && match (&self.audience, &other.audience) {
                (None, None) => true,
                (Some(own), Some(other)) => own.is(other),
                _ => false,
            }
    }

    /// The framed bytes for sessions in the clear.
    pub(crate) fn framed(&self, encoding: usize) -> Option<&Bytes> {
        let make = || self.encoders[encoding].encode(&Delivery::notice(&self.message)).ok();
        self.framed.get(encoding)?.get_or_init(make).as_ref()
    }

    /// About how many bytes it is in each encoding.
    pub(crate) fn len(&self) -> usize {
        self.message.bytes()
    }

    /// The payload for encrypted sessions.
    pub(crate) fn payload(&self, encoding: usize) -> Option<&[u8]> {
        let make = || self.encoders[encoding].payload(&Delivery::notice(&self.message)).ok();
        self.payloads.get(encoding)?.get_or_init(make).as_deref()
    }

    /// The message.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }
}
