//! What sessions tell.

use std::sync::Arc;

use msgserver_message::Seq;
use msgserver_mqtt::Packet;
use msgserver_persistence::Acknowledge;
use msgserver_pool::{CloseReason, Events, Session};
use msgserver_protocol::{Acknowledgement, ClientFrame, ErrorCode, ServerFrame};

use crate::SubscribeError;
use crate::core::Core;
use crate::delivering::STORE_RETRY;
use crate::mqtt::Remains;
use crate::subscribing::{Asked, refusal};

/// How often an acknowledgement is offered to a store that fails, once its session is over: without it the device
/// is sent the message again, and an old client cannot tell. Not for ever, since nobody counts such sessions.
const TRIES_FOR_WHO_LEFT: u32 = 30;

/// What the reactor tells.
pub(crate) struct FromReactor(pub(crate) Arc<Core>);

impl Events for FromReactor {
    fn on_frame(&self, session: &Arc<Session>, frame: ClientFrame) {
        let error = |code, detail: String, reference| ServerFrame::Error { code, detail, reference };
        let answer = match frame {
            ClientFrame::Ack { seq } => {
                let last = session.last_sent();
                if seq <= last {
                    self.0.acknowledged(session, seq);
                    return;
                }
                let detail = format!("{seq} was not sent yet; the last one is {last}");
                error(ErrorCode::UnexpectedFrame, detail, None)
            }
            // What was asked for before is done by then: so a client can tell that it follows.
            ClientFrame::Ping => match self.0.publisher.ask(session, Asked::Pong) {
                Ok(true) => return,
                Ok(false) => ServerFrame::Pong,
                Err(refusal) => refusal,
            },
            ClientFrame::Subscribe { topic, history } => {
                if !self.0.may_follow(session, &topic) {
                    return self.0.say(session, &refusal(&SubscribeError::Forbidden(topic)));
                }
                let history = usize::try_from(history).unwrap_or(usize::MAX);
                match self.0.publisher.ask(session, Asked::Subscribe(topic, history)) {
                    Ok(_) => return,
                    Err(refusal) => refusal,
                }
            }
            ClientFrame::Unsubscribe { topic } => {
                match self.0.publisher.ask(session, Asked::Unsubscribe(topic)) {
                    Ok(_) => return,
                    Err(refusal) => refusal,
                }
            }
            ClientFrame::Hello(_) => {
                error(ErrorCode::UnexpectedFrame, "hello is the first frame and comes once".to_owned(), None)
            }
            ClientFrame::Publish { reference, message } => {
                let access = self.0.grants.of(session);
                match self.0.publisher.take(session, access, reference, message, &self.0.intake) {
                    Ok(()) => return,
                    Err(refusal) => refusal,
                }
            }
            _ => error(ErrorCode::NotSupported, "this server does not know such a frame".to_owned(), None),
        };
        self.0.say(session, &answer);
    }

    fn on_packet(&self, session: &Arc<Session>, packet: Packet) {
        self.0.hear_packet(session, packet);
    }

    fn on_delivered(&self, session: &Arc<Session>, seq: Seq) {
        self.0.acknowledged(session, seq);
    }

    fn on_room(&self, session: &Arc<Session>) {
        self.0.wake(session.user());
    }

    fn last_words(&self, session: &Session, reason: &CloseReason) -> Option<bytes::Bytes> {
        self.0.bye(session, reason)
    }

    fn on_closed(&self, session: &Arc<Session>, reason: &CloseReason) {
        self.0.talks.note_leaving(session);
        self.0.parts.pool.remove(session);
        self.0.grants.remove(session);
        self.0.topics.leave(session);
        self.0.occupancies[session.encoding()].leave();
        self.0.turnstile.has_read(session.id());
        let remains = self.0.talk_is_over(session, reason);
        self.0.left(session, remains);
        if !matches!(reason, CloseReason::ClosedByPeer | CloseReason::Complete | CloseReason::ShuttingDown) {
            tracing::info!(session = %session.id(), user = %session.user(), %reason, "session closed");
        }
    }
}

/// What a session has acknowledged, until the store has it.
struct Note {
    session: Arc<Session>,
    /// Up to where the store has it.
    noted: Seq,
    /// Up to where it is to have it.
    upto: Seq,
    /// How often it is still tried once the session is over.
    left: u32,
}

impl Note {
    fn new(session: Arc<Session>) -> Self {
        Self { session, noted: Seq::ZERO, upto: Seq::ZERO, left: TRIES_FOR_WHO_LEFT }
    }

    /// Whether something is still to be written down.
    fn has_more(&mut self) -> bool {
        let next = if self.left > 0 { self.session.next_note(self.noted) } else { None };
        self.upto = next.unwrap_or(self.upto);
        next.is_some()
    }

    fn to_acknowledge(&self) -> Acknowledge {
        let (user, device) = (self.session.user().clone(), self.session.device().clone());
        Acknowledge { user, device, upto: self.upto }
    }
}

impl Core {
    /// Moves a device's cursor. A client may acknowledge faster than a store can note it, so at most one note
    /// a session is under way, and the next one is about the newest acknowledgement.
    pub(crate) fn acknowledged(self: &Arc<Self>, session: &Arc<Session>, seq: Seq) {
        if self.store_for(session.user()).is_none() {
            return;
        }
        let (safe, note) = session.acknowledge(seq);
        self.note(session, safe, true);
        if session.has_room_again() {
            self.wake(session.user());
        }
        if note {
            self.write_down(session);
        }
    }

    /// Writes down what a session has acknowledged, until nothing more has come meanwhile.
    pub(crate) fn write_down(self: &Arc<Self>, session: &Arc<Session>) {
        let mut acknowledging = self.acknowledging.lock();
        acknowledging.push(Arc::clone(session));
        // One task for all that come until it runs.
        if acknowledging.len() == 1 {
            self.notes.spawn_on(Arc::clone(self).write_all_down(), &self.runtime);
        }
    }

    async fn write_all_down(self: Arc<Self>) {
        let sessions = std::mem::take(&mut *self.acknowledging.lock());
        let Some(store) = &self.parts.store else { return };
        let mut notes: Vec<_> = sessions.into_iter().map(Note::new).collect();
        loop {
            notes.retain_mut(Note::has_more);
            if notes.is_empty() {
                return;
            }
            let noted = store.acknowledge_all(notes.iter().map(Note::to_acknowledge).collect()).await;
            let mut failed = false;
            for (note, noted) in notes.iter_mut().zip(noted) {
                match noted {
                    Ok(()) => note.noted = note.upto,
                    Err(fault) => {
                        tracing::warn!(user = %note.session.user(), %fault, "an acknowledgement is not kept yet");
                        note.left -= u32::from(note.session.is_over());
                        failed = true;
                    }
                }
            }
            if failed {
                tokio::time::sleep(STORE_RETRY).await;
            }
        }
    }

    /// Notes up to where a device was sent messages, now that its session is over, and what is to be known of it.
    fn left(self: &Arc<Self>, session: &Arc<Session>, remains: Remains) {
        let Some((sent, in_flight)) = session.leave() else { return };
        let Some(store) = self.store_for(session.user()).cloned() else { return };
        self.note(session, in_flight, false);
        let (core, session) = (Arc::clone(self), Arc::clone(session));
        self.notes.spawn_on(
            async move {
                let (user, device) = (session.user(), session.device());
                let told = async {
                    if session.acknowledgement() == Acknowledgement::ByPacket {
                        // Whoever comes again has no number to tell what it has got already.
                        store.acknowledge(user, device, session.acknowledged()).await?;
                    }
                    store.leave(user, device, sent).await?;
                    match remains {
                        Remains::Device => Ok(()),
                        Remains::Until(end) => store.follow(user, device, &end).await,
                        Remains::Nothing => store.forget(user, device).await,
                    }
                };
                if let Err(fault) = told.await {
                    tracing::warn!(%user, %fault, "the end of a session is not kept");
                }
                core.talks.has_left(&session);
            },
            &self.runtime,
        );
    }
}
