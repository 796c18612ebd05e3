//! What a scheduler is made of, and how it works.

use std::sync::Arc;
use std::time::Duration;

use msgserver_access::Gate;
use msgserver_handshake::ServerKey;
use msgserver_message::{MessageId, Stage, Step, Target, UserId};
use msgserver_persistence::Store;
use msgserver_pool::{Pool, ReactorOptions, Replacement};
use msgserver_protocol::Encoder;
use msgserver_queue::Queue;

use crate::{Admission, Authenticate, Filter, Job, Publishers};

/// How a scheduler works; names and defaults are the first msgserver's where it had them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often a message that found nobody is tried again.
    pub resend_times: u32,
    /// How long between two tries.
    pub resend_interval: Duration,
    /// Most workers at a time.
    pub max_parallel: usize,
    /// Workers to begin with, and to stay.
    pub min_parallel: usize,
    /// How many jobs have to wait a worker before another worker is added.
    pub queue_buffer_len: usize,
    /// Jobs and notices that may wait before publishers are refused.
    pub queue_limit: usize,
    /// Bytes of what is being published at a time: bodies, frames and contents, until they are answered and handed on.
    /// One publication more is refused.
    pub publishing_limit: usize,
    /// Connections at a time, of all doors together; one more is turned away with a reason.
    pub max_connections: usize,
    /// What a client may leave unread, in bytes.
    pub outbox_limit: usize,
    /// How many kept messages a device may have been sent and not acknowledged.
    pub window: usize,
    /// How long a device that acknowledges may take to do so before what it was sent is sent again.
    pub ack_timeout: Duration,
    /// How many topics a session may follow for which nothing is kept; of the others the store knows.
    pub topics: usize,
    /// Who may publish through a session, of those whom the gate does not ask.
    pub publishers: Publishers,
    /// What is asked of who comes in, besides [`Parts::authentication`]: tokens, the application, API keys.
    pub gate: Arc<Gate>,
    /// Over how long clients are told to spread their return when the server stops or has no room.
    pub return_within: Duration,
    /// How long a client may take to come online, and then wait for its turn.
    pub opening_deadline: Duration,
    /// How fast clients with an inbox are let in.
    pub admission: Admission,
    /// How long a client that sends no `|` has to pause for its authentication text to count.
    pub text_grace: Duration,
    /// The longest authentication text, in bytes.
    pub text_limit: usize,
    /// What happens to a device's earlier connection.
    pub replacement: Replacement,
    /// The threads that watch sockets.
    pub reactor: ReactorOptions,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resend_times: 2,
            resend_interval: Duration::from_secs(10),
            max_parallel: 10,
            min_parallel: 1,
            queue_buffer_len: 1000,
            queue_limit: 1_000_000,
            publishing_limit: 256 * 1024 * 1024,
            max_connections: usize::MAX,
            outbox_limit: 1024 * 1024,
            window: 1000,
            ack_timeout: Duration::from_secs(30),
            topics: 100,
            publishers: Publishers::default(),
            gate: Arc::default(),
            return_within: Duration::from_secs(5),
            opening_deadline: Duration::from_secs(10),
            admission: Admission::default(),
            text_grace: Duration::from_millis(200),
            text_limit: 4096,
            replacement: Replacement::Replace,
            reactor: ReactorOptions::default(),
        }
    }
}

/// What connections of one kind speak.
#[derive(Debug, Clone)]
pub struct Door {
    /// Protocol and serializer.
    pub encoder: Encoder,
    /// The key of the handshake, if there is one.
    pub encryption: Option<ServerKey>,
    /// How many connections there may be at a time, if that is limited. One more is told so and closed.
    pub max_connections: Option<usize>,
}

/// Is told of each try that failed.
pub type FailedCallback = Arc<dyn Fn(&FailedDelivery) + Send + Sync>;

/// What a scheduler is made of.
pub struct Parts {
    /// Where sessions are found.
    pub pool: Arc<dyn Pool>,
    /// Where jobs wait.
    pub queue: Arc<dyn Queue<Job>>,
    /// Where undelivered messages live, if anywhere.
    pub store: Option<Arc<dyn Store>>,
    /// What is spoken.
    pub doors: Vec<Door>,
    /// Who may connect at all.
    pub filter: Option<Arc<dyn Filter>>,
    /// Who a client is; without it all are anonymous.
    pub authentication: Option<Arc<dyn Authenticate>>,
    /// Is told of each try that failed.
    pub failed_callback: Option<FailedCallback>,
    /// Is told what becomes of messages.
    pub witness: Option<Arc<dyn Witness>>,
}

/// Is told what becomes of messages, in the words of their receipts. Of one message in order, and twice what happens
/// twice.
pub trait Witness: Send + Sync + 'static {
    /// Whether it is to be told of this stage; the work is spared otherwise.
    fn wants(&self, stage: Stage) -> bool;

    /// A message has come to a step; of one of the message as a whole, whom it is for, if that is known. Called
    /// where messages are delivered and kept: must not wait.
    fn tell(&self, id: MessageId, step: &Step, target: Option<&Target>);
}

/// A try that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("message {message} to {user}, try {attempt}: {reason}")]
#[non_exhaustive]
pub struct FailedDelivery {
    /// The message.
    pub message: MessageId,
    /// Who it was for.
    pub user: UserId,
    /// Which try it was; the first is 1.
    pub attempt: u32,
    /// What happens now.
    pub reason: FailureReason,
}

/// What happens after a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FailureReason {
    /// It waits in the inbox.
    #[error("not online, kept in the inbox")]
    Kept,
    /// It is tried again.
    #[error("not online, tried again")]
    TriedAgain,
    /// It is given up.
    #[error("not online, given up")]
    GivenUp,
}
