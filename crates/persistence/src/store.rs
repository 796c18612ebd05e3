//! What every store does.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use msgserver_message::{DeviceId, Message, Seq, UserId};

use crate::StoreError;

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is kept, under one number a user, in the order in which the users were given.
    New(Vec<Seq>),
    /// It was kept before.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The last number that is safe with the device.
    pub acknowledged: Seq,
    /// Whether the device was known before.
    pub known: bool,
}

/// What an inbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inbox {
    /// How many messages are kept. They are the newest ones: their numbers end with `last`.
    pub waiting: u64,
    /// The last number given, [`Seq::ZERO`] if there never was a message.
    pub last: Seq,
}

/// Where undelivered messages live.
///
/// A user's numbers begin at 1, have no gaps, and are never given twice, not even when nothing is kept any
/// more. After [`Store::close`] everything else is [`StoreError::Closed`].
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The name that configurations use: `memory`, `disk` or `redis`.
    fn name(&self) -> &'static str;

    /// Whether messages survive the end of this process.
    fn is_durable(&self) -> bool;

    /// Puts a message into the inboxes of all `users` or of none; done once it is as safe as the store
    /// promises.
    ///
    /// With `check_id` the id is remembered for at least a day: the same content for the same users again
    /// is [`Appended::Duplicate`]. Without it the id is not looked at, which is for ids that the server
    /// made itself.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the id was used for something else. After [`StoreError::Unavailable`]
    /// the message may be kept nevertheless, if the answer was lost on its way.
    async fn append(
        &self,
        message: &Arc<Message>,
        users: &[UserId],
        check_id: bool,
    ) -> Result<Appended, StoreError>;

    /// Makes a device known, and says where it stands. The first device ever known of a user starts before
    /// the oldest message that is kept, a later one after the newest.
    async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError>;

    /// The first `limit` messages after a number, in order.
    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Notes that everything up to and including `upto` is safe with a device, and deletes what every
    /// device has passed. A cursor moves forward only, and at most to the newest message. A device that is
    /// not known has nothing to acknowledge; that changes nothing.
    async fn acknowledge(&self, user: &UserId, device: &DeviceId, upto: Seq) -> Result<(), StoreError>;

    /// What waits for a user.
    async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError>;

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
