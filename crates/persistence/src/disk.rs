//! Inboxes in a directory.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use async_trait::async_trait;
use msgserver_message::{DeviceId, MessageId, Receipt, Seq, Step, Timestamp, Topic, TopicFilter, UserId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::checkpoint::Frozen;
use self::engine::{Engine, Sorted};
use self::filesystem::{Filesystem, Local};
use self::journal::Journal;
use self::shared::{AllRows, Checkpoint, Recent, Shared};
use self::writer::{Commit, Job, Work, Writer, at_once, soon};
use crate::inboxes::{Changes, Inboxes, Opened, Reading, Rounds, corrupt};
use crate::listening::Listening;
use crate::{
    Acknowledge, Append, Appended, Cancelled, Cursor, Device, Due, Entry, Inbox, Limits, StepListener, Store,
    StoreError, Swept, TopicLog,
};

mod check;
mod checkpoint;
mod copies;
mod engine;
mod files;
mod filesystem;
mod journal;
mod looking;
mod recovery;
mod salvage;
mod shared;
#[cfg(feature = "simulation")]
pub mod steps;
mod transfer;
mod writer;

pub use self::check::{Checked, Recovery, Stats};
#[cfg(fuzzing)]
pub(crate) use self::journal::read_anything;
pub use self::transfer::{Exported, Imported};

const NAME: &str = "disk";

/// Inboxes in a directory. Needs no other server.
///
/// What changes is added to a journal by one thread, which takes all that waits into one commit: many publishers
/// share one sync of the disk, and each is answered only after it. What has changed lately is in memory as well,
/// up to a fixed amount, and goes from there into sorted files; what was delivered by then never does. So memory
/// does not grow with what waits, and a start reads the last journals only. `docs/store.md` draws the files.
///
/// Dropping the store writes what waits and frees the directory.
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
}

#[derive(Debug)]
struct Open {
    shared: Arc<Shared>,
    work: mpsc::Sender<Box<dyn Work>>,
    /// Nothing where somebody else has the writer and the checkpoints take their steps.
    threads: Option<Threads>,
}

#[derive(Debug)]
struct Threads {
    writer: JoinHandle<()>,
    checkpoints: JoinHandle<()>,
    ending: mpsc::Sender<()>,
}

impl Open {
    fn end(self) {
        let Self { shared, work, threads } = self;
        drop(work);
        let threads = threads.map(|Threads { writer, checkpoints, ending }| {
            drop(ending);
            [writer, checkpoints]
        });
        for thread in threads.into_iter().flatten() {
            if thread.join().is_err() {
                tracing::error!(store = NAME, "a thread of the store ended early");
            }
        }
        drop(shared);
    }
}

impl DiskStore {
    /// The inboxes in a directory, which is made if it is not there, with the limits of [`Limits::default`].
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another server has the directory, [`StoreError::Unavailable`] if it cannot
    /// be used, [`StoreError::Corrupt`] if it holds what this version cannot read.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::with_limits(directory, Limits::default())
    }

    /// The inboxes in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// As [`DiskStore::open`].
    pub fn with_limits(directory: impl AsRef<Path>, limits: Limits) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        Self::open_in(directory, limits).map_err(|fault| named(directory, fault))
    }

    fn open_in(directory: &Path, limits: Limits) -> Result<Self, StoreError> {
        let lock = Some(lock(directory)?);
        let (engine, mended) = Engine::open(directory)?;
        let engine = Box::new(engine);
        let ground =
            Ground { directory, files: Arc::new(Local), engine, mended, lock, limits, freeze: FREEZE };
        let Started { shared, work, writer, waiting, frozen } = ground.start(true)?;
        let (ending, end) = mpsc::channel();
        let checkpoints = {
            let shared = Arc::clone(&shared);
            spawn("disk checkpoints", move || checkpoint::run(&shared, &frozen, &end))?
        };
        let writer = spawn("disk store", move || writer.run(&waiting))?;
        let threads = Some(Threads { writer, checkpoints, ending });
        Ok(Self { open: Mutex::new(Some(Open { shared, work, threads })) })
    }

    fn shared(&self) -> Result<Arc<Shared>, StoreError> {
        self.open.lock().as_ref().map(|open| Arc::clone(&open.shared)).ok_or(CLOSED)
    }

    /// Has the writer do something. If what comes of it is urgent, it is done once it is safe.
    async fn write<T: Send + 'static>(
        &self,
        is_urgent: fn(&T) -> bool,
        now: Timestamp,
        mut work: impl FnMut(&mut Inboxes<'_, Commit<'_>>, &mut Rounds) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let setting = self.shared()?.setting(now);
        let work = move |changes: &mut Commit<'_>, rounds: &mut Rounds| {
            work(&mut Inboxes::new(changes, setting), rounds)
        };
        self.write_rows(is_urgent, work).await
    }

    /// Has the writer change rows, whatever the rules of inboxes say.
    async fn write_rows<T: Send + 'static>(
        &self,
        is_urgent: fn(&T) -> bool,
        work: impl FnMut(&mut Commit<'_>, &mut Rounds) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        {
            let open = self.open.lock();
            let open = open.as_ref().ok_or(CLOSED)?;
            let job = Job { work, is_urgent, done: None, reply };
            open.work.send(Box::new(job)).map_err(|_| stopped())?;
        }
        answer.await.map_err(|_| stopped())?
    }

    /// Reads, on a thread that may wait: a page that nobody has read for long comes from the disk, and the
    /// sessions that share a thread of the runtime should not wait for it.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(Reading<'_, AllRows<'_>>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = self.shared()?;
        let waits = shared.reads_wait;
        let read = move || work(Reading::new(&shared.rows(), shared.setting(Timestamp::now())));
        if !waits {
            return read();
        }
        tokio::task::spawn_blocking(read).await.map_err(|_| unavailable("a reader ended early"))?
    }
}

/// When so many bytes have changed, the engine takes them over.
const FREEZE: usize = 32 * 1024 * 1024;

/// What a store stands on.
struct Ground<'d> {
    directory: &'d Path,
    files: Arc<dyn Filesystem>,
    engine: Box<dyn Sorted>,
    mended: Vec<String>,
    lock: Option<File>,
    limits: Limits,
    freeze: usize,
}

/// A store whose writer and checkpoints are not at work yet.
struct Started {
    shared: Arc<Shared>,
    work: mpsc::Sender<Box<dyn Work>>,
    writer: Writer,
    waiting: mpsc::Receiver<Box<dyn Work>>,
    frozen: mpsc::Receiver<Frozen>,
}

impl Ground<'_> {
    /// Reads what the journals say, and begins a new one.
    fn start(self, reads_wait: bool) -> Result<Started, StoreError> {
        let Self { directory, files, engine, mended, lock, limits, freeze } = self;
        let mut recovered = recovery::read_journals(&*files, directory)?;
        recovered.recovery.mended = mended;

        // Each process has a number, so that a crash can be told by the next one.
        let (process, begun) = {
            let rows = crate::inboxes::Over { changed: &recovered.changed, under: &*engine };
            if crate::inboxes::is_importing(&rows)? {
                return Err(corrupt("an import into it was cut short; remove it, and import again"));
            }
            let mut changes = Changes::new(&rows);
            let process = crate::inboxes::begin_process(&mut changes)?;
            (process, changes.into_changed().0)
        };
        let (last, length) = recovered.last;
        let mut journal =
            Journal::create(&*files, &shared::journals(directory), last + 1, length).map_err(unavailable)?;
        journal.add(&begun).and_then(|()| journal.sync()).map_err(unavailable)?;

        let changed = Arc::new(recovered.changed);
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            limits,
            process,
            recovery: recovered.recovery,
            listening: Listening::default(),
            engine,
            files,
            freeze,
            reads_wait,
            recent: Recent { current: begun, frozen: Arc::clone(&changed) }.into(),
            fault: Mutex::default(),
            checkpoint: Mutex::new(Checkpoint { busy: true, fault: None }),
            checkpoint_changed: parking_lot::Condvar::default(),
            _lock: lock,
        });
        let (work, waiting) = mpsc::channel();
        let (to_freeze, frozen) = mpsc::channel();
        // What was recovered goes into the engine, so that the journals do not pile up.
        let _ = to_freeze.send(Frozen { changed, upto: last });
        let writer = Writer::new(Arc::clone(&shared), journal, to_freeze);
        Ok(Started { shared, work, writer, waiting, frozen })
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        if let Some(open) = self.open.get_mut().take() {
            open.end();
        }
    }
}

/// A fault with the directory in it.
fn named(directory: &Path, fault: StoreError) -> StoreError {
    let of = |detail| format!("data directory {}: {detail}", directory.display());
    match fault {
        StoreError::Unavailable { store, detail } => StoreError::Unavailable { store, detail: of(detail) },
        StoreError::Corrupt { store, detail } => StoreError::Corrupt { store, detail: of(detail) },
        fault => fault,
    }
}

/// Makes the directory, which is for nobody else to read, and those in it.
fn make(directory: &Path) -> io::Result<()> {
    if !directory.is_dir() {
        let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        fs::DirBuilder::new().mode(0o700).create(directory)?;
        Local.sync_directory(parent)?;
    }
    let mut new = false;
    for part in [shared::journals(directory), directory.join("rows"), directory.join("copies")] {
        if !part.is_dir() {
            fs::create_dir(part)?;
            new = true;
        }
    }
    // What is in a directory is safe only if the directory itself is.
    if new { Local.sync_directory(directory) } else { Ok(()) }
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    make(directory).map_err(unavailable)?;
    let file = File::options().create(true).truncate(false).write(true).open(directory.join("lock"));
    let file = file.map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(directory.to_owned())),
        Err(TryLockError::Error(fault)) => Err(unavailable(fault)),
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread: io::Result<_> = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(unavailable)
}

const CLOSED: StoreError = StoreError::Closed { store: NAME };

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

    fn listen(&self, listener: StepListener) {
        if let Ok(shared) = self.shared() {
            shared.listening.begin(listener);
        }
    }

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, StoreError>> {
        let count = batch.len();
        let done =
            self.write(at_once, Timestamp::now(), move |inboxes, _| Ok(inboxes.append_all(&batch))).await;
        done.unwrap_or_else(|fault| vec![Err(fault); count])
    }

    async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        let (user, device) = (user.clone(), device.clone());
        // One that is new has to be known when the next message comes, and of one for which messages wait that it may
        // have been sent them. Any other is sent only what comes later, and who published that is answered after a sync.
        let has_to_be_safe = |opened: &Opened| opened.has_to_be_safe;
        let open = move |inboxes: &mut Inboxes<'_, Commit<'_>>, _: &mut Rounds| inboxes.open(&user, &device);
        Ok(self.write(has_to_be_safe, Timestamp::now(), open).await?.cursor)
    }

    async fn leave(&self, user: &UserId, device: &DeviceId, sent: Seq) -> Result<(), StoreError> {
        let (user, device) = (user.clone(), device.clone());
        self.write(soon, Timestamp::now(), move |inboxes, _| inboxes.leave(&user, &device, sent)).await
    }

    async fn forget(&self, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
        let (user, device) = (user.clone(), device.clone());
        // If it is lost, the device is forgotten when its time is over.
        self.write(soon, Timestamp::now(), move |inboxes, _| inboxes.forget(&user, &device)).await
    }

    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        // Asked for whoever comes, and mostly so: that is not worth a thread that may wait.
        if self.shared()?.recent.read().has_nothing_after(user, after) {
            return Ok(Vec::new());
        }
        let user = user.clone();
        self.read(move |inboxes| inboxes.read(&user, after, limit)).await
    }

    async fn acknowledge_all(&self, batch: Vec<Acknowledge>) -> Vec<Result<(), StoreError>> {
        let count = batch.len();
        // If it is lost, the message comes again under its number, and the client passes over it.
        let done =
            self.write(soon, Timestamp::now(), move |inboxes, _| Ok(inboxes.acknowledge_all(&batch))).await;
        done.unwrap_or_else(|fault| vec![Err(fault); count])
    }

    async fn follow(&self, user: &UserId, device: &DeviceId, topics: &TopicFilter) -> Result<(), StoreError> {
        let (user, device, topics) = (user.clone(), device.clone(), topics.clone());
        self.write(at_once, Timestamp::now(), move |inboxes, _| inboxes.follow(&user, &device, &topics)).await
    }

    async fn unfollow(
        &self,
        user: &UserId,
        device: &DeviceId,
        topics: &TopicFilter,
    ) -> Result<(), StoreError> {
        let (user, device, topics) = (user.clone(), device.clone(), topics.clone());
        self.write(at_once, Timestamp::now(), move |inboxes, _| inboxes.unfollow(&user, &device, &topics))
            .await
    }

    async fn topic(&self, topic: &Topic) -> Result<TopicLog, StoreError> {
        let topic = topic.clone();
        self.read(move |inboxes| inboxes.topic(&topic)).await
    }

    async fn published(&self, topic: &Topic, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let topic = topic.clone();
        self.read(move |inboxes| inboxes.published(&topic, after, limit)).await
    }

    async fn history(&self, topics: &TopicFilter, of_each: usize) -> Result<Vec<Entry>, StoreError> {
        let topics = topics.clone();
        self.read(move |inboxes| inboxes.history(&topics, of_each)).await
    }

    async fn cancel(&self, id: MessageId) -> Result<Cancelled, StoreError> {
        self.write(at_once, Timestamp::now(), move |inboxes, _| inboxes.cancel(id)).await
    }

    async fn release_due(&self, now: Timestamp, limit: usize) -> Result<Due, StoreError> {
        self.write(at_once, now, move |inboxes, _| inboxes.release_due(limit)).await
    }

    async fn record(&self, steps: Vec<(MessageId, Vec<Step>)>) -> Result<(), StoreError> {
        let record = move |inboxes: &mut Inboxes<'_, Commit<'_>>, _: &mut Rounds| {
            steps.iter().try_for_each(|(id, steps)| inboxes.record(*id, steps.clone()))
        };
        self.write(soon, Timestamp::now(), record).await
    }

    async fn receipt(&self, id: MessageId) -> Result<Option<Receipt>, StoreError> {
        self.read(move |inboxes| inboxes.receipt(id)).await
    }

    async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError> {
        let user = user.clone();
        self.read(move |inboxes| inboxes.inbox(&user)).await
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, StoreError> {
        let user = user.clone();
        self.read(move |inboxes| inboxes.devices(&user)).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<Swept, StoreError> {
        self.write(soon, now, |inboxes, rounds| inboxes.sweep(rounds)).await
    }

    async fn stored(&self) -> Result<u64, StoreError> {
        self.read(|inboxes| inboxes.stored()).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        let failed = self.shared()?.fault.lock().is_some();
        // It may be well again, and only who tries finds out.
        if failed { self.write(at_once, Timestamp::now(), |_, _| Ok(())).await } else { Ok(()) }
    }

    async fn close(&self) -> Result<(), StoreError> {
        let Some(open) = self.open.lock().take() else { return Ok(()) };
        let shared = Arc::clone(&open.shared);
        // Off the runtime's thread: what waits may need a while on a slow disk.
        tokio::task::spawn_blocking(move || open.end()).await.map_err(|_| stopped())?;
        let fault = shared.fault.lock().clone();
        fault.map_or(Ok(()), Err)
    }
}
