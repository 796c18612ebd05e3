//! Messages to clients who are online: fan-out, to one at a time, and fan-out beside clients that do not read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Poll, Waker};

use super::audience::Audience;
use super::figures::{Figures, Latency, Memory, Messages, OverTime, cpu_us_each};
use super::flow::{Flow, LOOK};
use super::process::Process;
use super::progress::Far;
use super::publisher::{FLOW, Pace, Plan, Published, Publisher, Publishing, Receivers};
use super::readers::Crowd;
use super::stamp::Clock;
use super::subject::Subject;
use super::tally::Tally;
use super::{Run, prefix};
use crate::cli::Fault;

/// For how long nothing has to arrive before what has not is given up.
const SILENCE: Duration = Duration::from_secs(5);

/// One load on clients who are online.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// Whether each message is for one client, in turn, or for all.
    pub(super) to_one: bool,
    pub(super) clients: u64,
    /// Clients beside them that do not read as they should.
    pub(super) slow: u64,
    pub(super) publishing: Publishing,
    pub(super) window: u64,
    pub(super) rate: Option<f64>,
    pub(super) size: usize,
    /// Whether messages are kept nowhere.
    pub(super) unkept: bool,
    pub(super) messages: Option<u64>,
    pub(super) time: Option<Duration>,
}

/// The processor time of a run's two sides.
struct Cpu {
    server: Option<f64>,
    load: f64,
}

impl Cpu {
    fn now(subject: &Subject) -> Self {
        let load = Process::own().cpu_seconds().unwrap_or_default();
        Self { server: subject.process.and_then(Process::cpu_seconds), load }
    }
}

impl Load {
    /// How many deliveries a message is.
    const fn each(&self) -> u64 {
        if self.to_one { 1 } else { self.clients }
    }

    fn plan(&self, prefix: &str) -> Plan {
        let each = self.each();
        Plan {
            receivers: if self.to_one {
                Receivers::Users { prefix: prefix.to_owned(), count: self.clients }
            } else {
                Receivers::All
            },
            pace: self.rate.map_or(Pace::Delivered { window: self.window, each }, |a_second| Pace::Rate {
                a_second,
                each,
            }),
            size: self.size,
            unkept: self.unkept,
            messages: self.messages,
            time: self.time,
        }
    }

    /// Puts the load on a server.
    pub(super) fn run(&self, subject: &Subject, run: &Run) -> Result<Figures, Fault> {
        let (prefix, clock) = (prefix(), Clock::start());
        let poll = Poll::new().map_err(Fault::failed)?;
        let flow = Arc::new(Flow::new(Waker::new(poll.registry(), FLOW).map_err(Fault::failed)?));
        let crowd = Crowd {
            place: subject.place.clone(),
            entrance: subject.entrance.clone(),
            prefix: prefix.clone(),
            clients: self.clients as usize,
            slow: self.slow as usize,
        };
        let memory = || subject.process.and_then(Process::memory);
        let memory_before = memory();
        let audience = Audience::gather(subject, &crowd, &flow, clock, run)?;
        let way = subject.way(self.publishing, format!("{prefix}publisher"));
        let publisher = Publisher::new(self.plan(&prefix), way, 1, poll, Arc::clone(&flow), clock);
        let publisher = publisher.map_err(Fault::Failed)?;

        let before = Cpu::now(subject);
        let publisher = std::thread::spawn(move || publisher.run());
        let published = self.watch(publisher, &flow, run);
        let after = Cpu::now(subject);
        let memory = memory_before.zip(memory()).map(|(before, with_clients)| Memory {
            before,
            with_clients,
            after: None,
            each: with_clients.saturating_sub(before) as f64 / crowd.all() as f64,
        });
        let (closed, fault) = (audience.closed(), audience.fault());
        let tally = audience.finish();
        let mut figures = self.figures(&published, &tally, closed, fault, (before, after));
        figures.memory = memory;
        Ok(figures)
    }

    /// Shows how far it is until everything has arrived or nothing arrives any more.
    fn watch(&self, publisher: std::thread::JoinHandle<Published>, flow: &Flow, run: &Run) -> Published {
        let (start, mut done, mut moved) = (Instant::now(), 0, Instant::now());
        loop {
            let now_done = flow.done();
            let all = flow.published() * self.each();
            if publisher.is_finished() && now_done >= all {
                break;
            }
            if now_done > done || (self.rate.is_some() && now_done >= all) {
                (done, moved) = (now_done, Instant::now());
            }
            if moved.elapsed() > SILENCE || run.stop.is_wanted() {
                flow.stop();
                if publisher.is_finished() && moved.elapsed() > SILENCE {
                    break;
                }
            }
            let far = match (self.messages, self.time) {
                (Some(messages), _) => Far::Of { count: now_done, all: messages * self.each() },
                (None, time) => Far::Time { elapsed: start.elapsed(), all: time.unwrap_or(SILENCE) },
            };
            run.progress.show(far, now_done, "delivered");
            std::thread::park_timeout(LOOK);
        }
        publisher.join().expect("publishers do not panic")
    }

    fn figures(
        &self,
        published: &Published,
        tally: &Tally,
        closed: u64,
        fault: Option<String>,
        (before, after): (Cpu, Cpu),
    ) -> Figures {
        let sent: u64 = published.sent.iter().sum();
        let delivered: u64 = tally.received.values().sum();
        let expected = (sent * self.each()).saturating_sub(published.refused * self.each());
        let seconds = tally.last.saturating_sub(published.first) as f64 / 1e9;
        let cpu_seconds = after.server.zip(before.server).map(|(after, before)| after - before);
        Figures {
            seconds,
            count: delivered,
            per_second: if seconds > 0.0 { delivered as f64 / seconds } else { 0.0 },
            cpu_seconds,
            cpu_us_each: cpu_us_each(cpu_seconds, delivered),
            load_cpu_seconds: after.load - before.load,
            messages: Some(Messages {
                published: sent,
                accepted: published.accepted,
                refused: published.refused,
                expected,
                delivered,
                lost: expected.saturating_sub(delivered),
                doubled: tally.doubled,
                out_of_order: tally.late,
                redelivered: tally.redelivered,
                closed,
                slow_closed: tally.slow_closed,
            }),
            latency_us: Latency::of(&tally.latency),
            over_time: Some(OverTime::of(&tally.over_time, published.first)),
            fault: published.fault.clone().or(fault),
            ..Figures::default()
        }
    }
}
