//! Server-Sent Events.

use crate::frame::ServerFrame;
use crate::{Acknowledgement, Delivery, EncodeError, FrameFormat, Protocol, Serializer};

/// A comment: clients drop it, and a proxy that waits for something sees that the stream lives.
const COMMENT: &[u8] = b":\n\n";

/// Server-Sent Events, as the [HTML standard](https://html.spec.whatwg.org/multipage/server-sent-events.html) has
/// them: the body of an HTTP answer that does not end.
///
/// A message is an event without a name, its `data` the object of the `frame` protocol in JSON and its `id` the
/// message's number. The rest of the conversation are events named by the object's type. Clients say nothing here.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventStream;

/// Appends the object on one line: in JSON the end of a line stands only between values, where a space means the
/// same.
pub(crate) fn one_line(frame: &ServerFrame, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    FrameFormat::Json.write(frame, out)?;
    for byte in out[start..].iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    Ok(())
}

pub(crate) fn json_alone(serializer: &dyn Serializer) -> Option<&'static str> {
    (serializer.frame_format() != Some(FrameFormat::Json)).then_some("it is a text; use json")
}

impl Protocol for EventStream {
    fn name(&self) -> &str {
        "sse"
    }

    fn objection(&self, serializer: &dyn Serializer) -> Option<&'static str> {
        json_alone(serializer)
    }

    fn payload(
        &self,
        delivery: &Delivery<'_>,
        _: &dyn Serializer,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if let Some(seq) = delivery.seq {
            out.extend_from_slice(format!("id: {seq}\n").as_bytes());
        }
        out.extend_from_slice(b"data: ");
        one_line(&ServerFrame::from(delivery), out)
    }

    fn frame(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\n\n");
    }

    fn keepalive(&self) -> Option<&'static [u8]> {
        Some(COMMENT)
    }

    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement::ByRequest
    }

    fn say(&self, frame: &ServerFrame, _: &dyn Serializer, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let name = match frame {
            ServerFrame::Welcome { .. } => "welcome",
            ServerFrame::Bye { retry_after_ms, .. } => {
                if let Some(wait) = retry_after_ms {
                    out.extend_from_slice(format!("retry: {wait}\n").as_bytes());
                }
                "bye"
            }
            // An event named `error` would be taken for the connection's own.
            ServerFrame::Error { .. } => "refused",
            // Answers to what cannot be said here.
            _ => return Ok(()),
        };
        out.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
        one_line(frame, out)?;
        out.extend_from_slice(b"\n\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ByeCode, Encoder, Json, MessagePack};
    use msgserver_message::{Content, Message, Seq, Timestamp};

    #[test]
    fn a_message_is_one_event_whatever_white_space_its_content_has() {
        let mut message = Message::new(Content::from_json("{\"a\":\r\n [1,\n\n2]}").unwrap());
        message.sent_at = Timestamp::from_millis(0);
        let encoder = Encoder::new(EventStream, Json).unwrap();
        let bytes = encoder.encode(&Delivery::kept(&message, Seq::new(7))).unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        let json = text.strip_prefix("id: 7\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        assert!(!json.contains(['\n', '\r']), "{json}");
        let object: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(object["content"], serde_json::json!({"a": [1, 2]}));
        let notice = encoder.encode(&Delivery::notice(&message)).unwrap();
        assert!(notice.starts_with(b"data: "), "what is not kept moves no resume point");
    }

    #[test]
    fn a_goodbye_says_when_to_come_back() {
        let encoder = Encoder::new(EventStream, Json).unwrap();
        let bye = ServerFrame::Bye {
            code: ByeCode::ShuttingDown,
            detail: "the server stops".to_owned(),
            retry_after_ms: Some(70),
        };
        let said = encoder.farewell(&bye, None).unwrap();
        assert!(said.starts_with(b"retry: 70\nevent: bye\ndata: {"), "{said:?}");
        assert!(Encoder::new(EventStream, MessagePack).is_err());
    }
}
