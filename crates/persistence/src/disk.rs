//! Inboxes in a directory.

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use msgserver_message::{DeviceId, MessageId, Receipt, Seq, Step, Timestamp, UserId};
use parking_lot::Mutex;
use redb::{Database, DatabaseError, ReadableDatabase};
use tokio::sync::oneshot;

use self::tables::Snapshot;
use self::writer::{Change, Job, Work, Writer};
use crate::inboxes::{self, Sweeper};
use crate::{
    Append, Appended, Cancelled, Cursor, Device, Due, Entry, Inbox, Limits, Store, StoreError, Swept,
};

mod tables;
mod writer;

const NAME: &str = "disk";

/// How much of the file is kept in memory. What waits longest is read last, so a large cache gains little; and a
/// backlog must not become the server's memory, which it would under the engine's own 1 GiB.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// How often a sweep looks at users whose messages and devices have no end of their own.
const WALK_EVERY: Duration = Duration::from_secs(60);

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
    /// Which process this is of all that have had the directory.
    process: u64,
    /// Why the last transaction failed, if it did.
    fault: Arc<Mutex<Option<StoreError>>>,
    limits: Limits,
    /// When a sweep last looked at users whose messages and devices have no end of their own.
    walked: Mutex<Timestamp>,
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
        Self::with_limits(directory, Limits::default())
    }

    /// As [`DiskStore::open`], with other limits.
    ///
    /// # Errors
    /// As [`DiskStore::open`].
    pub fn with_limits(directory: impl AsRef<Path>, limits: Limits) -> Result<Self, StoreError> {
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
        let process = tables::prepare(&database).map_err(|e| fault(&e))?;
        let fault_of_last = Arc::new(Mutex::new(None));
        let (work, waiting) = mpsc::channel();
        let writer = Writer {
            database: Arc::clone(&database),
            limits,
            process,
            fault: Arc::clone(&fault_of_last),
            sweeper: Sweeper::default(),
        };
        let thread = std::thread::Builder::new()
            .name("disk store".to_owned())
            .spawn(move || writer.run(&waiting))
            .map_err(|e| fault(&e))?;
        Ok(Self {
            open: Mutex::new(Some(Open { database, work, thread })),
            process,
            fault: fault_of_last,
            limits,
            walked: Mutex::new(Timestamp::from_millis(0)),
        })
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        self.open.lock().as_ref().map(|open| Arc::clone(&open.database)).ok_or(closed())
    }

    /// Has the writer do something; done once it is on disk.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Change<'_, '_>, &mut Sweeper) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        {
            let open = self.open.lock();
            let job = Job::new(work, reply);
            open.as_ref().ok_or(closed())?.work.send(Box::new(job)).map_err(|_| stopped())?;
        }
        answer.await.map_err(|_| stopped())?
    }

    /// What was written last.
    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.database()?.begin_read().map(Snapshot).map_err(unavailable)
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

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, StoreError>> {
        let count = batch.len();
        let appended = self
            .write(move |inboxes, _| {
                // A refusal is one message's; a fault of the disk is everybody's.
                let append = |append| match inboxes.append(append) {
                    Err(fault @ (StoreError::Conflict(_) | StoreError::Full { .. })) => Ok(Err(fault)),
                    outcome => outcome.map(Ok),
                };
                batch.iter().map(append).collect::<Result<Vec<_>, _>>()
            })
            .await;
        appended.unwrap_or_else(|fault| vec![Err(fault); count])
    }

    async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        let (user, device) = (user.clone(), device.clone());
        self.write(move |inboxes, _| inboxes.open(&user, &device)).await
    }

    async fn leave(&self, user: &UserId, device: &DeviceId, sent: Seq) -> Result<(), StoreError> {
        let (user, device) = (user.clone(), device.clone());
        self.write(move |inboxes, _| inboxes.leave(&user, &device, sent)).await
    }

    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        inboxes::read(&self.snapshot()?, user, after, limit, Timestamp::now())
    }

    async fn acknowledge(&self, user: &UserId, device: &DeviceId, upto: Seq) -> Result<(), StoreError> {
        let (user, device) = (user.clone(), device.clone());
        self.write(move |inboxes, _| inboxes.acknowledge(&user, &device, upto)).await
    }

    async fn cancel(&self, id: MessageId) -> Result<Cancelled, StoreError> {
        self.write(move |inboxes, _| inboxes.cancel(id)).await
    }

    async fn release_due(&self, now: Timestamp, limit: usize) -> Result<Due, StoreError> {
        // Most of the time nothing is due, and that is seen without a transaction.
        let next = inboxes::next_due(&self.snapshot()?)?;
        if next.is_none_or(|next| next > now) {
            return Ok(Due { next, ..Due::default() });
        }
        self.write(move |inboxes, _| inboxes.at(now).release_due(limit)).await
    }

    async fn record(&self, steps: Vec<(MessageId, Vec<Step>)>) -> Result<(), StoreError> {
        self.write(move |inboxes, _| inboxes.record(&steps)).await
    }

    async fn receipt(&self, id: MessageId) -> Result<Option<Receipt>, StoreError> {
        inboxes::receipt(&self.snapshot()?, id)
    }

    async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError> {
        inboxes::inbox(&self.snapshot()?, user)
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, StoreError> {
        inboxes::devices(&self.snapshot()?, user, self.process)
    }

    async fn sweep(&self, now: Timestamp) -> Result<Swept, StoreError> {
        {
            // Without a transaction, and so without a sync, when there is nothing to do.
            let mut walked = self.walked.lock();
            let walk_again = walked.saturating_add(WALK_EVERY) <= now;
            if !walk_again && inboxes::is_tidy(&self.snapshot()?, &self.limits, now)? {
                return Ok(Swept::default());
            }
            *walked = now;
        }
        self.write(move |inboxes, sweeper| inboxes.at(now).sweep(sweeper)).await
    }

    async fn stored(&self) -> Result<u64, StoreError> {
        inboxes::stored(&self.snapshot()?)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.snapshot()?;
        self.fault.lock().clone().map_or(Ok(()), Err)
    }

    async fn close(&self) -> Result<(), StoreError> {
        let Some(open) = self.open.lock().take() else { return Ok(()) };
        // Off the runtime's thread: what waits may need a while on a slow disk.
        tokio::task::spawn_blocking(move || open.end()).await.map_err(|_| stopped())?;
        self.fault.lock().clone().map_or(Ok(()), Err)
    }
}
