//! A plain model of the inboxes, and random steps that are taken on it and on a store.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::*;

pub(crate) fn limits() -> Limits {
    let days = |days| DAY * days;
    Limits {
        messages: 5,
        bytes: 120,
        age: days(10),
        device_ttl: days(15),
        receipts: days(4),
        topics: 2,
        history: 2,
        history_age: days(3),
    }
}

const USERS: [&str; 3] = ["a", "b", "ab"];
const DEVICES: [&str; 2] = ["x", "y"];
const TOPICS: [&str; 3] = ["t", "t/a", "t/b"];
const FILTERS: [&str; 5] = ["t", "t/a", "t/b", "+", "t/+"];

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Append { to: To, text: u8, kind: Kind, id: Option<u8>, refuse: bool, delay: Option<u8> },
    Open(usize, usize),
    Leave(usize, usize, u64),
    Acknowledge(usize, usize, u64),
    Follow(usize, usize, usize),
    Unfollow(usize, usize, usize),
    Cancel(prop::sample::Index),
    Release(u8),
    Sweep(u8),
}

/// For whom a message is: these users, one bit each, or who follows a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    Users(u8),
    Topic(usize),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    priority: usize,
    key: Option<u8>,
    /// In hours; zero for a time that is over.
    ttl: Option<u8>,
}

pub(crate) fn actions() -> impl Strategy<Value = Vec<Action>> {
    let kind = (0..3_usize, prop::option::weighted(0.3, 0..2_u8), prop::option::weighted(0.2, 0..90_u8));
    let to = prop_oneof![3 => (1..8_u8).prop_map(To::Users), 1 => (0..TOPICS.len()).prop_map(To::Topic)];
    let append = (
        to,
        0..60_u8,
        kind.prop_map(|(priority, key, ttl)| Kind { priority, key, ttl }),
        prop::option::weighted(0.3, 0..6_u8),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.15, 0..50_u8),
    );
    let (user, device) = (0..USERS.len(), 0..DEVICES.len());
    let following = (user.clone(), device.clone(), 0..FILTERS.len());
    let action = prop_oneof![
        8 => append.prop_map(|(to, text, kind, id, refuse, delay)| {
            Action::Append { to, text, kind, id, refuse, delay }
        }),
        3 => (user.clone(), device.clone()).prop_map(|(user, device)| Action::Open(user, device)),
        3 => (user.clone(), device.clone(), 0..20_u64).prop_map(|(u, d, n)| Action::Leave(u, d, n)),
        3 => (user, device, 0..20_u64).prop_map(|(u, d, n)| Action::Acknowledge(u, d, n)),
        2 => following.clone().prop_map(|(u, d, f)| Action::Follow(u, d, f)),
        1 => following.prop_map(|(u, d, f)| Action::Unfollow(u, d, f)),
        1 => any::<prop::sample::Index>().prop_map(Action::Cancel),
        1 => (1..30_u8).prop_map(Action::Release),
        1 => (3..80_u8).prop_map(Action::Sweep),
    ];
    prop::collection::vec(action, 1..80)
}

/// What a store should hold.
#[derive(Debug)]
pub(crate) struct Model {
    start: Timestamp,
    /// Hours that have passed for releases and sweeps.
    hours: u64,
    users: [User; USERS.len()],
    topics: [TopicState; TOPICS.len()],
    messages: Vec<Known>,
    given: BTreeMap<u8, usize>,
}

#[derive(Debug, Default)]
struct User {
    last: u64,
    /// Number, message, and the hour in which it came.
    entries: Vec<(u64, usize, u64)>,
    devices: BTreeMap<&'static str, At>,
    keys: BTreeMap<u8, u64>,
}

#[derive(Debug, Default, Clone)]
struct At {
    acknowledged: u64,
    sent: u64,
    sessions: u32,
    follows: BTreeSet<&'static str>,
}

#[derive(Debug, Default)]
struct TopicState {
    last: u64,
    /// Number, message, and the hour in which it came.
    kept: Vec<(u64, usize, u64)>,
}

#[derive(Debug)]
struct Known {
    message: Message,
    kind: Kind,
    to: To,
    refuse: bool,
    /// The hour for which it is scheduled, until it is released.
    due: Option<u64>,
    /// From which hour on its age counts; nothing when it is forgotten.
    since: Option<u64>,
    steps: Vec<String>,
}

/// What a device follows.
fn filters(at: &At) -> Vec<TopicFilter> {
    at.follows.iter().map(|name| TopicFilter::new(name).unwrap()).collect()
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            start: Timestamp::now(),
            hours: 0,
            users: Default::default(),
            topics: Default::default(),
            messages: Vec::new(),
            given: BTreeMap::new(),
        }
    }

    /// Half an hour beside the full hours, so that no test stands on the edge of one.
    fn now(&self) -> Timestamp {
        self.at(self.hours).saturating_add(HOUR / 2)
    }

    fn at(&self, hours: u64) -> Timestamp {
        self.start.saturating_add(HOUR * u32::try_from(hours).unwrap())
    }

    /// The process that the devices were connected to is no more.
    #[cfg(feature = "disk")]
    pub(crate) fn crash(&mut self) {
        for user in &mut self.users {
            for at in user.devices.values_mut().filter(|at| at.sessions > 0) {
                (at.sent, at.sessions) = (user.last, 0);
            }
        }
    }

    fn bytes(&self, user: usize) -> usize {
        let contents = self.users[user].entries.iter();
        contents.map(|(_, of, _)| self.messages[*of].message.content.as_json().len()).sum()
    }

    fn note(&mut self, of: usize, user: Option<usize>, state: &str, reason: &str) {
        let user = user.map_or("", |user| USERS[user]);
        let step = format!("{state} {user} {reason}").split_whitespace().collect::<Vec<_>>().join(" ");
        if self.messages[of].since.is_some() {
            self.messages[of].steps.push(step);
        }
    }

    fn offered(&self, user: usize) -> u64 {
        let user = &self.users[user];
        if user.devices.values().any(|at| at.sessions > 0) {
            user.last
        } else {
            user.devices.values().map(|at| at.sent).max().unwrap_or(0)
        }
    }

    fn remove(&mut self, user: usize, seq: u64) -> usize {
        let at = self.users[user].entries.iter().position(|entry| entry.0 == seq).unwrap();
        self.users[user].keys.retain(|_, of| *of != seq);
        self.users[user].entries.remove(at).1
    }

    fn collapsing(&self, user: usize, kind: Kind) -> Option<u64> {
        let seq = *self.users[user].keys.get(&kind.key?)?;
        (seq > self.offered(user)).then_some(seq)
    }

    fn is_full(&self, user: usize, of: usize) -> bool {
        let count = self.users[user].entries.len();
        let bytes = self.bytes(user) + self.messages[of].message.content.as_json().len();
        count > 0 && (count as u64 >= limits().messages || bytes > limits().bytes)
    }

    fn place(&mut self, user: usize, of: usize, hour: u64) -> u64 {
        let kind = self.messages[of].kind;
        if let Some(seq) = self.collapsing(user, kind) {
            let gone = self.remove(user, seq);
            self.note(gone, Some(user), "cancelled", "collapsed");
        }
        while self.is_full(user, of) {
            let gone = self.remove(user, self.users[user].entries[0].0);
            self.note(gone, Some(user), "expired", "the inbox was full");
        }
        let offered = self.offered(user);
        let entries = &self.users[user].entries;
        let less = |(seq, of, _): &&(u64, usize, u64)| {
            *seq > offered && self.messages[*of].kind.priority < kind.priority
        };
        let stay = entries.len() - entries.iter().rev().take_while(less).count();
        let user = &mut self.users[user];
        user.last += 1;
        let mut numbers: Vec<u64> = user.entries.iter().map(|entry| entry.0).chain([user.last]).collect();
        user.entries.insert(stay, (0, of, hour));
        for (entry, number) in user.entries.iter_mut().zip(&numbers) {
            let key = self.messages[entry.1].kind.key;
            for (_, at) in user.keys.iter_mut().filter(|(of, at)| Some(**of) == key && **at == entry.0) {
                // Beyond all numbers, so that it is not taken for another's old number.
                *at = number + 1_000_000;
            }
            entry.0 = *number;
        }
        user.keys.values_mut().for_each(|at| *at %= 1_000_000);
        let number = numbers.swap_remove(stay);
        if let Some(key) = kind.key {
            user.keys.insert(key, number);
        }
        number
    }

    /// Whose inboxes a message goes into now, in the order in which a store names them.
    fn places(&self, of: usize) -> Vec<usize> {
        let is_for = |user: &usize| match self.messages[of].to {
            To::Users(users) => users & (1 << user) != 0,
            To::Topic(topic) => {
                let topic = Topic::new(TOPICS[topic]).unwrap();
                let follows = |at: &At| filters(at).iter().any(|filter| filter.fits(&topic));
                self.users[*user].devices.values().any(follows)
            }
        };
        let mut users: Vec<_> = (0..USERS.len()).filter(is_for).collect();
        if matches!(self.messages[of].to, To::Topic(_)) {
            users.sort_by_key(|user| USERS[*user]);
        }
        users
    }

    /// Puts a message into the log of its topic.
    fn publish(&mut self, of: usize, hour: u64) {
        if let To::Topic(topic) = self.messages[of].to {
            let TopicState { last, kept } = &mut self.topics[topic];
            *last += 1;
            kept.push((*last, of, hour));
            kept.retain(|(number, ..)| number + limits().history > *last);
        }
    }

    /// Whether a message may be gone from the log of its topic, depending on when a store looked.
    fn is_over(&self, of: usize, hour: u64) -> bool {
        let age = limits().history_age.as_secs() / HOUR.as_secs();
        self.messages[of].kind.ttl.is_some_and(|end| u64::from(end) <= self.hours) || hour + age <= self.hours
    }

    /// The number in each inbox, or whose inbox is full.
    fn place_all(&mut self, of: usize, hour: u64) -> Result<Vec<(usize, u64)>, usize> {
        let places = self.places(of);
        if self.messages[of].refuse {
            for user in &places {
                // Without what it would take the place of.
                let entries = self.users[*user].entries.clone();
                if let Some(seq) = self.collapsing(*user, self.messages[of].kind) {
                    self.users[*user].entries.retain(|entry| entry.0 != seq);
                }
                let full = self.is_full(*user, of);
                self.users[*user].entries = entries;
                if full {
                    return Err(*user);
                }
            }
        }
        self.publish(of, hour);
        Ok(places.into_iter().map(|user| (user, self.place(user, of, hour))).collect())
    }

    fn trim(&mut self, user: usize) {
        let Some(slowest) = self.users[user].devices.values().map(|at| at.acknowledged).min() else { return };
        while let Some((seq, ..)) =
            self.users[user].entries.first().copied().filter(|entry| entry.0 <= slowest)
        {
            self.remove(user, seq);
        }
    }

    /// Takes a step on both, and compares what they answer.
    pub(crate) async fn take(&mut self, store: &dyn Store, action: &Action) {
        match *action {
            Action::Append { to, text, kind, id, refuse, delay } => {
                self.append(store, (to, text, kind, id, refuse, delay)).await;
            }
            Action::Open(user, of) => {
                let at = self.users[user].devices.get(DEVICES[of]).cloned();
                let owner = &self.users[user];
                let oldest = owner.entries.first().map_or(owner.last, |entry| entry.0 - 1);
                let start = if owner.devices.is_empty() { oldest } else { owner.last };
                let known = at.is_some();
                let new = At { acknowledged: start, sent: start, ..At::default() };
                let mut now = at.unwrap_or(new);
                if now.sessions > 0 {
                    now.sent = owner.last;
                }
                now.sessions += 1;
                let last = owner.last;
                self.users[user].devices.insert(DEVICES[of], now.clone());
                let cursor = store.open(&crate::user(USERS[user]), &device(DEVICES[of])).await.unwrap();
                assert_eq!(
                    (cursor.acknowledged.get(), cursor.sent.get(), cursor.last.get(), cursor.known),
                    (now.acknowledged, now.sent, last, known)
                );
                assert_eq!(cursor.topics, filters(&now));
            }
            Action::Leave(user, of, sent) => {
                let last = self.users[user].last;
                if let Some(at) = self.users[user].devices.get_mut(DEVICES[of]) {
                    at.sessions = at.sessions.saturating_sub(1);
                    at.sent = at.sent.max(sent.min(last));
                }
                leave(store, USERS[user], DEVICES[of], sent).await;
            }
            Action::Acknowledge(user, of, upto) => {
                let last = self.users[user].last;
                if let Some(at) = self.users[user].devices.get_mut(DEVICES[of]) {
                    at.acknowledged = at.acknowledged.max(upto.min(last));
                    at.sent = at.sent.max(at.acknowledged);
                    self.trim(user);
                }
                acknowledge(store, USERS[user], DEVICES[of], upto).await;
            }
            Action::Follow(user, of, filter) => {
                let told = store
                    .follow(
                        &crate::user(USERS[user]),
                        &device(DEVICES[of]),
                        &TopicFilter::new(FILTERS[filter]).unwrap(),
                    )
                    .await;
                match self.users[user].devices.get_mut(DEVICES[of]) {
                    None => assert!(matches!(told, Err(StoreError::NoDevice { .. }))),
                    Some(at)
                        if at.follows.len() == limits().topics && !at.follows.contains(FILTERS[filter]) =>
                    {
                        assert!(matches!(told, Err(StoreError::TooManyTopics { .. })));
                    }
                    Some(at) => {
                        told.unwrap();
                        at.follows.insert(FILTERS[filter]);
                    }
                }
            }
            Action::Unfollow(user, of, filter) => {
                let filter_ = TopicFilter::new(FILTERS[filter]).unwrap();
                store.unfollow(&crate::user(USERS[user]), &device(DEVICES[of]), &filter_).await.unwrap();
                if let Some(at) = self.users[user].devices.get_mut(DEVICES[of]) {
                    at.follows.remove(FILTERS[filter]);
                }
            }
            Action::Cancel(of) => self.cancel(store, of).await,
            Action::Release(hours) => {
                self.hours += u64::from(hours);
                self.release(store).await;
            }
            Action::Sweep(hours) => {
                self.hours += u64::from(hours);
                self.sweep(store).await;
            }
        }
    }

    async fn append(&mut self, store: &dyn Store, append: (To, u8, Kind, Option<u8>, bool, Option<u8>)) {
        let (to, text, kind, id, refuse, delay) = append;
        let of = self.messages.len();
        let old = id.and_then(|id| self.given.get(&id)).copied();
        let end = kind.ttl.map(|hours| match hours {
            0 => Timestamp::from_millis(1),
            hours => self.at(hours.into()),
        });
        let message = Message {
            priority: Priority::ALL[kind.priority],
            collapse_key: kind.key.map(|key| CollapseKey::new(key.to_string()).unwrap()),
            expires_at: end,
            topic: match to {
                To::Users(_) => None,
                To::Topic(topic) => Some(Topic::new(TOPICS[topic]).unwrap()),
            },
            ..crate::message(&"x".repeat(text.into()))
        };
        let message = Message { id: old.map_or(message.id, |old| self.messages[old].message.id), ..message };
        // What is published comes now, whatever hour it is for releases and sweeps.
        let due = delay.filter(|hours| *hours > 0).map(u64::from);
        let known =
            Known { message, kind, to, refuse, due, since: Some(due.unwrap_or(0)), steps: Vec::new() };
        let users = match to {
            To::Users(users) => users,
            To::Topic(_) => 0,
        };
        let names: Vec<_> =
            (0..USERS.len()).filter(|user| users & (1 << user) != 0).map(|user| USERS[user]).collect();
        let recipients = match to {
            To::Users(_) => Recipients::Users(names.iter().map(|name| user(name)).collect()),
            To::Topic(_) => Recipients::Followers,
        };
        let append = Append {
            check_id: id.is_some(),
            deliver_at: delay.map(|hours| self.at(hours.into())),
            if_full: if refuse { IfFull::Refuse } else { IfFull::DropOldest },
            recipients,
            ..crate::to(&names, known.message.clone())
        };
        let told = try_append(store, append).await;

        if let Some(old) = old.filter(|old| self.messages[*old].since.is_some()) {
            let old = &self.messages[old];
            if old.message.content == known.message.content && old.to == known.to {
                assert_eq!(told.unwrap(), Appended::Duplicate);
            } else {
                assert!(matches!(told, Err(StoreError::Conflict(_))));
            }
            return;
        }
        self.messages.push(known);
        let scheduled = due.is_some();
        if scheduled {
            assert_eq!(told.unwrap(), Appended::Scheduled);
        } else {
            match self.place_all(of, 0) {
                Ok(numbers) => {
                    let places = numbers.into_iter().map(|(of, seq)| (user(USERS[of]), Seq::new(seq)));
                    assert_eq!(told.unwrap(), Appended::New(places.collect()));
                }
                Err(full) => {
                    let full = user(USERS[full]);
                    assert!(matches!(told, Err(StoreError::Full { user, .. }) if user == full));
                    self.messages.pop();
                    return;
                }
            }
        }
        self.note(of, None, if scheduled { "scheduled" } else { "accepted" }, "");
        if let Some(id) = id {
            // One that was forgotten is in inboxes still, under the same id.
            self.given.insert(id, of);
        }
    }

    async fn cancel(&mut self, store: &dyn Store, of: prop::sample::Index) {
        if self.messages.is_empty() {
            return;
        }
        let of = of.index(self.messages.len());
        let id = self.messages[of].message.id;
        // An id that was given twice is its last message's.
        if self.messages.iter().filter(|known| known.message.id == id).count() > 1 {
            return;
        }
        let topic = match self.messages[of].to {
            To::Users(_) => None,
            To::Topic(topic) => Some(topic),
        };
        let published = topic.and_then(|topic| {
            let kept = &self.topics[topic].kept;
            kept.iter().find(|entry| entry.1 == of).map(|(_, of, hour)| self.is_over(*of, *hour))
        });
        if published == Some(true) {
            return;
        }
        let told = store.cancel(id).await.unwrap();
        if self.messages[of].since.is_none() {
            assert_eq!(told, Cancelled::Unknown);
        } else if self.messages[of].due.take().is_some() {
            assert_eq!(told, Cancelled::TakenBack(1));
            self.note(of, None, "cancelled", "");
        } else {
            let mut taken = u64::from(published.is_some());
            if let Some(topic) = topic {
                self.topics[topic].kept.retain(|entry| entry.1 != of);
            }
            for user in 0..USERS.len() {
                let owner = &self.users[user];
                let Some(seq) = owner.entries.iter().find(|entry| entry.1 == of).map(|entry| entry.0) else {
                    continue;
                };
                let waits = |at: &At| at.sessions == 0 && at.sent < seq;
                if owner.devices.is_empty() || owner.devices.values().any(waits) {
                    self.remove(user, seq);
                    self.note(of, Some(user), "cancelled", "");
                    taken += 1;
                }
            }
            let right = if taken > 0 { Cancelled::TakenBack(taken) } else { Cancelled::TooLate };
            assert_eq!(told, right);
        }
    }

    async fn release(&mut self, store: &dyn Store) {
        let mut due: Vec<usize> = (0..self.messages.len())
            .filter(|of| self.messages[*of].due.is_some_and(|due| due <= self.hours))
            .collect();
        due.sort_by_key(|of| (self.messages[*of].due, *of));
        let told = store.release_due(self.now(), 1000).await.unwrap();
        assert_eq!(told.released.len(), due.len());
        let next = self.messages.iter().filter_map(|known| known.due).filter(|due| *due > self.hours).min();
        assert_eq!(told.next, next.map(|hours| self.at(hours)));
        for (of, told) in due.into_iter().zip(told.released) {
            self.messages[of].due = None;
            assert_eq!(*told.message, self.messages[of].message);
            let numbers = match self.place_all(of, self.hours) {
                Ok(numbers) => {
                    self.note(of, None, "accepted", "");
                    numbers
                }
                Err(full) => {
                    self.note(of, Some(full), "expired", "the inbox was full");
                    Vec::new()
                }
            };
            let places = numbers.into_iter().map(|(of, seq)| (user(USERS[of]), Seq::new(seq)));
            assert_eq!(told.seqs, places.collect::<Vec<_>>());
        }
    }

    async fn sweep(&mut self, store: &dyn Store) {
        let hours = |time: Duration| time.as_secs() / HOUR.as_secs();
        let (now, before) = (self.hours, self.messages.len());
        let swept = crate::sweep(store, self.now()).await;
        let (mut expired, mut devices, mut receipts) = (0, 0, 0);
        for user in 0..USERS.len() {
            for (seq, of, _) in self.users[user].entries.clone() {
                if self.messages[of].kind.ttl.is_some_and(|end| u64::from(end) <= now) {
                    self.remove(user, seq);
                    self.note(of, Some(user), "expired", "");
                    expired += 1;
                }
            }
        }
        for known in &mut self.messages {
            if known.since.is_some_and(|since| since + hours(limits().receipts) <= now) {
                (known.since, receipts) = (None, receipts + 1);
                known.steps.clear();
            }
        }
        for user in 0..USERS.len() {
            let age = hours(limits().age);
            while let Some((seq, of, _)) =
                self.users[user].entries.first().copied().filter(|entry| entry.2 + age <= now)
            {
                self.remove(user, seq);
                self.note(of, Some(user), "expired", "the inbox keeps nothing for longer");
                expired += 1;
            }
            // Devices are seen now, whatever hour it is for sweeps.
            if hours(limits().device_ttl) <= now {
                let known = self.users[user].devices.len();
                self.users[user].devices.retain(|_, at| at.sessions > 0);
                devices += known - self.users[user].devices.len();
                self.trim(user);
            }
        }
        assert_eq!(before, self.messages.len());
        let told = (swept.expired, swept.devices, swept.receipts);
        assert_eq!(told, (expired, devices as u64, receipts));
    }

    /// Compares all that they hold.
    pub(crate) async fn compare(&self, store: &dyn Store) {
        let mut stored = 0;
        for (n, owner) in self.users.iter().enumerate() {
            let name = user(USERS[n]);
            let read = store.read(&name, Seq::ZERO, 1000).await.unwrap();
            let read: Vec<_> = read.iter().map(|entry| (entry.seq.get(), &*entry.message)).collect();
            let kept = owner.entries.iter().map(|(seq, of, _)| (*seq, &self.messages[*of]));
            let kept =
                kept.filter(|(_, known)| known.kind.ttl != Some(0)).map(|(seq, known)| (seq, &known.message));
            assert_eq!(read, kept.collect::<Vec<_>>(), "inbox of {name}");
            let right = Inbox {
                waiting: owner.entries.len() as u64,
                bytes: self.bytes(n) as u64,
                last: Seq::new(owner.last),
            };
            assert_eq!(store.inbox(&name).await.unwrap(), right, "inbox of {name}");
            stored += right.waiting;
            let devices = store.devices(&name).await.unwrap();
            let devices: Vec<_> = devices
                .iter()
                .map(|at| (at.device.as_str(), at.acknowledged.get(), at.connected, at.topics.clone()))
                .collect();
            let right =
                owner.devices.iter().map(|(name, at)| (*name, at.acknowledged, at.sessions > 0, filters(at)));
            assert_eq!(devices, right.collect::<Vec<_>>(), "devices of {name}");
        }
        assert_eq!(store.stored().await.unwrap(), stored);
        for (n, topic) in self.topics.iter().enumerate() {
            let name = Topic::new(TOPICS[n]).unwrap();
            let ids: BTreeSet<_> =
                topic.kept.iter().map(|(_, of, _)| self.messages[*of].message.id).collect();
            // Of two under an id that was forgotten in between, nothing tells which one is gone.
            if ids.len() < topic.kept.len() {
                continue;
            }
            let told = store.published(&name, Seq::ZERO, 1000).await.unwrap();
            let over = |id: MessageId| {
                let mut of = topic.kept.iter().filter(|(_, of, _)| self.messages[*of].message.id == id);
                of.next().is_none_or(|(_, of, hour)| self.is_over(*of, *hour))
            };
            let told = told.into_iter().map(|entry| entry.message.id);
            let right = topic.kept.iter().map(|(_, of, _)| self.messages[*of].message.id);
            let right: Vec<_> = right.filter(|id| !over(*id)).collect();
            let gone =
                |id: &MessageId| topic.kept.iter().all(|(_, of, _)| self.messages[*of].message.id != *id);
            let told: Vec<_> = told.filter(|id| gone(id) || !over(*id)).collect();
            assert_eq!(told, right, "log of {name}");
        }
        for known in &self.messages {
            let id = known.message.id;
            if self.messages.iter().filter(|other| other.message.id == id).count() == 1 {
                let mut told = steps(store, id).await;
                let mut right = known.steps.clone();
                told.sort();
                right.sort();
                assert_eq!(told, right, "receipt of {id}");
            }
        }
    }
}

#[test]
fn a_store_in_memory_does_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    proptest!(|(actions in actions())| {
        runtime.block_on(async {
            let (store, mut model) = (MemoryStore::with_limits(limits()), Model::new());
            for action in &actions {
                model.take(&store, action).await;
                model.compare(&store).await;
            }
        });
    });
}
