//! Which keys belong together.
//!
//! Redis Cluster puts keys with the same text in braces on one node. All keys of a user have theirs, and
//! what is not a user's lies in a few shards, so that a script finds all of its keys in one place.
//!
//! A mark is an id and a nonce, as one id may come again after it was forgotten; times are in milliseconds.
//!
//! | `msgserver:{u:USER}:` | what it is |
//! |---|---|
//! | `inbox` | a hash: the `last` number, the `bytes` of all contents, the `version` of the inbox, when it `ends`, and until when the index knows (`indexed`) |
//! | `log` | a sorted set: number of each priority (0 to 2) and mark |
//! | `messages`, `heads` | hashes: each mark's message; and when it came (8 bytes), when its time is over (8), how long its content is (4), its collapse key (2 for its length) |
//! | `over` | a sorted set: when the time of a mark is over, if ever |
//! | `collapse` | a hash: the newest mark of each collapse key |
//! | `acknowledged`, `sent`, `seen` | sorted sets: each device's numbers, and when it was last seen |
//! | `connected`, `servers` | a set of server and device; a hash of how many devices are connected to each server |
//! | `placed` | a sorted set: until when it is known that a mark was here |
//! | `topics` | a sorted set: what each device follows, as filter, NUL and device |
//!
//! | `msgserver:{t:TOPIC}:` | what it is |
//! |---|---|
//! | `about` | a hash: the `last` number, and until when the index knows (`indexed`) |
//! | `log`, `messages` | a sorted set: number of each mark; a hash: when a mark came (8 bytes), when its time is over (8), its message |
//! | `placed` | as of a user |
//! | `followers` | a sorted set: users who may follow what this is the name or the filter of, and since when (in microseconds) |
//!
//! | `msgserver:{SHARD}:` | what it is |
//! |---|---|
//! | `index`, `due`, `stored` | a hash: messages and version of each user; a sorted set: when there is something to clear up; the sum of the messages |
//! | `message:ID`, `steps:ID` | a hash: what was accepted; a list: its steps |
//! | `aging` | a sorted set: from when on the age of an id counts |
//! | `topics`, `wildcards` | sorted sets: topics with a log; filters that may fit several topics, in shard 0; and when each was last heard of |
//! | `schedule`, `releasing`, `scheduled` | sorted sets: when each nonce and id is due, and when it is again if whoever releases it dies; a hash of what to release |
//!
//! `msgserver:server:NAME` is the lease of a server.

use msgserver_message::{MessageId, Topic, TopicFilter, UserId};

/// Into how many parts is split what is not a user's.
pub(super) const SHARDS: usize = 16;

/// The keys of a user, in the order in which the scripts name them. Not the name alone in braces: a closing
/// brace at its beginning would make them empty, and then they do not count.
pub(super) fn of_user(user: &UserId) -> [String; 13] {
    [
        "inbox",
        "log",
        "messages",
        "over",
        "collapse",
        "acknowledged",
        "sent",
        "seen",
        "connected",
        "servers",
        "placed",
        "heads",
        "topics",
    ]
    .map(|key| format!("msgserver:{{u:{user}}}:{key}"))
}

/// The keys of the log of a topic.
pub(super) fn of_topic(topic: &Topic) -> [String; 4] {
    ["about", "log", "messages", "placed"].map(|key| format!("msgserver:{{t:{topic}}}:{key}"))
}

/// Who may follow what fits. Of one topic it lies with its log.
pub(super) fn followers(topics: &TopicFilter) -> String {
    format!("msgserver:{{t:{topics}}}:followers")
}

/// The filters that may fit several topics.
pub(super) fn wildcards() -> String {
    of_shard(0, "wildcards")
}

pub(super) fn shard_of_topic(topic: &Topic) -> usize {
    shard(topic.as_str().as_bytes())
}

pub(super) fn of_shard(shard: usize, key: &str) -> String {
    format!("msgserver:{{{shard}}}:{key}")
}

/// The row of a message, and its list of steps.
pub(super) fn of_message(id: MessageId) -> [String; 2] {
    ["message", "steps"].map(|key| of_shard(shard_of_message(id), &format!("{key}:{id}")))
}

pub(super) fn shard_of_user(user: &UserId) -> usize {
    shard(user.as_str().as_bytes())
}

pub(super) fn shard_of_message(id: MessageId) -> usize {
    shard(&id.to_bytes())
}

/// FNV-1a: every server has to find the same one.
fn shard(name: &[u8]) -> usize {
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Each few bits of this hash depend on some of the bytes only.
    let folded = [32, 16, 8].into_iter().fold(hash, |hash, bits| hash ^ (hash >> bits));
    (folded % SHARDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Redis Cluster looks at to find the node of a key.
    fn tag(key: &str) -> &str {
        let (_, rest) = key.split_once('{').unwrap();
        let (tag, _) = rest.split_once('}').unwrap();
        assert!(!tag.is_empty(), "{key}");
        tag
    }

    #[test]
    fn the_keys_of_a_user_and_of_a_message_lie_together() {
        for user in ["a", "{", "}", "}{", "a}b", "{}"] {
            let keys = of_user(&UserId::new(user).unwrap());
            assert!(keys.iter().all(|key| tag(key) == tag(&keys[0])), "{keys:?}");
        }
        for topic in ["a", "{", "}", "a/b}"] {
            let topic = Topic::new(topic).unwrap();
            let keys = of_topic(&topic);
            assert!(keys.iter().all(|key| tag(key) == tag(&keys[0])), "{keys:?}");
            assert_eq!(tag(&followers(&topic.into())), tag(&keys[0]));
        }
        let [row, steps] = of_message(MessageId::generate());
        assert_eq!(tag(&row), tag(&steps));
    }

    #[test]
    fn names_that_differ_at_the_end_spread_over_the_shards() {
        let mut found = [[0; SHARDS]; 2];
        for n in 0_u128..1600 {
            found[0][shard_of_message(MessageId::from_bytes(n.to_be_bytes()))] += 1;
            found[1][shard_of_user(&UserId::new(format!("user {n}")).unwrap())] += 1;
        }
        assert!(found.as_flattened().iter().all(|of_100| (50..200).contains(of_100)), "{found:?}");
    }
}
