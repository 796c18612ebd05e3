//! One topic: who follows it, what was published last.

use msgserver_message::{DeviceId, Seq, SessionId, Topic, UserId};
use msgserver_scheduler::Scheduler;
use serde::Serialize;

use crate::answer::{Answer, json};
use crate::problem::Problem;
use crate::users::{Page, page};

fn topic(name: &str) -> Result<Topic, Problem> {
    Topic::new(name).map_err(Problem::bad)
}

#[derive(Serialize)]
struct Presence<'a> {
    topic: &'a Topic,
    /// Users with a device that follows it, connected or not.
    subscribers: u64,
    /// Sessions that follow it now.
    online: usize,
    /// The first of them.
    sessions: Vec<Session<'a>>,
    /// Messages in its log.
    retained: u64,
    last: Seq,
}

#[derive(Serialize)]
struct Session<'a> {
    session: SessionId,
    user: &'a UserId,
    device: &'a DeviceId,
    door: &'a str,
}

pub(crate) async fn presence(scheduler: &Scheduler, name: &str, query: &str) -> Answer {
    let topic = topic(name)?;
    let (_, limit) = page(query)?;
    let presence = scheduler.topic(&topic).await?;
    let sessions = presence.sessions.iter().take(limit).map(|session| Session {
        session: session.id(),
        user: session.user(),
        device: session.device(),
        door: session.door(),
    });
    Ok(json(&Presence {
        topic: &topic,
        subscribers: presence.log.followers,
        online: presence.sessions.len(),
        sessions: sessions.collect(),
        retained: presence.log.kept,
        last: presence.log.last,
    }))
}

pub(crate) async fn published(scheduler: &Scheduler, name: &str, query: &str) -> Answer {
    let topic = topic(name)?;
    let (after, limit) = page(query)?;
    let entries = scheduler.published(&topic, after, limit).await?;
    Ok(json(&Page::from(&entries[..])))
}
