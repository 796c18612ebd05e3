//! The first msgserver's protocol.

use crate::{Delivery, EncodeError, Protocol, Serializer};

/// What is written to a silent connection from time to time; clients drop it between frames.
pub const KEEPALIVE: &[u8] = &[0];

const END: u8 = b'|';

/// The `default` protocol: the serialized content, then `|`. Clients say nothing after they are online.
///
/// In JSON a `|` can stand only inside a string, where `\u007c` means the same; it is written so, and a
/// frame's end stays unambiguous.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bar;

impl Protocol for Bar {
    fn name(&self) -> &str {
        "default"
    }

    fn objection(&self, serializer: &dyn Serializer) -> Option<&'static str> {
        (!serializer.is_json()).then_some(
            "its output can hold the byte `|`, which ends a frame; \
             use json, the frame protocol, or encryption, whose output is base64",
        )
    }

    fn payload(
        &self,
        delivery: &Delivery<'_>,
        serializer: &dyn Serializer,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        serializer.serialize(&delivery.message.content, out)?;
        if serializer.is_json() && out[start..].contains(&END) {
            let json = out.split_off(start);
            for (i, part) in json.split(|&byte| byte == END).enumerate() {
                if i > 0 {
                    out.extend_from_slice(b"\\u007c");
                }
                out.extend_from_slice(part);
            }
        }
        Ok(())
    }

    fn frame(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(payload);
        out.push(END);
    }

    fn keepalive(&self) -> Option<&'static [u8]> {
        Some(KEEPALIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoder, Json};
    use msgserver_message::{Content, Message};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_with_bars_is_one_frame_that_decodes_to_itself(text in "[|\\\\\"a-c\u{7c}é]{0,40}") {
            let message = Message::new(Content::text(&text));
            let bytes = Encoder::new(Bar, Json).unwrap().encode(&Delivery::notice(&message)).unwrap();
            let (end, json) = bytes.split_last().unwrap();
            prop_assert_eq!(*end, b'|');
            prop_assert!(!json.contains(&b'|'));
            prop_assert_eq!(serde_json::from_slice::<String>(json).unwrap(), text);
        }
    }
}
