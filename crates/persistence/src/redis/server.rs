//! This server among the others that use the same Redis.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use msgserver_message::MessageId;
use parking_lot::Mutex;

use super::link::{Ask, Link};
use crate::StoreError;

/// How long a server counts as alive after it last said so.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// How often it says so.
pub(super) const RENEWAL: Duration = Duration::from_secs(2);

/// The name of this server, which it holds by a lease, and what it knows of the others.
///
/// A name lives once: a server whose lease has run out takes another, so that nobody has to tell its old
/// sessions from its new ones.
pub(super) struct Server {
    link: Arc<Link>,
    own: Mutex<Own>,
    others: Mutex<HashMap<String, (bool, Instant)>>,
}

struct Own {
    name: String,
    /// When it last had its lease for sure; nothing while it has none.
    renewed: Option<Instant>,
    /// Since when each renewal has come in time.
    steady_since: Instant,
}

impl Server {
    pub(super) fn new(link: Arc<Link>) -> Self {
        let own = Own { name: fresh_name(), renewed: None, steady_since: Instant::now() };
        Self { link, own: Mutex::new(own), others: Mutex::default() }
    }

    /// The name, as long as nobody can take this server for dead.
    pub(super) fn name(&self) -> Option<String> {
        let own = self.own.lock();
        own.renewed.is_some_and(|at| at.elapsed() < LEASE / 2).then(|| own.name.clone())
    }

    /// Extends the lease. If it has run out, others may have taken this server for dead: then it gets the new name
    /// under which its sessions have to be made known before [`Server::begin`].
    pub(super) async fn renew(&self) -> Result<Option<String>, StoreError> {
        let asked = Instant::now();
        let (name, renewed) = {
            let own = self.own.lock();
            (own.name.clone(), own.renewed)
        };
        if let Some(renewed) = renewed
            && self.set_lease(&name, Some("XX")).await?
        {
            let mut own = self.own.lock();
            if renewed.elapsed() >= LEASE / 2 {
                own.steady_since = asked;
            }
            own.renewed = Some(asked);
            return Ok(None);
        }
        self.own.lock().renewed = None;
        let name = fresh_name();
        self.set_lease(&name, None).await?;
        Ok(Some(name))
    }

    /// Takes a name whose lease was begun, and goes on being, a moment ago.
    pub(super) async fn begin(&self, name: String) -> Result<(), StoreError> {
        let asked = Instant::now();
        self.set_lease(&name, None).await?;
        *self.own.lock() = Own { name, renewed: Some(asked), steady_since: asked };
        Ok(())
    }

    /// Begins or extends a lease, `only_if` it is there (`XX`).
    pub(super) async fn set_lease(&self, name: &str, only_if: Option<&str>) -> Result<bool, StoreError> {
        let mut set = ::redis::cmd("SET");
        set.arg(lease(name)).arg(1).arg(only_if).arg("PX").arg(LEASE.as_millis() as u64);
        Ok(self.link.ask::<Option<String>>(Ask::Command(&set)).await?.is_some())
    }

    /// Gives the lease up: whatever sessions were not ended, are.
    pub(super) async fn end(&self) -> Result<(), StoreError> {
        let name = {
            let mut own = self.own.lock();
            own.renewed = None;
            own.name.clone()
        };
        self.link.ask::<u64>(Ask::Command(::redis::cmd("DEL").arg(lease(&name)))).await.map(drop)
    }

    /// The servers that are known to live and to have died. A dead one stays dead; a living one is looked at
    /// again after a while.
    pub(super) fn others(&self) -> (Vec<String>, Vec<String>) {
        let mut others = self.others.lock();
        others.retain(|_, (alive, seen)| !*alive || seen.elapsed() < LEASE / 2);
        let (mut living, mut dead) = (Vec::new(), Vec::new());
        for (name, (alive, _)) in &*others {
            if *alive { living.push(name.clone()) } else { dead.push(name.clone()) }
        }
        (living, dead)
    }

    /// Finds out whether other servers live.
    ///
    /// A lease that has run out says so only to a server that could renew its own all that time: when Redis
    /// was away, all of them have run out.
    pub(super) async fn look_at(&self, servers: Vec<String>) -> Result<(), StoreError> {
        let was_steady = {
            let own = self.own.lock();
            own.renewed.is_some_and(|at| at.elapsed() < LEASE / 2) && own.steady_since.elapsed() > LEASE
        };
        for server in servers {
            let exists: bool =
                self.link.ask(Ask::Command(::redis::cmd("EXISTS").arg(lease(&server)))).await?;
            self.others.lock().insert(server, (exists || !was_steady, Instant::now()));
        }
        Ok(())
    }
}

/// Of one length, which the scripts count on, and drawn anew by every process.
fn fresh_name() -> String {
    MessageId::generate().to_string()
}

fn lease(server: &str) -> String {
    format!("msgserver:server:{server}")
}
