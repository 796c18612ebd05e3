//! What makes two publications the same.

use msgserver_message::{Message, UserId};

/// 128 bits of what a message says and who it is for, in whatever order they are named.
///
/// FNV-1a, because it is the same in every version of every compiler. A publisher who builds two messages
/// with one fingerprint only loses its own second one.
pub(crate) fn fingerprint(message: &Message, users: &[UserId]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    let mut names: Vec<&str> = users.iter().map(UserId::as_str).collect();
    names.sort_unstable();
    names.dedup();
    // Names hold no control characters, so the line end cannot stand inside one.
    let parts = names.into_iter().flat_map(|name| [name, "\n"]).chain([message.content.as_json()]);
    parts.flat_map(str::bytes).fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use msgserver_message::Content;

    use super::*;

    #[test]
    fn the_order_of_users_does_not_matter_and_all_else_does() {
        let [a, b, ab] = ["a", "b", "ab"].map(|name| UserId::new(name).unwrap());
        let message = Message::new(Content::text("x"));
        let of = |users: &[UserId]| fingerprint(&message, users);
        assert_eq!(of(&[a.clone(), b.clone()]), of(&[b.clone(), a.clone()]));
        assert_ne!(of(&[a.clone(), b]), of(&[ab]));
        let other = Message { content: Content::text("y"), ..message.clone() };
        assert_ne!(of(std::slice::from_ref(&a)), fingerprint(&other, &[a]));
    }

    #[test]
    fn it_is_the_fnv_that_others_compute() {
        let message = Message::new(Content::from_json("1").unwrap());
        // FNV-1a of the one byte "1".
        assert_eq!(fingerprint(&message, &[]), 0xd228_cb69_3f1a_8caf_7891_2b70_4e4a_4e54);
    }
}
