//! What was taken and is kept nowhere: notices, and messages to who has no inbox.

use std::collections::VecDeque;

use msgserver_message::{MessageId, Receipt, Stage, Step, Timestamp};
use parking_lot::Mutex;

/// How many are remembered. They are for whoever asks soon: this is memory, and ends with the process.
const REMEMBERED: usize = 10_000;

/// The last messages that no store knows of, so that their ids are known when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Passing(Mutex<VecDeque<(MessageId, Timestamp)>>);

impl Passing {
    pub(crate) fn note(&self, id: MessageId) {
        let mut last = self.0.lock();
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back((id, Timestamp::now()));
    }

    pub(crate) fn receipt(&self, id: MessageId) -> Option<Receipt> {
        let at = self.0.lock().iter().rev().find(|(known, _)| *known == id)?.1;
        Receipt::of(id, vec![Step::new(Stage::Queued, at)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known() {
        let passing = Passing::default();
        let ids: Vec<_> = (0..REMEMBERED + 1).map(|_| MessageId::generate()).collect();
        ids.iter().for_each(|id| passing.note(*id));
        assert_eq!(passing.receipt(ids[0]), None);
        for id in [ids[1], ids[REMEMBERED]] {
            let receipt = passing.receipt(id).unwrap();
            assert_eq!((receipt.id, receipt.state, receipt.steps.len()), (id, Stage::Queued, 1));
        }
    }
}
