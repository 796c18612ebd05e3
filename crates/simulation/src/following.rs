//! What a device follows, as far as its client can know.

use std::collections::{BTreeMap, BTreeSet};

use msgserver_message::{Topic, TopicFilter};

/// What a device follows, as far as its client can know.
#[derive(Debug, Default)]
pub(crate) struct Following {
    /// What it certainly follows, and since when, in steps of the auditor.
    since: BTreeMap<TopicFilter, u64>,
    /// What it may follow.
    perhaps: BTreeSet<TopicFilter>,
    /// How often something was asked of which it is not known whether it was done, or may be done still.
    open: BTreeMap<TopicFilter, u32>,
}

impl Following {
    /// Its client asks to follow topics, or to follow them no more.
    pub(crate) fn ask(&mut self, topics: &TopicFilter, follow: bool) {
        if follow {
            self.perhaps.insert(topics.clone());
        } else {
            self.since.remove(topics);
        }
        *self.open.entry(topics.clone()).or_default() += 1;
    }

    /// It was done, or may not have been.
    pub(crate) fn answer(&mut self, topics: &TopicFilter, follow: bool, is_done: bool, step: u64) {
        let open = self.open.entry(topics.clone()).or_default();
        *open = open.saturating_sub(1);
        // An earlier question may come to the server after this one.
        if !is_done || *open > 0 {
            return;
        }
        if follow {
            self.since.entry(topics.clone()).or_insert(step);
        } else {
            self.perhaps.remove(topics);
        }
    }

    /// The server has died: what it has not done by now it will never do.
    pub(crate) fn forget_what_is_asked(&mut self) {
        self.open.clear();
    }

    /// Whether it has to get what was published to a topic at a step.
    pub(crate) fn is_due(&self, topic: &Topic, published: u64) -> bool {
        self.since.iter().any(|(topics, since)| topics.fits(topic) && *since < published)
    }

    /// Whether it may get what is published to a topic.
    pub(crate) fn may_get(&self, topic: &Topic) -> bool {
        self.perhaps.iter().any(|topics| topics.fits(topic))
    }
}
