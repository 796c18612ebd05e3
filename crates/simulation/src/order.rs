//! What a publisher asks for.

use std::fmt;
use std::time::Duration;

use msgserver_message::{CollapseKey, Content, Message, MessageId, Priority, Timestamp, Topic, UserId};
use msgserver_persistence::{Append, IfFull, Recipients};

use crate::chance::Chance;

/// The number of an order; it is what its message says.
pub(crate) type Number = usize;

/// What a publisher asks for.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) number: Number,
    /// Its id, if the publisher chooses one.
    pub(crate) id: Option<MessageId>,
    /// To whom; nobody by name if it is for a topic.
    pub(crate) users: Vec<UserId>,
    pub(crate) topic: Option<Topic>,
    pub(crate) priority: Priority,
    pub(crate) ttl: Option<Duration>,
    pub(crate) deliver_at: Option<Timestamp>,
    pub(crate) collapse_key: Option<CollapseKey>,
    pub(crate) if_full: IfFull,
}

/// What the orders of a run are like.
#[derive(Debug, Clone)]
pub(crate) struct Habits {
    pub(crate) priorities: bool,
    pub(crate) ttl: bool,
    pub(crate) schedules: bool,
    pub(crate) collapsing: bool,
    pub(crate) several_users: bool,
    pub(crate) refusing: bool,
    /// Topics that half of them are for, if there are any.
    pub(crate) topics: Vec<Topic>,
}

impl Habits {
    pub(crate) fn new(chance: &Chance) -> Self {
        Self {
            priorities: chance.one_in(2),
            ttl: chance.one_in(3),
            schedules: chance.one_in(2),
            collapsing: chance.one_in(3),
            several_users: chance.one_in(2),
            refusing: chance.one_in(3),
            topics: Vec::new(),
        }
    }
}

impl Order {
    pub(crate) fn new(
        number: Number,
        users: &[UserId],
        habits: &Habits,
        now: Timestamp,
        chance: &Chance,
    ) -> Self {
        let mut to = vec![chance.pick(users).clone()];
        if habits.several_users && chance.one_in(4) {
            to = users.iter().filter(|_| chance.one_in(2)).cloned().collect();
            if to.is_empty() {
                to.push(users[0].clone());
            }
        }
        let has_topic = !habits.topics.is_empty() && chance.one_in(2);
        let topic = has_topic.then(|| chance.pick(&habits.topics).clone());
        if has_topic {
            to.clear();
        }
        let is = |habit: bool, n| habit && chance.one_in(n);
        let id = (u128::from(now.as_millis()) << 80) | (1 << 72) | number as u128;
        Self {
            number,
            id: chance.one_in(2).then(|| MessageId::from_bytes(id.to_be_bytes())),
            users: to,
            topic,
            priority: if habits.priorities { *chance.pick(&Priority::ALL) } else { Priority::default() },
            ttl: is(habits.ttl, 3).then(|| match chance.below(3) {
                0 => Duration::from_secs(365 * 24 * 60 * 60),
                _ => Duration::from_millis(chance.between(100, 30_000)),
            }),
            deliver_at: is(habits.schedules, 6)
                .then(|| now.saturating_add(Duration::from_millis(chance.below(20_000)))),
            collapse_key: is(habits.collapsing, 4)
                .then(|| CollapseKey::new(format!("about {}", chance.below(2))).expect("a short text")),
            if_full: if is(habits.refusing, 2) { IfFull::Refuse } else { IfFull::DropOldest },
        }
    }

    /// Whether it may be for a user: for one who follows its topic, or by name.
    pub(crate) fn may_reach(&self, user: &UserId) -> bool {
        self.topic.is_some() || self.users.contains(user)
    }

    pub(crate) fn content(&self) -> Content {
        // Some are longer than a sector.
        let padding = if self.number.is_multiple_of(7) { 700 } else { self.number % 40 };
        Content::text(&format!("{} {}", self.number, "x".repeat(padding)))
    }

    /// The message, as a store is given it.
    pub(crate) fn append(&self, now: Timestamp) -> Append {
        let mut message = Message::new(self.content());
        message.id = self.id.unwrap_or(message.id);
        message.priority = self.priority;
        message.collapse_key = self.collapse_key.clone();
        let starts = self.deliver_at.unwrap_or(now).max(now);
        message.expires_at = self.ttl.map(|ttl| starts.saturating_add(ttl));
        Append {
            message: message.into(),
            recipients: Recipients::Users(self.users.clone().into()),
            check_id: self.id.is_some(),
            deliver_at: self.deliver_at,
            if_full: self.if_full,
            besides: [].into(),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Vec<&str> = self.users.iter().map(UserId::as_str).collect();
        write!(f, "{} to {}", self.number, users.join(" "))?;
        if let Some(topic) = &self.topic {
            write!(f, "topic {topic}")?;
        }
        if self.id.is_some() {
            f.write_str(" with id")?;
        }
        write!(f, " {}", self.priority.as_str())?;
        if let Some(ttl) = self.ttl {
            write!(f, " ttl {ttl:?}")?;
        }
        for (is, word) in
            [(self.deliver_at.is_some(), " later"), (self.collapse_key.is_some(), " collapsing")]
        {
            f.write_str(if is { word } else { "" })?;
        }
        Ok(())
    }
}

/// The number that a content says.
pub(crate) fn number(content: &Content) -> Number {
    let text = content.as_text().unwrap_or_default();
    let number = text.split(' ').next().and_then(|number| number.parse().ok());
    number.expect("a content that was published here")
}
