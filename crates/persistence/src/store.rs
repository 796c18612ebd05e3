//! What every store does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgserver_message::{
    DeviceId, Message, MessageId, Receipt, Seq, Step, Timestamp, Topic, TopicFilter, UserId,
};

use crate::{StepListener, StoreError};

/// Whose inboxes a message goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipients {
    /// These users', each named once.
    Users(Arc<[UserId]>),
    /// Those of every user who has a device.
    Known,
    /// Those of every user with a device that follows the topic of the message; the topic's own log keeps it as
    /// well.
    Followers,
    /// Nobody's: only the id is taken. For notices, which are for who is connected.
    Nobody,
}

/// What happens when an inbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfFull {
    /// The oldest messages go.
    #[default]
    DropOldest,
    /// The new one is refused, for all its users.
    Refuse,
}

/// A message to keep.
#[derive(Debug, Clone)]
pub struct Append {
    /// The message.
    pub message: Arc<Message>,
    /// Whose inboxes it goes to.
    pub recipients: Recipients,
    /// Whether the publisher chose the id: then the same again is a duplicate, and another message under it a
    /// conflict.
    pub check_id: bool,
    /// When it goes into the inboxes, if not now.
    pub deliver_at: Option<Timestamp>,
    /// What happens when an inbox is full.
    pub if_full: IfFull,
    /// For whom it is besides and is not kept: to somebody else it is another message.
    pub besides: Arc<[UserId]>,
}

impl Append {
    /// A message for these users, now, under an id of the server's.
    #[must_use]
    pub fn new(message: Arc<Message>, users: impl Into<Arc<[UserId]>>) -> Self {
        Self {
            message,
            recipients: Recipients::Users(users.into()),
            check_id: false,
            deliver_at: None,
            if_full: IfFull::default(),
            besides: Arc::default(),
        }
    }
}

/// A device has got messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledge {
    /// Whose inbox they are from.
    pub user: UserId,
    /// Where they are safe.
    pub device: DeviceId,
    /// The number of the last of them.
    pub upto: Seq,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is kept, under one number a user. The users are in the order in which they were given.
    New(Vec<(UserId, Seq)>),
    /// It waits for its time.
    Scheduled,
    /// It was taken before.
    Duplicate,
}

/// A message in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// The message.
    pub message: Arc<Message>,
}

/// Where a device stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The last number that is safe with the device.
    pub acknowledged: Seq,
    /// The last number that may have been sent to it before.
    pub sent: Seq,
    /// The newest number in the inbox. What is kept up to here may still be renumbered by who opens the inbox
    /// later, but not while this device is connected.
    pub last: Seq,
    /// Whether the device was known before.
    pub known: bool,
    /// What it follows, in the order of the names.
    pub topics: Vec<TopicFilter>,
}

/// A device that has a cursor in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub device: DeviceId,
    /// The last number that is safe with it.
    pub acknowledged: Seq,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// Whether it is connected.
    pub connected: bool,
    /// What it follows, in the order of the names.
    pub topics: Vec<TopicFilter>,
}

/// What is known of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicLog {
    /// How many users have a device that follows it, by its name or by a filter that fits.
    pub followers: u64,
    /// How many messages are kept.
    pub kept: u64,
    /// The last number given, [`Seq::ZERO`] if there never was a message or if that is long ago.
    pub last: Seq,
}

/// What an inbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inbox {
    /// How many messages are kept.
    pub waiting: u64,
    /// How many bytes their contents have.
    pub bytes: u64,
    /// The last number given, [`Seq::ZERO`] if there never was a message.
    pub last: Seq,
}

/// What became of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It was taken out of so many inboxes and logs of topics, or out of the schedule.
    TakenBack(u64),
    /// It had gone to everybody already.
    TooLate,
    /// No message of that id is known.
    Unknown,
}

/// A scheduled message whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// The message.
    pub message: Arc<Message>,
    /// Whose inboxes it was meant for.
    pub recipients: Recipients,
    /// Its number in each inbox that it is in now.
    pub seqs: Vec<(UserId, Seq)>,
}

/// What was due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// What was released now.
    pub released: Vec<Released>,
    /// When the next one is due, if there is one.
    pub next: Option<Timestamp>,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Messages whose time was over.
    pub expired: u64,
    /// Devices that were not seen for too long.
    pub devices: u64,
    /// Receipts that were old.
    pub receipts: u64,
    /// Whether there may be more to do now.
    pub more: bool,
}

/// Why a message is not delivered any more, in its receipt.
pub(crate) mod reason {
    /// A newer one with the same collapse key came.
    pub(crate) const COLLAPSED: &str = "collapsed";
    /// It was the oldest, or its publisher did not want the oldest to go.
    pub(crate) const FULL: &str = "the inbox was full";
    /// It was kept for [`crate::Limits::age`].
    pub(crate) const OLD: &str = "the inbox keeps nothing for longer";
}

/// How long the id of a message is known at least.
pub(crate) const ID_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What a store keeps, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages in one user's inbox.
    pub messages: u64,
    /// Bytes of the contents in one user's inbox. One message alone is kept, however long it is.
    pub bytes: usize,
    /// How long a message is kept in an inbox, unless its own time is over before.
    pub age: Duration,
    /// How long a device is known after it was last seen.
    pub device_ttl: Duration,
    /// How long it is known what became of a message, counted from when it was accepted or was due; zero for
    /// no receipts. An id that a publisher chose is known as long, but for a day at least. With no receipts,
    /// only a message with such an id can be cancelled.
    pub receipts: Duration,
    /// Topics that one device may follow.
    pub topics: usize,
    /// Messages that the log of a topic keeps for who asks for history; zero for none.
    pub history: u64,
    /// How long they are kept, unless their own time is over before.
    pub history_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let month = Duration::from_secs(30 * 24 * 60 * 60);
        Self {
            messages: 10_000,
            bytes: 64 * 1024 * 1024,
            age: month,
            device_ttl: month,
            receipts: Duration::from_secs(24 * 60 * 60),
            topics: 100,
            history: 1,
            history_age: month,
        }
    }
}

/// Where undelivered messages live.
///
/// A user's numbers begin at 1, rise by one with each message and are never given twice, not even when nothing
/// is kept any more; what is taken out leaves a gap. After [`Store::close`] everything else is
/// [`StoreError::Closed`].
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The name that configurations use: `memory`, `disk` or `redis`.
    fn name(&self) -> &'static str;

    /// Whether messages survive the end of this process.
    fn is_durable(&self) -> bool;

    /// Has a listener told, from now on, of the steps that the store makes and that are not noted by others with
    /// [`Store::record`]: a message was accepted or scheduled, has expired, was taken back, or had to make way. It is
    /// told before whoever asked for it is answered. There is one listener a store; one that keeps no receipts may
    /// tell nothing.
    fn listen(&self, listener: StepListener) {
        let _ = listener;
    }

    /// Keeps messages, each in all of its inboxes or in none; done once they are as safe as the store
    /// promises. The answers are in the order of the messages, and one may fail where others do not.
    ///
    /// A message that is more urgent than others that have not been sent to any device goes before them,
    /// while no device of its user is connected. One with a collapse key takes the place of one with the same
    /// key that has not been sent yet.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the id was used for something else, [`StoreError::Full`] if that was asked
    /// for. After [`StoreError::Unavailable`] the message may be kept nevertheless, if the answer was lost on
    /// its way.
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, StoreError>>;

    /// Keeps one message, as [`Store::append`] does.
    ///
    /// # Errors
    /// As [`Store::append`].
    async fn keep(&self, append: Append) -> Result<Appended, StoreError> {
        self.append(vec![append]).await.pop().expect("an answer for each message")
    }

    /// Makes a device known and connected, and says where it stands. The only device of a user starts before
    /// the oldest message that is kept, a further one after the newest.
    async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError>;

    /// Notes that a session of a device has ended, and up to which number messages were sent to it.
    async fn leave(&self, user: &UserId, device: &DeviceId, sent: Seq) -> Result<(), StoreError>;

    /// Forgets a device that has no session, as if it had not been seen for too long: what it followed, and where it
    /// stood. With no device left, what is kept waits for the first that comes. A store that cannot do so at once
    /// may leave it to the time after which every device is forgotten.
    async fn forget(&self, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
        let _ = (user, device);
        Ok(())
    }

    /// The first messages after a number, in order: at most `limit`, and fewer if they are large. What has
    /// expired is passed over, and so is what cannot be read; the log says so. Nothing only if nothing is left.
    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Notes what is safe with devices, and deletes what every device of its user has passed. A cursor moves
    /// forward only, and at most to the newest message. A device that is not known has nothing to acknowledge;
    /// that changes nothing. The answers are in the order of the batch, and one may fail where others do not.
    async fn acknowledge_all(&self, batch: Vec<Acknowledge>) -> Vec<Result<(), StoreError>>;

    /// Notes what is safe with one device, as [`Store::acknowledge_all`] does.
    async fn acknowledge(&self, user: &UserId, device: &DeviceId, upto: Seq) -> Result<(), StoreError> {
        let one = Acknowledge { user: user.clone(), device: device.clone(), upto };
        self.acknowledge_all(vec![one]).await.pop().expect("an answer for each")
    }

    /// Has a device follow a topic, or all topics that fit: from now on what is published there comes into the
    /// inbox of its user. It does so, connected or away, until it stops or is forgotten. To follow what is
    /// followed already changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NoDevice`] of a device that was never connected, [`StoreError::TooManyTopics`] of one that
    /// follows as many as it may.
    async fn follow(&self, user: &UserId, device: &DeviceId, topics: &TopicFilter) -> Result<(), StoreError>;

    /// Has a device follow no more what it followed under this very filter.
    async fn unfollow(
        &self,
        user: &UserId,
        device: &DeviceId,
        topics: &TopicFilter,
    ) -> Result<(), StoreError>;

    /// What is known of a topic.
    async fn topic(&self, topic: &Topic) -> Result<TopicLog, StoreError>;

    /// The first messages of a topic's log after a number, in the order in which they were published: at most
    /// `limit`, and fewer if they are large.
    async fn published(&self, topic: &Topic, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// The last messages of each topic that fits, at most `of_each`, the oldest of each first; fewer if they are
    /// large.
    async fn history(&self, topics: &TopicFilter, of_each: usize) -> Result<Vec<Entry>, StoreError>;

    /// Takes a message out of the schedule, or out of each inbox whose user has no device, or a device that is
    /// not connected and that it has not been sent to; and out of the log of its topic.
    async fn cancel(&self, id: MessageId) -> Result<Cancelled, StoreError>;

    /// Puts at most `limit` scheduled messages whose time has come into their inboxes, each once; fewer if they are
    /// large, and then [`Due::next`] is over already.
    async fn release_due(&self, now: Timestamp, limit: usize) -> Result<Due, StoreError>;

    /// Notes steps of messages, for their receipts. Steps of a message that is not known are dropped. A crash
    /// may lose the last ones.
    async fn record(&self, steps: Vec<(MessageId, Vec<Step>)>) -> Result<(), StoreError>;

    /// What became of a message; nothing if it is not known, or not any more.
    async fn receipt(&self, id: MessageId) -> Result<Option<Receipt>, StoreError>;

    /// What waits for a user.
    async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError>;

    /// The devices of a user, in the order of their names.
    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, StoreError>;

    /// Forgets what is old: messages, devices, receipts, ids. A bounded amount of work a call. Ages that are
    /// counted in days are looked at every now and then only.
    async fn sweep(&self, now: Timestamp) -> Result<Swept, StoreError>;

    /// How many messages are kept, in all inboxes together.
    async fn stored(&self) -> Result<u64, StoreError>;

    /// Whether the store can be used now.
    async fn ready(&self) -> Result<(), StoreError>;

    /// Makes everything safe that was not yet, and ends.
    async fn close(&self) -> Result<(), StoreError>;
}

impl fmt::Debug for dyn Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.name())
    }
}
