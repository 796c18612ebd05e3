//! What a client says.

use super::Version;

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
