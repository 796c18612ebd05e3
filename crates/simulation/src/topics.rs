//! Topics: what clients follow, what they get, and what the logs hold.

use std::collections::BTreeSet;

use msgserver_message::{DeviceId, Topic, TopicFilter, UserId};
use msgserver_persistence::Store;

use crate::auditor::Auditor;
use crate::books::Books;
use crate::chance::Chance;
use crate::fate::Fate;
use crate::order::Number;
use crate::promise::Promise;
use crate::timed::Timed;
use crate::world::World;

/// The topics of a run.
pub(crate) fn topics() -> Vec<Topic> {
    ["t/a", "t/b", "u"].map(|name| Topic::new(name).expect("a short name")).to_vec()
}

/// Gives a run topics, whose logs are short.
pub(crate) fn begin(world: &mut World) {
    world.publishers.habits.topics = topics();
    world.limits.history = world.chance.between(1, 12);
    world.auditor.books.lock().history = world.limits.history;
}

/// What a client asks for about topics.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) topics: TopicFilter,
    pub(crate) follow: bool,
    /// How many of the last messages of each topic it wants to have first.
    pub(crate) history: u32,
    /// The step at which it asks.
    asked: u64,
}

impl Wish {
    fn new(chance: &Chance, asked: u64) -> Self {
        let name = *chance.pick(&["t/a", "t/b", "u", "t/+"]);
        let topics = TopicFilter::new(name).expect("a short name");
        let follow = !chance.one_in(3);
        let history = if follow && chance.one_in(2) { chance.between(1, 9) as u32 } else { 0 };
        Self { topics, follow, history, asked }
    }
}

impl Auditor {
    /// A client asks to follow topics, or to follow them no more.
    pub(crate) fn wish(&self, user: &UserId, device: &DeviceId, chance: &Chance) -> Wish {
        let books = &mut *self.books.lock();
        books.step += 1;
        let wish = Wish::new(chance, books.step);
        let what = if wish.follow { "follow" } else { "leave" };
        self.trace.note(format_args!("{what} {user}/{device} {} {}", wish.topics, wish.history));
        books.log(user, device).following.ask(&wish.topics, wish.follow);
        wish
    }

    /// What it asked for was done or not, and these were the last messages.
    pub(crate) fn fulfil(
        &self,
        user: &UserId,
        device: &DeviceId,
        wish: &Wish,
        is_done: bool,
        last: &[Number],
    ) {
        let topics = &wish.topics;
        self.trace.note(format_args!("done {is_done} {user}/{device} {topics} {last:?}"));
        let latest = self.clock.latest();
        let books = &mut *self.books.lock();
        books.step += 1;
        let step = books.step;
        books.log(user, device).following.answer(topics, wish.follow, is_done, step);
        let limit = (wish.history as usize).min(books.history as usize);
        for number in last {
            let fate = &books.fates[*number];
            let fits = fate.order.topic.as_ref().is_some_and(|topic| topics.fits(topic));
            let (is_strange, is_refused) = (!fits, fate.refused && !fate.taken);
            if is_strange {
                books.fail(Promise::NotFollowedStaysAway, format!("message {number} is not of {topics}"));
            }
            if is_refused {
                books.fail(Promise::RefusedIsRefused, format!("message {number} is in a log"));
            }
        }
        for topic in self::topics().iter().filter(|topic| topics.fits(topic)) {
            let fault = books.fault_of_history(topic, last, limit, |fate| {
                is_done
                    && fate.is_before(wish.asked)
                    && !fate.may_have_expired(latest)
                    && !fate.may_be_taken_back()
            });
            if let Some(fault) = fault {
                books.fail(Promise::HistoryIsTheLast, format!("{user}/{device} at {topic}: {fault}"));
            }
        }
    }

    /// A client that follows all there is to follow no more changes.
    pub(crate) async fn check_retention(&self, store: &Timed) {
        for topic in topics() {
            let Ok(log) = store.topic(&topic).await else { continue };
            let limit = self.books.lock().history;
            if log.kept > limit {
                self.fail(Promise::RetentionHolds, format!("{topic} has {} of {limit} messages", log.kept));
            }
        }
    }
}

impl Books {
    /// What is wrong with what was said to be the last of a topic; `is_due` says what has certainly to be there unless
    /// as many have come behind it.
    fn fault_of_history(
        &self,
        topic: &Topic,
        last: &[Number],
        limit: usize,
        is_due: impl Fn(&Fate) -> bool,
    ) -> Option<String> {
        let of_topic = |number: &&Number| self.fates[**number].order.topic.as_ref() == Some(topic);
        let numbers: Vec<Number> = last.iter().filter(of_topic).copied().collect();
        if numbers.len() > limit {
            return Some(format!("{} came, where {limit} were wanted", numbers.len()));
        }
        if numbers.iter().collect::<BTreeSet<_>>().len() < numbers.len() {
            return Some(format!("one came twice: {numbers:?}"));
        }
        let early = |pair: &&[Number]| self.fates[pair[1]].is_before(self.fates[pair[0]].submitted);
        if let Some(pair) = numbers.windows(2).find(early) {
            return Some(format!("{} came before {}, which is older", pair[0], pair[1]));
        }
        let all = || self.fates.iter().filter(|fate| fate.order.topic.as_ref() == Some(topic));
        let missing = all().filter(|fate| fate.taken && is_due(fate)).find(|fate| {
            let is_behind = |other: &&Fate| !other.is_before(fate.submitted);
            let behind = numbers.iter().map(|number| &self.fates[*number]).filter(is_behind).count();
            // What is taken back or over has its place in the log all the same.
            let placed_behind = all().filter(is_behind).filter(|other| other.taken || !other.refused).count();
            let has_left = placed_behind > self.history as usize;
            !numbers.contains(&fate.order.number) && behind < limit && !has_left
        })?;
        Some(format!("message {} is missing among the last {numbers:?}", missing.order.number))
    }
}
