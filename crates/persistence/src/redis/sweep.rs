//! What is old goes.

use futures_util::future::try_join_all;
use msgserver_message::{DeviceId, Timestamp, UserId};

use super::keys::SHARDS;
use super::{Shared, millis, together};
use crate::{StoreError, Swept};

/// How many users of a shard are looked at in one sweep.
const USERS: usize = 64;

/// And how many messages of a shard are forgotten.
const ROWS: usize = 256;

impl Shared {
    /// Forgets a device that is not connected.
    pub(super) async fn forget(&self, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
        let (_, steps) = self.inboxes.sweep(user, Timestamp::now(), Some(device)).await?;
        self.make_steps(steps).await
    }

    /// Forgets what was known long enough, and looks at users who have something to clear up.
    pub(super) async fn sweep(&self, now: Timestamp) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let mut steps = Vec::new();
        let index = &self.inboxes.index;
        let due = try_join_all((0..SHARDS).map(|shard| index.due(shard, millis(now), USERS))).await?;
        (swept.receipts, swept.more) = self.messages.age(now, ROWS).await?;
        swept.more |= due.iter().any(|due| due.len() == USERS);
        let mut sweeping = Vec::new();
        for (user, due) in due.into_iter().flatten() {
            sweeping.push(async move {
                let (cleared, steps) = self.inboxes.sweep(&user, now, None).await?;
                if cleared.gone {
                    index.forget(&user, due).await?;
                }
                Ok::<_, StoreError>((cleared, steps))
            });
        }
        for cleared in together(sweeping).await {
            let (cleared, mut more) = cleared?;
            swept.expired += cleared.expired;
            swept.devices += cleared.forgotten;
            swept.more |= cleared.more;
            steps.append(&mut more);
        }
        swept.more |= self.topics.sweep(now).await?;
        // Before the next sweep, which would find the same users.
        index.write_noted().await?;
        self.make_steps(steps).await?;
        Ok(swept)
    }
}
