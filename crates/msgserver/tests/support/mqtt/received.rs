//! What the server says.

use super::Version::{self, V5};

/// The properties of a packet that came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(Vec<(u8, Vec<u8>)>);

impl Properties {
    /// Takes them from the start of a body.
    pub(super) fn take(version: Version, body: &mut &[u8]) -> Self {
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

    /// All user properties, in their order, as `name=value`.
    pub fn of_user(&self) -> Vec<&str> {
        let pairs = self.0.iter().filter(|(id, _)| *id == 0x26);
        pairs.map(|(_, pair)| std::str::from_utf8(pair).unwrap()).collect()
    }

    /// The value of a user property.
    pub fn user(&self, name: &str) -> Option<String> {
        let mut pairs = self.of_user().into_iter().map(|pair| pair.split_once('=').unwrap());
        pairs.find_map(|(key, value)| (key == name).then(|| value.to_owned()))
    }
}

fn split<'a>(body: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (part, rest) = body.split_at(count);
    *body = rest;
    part
}

pub(super) fn take_u16(body: &mut &[u8]) -> u16 {
    u16::from_be_bytes(split(body, 2).try_into().unwrap())
}

pub(super) fn take_string(body: &mut &[u8]) -> Vec<u8> {
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
