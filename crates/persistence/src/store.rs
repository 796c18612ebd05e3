//! What every store does.

use std::sync::Arc;

use async_trait::async_trait;
use msgserver_message::{DeviceId, Message, Seq, UserId};

use crate::StoreError;

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is kept, under one number a user, in the order of the users.
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
    /// The last number that the device has acknowledged.
    pub acknowledged: Seq,
    /// Whether the device was known before.
    pub known: bool,
}

/// Where undelivered messages live. A user's numbers begin at 1, have no gaps when they are given, and are
/// never given twice.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The name that configurations use.
    fn name(&self) -> &'static str;

    /// Puts a message into the inboxes of all `users` or of none; done once it is as safe as the store
    /// promises. With `check_id` the id is remembered for at least a day: the same message again is a
    /// duplicate.
    async fn append(
        &self,
        message: &Message,
        users: &[UserId],
        check_id: bool,
    ) -> Result<Appended, StoreError>;

    /// Makes a device known. A user's first device starts at the oldest message that is kept, a later one
    /// after the newest.
    async fn open_device(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError>;

    /// The first `limit` messages after a number, in order.
    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Notes that everything up to and including `upto` is safe with a device. A cursor moves forward only,
    /// and never past the newest message.
    async fn acknowledge(&self, user: &UserId, device: &DeviceId, upto: Seq) -> Result<(), StoreError>;

    /// How many messages are kept, in all inboxes together.
    fn stored(&self) -> u64;

    /// Makes everything safe that was not yet, and ends.
    async fn close(&self) -> Result<(), StoreError>;
}
