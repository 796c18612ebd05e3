//! What a client has agreed on with its door, where its protocol lets it say so.

use msgserver_message::{Message, TopicFilter};

/// What a client has agreed on with its door when it came.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// How many seconds it may be silent, 0 for as long as it likes. Nothing for two heartbeats.
    pub silence: Option<u32>,
    /// The longest packet that it takes, in bytes. What is longer is not sent, and counts as delivered.
    pub longest: Option<u32>,
    /// What it has chosen to get. Nothing for all that there is.
    pub choice: Option<Choice>,
}

/// What a client has chosen to get, besides the topics that it follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Notices to all.
    pub notices: bool,
    /// Messages to its user, and how sure.
    pub inbox: Option<Guarantee>,
    /// The topics of which it wants messages without acknowledging them.
    pub at_most_once: Vec<TopicFilter>,
}

/// How sure a client wants to be of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// It does not acknowledge: what its TCP has acknowledged has come.
    AtMostOnce,
    /// It acknowledges.
    AtLeastOnce,
}

impl Choice {
    /// How sure a message is to be; nothing if it is not wanted. What is of a topic is followed under `following`, the
    /// surest of which counts.
    pub(crate) fn guarantee(&self, message: &Message, following: &[TopicFilter]) -> Option<Guarantee> {
        let chosen = match &message.topic {
            None => self.inbox,
            Some(topic) => {
                let fitting = following.iter().filter(|filter| filter.fits(topic));
                fitting.map(|filter| self.of_topics(filter)).max()
            }
        };
        // No surer than it was published.
        let is_once = message.properties.as_ref().is_some_and(|properties| properties.at_most_once);
        if is_once { chosen.and(Some(Guarantee::AtMostOnce)) } else { chosen }
    }

    /// How sure messages are that are followed under a filter.
    #[must_use]
    pub fn of_topics(&self, filter: &TopicFilter) -> Guarantee {
        if self.at_most_once.contains(filter) { Guarantee::AtMostOnce } else { Guarantee::AtLeastOnce }
    }

    /// Notes how sure messages are to be that are followed under a filter.
    pub fn choose_topics(&mut self, filter: &TopicFilter, guarantee: Guarantee) {
        self.at_most_once.retain(|other| other != filter);
        if guarantee == Guarantee::AtMostOnce {
            self.at_most_once.push(filter.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use msgserver_message::{Content, Properties, Topic};

    use super::*;

    #[test]
    fn the_surest_of_the_filters_that_fit_counts() {
        let filter = |name| TopicFilter::new(name).unwrap();
        let mut choice = Choice::default();
        choice.choose_topics(&filter("a/+"), Guarantee::AtMostOnce);
        let following = [filter("a/+"), filter("a/b")];
        let mut message = Message::new(Content::text("x"));
        assert_eq!(choice.guarantee(&message, &following), None, "messages to the user are not chosen");
        for (topic, guarantee) in
            [("a/b", Some(Guarantee::AtLeastOnce)), ("a/c", Some(Guarantee::AtMostOnce)), ("b", None)]
        {
            message.topic = Some(Topic::new(topic).unwrap());
            assert_eq!(choice.guarantee(&message, &following), guarantee, "{topic}");
        }
        message.topic = Some(Topic::new("a/b").unwrap());
        message.properties = Some(Box::new(Properties { at_most_once: true, ..Properties::default() }));
        assert_eq!(choice.guarantee(&message, &following), Some(Guarantee::AtMostOnce));
        choice.choose_topics(&filter("a/+"), Guarantee::AtLeastOnce);
        assert!(choice.at_most_once.is_empty());
    }
}
