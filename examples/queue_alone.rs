//! The queue alone: several workers, and still one user's jobs one after the other. Nothing here knows of sockets.
//!
//! `cargo run -p msgserver-examples --bin queue_alone`

use std::collections::HashMap;
use std::sync::Mutex;

use msgserver_message::UserId;
use msgserver_queue::{LaneQueue, Queue};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let queue = LaneQueue::default();
    let users = ["ada", "bob", "cyd"].map(UserId::new);
    let users = users.into_iter().collect::<Result<Vec<_>, _>>()?;
    for job in 0..1000 {
        for user in &users {
            queue.push(user, job);
        }
    }

    let done: Mutex<HashMap<UserId, Vec<i32>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(mut lane) = queue.take() {
                    // A hundred at a time; until the lane is given back nobody else gets this user's jobs.
                    let rest = lane.jobs.split_off(lane.jobs.len().min(100));
                    let mut done = done.lock().expect("no worker panics");
                    done.entry(lane.user.clone()).or_default().extend(lane.jobs);
                    drop(done);
                    queue.give_back(&lane.user, rest, None);
                }
            });
        }
    });

    let done = done.into_inner()?;
    for user in users {
        let jobs = &done[&user];
        println!("{user}: {} jobs, in order: {}", jobs.len(), jobs.is_sorted());
    }
    Ok(())
}
