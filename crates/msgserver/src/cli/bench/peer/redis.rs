//! Redis: SUBSCRIBE and PUBLISH.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::super::line::{Heard, Line};
use super::super::publisher::Answers;
use super::super::stamp::Stamp;
use super::Dialect;

/// What ends a line.
const END: &[u8] = b"\r\n";

pub(super) struct Redis;

impl Dialect for Redis {
    fn program(&self) -> &'static str {
        "redis-server"
    }

    fn arguments(&self, address: SocketAddr, directory: &Path) -> io::Result<Vec<String>> {
        let (port, directory) = (address.port().to_string(), directory.display().to_string());
        let arguments = [
            ["--bind", "127.0.0.1"],
            ["--port", &port],
            ["--dir", &directory],
            ["--save", ""],
            ["--appendonly", "no"],
            ["--maxclients", "1000000"],
            // It would drop a subscriber that is behind.
            ["--client-output-buffer-limit", "pubsub 0 0 0"],
        ];
        Ok(arguments.concat().into_iter().map(ToOwned::to_owned).collect())
    }

    fn line(&self, _: &str, channel: &str) -> Box<dyn Line> {
        let mut greeting = Vec::new();
        command(&[b"SUBSCRIBE", channel.as_bytes()], &mut greeting);
        Box::new(Subscriber { greeting, is_online: false })
    }

    fn greeting(&self) -> Vec<u8> {
        Vec::new()
    }

    fn write(&self, channel: &str, content: &[u8], out: &mut Vec<u8>) {
        command(&[b"PUBLISH", channel.as_bytes(), content], out);
    }

    fn answers(&self) -> bool {
        true
    }

    fn read(&self, bytes: &[u8], answers: &mut Answers) -> Result<usize, String> {
        let mut rest = bytes;
        while let Some((answer, behind)) = line(rest) {
            match answer.first() {
                Some(b':') => answers.accept(1),
                _ => answers.refuse(1, answer),
            }
            rest = behind;
        }
        Ok(bytes.len() - rest.len())
    }
}

fn command(words: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(END);
    }
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', bytes)?;
    Some((bytes[..end].trim_ascii_end(), &bytes[end + 1..]))
}

/// A number behind a sign, or a text whose length stands in front of it.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = line(bytes)?;
    let Some(length) = head.strip_prefix(b"$") else { return Some((head, rest)) };
    let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
    let text = rest.get(..length)?;
    Some((text, rest.get(length + END.len()..)?))
}

/// What kind of push the first one is, what it says, and what stands behind it.
fn push(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (_, rest) = line(bytes)?;
    let (kind, rest) = element(rest)?;
    let (_, rest) = element(rest)?;
    let (said, rest) = element(rest)?;
    Some((kind, said, rest))
}

struct Subscriber {
    greeting: Vec<u8>,
    is_online: bool,
}

impl Line for Subscriber {
    fn greet(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.greeting)
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<usize, String> {
        if bytes.starts_with(b"-") {
            return Err(String::from_utf8_lossy(bytes).trim().to_owned());
        }
        let mut rest = bytes;
        while let Some((kind, said, behind)) = push(rest) {
            match kind {
                b"subscribe" => self.is_online = true,
                _ => heard.stamps.extend(Stamp::find(said).map(|(stamp, _)| (stamp, false))),
            }
            rest = behind;
        }
        heard.online = self.is_online;
        Ok(bytes.len() - rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{content, heard, written};
    use super::*;

    #[test]
    fn messages_are_heard_and_publications_counted() {
        let mut bytes = b"*3\r\n$9\r\nsubscribe\r\n$3\r\nall\r\n:1\r\n".to_vec();
        for number in 0..2 {
            command(&[b"message", b"all", &content(number, 40)], &mut bytes);
        }
        assert_eq!(heard(&Redis, &bytes), (vec![0, 1], b"*2\r\n$9\r\nSUBSCRIBE\r\n$3\r\nall\r\n".to_vec()));
        assert_eq!(written(&Redis, b"hello"), b"*3\r\n$7\r\nPUBLISH\r\n$3\r\nall\r\n$5\r\nhello\r\n");
        let mut answers = Answers::default();
        assert_eq!(Redis.read(b":3\r\n-ERR no\r\n:1", &mut answers), Ok(13));
        assert_eq!(answers.counts(), (1, 1));
    }
}
