//! Clients that are online, in threads of their own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::flow::Flow;
use super::progress::Far;
use super::readers::{Crowd, Reader, Standing};
use super::stamp::Clock;
use super::subject::Subject;
use super::tally::Tally;
use super::{PATIENCE, Run};
use crate::cli::Fault;

/// Between two looks at who is online.
const LOOK: Duration = Duration::from_millis(2);

pub(super) struct Audience {
    threads: Vec<JoinHandle<Tally>>,
    standing: Arc<Standing>,
    /// How many connections the server had before.
    before: Option<u64>,
}

impl Audience {
    /// Connects everybody; gives them back once the server has all of them online.
    pub(super) fn gather(
        subject: &Subject,
        crowd: &Crowd,
        flow: &Arc<Flow>,
        clock: Clock,
        run: &Run,
    ) -> Result<Self, Fault> {
        let threads = run.options.threads().min(crowd.all().max(1));
        let standing = Arc::new(Standing::default());
        let mut audience =
            Self { threads: Vec::new(), standing: Arc::clone(&standing), before: subject.connections()? };
        for first in 0..threads {
            let (standing, flow) = (Arc::clone(&standing), Arc::clone(flow));
            let reader = Reader::new(crowd.clone(), first, threads, standing, flow, clock);
            let reader = reader.map_err(Fault::failed)?;
            audience.threads.push(std::thread::spawn(move || reader.run()));
        }
        audience.wait_until_online(subject, crowd.all(), run)?;
        Ok(audience)
    }

    fn wait_until_online(&self, subject: &Subject, all: usize, run: &Run) -> Result<(), Fault> {
        let (mut online, mut moved) = (0, Instant::now());
        loop {
            let now_online = self.standing.online.load(Ordering::SeqCst);
            if let Some(fault) = self.standing.fault() {
                return Err(Fault::Failed(format!(
                    "client {now_online} of {all} did not come online: {fault}"
                )));
            }
            if now_online == all {
                // Some doors tell nobody that it is online.
                let seen = subject.connections()?;
                if seen.zip(self.before).is_none_or(|(seen, before)| seen >= before + all as u64) {
                    return Ok(());
                }
            }
            if now_online > online {
                (online, moved) = (now_online, Instant::now());
            }
            if run.stop.is_wanted() || moved.elapsed() > PATIENCE {
                return Err(Fault::Failed(format!("{online} of {all} clients came online")));
            }
            run.progress.show(Far::Of { count: online as u64, all: all as u64 }, online as u64, "online");
            std::thread::park_timeout(LOOK);
        }
    }

    /// How many clients that read were closed.
    pub(super) fn closed(&self) -> u64 {
        self.standing.closed.load(Ordering::SeqCst) as u64
    }

    /// Why the first of them was.
    pub(super) fn fault(&self) -> Option<String> {
        self.standing.fault()
    }

    /// Disconnects everybody; gives what they have counted.
    pub(super) fn finish(mut self) -> Tally {
        self.standing.stop();
        let mut tally = Tally::new();
        for thread in std::mem::take(&mut self.threads) {
            tally.add(thread.join().expect("readers do not panic"));
        }
        tally
    }

    /// Waits until the server knows that all have gone.
    pub(super) fn wait_until_gone(subject: &Subject, before: Option<u64>) -> Result<(), Fault> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let now = subject.connections()?;
            if now.zip(before).is_none_or(|(now, before)| now <= before) {
                break;
            }
            std::thread::park_timeout(LOOK);
        }
        Ok(())
    }

    pub(super) const fn before(&self) -> Option<u64> {
        self.before
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        self.standing.stop();
    }
}
