//! The thread that has the engine take over what has changed, and then removes the journals of it.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::journal;
use super::shared::{Checkpoint, Recent, Shared};
use crate::StoreError;
use crate::inboxes::Changed;

/// When the engine is tried again after a fault.
const AGAIN: Duration = Duration::from_secs(1);

/// Rows that change no more, and the last journal that they are in.
#[derive(Debug)]
pub(super) struct Frozen {
    pub(super) changed: Arc<Changed>,
    pub(super) upto: u64,
}

/// Works until nobody can send any more. What the engine has not taken by then stays in its journals.
pub(super) fn run(shared: &Shared, waiting: &mpsc::Receiver<Frozen>, ending: &mpsc::Receiver<()>) {
    while let Ok(frozen) = waiting.recv() {
        let mut next = Some(frozen);
        while let Some(frozen) = next.take() {
            if !take(shared, &frozen, ending) {
                return;
            }
            // Merging can wait, what is frozen cannot: the publishers may wait for it.
            while merge(shared) {
                match waiting.try_recv() {
                    Ok(frozen) => next = Some(frozen),
                    Err(mpsc::TryRecvError::Empty) => continue,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
                break;
            }
        }
    }
}

/// Has the engine take rows, again and again until it can; whether it has before the end.
fn take(shared: &Shared, frozen: &Frozen, ending: &mpsc::Receiver<()>) -> bool {
    while !take_once(shared, frozen) {
        if ending.recv_timeout(AGAIN) != Err(mpsc::RecvTimeoutError::Timeout) {
            return false;
        }
    }
    true
}

/// Has the engine take rows; whether it could.
pub(super) fn take_once(shared: &Shared, frozen: &Frozen) -> bool {
    if let Err(fault) = shared.engine.take(&frozen.changed) {
        tracing::error!(%fault, "what has changed stays in the journal; it is tried again");
        note(shared, Checkpoint { busy: true, fault: Some(fault) });
        return false;
    }
    let Recent { frozen: of_recent, .. } = &mut *shared.recent.write();
    *of_recent = Arc::default();
    if let Err(fault) = journal::remove(&*shared.files, &shared.journals(), frozen.upto) {
        // It is read again at the next start, and changes nothing.
        tracing::warn!(%fault, "an old journal could not be removed");
    }
    note(shared, Checkpoint::default());
    true
}

fn note(shared: &Shared, checkpoint: Checkpoint) {
    *shared.checkpoint.lock() = checkpoint;
    shared.checkpoint_changed.notify_all();
}

fn merge(shared: &Shared) -> bool {
    shared.engine.compact().unwrap_or_else(|fault: StoreError| {
        // Reading gets slower, and what cannot be merged can still be read, up to what is damaged.
        tracing::error!(%fault, "files of rows cannot be merged");
        false
    })
}
