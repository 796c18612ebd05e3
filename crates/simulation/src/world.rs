//! What outlives a process: the disk, the clients' and publishers' memory, and the clock.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use msgserver_message::{DeviceId, UserId};
use msgserver_persistence::steps::{SafeRows, Steps};
use msgserver_persistence::{DiskStore, Limits, Store, StoreError};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::auditor::Auditor;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::disk::{Disk, End};
use crate::order::Habits;
use crate::promise::Promise;
use crate::publisher::Publishers;
use crate::stop::Noted;
use crate::timed::{Closing, Timed};
use crate::trace::Trace;

/// What outlives a process, and what befalls it.
pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) clock: Clock,
    pub(crate) trace: Trace,
    pub(crate) auditor: Auditor,
    pub(crate) disk: Disk,
    pub(crate) rows: SafeRows,
    pub(crate) limits: Limits,
    pub(crate) freeze: usize,
    /// How long a call of the store waits at most, before it and after it.
    pub(crate) slowness: Duration,
    pub(crate) publishers: Publishers,
    pub(crate) devices: Vec<(UserId, DeviceId)>,
    /// What had been noted of each device when the last process was stopped, if it was.
    pub(crate) noted: Option<Noted>,
}

/// How a process is to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doom {
    pub(crate) after: Duration,
    pub(crate) how: End,
    /// The call of the disk in which it dies, if it lives that long.
    pub(crate) calls: Option<u64>,
    /// One call of the disk in so many fails.
    pub(crate) faults: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let chance = Chance::new(seed);
        let clock = Clock::default();
        let trace = Trace::new(clock.clone());
        let mut limits = Limits::default();
        if chance.one_in(4) {
            limits.messages = chance.between(3, 40);
        }
        let auditor = Auditor::new(clock.clone(), trace.clone(), limits.messages);
        let disk = Disk::new(chance.clone(), trace.clone());
        let user = |n| UserId::new(format!("u{n}")).expect("a short name");
        let users: Arc<[UserId]> = (0..chance.between(1, 4)).map(user).collect();
        let mut devices = Vec::new();
        for user in users.iter() {
            for n in 0..chance.between(1, 3) {
                devices.push((user.clone(), DeviceId::new(format!("d{n}")).expect("a short name")));
            }
        }
        let publishers = Publishers {
            users,
            habits: Habits::new(&chance),
            auditor: auditor.clone(),
            clock: clock.clone(),
            chance: chance.clone(),
            known: Arc::default(),
            open: Arc::default(),
            asking: Arc::default(),
        };
        Self {
            rows: SafeRows::new(Arc::new(disk.clone())),
            freeze: 1 << chance.between(10, 16),
            slowness: Duration::from_micros(1 << chance.between(4, 17)),
            chance,
            clock,
            trace,
            auditor,
            disk,
            limits,
            publishers,
            devices,
            noted: None,
        }
    }

    /// Else what is due would have to wait until a clock that was set back is where it was.
    pub(crate) fn catch_up_clock(&self) {
        let behind = self.clock.latest().as_millis() - self.clock.wall().as_millis();
        self.clock.jump(behind as i64);
    }

    /// Whether inboxes are so small that messages may be dropped.
    pub(crate) fn is_limited(&self) -> bool {
        self.limits.messages < Limits::default().messages
    }

    /// Whether the device at this place speaks the old protocol.
    pub(crate) fn is_old(&self, device: usize) -> bool {
        device % 3 == 1
    }

    pub(crate) fn doom(&self) -> Doom {
        let chance = &self.chance;
        Doom {
            after: Duration::from_millis(chance.between(1, 20_000)),
            how: if chance.one_in(3) { End::Kill } else { End::PowerCut },
            calls: chance.one_in(2).then(|| chance.below(1 << chance.below(11))),
            faults: if chance.one_in(4) { 1 << chance.between(3, 8) } else { 0 },
        }
    }

    /// A life of the process, from its start to its end.
    pub(crate) fn live(&mut self, doom: Option<Doom>, life: impl AsyncFnOnce(&mut Self)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing of the system");
        runtime.block_on(async {
            self.clock.begin_life();
            self.auditor.begin_life();
            self.publishers.asking = Arc::default();
            match doom {
                None => {
                    self.disk.begin(None, 0);
                    life(self).await;
                }
                Some(doom) => {
                    self.trace.note(format_args!("begin {doom:?}"));
                    self.disk.begin(doom.calls, doom.faults);
                    let disk = self.disk.clone();
                    tokio::select! {
                        biased;
                        () = disk.death() => {}
                        () = tokio::time::sleep(doom.after) => {}
                        () = life(self) => {}
                    }
                }
            }
            self.clock.end_life();
        });
        // Tasks that are dropped may not be heard any more.
        self.disk.begin(Some(0), 0);
        drop(runtime);
        let how = doom.map_or(End::Kill, |doom| doom.how);
        self.disk.end(how);
        self.trace.note(format_args!("{how:?}"));
    }

    /// Starts the store; nothing if the process has died over it or the disk has failed.
    pub(crate) fn open(&self) -> Option<(Arc<Timed>, Steps)> {
        self.trace.note(format_args!("open: {}", self.disk.contents()));
        let files = Arc::new(self.disk.clone());
        let opened = DiskStore::in_steps(files, self.rows.clone(), self.limits, self.freeze);
        let (store, steps) = match opened {
            Ok(opened) => opened,
            Err(StoreError::Unavailable { detail, .. }) => {
                self.trace.note(format_args!("the store does not open: {detail}"));
                return None;
            }
            Err(fault) => {
                self.auditor.fail(Promise::CrashDamagesNothing, fault.to_string());
                return None;
            }
        };
        let found = store.recovery().map(|recovery| recovery.lost);
        let faults = store.check().map(|checked| checked.faults);
        for faults in [found, faults] {
            match faults {
                Ok(faults) if faults.is_empty() => {}
                faults => self.auditor.fail(Promise::CrashDamagesNothing, format!("{faults:?}")),
            }
        }
        let timed = Timed {
            store,
            chance: self.chance.clone(),
            trace: self.trace.clone(),
            longest: self.slowness,
            faults: AtomicU64::new(if self.chance.one_in(2) { self.chance.between(2, 9) } else { 0 }),
            came: Arc::new(Notify::new()),
            noted: Mutex::default(),
            closing: Closing::default(),
        };
        Some((Arc::new(timed), steps))
    }

    /// Takes the steps of the store's threads.
    pub(crate) fn keep_writing(&self, tasks: &mut JoinSet<()>, store: &Timed, mut steps: Steps) {
        let (chance, came, slowness) = (self.chance.clone(), Arc::clone(&store.came), self.slowness);
        let closing = store.closing.clone();
        tasks.spawn(async move {
            loop {
                let waiting = came.notified();
                if tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err() {
                    steps.sync();
                }
                tokio::time::sleep(chance.pause(slowness)).await;
                while steps.commit() {
                    if chance.one_in(8) {
                        steps.checkpoint();
                    }
                }
                if closing.is_asked() {
                    steps.end();
                    return closing.tell();
                }
            }
        });
    }

    /// Forgets what is old, releases what is due, and sets the clock.
    pub(crate) fn keep_store(&self, tasks: &mut JoinSet<()>, store: &Arc<Timed>) {
        let (store, clock) = (Arc::clone(store), self.clock.clone());
        tasks.spawn(async move {
            loop {
                // What fails is tried again.
                let _ = store.sweep(clock.wall()).await;
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        });
    }

    pub(crate) fn keep_jumping(&self, tasks: &mut JoinSet<()>) {
        if !self.chance.one_in(4) {
            return;
        }
        let (clock, chance, trace) = (self.clock.clone(), self.chance.clone(), self.trace.clone());
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(chance.below(10_000))).await;
                let by = chance.below(120_000) as i64 - 60_000;
                trace.note(format_args!("the clock is set by {by} ms"));
                clock.jump(by);
            }
        });
    }
}
