//! MQTT written out by hand: also what no client library would say.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;

use super::Server;

/// What a server needs to be told to have the door.
pub const MQTT: [&str; 2] = ["--mqtt", "127.0.0.1:0"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V311 = 4,
    V5 = 5,
}

pub const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

use Version::{V5, V311};

impl Version {
    /// One value for clients of 3.1.1, another for those of 5.
    pub fn either<T>(self, of_311: T, of_5: T) -> T {
        match self {
            V311 => of_311,
            V5 => of_5,
        }
    }
}

/// A packet of this first byte, with its length in as few bytes as it takes.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let (mut out, mut length) = (vec![first], body.len());
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        out.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

/// A text or binary data with its length before it.
pub fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// Properties with their length before them; nothing in 3.1.1.
fn properties(version: Version, properties: &[u8]) -> Vec<u8> {
    version.either(Vec::new(), [&[u8::try_from(properties.len()).unwrap()], properties].concat())
}

/// What stands in CONNECT.
#[derive(Debug, Clone)]
pub struct Connect {
    pub version: Version,
    pub client: String,
    pub clean: bool,
    pub keep_alive: u16,
    pub properties: Vec<u8>,
    pub will: Option<Will>,
    pub user: Option<String>,
    pub password: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Will {
    pub topic: &'static str,
    pub payload: &'static str,
    pub qos: u8,
    pub retain: bool,
    pub properties: Vec<u8>,
}

impl Will {
    pub fn new(topic: &'static str, payload: &'static str) -> Self {
        Self { topic, payload, qos: 1, retain: false, properties: Vec::new() }
    }
}

impl Connect {
    /// A device whose session is forgotten when it goes.
    pub fn new(version: Version, user: &str, device: &str) -> Self {
        Self {
            version,
            client: device.to_owned(),
            clean: true,
            keep_alive: 60,
            properties: Vec::new(),
            will: None,
            user: Some(user.to_owned()),
            password: None,
        }
    }

    /// A device whose session goes on, and is kept when it goes.
    pub fn lasting(version: Version, user: &str, device: &str) -> Self {
        let properties = version.either(Vec::new(), b"\x11\0\0\x0e\x10".to_vec());
        Self { clean: false, properties, ..Self::new(version, user, device) }
    }

    pub fn with_will(self, will: Will) -> Self {
        Self { will: Some(will), ..self }
    }

    pub fn with_password(self, password: &str) -> Self {
        Self { password: Some(password.to_owned()), ..self }
    }

    /// Adds properties, which only 5 has.
    pub fn with(mut self, properties: &[u8]) -> Self {
        self.properties.extend(properties);
        self
    }

    pub fn flags(&self) -> u8 {
        let will = self.will.as_ref().map_or(0, |will| 0x04 | will.qos << 3 | u8::from(will.retain) << 5);
        let (user, password) = (self.user.is_some(), self.password.is_some());
        u8::from(self.clean) << 1 | will | u8::from(password) << 6 | u8::from(user) << 7
    }

    /// All that stands behind the flags.
    pub fn behind_flags(&self) -> Vec<u8> {
        let mut body = self.keep_alive.to_be_bytes().to_vec();
        body.extend(properties(self.version, &self.properties));
        body.extend(string(&self.client));
        if let Some(will) = &self.will {
            body.extend(properties(self.version, &will.properties));
            body.extend([string(will.topic), string(will.payload)].concat());
        }
        body.extend(self.user.iter().chain(&self.password).flat_map(string));
        body
    }

    pub fn bytes(&self) -> Vec<u8> {
        let head = [&string("MQTT")[..], &[self.version as u8, self.flags()]].concat();
        packet(0x10, &[head, self.behind_flags()].concat())
    }
}

/// SUBSCRIBE to filters with their options.
pub fn subscribe(version: Version, id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = [&id.to_be_bytes()[..], &properties(version, &[])].concat();
    for (filter, options) in filters {
        body.extend(string(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

pub fn unsubscribe(version: Version, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = [&id.to_be_bytes()[..], &properties(version, &[])].concat();
    body.extend(filters.iter().flat_map(string));
    packet(0xa2, &body)
}

/// PUBLISH with these flags, which say whether it has a packet id.
pub fn publish_with(
    version: Version,
    flags: u8,
    id: u16,
    topic: &str,
    given: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let id = if flags & 0x06 == 0 { Vec::new() } else { id.to_be_bytes().to_vec() };
    packet(0x30 | flags, &[string(topic), id, properties(version, given), payload.to_vec()].concat())
}

pub fn publish(version: Version, id: u16, topic: &str, payload: &str) -> Vec<u8> {
    publish_with(version, 0x02, id, topic, &[], payload.as_bytes())
}

pub fn puback(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}

/// The properties of a packet that came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(Vec<(u8, Vec<u8>)>);

impl Properties {
    /// Takes them from the start of a body.
    fn take(version: Version, body: &mut &[u8]) -> Self {
        let mut all = Vec::new();
        if version == V5 && !body.is_empty() {
            let (mut length, mut shift) = (0, 0);
            loop {
                let byte = split(body, 1)[0];
                length |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let mut part = split(body, length);
            while !part.is_empty() {
                let id = split(&mut part, 1)[0];
                let value = match id {
                    0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => split(&mut part, 1).to_vec(),
                    0x13 | 0x21..=0x23 => split(&mut part, 2).to_vec(),
                    0x02 | 0x11 | 0x18 | 0x27 => split(&mut part, 4).to_vec(),
                    0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => take_string(&mut part),
                    0x26 => [take_string(&mut part), take_string(&mut part)].join(&b'='),
                    _ => panic!("a property {id:#04x}"),
                };
                all.push((id, value));
            }
        }
        Self(all)
    }

    pub fn get(&self, id: u8) -> Option<&[u8]> {
        self.0.iter().find(|(other, _)| *other == id).map(|(_, value)| &value[..])
    }

    pub fn number(&self, id: u8) -> Option<u32> {
        Some(self.get(id)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    pub fn text(&self, id: u8) -> Option<String> {
        Some(String::from_utf8(self.get(id)?.to_vec()).unwrap())
    }

    /// The value of a user property.
    pub fn user(&self, name: &str) -> Option<String> {
        let mut pairs = self.0.iter().filter(|(id, _)| *id == 0x26);
        pairs.find_map(|(_, pair)| {
            let (key, value) = std::str::from_utf8(pair).unwrap().split_once('=').unwrap();
            (key == name).then(|| value.to_owned())
        })
    }
}

fn split<'a>(body: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (part, rest) = body.split_at(count);
    *body = rest;
    part
}

fn take_u16(body: &mut &[u8]) -> u16 {
    u16::from_be_bytes(split(body, 2).try_into().unwrap())
}

fn take_string(body: &mut &[u8]) -> Vec<u8> {
    let length = take_u16(body);
    split(body, length.into()).to_vec()
}

/// CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connack {
    pub flags: u8,
    pub code: u8,
    pub properties: Properties,
}

impl Connack {
    pub fn session_present(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// PUBLISH, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub topic: String,
    pub payload: String,
    pub qos: u8,
    pub again: bool,
    pub retain: bool,
    /// 0 at QoS 0.
    pub id: u16,
    pub properties: Properties,
}

/// One connection.
pub struct Mqtt {
    pub socket: TcpStream,
    pub version: Version,
    /// What came while something else was waited for.
    early: VecDeque<Published>,
}

impl Mqtt {
    /// A connection on which nothing was said yet.
    pub fn open(server: &Server, version: Version) -> Self {
        let socket = server.connect("mqtt");
        socket.set_nodelay(true).unwrap();
        Self { socket, version, early: VecDeque::new() }
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
