//! Clients that come online and do nothing: how fast they come, and what they cost.

use std::sync::Arc;

use mio::{Poll, Waker};

use super::audience::Audience;
use super::figures::{Figures, Latency, Memory, cpu_us_each};
use super::flow::Flow;
use super::process::Process;
use super::publisher::FLOW;
use super::readers::Crowd;
use super::stamp::Clock;
use super::subject::Subject;
use super::{Run, prefix};
use crate::cli::Fault;

/// Connects so many clients, looks at the server's memory, and disconnects them.
pub(super) fn connect(subject: &Subject, clients: u64, run: &Run) -> Result<Figures, Fault> {
    let poll = Poll::new().map_err(Fault::failed)?;
    let flow = Arc::new(Flow::new(Waker::new(poll.registry(), FLOW).map_err(Fault::failed)?));
    let crowd = Crowd {
        place: subject.place.clone(),
        entrance: subject.entrance.clone(),
        prefix: prefix(),
        clients: usize::try_from(clients).expect("their number is limited"),
        slow: 0,
    };
    let memory = || subject.process.and_then(Process::memory);
    let cpu = || subject.process.and_then(Process::cpu_seconds);
    let load_cpu = || Process::own().cpu_seconds().unwrap_or_default();
    let before = (memory(), cpu(), load_cpu());
    let clock = Clock::start();
    let audience = Audience::gather(subject, &crowd, &flow, clock, run)?;
    let seconds = clock.now() as f64 / 1e9;
    let with_clients = (memory(), cpu(), load_cpu());
    let (connections, fault) = (audience.before(), audience.fault());
    let tally = audience.finish();
    Audience::wait_until_gone(subject, connections)?;

    let cpu_seconds = with_clients.1.zip(before.1).map(|(after, before)| after - before);
    Ok(Figures {
        seconds,
        count: clients,
        per_second: clients as f64 / seconds,
        cpu_seconds,
        cpu_us_each: cpu_us_each(cpu_seconds, clients),
        load_cpu_seconds: with_clients.2 - before.2,
        memory: before.0.zip(with_clients.0).map(|(before, with_clients)| Memory {
            before,
            with_clients,
            after: memory(),
            each: with_clients.saturating_sub(before) as f64 / clients as f64,
        }),
        latency_us: Latency::of(&tally.opening).filter(|_| crowd.entrance.is_answered()),
        fault,
        ..Figures::default()
    })
}
