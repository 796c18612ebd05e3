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

    /// Takes what the server says of requests.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::Semaphore;
    use tokio::sync::oneshot::Receiver;

    fn publish(requests: &mut Requests) -> (u64, Receiver<Result<Published, Error>>) {
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let (reply, answer) = oneshot::channel();
        (requests.publish("{}".into(), room, reply), answer)
    }

    fn subscribe(requests: &mut Requests, topic: &str) -> Receiver<Result<(), Error>> {
        let (reply, answer) = oneshot::channel();
        requests.ask(ClientFrame::Subscribe { topic: TopicFilter::new(topic).unwrap(), history: 0 }, reply);
        answer
    }

    fn refusal(code: ErrorCode, reference: Option<u64>) -> ServerFrame {
        let reference = reference.map(serde_json::Value::from);
        ServerFrame::Error { code, detail: "why".to_owned(), reference }
    }

    #[test]
    fn what_is_not_answered_is_said_again_in_order_and_what_nobody_waits_for_is_not() {
        let mut requests = Requests::default();
        let (first, mut answer) = publish(&mut requests);
        let (_, given_up) = publish(&mut requests);
        let (third, _answer) = publish(&mut requests);
        drop(given_up);
        let again = requests.begin_connection();
        let said = |reference| requests.frame(reference).unwrap();
        assert_eq!(again, [said(first), said(third)]);

        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let published =
            |state: &str| ServerFrame::Published { reference: first.into(), id, state: state.to_owned() };
        assert_eq!(requests.answer(published("accepted")), Answer::Taken);
        assert_eq!(answer.try_recv().unwrap().unwrap().id, id);
        assert_eq!(requests.begin_connection().len(), 1);
        // Of what is not known any more, and of a state that is none.
        assert_eq!(requests.answer(published("eaten")), Answer::Taken);
    }

    #[test]
    fn what_is_refused_for_now_waits_and_what_is_refused_for_good_does_not() {
        let mut requests = Requests::default();
        let ((passing, _answer), (wrong, mut answer)) = (publish(&mut requests), publish(&mut requests));
        let later = requests.answer(refusal(ErrorCode::Overloaded, Some(passing)));
        assert_eq!(later, Answer::Later("why".to_owned()));
        assert_eq!(requests.answer(refusal(ErrorCode::Invalid, Some(wrong))), Answer::Taken);
        assert!(matches!(answer.try_recv().unwrap(), Err(Error::Refused { code: ErrorCode::Invalid, .. })));
        assert!(!requests.awaits_answers());
        assert_eq!(requests.again().len(), 1);
        assert!(requests.awaits_answers());
    }

    #[test]
    fn a_topic_is_followed_with_the_pong_behind_it_and_not_with_an_earlier_one() {
        let mut requests = Requests::default();
        requests.ping();
        let (mut first, mut second) = (subscribe(&mut requests, "a"), subscribe(&mut requests, "b"));
        assert!(requests.next_asked().is_some() && requests.next_asked().is_none());
        requests.pong();
        assert!(first.try_recv().is_err());
        requests.pong();
        first.try_recv().unwrap().unwrap();
        assert_eq!(requests.followed(), [TopicFilter::new("a").unwrap()]);

        assert!(requests.next_asked().is_some());
        assert_eq!(requests.answer(refusal(ErrorCode::Forbidden, None)), Answer::Taken);
        requests.pong();
        assert!(matches!(second.try_recv().unwrap(), Err(Error::Refused { code: ErrorCode::Forbidden, .. })));
        assert_eq!(requests.followed().len(), 1);
        assert_eq!(requests.answer(refusal(ErrorCode::Forbidden, None)), Answer::None("why".to_owned()));
        assert_eq!(requests.answer(refusal(ErrorCode::Overloaded, None)), Answer::Lost("why".to_owned()));
    }
}
