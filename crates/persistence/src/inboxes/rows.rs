//! What stands in the rows.

use std::sync::Arc;

use msgserver_message::{Message, MessageId, Priority, Seq, Step, Timestamp, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Append, IfFull, Recipients, StoreError, codec};

/// What is known of an inbox without looking into it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserRow {
    /// The last number given.
    pub(crate) last: u64,
    /// Messages by priority, the least urgent first.
    pub(crate) waiting: [u64; 3],
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
}

/// Where a device stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceRow {
    pub(crate) acknowledged: u64,
    pub(crate) sent: u64,
    /// How many sessions it has.
    pub(crate) sessions: u32,
    /// In milliseconds.
    pub(crate) last_seen: u64,
}

/// What was accepted under an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageRow {
    pub(crate) print: u128,
    pub(crate) at: Timestamp,
    pub(crate) deliver_at: Option<Timestamp>,
    /// Where it was put; a message may have moved since.
    pub(crate) places: Vec<(UserId, Seq)>,
}

/// What waits for its time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ScheduleRow {
    message: Message,
    /// Nothing for every known user.
    users: Option<Vec<UserId>>,
    refuse_if_full: bool,
}

impl ScheduleRow {
    pub(crate) fn new(append: &Append) -> Self {
        let users = match &append.recipients {
            Recipients::Users(users) => Some(users.to_vec()),
            Recipients::Nobody => Some(Vec::new()),
            Recipients::Known => None,
        };
        let refuse_if_full = append.if_full == IfFull::Refuse;
        Self { message: (*append.message).clone(), users, refuse_if_full }
    }

    pub(crate) fn into_append(self) -> Append {
        let recipients = match self.users {
            Some(users) if users.is_empty() => Recipients::Nobody,
            Some(users) => Recipients::Users(users.into()),
            None => Recipients::Known,
        };
        Append {
            message: Arc::new(self.message),
            recipients,
            check_id: false,
            deliver_at: None,
            if_full: if self.refuse_if_full { IfFull::Refuse } else { IfFull::DropOldest },
        }
    }
}

pub(crate) type StepRow = Vec<Step>;

/// The form of a row, so that a later one can be told from it.
const VERSION: u8 = 1;

fn corrupt(what: &'static str, detail: impl ToString) -> StoreError {
    StoreError::Corrupt { store: what, detail: detail.to_string() }
}

pub(crate) fn write<T: Serialize>(row: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write(&mut bytes, row).expect("rows are numbers, texts and lists of them");
    bytes
}

/// A row whose fields may be left out, which only names tell apart.
pub(crate) fn write_named<T: Serialize>(row: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write_named(&mut bytes, row).expect("rows are numbers, texts and lists of them");
    bytes
}

pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, row)) => rmp_serde::from_slice(row).map_err(|e| corrupt("row", e)),
        _ => Err(corrupt("row", format_args!("version {:?}, where {VERSION} is known", bytes.first()))),
    }
}

/// What an entry is without its message being read: priority, whether it has a collapse key, id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) priority: Priority,
    pub(crate) collapses: bool,
    pub(crate) id: MessageId,
}

const HEAD_BYTES: usize = 18;

/// An entry of the log: its head, and then the message.
pub(crate) fn write_entry(message: &Message) -> Result<Vec<u8>, StoreError> {
    let body = codec::encode(message).map_err(|e| corrupt("message", e))?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.push(message.priority as u8);
    bytes.push(u8::from(message.collapse_key.is_some()));
    bytes.extend_from_slice(&message.id.to_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

pub(crate) fn head(entry: &[u8]) -> Result<Head, StoreError> {
    let Some((head, _)) = entry.split_first_chunk::<HEAD_BYTES>() else {
        return Err(corrupt("entry", "it is too short"));
    };
    let priority = Priority::ALL.get(usize::from(head[0])).ok_or_else(|| corrupt("entry", "its priority"))?;
    let id = head.last_chunk::<16>().expect("a head ends with an id");
    Ok(Head { priority: *priority, collapses: head[1] != 0, id: MessageId::from_bytes(*id) })
}

pub(crate) fn message(entry: &[u8]) -> Result<Message, StoreError> {
    let body = entry.get(HEAD_BYTES..).unwrap_or_default();
    codec::decode(body).map_err(|e| corrupt("message", e))
}
