//! Publishing through a session.

use std::fmt;
use std::sync::Arc;

use msgserver_access::Access;
use msgserver_pool::Session;
use msgserver_protocol::{ErrorCode, ServerFrame};
use serde_json::Value;
use subtle::ConstantTimeEq;
use tokio::sync::mpsc;

use crate::core::Core;
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

/// A `publish` frame of a session.
pub(crate) struct Order {
    session: Arc<Session>,
    /// What its token allows, if it has come with one.
    access: Option<Arc<Access>>,
    reference: Value,
    /// The message, as `POST /v1/messages` takes it.
    message: Box<str>,
    taken: Taken,
}

fn refusal(code: ErrorCode, detail: impl ToString, reference: Value) -> ServerFrame {
    ServerFrame::Error { code, detail: detail.to_string(), reference: Some(reference) }
}

/// Takes what sessions publish. All in one line, so that each client's publications keep their order.
pub(crate) struct Publisher {
    orders: mpsc::Sender<Order>,
}

impl Publisher {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (orders, waiting) = mpsc::channel(WAITING);
        (Self { orders }, waiting)
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
        let order = Order { session: Arc::clone(session), access, reference, message, taken };
        self.orders.try_send(order).map_err(|refused| {
            let detail = "too many publications wait to be taken; try again later";
            refusal(ErrorCode::Overloaded, detail, refused.into_inner().reference)
        })
    }
}

impl Core {
    pub(crate) async fn keep_publishing(self: Arc<Self>, mut waiting: mpsc::Receiver<Order>) {
        let scheduler = Scheduler { core: Arc::clone(&self) };
        let mut orders = Vec::new();
        while waiting.recv_many(&mut orders, AT_ONCE).await > 0 {
            let mut batch = Vec::with_capacity(orders.len());
            let mut asked = Vec::with_capacity(orders.len());
            for Order { session, access, reference, message, taken } in orders.drain(..) {
                let read = Publication::from_json(message.as_bytes())
                    .map_err(|fault| (ErrorCode::Invalid, fault.to_string()))
                    .and_then(|publication| match access {
                        Some(access) if !access.may_publish(&publication.target) => {
                            let detail =
                                format!("this token does not allow to publish to {}", publication.target);
                            Err((ErrorCode::Forbidden, detail))
                        }
                        _ => Ok(publication),
                    });
                asked.push((session, reference, read.map(|publication| batch.push(publication)), taken));
            }
            let mut outcomes = scheduler.publish_batch(batch).await.into_iter();
            for (session, reference, read, _taken) in asked {
                let answer = match read {
                    Err((code, detail)) => refusal(code, detail, reference),
                    Ok(()) => match outcomes.next().expect("an outcome for each publication") {
                        Ok(Published { id, state }) => {
                            ServerFrame::Published { reference, id, state: state.as_str().to_owned() }
                        }
                        Err(fault) => refusal(code(&fault), fault, reference),
                    },
                };
                self.say(&session, &answer);
            }
        }
    }
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
