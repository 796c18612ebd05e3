//! The store inside this process.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use async_trait::async_trait;
use msgserver_message::{DeviceId, Message, Seq, UserId};
use redb::{Database, ReadableDatabase, ReadableTableMetadata};
use tokio::sync::oneshot;

use crate::writer::{Command, LOG, Reply, Writer, decode};
use crate::{Appended, Cursor, Entry, Store, StoreError};

/// Inboxes on disk or in memory, on [redb](https://docs.rs/redb).
#[derive(Debug)]
pub struct EmbeddedStore {
    name: &'static str,
    database: Arc<Database>,
    commands: Mutex<Option<mpsc::Sender<Command>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    stored: Arc<AtomicU64>,
    /// Held while the store is open: whoever else wants the directory finds it locked.
    _lock: Option<File>,
}

impl EmbeddedStore {
    /// Inboxes that end with the process.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there is no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        let database = Database::builder().create_with_backend(redb::backends::InMemoryBackend::new());
        Self::start("memory", database.map_err(unavailable("memory"))?, None)
    }

    /// The inboxes in a directory, which is made if it is not there. An append is answered once the disk
    /// has said that it is written.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process has the directory, [`StoreError::Unavailable`] if it cannot
    /// be used.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        let fault = |e: &dyn std::fmt::Display| StoreError::Unavailable {
            store: "disk",
            detail: format!("{}: {e}", directory.display()),
        };
        fs::create_dir_all(directory).map_err(|e| fault(&e))?;
        let lock = File::create(directory.join("lock")).map_err(|e| fault(&e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(directory.to_owned())),
            Err(TryLockError::Error(e)) => return Err(fault(&e)),
        }
        let database = Database::create(directory.join("inboxes.redb")).map_err(|e| fault(&e))?;
        Self::start("disk", database, Some(lock))
    }

    fn start(name: &'static str, database: Database, lock: Option<File>) -> Result<Self, StoreError> {
        let database = Arc::new(database);
        Writer::prepare(&database).map_err(unavailable(name))?;
        let kept = database.begin_read().map_err(unavailable(name))?;
        let kept = kept.open_table(LOG).map_err(unavailable(name))?.len().map_err(unavailable(name))?;
        let stored = Arc::new(AtomicU64::new(kept));
        let (commands, waiting) = mpsc::channel();
        let writer = Writer::new(name, Arc::clone(&database), Arc::clone(&stored));
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&waiting))
            .map_err(unavailable(name))?;
        Ok(Self {
            name,
            database,
            commands: Mutex::new(Some(commands)),
            thread: Mutex::new(Some(thread)),
            stored,
            _lock: lock,
        })
    }

    async fn command<T>(&self, make: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let closed = || StoreError::Unavailable { store: self.name, detail: "it is closed".to_owned() };
        let (reply, answer) = oneshot::channel();
        {
            let commands = self.commands.lock().map_err(|_| closed())?;
            commands.as_ref().ok_or_else(closed)?.send(make(reply)).map_err(|_| closed())?;
        }
        answer.await.map_err(|_| closed())?
    }

    fn stop(&self) {
        if let Ok(mut commands) = self.commands.lock() {
            commands.take();
        }
        if let Ok(mut thread) = self.thread.lock()
            && let Some(thread) = thread.take()
        {
            let _ = thread.join();
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn unavailable<E: std::fmt::Display>(store: &'static str) -> impl Fn(E) -> StoreError {
    move |e| StoreError::Unavailable { store, detail: e.to_string() }
}

#[async_trait]
impl Store for EmbeddedStore {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn append(
        &self,
        message: &Message,
        users: &[UserId],
        check_id: bool,
    ) -> Result<Appended, StoreError> {
        let (message, users) = (message.clone(), users.to_vec());
        self.command(|reply| Command::Append { message, users, check_id, reply }).await
    }

    async fn open_device(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        let (user, device) = (user.clone(), device.clone());
        self.command(|reply| Command::OpenDevice { user, device, reply }).await
    }

    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let fault = unavailable(self.name);
        let transaction = self.database.begin_read().map_err(unavailable(self.name))?;
        let log = transaction.open_table(LOG).map_err(unavailable(self.name))?;
        let from = (user.as_str(), after.next().get());
        let range = log.range(from..=(user.as_str(), u64::MAX)).map_err(unavailable(self.name))?;
        let mut entries = Vec::new();
        for item in range.take(limit) {
            let (key, value) = item.map_err(unavailable(self.name))?;
            let message = decode(value.value()).map_err(&fault)?;
            entries.push(Entry { seq: Seq::new(key.value().1), message: Arc::new(message) });
        }
        Ok(entries)
    }

    async fn acknowledge(&self, user: &UserId, device: &DeviceId, upto: Seq) -> Result<(), StoreError> {
        let (user, device) = (user.clone(), device.clone());
        self.command(|reply| Command::Acknowledge { user, device, upto, reply }).await
    }

    fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.stop();
        Ok(())
    }
}
