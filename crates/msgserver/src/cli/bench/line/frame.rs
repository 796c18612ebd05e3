//! The `frame` protocol in JSON.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::json;

use super::super::stamp::Stamp;
use super::{Heard, Line};

/// The length in front of each frame.
const HEAD: usize = 4;

// Made once: to make one takes longer than to search a frame.
static SEQ: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"seq\":"));
static AGAIN: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"redelivered\":true"));

pub(super) struct Frame {
    greeting: Vec<u8>,
    session: Session,
}

impl Frame {
    pub(super) fn new(user: &str, token: Option<&str>) -> Self {
        Self { greeting: framed(&hello(user, token)), session: Session::default() }
    }
}

/// The first frame of a client, without what a door puts around it.
pub(in super::super) fn hello(user: &str, token: Option<&str>) -> String {
    let mut hello = json!({"type": "hello", "user": user});
    if let Some(token) = token {
        hello["token"] = token.into();
    }
    hello.to_string()
}

/// What is the same at each door where the objects of this protocol are spoken.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) is_welcome: bool,
    last: Option<u64>,
}

impl Session {
    /// Takes an object that the server has sent.
    pub(super) fn hear(&mut self, object: &[u8], heard: &mut Heard) -> Result<(), String> {
        let Some((stamp, place)) = Stamp::find(object) else { return self.hear_other(object) };
        self.last = number(&object[..place]).or(self.last);
        let is_again = AGAIN.find(object).is_some();
        heard.stamps.push((stamp, is_again));
        Ok(())
    }

    fn hear_other(&mut self, object: &[u8]) -> Result<(), String> {
        let object: serde_json::Value =
            serde_json::from_slice(object).map_err(|fault| format!("a frame that is not JSON: {fault}"))?;
        match object["type"].as_str() {
            Some("welcome") => self.is_welcome = true,
            Some("bye" | "error") => return Err(format!("the server says {object}")),
            _ => {}
        }
        Ok(())
    }

    /// One acknowledgement for all that came together, if there is something to acknowledge.
    pub(super) fn acknowledge(&mut self) -> Option<String> {
        self.last.take().map(|seq| format!("{{\"type\":\"ack\",\"seq\":{seq}}}"))
    }
}

/// A frame around JSON.
pub(in super::super) fn framed(json: &str) -> Vec<u8> {
    let length = u32::try_from(json.len()).expect("frames of the load are short").to_be_bytes();
    [&length, json.as_bytes()].concat()
}

/// The first frame of some bytes and what stands behind it; nothing if it is not whole.
pub(in super::super) fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*head)).ok()?)
}

impl Line for Frame {
    fn greet(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.greeting)
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<usize, String> {
        let mut rest = bytes;
        while let Some((frame, behind)) = split_frame(rest) {
            rest = behind;
            self.session.hear(frame, heard)?;
        }
        if let Some(ack) = self.session.acknowledge() {
            heard.say.extend_from_slice(&framed(&ack));
        }
        heard.online = self.session.is_welcome;
        Ok(bytes.len() - rest.len())
    }
}

/// The `seq` of a frame, from what stands before its content.
fn number(head: &[u8]) -> Option<u64> {
    let digits = &head[SEQ.find(head)? + 6..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: Option<u64>, number: u32, more: &str) -> Vec<u8> {
        let mut content = Vec::new();
        Stamp { number, moment: 3 }.write(30, &mut content);
        let seq = seq.map(|seq| format!("\"seq\":{seq},")).unwrap_or_default();
        let content = String::from_utf8(content).unwrap();
        framed(&format!("{{\"type\":\"message\",{seq}\"content\":{content}{more}}}"))
    }

    #[test]
    fn messages_that_came_together_are_acknowledged_together() {
        let (mut line, mut heard) = (Frame::new("ada", None), Heard::default());
        let welcome = framed("{\"type\":\"welcome\"}");
        let half = &message(Some(10), 2, "")[..20];
        let again = message(Some(9), 1, ",\"redelivered\":true");
        let bytes = [&welcome, &message(Some(8), 0, ""), &again, half].concat();
        assert_eq!(line.take(&bytes, &mut heard), Ok(bytes.len() - half.len()));
        assert!(heard.online);
        let came: Vec<_> = heard.stamps.iter().map(|(stamp, again)| (stamp.number, *again)).collect();
        assert_eq!(came, [(0, false), (1, true)]);
        assert_eq!(heard.say, framed("{\"type\":\"ack\",\"seq\":9}"));
    }

    #[test]
    fn notices_are_not_acknowledged_and_a_bye_ends_the_line() {
        let (mut line, mut heard) = (Frame::new("ada", None), Heard::default());
        line.take(&message(None, 0, ""), &mut heard).unwrap();
        assert_eq!((heard.stamps.len(), heard.say.len()), (1, 0));
        let bye = framed("{\"type\":\"bye\",\"code\":\"slow_consumer\"}");
        assert!(line.take(&bye, &mut heard).unwrap_err().contains("slow_consumer"));
    }
}
