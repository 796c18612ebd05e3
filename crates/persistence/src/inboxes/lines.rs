//! Rows as lines of JSON, whose form outlives the form of the rows.

use std::ops::ControlFlow;

use msgserver_message::{
    CollapseKey, Content, DeviceId, Message, MessageId, Priority, Properties, Seq, Step, Timestamp, Topic,
    TopicFilter, UserId,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::rows::{self, DeviceRow, Head, MessageRow, ScheduleRow, Scheduled, TopicRow, UserRow};
use super::tables::{self, Key, Rows, Table, Tables};
use super::{SCHEDULED, STEPS, STORED, WILDCARDS, corrupt, sum, user_row};
use crate::StoreError;

/// The form of the lines.
pub(crate) const VERSION: u32 = 1;

/// The tables that lines are made of, in the order in which they are to be read. The others follow from them.
pub(crate) const TABLES: [Table; 9] = [
    Table::Users,
    Table::Devices,
    Table::Following,
    Table::Log,
    Table::Topics,
    Table::History,
    Table::Schedule,
    Table::Messages,
    Table::Steps,
];

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// The first.
    Export(ExportLine),
    User(UserLine),
    Device(DeviceLine),
    Follows(FollowsLine),
    Message(MessageLine),
    Topic(TopicLine),
    Published(PublishedLine),
    Scheduled(ScheduledLine),
    Id(IdLine),
    Steps(StepsLine),
    /// The last.
    End(EndLine),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExportLine {
    pub(crate) version: u32,
    pub(crate) at: Timestamp,
}

/// An inbox: the last number given, and up to which number nothing is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserLine {
    user: UserId,
    last: Seq,
    trimmed: Seq,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceLine {
    user: UserId,
    device: DeviceId,
    acknowledged: Seq,
    sent: Seq,
    last_seen: Timestamp,
}

/// What a device follows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FollowsLine {
    user: UserId,
    device: DeviceId,
    topics: TopicFilter,
}

/// The log of a topic: the last number given, up to which number nothing is kept, and when the last message came.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicLine {
    topic: Topic,
    last: u64,
    trimmed: u64,
    at: Timestamp,
}

/// A message in the log of its topic.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishedLine {
    topic: Topic,
    number: u64,
    placed: Timestamp,
    message: Whole,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageLine {
    user: UserId,
    seq: Seq,
    placed: Timestamp,
    /// Whether a newer one with its collapse key takes its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    collapses: bool,
    message: Whole,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduledLine {
    at: Timestamp,
    /// The order of what was accepted for one moment.
    number: u64,
    message: Whole,
    /// Nobody for a notice, and nothing for every user who has a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    users: Option<Vec<UserId>>,
    refuse_if_full: bool,
}

/// What was accepted under an id.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdLine {
    id: MessageId,
    /// 128 bits in hexadecimal, that say whether the same is published again.
    fingerprint: String,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<DueLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    released: Option<Timestamp>,
    places: Vec<(UserId, Seq)>,
    /// The topic that has it in its log, and the number there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published: Option<(Topic, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DueLine {
    at: Timestamp,
    number: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepsLine {
    id: MessageId,
    number: u64,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EndLine {
    /// Lines between the first and this one.
    pub(crate) lines: u64,
    /// Stretches that could not be read.
    pub(crate) lost: u64,
}

/// A message whose content keeps its text: a number keeps all its digits, and an object its order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    id: MessageId,
    content: Box<RawValue>,
    sent_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<Topic>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collapse_key: Option<CollapseKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    properties: Option<Box<Properties>>,
}

impl Whole {
    fn of(message: Message) -> Result<Self, StoreError> {
        let Message { id, content, sent_at, topic, expires_at, priority, collapse_key, properties } = message;
        // A line end in JSON can only be white space, and any other white space means the same.
        let text = content.as_json().replace(['\n', '\r'], " ");
        let content = RawValue::from_string(text).map_err(corrupt)?;
        Ok(Self { id, content, sent_at, topic, expires_at, priority, collapse_key, properties })
    }

    fn into_message(self) -> Result<Message, StoreError> {
        let Self { id, content, sent_at, topic, expires_at, priority, collapse_key, properties } = self;
        let content = Content::from_json(content.get()).map_err(corrupt)?;
        Ok(Message { id, content, sent_at, topic, expires_at, priority, collapse_key, properties })
    }
}

impl Line {
    /// The line of a row.
    pub(crate) fn of(
        tables: &impl Rows,
        table: Table,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Self>, StoreError> {
        let user =
            || tables::split_user(key).map(|(user, _)| user).ok_or_else(|| corrupt("the name of a user"));
        let moment = Timestamp::from_millis;
        Ok(Some(match table {
            Table::Users => {
                let row: UserRow = rows::read(value)?;
                Self::User(UserLine {
                    user: user()?,
                    last: Seq::new(row.last),
                    trimmed: Seq::new(row.trimmed),
                })
            }
            Table::Devices => {
                let at: DeviceRow = rows::read(value)?;
                let (user, device) =
                    tables::split_device(key).ok_or_else(|| corrupt("the name of a device"))?;
                // One that is connected may have been sent everything; nobody has said yet what it was.
                let sent = if at.sessions > 0 {
                    user_row(tables, &user).map_or(at.sent, |row| row.last.max(at.sent))
                } else {
                    at.sent
                };
                Self::Device(DeviceLine {
                    user,
                    device,
                    acknowledged: Seq::new(at.acknowledged),
                    sent: Seq::new(sent),
                    last_seen: moment(at.last_seen),
                })
            }
            Table::Log => {
                let (user, seq) = (user()?, tables::seq(key).unwrap_or(Seq::ZERO));
                let (head, message) = (Head::read(value)?, rows::message(value)?);
                let newest = message
                    .collapse_key
                    .as_ref()
                    .map(|about| tables.get(Table::Collapse, &tables::collapse(&user, about)).ok().flatten());
                let collapses = newest.flatten().as_deref().and_then(tables::seq) == Some(seq);
                Self::Message(MessageLine {
                    user,
                    seq,
                    placed: head.placed,
                    collapses,
                    message: Whole::of(message)?,
                })
            }
            Table::Following => {
                let parts = tables::split_user(key).and_then(|(user, rest)| {
                    let (device, rest) = tables::split_name(rest)?;
                    let (topics, _) = tables::split_name(rest)?;
                    Some((user, DeviceId::new(device).ok()?, TopicFilter::new(topics).ok()?))
                });
                let (user, device, topics) = parts.ok_or_else(|| corrupt("what a device follows"))?;
                Self::Follows(FollowsLine { user, device, topics })
            }
            Table::Topics => {
                let row: TopicRow = rows::read(value)?;
                let at = moment(row.at);
                Self::Topic(TopicLine { topic: topic_of(key)?, last: row.last, trimmed: row.trimmed, at })
            }
            Table::History => {
                let (head, message) = (Head::read(value)?, rows::message(value)?);
                let number = tables::seq(key).unwrap_or(Seq::ZERO).get();
                let (topic, placed, message) = (topic_of(key)?, head.placed, Whole::of(message)?);
                Self::Published(PublishedLine { topic, number, placed, message })
            }
            Table::Schedule => {
                let (at, number) =
                    tables::split_scheduled(key).ok_or_else(|| corrupt("when a message is due"))?;
                let (message, users, refuse_if_full) = rows::read::<ScheduleRow>(value)?.into_parts();
                Self::Scheduled(ScheduledLine {
                    at,
                    number,
                    message: Whole::of(message)?,
                    users,
                    refuse_if_full,
                })
            }
            Table::Messages => {
                let id = tables::id(key).ok_or_else(|| corrupt("the id of a message"))?;
                let row: MessageRow = rows::read(value)?;
                Self::Id(IdLine {
                    id,
                    fingerprint: format!("{:032x}", row.print),
                    at: moment(row.at),
                    due: row.scheduled.map(|due| DueLine { at: moment(due.at), number: due.number }),
                    released: row.released.map(moment),
                    places: row.places,
                    published: row.published,
                })
            }
            Table::Steps => {
                let (id, number) = tables::split_step(key).ok_or_else(|| corrupt("whose steps these are"))?;
                Self::Steps(StepsLine { id, number, steps: rows::read_steps(value)? })
            }
            Table::Expiring | Table::Collapse | Table::Aging | Table::Sums | Table::Followers => {
                return Ok(None);
            }
        }))
    }

    /// Puts what a line says into tables, with what follows from it.
    pub(crate) fn put(self, tables: &mut impl Tables) -> Result<(), StoreError> {
        match self {
            Self::Export(_) | Self::End(_) => Err(corrupt("it stands where rows are expected")),
            Self::User(line) => {
                let mut row = user_row(tables, &line.user)?;
                row.last = row.last.max(line.last.get());
                row.trimmed = row.trimmed.max(line.trimmed.get()).min(row.last);
                put_user(tables, &line.user, &row);
                Ok(())
            }
            Self::Device(line) => line.put(tables),
            Self::Follows(line) => line.put(tables),
            Self::Message(line) => line.put(tables),
            Self::Topic(line) => {
                let row = TopicRow { last: line.last, trimmed: line.trimmed, at: line.at.as_millis() };
                tables.put(Table::Topics, tables::topic(&line.topic), rows::write(&row));
                Ok(())
            }
            Self::Published(line) => {
                let message = line.message.into_message()?;
                let entry = Head::new(&message, line.placed).write(&message)?;
                tables.put(Table::History, tables::published(&line.topic, line.number), entry);
                Ok(())
            }
            Self::Scheduled(line) => {
                let message = line.message.into_message()?;
                let key = tables::scheduled(line.at, line.number, message.id);
                let row = ScheduleRow::from_parts(message, line.users, line.refuse_if_full);
                tables.put(Table::Schedule, key, rows::write_named(&row));
                raise(tables, SCHEDULED, line.number + 1)
            }
            Self::Id(line) => line.put(tables),
            Self::Steps(line) => {
                tables.put(Table::Steps, tables::step(line.id, line.number), rows::write_steps(&line.steps));
                raise(tables, STEPS, line.number + 1)
            }
        }
    }
}

impl DeviceLine {
    fn put(self, tables: &mut impl Tables) -> Result<(), StoreError> {
        let mut row = user_row(tables, &self.user)?;
        let key = tables::device(&self.user, &self.device);
        if tables.get(Table::Devices, &key)?.is_none() {
            row.devices += 1;
        }
        let (acknowledged, sent) = (self.acknowledged.get(), self.sent.get().max(self.acknowledged.get()));
        // Where what was known of the inbox is lost, its numbers go on behind what anybody has seen.
        row.last = row.last.max(sent);
        let at = DeviceRow { acknowledged, sent, sessions: 0, last_seen: self.last_seen.as_millis() };
        tables.put(Table::Devices, key, rows::write(&at));
        put_user(tables, &self.user, &row);
        Ok(())
    }
}

impl FollowsLine {
    fn put(self, tables: &mut impl Tables) -> Result<(), StoreError> {
        let device = tables::device(&self.user, &self.device);
        let key = tables::following(&device, &self.topics);
        if self.topics.is_wildcard() && tables.get(Table::Following, &key)?.is_none() {
            let wildcards = sum(tables, WILDCARDS)?;
            raise(tables, WILDCARDS, wildcards + 1)?;
        }
        tables.put(Table::Following, key, Vec::new());
        tables.put(Table::Followers, tables::follower(&self.topics, &device), Vec::new());
        Ok(())
    }
}

impl MessageLine {
    fn put(self, tables: &mut impl Tables) -> Result<(), StoreError> {
        let Self { user, seq, placed, collapses, message } = self;
        let message = message.into_message()?;
        let mut row = user_row(tables, &user)?;
        let key = tables::entry(&user, seq);
        if seq.get() <= row.trimmed || tables.get(Table::Log, &key)?.is_some() {
            return Err(corrupt(format_args!("message {seq} of user {user:?} has no place in its inbox")));
        }
        let head = Head::new(&message, placed);
        row.last = row.last.max(seq.get());
        row.add(&head);
        tables.put(Table::Log, key, head.write(&message)?);
        let number = || seq.get().to_be_bytes().to_vec();
        if let Some(end) = head.expires_at {
            tables.put(Table::Expiring, tables::expiring(end, &user, head.id), number());
        }
        if let Some(about) = message.collapse_key.as_ref().filter(|_| collapses) {
            tables.put(Table::Collapse, tables::collapse(&user, about), number());
        }
        put_user(tables, &user, &row);
        let stored = sum(tables, STORED)?;
        raise(tables, STORED, stored + 1)
    }
}

impl IdLine {
    fn put(self, tables: &mut impl Tables) -> Result<(), StoreError> {
        let print = u128::from_str_radix(&self.fingerprint, 16)
            .map_err(|_| corrupt(format_args!("{:?} is no fingerprint", self.fingerprint)))?;
        let scheduled = self.due.map(|due| Scheduled { at: due.at.as_millis(), number: due.number });
        let row = MessageRow {
            print,
            at: self.at.as_millis(),
            scheduled,
            released: self.released.map(Timestamp::as_millis),
            places: self.places,
            published: self.published,
        };
        tables.put(Table::Messages, Key::from_slice(&self.id.to_bytes()), rows::write(&row));
        tables.put(Table::Aging, tables::moment(row.since(), self.id), Vec::new());
        scheduled.map_or(Ok(()), |due| raise(tables, SCHEDULED, due.number + 1))
    }
}

fn topic_of(key: &[u8]) -> Result<Topic, StoreError> {
    let topic = tables::split_name(key).and_then(|(name, _)| Topic::new(name).ok());
    topic.ok_or_else(|| corrupt("the name of a topic"))
}

fn put_user(tables: &mut impl Tables, user: &UserId, row: &UserRow) {
    tables.put(Table::Users, tables::user(user), rows::write(row));
}

/// Has a sum be a number at least.
fn raise(tables: &mut impl Tables, name: &str, least: u64) -> Result<(), StoreError> {
    if sum(tables, name)? < least {
        tables.put(Table::Sums, Key::from_slice(name.as_bytes()), least.to_be_bytes().to_vec());
    }
    Ok(())
}

/// Whether nothing was ever kept in tables.
pub(crate) fn are_empty(tables: &impl Rows) -> Result<bool, StoreError> {
    let mut empty = true;
    for table in TABLES {
        tables.walk(table, &[], &tables::end_of(&[]), &mut |_, _| {
            empty = false;
            Ok(ControlFlow::Break(()))
        })?;
    }
    Ok(empty)
}
