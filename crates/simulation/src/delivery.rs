//! The whole way of a message: the scheduler, the lanes, sessions and the store, with clients over a bad network.

use std::sync::Arc;
use std::time::Duration;

use msgserver_message::{MessageId, Target};
use msgserver_persistence::{Cancelled, Store, StoreError};
use msgserver_pool::{Reactor, ShardedPool};
use msgserver_protocol::{Bar, Encoder, Json, LengthPrefixed};
use msgserver_queue::LaneQueue;
use msgserver_scheduler::{Door, Parts, Publication, PublishError, Scheduler, Settings};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Client;
use crate::fate::Answer;
use crate::network::Network;
use crate::order::Order;
use crate::publisher::Counter;
use crate::timed::Timed;
use crate::world::World;
use crate::{stop, topics};

/// How long it may take until everything has arrived when there are no more faults.
const REST: Duration = Duration::from_secs(600);

/// What happens on the way beside what always does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Course {
    /// Half of the orders are for topics, and clients begin to follow some and end it.
    pub(crate) has_topics: bool,
    /// The server is told to stop in the midst of it, half of the times, and when all is over.
    pub(crate) has_stops: bool,
}

/// Runs a server through a few lives.
pub(crate) fn run(world: &mut World, course: Course) {
    if course.has_topics {
        topics::begin(world);
    }
    let settings = settings(world);
    for _ in 0..world.chance.between(1, 4) {
        let doom = world.doom();
        let is_stopped = course.has_stops && world.chance.one_in(2);
        world.live(Some(if is_stopped { stop::ORDERLY } else { doom }), async |world: &mut World| {
            let (mut tasks, noted) = (JoinSet::new(), world.noted.take());
            if let Some((scheduler, store)) = begin(world, &mut tasks, &settings, course, false) {
                stop::check(world, &store, noted).await;
                world.keep_jumping(&mut tasks);
                let counter = Arc::new(AtServer(scheduler.clone()));
                for _ in 0..world.chance.between(1, 3) {
                    let publishers = world.publishers.clone();
                    tasks.spawn(publishers.publish(Arc::clone(&counter), Duration::from_millis(500)));
                }
                if is_stopped {
                    tokio::time::sleep(doom.after).await;
                    return stop::stop(world, &scheduler, &store).await;
                }
                std::future::pending::<()>().await;
            }
        });
        if world.auditor.broken().is_some() {
            return;
        }
    }
    world.live(None, async |world: &mut World| {
        let (mut tasks, noted) = (JoinSet::new(), world.noted.take());
        world.catch_up_clock();
        if let Some((scheduler, store)) = begin(world, &mut tasks, &settings, course, true) {
            stop::check(world, &store, noted).await;
            world.publishers.settle(&AtServer(scheduler.clone())).await;
            // Whoever is connected stays so, and has to get what could not be read at first.
            tokio::time::sleep(Duration::from_secs(20)).await;
            store.heal();
            rest(world, &store).await;
            if course.has_topics {
                world.auditor.check_retention(&store).await;
            }
            if course.has_stops {
                let here = world.auditor.who_is_here();
                stop::stop(world, &scheduler, &store).await;
                tokio::time::sleep(Duration::from_secs(5)).await;
                world.auditor.check_told(&here);
            }
        }
    });
    if course.has_stops && world.auditor.broken().is_none() {
        world.live(None, async |world: &mut World| {
            let noted = world.noted.take();
            if let Some((store, _)) = world.open() {
                stop::check(world, &store, noted).await;
            }
        });
    }
}

fn settings(world: &World) -> Settings {
    let chance = &world.chance;
    let mut settings = Settings {
        window: chance.between(1, 40) as usize,
        outbox_limit: 1 << chance.between(6, 17),
        ack_timeout: Duration::from_millis(chance.between(500, 10_000)),
        max_parallel: chance.between(1, 4) as usize,
        queue_buffer_len: 1 << chance.below(8),
        // One row of chances, and not two.
        return_within: Duration::ZERO,
        ..Settings::default()
    };
    settings.reactor.heartbeat = Duration::from_secs(chance.between(5, 20));
    settings
}

/// Starts a server and its clients; nothing if the store did not open.
fn begin(
    world: &World,
    tasks: &mut JoinSet<()>,
    settings: &Settings,
    course: Course,
    is_calm: bool,
) -> Option<(Scheduler, Arc<Timed>)> {
    let (store, steps) = world.open()?;
    world.keep_writing(tasks, &store, steps);
    let door = |encoder| Door { encoder, encryption: None, max_connections: None };
    let parts = Parts {
        pool: Arc::new(ShardedPool::default()),
        queue: Arc::new(LaneQueue::default()),
        store: Some(Arc::clone(&store) as Arc<dyn Store>),
        doors: vec![
            door(Encoder::new(LengthPrefixed, Json).expect("they go together")),
            door(Encoder::new(Bar, Json).expect("they go together")),
        ],
        filter: None,
        authentication: None,
        failed_callback: None,
        witness: None,
    };
    let network = Network::default();
    let mut turns = None;
    let scheduler = Scheduler::simulated(parts, settings.clone(), |events| {
        let stirs = Arc::clone(&network.stirs);
        let now = Instant::now().into_std();
        let (reactor, of_reactor) =
            Reactor::in_turns(&settings.reactor, events, now, move || stirs.notify_one())?;
        turns = Some(of_reactor);
        Ok(reactor)
    });
    let (scheduler, mut turns) = (scheduler.ok()?, turns?);
    let (of_reactor, chance) = (network.clone(), world.chance.clone());
    tasks.spawn(async move {
        while turns.turn(&of_reactor.take_ready(), Instant::now().into_std()) {
            let patience = turns.patience(Instant::now().into_std());
            let _ = tokio::time::timeout(patience, of_reactor.stirs.notified()).await;
            tokio::time::sleep(chance.pause(Duration::from_millis(4))).await;
        }
    });
    // What is in flight of a topic that a device leaves is so no more, and its client cannot know.
    let is_exact = !world.publishers.habits.ttl && !world.is_limited() && !course.has_topics;
    for (n, (user, device)) in world.devices.iter().enumerate() {
        let client = Client {
            user: user.clone(),
            device: device.clone(),
            door: usize::from(world.is_old(n)),
            network: network.clone(),
            scheduler: scheduler.clone(),
            store: Arc::clone(&store),
            auditor: world.auditor.clone(),
            chance: world.chance.clone(),
            window: is_exact.then_some(settings.window),
            is_calm,
            has_wishes: course.has_topics && !is_calm,
        };
        // Some connect twice at a time, and the later one takes the place of the earlier.
        if !is_calm && !course.has_topics && !world.is_old(n) && world.chance.one_in(4) {
            tasks.spawn(client.clone().live());
        }
        tasks.spawn(client.live());
    }
    Some((scheduler, store))
}

/// No more faults and no more orders: everything arrives and goes.
async fn rest(world: &World, store: &Timed) {
    let until = Instant::now() + REST;
    loop {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let missing = world.auditor.missing();
        let scheduled =
            !matches!(store.release_due(world.clock.wall(), 0).await, Ok(due) if due.next.is_none());
        let stored = store.stored().await.unwrap_or(u64::MAX);
        if world.auditor.broken().is_some() || (!scheduled && missing.is_none() && stored == 0) {
            return;
        }
        if Instant::now() > until {
            return world.auditor.at_rest(missing, scheduled, stored);
        }
        for (user, device) in &world.devices {
            let devices = store.devices(user).await.unwrap_or_default();
            for known in devices.iter().filter(|known| known.device == *device) {
                world.auditor.check_cursor(user, device, known.acknowledged);
            }
        }
    }
}

/// Publishing to the server.
struct AtServer(Scheduler);

impl Counter for AtServer {
    async fn publish(&self, orders: &[Order]) -> Vec<(Answer, String)> {
        let publications = orders.iter().map(publication).collect();
        let answers = self.0.publish_batch(publications).await;
        let told = answers.into_iter().map(|answer| match answer {
            Ok(published) => (Answer::Taken, published.state.as_str().to_owned()),
            Err(fault @ PublishError::Store(StoreError::Full { .. } | StoreError::Conflict(_)))
            | Err(fault @ PublishError::Overloaded { .. }) => (Answer::Refused, fault.to_string()),
            Err(fault) => (Answer::Unknown, fault.to_string()),
        });
        told.collect()
    }

    async fn cancel(&self, id: MessageId) -> Option<bool> {
        let cancelled = self.0.cancel(id).await.ok()?;
        Some(matches!(cancelled, Cancelled::TakenBack(_)))
    }
}

fn publication(order: &Order) -> Publication {
    let target = match (&order.topic, &order.users[..]) {
        (Some(topic), _) => Target::Topic(topic.clone()),
        (None, [user]) => Target::User(user.clone()),
        (None, users) => Target::Users(users.to_vec()),
    };
    Publication {
        id: order.id,
        ttl: order.ttl,
        deliver_at: order.deliver_at,
        priority: order.priority,
        collapse_key: order.collapse_key.clone(),
        if_full: order.if_full,
        ..Publication::new(target, order.content())
    }
}
