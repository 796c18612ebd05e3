//! What is kept of the subscriptions of an MQTT session while its client is away.
//!
//! A device follows topics, and that is kept; an MQTT session also has an inbox or none, notices or none, and a QoS
//! for each. That is kept as topics that nobody publishes to, beside those that are followed.

use msgserver_message::{Timestamp, TopicFilter};
use msgserver_pool::{Choice, Guarantee};

const SESSION: &str = "$mqtt/session";
const NOTICES: &str = "$mqtt/all";
const INBOX: [(Guarantee, &str); 2] =
    [(Guarantee::AtMostOnce, "$mqtt/inbox/0"), (Guarantee::AtLeastOnce, "$mqtt/inbox/1")];
const AT_MOST_ONCE: &str = "$mqtt/0/";
const UNTIL: &str = "$mqtt/until/";
const ANY: &str = "$mqtt/";

fn record(name: &str) -> TopicFilter {
    TopicFilter::new(name).expect("a name that can be one")
}

/// Says that there is a session that outlasts its connection.
pub(super) fn of_session() -> TopicFilter {
    record(SESSION)
}

/// Says that messages to the user are wanted, and how sure.
pub(super) fn of_inbox(guarantee: Guarantee) -> TopicFilter {
    record(INBOX.into_iter().find(|(which, _)| *which == guarantee).expect("there are two").1)
}

/// Says that notices are wanted.
pub(super) fn of_notices() -> TopicFilter {
    record(NOTICES)
}

/// Says that messages of topics are wanted at QoS 0. None has room for the longest names: those come at QoS 1 after a
/// while away.
pub(super) fn of_topics_at_most_once(topics: &TopicFilter) -> Option<TopicFilter> {
    TopicFilter::new(format!("{AT_MOST_ONCE}{topics}")).ok()
}

/// Says when a session is over whose client is away.
pub(crate) fn of_end(end: Timestamp) -> TopicFilter {
    record(&format!("{UNTIL}{}", end.as_millis()))
}

/// Whether it says when a session is over.
pub(super) fn is_end(topics: &TopicFilter) -> bool {
    topics.as_str().starts_with(UNTIL)
}

/// Whether it is no topic but a record.
pub(super) fn is_one(topics: &TopicFilter) -> bool {
    topics.as_str().starts_with(ANY)
}

/// What was kept: whether there is a session that is not over `now`, and what it has chosen.
pub(super) fn read(kept: &[TopicFilter], now: Timestamp) -> (bool, Choice) {
    let has = |name: &str| kept.iter().any(|record| record.as_str() == name);
    let at_most_once = kept.iter().filter_map(|record| record.as_str().strip_prefix(AT_MOST_ONCE));
    let choice = Choice {
        notices: has(NOTICES),
        inbox: INBOX.into_iter().filter(|(_, name)| has(name)).map(|(guarantee, _)| guarantee).max(),
        at_most_once: at_most_once.filter_map(|name| TopicFilter::new(name).ok()).collect(),
    };
    let ends = kept.iter().filter_map(|record| record.as_str().strip_prefix(UNTIL)?.parse::<u64>().ok());
    (has(SESSION) && ends.max().is_none_or(|end| now.as_millis() < end), choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let topic = record("a/+");
        let at = Timestamp::from_millis;
        assert_eq!(read(std::slice::from_ref(&topic), at(5)), (false, Choice::default()));
        let kept = [
            topic.clone(),
            of_session(),
            of_notices(),
            of_inbox(Guarantee::AtMostOnce),
            of_topics_at_most_once(&topic).unwrap(),
        ];
        let (goes_on, choice) = read(&kept, at(5));
        assert!(goes_on && choice.notices && choice.inbox == Some(Guarantee::AtMostOnce));
        assert_eq!(choice.at_most_once, [topic]);
        let ends = [of_session(), of_end(at(4)), of_end(at(6))];
        assert!(read(&ends, at(5)).0 && !read(&ends, at(6)).0, "the last end counts");
        assert!(!is_one(&kept[0]) && kept[1..].iter().all(is_one));
    }
}
