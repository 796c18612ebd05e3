//! A message as bytes.

use std::io::Write;

use msgserver_message::Message;

/// The first byte of what is kept, so that a later form can be told from this one.
const VERSION: u8 = 1;

#[cfg(any(test, fuzzing, feature = "redis"))]
pub(crate) fn encode(message: &Message) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut bytes = Vec::with_capacity(about(message));
    encode_into(&mut bytes, message)?;
    Ok(bytes)
}

/// How many bytes are mostly enough for a message.
pub(crate) fn about(message: &Message) -> usize {
    message.bytes() + 192
}

pub(crate) fn encode_into(
    into: &mut (impl Write + Extend<u8>),
    message: &Message,
) -> Result<(), rmp_serde::encode::Error> {
    into.extend([VERSION]);
    rmp_serde::encode::write_named(into, message)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Message, String> {
    match bytes.split_first() {
        Some((&VERSION, message)) => rmp_serde::from_slice(message).map_err(|e| e.to_string()),
        Some((version, _)) => Err(format!("a message of version {version}, where {VERSION} is known")),
        None => Err("an empty message".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use msgserver_message::{Content, Timestamp, Topic};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_message_survives_its_bytes(text in ".*", number in any::<i64>(), topic in "[a-z]{0,3}", end in any::<u32>()) {
            let json = format!(r#"{{"t":{},"n":[{number},1.50]}}"#, Content::text(&text));
            let message = Message {
                topic: Topic::new(topic).ok(),
                expires_at: (end % 2 == 0).then(|| Timestamp::from_millis(end.into())),
                ..Message::new(Content::from_json(&json).unwrap())
            };
            prop_assert_eq!(decode(&encode(&message).unwrap()).unwrap(), message);
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(decode(&[]).is_err());
        assert!(decode(&[2, 0x80]).unwrap_err().contains("version 2"));
        assert!(decode(&[VERSION, 0x80]).is_err());
    }
}
