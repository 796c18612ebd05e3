//! A connection to the MQTT door.

use std::collections::VecDeque;
use std::io::{Read, Write};

use super::received::{take_string, take_u16};
use super::{Connack, Connect, Properties, Published, Version, packet, puback, publish, subscribe};
use crate::support::{Server, Stream};

/// One connection.
pub struct Mqtt {
    socket: Stream,
    pub version: Version,
    /// What came while something else was waited for.
    early: VecDeque<Published>,
}

impl Mqtt {
    /// A connection on which nothing was said yet.
    pub fn open(server: &Server, version: Version) -> Self {
        Self { socket: server.dial("mqtt"), version, early: VecDeque::new() }
    }

    /// Says CONNECT, and gives what it is answered.
    pub fn try_connect(server: &Server, connect: &Connect) -> (Self, Connack) {
        let mut mqtt = Self::open(server, connect.version);
        mqtt.say(&connect.bytes());
        let connack = mqtt.connack();
        (mqtt, connack)
    }

    pub fn connect(server: &Server, connect: &Connect) -> Self {
        let (mqtt, connack) = Self::try_connect(server, connect);
        assert_eq!(connack.code, 0, "{connack:?}");
        mqtt
    }

    pub fn say(&mut self, bytes: &[u8]) {
        // The server may have gone meanwhile, which is seen when it is listened to.
        let _ = self.socket.write_all(bytes);
    }

    /// The next packet: its first byte and its body; nothing at the end.
    pub fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut byte = [0];
        self.socket.read_exact(&mut byte).ok()?;
        let first = byte[0];
        let (mut length, mut shift) = (0, 0);
        loop {
            self.socket.read_exact(&mut byte).ok()?;
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.socket.read_exact(&mut body).ok()?;
        Some((first, body))
    }

    /// The body of the next packet, which begins so.
    pub fn expect(&mut self, first: u8) -> Vec<u8> {
        loop {
            match self.hear() {
                Some((came, body)) if came == first => return body,
                Some((came, body)) if came >> 4 == 3 => {
                    let published = self.published(came, &body);
                    self.early.push_back(published);
                }
                other => panic!("{first:#04x} was to come, and not {other:02x?}"),
            }
        }
    }

    pub fn connack(&mut self) -> Connack {
        let body = self.expect(0x20);
        let mut rest = &body[2..];
        let properties = Properties::take(self.version, &mut rest);
        assert!(rest.is_empty(), "{body:02x?}");
        Connack { flags: body[0], code: body[1], properties }
    }

    fn published(&self, first: u8, mut body: &[u8]) -> Published {
        let body = &mut body;
        let topic = String::from_utf8(take_string(body)).unwrap();
        let qos = first >> 1 & 3;
        let id = if qos == 0 { 0 } else { take_u16(body) };
        let properties = Properties::take(self.version, body);
        let payload = String::from_utf8(body.to_vec()).unwrap();
        let (again, retain) = (first & 8 != 0, first & 1 != 0);
        Published { topic, payload, qos, again, retain, id, properties }
    }

    /// The next PUBLISH; at the end the reason of DISCONNECT, if there was one.
    pub fn next(&mut self) -> Result<Published, Option<u8>> {
        if let Some(early) = self.early.pop_front() {
            return Ok(early);
        }
        match self.hear() {
            Some((first, body)) if first >> 4 == 3 => Ok(self.published(first, &body)),
            Some((0xe0, body)) => Err(Some(body.first().copied().unwrap_or(0))),
            None => Err(None),
            other => panic!("PUBLISH was to come, and not {other:02x?}"),
        }
    }

    pub fn message(&mut self) -> Published {
        self.next().unwrap_or_else(|end| panic!("PUBLISH was to come, and not the end: {end:02x?}"))
    }

    /// The payload of the next PUBLISH, which is acknowledged if it has to be.
    pub fn take(&mut self) -> String {
        let message = self.message();
        if message.qos > 0 {
            self.say(&puback(message.id));
        }
        message.payload
    }

    /// Subscribes; gives what became of each filter.
    pub fn subscribe(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        self.say(&subscribe(self.version, 9, filters));
        let body = self.expect(0x90);
        assert_eq!(body[..2], [0, 9]);
        let mut rest = &body[2..];
        Properties::take(self.version, &mut rest);
        rest.to_vec()
    }

    /// Publishes at QoS 1; gives the reason with which that is acknowledged.
    pub fn publish(&mut self, topic: &str, payload: &str) -> u8 {
        self.say(&publish(self.version, 7, topic, payload));
        self.puback()
    }

    /// The reason of the PUBACK that comes.
    pub fn puback(&mut self) -> u8 {
        let body = self.expect(0x40);
        assert_eq!(body[..2], [0, 7]);
        body.get(2).copied().unwrap_or(0)
    }

    /// Nothing but messages was sent so far: the answer to PINGREQ is the next packet.
    pub fn ping(&mut self) {
        self.say(&packet(0xc0, &[]));
        assert_eq!(self.expect(0xd0), b"");
    }

    /// No message was sent so far.
    pub fn assert_no_message(&mut self) {
        self.ping();
        assert_eq!(self.early, []);
    }

    /// What the server says until it closes: the reason of its DISCONNECT, if it sends one.
    pub fn end(&mut self) -> Option<u8> {
        let end = self.next().expect_err("it was to end");
        assert_eq!(self.hear(), None, "nothing follows a DISCONNECT");
        end
    }

    /// DISCONNECT, and all that comes until the server has closed.
    pub fn leave(mut self) {
        self.say(&packet(0xe0, &[]));
        while self.hear().is_some() {}
    }
}
