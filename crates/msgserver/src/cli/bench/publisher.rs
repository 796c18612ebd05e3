//! The thread that publishes: so many messages on their way, or so many a second.

mod frame;
mod http;
mod lane;
mod plan;
mod publishing;
mod way;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};

pub(super) use self::http::{get, read as read_http};
use self::lane::Lane;
use self::plan::Message;
pub(super) use self::plan::{Pace, Plan, Receivers};
pub(super) use self::publishing::Publishing;
pub(super) use self::way::{Answers, Way};
use super::flow::{Flow, LOOK};
use super::stamp::{Clock, Stamp};
use super::tally;

/// The token of the flow; lanes have those from 0.
pub(super) const FLOW: Token = Token(usize::MAX);

/// How many messages go together at most, and how many bytes of contents.
const AT_ONCE: u64 = 1000;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

/// How long a publisher waits for answers that do not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of the plan.
pub(super) struct Published {
    /// How many messages each lane has sent.
    pub(super) sent: Vec<u64>,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    /// What was said of the first that was refused, or how a connection ended.
    pub(super) fault: Option<String>,
    /// From sending to the answer.
    pub(super) answers: Histogram<u64>,
    pub(super) answers_over_time: Vec<u64>,
    /// When the first was meant to go, and when the last answer came.
    pub(super) first: u64,
    pub(super) last_answer: u64,
}

pub(super) struct Publisher {
    plan: Plan,
    way: Way,
    lanes: Vec<Lane>,
    poll: Poll,
    flow: Arc<Flow>,
    clock: Clock,
    published: Published,
}

impl Publisher {
    /// Connects over so many lanes. The poll is the one of which the flow's waker is.
    pub(super) fn new(
        plan: Plan,
        way: Way,
        lanes: usize,
        poll: Poll,
        flow: Arc<Flow>,
        clock: Clock,
    ) -> Result<Self, String> {
        let mut lanes: Vec<Lane> = (0..lanes).map(|_| Lane::connect(&way)).collect::<Result<_, _>>()?;
        for (n, lane) in lanes.iter_mut().enumerate() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut lane.socket, Token(n), interest)
                .map_err(|fault| fault.to_string())?;
        }
        let published = Published {
            sent: Vec::new(),
            accepted: 0,
            refused: 0,
            fault: None,
            answers: tally::histogram(),
            answers_over_time: Vec::new(),
            first: 0,
            last_answer: 0,
        };
        Ok(Self { plan, way, lanes, poll, flow, clock, published })
    }

    /// Publishes until the plan is done or the flow is stopped, and waits for the answers.
    pub(super) fn run(mut self) -> Published {
        let mut events = Events::with_capacity(256);
        self.published.first = self.clock.now();
        let mut heard = Instant::now();
        loop {
            let is_over = self.is_over();
            if is_over && self.unanswered() == 0 {
                break;
            }
            if !is_over {
                for n in 0..self.lanes.len() {
                    while self.send(n) {}
                }
                heard = Instant::now();
            }
            let outcome = self.wait(&mut events, is_over);
            let before = self.published.accepted + self.published.refused;
            let outcome = outcome.and_then(|()| events.iter().try_for_each(|event| self.turn(event)));
            if self.published.accepted + self.published.refused > before {
                heard = Instant::now();
            }
            let unanswered = self.unanswered() > 0 && is_over && heard.elapsed() > PATIENCE;
            if let Err(fault) = outcome {
                self.published.fault.get_or_insert(fault);
                break;
            }
            if unanswered {
                self.published.fault.get_or_insert_with(|| "not every publication was answered".to_owned());
                break;
            }
        }
        self.published.sent = self.lanes.iter().map(|lane| lane.sent).collect();
        self.published
    }

    fn sent(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.sent).sum()
    }

    fn unanswered(&self) -> u64 {
        if self.way.answers() { self.lanes.iter().map(Lane::unanswered).sum() } else { 0 }
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.clock.now().saturating_sub(self.published.first))
    }

    fn is_over(&self) -> bool {
        self.flow.is_stopped()
            || self.plan.messages.is_some_and(|messages| self.sent() >= messages)
            || self.plan.time.is_some_and(|time| self.elapsed() >= time)
    }

    /// How many messages may go over a lane now.
    fn room(&self, lane: &Lane) -> u64 {
        let sent = self.sent();
        let left = self.plan.messages.map_or(u64::MAX, |messages| messages.saturating_sub(sent));
        let room = match self.plan.pace {
            Pace::Delivered { window, each } => {
                let mut room = (self.flow.done() / each + window).saturating_sub(sent);
                if room == 0 && !self.flow.want((sent + 1).saturating_sub(window) * each) {
                    // It was delivered in between.
                    room = 1;
                }
                room
            }
            Pace::Answered { window } => {
                let each = (window / self.lanes.len() as u64).max(1);
                each.saturating_sub(lane.unanswered())
            }
            Pace::Rate { a_second, .. } => {
                let due =
                    self.elapsed().min(self.plan.time.unwrap_or(Duration::MAX)).as_secs_f64() * a_second;
                (due as u64 + 1).saturating_sub(sent)
            }
        };
        let together = (BYTES_AT_ONCE / self.plan.size.max(1)) as u64;
        room.min(left).min(AT_ONCE.min(together.max(1)))
    }

    fn is_free(&self, lane: &Lane) -> bool {
        // A batch is the larger the longer the one before it takes.
        lane.is_written() && !(self.way.is_batch() && lane.unanswered() > 0)
    }

    /// Sends over a lane what may go; false if nothing may.
    fn send(&mut self, n: usize) -> bool {
        let lane = &self.lanes[n];
        let count = if self.is_free(lane) { self.room(lane) } else { 0 };
        if count == 0 {
            return false;
        }
        let (first, lanes) = (self.sent(), self.lanes.len() as u64);
        let now = self.clock.now();
        let Self { plan, way, lanes: all, published, .. } = self;
        let lane = &mut all[n];
        let sent = lane.sent;
        let messages = (0..count).map(|k| {
            let moment = match plan.pace {
                Pace::Rate { a_second, .. } => published.first + ((first + k) as f64 / a_second * 1e9) as u64,
                Pace::Delivered { .. } | Pace::Answered { .. } => now,
            };
            let (to, number) = match &plan.receivers {
                Receivers::All => (None, sent + k),
                Receivers::Users { prefix, count } => {
                    // Each lane has its own users, so that what is for one of them goes in order.
                    let (turn, each) = (sent + k, count / lanes);
                    (Some((prefix.as_str(), n as u64 + lanes * (turn % each))), turn / each)
                }
            };
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            Message { to, stamp: Stamp { number, moment }, size: plan.size, unkept: plan.unkept }
        });
        lane.say(|out| way.write(messages, out));
        lane.note_sent(count, now);
        self.flow.note_published(first + count);
        if let Err(fault) = self.lanes[n].flush() {
            self.published.fault.get_or_insert(fault);
            self.flow.stop();
        }
        true
    }

    fn wait(&mut self, events: &mut Events, is_over: bool) -> Result<(), String> {
        let mut patience = LOOK;
        if let Pace::Rate { a_second, .. } = self.plan.pace
            && !is_over
            && self.lanes.iter().any(|lane| self.is_free(lane))
        {
            let due = self.published.first + (self.sent() as f64 / a_second * 1e9) as u64;
            let left = self.clock.at(due).saturating_duration_since(Instant::now());
            if left < Duration::from_millis(1) {
                // The poll counts in milliseconds; a paced message is not to be late by one.
                std::thread::sleep(left);
                patience = Duration::ZERO;
            } else {
                patience = patience.min(Duration::from_millis(left.as_millis() as u64));
            }
        }
        match self.poll.poll(events, Some(patience)) {
            Err(fault) if fault.kind() != std::io::ErrorKind::Interrupted => Err(fault.to_string()),
            _ => Ok(()),
        }
    }

    fn turn(&mut self, event: &mio::event::Event) -> Result<(), String> {
        let Some(lane) = self.lanes.get_mut(event.token().0) else { return Ok(()) };
        lane.flush()?;
        if !event.is_readable() {
            return Ok(());
        }
        let answers = lane.read(&self.way)?;
        let now = self.clock.now();
        let count = answers.accepted + answers.refused;
        if count == 0 {
            return Ok(());
        }
        for (sent, count) in lane.note_answered(count) {
            self.published.answers.saturating_record_n(now.saturating_sub(sent) / 1000, count);
        }
        tally::count(&mut self.published.answers_over_time, now, count);
        self.published.last_answer = now;
        self.published.accepted += answers.accepted;
        self.published.refused += answers.refused;
        if let Some(refusal) = answers.refusal {
            self.published.fault.get_or_insert(refusal);
        }
        if let Pace::Delivered { each, .. } | Pace::Rate { each, .. } = self.plan.pace
            && answers.refused > 0
        {
            // Nobody will get these.
            self.flow.add(answers.refused * each);
        }
        Ok(())
    }
}
