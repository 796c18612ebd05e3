//! Threads that are the clients: each waits for many sockets and reads into one buffer. No task and no buffer a
//! client, so that the load costs less than what it measures.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::client::{Client, Reading, Stage};
use super::flow::{Flow, LOOK};
use super::line::{Entrance, Heard};
use super::order::Came;
use super::place::Place;
use super::stamp::Clock;
use super::tally::Tally;

/// How many clients of a thread connect at a time.
const OPENING: usize = 64;

/// What is read with one call.
const BUFFER: usize = 256 * 1024;

/// What a slow client reads, and how often.
const SLOW_BYTES: usize = 1024;
const SLOW_TICK: Duration = Duration::from_secs(1);

/// Who is to connect, and where.
#[derive(Clone)]
pub(super) struct Crowd {
    pub(super) place: Place,
    pub(super) entrance: Entrance,
    /// The users are this and a number.
    pub(super) prefix: String,
    /// Those who read whatever comes.
    pub(super) clients: usize,
    /// Those who do not read as they should, beside them: half of them a kilobyte a second, half not at all.
    pub(super) slow: usize,
}

impl Crowd {
    pub(super) const fn all(&self) -> usize {
        self.clients + self.slow
    }

    fn reading(&self, number: usize) -> Reading {
        match number.checked_sub(self.clients) {
            None => Reading::Always,
            Some(slow) if slow % 2 == 0 => Reading::Slowly,
            Some(_) => Reading::Never,
        }
    }
}

/// What readers tell while they run.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) online: AtomicUsize,
    /// Of those who read, how many were closed.
    pub(super) closed: AtomicUsize,
    stop: AtomicBool,
    fault: Mutex<Option<String>>,
}

impl Standing {
    /// Why the first connection that should not have ended has.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_fault(&self, fault: String) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// One thread's clients: every `step`th, beginning with `first`.
pub(super) struct Reader {
    crowd: Crowd,
    step: usize,
    next: usize,
    opening: usize,
    poll: Poll,
    clients: Vec<Client>,
    standing: Arc<Standing>,
    flow: Arc<Flow>,
    clock: Clock,
    tally: Tally,
    /// What of the tally the flow does not know yet.
    fresh: u64,
}

impl Reader {
    pub(super) fn new(
        crowd: Crowd,
        first: usize,
        step: usize,
        standing: Arc<Standing>,
        flow: Arc<Flow>,
        clock: Clock,
    ) -> io::Result<Self> {
        let (poll, tally, clients) = (Poll::new()?, Tally::new(), Vec::new());
        Ok(Self {
            crowd,
            step,
            next: first,
            opening: 0,
            poll,
            clients,
            standing,
            flow,
            clock,
            tally,
            fresh: 0,
        })
    }

    /// Connects, and reads until it is told to stop.
    pub(super) fn run(mut self) -> Tally {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; BUFFER];
        let mut heard = Heard::default();
        let mut slow_tick = Instant::now() + SLOW_TICK;
        while !self.standing.stop.load(Ordering::SeqCst) {
            self.connect_next();
            if let Err(fault) = self.poll.poll(&mut events, Some(LOOK))
                && fault.kind() != io::ErrorKind::Interrupted
            {
                self.standing.note_fault(fault.to_string());
                break;
            }
            for event in &events {
                self.turn(event, &mut buffer, &mut heard);
            }
            if self.fresh > 0 {
                self.flow.add(std::mem::take(&mut self.fresh));
            }
            if self.crowd.slow > 0 && Instant::now() >= slow_tick {
                slow_tick += SLOW_TICK;
                self.read_slowly(&mut buffer);
            }
        }
        self.finish(&mut buffer)
    }

    fn connect_next(&mut self) {
        while self.opening < OPENING && self.next < self.crowd.all() {
            let number = self.next;
            self.next += self.step;
            let line = self.crowd.entrance.line(number, &format!("{}{number}", self.crowd.prefix));
            let reading = self.crowd.reading(number);
            let place = &self.crowd.place;
            let client = place
                .line(line)
                .and_then(|line| Client::connect(number, reading, place.address, line, self.clock.now()));
            let opened = client.and_then(|mut client| {
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut client.socket, Token(self.clients.len()), interest)?;
                Ok(client)
            });
            match opened {
                Ok(client) => {
                    self.opening += 1;
                    self.clients.push(client);
                }
                Err(fault) => {
                    self.standing.closed.fetch_add(1, Ordering::SeqCst);
                    self.standing.note_fault(format!("{}: {fault}", self.crowd.place.address));
                }
            }
        }
    }

    fn turn(&mut self, event: &mio::event::Event, buffer: &mut [u8], heard: &mut Heard) {
        let client = &mut self.clients[event.token().0];
        if client.stage == Stage::Closed {
            return;
        }
        let Self { tally, fresh, clock, opening, standing, .. } = self;
        let outcome = client.turn(event, buffer, heard, |client, heard| {
            let now = clock.now();
            if heard.online && client.stage == Stage::Opening {
                client.stage = Stage::Online;
                *opening -= 1;
                tally.online(now, client.since);
                standing.online.fetch_add(1, Ordering::SeqCst);
            }
            if client.reading == Reading::Always && !heard.stamps.is_empty() {
                let came = heard.stamps.iter().map(|(stamp, again)| {
                    let came = client.order.take(stamp.number);
                    (*stamp, if *again && came == Came::Again { None } else { Some(came) })
                });
                *fresh += tally.take(now, came);
            }
        });
        if client.stage == Stage::Online && client.reading != Reading::Always {
            // It is read when its time has come, or never.
            let _ = self.poll.registry().deregister(&mut client.socket);
        }
        if let Err(fault) = outcome {
            if matches!(client.stage, Stage::Connecting | Stage::Opening) {
                self.opening -= 1;
            }
            client.stage = Stage::Closed;
            let _ = self.poll.registry().deregister(&mut client.socket);
            if client.reading == Reading::Always {
                self.standing.closed.fetch_add(1, Ordering::SeqCst);
                self.standing.note_fault(fault);
            }
        }
    }

    fn read_slowly(&mut self, buffer: &mut [u8]) {
        for client in &mut self.clients {
            if client.reading == Reading::Slowly
                && client.stage == Stage::Online
                && !client.skip(SLOW_BYTES, buffer)
            {
                client.stage = Stage::Closed;
            }
        }
    }

    fn finish(mut self, buffer: &mut [u8]) -> Tally {
        for client in &mut self.clients {
            if client.reading == Reading::Always {
                self.tally.received.insert(client.number, client.order.count());
            } else if client.stage == Stage::Closed || !client.skip(usize::MAX, buffer) {
                // Only at the end of what waits for it is seen that it was closed.
                self.tally.slow_closed += 1;
            }
        }
        self.tally
    }
}
