//! Telling a witness what becomes of messages, in order.

use std::collections::HashMap;
use std::sync::Arc;

use msgserver_message::{MessageId, Stage, Step, Target};
use msgserver_persistence::{Recipients, StepMade};
use parking_lot::Mutex;

use crate::Witness;

/// How many steps may be held back; beyond it they are told as they come, since a store that hangs must not cost
/// memory without end.
const HELD: usize = 100_000;

/// Tells a witness, if there is one.
///
/// While a message is being put into a store, a session may find it there and send it before the store has said that
/// it was accepted. So what is told of it meanwhile is held back, and then told in the order of its times.
#[derive(Default)]
pub(crate) struct Telling {
    witness: Option<Arc<dyn Witness>>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// How often each message is being put into the store.
    ids: HashMap<MessageId, usize>,
    /// How often everything is held back.
    all: usize,
    steps: Vec<Told>,
}

struct Told {
    id: MessageId,
    step: Step,
    target: Option<Target>,
}

impl Held {
    fn holds(&self, id: MessageId) -> bool {
        (self.all > 0 || self.ids.contains_key(&id)) && self.steps.len() < HELD
    }
}

impl Telling {
    pub(crate) fn new(witness: Option<Arc<dyn Witness>>) -> Self {
        Self { witness, ..Self::default() }
    }

    /// The witness, if there is one that wants to be told of a stage.
    fn witness(&self, stage: Stage) -> Option<&dyn Witness> {
        self.witness.as_deref().filter(|witness| witness.wants(stage))
    }

    pub(crate) fn has_witness(&self) -> bool {
        self.witness.is_some()
    }

    pub(crate) fn is_wanted(&self, stage: Stage) -> bool {
        self.witness(stage).is_some()
    }

    /// Tells of a step, or holds it back.
    pub(crate) fn tell(&self, id: MessageId, step: &Step, target: Option<&Target>) {
        let Some(witness) = self.witness(step.state) else { return };
        {
            let mut held = self.held.lock();
            if held.holds(id) {
                return held.steps.push(Told { id, step: step.clone(), target: target.cloned() });
            }
        }
        witness.tell(id, step, target);
    }

    /// Tells of steps that a store has made.
    pub(crate) fn tell_made(&self, steps: Vec<StepMade>) {
        for StepMade { id, step, recipients } in steps {
            if self.is_wanted(step.state) {
                self.tell(id, &step, recipients.as_ref().map(target).as_ref());
            }
        }
    }

    /// Holds back what is told of these messages, as long as the answer lives.
    pub(crate) fn hold(&self, ids: impl Iterator<Item = MessageId>) -> Option<Hold<'_>> {
        self.witness.as_ref()?;
        let ids: Vec<_> = ids.collect();
        let mut held = self.held.lock();
        ids.iter().for_each(|id| *held.ids.entry(*id).or_default() += 1);
        Some(Hold { telling: self, ids: Some(ids) })
    }

    /// Holds everything back, as long as the answer lives.
    pub(crate) fn hold_all(&self) -> Option<Hold<'_>> {
        self.witness.as_ref()?;
        self.held.lock().all += 1;
        Some(Hold { telling: self, ids: None })
    }

    fn let_go(&self, ids: Option<&[MessageId]>) {
        let held = &mut *self.held.lock();
        held.all -= usize::from(ids.is_none());
        for id in ids.unwrap_or_default() {
            if let Some(times) = held.ids.get_mut(id) {
                *times -= 1;
                if *times == 0 {
                    held.ids.remove(id);
                }
            }
        }
        if held.all > 0 || held.steps.is_empty() {
            return;
        }
        let ids = &held.ids;
        let (mut free, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut held.steps).into_iter().partition(|told| !ids.contains_key(&told.id));
        held.steps = rest;
        // Of one moment, what can only come first. The rest stays as it was told.
        free.sort_by_key(|told| (told.step.at, rank(told.step.state)));
        // Under the lock: nothing that is told from now on may overtake these.
        for Told { id, step, target } in free {
            if let Some(witness) = self.witness(step.state) {
                witness.tell(id, &step, target.as_ref());
            }
        }
    }
}

const fn rank(state: Stage) -> u8 {
    match state {
        Stage::Scheduled => 0,
        Stage::Accepted | Stage::Queued => 1,
        _ => 2,
    }
}

fn target(recipients: &Recipients) -> Target {
    match recipients {
        Recipients::Users(users) => match &**users {
            [user] => Target::User(user.clone()),
            users => Target::Users(users.to_vec()),
        },
        Recipients::Known | Recipients::Nobody => Target::All,
    }
}

/// As long as it lives, steps are held back.
pub(crate) struct Hold<'t> {
    telling: &'t Telling,
    /// None for all.
    ids: Option<Vec<MessageId>>,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.telling.let_go(self.ids.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use msgserver_message::{Timestamp, UserId};

    use super::*;

    #[derive(Default)]
    struct Notes(Mutex<Vec<(MessageId, Stage)>>);

    impl Witness for Notes {
        fn wants(&self, stage: Stage) -> bool {
            stage != Stage::Queued
        }

        fn tell(&self, id: MessageId, step: &Step, _: Option<&Target>) {
            self.0.lock().push((id, step.state));
        }
    }

    fn telling() -> (Arc<Notes>, Telling) {
        let notes = Arc::<Notes>::default();
        (Arc::clone(&notes), Telling::new(Some(notes)))
    }

    fn tell(telling: &Telling, id: MessageId, state: Stage, millis: u64) {
        telling.tell(id, &Step::new(state, Timestamp::from_millis(millis)), None);
    }

    #[test]
    fn what_is_sent_before_the_store_has_answered_is_told_after_it() {
        let (notes, telling) = telling();
        let [one, other] = [1, 2].map(|byte| MessageId::from_bytes([byte; 16]));
        let hold = telling.hold([one].into_iter());
        let again = telling.hold([one].into_iter());
        tell(&telling, one, Stage::Sent, 5);
        tell(&telling, one, Stage::Acknowledged, 5);
        tell(&telling, other, Stage::Sent, 6);
        tell(&telling, other, Stage::Queued, 6);
        tell(&telling, one, Stage::Accepted, 5);
        tell(&telling, one, Stage::Scheduled, 4);
        drop(hold);
        assert_eq!(*notes.0.lock(), [(other, Stage::Sent)]);
        drop(again);
        let stages: Vec<_> = notes.0.lock().drain(..).map(|(_, stage)| stage).collect();
        let expected = [Stage::Sent, Stage::Scheduled, Stage::Accepted, Stage::Sent, Stage::Acknowledged];
        assert_eq!(stages, expected);
        tell(&telling, one, Stage::Expired, 7);
        assert_eq!(*notes.0.lock(), [(one, Stage::Expired)]);
    }

    #[test]
    fn everything_can_be_held_back_beside_one_message() {
        let (notes, telling) = telling();
        let [one, other] = [1, 2].map(|byte| MessageId::from_bytes([byte; 16]));
        let (all, hold) = (telling.hold_all(), telling.hold([one].into_iter()));
        tell(&telling, one, Stage::Sent, 1);
        tell(&telling, other, Stage::Sent, 2);
        drop(all);
        assert_eq!(*notes.0.lock(), [(other, Stage::Sent)]);
        drop(hold);
        assert_eq!(*notes.0.lock(), [(other, Stage::Sent), (one, Stage::Sent)]);
        assert!(Telling::default().hold_all().is_none() && telling.held.lock().ids.is_empty());
    }

    #[test]
    fn a_store_that_hangs_does_not_cost_memory_without_end() {
        let (notes, telling) = telling();
        let id = MessageId::generate();
        let hold = telling.hold_all();
        (0..HELD as u64 + 10).for_each(|millis| tell(&telling, id, Stage::Sent, millis));
        assert_eq!(notes.0.lock().len(), 10);
        drop(hold);
        assert_eq!(notes.0.lock().len(), HELD + 10);
    }

    #[test]
    fn whom_a_message_is_for_is_told_in_the_publishers_words() {
        let user = |name| UserId::new(name).unwrap();
        let of = |users: Vec<UserId>| target(&Recipients::Users(users.into()));
        assert_eq!(of(vec![user("a")]), Target::User(user("a")));
        assert_eq!(of(vec![user("a"), user("b")]), Target::Users(vec![user("a"), user("b")]));
        assert_eq!(target(&Recipients::Known), Target::All);
    }
}
