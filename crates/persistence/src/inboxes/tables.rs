//! The tables that the rules work on.

use msgserver_message::{CollapseKey, DeviceId, MessageId, Seq, Timestamp, UserId};

use crate::StoreError;

/// The tables. Their keys are made by the functions below, so that rows that belong together stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Table {
    /// (user, number) → entry.
    Log,
    /// User → what the rules know of an inbox. Stays when the inbox is empty: numbers are never given twice.
    Users,
    /// (user, device) → cursor.
    Devices,
    /// Id → what was accepted.
    Messages,
    /// (id, moment, counter) → steps.
    Steps,
    /// (moment, id) → what is scheduled.
    Schedule,
    /// (moment, user, id): a message that expires then.
    Expiring,
    /// (user, collapse key) → number.
    Collapse,
    /// (moment, id): when an id came. A publisher's id may name any time, so its own does not tell.
    Aging,
    /// Sums.
    Sums,
}

impl Table {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Log,
        Self::Users,
        Self::Devices,
        Self::Messages,
        Self::Steps,
        Self::Schedule,
        Self::Expiring,
        Self::Collapse,
        Self::Aging,
        Self::Sums,
    ];

    /// Its name in a file.
    #[cfg(feature = "disk")]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Users => "users",
            Self::Devices => "devices",
            Self::Messages => "messages",
            Self::Steps => "steps",
            Self::Schedule => "schedule",
            Self::Expiring => "expiring",
            Self::Collapse => "collapse",
            Self::Aging => "aging",
            Self::Sums => "sums",
        }
    }
}

/// A key and its value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// Tables that can be read.
pub(crate) trait Rows {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first rows with `from <= key < to`, in the order of their keys.
    fn range(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError>;
}

/// Tables that can be changed; what was changed is read back at once.
pub(crate) trait Tables: Rows {
    fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError>;
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError>;
}

/// A name with its length before it: else the keys of one user could lie between those of another.
fn name(key: &mut Vec<u8>, name: &str) {
    let length = u16::try_from(name.len()).expect("names are at most 256 bytes long");
    key.extend_from_slice(&length.to_be_bytes());
    key.extend_from_slice(name.as_bytes());
}

/// The key of a user, and what the keys of what is the user's begin with.
pub(crate) fn user(user: &UserId) -> Vec<u8> {
    let mut key = Vec::with_capacity(user.as_str().len() + 16);
    name(&mut key, user.as_str());
    key
}

/// The user of a key that begins with one, and the rest of the key.
pub(crate) fn split_user(key: &[u8]) -> Option<(UserId, &[u8])> {
    let (length, rest) = key.split_first_chunk::<2>()?;
    let (user, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some((UserId::new(std::str::from_utf8(user).ok()?).ok()?, rest))
}

pub(crate) fn entry(of: &UserId, seq: Seq) -> Vec<u8> {
    let mut key = user(of);
    key.extend_from_slice(&seq.get().to_be_bytes());
    key
}

pub(crate) fn device(of: &UserId, device: &DeviceId) -> Vec<u8> {
    let mut key = user(of);
    name(&mut key, device.as_str());
    key
}

pub(crate) fn collapse(of: &UserId, about: &CollapseKey) -> Vec<u8> {
    let mut key = user(of);
    name(&mut key, about.as_str());
    key
}

/// The key of something that has a moment and then an id.
pub(crate) fn moment(at: Timestamp, id: MessageId) -> Vec<u8> {
    [&at.as_millis().to_be_bytes()[..], &id.to_bytes()].concat()
}

pub(crate) fn expiring(at: Timestamp, of: &UserId, id: MessageId) -> Vec<u8> {
    [&at.as_millis().to_be_bytes()[..], &user(of), &id.to_bytes()].concat()
}

pub(crate) fn step(id: MessageId, at: Timestamp, counter: u32) -> Vec<u8> {
    [&id.to_bytes()[..], &at.as_millis().to_be_bytes(), &counter.to_be_bytes()].concat()
}

/// The end of a range of everything that begins with `prefix`.
pub(crate) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // Nothing is greater than a row of the highest byte that is longer than any key.
    vec![u8::MAX; 1024]
}

/// The last `N` bytes of a key.
pub(crate) fn tail<const N: usize>(key: &[u8]) -> Option<[u8; N]> {
    key.last_chunk::<N>().copied()
}
