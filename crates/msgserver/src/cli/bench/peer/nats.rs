//! NATS: SUB and PUB.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use memchr::memmem;

use super::super::line::{Heard, Line};
use super::super::publisher::Answers;
use super::super::stamp::Stamp;
use super::Dialect;

const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";

/// What ends a line.
const END: &[u8] = b"\r\n";

pub(super) struct Nats;

impl Dialect for Nats {
    fn program(&self) -> &'static str {
        "nats-server"
    }

    fn arguments(&self, address: SocketAddr, directory: &Path) -> io::Result<Vec<String>> {
        let file = directory.join("nats.conf");
        std::fs::write(
            &file,
            format!("listen: \"{address}\"\nmax_connections: 1000000\nping_interval: \"1h\"\n"),
        )?;
        Ok(vec!["-c".to_owned(), file.display().to_string()])
    }

    fn line(&self, _: &str, channel: &str) -> Box<dyn Line> {
        let greeting = format!("{CONNECT}SUB {channel} 1\r\nPING\r\n").into_bytes();
        Box::new(Subscriber { greeting, is_online: false })
    }

    fn greeting(&self) -> Vec<u8> {
        CONNECT.as_bytes().to_vec()
    }

    fn write(&self, channel: &str, content: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(format!("PUB {channel} {}\r\n", content.len()).as_bytes());
        out.extend_from_slice(content);
        out.extend_from_slice(END);
    }

    fn answers(&self) -> bool {
        false
    }

    fn read(&self, bytes: &[u8], _: &mut Answers) -> Result<usize, String> {
        // It says who it is, and asks once whether the publisher is there; it takes silence for a while.
        match memmem::find(bytes, b"-ERR") {
            Some(place) => Err(String::from_utf8_lossy(&bytes[place..]).trim().to_owned()),
            None => Ok(bytes.len()),
        }
    }
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
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, behind) = (rest[..end].trim_ascii_end(), &rest[end + 1..]);
            rest = behind;
            if line.starts_with(b"MSG ") {
                let length = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
                let length = std::str::from_utf8(length).ok().and_then(|length| length.parse::<usize>().ok());
                let length =
                    length.ok_or_else(|| format!("no length in {}", String::from_utf8_lossy(line)))?;
                let Some(after) = behind.get(length + END.len()..) else {
                    // The line is read again with its content.
                    return Ok(self.took(bytes.len() - behind.len() - end - 1, heard));
                };
                heard.stamps.extend(Stamp::find(&behind[..length]).map(|(stamp, _)| (stamp, false)));
                rest = after;
            } else if line == b"PING" {
                heard.say.extend_from_slice(b"PONG\r\n");
            } else if line == b"PONG" {
                self.is_online = true;
            } else if line.starts_with(b"-ERR") {
                return Err(String::from_utf8_lossy(line).into_owned());
            }
        }
        Ok(self.took(bytes.len() - rest.len(), heard))
    }
}

impl Subscriber {
    fn took(&self, bytes: usize, heard: &mut Heard) -> usize {
        heard.online = self.is_online;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{content, heard, written};
    use super::*;

    #[test]
    fn messages_are_heard_and_pings_answered() {
        let mut bytes = b"INFO {\"version\":\"2\"}\r\nPONG\r\nPING\r\n".to_vec();
        for number in 0..2 {
            bytes.extend_from_slice(b"MSG all 1 40\r\n");
            bytes.extend_from_slice(&content(number, 40));
            bytes.extend_from_slice(END);
        }
        let said = format!("{CONNECT}SUB all 1\r\nPING\r\nPONG\r\n").into_bytes();
        assert_eq!(heard(&Nats, &bytes), (vec![0, 1], said));
        assert_eq!(written(&Nats, b"hello"), b"PUB all 5\r\nhello\r\n");
        assert!(Nats.read(b"INFO {}\r\n-ERR 'no'\r\n", &mut Answers::default()).is_err());
    }
}
