//! Sessions whose peers' TCP has not acknowledged everything yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use msgserver_message::Seq;

use crate::Session;

/// How long after something was sent a session is asked, and how long after each answer that nothing has come.
///
/// A peer acknowledges what it has read at once, or after up to 40 ms if it hopes to send something of its own with it
/// (delayed acknowledgement, RFC 1122 4.2.3.2); one that is far away, or does not read, takes as long as it takes. Each
/// question is a system call.
const PATIENCE: [Duration; 4] = [
    Duration::from_millis(2),
    Duration::from_millis(8),
    Duration::from_millis(32),
    Duration::from_millis(100),
];

/// Sessions that wait, by how often they were asked in vain. Within a line each waits as long as the others, so that the
/// first is the first to be asked.
#[derive(Default)]
pub(crate) struct Unconfirmed([VecDeque<(Instant, Arc<Session>)>; PATIENCE.len()]);

impl Unconfirmed {
    pub(crate) fn watch(&mut self, session: Arc<Session>, now: Instant) {
        self.wait(0, session, now);
    }

    fn wait(&mut self, line: usize, session: Arc<Session>, now: Instant) {
        self.0[line].push_back((now + PATIENCE[line], session));
    }

    /// When the next one is to be asked.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().filter_map(|line| line.front()).map(|(due, _)| *due).min()
    }

    /// Asks those whose time has come, and tells what has arrived.
    pub(crate) fn ask(&mut self, now: Instant, mut tell: impl FnMut(&Arc<Session>, Seq)) {
        for line in (0..PATIENCE.len()).rev() {
            while let Some((_, session)) = self.0[line].pop_front_if(|(due, _)| *due <= now) {
                let (confirmed, waits) = session.confirmed();
                if let Some(seq) = confirmed {
                    tell(&session, seq);
                }
                if waits {
                    let next = if confirmed.is_some() { 0 } else { (line + 1).min(PATIENCE.len() - 1) };
                    self.wait(next, session, now);
                }
            }
            if self.0[line].is_empty() {
                // A burst's table is not kept.
                self.0[line] = VecDeque::new();
            }
        }
    }
}
