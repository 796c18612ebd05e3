//! One user: presence and devices, what waits, ending the sessions.

use msgserver_message::{DeviceId, Message, Seq, SessionId, Timestamp, UserId};
use msgserver_scheduler::Scheduler;
use serde::Serialize;

use crate::answer::{Answer, json};
use crate::problem::Problem;

/// How many messages of an inbox are shown, unless said otherwise, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

fn user(name: &str) -> Result<UserId, Problem> {
    UserId::new(name).map_err(Problem::bad)
}

#[derive(Serialize)]
struct User<'a> {
    user: &'a UserId,
    online: bool,
    sessions: Vec<Session<'a>>,
    devices: Vec<Device<'a>>,
    waiting: u64,
    bytes: u64,
    last: Seq,
}

#[derive(Serialize)]
struct Session<'a> {
    session: SessionId,
    device: &'a DeviceId,
    door: &'a str,
}

#[derive(Serialize)]
struct Device<'a> {
    device: &'a DeviceId,
    acknowledged: Seq,
    last_seen: Timestamp,
    connected: bool,
}

pub(crate) async fn presence(scheduler: &Scheduler, name: &str) -> Answer {
    let user = user(name)?;
    let presence = scheduler.presence(&user).await?;
    let sessions = presence.sessions.iter();
    let devices = presence.devices.iter();
    Ok(json(&User {
        user: &user,
        online: !presence.sessions.is_empty(),
        sessions: sessions
            .map(|session| Session { session: session.id(), device: session.device(), door: session.door() })
            .collect(),
        devices: devices
            .map(|device| Device {
                device: &device.device,
                acknowledged: device.acknowledged,
                last_seen: device.last_seen,
                connected: device.connected,
            })
            .collect(),
        waiting: presence.inbox.waiting,
        bytes: presence.inbox.bytes,
        last: presence.inbox.last,
    }))
}

#[derive(Serialize)]
struct Waiting<'a> {
    seq: Seq,
    #[serde(flatten)]
    message: &'a Message,
}

#[derive(Serialize)]
struct Inbox<'a> {
    messages: Vec<Waiting<'a>>,
}

pub(crate) async fn inbox(scheduler: &Scheduler, name: &str, query: &str) -> Answer {
    let user = user(name)?;
    let (after, limit) = page(query)?;
    let entries = scheduler.inbox(&user, after, limit).await?;
    let messages = entries.iter().map(|entry| Waiting { seq: entry.seq, message: &entry.message });
    Ok(json(&Inbox { messages: messages.collect() }))
}

/// Which part of an inbox is asked for: what comes after a number, and how many messages of it.
fn page(query: &str) -> Result<(Seq, usize), Problem> {
    let (mut after, mut limit) = (Seq::ZERO, PAGE);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = |right: &str| Problem::bad(format!("{key} = {value:?}: give {right}"));
        match &*key {
            "after" => {
                let number = value.parse().map_err(|_| wrong("the number of a message, or 0"))?;
                after = Seq::new(number);
            }
            "limit" => {
                let number = value.parse().ok().filter(|number| (1..=MAX_PAGE).contains(number));
                limit = number.ok_or_else(|| wrong("a number from 1 to 1000"))?;
            }
            _ => {}
        }
    }
    Ok((after, limit))
}

#[derive(Serialize)]
pub(crate) struct Closed {
    pub(crate) closed: usize,
}

pub(crate) fn close_sessions(scheduler: &Scheduler, name: &str) -> Answer {
    Ok(json(&Closed { closed: scheduler.dismiss(&user(name)?) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_with_numbers() {
        assert_eq!(page("").unwrap(), (Seq::ZERO, PAGE));
        assert_eq!(page("limit=7&after=12&colour=red").unwrap(), (Seq::new(12), 7));
        for query in ["after=-1", "after=x", "limit=0", "limit=1001", "limit="] {
            assert!(page(query).is_err(), "{query}");
        }
    }
}
