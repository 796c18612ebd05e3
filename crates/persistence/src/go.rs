//! What a deployment of the Go server left in Redis.
//!
//! A set `u_m_<user>` of message ids, and for each id a key of that name with a JSON object.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use msgserver_message::{Content, Message, MessageId, Timestamp, UserId};
use serde::{Deserialize, Deserializer};

use crate::fingerprint::fnv;
use crate::redis::{Ask, NAME, RedisStore};
use crate::{Append, StoreError};

const PREFIX: &str = "u_m_";

/// How many messages one script moves: enough to be quick, few enough not to hold Redis up.
const AT_ONCE: usize = 500;

/// What became of the Go server's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TakenOver {
    /// How many users had messages.
    pub users: u64,
    /// How many messages are in inboxes now.
    pub messages: u64,
    /// How many entries could not be read, and were left in place.
    pub skipped: u64,
}

/// Nanoseconds since 1970. The year 1, which Go uses for no time, fits as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Instant(i128);

/// Not its `KeepLiveTime`: the Go server gave out what it had in Redis however old it was.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GoMessage {
    #[serde(deserialize_with = "as_written")]
    content: Content,
    send_time: Instant,
}

impl RedisStore {
    /// Moves what the Go server left into inboxes, in the order in which it was sent.
    ///
    /// Each message goes into its inbox, which knows it from then on, and then away from its old place: a crash
    /// neither loses nor doubles one, and whatever is left is taken by the next call. No limit of an inbox holds
    /// for them. What cannot be read stays where it is, and is logged and counted.
    /// The Go server kept nothing in a Redis Cluster, so nothing is looked for there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if Redis goes away in between.
    pub async fn take_over(&self) -> Result<TakenOver, StoreError> {
        let mut done = TakenOver::default();
        if self.shared.is_cluster() {
            return Ok(done);
        }
        let inboxes = self.go_inboxes(&mut done).await?;
        // A message may be in several sets. Its key has to stay until the last one was taken.
        let mut uses: HashMap<Vec<u8>, usize> = HashMap::new();
        for id in inboxes.values().flatten() {
            *uses.entry(id.clone()).or_default() += 1;
        }
        for (set, ids) in &inboxes {
            let user = std::str::from_utf8(&set[PREFIX.len()..]).map_err(|e| e.to_string());
            match user.and_then(|user| UserId::new(user).map_err(|e| e.to_string())) {
                Ok(user) => self.take_over_user(&user, set, ids, &mut uses, &mut done).await?,
                Err(why) => {
                    skip(&mut done, set, &why);
                }
            }
        }
        Ok(done)
    }

    /// The sets, with the ids in them. Collected first: a scan may show a key twice.
    async fn go_inboxes(&self, done: &mut TakenOver) -> Result<BTreeMap<Vec<u8>, Vec<Vec<u8>>>, StoreError> {
        let mut inboxes = BTreeMap::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = ::redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{PREFIX}*")).arg("COUNT").arg(1000);
            let (next, keys): (u64, Vec<Vec<u8>>) = self.shared.ask(Ask::Command(&scan)).await?;
            for key in keys {
                inboxes.insert(key, Vec::new());
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        let sets: Vec<Vec<u8>> = inboxes.keys().cloned().collect();
        for set in sets {
            let kind: String = self.shared.ask(Ask::Command(::redis::cmd("TYPE").arg(&set))).await?;
            if kind == "set" {
                let ids = self.shared.ask(Ask::Command(::redis::cmd("SMEMBERS").arg(&set))).await?;
                inboxes.insert(set, ids);
            } else {
                inboxes.remove(&set);
                if kind != "none" {
                    skip(done, &set, &format!("it is a {kind} and not a set"));
                }
            }
        }
        Ok(inboxes)
    }

    async fn take_over_user(
        &self,
        user: &UserId,
        set: &[u8],
        ids: &[Vec<u8>],
        uses: &mut HashMap<Vec<u8>, usize>,
        done: &mut TakenOver,
    ) -> Result<(), StoreError> {
        let mut messages = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            let texts: Vec<Option<Vec<u8>>> =
                self.shared.ask(Ask::Command(::redis::cmd("MGET").arg(ids))).await?;
            for (id, text) in ids.iter().zip(texts) {
                match text.ok_or("there is no message of that id".to_owned()).and_then(|text| parse(&text)) {
                    Ok(message) => messages.push((message.send_time, id, message)),
                    Err(why) => skip(done, id, &why),
                }
            }
        }
        messages.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));

        let mut taken = 0;
        for messages in messages.chunks(AT_ONCE) {
            let appends: Vec<_> = messages
                .iter()
                .map(|(_, id, message)| Append::new(Arc::new(message.message(id)), [user.clone()]))
                .collect();
            self.shared.take_over(&appends).await?;
            let ids: Vec<_> = messages.iter().map(|(_, id, _)| id).collect();
            // Who else takes over at the same time does not count these.
            taken += self.shared.ask::<u64>(Ask::Command(::redis::cmd("SREM").arg(set).arg(&ids))).await?;
            let last_use = ids.into_iter().filter(|id| {
                uses.get_mut(id.as_slice()).is_none_or(|left| {
                    *left -= 1;
                    *left == 0
                })
            });
            for id in last_use {
                self.shared.ask::<u64>(Ask::Command(::redis::cmd("DEL").arg(id))).await?;
            }
        }
        done.users += u64::from(taken > 0);
        done.messages += taken;
        Ok(())
    }
}

fn skip(done: &mut TakenOver, key: &[u8], why: &str) {
    done.skipped += 1;
    tracing::warn!(store = NAME, key = %String::from_utf8_lossy(key), why, "left in place");
}

/// A message as the Go server wrote it.
pub(crate) fn parse(json: &[u8]) -> Result<GoMessage, String> {
    serde_json::from_slice(json).map_err(|e| e.to_string())
}

impl GoMessage {
    pub(crate) fn message(&self, old_id: &[u8]) -> Message {
        let sent_at = self.send_time.timestamp();
        let own = std::str::from_utf8(old_id).ok().and_then(|id| id.parse().ok());
        Message {
            id: own.unwrap_or_else(|| id_of(old_id, sent_at)),
            sent_at,
            topic: None,
            expires_at: None,
            ..Message::new(self.content.clone())
        }
    }
}

/// An id that sorts as if it had been given then, and is the same each time the message is found.
fn id_of(old_id: &[u8], time: Timestamp) -> MessageId {
    let mut bytes = fnv(old_id.iter().copied()).to_be_bytes();
    bytes[..6].copy_from_slice(&time.as_millis().to_be_bytes()[2..]);
    MessageId::from_bytes(bytes)
}

impl Instant {
    fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(u64::try_from(self.0 / 1_000_000).unwrap_or(0))
    }

    /// Reads RFC 3339 as Go writes it: up to nine digits of a second, `Z` or an offset.
    fn parse(text: &str) -> Option<Self> {
        let digits = |from: usize, to: usize| {
            let part = text.get(from..to)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i128>().ok()).flatten()
        };
        let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if separators.iter().any(|&(at, byte)| text.as_bytes().get(at) != Some(&byte)) {
            return None;
        }
        let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
        let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + i128::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if !(1..=12).contains(&month) || !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59
        {
            return None;
        }

        let rest = text.get(19..)?;
        let zone = rest.find(['Z', '+', '-'])?;
        let nanos = match rest.get(..zone)? {
            "" => 0,
            fraction => {
                let fraction = fraction.strip_prefix('.').filter(|f| !f.is_empty() && f.len() <= 9)?;
                fraction.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
                format!("{fraction:0<9}").parse().ok()?
            }
        };
        let zone = 19 + zone;
        let offset = match (&text[zone..=zone], text.len() - zone) {
            ("Z", 1) => 0,
            (sign, 6) if text.as_bytes()[zone + 3] == b':' => {
                let (hours, minutes) = (digits(zone + 1, zone + 3)?, digits(zone + 4, zone + 6)?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                (hours * 60 + minutes) * if sign == "-" { -60 } else { 60 }
            }
            _ => return None,
        };

        // Years that begin in March have their leap day last, so a month's first day does not depend on it.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        let day = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468;
        let seconds = ((day * 24 + hour) * 60 + minute) * 60 + second - offset;
        Some(Self(seconds * 1_000_000_000 + nanos))
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "{text:?} is not a time such as 2019-03-01T10:00:00.123456789+08:00"
            ))
        })
    }
}

/// The content as it is written there: read as a value, a number would lose its form.
fn as_written<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Content, D::Error> {
    let json = <Box<serde_json::value::RawValue> as serde::Deserialize>::deserialize(deserializer)?;
    Content::from_json(json.get()).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_moments_wherever_they_were_written() {
        let time = |text| Instant::parse(text).unwrap();
        assert_eq!(time("1970-01-01T00:00:00Z"), Instant(0));
        assert_eq!(time("2019-03-01T10:00:00.123456789+08:00"), time("2019-03-01T02:00:00.123456789Z"));
        assert_eq!(time("2019-02-28T20:30:00-05:30"), time("2019-03-01T02:00:00Z"));
        assert!(time("2019-03-01T10:00:00.1+08:00") > time("2019-03-01T10:00:00.099999999+08:00"));
        assert_eq!(time("2019-03-01T02:00:00Z"), Instant(1_551_405_600_000_000_000));
        assert!(time("0001-01-01T00:00:00Z") < Instant(0));
        assert_eq!(time("0001-01-01T00:00:00Z").timestamp(), Timestamp::from_millis(0));
        for text in [
            "",
            "now",
            "2019-03-01",
            "2019-03-01T10:00:00",
            "2019-13-01T10:00:00Z",
            "2019-02-29T10:00:00Z",
            "2019-03-01T10:00:00.Z",
            "2019-03-01T10:00:00.1234567890Z",
            "2019-03-01T10:00:00+0800",
            "2019-03-01T10:00:00Zulu",
            "2019-03-01T10:00:00+08:00é",
            "2019-03-01T10:00:0é",
        ] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_is_read_as_others_read_it(millis in 0..253_402_300_799_000_u64) {
            let time = Timestamp::from_millis(millis);
            prop_assert_eq!(Instant::parse(&time.to_string()), Some(Instant(i128::from(millis) * 1_000_000)));
        }

        #[test]
        fn no_text_makes_it_fall(text in ".*", tail in "[0-9.+:Zé-]{0,12}") {
            let _ = Instant::parse(&text);
            let _ = Instant::parse(&format!("2019-03-01T10:00:00{tail}"));
        }
    }

    #[test]
    fn an_id_sorts_by_the_time_it_is_given_and_stays_the_same() {
        let [a, b] = [1_551_405_600_000, 1_551_405_600_001].map(Timestamp::from_millis);
        assert!(id_of(b"z", a) < id_of(b"a", b) && id_of(b"a", b) < MessageId::generate());
        assert_eq!(id_of(b"a", a), id_of(b"a", a));
        assert_ne!(id_of(b"a", a), id_of(b"b", a));
    }
}
