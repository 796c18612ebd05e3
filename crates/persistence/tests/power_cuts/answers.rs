//! What was asked and answered before a cut, and whether a store holds to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use msgserver_message::Seq;
use msgserver_persistence::{DiskStore, Store};

use super::trace::Call;
use super::work::{USERS, device, text, user};

#[derive(Debug, Default, Clone, Copy)]
struct Of {
    known: bool,
    asked: u64,
    answered: u64,
    acknowledged: u64,
    /// Up to where its device may have been sent messages.
    sent: u64,
}

pub(crate) struct Answers {
    file: PathBuf,
    of: BTreeMap<u64, Of>,
}

impl Answers {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { file: directory.join("answers"), of: BTreeMap::new() }
    }

    /// Hears what the work says of itself: in the trace, so that it is known what came first.
    pub(crate) fn hear(&mut self, call: &Call) {
        let Call::Write { path, bytes, .. } = call else { return };
        if *path != self.file {
            return;
        }
        let words: Vec<_> = std::str::from_utf8(bytes).unwrap().split_whitespace().collect();
        let number = |n: usize| words[n].parse::<u64>().unwrap();
        let of = self.of.entry(number(1)).or_default();
        match words[0] {
            "known" => of.known = true,
            "asked" => of.asked = number(2),
            "answered" => of.answered = number(2),
            "acknowledge" => of.acknowledged = number(2).max(of.acknowledged),
            "sent" => of.sent = number(2),
            other => panic!("{other}"),
        }
    }

    /// Whether anything was answered; what was is in the store of this directory.
    pub(crate) fn check(&self, directory: &Path, place: &str) -> bool {
        let found = listing(directory);
        let store = DiskStore::open(directory)
            .unwrap_or_else(|fault| panic!("{place}: {fault}; there was {}", found.join(", ")));
        let recovery = store.recovery().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for n in 0..USERS {
                let of = self.of.get(&n).copied().unwrap_or_default();
                let devices = store.devices(&user(n)).await.unwrap();
                assert!(
                    !devices.is_empty() || !of.known,
                    "{place}: the device of user {n} is lost: {recovery:?}"
                );
                let at = devices.first().map_or(0, |device| device.acknowledged.get());
                assert!(
                    at <= of.acknowledged,
                    "{place}: user {n} never acknowledged {at}, only {}",
                    of.acknowledged
                );
                let entries = store.read(&user(n), Seq::ZERO, usize::MAX).await.unwrap();
                let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq.get()).collect();
                for entry in entries {
                    let said = entry.message.content.as_text().unwrap();
                    assert_eq!(said, text(n, entry.seq.get()), "{place}: this was never said");
                }
                let last = seqs.last().copied().unwrap_or(at);
                let right: Vec<u64> = (at + 1..=last).collect();
                assert_eq!(seqs, right, "{place}: what user {n} has behind {at}: {recovery:?}");
                assert!(
                    (of.answered..=of.asked).contains(&last),
                    "{place}: user {n} has {last} of {of:?}: {recovery:?}"
                );
                // It goes on where it was.
                if of.answered > 0 {
                    let cursor = store.open(&user(n), &device()).await.unwrap();
                    assert!(cursor.known);
                    let sent = cursor.sent.get();
                    assert!(
                        sent >= of.sent,
                        "{place}: user {n} was sent up to {}, and it is known of {sent}: {recovery:?}",
                        of.sent
                    );
                }
            }
        });
        self.of.values().any(|of| of.answered > 0)
    }
}

/// The files that a cut has left, with their lengths.
fn listing(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        found.push(format!("{} ({})", path.display(), path.metadata().unwrap().len()));
        found.append(&mut listing(&path));
    }
    found
}
