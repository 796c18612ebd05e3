//! The door for Server-Sent Events.

use memchr::memmem;

use super::frame::Session;
use super::{Heard, Line};

pub(super) struct EventStream {
    greeting: String,
    is_open: bool,
    session: Session,
}

impl EventStream {
    pub(super) fn new(user: &str, token: Option<&str>) -> Self {
        // The load's names need no percent-encoding, and a secret that does stands in a header.
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let greeting = format!("GET /v1/sse?user={user} HTTP/1.1\r\nHost: bench\r\n{token}\r\n");
        Self { greeting, is_open: false, session: Session::default() }
    }
}

impl Line for EventStream {
    fn greet(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.greeting).into_bytes()
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<usize, String> {
        let mut taken = 0;
        if !self.is_open {
            let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(0) };
            if !bytes.starts_with(b"HTTP/1.1 200 ") {
                return Err(format!("no event stream: {}", String::from_utf8_lossy(bytes).trim()));
            }
            self.is_open = true;
            taken = end + 4;
        }
        while let Some(end) = memchr::memchr(b'\n', &bytes[taken..]) {
            if let Some(object) = bytes[taken..taken + end].strip_prefix(b"data:") {
                self.session.hear(object.trim_ascii_start(), heard)?;
            }
            taken += end + 1;
        }
        heard.online = self.is_open;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::stamp::Stamp;
    use super::*;

    #[test]
    fn the_data_of_events_is_heard_however_it_is_cut() {
        let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nretry: 1000\n\n".to_vec();
        for number in 0..2 {
            bytes.extend(b"id: 3\ndata: {\"type\":\"message\",\"content\":");
            Stamp { number, moment: 1 }.write(40, &mut bytes);
            bytes.extend(b"}\n\n: still there\n\n");
        }
        for piece in 1..bytes.len() {
            let (mut line, mut heard, mut tail) =
                (EventStream::new("ada", None), Heard::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                tail.extend_from_slice(piece);
                let taken = line.take(&tail, &mut heard).unwrap();
                tail.drain(..taken);
            }
            let numbers: Vec<u32> = heard.stamps.iter().map(|(stamp, _)| stamp.number).collect();
            assert_eq!((numbers, heard.online), (vec![0, 1], true));
        }
        let refusal = EventStream::new("ada", None).take(b"HTTP/1.1 401 No\r\n\r\n", &mut Heard::default());
        assert!(refusal.unwrap_err().contains("401"));
    }
}
