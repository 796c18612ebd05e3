//! From a guest to a session.

use std::fmt::Display;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use msgserver_listener::{Parts, RawSocket, Stream};
use msgserver_message::{DeviceId, Seq, UserId};
use msgserver_persistence::Cursor;
use msgserver_pool::{CloseReason, Connection, Sealed, Session, SessionSetup, Standing, Terms};
use msgserver_protocol::{ByeCode, Cipher, ServerFrame};
use tokio::time::{Instant, timeout_at};

use crate::core::Core;
use crate::guest::Guest;
use crate::mqtt::Talk;
use crate::occupancy::Place;
use crate::refusal::Refusal;
use crate::subscribing::Beginning;
use crate::turnstile::Turn;

/// A guest for whom everything is ready but its connection.
pub(crate) struct Expected {
    pub(crate) guest: Guest,
    pub(crate) encoding: usize,
    pub(crate) place: Place,
    /// Where it stands in its inbox, if it has one.
    pub(crate) cursor: Option<Cursor>,
    /// What it follows.
    pub(crate) beginning: Beginning,
    /// Its turn to read its inbox, if something waits there.
    pub(crate) turn: Option<Turn>,
    /// What it has agreed on with its door.
    pub(crate) agreed: Agreed,
}

/// What a guest has agreed on with its door, where its protocol lets it say so.
#[derive(Default)]
pub(crate) struct Agreed {
    pub(crate) terms: Terms,
    /// How many kept messages it takes without having acknowledged them.
    pub(crate) window: Option<usize>,
    /// What is kept of it besides its session.
    pub(crate) talk: Option<Talk>,
}

impl Core {
    /// Opens a guest's inbox, waits for its turn if something waits there, and has it follow what it asks for.
    pub(crate) async fn expect(
        &self,
        guest: Guest,
        encoding: usize,
        place: Place,
    ) -> Result<Expected, Refusal> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Refusal::new(ByeCode::ShuttingDown, CloseReason::ShuttingDown));
        }
        let (mut cursor, mut turn) = (None, None);
        if let Some(store) = self.store_for(&guest.user) {
            let unavailable = |fault: &dyn Display| Refusal::new(ByeCode::Unavailable, fault);
            let too_many = |_| unavailable(&"too many clients come at once; try again later");
            let until = Instant::now() + self.settings.opening_deadline;
            let inside = timeout_at(until, self.turnstile.inside()).await.map_err(too_many)?;
            let opened = store.open(&guest.user, &guest.device).await;
            let at = opened.map_err(|fault| unavailable(&fault))?;
            if at.acknowledged < at.last {
                match timeout_at(until, self.turnstile.turn(inside)).await {
                    Ok(its_turn) => turn = Some(its_turn),
                    Err(late) => {
                        self.leave(&guest.user, &guest.device, at.sent).await;
                        return Err(too_many(late));
                    }
                }
            }
            cursor = Some(at);
        }
        let following = cursor.as_ref().map_or_else(Vec::new, |cursor| cursor.topics.clone());
        let beginning = self.follow_from_hello(&guest, following).await;
        Ok(Expected { guest, encoding, place, cursor, beginning, turn, agreed: Agreed::default() })
    }

    /// As [`Core::enter`], by a stream, of which nothing is lost.
    pub(crate) async fn enter_by(
        self: &Arc<Self>,
        mut expected: Expected,
        stream: io::Result<Stream>,
        head: Bytes,
    ) -> Option<Weak<Session>> {
        let connection = stream.and_then(|stream| connection(stream, &mut expected.guest));
        self.enter(expected, connection, head).await
    }

    /// Brings an expected guest online over its connection. `head` goes before everything else that it is sent.
    /// Nothing if the connection is lost already.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        expected: Expected,
        socket: io::Result<impl Into<Connection>>,
        head: Bytes,
    ) -> Option<Weak<Session>> {
        let (user, device) = (expected.guest.user.clone(), expected.guest.device.clone());
        let sent = expected.cursor.as_ref().map(|cursor| cursor.sent);
        match socket.and_then(|socket| self.enter_now(expected, socket, head)) {
            Ok(session) => Some(session),
            Err(fault) => {
                tracing::info!(%user, %fault, "connection lost");
                if let Some(sent) = sent {
                    self.leave(&user, &device, sent).await;
                }
                None
            }
        }
    }

    /// Closes an inbox that was opened for a session that does not come about.
    async fn leave(&self, user: &UserId, device: &DeviceId, sent: Seq) {
        let Some(store) = self.store_for(user) else { return };
        if let Err(fault) = store.leave(user, device, sent).await {
            tracing::warn!(%user, %fault, "the end of a session is not kept");
        }
    }

    pub(crate) fn enter_now(
        self: &Arc<Self>,
        expected: Expected,
        socket: impl Into<Connection>,
        head: Bytes,
    ) -> io::Result<Weak<Session>> {
        let Expected { guest, encoding, place, cursor, beginning, turn, agreed } = expected;
        let access = guest.access;
        let id = self.next_session();
        let (user, device) = (guest.user.clone(), guest.device.clone());
        let session = self.reactor().session(
            socket,
            SessionSetup {
                id,
                user: guest.user,
                device: guest.device,
                encoders: Arc::clone(&self.encoders),
                encoding,
                cipher: guest.cipher.map(|cipher| Box::new(cipher) as Box<dyn Cipher>),
                outbox_limit: self.settings.outbox_limit,
                window: agreed.window.unwrap_or(usize::MAX).min(self.settings.window),
                standing: cursor.as_ref().map(|at| Standing::new(at.acknowledged, at.sent, at.last)),
                may_publish: guest.may_publish,
                terms: agreed.terms,
                read_ahead: guest.read_ahead,
            },
        )?;
        let session = Arc::new(session);
        place.keep();
        if let Some(talk) = agreed.talk {
            self.talks.begin(id, talk);
        }
        if let Some(turn) = turn {
            self.turnstile.reads(id, turn);
        }
        let heartbeat_ms = u64::try_from(self.settings.reactor.heartbeat.as_millis()).unwrap_or(u64::MAX);
        let resumed = cursor.is_some_and(|cursor| cursor.known);
        let welcome = ServerFrame::Welcome { session: id, user, device, heartbeat_ms, resumed };
        let welcome = self.encoders[encoding].say(&welcome).unwrap_or_default();
        let first = if head.is_empty() { welcome } else { [head, welcome].concat().into() };
        // Who is welcomed is online and follows already, and what is published meanwhile comes after that.
        if !first.is_empty() {
            session.begin(first);
        }
        beginning.following.iter().for_each(|topics| self.topics.follow(&session, topics));
        for refusal in beginning.refusals.iter().filter_map(|refusal| self.encoders[encoding].say(refusal)) {
            session.begin(refusal);
        }
        self.bring_online(&session, access);
        Ok(Arc::downgrade(&session))
    }
}

/// The connection that a stream is; what the client has said beyond its first words goes to what it has said.
pub(crate) fn connection(stream: Stream, guest: &mut Guest) -> io::Result<Connection> {
    let Parts { socket, channel, read_ahead, unsent } = stream.into_parts();
    guest.read_ahead.extend(read_ahead);
    let socket = match socket {
        RawSocket::Tcp(socket) => Connection::Tcp(socket.into_std()?),
        RawSocket::Unix(socket) => Connection::Unix(socket.into_std()?),
    };
    Ok(match channel {
        None => socket,
        Some(channel) => Connection::Sealed(Box::new(Sealed { socket, channel, unsent })),
    })
}
