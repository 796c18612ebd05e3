//! Publishing through a session, and following topics.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use msgserver_access::Access;
use msgserver_message::{SessionId, Target};
use msgserver_mqtt::{Publish, Qos, Reason};
use msgserver_pool::Session;
use msgserver_protocol::{ErrorCode, ServerFrame};
use serde_json::Value;
use subtle::ConstantTimeEq;
use tokio::sync::mpsc;

use crate::core::Core;
use crate::mqtt::{Refused, publication};
use crate::subscribing::Asked;
use crate::{Intake, Publication, PublishError, Published, Scheduler, Taken};

/// How many publications of sessions may wait to be taken; one more is refused.
const WAITING: usize = 10_000;

/// How many of them are taken at a time: what waits together shares one sync of the store.
const AT_ONCE: usize = 1_000;

/// Who may publish through a session.
#[derive(Clone, Default)]
pub enum Publishers {
    /// Nobody: there are other doors for that.
    #[default]
    Nobody,
    /// Every client.
    Everybody,
    /// Who says hello with this key as its token.
    WithKey(Arc<str>),
}

impl Publishers {
    /// Whether a token is the publishers' key.
    #[must_use]
    pub fn know(&self, token: &str) -> bool {
        match self {
            Self::WithKey(key) => key.as_bytes().ct_eq(token.as_bytes()).into(),
            Self::Nobody | Self::Everybody => false,
        }
    }

    pub(crate) fn take_everybody(&self) -> bool {
        matches!(self, Self::Everybody)
    }
}

impl fmt::Debug for Publishers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Everybody => "Everybody",
            Self::WithKey(_) => "WithKey(..)",
        })
    }
}

/// What a session asks for that takes a while.
pub(crate) struct Order {
    session: Arc<Session>,
    what: What,
}

enum What {
    Publish {
        /// What its token allows, if it has come with one.
        access: Option<Arc<Access>>,
        reference: Value,
        /// The message, as `POST /v1/messages` takes it.
        message: Box<str>,
        taken: Taken,
    },
    /// Published by a packet of MQTT.
    Packet {
        access: Option<Arc<Access>>,
        publish: Publish,
        taken: Taken,
    },
    Follow(Asked),
}

/// How a client is told what became of what it has published.
enum Reply {
    Frame(Value),
    Packet(Qos, Option<NonZeroU16>),
}

/// Why something is not published: for a frame, and for a packet.
struct Fault {
    code: ErrorCode,
    refused: Refused,
}

impl Fault {
    fn forbidden(target: &Target) -> Self {
        let detail = format!("this token does not allow to publish to {target}");
        Self { code: ErrorCode::Forbidden, refused: Refused::new(Reason::NOT_AUTHORIZED, detail) }
    }
}

impl From<PublishError> for Fault {
    fn from(fault: PublishError) -> Self {
        Self { code: code(&fault), refused: refused(&fault) }
    }
}

fn refusal(code: ErrorCode, detail: impl ToString, reference: Value) -> ServerFrame {
    ServerFrame::Error { code, detail: detail.to_string(), reference: Some(reference) }
}

/// Takes what sessions publish, and what they follow. All in one line, so that each client's frames keep their order.
pub(crate) struct Publisher {
    orders: mpsc::Sender<Order>,
    /// How much about topics is in the line.
    asked: AtomicUsize,
}

impl Publisher {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (orders, waiting) = mpsc::channel(WAITING);
        (Self { orders, asked: AtomicUsize::new(0) }, waiting)
    }

    /// Takes what a session publishes, or says why not.
    pub(crate) fn take(
        &self,
        session: &Arc<Session>,
        access: Option<Arc<Access>>,
        reference: Value,
        message: Box<str>,
        intake: &Intake,
    ) -> Result<(), ServerFrame> {
        if !session.may_publish() {
            return Err(refusal(ErrorCode::Forbidden, "this client may not publish", reference));
        }
        let taken = match intake.take(message.len()) {
            Ok(taken) => taken,
            Err(fault) => return Err(refusal(code(&fault), fault, reference)),
        };
        let Ok(place) = self.orders.try_reserve() else {
            let detail = "too many publications wait to be taken; try again later";
            return Err(refusal(ErrorCode::Overloaded, detail, reference));
        };
        let what = What::Publish { access, reference, message, taken };
        place.send(Order { session: Arc::clone(session), what });
        Ok(())
    }

    /// Takes what a session publishes by a packet of MQTT, or says why not.
    pub(crate) fn take_packet(
        &self,
        session: &Arc<Session>,
        access: Option<Arc<Access>>,
        publish: Publish,
        intake: &Intake,
    ) -> Result<(), Refused> {
        if !session.may_publish() {
            return Err(Refused::new(Reason::NOT_AUTHORIZED, "this client may not publish"));
        }
        let taken = intake.take(publish.payload.len()).map_err(|fault| refused(&fault))?;
        let place = self.orders.try_reserve().map_err(|_| {
            Refused::new(Reason::QUOTA, "too many publications wait to be taken; try again later")
        })?;
        place.send(Order { session: Arc::clone(session), what: What::Packet { access, publish, taken } });
        Ok(())
    }

    /// Takes what a session asks for about topics, or says why not. Where nothing is in the line, a `ping` needs not
    /// stand in it; whether it does.
    pub(crate) fn ask(&self, session: &Arc<Session>, asked: Asked) -> Result<bool, ServerFrame> {
        if asked == Asked::Pong && self.asked.load(Ordering::Acquire) == 0 {
            return Ok(false);
        }
        self.asked.fetch_add(1, Ordering::AcqRel);
        self.orders.try_send(Order { session: Arc::clone(session), what: What::Follow(asked) }).map_err(
            |_| {
                self.asked.fetch_sub(1, Ordering::AcqRel);
                let detail = "too much waits to be done; try again later".to_owned();
                ServerFrame::Error { code: ErrorCode::Overloaded, detail, reference: None }
            },
        )?;
        Ok(true)
    }
}

impl Core {
    pub(crate) async fn keep_publishing(self: Arc<Self>, mut waiting: mpsc::Receiver<Order>) {
        let scheduler = Scheduler { core: Arc::clone(&self) };
        let mut orders = Vec::new();
        while waiting.recv_many(&mut orders, AT_ONCE).await > 0 {
            let mut orders = orders.drain(..).peekable();
            while orders.peek().is_some() {
                // In runs of one kind: what a session follows counts for what it publishes after that.
                let mut following = Vec::new();
                while let Some(order) = orders.next_if(|order| matches!(order.what, What::Follow(_))) {
                    following.push(order);
                }
                self.follow(following).await;
                let mut publishing = Vec::new();
                while let Some(order) = orders.next_if(|order| !matches!(order.what, What::Follow(_))) {
                    publishing.push(order);
                }
                self.publish_orders(&scheduler, publishing).await;
            }
        }
    }

    /// One session after the other would be slow where many begin to follow at once; what one session asks for keeps
    /// its order.
    async fn follow(self: &Arc<Self>, orders: Vec<Order>) {
        let count = orders.len();
        let mut sessions = BTreeMap::<SessionId, Vec<Order>>::new();
        for order in orders {
            sessions.entry(order.session.id()).or_default().push(order);
        }
        let each = sessions.into_values().map(async |orders| {
            for Order { session, what } in orders {
                if let What::Follow(asked) = what {
                    self.subscribe_as_asked(&session, &asked).await;
                }
            }
        });
        futures_util::future::join_all(each).await;
        self.publisher.asked.fetch_sub(count, Ordering::AcqRel);
    }

    async fn publish_orders(&self, scheduler: &Scheduler, orders: Vec<Order>) {
        let mut batch = Vec::with_capacity(orders.len());
        let mut asked = Vec::with_capacity(orders.len());
        for Order { session, what } in orders {
            let (access, reply, read, taken) = match what {
                What::Publish { access, reference, message, taken } => {
                    let read = Publication::from_json(message.as_bytes());
                    let invalid = |detail| (ErrorCode::Invalid, Refused::new(Reason::PAYLOAD, detail));
                    (access, Reply::Frame(reference), read.map_err(invalid), taken)
                }
                What::Packet { access, publish, taken } => {
                    let read = publication(&publish).map_err(|refused| (ErrorCode::Invalid, refused));
                    (access, Reply::Packet(publish.qos, publish.packet), read, taken)
                }
                What::Follow(_) => continue,
            };
            let read = read.map_err(|(code, refused)| Fault { code, refused });
            let read = read.and_then(|publication| match access {
                Some(access) if !access.may_publish(&publication.target) => {
                    Err(Fault::forbidden(&publication.target))
                }
                _ => Ok(publication),
            });
            asked.push((session, reply, read.map(|publication| batch.push(publication)), taken));
        }
        let mut outcomes = scheduler.publish_batch(batch).await.into_iter();
        for (session, reply, read, _taken) in asked {
            let outcome = read.and_then(|()| {
                let outcome = outcomes.next().expect("an outcome for each publication");
                outcome.map_err(Fault::from)
            });
            match (reply, outcome) {
                (Reply::Packet(qos, packet), outcome) => {
                    let outcome = outcome.map(drop).map_err(|fault| fault.refused);
                    self.answer_publish(&session, qos, packet, outcome);
                }
                (Reply::Frame(reference), Ok(Published { id, state })) => {
                    let state = state.as_str().to_owned();
                    self.say(&session, &ServerFrame::Published { reference, id, state });
                }
                (Reply::Frame(reference), Err(Fault { code, refused })) => {
                    self.say(&session, &refusal(code, refused.detail, reference));
                }
            }
        }
    }
}

/// The same in the words of MQTT.
fn refused(fault: &PublishError) -> Refused {
    let reason = match (fault, code(fault)) {
        (PublishError::TooLong { .. }, _) => Reason::TOO_LARGE,
        (_, ErrorCode::Overloaded) => Reason::QUOTA,
        (_, ErrorCode::NotSupported) => Reason::IMPLEMENTATION,
        (_, ErrorCode::Invalid) => Reason::PAYLOAD,
        _ => Reason::UNSPECIFIED,
    };
    Refused::new(reason, fault)
}

fn code(fault: &PublishError) -> ErrorCode {
    use msgserver_persistence::StoreError;
    match fault {
        PublishError::Store(StoreError::Conflict(_)) => ErrorCode::Conflict,
        PublishError::Store(StoreError::Full { .. })
        | PublishError::Overloaded { .. }
        | PublishError::TooMuch { .. } => ErrorCode::Overloaded,
        PublishError::NotSupported(_) => ErrorCode::NotSupported,
        PublishError::Store(_) | PublishError::ShuttingDown => ErrorCode::Unavailable,
        _ => ErrorCode::Invalid,
    }
}
