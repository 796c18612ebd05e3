//! The server's decisions under a simulated clock, network and disk, from a seed.
//!
//! The real code runs: the rules of inboxes, the journal and its recovery, the scheduler with its lanes, the sessions
//! and what a reactor's thread does. Simulated are only the edges: time, sockets, the disk, randomness. The process dies again and again, at any call of the disk or at any moment, and what was not
//! synced is gone, in parts and in any order. An [`Auditor`](Promise) knows what was promised to whom, and names the
//! first promise that is broken.
//!
//! One seed is one run, and the same seed is the same run: [`run`] gives its trace.
//!
//! ```
//! use msgserver_simulation::{Scene, run};
//!
//! let [first, second] = [run(Scene::Inboxes, 7), run(Scene::Inboxes, 7)];
//! assert_eq!(first.broken, None);
//! assert_eq!(first.trace, second.trace);
//! ```

use std::fmt;

mod auditor;
mod books;
mod chance;
mod client;
mod clock;
mod delivery;
mod device;
mod disk;
mod fate;
mod following;
mod inboxes;
mod network;
mod order;
mod promise;
mod publisher;
mod stop;
mod timed;
mod topics;
mod trace;
mod world;

use delivery::Course;
pub use promise::{Broken, Promise};

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scene {
    /// The store alone.
    Inboxes,
    /// The whole way of a message, from its publisher to the devices.
    Delivery,
    /// The same, with topics: what clients follow, what is published there, and what the logs hold.
    Topics,
    /// The same, with servers that are told to stop.
    Stops,
}

impl Scene {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Inboxes, Self::Delivery, Self::Topics, Self::Stops];
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inboxes => "inboxes",
            Self::Delivery => "delivery",
            Self::Topics => "topics",
            Self::Stops => "stops",
        })
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The first promise that was broken, if one was.
    pub broken: Option<Broken>,
    /// What has happened, line by line.
    pub trace: Vec<String>,
}

/// Runs a scene from a seed.
#[must_use]
pub fn run(scene: Scene, seed: u64) -> Outcome {
    let mut world = world::World::new(seed);
    msgserver_message::simulation::set_edge(Some(Box::new(world.clock.clone())));
    match scene {
        Scene::Inboxes => inboxes::run(&mut world),
        Scene::Delivery => delivery::run(&mut world, Course::default()),
        Scene::Topics => delivery::run(&mut world, Course { has_topics: true, ..Course::default() }),
        Scene::Stops => delivery::run(&mut world, Course { has_stops: true, ..Course::default() }),
    }
    msgserver_message::simulation::set_edge(None);
    Outcome { broken: world.auditor.broken(), trace: world.trace.into_lines() }
}
