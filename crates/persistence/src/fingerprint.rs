//! What makes two publications the same.

use msgserver_message::UserId;

use crate::{Append, Recipients};

/// 128 bits of what a message says and who it is for, in whatever order they are named. A message of a topic
/// is for its followers, whoever they are when it is published again.
///
/// FNV-1a, because it is the same in every version of every compiler. A publisher who builds two messages
/// with one fingerprint only loses its own second one.
pub(crate) fn fingerprint(append: &Append) -> u128 {
    let Append { message, recipients, besides, .. } = append;
    let users = match (recipients, &message.topic) {
        (Recipients::Users(users), None) => &users[..],
        _ => &[],
    };
    let mut names: Vec<&str> = users.iter().chain(&besides[..]).map(UserId::as_str).collect();
    names.sort_unstable();
    names.dedup();
    // Names hold no control characters, so neither a line end nor these marks can stand inside one.
    let mark = if *recipients == Recipients::Known { "\u{1}" } else { "" };
    let topic = message.topic.as_ref().map_or(["", ""], |topic| ["\u{2}", topic.as_str()]);
    let parts = names.into_iter().flat_map(|name| [name, "\n"]);
    let parts = parts.chain([mark]).chain(topic).chain([message.content.as_json()]);
    fnv(parts.flat_map(str::bytes))
}

/// FNV-1a of bytes.
pub(crate) fn fnv(bytes: impl Iterator<Item = u8>) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    bytes.fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use msgserver_message::{Content, Message, Topic};

    use super::*;

    fn users(names: &[&str]) -> Arc<[UserId]> {
        names.iter().map(|name| UserId::new(name).unwrap()).collect()
    }

    fn to(names: &[&str], message: &Message) -> Append {
        Append::new(Arc::new(message.clone()), users(names))
    }

    #[test]
    fn the_order_of_users_does_not_matter_and_all_else_does() {
        let message = Message::new(Content::text("x"));
        let of = |names: &[&str]| fingerprint(&to(names, &message));
        assert_eq!(of(&["a", "b"]), of(&["b", "a"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
        let other = Message { content: Content::text("y"), ..message.clone() };
        assert_ne!(of(&["a"]), fingerprint(&to(&["a"], &other)));
        let to_all = |recipients| fingerprint(&Append { recipients, ..to(&[], &message) });
        assert_ne!(of(&[]), to_all(Recipients::Known));
        assert_eq!(of(&[]), to_all(Recipients::Nobody));
        // For whom it is not kept is for whom it is all the same.
        let besides = |names: &[&str]| Append {
            recipients: Recipients::Nobody,
            besides: users(names),
            ..to(&[], &message)
        };
        assert_eq!(fingerprint(&besides(&["b", "a"])), of(&["a", "b"]));
        assert_ne!(fingerprint(&besides(&["a"])), fingerprint(&besides(&["b"])));
    }

    #[test]
    fn a_topic_stands_for_its_followers() {
        let about = |topic| Message { topic: Topic::new(topic).ok(), ..Message::new(Content::text("x")) };
        let of = |topic, names: &[&str]| fingerprint(&to(names, &about(topic)));
        assert_eq!(of("t", &["a"]), of("t", &["b"]));
        assert_ne!(of("t", &["a"]), of("u", &["a"]));
    }

    #[test]
    fn it_is_the_fnv_that_others_compute() {
        let message = Message::new(Content::from_json("1").unwrap());
        // FNV-1a of the one byte "1".
        assert_eq!(fingerprint(&to(&[], &message)), 0xd228_cb69_3f1a_8caf_7891_2b70_4e4a_4e54);
    }
}
