//! Coming in by a door that is somebody else's, such as the HTTP port.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use msgserver_access::{Gate, Scope};
use msgserver_listener::{Peer, Stream};
use msgserver_message::{DeviceId, Seq, UserId};
use msgserver_persistence::StoreError;
use msgserver_pool::Session;
use msgserver_protocol::{ByeCode, Hello};

use crate::Scheduler;
use crate::core::Core;
use crate::entering::Expected;
use crate::occupancy::Place;
use crate::opening::Beforehand;
use crate::refusal::Refusal;

/// How many messages are looked at together when a device says late what it has.
const PAGE: usize = 256;

/// A client that may come in, and has a place kept for it. Dropped, it gives the place back.
pub struct Visitor {
    core: Arc<Core>,
    peer: Peer,
    door: usize,
    place: Place,
}

/// A client for whom everything is ready but its connection.
pub struct Admitted {
    pub(crate) core: Arc<Core>,
    pub(crate) expected: Expected,
}

/// A session that another door has brought online.
#[derive(Debug, Clone)]
pub struct Entered(pub(crate) Weak<Session>);

impl Entered {
    /// Ends the answer if nothing has come that it could say, and if it is still there.
    pub fn complete_empty(&self) {
        if let Some(session) = self.0.upgrade() {
            session.complete_empty();
        }
    }
}

impl Scheduler {
    /// The number of the first door with this protocol and serializer.
    #[must_use]
    pub fn door(&self, protocol: &str, serializer: &str) -> Option<usize> {
        self.core.encoders.iter().position(|encoder| {
            encoder.protocol().name() == protocol && encoder.serializer().name() == serializer
        })
    }

    /// What is asked of who comes in.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.core.settings.gate
    }

    /// Whether clients have to prove who they are.
    #[must_use]
    pub fn asks_for_proof(&self) -> bool {
        self.core.asks_for_proof()
    }

    /// Whether a token is a key of publishers.
    #[must_use]
    pub fn knows_key(&self, token: &str) -> bool {
        let settings = &self.core.settings;
        settings.publishers.know(token) || settings.gate.key_may(token, Scope::Publish)
    }

    /// Lets a client in by the door of this number, or says why not: it is filtered out, there is no place for one
    /// more, or the server stops.
    ///
    /// # Errors
    /// [`Refusal`] with the code that a `bye` would have.
    ///
    /// # Panics
    /// If there is no door of that number.
    pub fn visit(&self, peer: impl Into<Peer>, door: usize) -> Result<Visitor, Refusal> {
        let peer = peer.into();
        let core = &self.core;
        let refuse = |code, text: &str| {
            core.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
            Refusal::new(code, text)
        };
        if core.closed.load(Ordering::Relaxed) {
            return Err(refuse(ByeCode::ShuttingDown, "the server stops"));
        }
        if !core.allows(peer.address) {
            return Err(refuse(ByeCode::Unauthorized, "authorization validation failed"));
        }
        let name = || core.encoders[door].protocol().name().to_owned();
        let place = core.occupancies[door].take().map_err(|full| core.full(full, name))?;
        Ok(Visitor { core: Arc::clone(core), peer, door, place })
    }

    /// Notes that everything up to `seq` is safe with the device of who says `hello`; done once the store has it.
    /// What was not sent to the device is not acknowledged.
    ///
    /// # Errors
    /// [`Refusal`] if it is not who it says it is, if `seq` was not sent yet, or if the store cannot be asked.
    pub async fn acknowledge(&self, peer: impl Into<Peer>, hello: Hello, seq: Seq) -> Result<(), Refusal> {
        let core = &self.core;
        let guest = core.introduce(hello, &peer.into(), "http").await?;
        let Some(store) = core.store_for(&guest.user) else { return Ok(()) };
        let mut sessions = core.parts.pool.sessions_of(&guest.user);
        sessions.retain(|session| *session.device() == guest.device);
        let last = match sessions.iter().map(|session| session.last_sent()).max() {
            Some(last) => last,
            // What was sent is known to its session alone: to who is away it may have been all there is.
            None => store.inbox(&guest.user).await.map_err(unavailable)?.last,
        };
        if seq > last {
            let text = format!("{seq} was not sent yet; the last one is {last}");
            return Err(Refusal::new(ByeCode::BadFrame, text));
        }
        if sessions.is_empty() {
            core.note_late(&guest.user, &guest.device, seq).await.map_err(unavailable)?;
        }
        for session in &sessions {
            core.acknowledged(session, seq);
        }
        store.acknowledge(&guest.user, &guest.device, seq).await.map_err(unavailable)
    }
}

impl Visitor {
    /// Hears the client's `hello` and brings it online, as at a raw TCP door. `before` is what its request has said
    /// already, `bytes` what was read of the connection.
    pub async fn greet(self, stream: Stream, before: Hello, bytes: Vec<u8>) {
        let Self { core, peer, door, place } = self;
        core.open(stream, peer, door, place, Beforehand { hello: before, bytes }).await;
    }

    /// Lets in a client that has said everything with its request, `has` of it being what is safe with its device.
    ///
    /// # Errors
    /// [`Refusal`] if it is not who it says it is, or if the store cannot be asked.
    pub async fn admit(self, hello: Hello, has: Option<Seq>) -> Result<Admitted, Refusal> {
        let Self { core, peer, door, place } = self;
        let admitting = async {
            let guest = core.introduce(hello, &peer, core.encoders[door].protocol().name()).await?;
            let mut expected = core.expect(guest, door, place).await?;
            if let Some(seq) = has {
                core.catch_up(&mut expected, seq).await?;
            }
            Ok(expected)
        };
        let expected = admitting.await.inspect_err(|_: &Refusal| {
            core.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
        })?;
        Ok(Admitted { core, expected })
    }
}

impl Admitted {
    /// Brings the client online over its connection, with `head` before everything else that it is sent. Nothing
    /// if the connection is lost already.
    pub async fn enter(self, stream: std::io::Result<Stream>, head: Bytes) -> Option<Entered> {
        self.core.enter_by(self.expected, stream, head).await.map(Entered)
    }
}

impl Core {
    /// A client has come back and says what it has: nothing of that is sent again.
    async fn catch_up(&self, expected: &mut Expected, seq: Seq) -> Result<(), Refusal> {
        let (user, device) = (&expected.guest.user, &expected.guest.device);
        let (Some(store), Some(cursor)) = (self.store_for(user), &mut expected.cursor) else { return Ok(()) };
        // One that names what it was never sent has its number from another time: it is sent all again.
        if seq <= cursor.acknowledged || seq > cursor.sent {
            return Ok(());
        }
        let noted = async {
            self.note_late(user, device, seq).await?;
            store.acknowledge(user, device, seq).await
        };
        match noted.await {
            Ok(()) => {
                cursor.acknowledged = seq;
                Ok(())
            }
            Err(fault) => {
                let _ = store.leave(user, device, cursor.sent).await;
                Err(unavailable(fault))
            }
        }
    }

    /// Notes for receipts what a device acknowledges of which no session knows any more that it was sent.
    async fn note_late(&self, user: &UserId, device: &DeviceId, upto: Seq) -> Result<(), StoreError> {
        let Some(store) = self.store_for(user) else { return Ok(()) };
        let devices = store.devices(user).await?;
        let Some(known) = devices.iter().find(|known| known.device == *device) else { return Ok(()) };
        let mut after = known.acknowledged;
        while after < upto {
            let entries = store.read(user, after, PAGE).await?;
            let Some(last) = entries.last() else { break };
            after = last.seq;
            let safe = entries.iter().filter(|entry| entry.seq <= upto).map(|entry| entry.message.id);
            self.receipts.note_late(user, device, safe);
        }
        Ok(())
    }
}

fn unavailable(fault: StoreError) -> Refusal {
    Refusal::new(ByeCode::Unavailable, fault)
}
