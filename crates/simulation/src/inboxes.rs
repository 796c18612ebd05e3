//! The store alone: publishers append, devices read and acknowledge, and the process dies again and again.

use std::sync::Arc;
use std::time::Duration;

use msgserver_message::{DeviceId, MessageId, Seq, UserId};
use msgserver_persistence::{Appended, Cancelled, Store, StoreError};
use tokio::task::JoinSet;

use crate::auditor::Auditor;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::fate::Answer;
use crate::order::{self, Order};
use crate::publisher::Counter;
use crate::timed::Timed;
use crate::world::World;

/// How long it may take until everything has arrived when there are no more faults.
const REST: Duration = Duration::from_secs(300);

/// Runs the store through a few lives.
pub(crate) fn run(world: &mut World) {
    for _ in 0..world.chance.between(1, 4) {
        let doom = world.doom();
        world.live(Some(doom), async |world: &mut World| {
            let mut tasks = JoinSet::new();
            if begin(world, &mut tasks).await {
                std::future::pending::<()>().await;
            }
        });
        if world.auditor.broken().is_some() {
            return;
        }
    }
    world.live(None, async |world: &mut World| {
        world.catch_up_clock();
        rest(world).await;
    });
}

/// Starts everything; whether the store did open.
async fn begin(world: &World, tasks: &mut JoinSet<()>) -> bool {
    let Some((store, steps)) = world.open() else { return false };
    world.keep_writing(tasks, &store, steps);
    world.keep_store(tasks, &store);
    world.keep_jumping(tasks);
    let (releasing, clock, chance) = (Arc::clone(&store), world.clock.clone(), world.chance.clone());
    tasks.spawn(async move {
        loop {
            let _ = releasing.release_due(clock.wall(), chance.between(1, 3) as usize).await;
            tokio::time::sleep(chance.pause(Duration::from_secs(1))).await;
        }
    });
    for (user, device) in &world.devices {
        tasks.spawn(Client::new(world, &store, user, device).live());
    }
    let counter = Arc::new(AtStore { store: Arc::clone(&store), clock: world.clock.clone() });
    for _ in 0..world.chance.between(1, 3) {
        tasks.spawn(world.publishers.clone().publish(Arc::clone(&counter), Duration::from_millis(500)));
    }
    true
}

/// No more faults and no more orders: everything arrives and goes.
async fn rest(world: &World) {
    let mut tasks = JoinSet::new();
    let Some((store, steps)) = world.open() else { return };
    world.keep_writing(&mut tasks, &store, steps);
    store.heal();
    let counter = AtStore { store: Arc::clone(&store), clock: world.clock.clone() };
    world.publishers.settle(&counter).await;
    let until = tokio::time::Instant::now() + REST;
    loop {
        let due = store.release_due(world.clock.wall(), 100).await;
        for (user, device) in &world.devices {
            // What fails is told by the auditor.
            let _ = Client::new(world, &store, user, device).session(true).await;
        }
        let _ = store.sweep(world.clock.wall()).await;
        let scheduled = !matches!(due, Ok(due) if due.next.is_none());
        let missing = world.auditor.missing();
        let stored = store.stored().await.unwrap_or(u64::MAX);
        if world.auditor.broken().is_some() || (!scheduled && missing.is_none() && stored == 0) {
            return;
        }
        if tokio::time::Instant::now() > until {
            return world.auditor.at_rest(missing, scheduled, stored);
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// Publishing to the store itself.
struct AtStore {
    store: Arc<Timed>,
    clock: Clock,
}

impl Counter for AtStore {
    async fn publish(&self, orders: &[Order]) -> Vec<(Answer, String)> {
        let now = self.clock.wall();
        let answers = self.store.append(orders.iter().map(|order| order.append(now)).collect()).await;
        answers.into_iter().map(told).collect()
    }

    async fn cancel(&self, id: MessageId) -> Option<bool> {
        let cancelled = self.store.cancel(id).await.ok()?;
        Some(matches!(cancelled, Cancelled::TakenBack(_)))
    }
}

fn told(answer: Result<Appended, StoreError>) -> (Answer, String) {
    match answer {
        Ok(Appended::New(seqs)) => {
            let seqs: Vec<_> = seqs.iter().map(|(user, seq)| format!("{user}:{seq}")).collect();
            (Answer::New, seqs.join(" "))
        }
        Ok(Appended::Scheduled) => (Answer::New, "scheduled".to_owned()),
        Ok(Appended::Duplicate) => (Answer::Duplicate, String::new()),
        Err(fault @ (StoreError::Full { .. } | StoreError::Conflict(_))) => {
            (Answer::Refused, fault.to_string())
        }
        Err(fault) => (Answer::Unknown, fault.to_string()),
    }
}

/// A device that reads from the store.
struct Client {
    user: UserId,
    device: DeviceId,
    store: Arc<Timed>,
    auditor: Auditor,
    chance: Chance,
    clock: Clock,
}

impl Client {
    fn new(world: &World, store: &Arc<Timed>, user: &UserId, device: &DeviceId) -> Self {
        Self {
            user: user.clone(),
            device: device.clone(),
            store: Arc::clone(store),
            auditor: world.auditor.clone(),
            chance: world.chance.clone(),
            clock: world.clock.clone(),
        }
    }

    async fn live(self) {
        loop {
            tokio::time::sleep(self.chance.pause(Duration::from_secs(4))).await;
            let _ = self.session(self.chance.one_in(3)).await;
        }
    }

    /// From an opening to a leaving; a whole one gets and acknowledges everything.
    async fn session(&self, whole: bool) -> Result<(), StoreError> {
        let (user, device) = (&self.user, &self.device);
        self.auditor.hello(user, device, true);
        let cursor = self.store.open(user, device).await?;
        self.auditor.welcome(user, device, cursor.acknowledged);
        let mut tail = cursor.acknowledged;
        loop {
            let now = self.clock.wall();
            let entries = self.store.read(user, tail, self.chance.between(1, 20) as usize).await?;
            // The clock may have been set while it was read.
            let now = now.min(self.clock.wall());
            let is_end = entries.is_empty();
            for entry in entries {
                let number = order::number(&entry.message.content);
                let again = entry.seq <= cursor.sent;
                self.auditor.receive(user, device, (Some(entry.seq), number), again, now);
                tail = entry.seq;
            }
            if whole || self.chance.one_in(2) {
                let last = self.auditor.last(user, device);
                self.acknowledge(last).await?;
            }
            if whole && is_end || self.chance.one_in(4) && !whole {
                break;
            }
            tokio::time::sleep(self.chance.pause(Duration::from_secs(1))).await;
        }
        self.store.leave(user, device, tail.max(cursor.sent)).await
    }

    async fn acknowledge(&self, last: Seq) -> Result<(), StoreError> {
        if last == Seq::ZERO {
            return Ok(());
        }
        self.auditor.acknowledge(&self.user, &self.device, last);
        self.store.acknowledge(&self.user, &self.device, last).await?;
        for device in self.store.devices(&self.user).await? {
            if device.device == self.device {
                self.auditor.check_cursor(&self.user, &self.device, device.acknowledged);
            }
        }
        Ok(())
    }
}
