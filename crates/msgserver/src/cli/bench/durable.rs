//! Publications for users who are away: each is answered once it is as safe as the store promises. Afterwards the users
//! come, and each has to get what was accepted for it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Poll, Waker};

use super::audience::Audience;
use super::figures::{Figures, Latency, Messages, OverTime, cpu_us_each};
use super::flow::{Flow, LOOK};
use super::process::Process;
use super::progress::Far;
use super::publisher::{FLOW, Pace, Plan, Publisher, Publishing, Receivers};
use super::readers::Crowd;
use super::stamp::Clock;
use super::subject::Subject;
use super::{PATIENCE, Run, prefix};
use crate::cli::Fault;

/// How long the disk is measured.
const DISK: Duration = Duration::from_millis(500);

/// One load on the store.
#[derive(Debug, Clone)]
pub(super) struct Durable {
    pub(super) users: u64,
    pub(super) publishing: Publishing,
    pub(super) window: u64,
    pub(super) size: usize,
    pub(super) messages: Option<u64>,
    pub(super) time: Option<Duration>,
}

impl Durable {
    /// Over one connection an HTTP request waits for the one before it, so many at a time take as many connections.
    fn lanes(&self) -> u64 {
        if self.publishing == Publishing::Http { self.window.min(self.users) } else { 1 }
    }

    pub(super) fn run(&self, subject: &Subject, run: &Run) -> Result<Figures, Fault> {
        let (prefix, clock) = (prefix(), Clock::start());
        let poll = Poll::new().map_err(Fault::failed)?;
        let flow = Arc::new(Flow::new(Waker::new(poll.registry(), FLOW).map_err(Fault::failed)?));
        let lanes = self.lanes();
        // As many for each lane.
        let users = self.users / lanes * lanes;
        let plan = Plan {
            receivers: Receivers::Users { prefix: prefix.clone(), count: users },
            pace: Pace::Answered { window: self.window },
            size: self.size,
            unkept: false,
            messages: self.messages,
            time: self.time,
        };
        let way = subject.way(self.publishing, format!("{prefix}publisher"));
        let publisher = Publisher::new(plan, way, lanes as usize, poll, Arc::clone(&flow), clock);
        let publisher = publisher.map_err(Fault::Failed)?;
        let cpu = || subject.process.and_then(Process::cpu_seconds);
        let load_cpu = || Process::own().cpu_seconds().unwrap_or_default();
        let (cpu_before, load_before, syncs_before) = (cpu(), load_cpu(), subject.syncs());
        let start = Instant::now();
        let publisher = std::thread::spawn(move || publisher.run());
        while !publisher.is_finished() {
            if run.stop.is_wanted() {
                flow.stop();
            }
            let count = flow.published();
            let far = match (self.messages, self.time) {
                (Some(all), _) => Far::Of { count, all },
                (None, time) => Far::Time { elapsed: start.elapsed(), all: time.unwrap_or(PATIENCE) },
            };
            run.progress.show(far, count, "published");
            std::thread::park_timeout(LOOK);
        }
        let published = publisher.join().expect("publishers do not panic");
        let (cpu_after, load_after, syncs_after) = (cpu(), load_cpu(), subject.syncs());

        let seconds = published.last_answer.saturating_sub(published.first) as f64 / 1e9;
        let cpu_seconds = cpu_after.zip(cpu_before).map(|(after, before)| after - before);
        let count = published.accepted;
        let (messages, fault) = self.fetch(subject, &prefix, users, &published, run)?;
        Ok(Figures {
            seconds,
            count,
            per_second: if seconds > 0.0 { count as f64 / seconds } else { 0.0 },
            cpu_seconds,
            cpu_us_each: cpu_us_each(cpu_seconds, count),
            load_cpu_seconds: load_after - load_before,
            messages: Some(messages),
            latency_us: Latency::of(&published.answers),
            over_time: Some(OverTime::of(&published.answers_over_time, published.first)),
            syncs: syncs_after.zip(syncs_before).map(|(after, before)| after - before),
            fault: published.fault.or(fault),
            ..Figures::default()
        })
    }

    /// Lets the users come and counts what each gets.
    fn fetch(
        &self,
        subject: &Subject,
        prefix: &str,
        users: u64,
        published: &super::publisher::Published,
        run: &Run,
    ) -> Result<(Messages, Option<String>), Fault> {
        let poll = Poll::new().map_err(Fault::failed)?;
        let flow = Arc::new(Flow::new(Waker::new(poll.registry(), FLOW).map_err(Fault::failed)?));
        let crowd = Crowd {
            place: subject.place.clone(),
            entrance: subject.entrance.clone(),
            prefix: prefix.to_owned(),
            clients: users as usize,
            slow: 0,
        };
        let audience = Audience::gather(subject, &crowd, &flow, Clock::start(), run)?;
        let (mut done, mut moved) = (0, Instant::now());
        while flow.done() < published.accepted && moved.elapsed() < PATIENCE {
            if flow.done() > done {
                (done, moved) = (flow.done(), Instant::now());
            }
            run.progress.show(Far::Of { count: done, all: published.accepted }, done, "fetched");
            std::thread::park_timeout(LOOK);
        }
        let (closed, fault) = (audience.closed(), audience.fault());
        let tally = audience.finish();
        let delivered: u64 = tally.received.values().sum();
        let messages = Messages {
            published: published.sent.iter().sum(),
            accepted: published.accepted,
            refused: published.refused,
            expected: published.accepted,
            delivered,
            lost: published.accepted.saturating_sub(delivered),
            doubled: tally.doubled,
            out_of_order: tally.late,
            redelivered: tally.redelivered,
            closed,
            slow_closed: 0,
        };
        Ok((messages, fault))
    }
}

/// The floor: one thread that appends so many contents to a file and asks the disk to keep them, again and again.
pub(super) fn disk_floor(parent: &Path, size: usize, together: u64) -> Result<Figures, Fault> {
    let directory = tempfile::tempdir_in(parent).map_err(Fault::failed)?;
    let mut file = File::create(directory.path().join("floor")).map_err(Fault::failed)?;
    let contents = vec![b'x'; size * usize::try_from(together).expect("a window is small")];
    let (start, mut syncs) = (Instant::now(), 0);
    while start.elapsed() < DISK {
        file.write_all(&contents).and_then(|()| file.sync_data()).map_err(Fault::failed)?;
        syncs += 1;
    }
    let (seconds, count) = (start.elapsed().as_secs_f64(), syncs * together);
    Ok(Figures {
        seconds,
        count,
        per_second: count as f64 / seconds,
        syncs: Some(syncs),
        ..Figures::default()
    })
}
