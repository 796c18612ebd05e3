//! How a message comes into several inboxes.

use std::collections::{BTreeMap, HashMap, HashSet};

use msgserver_message::{MessageId, Seq, Stage, Timestamp, Topic, UserId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::inboxes::{Placed, Placing, Steps};
use super::index::Walk;
use super::link::unavailable;
use super::messages::Claim;
use super::topics::{Followed, FollowedTopics};
use super::{Shared, millis, together};
use crate::inboxes::{ScheduleRow, write_row};
use crate::{Append, Appended, IfFull, Recipients, StoreError};

/// At most so many messages go into an inbox at once, and so many bytes, not to hold Redis up.
const AT_ONCE: usize = 128;
const BYTES_AT_ONCE: u64 = 1024 * 1024;

/// How long it is known that a message was in an inbox that nobody will publish again, in milliseconds. What is
/// sent to Redis a second time, after a lost connection, comes much sooner.
const REMEMBERED: u64 = 60_000;

/// The nonce of messages whose ids nobody else gives.
const ALWAYS: &str = "0000000000000";

/// The ids that publishers chose and that are under way: who comes with the same meanwhile waits for the answer.
#[derive(Default)]
pub(super) struct UnderWay {
    ids: Mutex<HashSet<MessageId>>,
    changed: Notify,
}

struct OnMyWay<'a> {
    under_way: &'a UnderWay,
    ids: Vec<MessageId>,
}

impl Drop for OnMyWay<'_> {
    fn drop(&mut self) {
        let mut ids = self.under_way.ids.lock();
        for id in &self.ids {
            ids.remove(id);
        }
        drop(ids);
        self.under_way.changed.notify_waiters();
    }
}

impl UnderWay {
    fn take(&self, ids: &[MessageId]) -> bool {
        let mut under_way = self.ids.lock();
        let free = !ids.iter().any(|id| under_way.contains(id));
        if free {
            under_way.extend(ids);
        }
        free
    }

    async fn begin(&self, ids: Vec<MessageId>) -> OnMyWay<'_> {
        loop {
            // Before the look: what ends after it must be heard of.
            let changed = self.changed.notified();
            if self.take(&ids) {
                return OnMyWay { under_way: self, ids };
            }
            changed.await;
        }
    }
}

/// A message to place, and its place among others.
pub(super) struct Item<'a> {
    pub(super) append: &'a Append,
    pub(super) placing: Placing,
    /// Who follows its topic, if it is for them.
    pub(super) followed: Option<&'a Followed>,
}

impl<'a> Item<'a> {
    /// The users who are named, or follow its topic.
    fn users(&self) -> &'a [UserId] {
        match &self.append.recipients {
            Recipients::Users(users) => users,
            Recipients::Followers => self.followed.map_or(&[], |followed| &followed.users),
            Recipients::Known | Recipients::Nobody => &[],
        }
    }

    /// The topic in whose log it belongs.
    pub(super) fn topic(&self) -> Option<&'a Topic> {
        self.append.message.topic.as_ref().filter(|_| self.append.recipients == Recipients::Followers)
    }

    /// Several inboxes may refuse it, and none may take what another refuses.
    fn may_be_refused_by_another(&self) -> bool {
        self.placing.refuse && self.users().len() > 1
    }

    /// Whether others have to be where they belong before it, and it before others.
    fn is_alone(&self) -> bool {
        self.placing.known || self.may_be_refused_by_another()
    }
}

type Seqs = Vec<(UserId, Seq)>;

impl Shared {
    pub(super) async fn append(&self, batch: &[Append]) -> Vec<Result<Appended, StoreError>> {
        let mut answers: Vec<_> = batch.iter().map(|_| Err(unavailable("no answer"))).collect();
        let mut left: Vec<usize> = (0..batch.len()).collect();
        while !left.is_empty() {
            // Of messages with one id only the first can be new, so the others wait for it.
            let mut ids = HashSet::new();
            let (now, later): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|at| !batch[*at].check_id || ids.insert(batch[*at].message.id));
            left = later;
            let _on_my_way = self.under_way.begin(ids.into_iter().collect()).await;
            let appends: Vec<_> = now.iter().map(|at| &batch[*at]).collect();
            for (at, answer) in now.into_iter().zip(self.append_different(&appends).await) {
                answers[at] = answer;
            }
        }
        answers
    }

    /// First the id is claimed, with what the message is and for whom; then it goes into each inbox that it is
    /// not in yet; then the claim is settled. An answer is given after that. Where it ends before, the message may
    /// be in some inboxes, and who publishes it again under its id completes it.
    async fn append_different(&self, appends: &[&Append]) -> Vec<Result<Appended, StoreError>> {
        let now = Timestamp::now();
        let later = |append: &Append| append.deliver_at.filter(|at| *at > now);
        let at_once = appends.iter().copied().filter(|append| later(append).is_none());
        let followed = match self.topics.followed(at_once).await {
            Ok(followed) => followed,
            Err(fault) => return appends.iter().map(|_| Err(fault.clone())).collect(),
        };
        let row = |append: &&Append| {
            let followers = followed.of(append).map(|followed| &followed.users[..]);
            self.messages.row(append, followers, later(append), now)
        };
        let mut rows: Vec<_> = appends.iter().map(row).collect();

        let mut answers: Vec<Option<Result<Appended, StoreError>>> = appends.iter().map(|_| None).collect();
        let claiming: Vec<usize> =
            (0..appends.len()).filter(|at| appends[*at].check_id || later(appends[*at]).is_some()).collect();
        let mut claims = Vec::with_capacity(claiming.len());
        for at in &claiming {
            let scheduled = later(appends[*at]).map(|_| write_row(&ScheduleRow::new(appends[*at])));
            let row = rows[*at].as_ref().expect("what is claimed has a row");
            claims.push((row, scheduled.unwrap_or_default()));
        }
        let claims = self.messages.claim(&claims, now).await;
        for (at, claim) in claiming.into_iter().zip(claims) {
            answers[at] = match claim {
                Ok(Claim::New) if later(appends[at]).is_some() => Some(Ok(Appended::Scheduled)),
                Ok(Claim::New) => None,
                Ok(Claim::Again(nonce)) => {
                    rows[at].iter_mut().for_each(|row| row.nonce.clone_from(&nonce));
                    None
                }
                Ok(Claim::Duplicate) => Some(Ok(Appended::Duplicate)),
                Ok(Claim::Conflict) => Some(Err(StoreError::Conflict(appends[at].message.id))),
                Err(fault) => Some(Err(fault)),
            };
        }

        let placing: Vec<usize> = (0..appends.len()).filter(|at| answers[*at].is_none()).collect();
        let item = |at: &usize| {
            let nonce = rows[*at].as_ref().map_or_else(|| self.messages.nonce(), |row| row.nonce.clone());
            self.item(appends[*at], &followed, &nonce, now)
        };
        let items: Result<Vec<_>, _> = placing.iter().map(item).collect();
        let placed = match items {
            Ok(items) => self.place(&items).await,
            Err(fault) => placing.iter().map(|_| Err(fault.clone())).collect(),
        };
        let accepted = placing.iter().zip(&placed).filter(|(_, placed)| placed.is_ok());
        let accepted: Vec<_> = accepted.filter_map(|(at, _)| rows[*at].as_ref()).collect();
        let accepted = self.messages.accept(&accepted, now).await;
        for (at, placed) in placing.into_iter().zip(placed) {
            if let (Err(StoreError::Full { .. }), true) = (&placed, appends[at].check_id) {
                // If this fails, publishing it again finds the id, and places the message under it.
                let _ = self.messages.unclaim(appends[at].message.id).await;
            }
            let accepted = rows[at].as_ref().map_or(Ok(()), |_| accepted.clone());
            answers[at] = Some(placed.and_then(|seqs| accepted.map(|()| Appended::New(seqs))));
        }
        let taken = |what: fn(&Appended) -> bool| {
            let answered = appends.iter().zip(&answers);
            let taken = answered.filter(move |(_, answer)| matches!(answer, Some(Ok(done)) if what(done)));
            taken.map(|(append, _)| *append)
        };
        self.tell(Stage::Scheduled, taken(|done| *done == Appended::Scheduled), now);
        self.tell(Stage::Accepted, taken(|done| matches!(done, Appended::New(_))), now);
        answers.into_iter().map(|answer| answer.expect("each is answered")).collect()
    }

    pub(super) fn item<'a>(
        &self,
        append: &'a Append,
        followed: &'a FollowedTopics,
        nonce: &str,
        now: Timestamp,
    ) -> Result<Item<'a>, StoreError> {
        let long = append.check_id || append.deliver_at.is_some();
        let known_for = if long { self.messages.keep().saturating_mul(1000) } else { REMEMBERED };
        let mut item = self.item_remembered(append, nonce, now, known_for)?;
        item.followed = followed.of(append);
        item.placing.follow = item.followed.map_or_else(Vec::new, Followed::filters);
        Ok(item)
    }

    /// Puts messages of another server into inboxes, whatever the limits are.
    pub(crate) async fn take_over(&self, appends: &[Append]) -> Result<(), StoreError> {
        self.is_open()?;
        let now = Timestamp::now();
        let keep = self.inboxes.keep.saturating_mul(1000);
        let items = appends.iter().map(|append| {
            let mut item = self.item_remembered(append, ALWAYS, now, keep)?;
            item.placing.beyond_limits = true;
            Ok(item)
        });
        let placed = self.place(&items.collect::<Result<Vec<_>, StoreError>>()?).await;
        placed.into_iter().try_for_each(|placed| placed.map(drop))
    }

    /// A message to place now, whose having been here is known for so many milliseconds.
    pub(super) fn item_remembered<'a>(
        &self,
        append: &'a Append,
        nonce: &str,
        now: Timestamp,
        known_for: u64,
    ) -> Result<Item<'a>, StoreError> {
        let placing = Placing::new(&append.message, nonce, now)?;
        let mut placing = placing.remembered_until(millis(now).saturating_add(known_for));
        placing.refuse = append.if_full == IfFull::Refuse;
        placing.known = append.recipients == Recipients::Known;
        Ok(Item { append, placing, followed: None })
    }

    /// Puts messages into their inboxes, in their order in each.
    pub(super) async fn place(&self, items: &[Item<'_>]) -> Vec<Result<Seqs, StoreError>> {
        let mut answers = Vec::with_capacity(items.len());
        let mut steps = Steps::new();
        for run in items.chunk_by(|a, b| !a.is_alone() && !b.is_alone()) {
            match run {
                [item] if item.placing.known => answers.push(self.place_for_known(item, &mut steps).await),
                run => answers.extend(self.place_for_users(run, &mut steps).await),
            }
        }
        self.topics.publish(items, &mut answers).await;
        if let Err(fault) = self.make_steps(steps).await {
            tracing::warn!(%fault, "steps of messages that went are not in their receipts");
        }
        answers
    }

    async fn place_for_users(&self, items: &[Item<'_>], steps: &mut Steps) -> Vec<Result<Seqs, StoreError>> {
        let mut answers: Vec<HashMap<UserId, Result<Placed, StoreError>>> = vec![HashMap::new(); items.len()];
        let asking: Vec<_> = (0..items.len()).filter(|at| items[*at].may_be_refused_by_another()).collect();
        for (user, at, placed) in self.place_each(items, &asking, true, steps).await {
            if !matches!(placed, Ok(Placed::Gone)) {
                answers[at].insert(user, placed);
            }
        }
        let placing: Vec<_> = (0..items.len()).filter(|at| answers[*at].is_empty()).collect();
        for (user, at, placed) in self.place_each(items, &placing, false, steps).await {
            answers[at].insert(user, placed);
        }
        let mut all = Vec::with_capacity(items.len());
        for (item, answers) in items.iter().zip(answers) {
            if let Some(followed) = item.followed {
                let unfollowed =
                    answers.iter().filter(|(_, placed)| matches!(placed, Ok(Placed::Unfollowed)));
                self.topics.forget(followed, unfollowed.map(|(user, _)| user)).await;
            }
            let placed = self.seqs(item.users(), &answers);
            if let Err(StoreError::Full { .. }) = placed {
                // Where it is nevertheless, as an inbox has filled up since it was asked.
                let taken = answers
                    .iter()
                    .filter(|(_, placed)| matches!(placed, Ok(Placed::New(_) | Placed::Old(_))));
                self.take_out(taken.map(|(user, _)| user), item.placing.mark()).await;
            }
            all.push(placed);
        }
        all
    }

    /// The numbers of a message in the order of its users, or why the first of them has none.
    fn seqs(
        &self,
        users: &[UserId],
        answers: &HashMap<UserId, Result<Placed, StoreError>>,
    ) -> Result<Seqs, StoreError> {
        let mut seqs = Vec::with_capacity(users.len());
        for user in users {
            match answers.get(user) {
                Some(Ok(Placed::New(seq) | Placed::Old(seq))) => seqs.push((user.clone(), Seq::new(*seq))),
                Some(Ok(Placed::Full(which))) => return Err(self.full(user, *which)),
                Some(Err(fault)) => return Err(fault.clone()),
                Some(Ok(Placed::Gone | Placed::Unknown | Placed::Unfollowed)) | None => {}
            }
        }
        Ok(seqs)
    }

    fn full(&self, user: &UserId, which: u8) -> StoreError {
        StoreError::Full { user: user.clone(), limit: self.inboxes.limit(which) }
    }

    /// Takes a message out again that another inbox has refused.
    async fn take_out(&self, users: impl Iterator<Item = &UserId>, mark: &str) {
        let mut taking = Vec::new();
        for user in users {
            taking.push(self.inboxes.cancel(user, mark, true));
        }
        for taken in together(taking).await {
            if let Err(fault) = taken {
                tracing::error!(mark, %fault, "a refused message is left in an inbox");
            }
        }
    }

    /// Some of these messages, to each of their users.
    async fn place_each(
        &self,
        items: &[Item<'_>],
        which: &[usize],
        look: bool,
        steps: &mut Steps,
    ) -> Vec<(UserId, usize, Result<Placed, StoreError>)> {
        let mut inboxes = BTreeMap::<&UserId, Vec<usize>>::new();
        for at in which {
            for user in items[*at].users() {
                inboxes.entry(user).or_default().push(*at);
            }
        }
        let mut placing = Vec::with_capacity(inboxes.len());
        for (user, which) in inboxes {
            let messages: Vec<_> = which.iter().map(|at| items[*at].placing.clone()).collect();
            placing.push(async move {
                let (placed, steps) = self.place_in(user, &messages, look).await;
                let placed = which.into_iter().zip(placed).map(|(at, placed)| (user.clone(), at, placed));
                (placed.collect::<Vec<_>>(), steps)
            });
        }
        let mut all = Vec::new();
        for (placed, mut more) in together(placing).await {
            all.extend(placed);
            steps.append(&mut more);
        }
        all
    }

    /// Messages into one inbox, a part at a time.
    async fn place_in(
        &self,
        user: &UserId,
        messages: &[Placing],
        look: bool,
    ) -> (Vec<Result<Placed, StoreError>>, Steps) {
        let (mut answers, mut steps) = (Vec::with_capacity(messages.len()), Steps::new());
        let mut left = messages;
        while !left.is_empty() {
            let mut bytes = 0;
            let fits = left.iter().take(AT_ONCE).take_while(|message| {
                bytes += message.bytes();
                bytes <= BYTES_AT_ONCE
            });
            let (part, rest) = left.split_at(fits.count().max(1));
            match self.inboxes.place(user, part, look).await {
                Ok((placed, mut more)) => {
                    answers.extend(placed.into_iter().map(Ok));
                    steps.append(&mut more);
                }
                // Nor what comes after it: it would stand before what is published again.
                Err(fault) => {
                    answers.resize_with(messages.len(), || Err(fault.clone()));
                    break;
                }
            }
            left = rest;
        }
        (answers, steps)
    }

    async fn place_for_known(&self, item: &Item<'_>, steps: &mut Steps) -> Result<Seqs, StoreError> {
        if item.placing.refuse {
            self.place_for_all(item, true, steps).await?;
        }
        self.place_for_all(item, false, steps).await
    }

    async fn place_for_all(
        &self,
        item: &Item<'_>,
        look: bool,
        steps: &mut Steps,
    ) -> Result<Seqs, StoreError> {
        let mut seqs = BTreeMap::new();
        let mut fault = None;
        let mut walk = Walk::new();
        while let Some(users) = walk.next(&self.inboxes.index).await? {
            let mut placing = Vec::with_capacity(users.len());
            for user in &users {
                placing.push(self.inboxes.place(user, std::slice::from_ref(&item.placing), look));
            }
            for (user, answer) in users.iter().zip(together(placing).await) {
                let (placed, mut more) = answer?;
                steps.append(&mut more);
                match placed[..] {
                    [Placed::New(seq) | Placed::Old(seq)] => drop(seqs.insert(user.clone(), Seq::new(seq))),
                    [Placed::Full(which)] => fault = fault.or_else(|| Some(self.full(user, which))),
                    _ => {}
                }
            }
        }
        let Some(fault) = fault else { return Ok(seqs.into_iter().collect()) };
        self.take_out(seqs.keys(), item.placing.mark()).await;
        Err(fault)
    }
}
