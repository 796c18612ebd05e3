//! Messages whose time comes later, and messages that are taken back.

use msgserver_message::{MessageId, Seq, Stage, Step, Timestamp, Topic, UserId};

use super::inboxes::{PAGE_BYTES, mark};
use super::index::Walk;
use super::messages::{self, HANDED_OUT, Scheduled, TakenBack};
use super::{Shared, together};
use crate::inboxes::{ScheduleRow, read_row};
use crate::store::reason;
use crate::{Append, Cancelled, Due, Released, StoreError};

/// How many scheduled messages are taken over in one go; together with [`PAGE_BYTES`] it limits what is in memory.
const HANDED_OUT_AT_ONCE: usize = 32;

impl Shared {
    pub(super) async fn release_due(&self, now: Timestamp, limit: usize) -> Result<Due, StoreError> {
        let waiting = self.messages.due(now, limit).await?;
        let (mut appends, mut taken, mut bytes) = (Vec::with_capacity(waiting.due.len()), 0, 0);
        for some in waiting.due.chunks(HANDED_OUT_AT_ONCE) {
            // The rest is due again at once.
            if bytes >= PAGE_BYTES {
                break;
            }
            taken += some.len();
            let asked = some.iter().map(|(_, due)| self.messages.hand_out(due, now)).collect();
            for ((_, due), row) in some.iter().zip(together(asked).await) {
                // Nothing if another server was quicker. What was handed out before a fault comes later.
                let Some(row) = row? else { continue };
                bytes += row.len();
                match read_row::<ScheduleRow>(&row) {
                    Ok(row) => appends.push((Append { deliver_at: Some(now), ..row.into_append() }, due)),
                    // It must not stand in the way of what comes after it.
                    Err(fault) => {
                        tracing::error!(id = %due.id, %fault, "a scheduled message cannot be read, and is dropped");
                        self.messages.released(due, false, now).await?;
                    }
                }
            }
        }
        let followed = self.topics.followed(appends.iter().map(|(append, _)| append)).await?;
        let items = appends.iter().map(|(append, due)| self.item(append, &followed, &due.nonce, now));
        let placed = self.place(&items.collect::<Result<Vec<_>, _>>()?).await;
        let (mut released, mut fault) = (Vec::new(), None);
        for ((append, due), placed) in appends.iter().zip(placed) {
            match self.settle(append, due, placed, now).await {
                Ok(one) => released.push(one),
                // It is due again later, and known wherever it was placed already.
                Err(more) => fault = Some(more),
            }
        }
        let left = waiting.due.get(taken).map(|(at, _)| *at);
        let mut next = left.or(waiting.next).map(Timestamp::from_millis);
        match fault {
            Some(fault) if released.is_empty() => return Err(fault),
            Some(fault) => {
                tracing::warn!(%fault, "some scheduled messages have to wait");
                let again = now.saturating_add(HANDED_OUT);
                next = Some(next.map_or(again, |next| next.min(again)));
            }
            None => {}
        }
        Ok(Due { released, next })
    }

    async fn settle(
        &self,
        append: &Append,
        due: &Scheduled,
        placed: Result<Vec<(UserId, Seq)>, StoreError>,
        now: Timestamp,
    ) -> Result<Released, StoreError> {
        let seqs = match placed {
            // There is nobody left to refuse it to.
            Err(StoreError::Full { user, .. }) => {
                let step = Step::of(&user, Stage::Expired, now);
                let step = Step { reason: Some(reason::FULL.into()), ..step };
                self.make_steps(vec![(due.id, vec![step])]).await?;
                None
            }
            placed => Some(placed?),
        };
        self.messages.released(due, seqs.is_some(), now).await?;
        self.tell(Stage::Accepted, seqs.is_some().then_some(append).into_iter(), now);
        let seqs = seqs.unwrap_or_default();
        Ok(Released { message: append.message.clone(), recipients: append.recipients.clone(), seqs })
    }

    pub(super) async fn cancel(&self, id: MessageId) -> Result<Cancelled, StoreError> {
        let (users, nonce, topic) = match self.messages.take_back(id).await? {
            TakenBack::Unknown => return Ok(Cancelled::Unknown),
            TakenBack::Taken => {
                self.make_steps(vec![(id, vec![Step::new(Stage::Cancelled, Timestamp::now())])]).await?;
                return Ok(Cancelled::TakenBack(1));
            }
            TakenBack::Placed(users, nonce, topic) => (messages::users(&users)?, nonce, topic),
        };
        let mark = mark(id, &nonce);
        let mut steps = Vec::new();
        match users {
            Some(users) => self.cancel_for(&users, &mark, &mut steps).await?,
            None => {
                let mut walk = Walk::new();
                while let Some(users) = walk.next(&self.inboxes.index).await? {
                    self.cancel_for(&users, &mark, &mut steps).await?;
                }
            }
        }
        let mut count = steps.len() as u64;
        if let Ok(topic) = Topic::new(topic) {
            count += u64::from(self.topics.take_out(&topic, &mark).await?);
        }
        self.make_steps(vec![(id, steps)]).await?;
        Ok(if count > 0 { Cancelled::TakenBack(count) } else { Cancelled::TooLate })
    }

    async fn cancel_for(
        &self,
        users: &[UserId],
        mark: &str,
        steps: &mut Vec<Step>,
    ) -> Result<(), StoreError> {
        let mut taking = Vec::with_capacity(users.len());
        for user in users {
            taking.push(self.inboxes.cancel(user, mark, false));
        }
        for (user, taken) in users.iter().zip(together(taking).await) {
            if taken? {
                steps.push(Step::of(user, Stage::Cancelled, Timestamp::now()));
            }
        }
        Ok(())
    }
}
