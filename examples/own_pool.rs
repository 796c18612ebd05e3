//! A pool of your own: the default one, and a mark of how many sessions there were at most.
//!
//! `cargo run -p msgserver-examples --bin own_pool`, and connect with `nc 127.0.0.1 3366`, several times.
//! Each line that you type is answered with the mark.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use msgserver::{Pool, Server, Session, Sessions, ShardedPool, UserId};
use msgserver_examples::open;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[derive(Default)]
struct HighWater {
    pool: ShardedPool,
    most: AtomicUsize,
}

impl Pool for HighWater {
    fn name(&self) -> &str {
        "high-water"
    }

    fn insert(&self, session: Arc<Session>) -> Vec<Arc<Session>> {
        let earlier = self.pool.insert(session);
        self.most.fetch_max(self.pool.sessions(), Ordering::Relaxed);
        earlier
    }

    fn remove(&self, session: &Session) {
        self.pool.remove(session);
    }

    fn sessions_of(&self, user: &UserId) -> Sessions {
        self.pool.sessions_of(user)
    }

    fn for_each(&self, each: &mut dyn FnMut(&Arc<Session>)) {
        self.pool.for_each(each);
    }

    fn sessions(&self) -> usize {
        self.pool.sessions()
    }

    fn users(&self) -> usize {
        self.pool.users()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Arc::new(HighWater::default());
    let server = Server::builder().pool(Arc::clone(&pool)).build()?;
    open(&server).await?;
    let mut lines = BufReader::new(stdin()).lines();
    while lines.next_line().await?.is_some() {
        println!("{} now, {} at most", server.online_count(), pool.most.load(Ordering::Relaxed));
    }
    Ok(())
}
