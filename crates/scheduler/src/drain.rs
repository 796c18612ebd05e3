//! The end of a server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use msgserver_persistence::Store;
use msgserver_pool::{CloseReason, Session};
use tokio::time::Instant;

use crate::Scheduler;
use crate::core::{Core, STORE_PATIENCE};

/// How often to look whether everything is settled.
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Scheduler {
    /// Waits until the server stops: what takes long can be broken off then.
    pub async fn stopping(&self) {
        // It fails only once the scheduler is gone, and then it has stopped.
        let _ = self.core.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Stops: no more connections and publications; what is being published is answered, and what is on its way is
    /// written as far as clients take it; then `bye` to who understands it, and the store is closed. All within
    /// `patience`, but that a store has a second at least to take the last acknowledgements, and one to close.
    pub async fn stop(&self, patience: Duration) {
        let core = &self.core;
        core.closed.store(true, Ordering::Relaxed);
        core.stopping.send_replace(true);
        let deadline = Instant::now() + patience;
        core.settle(deadline - (patience / 4).min(STORE_PATIENCE)).await;
        for session in core.sessions() {
            core.dismiss(&session, CloseReason::ShuttingDown);
        }
        core.reactor().begin_to_stop();
        while !core.reactor().has_stopped() && Instant::now() < deadline + STORE_PATIENCE {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if let Some(store) = &core.parts.store {
            core.close(&**store, deadline).await;
        }
    }
}

impl Core {
    /// Waits until everything is answered and written, or until `deadline`.
    async fn settle(&self, deadline: Instant) {
        let mut sessions = None;
        while Instant::now() < deadline {
            let handed_on = self.intake.is_empty()
                && self.parts.queue.is_empty()
                && self.reactor().notices_waiting() == 0;
            if handed_on || sessions.is_some() {
                // Each has to be seen once with nothing on its way: some say something all the time, and are answered.
                let unsettled = sessions.get_or_insert_with(|| self.sessions());
                unsettled.retain(|session| !session.is_settled());
                if unsettled.is_empty() {
                    break;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        let mut sessions = Vec::new();
        self.parts.pool.for_each(&mut |session| sessions.push(Arc::clone(session)));
        // In the order in which they came, and not in one that chance has made.
        sessions.sort_unstable_by_key(|session| session.id());
        sessions
    }

    /// Has a store take what is still on its way to it, and end. One that is away must not keep the server from
    /// ending.
    async fn close(&self, store: &dyn Store, deadline: Instant) {
        let deadline = || deadline.max(Instant::now() + STORE_PATIENCE);
        // Where devices stand and what they have acknowledged.
        self.notes.close();
        let noted = async {
            self.notes.wait().await;
            self.receipts.write(store).await
        };
        match tokio::time::timeout_at(deadline(), noted).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::warn!(%fault, "the last receipts are lost"),
            Err(_) => tracing::warn!("the store did not take the last acknowledgements in time"),
        }
        match tokio::time::timeout_at(deadline(), store.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::error!(%fault, "the store was not closed"),
            Err(_) => tracing::error!("the store was not closed in time"),
        }
    }
}
