//! Stores: append, read, acknowledge.

use std::sync::Arc;

use msgserver_benches::{content, users};
use msgserver_message::{DeviceId, Message, Seq, UserId};
use msgserver_persistence::{Append, DiskStore, Limits, MemoryStore, Store};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::Rounds;

/// Messages of a batch and of a page.
const TOGETHER: usize = 256;

/// More than any round acknowledges.
const WAITING: usize = 1024;

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

fn limits() -> Limits {
    Limits { messages: u64::MAX, ..Limits::default() }
}

fn disk() -> (TempDir, DiskStore) {
    let directory = tempfile::tempdir().expect("room");
    let store = DiskStore::with_limits(directory.path(), limits()).expect("a new directory");
    (directory, store)
}

async fn append(store: &dyn Store, users: impl IntoIterator<Item = &UserId>) {
    let message = || Arc::new(Message::new(content(128)));
    let appends = users.into_iter().map(|user| Append::new(message(), std::slice::from_ref(user)));
    let kept = store.append(appends.collect()).await;
    assert!(kept.iter().all(Result::is_ok), "{kept:?}");
}

/// A batch, each of its messages for another user.
fn append_batches(rounds: Rounds<'_>, store: &dyn Store) {
    let (runtime, users) = (runtime(), users(TOGETHER));
    rounds(&mut || runtime.block_on(append(store, &users)));
}

fn read_pages(rounds: Rounds<'_>, store: &dyn Store) {
    let (runtime, user) = (runtime(), &users(1)[0]);
    runtime.block_on(append(store, std::iter::repeat_n(user, TOGETHER)));
    rounds(&mut || {
        let page = runtime.block_on(store.read(user, Seq::ZERO, TOGETHER)).expect("it is there");
        assert_eq!(page.len(), TOGETHER);
    });
}

fn acknowledge(rounds: Rounds<'_>, store: &dyn Store) {
    let (runtime, user, device) = (runtime(), &users(1)[0], DeviceId::unnamed());
    let mut next = runtime.block_on(store.open(user, &device)).expect("a cursor").acknowledged;
    runtime.block_on(append(store, std::iter::repeat_n(user, WAITING)));
    rounds(&mut || {
        next = next.next();
        runtime.block_on(store.acknowledge(user, &device, next)).expect("it is kept");
    });
}

pub(super) fn append_to_memory(rounds: Rounds<'_>) {
    append_batches(rounds, &MemoryStore::with_limits(limits()));
}

pub(super) fn read_from_memory(rounds: Rounds<'_>) {
    read_pages(rounds, &MemoryStore::with_limits(limits()));
}

pub(super) fn acknowledge_in_memory(rounds: Rounds<'_>) {
    acknowledge(rounds, &MemoryStore::with_limits(limits()));
}

pub(super) fn append_to_disk(rounds: Rounds<'_>) {
    append_batches(rounds, &disk().1);
}

pub(super) fn read_from_disk(rounds: Rounds<'_>) {
    read_pages(rounds, &disk().1);
}

pub(super) fn acknowledge_on_disk(rounds: Rounds<'_>) {
    acknowledge(rounds, &disk().1);
}
