//! What is known of messages, and which of them wait for their time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::Script;
use futures_util::future::try_join_all;
use msgserver_message::{MessageId, Receipt, Stage, Step, Timestamp, UserId};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::inboxes::Steps;
use super::keys::{self, SHARDS};
use super::link::{Ask, Link, unavailable};
use super::{NAME, millis};
use crate::fingerprint::fingerprint;
use crate::store::ID_KEPT;
use crate::{Append, Limits, Recipients, StoreError};

/// How long a message whose time has come is left to the server that takes it.
pub(super) const HANDED_OUT: Duration = Duration::from_secs(30);

/// A message to be known.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    id: MessageId,
    /// Of what it says and for whom.
    print: String,
    /// Whether somebody else may have used the id.
    check: bool,
    /// Whether anything is to be known of it, beside when it is due.
    noted: bool,
    deliver_at: Option<u64>,
    /// In seconds.
    keep: u64,
    /// In whose inboxes it is, in JSON: nothing for those of all who had a device.
    users: String,
    /// The topic that has it in its log; empty for none.
    topic: String,
    /// Tells the message from others to which a publisher gave its id.
    pub(super) nonce: String,
}

/// A message in the schedule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scheduled {
    pub(super) nonce: String,
    pub(super) id: MessageId,
}

impl Scheduled {
    fn entry(&self) -> String {
        format!("{}{}", self.nonce, self.id)
    }

    fn read(entry: &str) -> Option<Self> {
        let (nonce, id) = entry.split_at_checked(NONCE_LENGTH)?;
        Some(Self { nonce: nonce.to_owned(), id: id.parse().ok()? })
    }
}

/// How many characters a nonce has.
pub(super) const NONCE_LENGTH: usize = 13;

/// What became of a claim to an id.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Claim {
    /// The id is the message's now.
    New,
    /// It was before, with this nonce, but the message is not in all of its inboxes yet.
    Again(String),
    /// The message is where it belongs.
    Duplicate,
    /// It is another message's.
    Conflict,
}

/// What became of a message that is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TakenBack {
    /// It was in the schedule.
    Taken,
    /// Nobody knows it.
    Unknown,
    /// It is in the inboxes of these users, in JSON, with this nonce, and in the log of this topic, if any.
    Placed(String, String, String),
}

/// What is due, with its times, and when the next one will be.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) due: Vec<(u64, Scheduled)>,
    pub(super) next: Option<u64>,
}

#[derive(Debug, Default, Serialize)]
struct Question<'a> {
    now: u64,
    again: u64,
    limit: u64,
    keep: u64,
    placed: bool,
    messages: &'a [&'a Row],
    ids: &'a [MessageId],
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'a str>,
}

/// The rows of messages in a few shards, and their schedule.
pub(super) struct Messages {
    link: Arc<Link>,
    limits: Limits,
    last_nonce: Mutex<u64>,
    claim: Script,
    accept: Script,
    unclaim: Script,
    take_back: Script,
    due: Script,
    hand_out: Script,
    released: Script,
    age: Script,
    record: Script,
    receipt: Script,
}

impl Messages {
    pub(super) fn new(link: Arc<Link>, limits: Limits) -> Self {
        let script = |code: &str| Script::new(&format!("{}\n{code}", include_str!("messages.lua")));
        Self {
            link,
            limits,
            last_nonce: Mutex::default(),
            claim: script(include_str!("claim.lua")),
            accept: script(include_str!("accept.lua")),
            unclaim: script(include_str!("unclaim.lua")),
            take_back: script(include_str!("take_back.lua")),
            due: script(include_str!("due.lua")),
            hand_out: script(include_str!("hand_out.lua")),
            released: script(include_str!("released.lua")),
            age: script(include_str!("age.lua")),
            record: Script::new(include_str!("record.lua")),
            receipt: Script::new(include_str!("receipt.lua")),
        }
    }

    /// A text that no other message of the same id has, and that is greater than those before: for order among
    /// servers as well, by their clocks.
    pub(super) fn nonce(&self) -> String {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let mut last = self.last_nonce.lock();
        *last = now.max(*last + 1) % (1 << (4 * NONCE_LENGTH));
        format!("{:0NONCE_LENGTH$x}", *last)
    }

    /// How long a message is known, in seconds.
    pub(super) fn keep(&self) -> u64 {
        self.limits.receipts.max(ID_KEPT).as_secs().min(super::LONGEST)
    }

    /// How long its keys are kept, if nobody sweeps.
    fn expire(&self) -> u64 {
        const HOUR: u64 = 60 * 60;
        self.keep().saturating_add(HOUR)
    }

    /// What is known of a message, if it has to be.
    pub(super) fn row(
        &self,
        append: &Append,
        followers: Option<&[UserId]>,
        deliver_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Row> {
        let Append { message, recipients, check_id, .. } = append;
        if !check_id && deliver_at.is_none() && self.limits.receipts.is_zero() {
            return None;
        }
        // Only an id that may come again needs one.
        let print = if *check_id { format!("{:032x}", fingerprint(append)) } else { "-".to_owned() };
        let users = match recipients {
            Recipients::Users(users) => Some(&users[..]),
            Recipients::Nobody => Some(&[][..]),
            Recipients::Followers => followers,
            Recipients::Known => None,
        };
        let topic = message.topic.as_ref().filter(|_| *recipients == Recipients::Followers);
        let later = deliver_at.map_or(0, |at| millis(at).saturating_sub(millis(now)) / 1000);
        Some(Row {
            id: message.id,
            print,
            check: *check_id,
            noted: *check_id || !self.limits.receipts.is_zero(),
            deliver_at: deliver_at.map(millis),
            keep: self.expire().saturating_add(later).min(super::LONGEST),
            users: serde_json::to_string(&users).expect("names are texts"),
            topic: topic.map_or_else(String::new, ToString::to_string),
            nonce: self.nonce(),
        })
    }

    fn script<'a>(
        &self,
        script: &'a Script,
        shard: usize,
        question: &Question<'_>,
    ) -> Result<::redis::ScriptInvocation<'a>, StoreError> {
        let mut invocation = script.prepare_invoke();
        for key in ["schedule", "scheduled", "releasing", "aging"] {
            invocation.key(keys::of_shard(shard, key));
        }
        let question = Question { keep: self.expire(), ..*question };
        invocation.arg(rmp_serde::to_vec_named(&question).map_err(unavailable)?);
        Ok(invocation)
    }

    /// A script of one message.
    fn script_of<'a>(
        &self,
        script: &'a Script,
        id: MessageId,
        now: Timestamp,
        question: Question<'_>,
    ) -> Result<::redis::ScriptInvocation<'a>, StoreError> {
        let again = millis(now.saturating_add(HANDED_OUT));
        let question = Question { id: Some(id), now: millis(now), again, ..question };
        let mut invocation = self.script(script, keys::shard_of_message(id), &question)?;
        let [row, _] = keys::of_message(id);
        invocation.key(row);
        Ok(invocation)
    }

    /// Takes ids, and puts what has to wait into the schedule: with each row what to release. The answers are in
    /// the order of the rows.
    pub(super) async fn claim(
        &self,
        rows: &[(&Row, Vec<u8>)],
        now: Timestamp,
    ) -> Vec<Result<Claim, StoreError>> {
        let shards = by_shard(rows.iter().map(|(row, _)| row.id));
        let asked = shards.iter().map(async |(shard, which)| {
            let messages: Vec<&Row> = which.iter().map(|at| rows[*at].0).collect();
            let question = Question { messages: &messages, now: millis(now), ..Question::default() };
            let mut script = self.script(&self.claim, *shard, &question)?;
            for at in which {
                let (row, scheduled) = &rows[*at];
                let [key, _] = keys::of_message(row.id);
                script.key(key).arg(&scheduled[..]);
            }
            // Asked twice, what is scheduled would be its own duplicate.
            decode::<Vec<Claim>>(&self.link.ask::<Vec<u8>>(Ask::Once(&script)).await?)
        });
        let mut answers: Vec<_> = rows.iter().map(|_| Err(unavailable("no answer"))).collect();
        for (which, answer) in shards.values().zip(futures_util::future::join_all(asked).await) {
            match answer {
                Ok(claims) => which.iter().zip(claims).for_each(|(at, claim)| answers[*at] = Ok(claim)),
                Err(fault) => which.iter().for_each(|at| answers[*at] = Err(fault.clone())),
            }
        }
        answers
    }

    /// Notes that messages are where they belong.
    pub(super) async fn accept(&self, rows: &[&Row], now: Timestamp) -> Result<(), StoreError> {
        let shards = by_shard(rows.iter().map(|row| row.id));
        let asked = shards.iter().map(async |(shard, which)| {
            let messages: Vec<&Row> = which.iter().map(|at| rows[*at]).collect();
            let question = Question { messages: &messages, now: millis(now), ..Question::default() };
            let mut script = self.script(&self.accept, *shard, &question)?;
            for row in messages {
                let [key, _] = keys::of_message(row.id);
                script.key(key);
            }
            self.link.ask::<u64>(Ask::Again(&script)).await
        });
        try_join_all(asked).await.map(drop)
    }

    /// Gives the id of a message back that was refused.
    pub(super) async fn unclaim(&self, id: MessageId) -> Result<(), StoreError> {
        let script = self.script_of(&self.unclaim, id, Timestamp::now(), Question::default())?;
        self.link.ask::<u64>(Ask::Again(&script)).await.map(drop)
    }

    /// Takes a message out of the schedule, or says where it is.
    pub(super) async fn take_back(&self, id: MessageId) -> Result<TakenBack, StoreError> {
        let script = self.script_of(&self.take_back, id, Timestamp::now(), Question::default())?;
        decode(&self.link.ask::<Vec<u8>>(Ask::Once(&script)).await?)
    }

    /// The first messages that are due, in the order of their times.
    pub(super) async fn due(&self, now: Timestamp, limit: usize) -> Result<Waiting, StoreError> {
        let limit_ = u64::try_from(limit).unwrap_or(u64::MAX);
        let question = Question { now: millis(now), limit: limit_, ..Question::default() };
        let shards = (0..SHARDS).map(async |shard| {
            let script = self.script(&self.due, shard, &question)?;
            self.link.ask::<Vec<String>>(Ask::Again(&script)).await
        });
        let mut waiting = Waiting::default();
        for found in try_join_all(shards).await? {
            let (next, due) = found.split_first().ok_or_else(|| corrupt("the schedule says nothing"))?;
            let next = next.parse().ok();
            waiting.next = waiting.next.into_iter().chain(next).min();
            for due in due.chunks_exact(2) {
                let at = due[0].parse().map_err(|_| corrupt("a time in the schedule"))?;
                let scheduled = Scheduled::read(&due[1]).ok_or_else(|| corrupt("an id in the schedule"))?;
                waiting.due.push((at, scheduled));
            }
        }
        waiting.due.sort_unstable();
        if let Some((at, _)) = waiting.due.get(limit) {
            waiting.next = Some(*at);
            waiting.due.truncate(limit);
        }
        Ok(waiting)
    }

    /// Takes over to release a message that is due, unless another server has.
    pub(super) async fn hand_out(
        &self,
        due: &Scheduled,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let entry = due.entry();
        let question = Question { entry: Some(&entry), ..Question::default() };
        let script = self.script_of(&self.hand_out, due.id, now, question)?;
        self.link.ask(Ask::Once(&script)).await
    }

    /// Notes that a message was released, and whether it is anywhere.
    pub(super) async fn released(
        &self,
        due: &Scheduled,
        placed: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let entry = due.entry();
        let question = Question { placed, entry: Some(&entry), ..Question::default() };
        let script = self.script_of(&self.released, due.id, now, question)?;
        self.link.ask::<u64>(Ask::Again(&script)).await.map(drop)
    }

    /// Forgets messages that were known long enough, at most `limit` of each shard. How many there were, and whether
    /// there may be more.
    pub(super) async fn age(&self, now: Timestamp, limit: usize) -> Result<(u64, bool), StoreError> {
        let Some(end) = millis(now).checked_sub(self.keep() * 1000) else { return Ok((0, false)) };
        let shards = (0..SHARDS).map(async |shard| {
            let mut range = ::redis::cmd("ZRANGEBYSCORE");
            range.arg(keys::of_shard(shard, "aging")).arg("-inf").arg(end).arg("LIMIT").arg(0).arg(limit);
            let found: Vec<String> = self.link.ask(Ask::Command(&range)).await?;
            let ids: Vec<MessageId> = found.iter().filter_map(|id| id.parse().ok()).collect();
            if ids.is_empty() {
                return Ok::<_, StoreError>((0, false));
            }
            let question = Question { ids: &ids, now: end, ..Question::default() };
            let mut script = self.script(&self.age, shard, &question)?;
            for id in &ids {
                script.key(&keys::of_message(*id)[..]);
            }
            Ok((self.link.ask::<u64>(Ask::Again(&script)).await?, ids.len() == limit))
        });
        let gone = try_join_all(shards).await?;
        Ok((gone.iter().map(|(gone, _)| gone).sum(), gone.iter().any(|(_, more)| *more)))
    }

    /// Notes steps of messages that are known.
    pub(super) async fn record(&self, steps: Steps) -> Result<(), StoreError> {
        if self.limits.receipts.is_zero() {
            return Ok(());
        }
        let steps: Steps = steps.into_iter().filter(|(_, steps)| !steps.is_empty()).collect();
        let shards = by_shard(steps.iter().map(|(id, _)| *id));
        let asked = shards.values().map(async |which| {
            for which in which.chunks(256) {
                let mut script = self.record.prepare_invoke();
                for at in which {
                    let (id, steps) = &steps[*at];
                    script.key(&keys::of_message(*id)[..]);
                    script.arg(rmp_serde::to_vec_named(steps).map_err(unavailable)?);
                }
                self.link.ask::<u64>(Ask::Once(&script)).await?;
            }
            Ok(())
        });
        try_join_all(asked).await.map(drop)
    }

    /// What became of a message.
    pub(super) async fn receipt(&self, id: MessageId) -> Result<Option<Receipt>, StoreError> {
        type Known = (Option<String>, Option<u64>, Option<u64>, Option<u64>, Vec<Vec<u8>>);
        let mut script = self.receipt.prepare_invoke();
        script.key(&keys::of_message(id)[..]);
        let (state, at, deliver_at, released, rows): Known = self.link.ask(Ask::Again(&script)).await?;
        // What is not in all of its inboxes was not answered for.
        let (Some(at), Some("scheduled" | "accepted")) = (at, state.as_deref()) else { return Ok(None) };
        let since = Timestamp::from_millis(deliver_at.unwrap_or(at));
        let receipts = self.limits.receipts;
        if receipts.is_zero() || since.saturating_add(receipts) <= Timestamp::now() {
            return Ok(None);
        }
        let first = if deliver_at.is_some() { Stage::Scheduled } else { Stage::Accepted };
        let mut steps = vec![Step::new(first, Timestamp::from_millis(at))];
        steps.extend(released.map(|at| Step::new(Stage::Accepted, Timestamp::from_millis(at))));
        for row in rows {
            steps.append(&mut decode(&row)?);
        }
        Ok(Receipt::of(id, steps))
    }
}

/// The users that a row names; nothing for all who had a device.
pub(super) fn users(json: &str) -> Result<Option<Vec<UserId>>, StoreError> {
    if json.is_empty() {
        return Ok(Some(Vec::new()));
    }
    serde_json::from_str(json).map_err(corrupt)
}

fn by_shard(ids: impl Iterator<Item = MessageId>) -> BTreeMap<usize, Vec<usize>> {
    let mut shards = BTreeMap::<usize, Vec<usize>>::new();
    for (at, id) in ids.enumerate() {
        shards.entry(keys::shard_of_message(id)).or_default().push(at);
    }
    shards
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    rmp_serde::from_slice(bytes).map_err(corrupt)
}

fn corrupt(detail: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { store: NAME, detail: format!("what is known of a message: {detail}") }
}
