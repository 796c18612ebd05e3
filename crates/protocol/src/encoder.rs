//! A protocol and a serializer that fit together.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Acknowledgement, Cipher, Delivery, EncodeError, FrameFault, Inbound, IncompatibleChoice, Protocol,
    Serializer, ServerFrame,
};

/// A protocol and a serializer that fit together: what one door speaks. Cheap to clone.
#[derive(Clone)]
pub struct Encoder {
    protocol: Arc<dyn Protocol>,
    serializer: Arc<dyn Serializer>,
    // What is asked for each read and each message: kept, so that nobody has to ask behind a pointer.
    inbound: Inbound,
    acknowledgement: Acknowledgement,
    is_one_answer: bool,
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
            _ => Ok(Self {
                inbound: protocol.inbound(&*serializer),
                acknowledgement: protocol.acknowledgement(),
                is_one_answer: protocol.is_one_answer(),
                protocol,
                serializer,
            }),
        }
    }

    /// The protocol.
    #[must_use]
    pub fn protocol(&self) -> &dyn Protocol {
        &*self.protocol
    }

    /// The serializer.
    #[must_use]
    pub fn serializer(&self) -> &dyn Serializer {
        &*self.serializer
    }

    /// How clients speak after they are online.
    #[must_use]
    pub const fn inbound(&self) -> Inbound {
        self.inbound
    }

    /// How the server learns what is safe with a client.
    #[must_use]
    pub const fn acknowledgement(&self) -> Acknowledgement {
        self.acknowledgement
    }

    /// Whether a session ends with the first messages that it was sent.
    #[must_use]
    pub const fn is_one_answer(&self) -> bool {
        self.is_one_answer
    }

    /// The bytes of an object of the conversation; nothing if clients would not understand it.
    #[must_use]
    pub fn say(&self, frame: &ServerFrame) -> Option<Bytes> {
        self.conversation(frame, |_| {})
    }

    /// The last bytes of a connection: `bye`, and what the protocol has to close with. `fault` is what was wrong
    /// with the client's last frame.
    #[must_use]
    pub fn farewell(&self, bye: &ServerFrame, fault: Option<FrameFault>) -> Option<Bytes> {
        self.conversation(bye, |out| self.protocol.close(bye, fault, out))
    }

    fn conversation(&self, frame: &ServerFrame, end: impl FnOnce(&mut Vec<u8>)) -> Option<Bytes> {
        let mut out = Vec::new();
        // A serializer of somebody else's that has no form for it: nothing is better than half of it.
        if self.protocol.say(frame, &*self.serializer, &mut out).is_err() {
            out.clear();
        }
        end(&mut out);
        (!out.is_empty()).then(|| out.into())
    }

    /// The framed bytes of a delivery.
    ///
    /// # Errors
    /// [`EncodeError`] if the serializer has no form for it.
    pub fn encode(&self, delivery: &Delivery<'_>) -> Result<Bytes, EncodeError> {
        let payload = self.payload(delivery)?;
        let mut out = Vec::with_capacity(payload.len() + 10);
        self.protocol.frame(&payload, &mut out);
        Ok(out.into())
    }

    /// The payload of a delivery, as [`Encoder::seal`] takes it: the same for all sessions.
    ///
    /// # Errors
    /// [`EncodeError`] if the serializer has no form for it.
    pub fn payload(&self, delivery: &Delivery<'_>) -> Result<Vec<u8>, EncodeError> {
        let mut payload = Vec::with_capacity(delivery.message.bytes() + 128);
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
