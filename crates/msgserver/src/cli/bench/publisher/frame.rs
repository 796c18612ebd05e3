//! Publishing through a session of the `frame` protocol.

use serde_json::json;

use super::Message;
use super::http::write_message;
use super::way::Answers;
use crate::cli::bench::line::split_frame;

pub(super) fn hello(user: &str, token: Option<&str>) -> String {
    let mut hello = json!({"type": "hello", "user": user});
    if let Some(token) = token {
        hello["token"] = token.into();
    }
    hello.to_string()
}

/// A `publish` frame a message. Answers come in order, so they need no name.
pub(super) fn write<'a>(messages: impl Iterator<Item = Message<'a>>, out: &mut Vec<u8>) {
    for message in messages {
        let start = out.len();
        out.extend_from_slice(b"\0\0\0\0{\"type\":\"publish\",\"ref\":0,\"message\":");
        write_message(&message, out);
        out.push(b'}');
        let length = u32::try_from(out.len() - start - 4).expect("contents are short").to_be_bytes();
        out[start..start + 4].copy_from_slice(&length);
    }
}

/// Takes the answers that are whole; gives how many bytes those are. Notices that come to this session too are
/// dropped.
pub(super) fn read(bytes: &[u8], answers: &mut Answers) -> Result<usize, String> {
    let mut rest = bytes;
    while let Some((frame, behind)) = split_frame(rest) {
        rest = behind;
        if frame.starts_with(b"{\"type\":\"published\"") {
            answers.accepted += 1;
        } else if frame.starts_with(b"{\"type\":\"error\"") {
            answers.refuse(1, frame);
        } else if frame.starts_with(b"{\"type\":\"bye\"") {
            return Err(format!("the server says {}", String::from_utf8_lossy(frame)));
        }
    }
    Ok(bytes.len() - rest.len())
}
