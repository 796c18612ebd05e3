//! A server that is told to stop.

use std::collections::BTreeMap;
use std::time::Duration;

use msgserver_message::{DeviceId, Seq, UserId};
use msgserver_persistence::Store;
use msgserver_scheduler::Scheduler;
use tokio::time::Instant;

use crate::auditor::Auditor;
use crate::disk::End;
use crate::promise::Promise;
use crate::timed::Timed;
use crate::world::{Doom, World};

/// How much longer than its patience a stop may take, for a store that is slow.
const MORE: Duration = Duration::from_secs(2);

/// How a process ends that is told to: when it has done so, the power fails, and what it left is on the disk.
pub(crate) const ORDERLY: Doom =
    Doom { after: Duration::from_secs(3600), how: End::PowerCut, calls: None, faults: 0 };

/// Up to where each device is known to have acknowledged.
pub(crate) type Noted = BTreeMap<(UserId, DeviceId), Seq>;

/// Stops a server, and holds it to what it owes its clients, its store and whoever waits for it.
pub(crate) async fn stop(world: &mut World, scheduler: &Scheduler, store: &Timed) {
    let patience = Duration::from_millis(world.chance.between(200, 8_000));
    world.trace.note(format_args!("stop within {patience:?}"));
    let began = Instant::now();
    scheduler.stop(patience).await;
    let took = began.elapsed();
    world.trace.note(format_args!("stopped after {took:?}"));
    if took > patience + MORE {
        world.auditor.fail(Promise::StopEndsInTime, format!("it took {took:?}, and {patience:?} were given"));
    }
    world.noted = Some(store.noted());
}

/// What was noted before a stop is there at the next start.
pub(crate) async fn check(world: &World, store: &Timed, noted: Option<Noted>) {
    let Some(noted) = noted else { return };
    for ((user, device), upto) in noted {
        let devices = store.store.devices(&user).await.unwrap_or_default();
        let known = devices.iter().find(|known| known.device == device);
        if known.is_none_or(|known| known.acknowledged < upto) {
            let detail = format!("{user}/{device} had {upto} noted, and is {known:?} after a stop");
            world.auditor.fail(Promise::StopIsWhole, detail);
        }
    }
    let dropped = store.store.recovery().map_or(0, |recovery| recovery.dropped_bytes);
    if dropped > 0 {
        world.auditor.fail(Promise::StopIsWhole, format!("{dropped} bytes were cut short by a stop"));
    }
}

impl Auditor {
    /// A client is told that the server stops, and after how many milliseconds to come again.
    pub(crate) fn bye(&self, user: &UserId, device: &DeviceId, retry_after: Option<u64>) {
        self.trace.note(format_args!("bye {user}/{device}, come again after {retry_after:?} ms"));
        let books = &mut *self.books.lock();
        if retry_after.is_some() {
            books.told.insert((user.clone(), device.clone()));
        }
    }

    /// A connection is over.
    pub(crate) fn gone(&self, user: &UserId, device: &DeviceId, connection: u64) {
        let books = &mut *self.books.lock();
        let log = books.log(user, device);
        log.is_here &= log.connection != connection;
    }

    /// Who is connected, acknowledges, and reads.
    pub(crate) fn who_is_here(&self) -> Vec<(UserId, DeviceId)> {
        let books = &mut *self.books.lock();
        books.told.clear();
        let here = books.devices.iter().filter(|(_, log)| log.is_here && log.acknowledges());
        here.map(|(of, _)| of.clone()).collect()
    }

    /// Each of them was told that the server stops.
    pub(crate) fn check_told(&self, here: &[(UserId, DeviceId)]) {
        let books = &mut *self.books.lock();
        if let Some((user, device)) = here.iter().find(|of| !books.told.contains(of)) {
            let detail = format!("{user}/{device} was connected, and was not told when to come again");
            books.fail(Promise::StopSaysBye, detail);
        }
    }
}
