//! The one thread that writes.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::checkpoint::Frozen;
use super::journal::Journal;
use super::shared::{AllRows, Shared};
use super::{stopped, unavailable};
use crate::StoreError;
use crate::inboxes::{Changed, Changes, Rounds};

/// How many pieces of work share a commit at most, and about how many bytes: enough to make the sync's share
/// small, few enough to keep the last one's wait short.
const BATCH: usize = 4096;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// When so many times as much has changed as the engine takes over at a time, publishers wait for it.
const FULL: usize = 2;

/// How long what need not be safe at once may wait for a sync.
const LAZY: Duration = Duration::from_millis(100);

/// The changes of one commit.
pub(super) type Commit<'c> = Changes<'c, AllRows<'c>>;

/// Something to write, and somebody who waits for it.
pub(super) trait Work: Send {
    fn run(&mut self, changes: &mut Commit<'_>, rounds: &mut Rounds);
    /// Whether it is to be safe before it is answered, now that it has run.
    fn is_urgent(&self) -> bool;
    /// Tells how the commit went.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

pub(super) struct Job<T, F> {
    pub(super) work: F,
    /// Whether what came of it is to be safe before it is answered.
    pub(super) is_urgent: fn(&T) -> bool,
    pub(super) done: Option<Result<T, StoreError>>,
    pub(super) reply: oneshot::Sender<Result<T, StoreError>>,
}

/// Of what is to be safe whatever comes of it.
pub(super) fn at_once<T>(_: &T) -> bool {
    true
}

/// Of what may be lost in a power cut.
pub(super) fn soon<T>(_: &T) -> bool {
    false
}

impl<T, F> Work for Job<T, F>
where
    T: Send,
    F: FnMut(&mut Commit<'_>, &mut Rounds) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, changes: &mut Commit<'_>, rounds: &mut Rounds) {
        self.done = Some(changes.whole(|changes| (self.work)(changes, rounds)));
    }

    fn is_urgent(&self) -> bool {
        matches!(&self.done, Some(Ok(done)) if (self.is_urgent)(done))
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { done, reply, .. } = *self;
        let done = committed.and_then(|()| done.unwrap_or_else(|| Err(stopped())));
        // Whoever asked may have gone; what was asked is done nevertheless.
        let _ = reply.send(done);
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Nothing after a fault: what stands at the end of that journal is not known.
    journal: Option<Journal>,
    /// The number of the last journal, and how many bytes of it count.
    last: (u64, u64),
    rounds: Rounds,
    checkpoints: mpsc::Sender<Frozen>,
    /// Whether something waits for a sync.
    unsynced: bool,
    /// Whether something is in memory that may not be on the disk: it was not urgent, and was not synced since.
    owes: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, journal: Journal, checkpoints: mpsc::Sender<Frozen>) -> Self {
        let last = (journal.number(), journal.length());
        Self {
            shared,
            journal: Some(journal),
            last,
            rounds: Rounds::default(),
            checkpoints,
            unsynced: false,
            owes: false,
        }
    }

    /// Writes until nobody can send any more, and what was sent is written.
    pub(super) fn run(mut self, waiting: &mpsc::Receiver<Box<dyn Work>>) {
        loop {
            let first = if self.unsynced {
                match waiting.recv_timeout(LAZY) {
                    Ok(work) => work,
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        self.sync();
                        continue;
                    }
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
            } else {
                match waiting.recv() {
                    Ok(work) => work,
                    Err(mpsc::RecvError) => break,
                }
            };
            self.commit(first, waiting);
            self.freeze();
        }
        self.end();
    }

    /// Makes safe what could wait.
    pub(super) fn sync(&mut self) {
        if self.unsynced {
            let synced = self.write(&Changed::default(), true);
            // What it was for has been answered; the next commit tells whether all is well.
            let _ = self.note(synced);
        }
    }

    pub(super) fn end(mut self) {
        // A last record that changes nothing: what is damaged before it is known not to have been cut short.
        let synced =
            self.write_record(&Changed::default()).and_then(|()| self.write(&Changed::default(), true));
        let _ = self.note(synced);
    }

    pub(super) fn commit(&mut self, first: Box<dyn Work>, waiting: &mpsc::Receiver<Box<dyn Work>>) {
        if let Err(fault) = self.wait_for_room() {
            return first.answer(self.note(Err(fault)));
        }
        let shared = Arc::clone(&self.shared);
        let rows = shared.rows();
        let mut changes = Changes::new(&rows);
        let (mut batch, mut next) = (Vec::new(), Some(first));
        while let Some(mut work) = next {
            work.run(&mut changes, &mut self.rounds);
            batch.push(work);
            let more = batch.len() < BATCH && changes.bytes() < BATCH_BYTES;
            next = if more { waiting.try_recv().ok() } else { None };
        }
        let (changed, steps) = changes.into_changed();
        drop(rows);
        let written = self.write(&changed, batch.iter().any(|work| work.is_urgent()));
        if written.is_ok() {
            // Before anybody can read what was accepted, and tell that it was sent.
            self.shared.listening.tell(steps);
            self.owes = self.unsynced;
            let current = &mut self.shared.recent.write().current;
            for (table, key, value) in changed.into_rows() {
                current.set(table, key, value);
            }
        }
        let written = self.note(written);
        for work in batch {
            work.answer(written.clone());
        }
    }

    pub(super) fn lacks_room(&self) -> bool {
        self.shared.recent.read().current.bytes() >= FULL * self.shared.freeze
    }

    /// Waits while the engine is behind; fails if it cannot take anything.
    fn wait_for_room(&self) -> Result<(), StoreError> {
        if !self.lacks_room() {
            return Ok(());
        }
        let mut checkpoint = self.shared.checkpoint.lock();
        while checkpoint.busy {
            if let Some(fault) = &checkpoint.fault {
                return Err(fault.clone());
            }
            self.shared.checkpoint_changed.wait(&mut checkpoint);
        }
        Ok(())
    }

    fn write(&mut self, changed: &Changed, urgent: bool) -> Result<(), StoreError> {
        if !changed.is_empty() || self.journal.is_none() {
            self.write_record(changed)?;
        }
        if urgent && self.unsynced {
            let journal = self.journal.as_mut().ok_or_else(stopped)?;
            if let Err(fault) = journal.sync() {
                // Nobody can say what of it is on the disk now, so nothing is added to it.
                self.journal = None;
                return Err(unavailable(fault));
            }
            (self.unsynced, self.owes) = (false, false);
            self.last = (journal.number(), journal.length());
        }
        Ok(())
    }

    fn write_record(&mut self, changed: &Changed) -> Result<(), StoreError> {
        if self.journal.is_none() {
            self.begin_journal()?;
        }
        let journal = self.journal.as_mut().ok_or_else(stopped)?;
        if let Err(fault) = journal.add(changed) {
            self.journal = None;
            return Err(unavailable(fault));
        }
        self.unsynced = true;
        Ok(())
    }

    fn begin_journal(&mut self) -> Result<(), StoreError> {
        let (number, length) = self.last;
        let mut journal = Journal::create(&*self.shared.files, &self.shared.journals(), number + 1, length)
            .map_err(unavailable)?;
        let begun = (journal.number(), journal.length());
        if self.owes {
            // Of the journal before, only what was synced counts. What comes now is built on all that is in memory.
            journal.add(&self.shared.recent.read().current).map_err(unavailable)?;
        }
        (self.last, self.journal, self.unsynced) = (begun, Some(journal), self.owes);
        Ok(())
    }

    /// Hands what has changed to the engine, if it is much and the engine has what came before.
    pub(super) fn freeze(&mut self) {
        if self.shared.recent.read().current.bytes() < self.shared.freeze
            || self.shared.checkpoint.lock().busy
        {
            return;
        }
        // What the next journal says of this one has to be so.
        if self.write(&Changed::default(), true).is_err() {
            return;
        }
        let upto = self.last.0;
        if let Err(fault) = self.begin_journal() {
            tracing::warn!(%fault, "no new journal could be begun; it is tried again");
            // It may be there all the same, and say how much of the one before counts: so nothing is added to that.
            self.journal = None;
            return;
        }
        let frozen = {
            let recent = &mut *self.shared.recent.write();
            recent.frozen = Arc::new(std::mem::take(&mut recent.current));
            Arc::clone(&recent.frozen)
        };
        self.shared.checkpoint.lock().busy = true;
        // It only ends after this thread.
        let _ = self.checkpoints.send(Frozen { changed: frozen, upto });
    }

    fn note(&self, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        let fault: &Mutex<_> = &self.shared.fault;
        if let Err(fault) = &outcome {
            tracing::error!(%fault, "nothing was written");
        }
        *fault.lock() = outcome.as_ref().err().cloned();
        outcome
    }
}
