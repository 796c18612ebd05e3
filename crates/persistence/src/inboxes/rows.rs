//! What stands in the rows.

use std::borrow::Cow;
use std::sync::Arc;

use msgserver_message::{DeviceId, Message, MessageId, Priority, Seq, Stage, Step, Timestamp, Topic, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{Append, IfFull, Recipients, StoreError, codec};

/// What is known of an inbox without looking into it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserRow {
    /// The last number given.
    pub(crate) last: u64,
    /// Nothing is kept up to here. An engine may have to walk over what was deleted, so no walk begins before.
    pub(crate) trimmed: u64,
    /// Messages by priority, the least urgent first.
    pub(crate) waiting: [u64; 3],
    /// Bytes of their contents.
    pub(crate) bytes: u64,
    /// Known devices.
    pub(crate) devices: u32,
    /// Those of them that are connected, to the process that had this number.
    pub(crate) connected: u32,
    pub(crate) process: u64,
}

impl UserRow {
    pub(crate) fn count(&self) -> u64 {
        self.waiting.iter().sum()
    }

    /// Counts an entry that came.
    pub(super) fn add(&mut self, head: &Head) {
        self.waiting[head.priority as usize] += 1;
        self.bytes += u64::from(head.bytes);
    }

    /// Counts an entry that went. Where rows were lost, the counts may be lower than what is there.
    pub(super) fn subtract(&mut self, head: &Head) {
        let waiting = &mut self.waiting[head.priority as usize];
        *waiting = waiting.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(head.bytes.into());
    }
}

/// Where a device stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceRow {
    pub(crate) acknowledged: u64,
    /// Never less than `acknowledged`.
    pub(crate) sent: u64,
    /// How many sessions it has.
    pub(crate) sessions: u32,
    /// In milliseconds.
    pub(crate) last_seen: u64,
}

/// What was accepted under an id. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageRow {
    pub(crate) print: u128,
    pub(crate) at: u64,
    pub(crate) scheduled: Option<Scheduled>,
    /// When a scheduled message went into its inboxes.
    pub(crate) released: Option<u64>,
    /// Where it was put; a message may have moved since.
    pub(crate) places: Vec<(UserId, Seq)>,
    /// The topic that has it in its log, and the number there.
    #[serde(default)]
    pub(crate) published: Option<(Topic, u64)>,
}

/// What is known of the log of a topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicRow {
    /// The last number given.
    pub(crate) last: u64,
    /// Nothing is kept up to here.
    pub(crate) trimmed: u64,
    /// When the last message came, in milliseconds.
    pub(crate) at: u64,
}

/// Where a message stands, or stood, in the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scheduled {
    pub(crate) at: u64,
    /// Messages for one moment are released in the order in which they were accepted.
    pub(crate) number: u64,
}

impl MessageRow {
    /// From when on it is known for as long as messages are.
    pub(crate) fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.scheduled.map_or(self.at, |scheduled| scheduled.at))
    }
}

/// What waits for its time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ScheduleRow {
    message: Message,
    /// Nothing for every known user, or for those who follow the topic if the message has one.
    users: Option<Vec<UserId>>,
    refuse_if_full: bool,
}

impl ScheduleRow {
    pub(crate) fn new(append: &Append) -> Self {
        let users = match &append.recipients {
            Recipients::Users(users) => Some(users.to_vec()),
            Recipients::Nobody => Some(Vec::new()),
            Recipients::Known | Recipients::Followers => None,
        };
        let refuse_if_full = append.if_full == IfFull::Refuse;
        Self { message: (*append.message).clone(), users, refuse_if_full }
    }

    #[cfg(feature = "disk")]
    pub(crate) fn from_parts(message: Message, users: Option<Vec<UserId>>, refuse_if_full: bool) -> Self {
        Self { message, users, refuse_if_full }
    }

    /// The message, its users, and whether a full inbox refuses it.
    #[cfg(feature = "disk")]
    pub(crate) fn into_parts(self) -> (Message, Option<Vec<UserId>>, bool) {
        (self.message, self.users, self.refuse_if_full)
    }

    pub(crate) fn into_append(self) -> Append {
        let recipients = match self.users {
            Some(users) if users.is_empty() => Recipients::Nobody,
            Some(users) => Recipients::Users(users.into()),
            None if self.message.topic.is_some() => Recipients::Followers,
            None => Recipients::Known,
        };
        Append {
            message: Arc::new(self.message),
            recipients,
            check_id: false,
            deliver_at: None,
            if_full: if self.refuse_if_full { IfFull::Refuse } else { IfFull::DropOldest },
            besides: Arc::default(),
        }
    }
}

/// The form of a row, so that a later one can be told from it.
const VERSION: u8 = 1;

/// The form of a row of steps. Those of version 1 are read, and not written any more: they have the names of the
/// fields and times as texts, which took most of their bytes, and there are several with each message.
const STEPS_VERSION: u8 = 2;

/// Most rows are no longer. They are kept for long, so none takes more memory than it is long: it is written here.
type Scratch = SmallVec<[u8; 256]>;

fn of_version(
    version: u8,
    write: impl FnOnce(&mut Scratch) -> Result<(), rmp_serde::encode::Error>,
) -> Vec<u8> {
    let mut bytes = Scratch::new();
    bytes.push(version);
    write(&mut bytes).expect("rows are numbers, texts and lists of them");
    bytes.to_vec()
}

/// A step, without names. Its moment is in milliseconds.
#[derive(Serialize, Deserialize)]
struct StepFields<'f>(
    Stage,
    u64,
    Option<Cow<'f, UserId>>,
    Option<Cow<'f, DeviceId>>,
    Option<Cow<'f, str>>,
    Option<Cow<'f, str>>,
);

impl<'f> From<&'f Step> for StepFields<'f> {
    fn from(step: &'f Step) -> Self {
        let Step { state, at, user, device, door, reason } = step;
        let (user, device) = (user.as_ref().map(Cow::Borrowed), device.as_ref().map(Cow::Borrowed));
        let (door, reason) = (door.as_deref().map(Cow::Borrowed), reason.as_deref().map(Cow::Borrowed));
        Self(*state, at.as_millis(), user, device, door, reason)
    }
}

/// Steps of a message.
pub(crate) fn write_steps(steps: &[Step]) -> Vec<u8> {
    let steps: SmallVec<[StepFields<'_>; 4]> = steps.iter().map(StepFields::from).collect();
    of_version(STEPS_VERSION, |bytes| rmp_serde::encode::write(bytes, &steps[..]))
}

/// The steps of a row.
pub(crate) fn read_steps(bytes: &[u8]) -> Result<Vec<Step>, StoreError> {
    let Some((&STEPS_VERSION, row)) = bytes.split_first() else { return read(bytes) };
    let step = |StepFields(state, at, user, device, door, reason): StepFields<'_>| Step {
        user: user.map(Cow::into_owned),
        device: device.map(Cow::into_owned),
        door: door.map(|door| door.into_owned().into()),
        reason: reason.map(|reason| reason.into_owned().into()),
        ..Step::new(state, Timestamp::from_millis(at))
    };
    let steps: Vec<StepFields<'_>> = rmp_serde::from_slice(row).map_err(corrupt)?;
    Ok(steps.into_iter().map(step).collect())
}

/// Only rows on disk can be wrong.
pub(crate) fn corrupt(detail: impl ToString) -> StoreError {
    StoreError::Corrupt { store: "disk", detail: detail.to_string() }
}

/// Without names: they would be most of a row that is written with every message.
pub(crate) fn write<T: Serialize>(row: &T) -> Vec<u8> {
    of_version(VERSION, |bytes| rmp_serde::encode::write(bytes, row))
}

/// With the names of the fields: for rows with words of the message crate, which leave fields out.
pub(crate) fn write_named<T: Serialize>(row: &T) -> Vec<u8> {
    of_version(VERSION, |bytes| rmp_serde::encode::write_named(bytes, row))
}

pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, row)) => rmp_serde::from_slice(row).map_err(corrupt),
        Some((version, _)) => {
            Err(corrupt(format_args!("a row of version {version}, where {VERSION} is known")))
        }
        None => Err(corrupt("an empty row")),
    }
}

/// What an entry is without its message being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) priority: Priority,
    pub(crate) collapses: bool,
    pub(crate) id: MessageId,
    /// When it came into the inbox: a scheduled message was published long before.
    pub(crate) placed: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    /// Bytes of what it says.
    pub(crate) bytes: u32,
}

const HEAD_BYTES: usize = 38;

impl Head {
    pub(crate) fn new(message: &Message, placed: Timestamp) -> Self {
        Self {
            priority: message.priority,
            collapses: message.collapse_key.is_some(),
            id: message.id,
            placed,
            expires_at: message.expires_at,
            bytes: u32::try_from(message.bytes()).unwrap_or(u32::MAX),
        }
    }

    /// Whether the time of the entry is over.
    pub(crate) fn is_over(&self, now: Timestamp, age: std::time::Duration) -> bool {
        self.expires_at.is_some_and(|end| end <= now) || self.placed.saturating_add(age) <= now
    }

    /// The entry of the log: this, and then the message.
    pub(crate) fn write(&self, message: &Message) -> Result<Vec<u8>, StoreError> {
        let mut bytes = SmallVec::<[u8; 512]>::with_capacity(HEAD_BYTES + codec::about(message));
        bytes.push(self.priority as u8);
        bytes.push(u8::from(self.collapses));
        bytes.extend_from_slice(&self.id.to_bytes());
        bytes.extend_from_slice(&self.placed.as_millis().to_be_bytes());
        // No message ends at the first moment of 1970 and is worth keeping.
        bytes.extend_from_slice(&self.expires_at.map_or(0, |end| end.as_millis().max(1)).to_be_bytes());
        bytes.extend_from_slice(&self.bytes.to_be_bytes());
        codec::encode_into(&mut bytes, message).map_err(corrupt)?;
        Ok(bytes.to_vec())
    }

    pub(crate) fn read(entry: &[u8]) -> Result<Self, StoreError> {
        fn part<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], StoreError> {
            let (part, rest) = from.split_first_chunk().ok_or_else(|| corrupt("an entry is too short"))?;
            *from = rest;
            Ok(*part)
        }
        let from = &mut &entry[..];
        let [priority, collapses] = part(from)?;
        let priority = Priority::ALL.get(usize::from(priority));
        Ok(Self {
            priority: *priority.ok_or_else(|| corrupt("an entry has no known priority"))?,
            collapses: collapses != 0,
            id: MessageId::from_bytes(part(from)?),
            placed: Timestamp::from_millis(u64::from_be_bytes(part(from)?)),
            expires_at: match u64::from_be_bytes(part(from)?) {
                0 => None,
                end => Some(Timestamp::from_millis(end)),
            },
            bytes: u32::from_be_bytes(part(from)?),
        })
    }
}

/// The message of an entry.
pub(crate) fn message(entry: &[u8]) -> Result<Message, StoreError> {
    codec::decode(entry.get(HEAD_BYTES..).unwrap_or_default()).map_err(corrupt)
}

#[cfg(test)]
mod tests {
    use msgserver_message::Content;

    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        for end in [None, Some(Timestamp::from_millis(7))] {
            let message_ =
                Message { priority: Priority::High, expires_at: end, ..Message::new(Content::text("hello")) };
            let head = Head::new(&message_, Timestamp::from_millis(3));
            let entry = head.write(&message_).unwrap();
            assert_eq!(Head::read(&entry).unwrap(), head);
            assert_eq!(message(&entry).unwrap(), message_);
            assert!(Head::read(&entry[..HEAD_BYTES - 1]).is_err());
        }
    }

    #[test]
    fn a_row_takes_no_more_than_it_is_long() {
        let row = write(&DeviceRow { last_seen: u64::MAX, ..DeviceRow::default() });
        assert_eq!((row.len(), row.capacity()), (14, 14));
    }

    #[test]
    fn steps_are_read_as_they_were_written_and_as_the_first_version_wrote_them() {
        let user = UserId::new("ada").unwrap();
        let whole = Step {
            device: Some(DeviceId::new("phone").unwrap()),
            door: Some("frame".into()),
            reason: Some("full".into()),
            ..Step::of(&user, Stage::Acknowledged, Timestamp::from_millis(1_700_000_000_123))
        };
        let steps = vec![whole, Step::new(Stage::Accepted, Timestamp::from_millis(0))];
        for row in [write_steps(&steps), write_named(&steps)] {
            assert_eq!(read_steps(&row).unwrap(), steps, "version {}", row[0]);
        }
        assert!(read_steps(&[3, 0x90]).unwrap_err().to_string().contains("version 3"));
    }

    #[test]
    fn a_row_of_another_version_is_refused() {
        let mut row = write(&UserRow::default());
        assert_eq!(read::<UserRow>(&row).unwrap(), UserRow::default());
        row[0] = 2;
        assert!(read::<UserRow>(&row).unwrap_err().to_string().contains("version 2"));
    }
}
