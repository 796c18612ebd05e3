//! The tables that the rules work on.

use std::ops::ControlFlow;

use msgserver_message::{CollapseKey, DeviceId, MessageId, Seq, Timestamp, UserId};

use crate::{StepMade, StoreError};

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
    /// (id, number) → steps.
    Steps,
    /// (moment, number, id) → what is scheduled.
    Schedule,
    /// (moment, user, id) → number: a message that expires then. It may have moved since.
    Expiring,
    /// (user, collapse key) → number.
    Collapse,
    /// (moment, id): when an id came. A publisher's id may name any time, so its own does not tell.
    Aging,
    /// Name → number: what is counted over all.
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

    /// The table with a number, if there is one.
    #[cfg(feature = "disk")]
    pub(crate) fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// A key and its value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// What is done with each row of a walk, and whether the walk goes on.
pub(crate) type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError> + 'v;

/// Tables that can be read.
pub(crate) trait Rows {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Walks over the rows with `from <= key < to` in the order of their keys.
    fn walk(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// The last row with `from <= key < to`.
    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError>;

    /// The first rows with `from <= key < to`.
    fn first(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        if limit > 0 {
            self.walk(table, from, to, &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                Ok(if rows.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
        }
        Ok(rows)
    }
}

/// Tables that can be changed; what was changed is read back at once.
pub(crate) trait Tables: Rows {
    fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>);
    fn delete(&mut self, table: Table, key: Vec<u8>);
    /// A message comes to a step by the changes: who listens to the store is told, once they are made.
    fn tell(&mut self, _: StepMade) {}
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

pub(crate) fn scheduled(at: Timestamp, number: u64, id: MessageId) -> Vec<u8> {
    [&at.as_millis().to_be_bytes()[..], &number.to_be_bytes(), &id.to_bytes()].concat()
}

pub(crate) fn expiring(at: Timestamp, of: &UserId, id: MessageId) -> Vec<u8> {
    [&at.as_millis().to_be_bytes()[..], &user(of), &id.to_bytes()].concat()
}

pub(crate) fn step(of: MessageId, number: u64) -> Vec<u8> {
    [&of.to_bytes()[..], &number.to_be_bytes()].concat()
}

/// The moment and the rest of a key that begins with one.
pub(crate) fn split_moment(key: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (moment, rest) = key.split_first_chunk::<8>()?;
    Some((Timestamp::from_millis(u64::from_be_bytes(*moment)), rest))
}

/// The user and the device of a device's key.
#[cfg(feature = "disk")]
pub(crate) fn split_device(key: &[u8]) -> Option<(UserId, DeviceId)> {
    let (user, rest) = split_user(key)?;
    // Behind its length.
    let device = std::str::from_utf8(rest.get(2..)?).ok()?;
    Some((user, DeviceId::new(device).ok()?))
}

/// The moment and the number of what is scheduled.
#[cfg(feature = "disk")]
pub(crate) fn split_scheduled(key: &[u8]) -> Option<(Timestamp, u64)> {
    let (at, rest) = split_moment(key)?;
    Some((at, u64::from_be_bytes(*rest.first_chunk()?)))
}

/// The id and the number of a row of steps.
#[cfg(feature = "disk")]
pub(crate) fn split_step(key: &[u8]) -> Option<(MessageId, u64)> {
    let (id, number) = key.split_first_chunk()?;
    Some((MessageId::from_bytes(*id), u64::from_be_bytes(number.try_into().ok()?)))
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

/// The number at the end of a key.
pub(crate) fn seq(key: &[u8]) -> Option<Seq> {
    key.last_chunk().map(|number| Seq::new(u64::from_be_bytes(*number)))
}

/// The id at the end of a key.
pub(crate) fn id(key: &[u8]) -> Option<MessageId> {
    key.last_chunk().map(|id| MessageId::from_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_users_stands_together() {
        let [a, ab, b] = ["a", "ab", "b"].map(|name| UserId::new(name).unwrap());
        let mut keys: Vec<_> = [&b, &ab, &a]
            .into_iter()
            .flat_map(|of| [entry(of, Seq::new(300)), entry(of, Seq::new(2))])
            .collect();
        keys.sort();
        for of in [&a, &ab, &b] {
            let from = user(of);
            let own: Vec<_> = keys.iter().filter(|key| **key >= from && **key < end_of(&from)).collect();
            assert_eq!(
                own.iter().map(|key| seq(key)).collect::<Vec<_>>(),
                [Some(Seq::new(2)), Some(Seq::new(300))]
            );
            assert!(own.iter().all(|key| split_user(key).unwrap().0 == *of));
        }
    }

    #[test]
    fn the_end_of_a_range_is_behind_all_of_it() {
        assert_eq!(end_of(b"ab"), b"ac");
        assert_eq!(end_of(&[1, 255]), [2]);
        assert!(end_of(&[255; 2]) > vec![255; 900]);
    }
}
