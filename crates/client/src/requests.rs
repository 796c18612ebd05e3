//! What the application has asked for and the server has not answered yet. It outlives connections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use msgserver_message::TopicFilter;
use msgserver_protocol::{ClientFrame, ErrorCode, ServerFrame};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as Malformed;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{Error, Published};

pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What the application asks for.
pub(crate) enum Order {
    /// To publish a message, given as JSON. `room` is what it takes of what may be under way.
    Publish { message: Box<str>, room: OwnedSemaphorePermit, reply: Reply<Published> },
    /// To follow a topic or to follow it no more.
    Topic { frame: ClientFrame, reply: Reply<()> },
    /// To end, once what was acknowledged is said.
    Close { done: oneshot::Sender<()> },
}

struct Publishing {
    message: Box<str>,
    _room: OwnedSemaphorePermit,
    reply: Reply<Published>,
}

struct Asking {
    frame: ClientFrame,
    reply: Reply<()>,
}

/// What is not answered yet, in the order in which it was asked for.
#[derive(Default)]
pub(crate) struct Requests {
    next: u64,
    publications: BTreeMap<u64, Publishing>,
    /// Those that were refused for now.
    again: BTreeSet<u64>,
    /// What `hello` names: it is the device's, and yet a server may have forgotten the device.
    followed: BTreeSet<TopicFilter>,
    /// One is asked at a time: an answer names none.
    asking: VecDeque<Asking>,
    asked: Option<Asked>,
    /// How many pings the server has not answered.
    pings: usize,
}

/// How the first of `asking` stands.
struct Asked {
    /// How many pongs answer what was asked before.
    pongs_before: usize,
    refusal: Option<(ErrorCode, String)>,
}

impl Requests {
    pub(crate) fn following(followed: BTreeSet<TopicFilter>) -> Self {
        Self { followed, ..Self::default() }
    }

    pub(crate) fn followed(&self) -> Vec<TopicFilter> {
        self.followed.iter().cloned().collect()
    }

    pub(crate) fn publish(
        &mut self,
        message: Box<str>,
        room: OwnedSemaphorePermit,
        reply: Reply<Published>,
    ) -> u64 {
        self.next += 1;
        self.publications.insert(self.next, Publishing { message, _room: room, reply });
        self.next
    }

    pub(crate) fn ask(&mut self, frame: ClientFrame, reply: Reply<()>) {
        if let ClientFrame::Unsubscribe { topic } = &frame {
            self.followed.remove(topic);
        }
        self.asking.push_back(Asking { frame, reply });
    }

    /// Whether an answer to a publication may come.
    pub(crate) fn awaits_answers(&self) -> bool {
        self.publications.len() > self.again.len() || self.asked.is_some()
    }

    /// What a new connection has to hear of what an older one did not answer. What nobody waits for any more is left.
    pub(crate) fn begin_connection(&mut self) -> Vec<ClientFrame> {
        self.publications.retain(|_, publishing| !publishing.reply.is_closed());
        self.asking.retain(|asking| !asking.reply.is_closed());
        self.again.clear();
        (self.asked, self.pings) = (None, 0);
        self.publications.keys().filter_map(|reference| self.frame(*reference)).collect()
    }

    /// A publication as it is said.
    pub(crate) fn frame(&self, reference: u64) -> Option<ClientFrame> {
        let message = self.publications.get(&reference)?.message.clone();
        Some(ClientFrame::Publish { reference: reference.into(), message })
    }

    /// What was refused for now, to be said again.
    pub(crate) fn again(&mut self) -> Vec<ClientFrame> {
        self.publications.retain(|_, publishing| !publishing.reply.is_closed());
        std::mem::take(&mut self.again).into_iter().filter_map(|reference| self.frame(reference)).collect()
    }

    /// The next request about topics, if none is under way.
    pub(crate) fn next_asked(&mut self) -> Option<[ClientFrame; 2]> {
        if self.asked.is_some() {
            return None;
        }
        let frame = self.asking.front()?.frame.clone();
        self.asked = Some(Asked { pongs_before: self.pings, refusal: None });
        Some([frame, self.ping()])
    }

    pub(crate) fn ping(&mut self) -> ClientFrame {
        self.pings += 1;
        ClientFrame::Ping
    }

    pub(crate) fn pong(&mut self) {
        self.pings = self.pings.saturating_sub(1);
        let Some(asked) = &mut self.asked else { return };
        if asked.pongs_before > 0 {
            asked.pongs_before -= 1;
            return;
        }
        let refusal = self.asked.take().and_then(|asked| asked.refusal);
        let Some(Asking { frame, reply }) = self.asking.pop_front() else { return };
        if let (ClientFrame::Subscribe { topic, .. }, None) = (frame, &refusal) {
            self.followed.insert(topic);
        }
        let _ = reply.send(refusal.map_or(Ok(()), |(code, detail)| Err(Error::Refused { code, detail })));
    }

    /// Gives back what is no answer to anything that was asked for. Whether something is to be said again.
    pub(crate) fn answer(&mut self, frame: ServerFrame) -> Answer {
        match frame {
            ServerFrame::Published { reference, id, state } => {
                let publishing = reference.as_u64().and_then(|number| self.publications.remove(&number));
                if let Some(Publishing { reply, .. }) = publishing {
                    let state = Deserialize::deserialize(state.as_str().into_deserializer());
                    let published = state.map(|state| Published { id, state });
                    let _ =
                        reply.send(published.map_err(|fault: Malformed| Error::Answer(fault.to_string())));
                }
                Answer::Taken
            }
            ServerFrame::Error {
                code: ErrorCode::Overloaded | ErrorCode::Unavailable,
                detail,
                reference: Some(reference),
            } => {
                let known = reference.as_u64().filter(|number| self.publications.contains_key(number));
                self.again.extend(known);
                Answer::Later(detail)
            }
            ServerFrame::Error { code, detail, reference: Some(reference) } => {
                let publishing = reference.as_u64().and_then(|number| self.publications.remove(&number));
                if let Some(Publishing { reply, .. }) = publishing {
                    let _ = reply.send(Err(Error::Refused { code, detail }));
                }
                Answer::Taken
            }
            // So many requests wait there that a ping may have been refused: which pong is whose is not known any more.
            ServerFrame::Error { code: ErrorCode::Overloaded, detail, .. } => Answer::Lost(detail),
            ServerFrame::Error { code, detail, .. } => match &mut self.asked {
                Some(asked) if code != ErrorCode::UnexpectedFrame => {
                    asked.refusal = Some((code, detail));
                    Answer::Taken
                }
                _ => Answer::None(detail),
            },
            _ => Answer::Taken,
        }
    }
}

/// What the server's answer asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Taken,
    /// A publication is to be tried again after a while.
    Later(String),
    /// There is no use in this connection.
    Lost(String),
    /// It is about nothing that the application has asked for.
    None(String),
}
