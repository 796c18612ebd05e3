//! Inboxes in a directory.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use async_trait::async_trait;
use msgserver_message::{DeviceId, Message, Seq, UserId};
use parking_lot::Mutex;
use redb::{Database, DatabaseError, ReadableDatabase};
use tokio::sync::oneshot;

use self::tables::{LAST, LOG, Tables};
use self::writer::{Job, Work, Writer};
use crate::fingerprint::fingerprint;
use crate::{Appended, Cursor, Entry, Inbox, Store, StoreError, codec};

mod tables;
mod writer;

const NAME: &str = "disk";

/// How much of the file is kept in memory. What waits longest is read last, so a large cache gains little; and a
/// backlog must not become the server's memory, which it would under the engine's own 1 GiB.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Inboxes in a directory, in one [redb](https://docs.rs/redb) file. Needs no other server.
///
/// One thread writes, and takes all that waits into one transaction: many publishers share one sync of the
/// disk, and each is answered only after it. Dropping the store writes what waits and frees the directory.
///
/// ```no_run
/// use msgserver_persistence::DiskStore;
///
/// let store = DiskStore::open("/var/lib/msgserver")?;
/// # Ok::<(), msgserver_persistence::StoreError>(())
/// ```
#[derive(Debug)]
pub struct DiskStore {
    /// Nothing once closed.
    open: Mutex<Option<Open>>,
    stored: Arc<AtomicU64>,
    /// Why the last transaction failed, if it did.
    fault: Arc<Mutex<Option<StoreError>>>,
}

#[derive(Debug)]
struct Open {
    database: Arc<Database>,
    work: mpsc::Sender<Box<dyn Work>>,
    thread: JoinHandle<()>,
}

impl Open {
    fn end(self) {
        let Self { database, work, thread } = self;
        drop(work);
        if thread.join().is_err() {
            tracing::error!(store = NAME, "the writer ended early");
        }
        drop(database);
    }
}

impl DiskStore {
    /// The inboxes in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another server has the directory, [`StoreError::Unavailable`] if it cannot
    /// be used.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        let fault = |e: &dyn std::fmt::Display| StoreError::Unavailable {
            store: NAME,
            detail: format!("data directory {}: {e}", directory.display()),
        };
        fs::create_dir_all(directory).map_err(|e| fault(&e))?;
        let file = directory.join("inboxes.redb");
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(file).map_err(|e| match e {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                StoreError::InUse(directory.to_owned())
            }
            e => fault(&e),
        })?;
        // A new file is only safe once its directory is.
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(|e| fault(&e))?;

        let database = Arc::new(database);
        let stored = Arc::new(AtomicU64::new(tables::prepare(&database).map_err(|e| fault(&e))?));
        let fault_of_last = Arc::new(Mutex::new(None));
        let (work, waiting) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&database), Arc::clone(&stored), Arc::clone(&fault_of_last));
        let thread = std::thread::Builder::new()
            .name("disk store".to_owned())
            .spawn(move || writer.run(&waiting))
            .map_err(|e| fault(&e))?;
        Ok(Self { open: Mutex::new(Some(Open { database, work, thread })), stored, fault: fault_of_last })
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        self.open.lock().as_ref().map(|open| Arc::clone(&open.database)).ok_or(closed())
    }

    /// Has the writer do something; done once it is on disk.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tables<'_>) -> Result<Result<T, StoreError>, redb::StorageError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        {
            let open = self.open.lock();
            let job = Job::new(work, reply);
            open.as_ref().ok_or(closed())?.work.send(Box::new(job)).map_err(|_| stopped())?;
        }
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        if let Some(open) = self.open.get_mut().take() {
            open.end();
        }
    }
}

fn closed() -> StoreError {
    StoreError::Closed { store: NAME }
}

fn stopped() -> StoreError {
    unavailable("its writer has stopped; start the server again")
}

fn unavailable(e: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable { store: NAME, detail: e.to_string() }
}

#[async_trait]
impl Store for DiskStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_durable(&self) -> bool {
        true
    }

    async fn append(
        &self,
        message: &Arc<Message>,
        users: &[UserId],
        check_id: bool,
    ) -> Result<Appended, StoreError> {
        let print = check_id.then(|| fingerprint(message, users));
        let bytes = codec::encode(message).map_err(unavailable)?;
        let (id, users) = (message.id, users.to_vec());
        self.write(move |tables| {
            let appended = tables.append(id.to_bytes(), print, &bytes, &users)?;
            Ok(appended.ok_or(StoreError::Conflict(id)))
        })
        .await
    }

    async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        let (user, device) = (user.clone(), device.clone());
        self.write(move |tables| tables.open_device(user.as_str(), device.as_str()).map(Ok)).await
    }

    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        if after.get() == u64::MAX {
            return Ok(Vec::new());
        }
        let transaction = self.database()?.begin_read().map_err(unavailable)?;
        let log = transaction.open_table(LOG).map_err(unavailable)?;
        let from = (user.as_str(), after.next().get());
        let range = log.range(from..=(user.as_str(), u64::MAX)).map_err(unavailable)?;
        range
            .take(limit)
            .map(|item| {
                let (key, value) = item.map_err(unavailable)?;
                let seq = Seq::new(key.value().1);
                let message = codec::decode(value.value()).map_err(|e| StoreError::Corrupt {
                    store: NAME,
                    detail: format!("message {seq} of {user}: {e}"),
                })?;
                Ok(Entry { seq, message: Arc::new(message) })
            })
            .collect()
    }

    async fn acknowledge(&self, user: &UserId, device: &DeviceId, upto: Seq) -> Result<(), StoreError> {
        let (user, device) = (user.clone(), device.clone());
        self.write(move |tables| tables.acknowledge(user.as_str(), device.as_str(), upto.get()).map(Ok)).await
    }

    async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError> {
        let transaction = self.database()?.begin_read().map_err(unavailable)?;
        let last = transaction.open_table(LAST).map_err(unavailable)?;
        let last = last.get(user.as_str()).map_err(unavailable)?.map_or(0, |last| last.value());
        let log = transaction.open_table(LOG).map_err(unavailable)?;
        let mut range = log.range((user.as_str(), 0)..=(user.as_str(), u64::MAX)).map_err(unavailable)?;
        // Numbers have no gaps, so the oldest one tells how many there are.
        let oldest = range.next().transpose().map_err(unavailable)?.map(|(key, _)| key.value().1);
        Ok(Inbox { waiting: oldest.map_or(0, |oldest| last + 1 - oldest), last: Seq::new(last) })
    }

    async fn stored(&self) -> Result<u64, StoreError> {
        self.database()?;
        Ok(self.stored.load(Ordering::Relaxed))
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.database()?.begin_read().map_err(unavailable)?;
        self.fault.lock().clone().map_or(Ok(()), Err)
    }

    async fn close(&self) -> Result<(), StoreError> {
        let Some(open) = self.open.lock().take() else { return Ok(()) };
        // Off the runtime's thread: what waits may need a while on a slow disk.
        tokio::task::spawn_blocking(move || open.end()).await.map_err(|_| stopped())?;
        self.fault.lock().clone().map_or(Ok(()), Err)
    }
}
