//! The sessions of this server.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use msgserver_message::{DeviceId, Seq, UserId};
use parking_lot::Mutex;
use tokio::sync::MutexGuard;

/// Openings and leavings of one device go one after the other, as Redis would not know which was first. A user
/// has one of so many turns.
const TURNS: usize = 256;

/// How many sessions each device has at this server.
///
/// Redis knows of a server only that a device is connected there, so that it can be told again after anything
/// that went wrong.
pub(super) struct Sessions {
    live: Mutex<HashMap<(UserId, DeviceId), u32>>,
    /// Devices whose last session has ended, which Redis could not be told.
    ended: Mutex<HashMap<(UserId, DeviceId), Seq>>,
    turns: [tokio::sync::Mutex<()>; TURNS],
    hasher: RandomState,
}

impl Sessions {
    pub(super) fn new() -> Self {
        let turns = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Self { live: Mutex::default(), ended: Mutex::default(), turns, hasher: RandomState::new() }
    }

    /// The turn of a user; to be held while Redis is told.
    pub(super) async fn turn(&self, user: &UserId) -> MutexGuard<'_, ()> {
        let turn = self.hasher.hash_one(user) % TURNS as u64;
        self.turns[usize::try_from(turn).expect("less than 256")].lock().await
    }

    /// Counts a session that begins.
    pub(super) fn begin(&self, user: &UserId, device: &DeviceId) {
        let key = (user.clone(), device.clone());
        self.ended.lock().remove(&key);
        *self.live.lock().entry(key).or_default() += 1;
    }

    /// Counts a session that ends, and says whether it was the last one.
    pub(super) fn end(&self, user: &UserId, device: &DeviceId) -> bool {
        let key = (user.clone(), device.clone());
        let mut live = self.live.lock();
        match live.get_mut(&key) {
            Some(count) if *count > 1 => {
                *count -= 1;
                false
            }
            _ => {
                live.remove(&key);
                true
            }
        }
    }

    pub(super) fn is_live(&self, user: &UserId, device: &DeviceId) -> bool {
        self.live.lock().contains_key(&(user.clone(), device.clone()))
    }

    pub(super) fn live(&self) -> Vec<(UserId, DeviceId)> {
        self.live.lock().keys().cloned().collect()
    }

    /// Keeps in mind that Redis has to be told of an end.
    pub(super) fn tell_later(&self, user: &UserId, device: &DeviceId, sent: Seq) {
        self.ended.lock().insert((user.clone(), device.clone()), sent);
    }

    pub(super) fn to_tell(&self) -> Vec<((UserId, DeviceId), Seq)> {
        self.ended.lock().iter().map(|(whose, sent)| (whose.clone(), *sent)).collect()
    }

    pub(super) fn told(&self, user: &UserId, device: &DeviceId) {
        self.ended.lock().remove(&(user.clone(), device.clone()));
    }
}
