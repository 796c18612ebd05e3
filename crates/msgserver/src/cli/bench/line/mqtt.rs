//! The MQTT door, in version 3.1.1.

use super::{Heard, Line};
use crate::cli::bench::stamp::Stamp;

const CONNECT: u8 = 0x10;
const PUBLISH: u8 = 3;
const SUBACK: u8 = 9;

/// Both subscriptions at QoS 1: notices are granted 0.
const SUBSCRIBE: &[u8] = b"\x82\x10\0\x01\0\x05inbox\x01\0\x03all\x01";

pub(super) struct Mqtt {
    greeting: Vec<u8>,
    is_online: bool,
}

impl Mqtt {
    pub(super) fn new(user: &str, password: Option<&str>) -> Self {
        let flags = if password.is_some() { 0xc2 } else { 0x82 };
        let head = [&b"\0\x04MQTT\x04"[..], &[flags, 0, 0]].concat();
        let texts: Vec<_> = [Some("bench"), Some(user), password].into_iter().flatten().map(text).collect();
        let mut greeting = Vec::new();
        packet(CONNECT, &[&head, &texts.concat()], &mut greeting);
        greeting.extend_from_slice(SUBSCRIBE);
        Self { greeting, is_online: false }
    }
}

/// A text with its length in front of it.
pub(in crate::cli::bench) fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("the load's names are short");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// Appends a packet: its first byte, its length, and its parts.
pub(in crate::cli::bench) fn packet(first: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    out.push(first);
    let mut length: usize = parts.iter().map(|part| part.len()).sum();
    // Seven bits a byte; the eighth says that there are more.
    while length >= 0x80 {
        out.push(length as u8 & 0x7f | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// The first byte of the server's first packet, its body, and what stands behind it; nothing if it is not whole.
pub(in crate::cli::bench) fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 || shift == 28 {
            break;
        }
    }
    let (body, rest) = rest.split_at_checked(length)?;
    Some((first, body, rest))
}

impl Line for Mqtt {
    fn greet(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.greeting)
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<usize, String> {
        let mut rest = bytes;
        while let Some((first, body, behind)) = split(rest) {
            rest = behind;
            match first >> 4 {
                PUBLISH => {
                    if let Some((stamp, _)) = Stamp::find(body) {
                        heard.stamps.push((stamp, first & 0x8 != 0));
                    }
                    if first & 0x6 != 0 {
                        let topic = body.first_chunk::<2>().map_or(0, |length| u16::from_be_bytes(*length));
                        let packet = body.get(2 + usize::from(topic)..).and_then(<[u8]>::first_chunk::<2>);
                        let [high, low] = *packet.ok_or("a PUBLISH without its packet id")?;
                        heard.say.extend_from_slice(&[0x40, 2, high, low]);
                    }
                }
                SUBACK => self.is_online = true,
                _ if first >> 4 == 2 && body.get(1) != Some(&0) => {
                    return Err(format!("the server refuses with return code {:?}", body.get(1)));
                }
                _ => {}
            }
        }
        heard.online = self.is_online;
        Ok(bytes.len() - rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u32, size: usize, packet: Option<u16>) -> Vec<u8> {
        let mut body = b"\0\x03all".to_vec();
        body.extend(packet.map(u16::to_be_bytes).into_iter().flatten());
        Stamp { number, moment: 1 }.write(size, &mut body);
        let first = if packet.is_some() { 0x32 } else { 0x30 };
        let mut message = Vec::new();
        super::packet(first, &[&body], &mut message);
        message
    }

    #[test]
    fn messages_are_heard_and_those_with_a_packet_id_acknowledged() {
        let (mut line, mut heard) = (Mqtt::new("ada", Some("open")), Heard::default());
        assert!(
            line.greet().starts_with(b"\x10\x1c\0\x04MQTT\x04\xc2\0\0\0\x05bench\0\x03ada\0\x04open\x82")
        );
        let start = b"\x20\x02\0\0\x90\x04\0\x01\x01\0";
        let bytes = [&start[..], &message(0, 40, None), &message(1, 300, Some(258))].concat();
        assert_eq!(line.take(&bytes[..bytes.len() - 1], &mut heard).unwrap(), start.len() + 47);
        assert!(heard.online);
        assert_eq!(line.take(&bytes[start.len() + 47..], &mut heard), Ok(bytes.len() - start.len() - 47));
        let numbers: Vec<u32> = heard.stamps.iter().map(|(stamp, _)| stamp.number).collect();
        assert_eq!((numbers, &heard.say[..]), (vec![0, 1], &b"\x40\x02\x01\x02"[..]));
        assert!(line.take(b"\x20\x02\0\x05", &mut heard).is_err());
    }
}
