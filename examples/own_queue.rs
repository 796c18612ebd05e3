//! A queue of your own: some users go before the others.
//!
//! `cargo run -p msgserver-examples --bin own_queue` sends to three users who are not there, and says in which
//! order it tried.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use msgserver::{Content, Job, Lane, LaneQueue, Queue, Server, Settings, UserId};

struct Preferred {
    users: HashSet<UserId>,
    first: LaneQueue<Job>,
    others: LaneQueue<Job>,
}

impl Preferred {
    /// A user's lane is always in the same queue, so the user's own order stays.
    fn queue_of(&self, user: &UserId) -> &LaneQueue<Job> {
        if self.users.contains(user) { &self.first } else { &self.others }
    }
}

impl Queue<Job> for Preferred {
    fn name(&self) -> &str {
        "preferred"
    }

    fn push(&self, user: &UserId, job: Job) {
        self.queue_of(user).push(user, job);
    }

    fn take(&self) -> Option<Lane<Job>> {
        self.first.take().or_else(|| self.others.take())
    }

    fn give_back(&self, user: &UserId, rest: VecDeque<Job>, again: Option<Instant>) {
        self.queue_of(user).give_back(user, rest, again);
    }

    fn wake(&self, user: &UserId) {
        self.queue_of(user).wake(user);
    }

    fn wake_due(&self, now: Instant) -> Option<Instant> {
        [self.first.wake_due(now), self.others.wake_due(now)].into_iter().flatten().min()
    }

    fn len(&self) -> usize {
        self.first.len() + self.others.len()
    }
}

// On one thread, so that everything is in the queue before the first of it is taken.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let queue = Preferred {
        users: HashSet::from([UserId::new("ada")?]),
        first: LaneQueue::default(),
        others: LaneQueue::default(),
    };
    let (tried, mut tries) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::builder()
        .queue(Arc::new(queue))
        .settings(Settings { resend_times: 0, ..Settings::default() })
        .failed_callback(move |failed| drop(tried.send(failed.user.clone())))
        .build()?;
    for user in ["cyd", "bob", "ada"] {
        server.sender().send_message(Content::text("hello"), UserId::new(user)?).await?;
    }
    for _ in 0..3 {
        println!("tried {}", tries.recv().await.ok_or("the server has ended")?);
    }
    Ok(())
}
