//! A protocol and a serializer that fit together.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Cipher, Delivery, EncodeError, FrameFormat, IncompatibleChoice, Protocol, Serializer};

/// A protocol and a serializer that fit together: what one door speaks. Cheap to clone.
#[derive(Clone)]
pub struct Encoder {
    protocol: Arc<dyn Protocol>,
    serializer: Arc<dyn Serializer>,
}

impl Encoder {
    /// An encoder for connections in the clear.
    ///
    /// # Errors
    /// [`IncompatibleChoice`] if the serializer's output cannot go under the protocol.
    pub fn new(protocol: impl Protocol, serializer: impl Serializer) -> Result<Self, IncompatibleChoice> {
        Self::of(Arc::new(protocol), Arc::new(serializer), false)
    }

    /// An encoder of parts that were chosen at run time; `encrypted` if what goes under the frame will
    /// be sealed, which makes every serializer fit.
    ///
    /// # Errors
    /// [`IncompatibleChoice`] if the serializer's output cannot go under the protocol.
    pub fn of(
        protocol: Arc<dyn Protocol>,
        serializer: Arc<dyn Serializer>,
        encrypted: bool,
    ) -> Result<Self, IncompatibleChoice> {
        match protocol.objection(&*serializer) {
            Some(reason) if !encrypted => Err(IncompatibleChoice {
                protocol: protocol.name().to_owned(),
                serializer: serializer.name().to_owned(),
                reason,
            }),
            _ => Ok(Self { protocol, serializer }),
        }
    }

    /// The protocol.
    #[must_use]
    pub fn protocol(&self) -> &dyn Protocol {
        &*self.protocol
    }

    /// The form in which clients speak, if they do after they are online.
    #[must_use]
    pub fn inbound(&self) -> Option<FrameFormat> {
        self.protocol.inbound(&*self.serializer)
    }

    /// The framed bytes of a delivery.
    ///
    /// # Errors
    /// [`EncodeError`] if the serializer has no form for it.
    pub fn encode(&self, delivery: &Delivery<'_>) -> Result<Bytes, EncodeError> {
        let payload = self.payload(delivery)?;
        let mut out = Vec::with_capacity(payload.len() + 4);
        self.protocol.frame(&payload, &mut out);
        Ok(out.into())
    }

    /// The payload of a delivery, as [`Encoder::seal`] takes it: the same for all sessions.
    ///
    /// # Errors
    /// [`EncodeError`] if the serializer has no form for it.
    pub fn payload(&self, delivery: &Delivery<'_>) -> Result<Vec<u8>, EncodeError> {
        let mut payload = Vec::with_capacity(delivery.message.content.as_json().len() + 128);
        self.protocol.payload(delivery, &*self.serializer, &mut payload)?;
        Ok(payload)
    }

    /// Appends the framed, sealed bytes of a payload: different for each session.
    pub fn seal(&self, payload: &[u8], cipher: &dyn Cipher, out: &mut Vec<u8>) {
        let mut sealed = Vec::with_capacity(payload.len() * 3 / 2 + 32);
        cipher.seal(payload, &mut sealed);
        self.protocol.frame(&sealed, out);
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoder({}, {})", self.protocol.name(), self.serializer.name())
    }
}
