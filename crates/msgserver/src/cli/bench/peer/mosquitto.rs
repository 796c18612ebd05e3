//! Mosquitto: MQTT 3.1.1, with QoS 0 and a clean session.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::super::line::mqtt::{packet, split, text};
use super::super::line::{Heard, Line};
use super::super::publisher::Answers;
use super::super::stamp::Stamp;
use super::Dialect;

/// The first bytes of packets.
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;

/// The protocol and its level, a clean session, and no keep-alive.
const HEAD: &[u8] = b"\x00\x04MQTT\x04\x02\x00\x00";

/// The number of the only subscription, and in its answer that it failed.
const NUMBER: &[u8] = b"\x00\x01";
const FAILED: u8 = 0x80;

pub(super) struct Mosquitto;

impl Dialect for Mosquitto {
    fn program(&self) -> &'static str {
        "mosquitto"
    }

    fn arguments(&self, address: SocketAddr, directory: &Path) -> io::Result<Vec<String>> {
        let file = directory.join("mosquitto.conf");
        let listener = format!("listener {} {}", address.port(), address.ip());
        // No limit to what waits for a client, as nothing is to be lost.
        std::fs::write(
            &file,
            listener + "\nallow_anonymous true\nmax_queued_messages 0\npersistence false\n",
        )?;
        Ok(vec!["-c".to_owned(), file.display().to_string()])
    }

    fn line(&self, client: &str, channel: &str) -> Box<dyn Line> {
        let mut greeting = Vec::new();
        packet(CONNECT, &[HEAD, &text(client)], &mut greeting);
        packet(SUBSCRIBE, &[NUMBER, &text(channel), &[0]], &mut greeting);
        Box::new(Subscriber { greeting, is_online: false })
    }

    fn greeting(&self) -> Vec<u8> {
        let mut greeting = Vec::new();
        packet(CONNECT, &[HEAD, &text("publisher")], &mut greeting);
        greeting
    }

    fn write(&self, channel: &str, content: &[u8], out: &mut Vec<u8>) {
        packet(PUBLISH, &[&text(channel), content], out);
    }

    fn answers(&self) -> bool {
        false
    }

    fn read(&self, bytes: &[u8], _: &mut Answers) -> Result<usize, String> {
        // Nothing but that it is connected.
        Ok(bytes.len())
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
        while let Some((first, body, behind)) = split(rest) {
            rest = behind;
            match first {
                CONNACK if body.last() != Some(&0) => return Err(format!("it refuses with {body:?}")),
                SUBACK if body.last() == Some(&FAILED) => return Err("it refuses the topic".to_owned()),
                SUBACK => self.is_online = true,
                PUBLISH => heard.stamps.extend(Stamp::find(body).map(|(stamp, _)| (stamp, false))),
                _ => {}
            }
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
    fn messages_of_every_length_are_heard() {
        let mut bytes = b"\x20\x02\x00\x00\x90\x03\x00\x01\x00".to_vec();
        for (number, size) in [(0, 40), (1, 300), (2, 20_000)] {
            bytes.extend(written(&Mosquitto, &content(number, size)));
        }
        let said = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x03ada\x82\x08\x00\x01\x00\x03all\x00".to_vec();
        assert_eq!(heard(&Mosquitto, &bytes), (vec![0, 1, 2], said));
        let refusal = Mosquitto.line("ada", "all").take(b"\x20\x02\x00\x05", &mut Heard::default());
        assert!(refusal.is_err());
    }
}
