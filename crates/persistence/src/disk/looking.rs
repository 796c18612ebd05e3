//! A store that is looked into and not changed.

use std::path::Path;
use std::sync::{Arc, mpsc};

use parking_lot::{Condvar, Mutex};

use super::engine::Engine;
use super::filesystem::Local;
use super::shared::{self, Checkpoint, Recent, Shared};
use super::{DiskStore, FREEZE, Open, lock, named, recovery, unavailable};
use crate::listening::Listening;
use crate::{Limits, StoreError};

impl DiskStore {
    /// The store in a directory, to be looked into: [`DiskStore::check`], [`DiskStore::stats`],
    /// [`DiskStore::export`], and all that only reads. Whatever would change it is refused, and what is damaged
    /// in a journal is still there afterwards. Only what has a copy is mended.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if a server has the directory, [`StoreError::Unavailable`] if there is no store in it
    /// or it cannot be read, [`StoreError::Corrupt`] if it holds what this version cannot read.
    pub fn look_into(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        look(directory).map_err(|fault| named(directory, fault))
    }
}

fn look(directory: &Path) -> Result<DiskStore, StoreError> {
    if !shared::journals(directory).is_dir() {
        return Err(unavailable("there is no store in it"));
    }
    let lock = lock(directory)?;
    let (engine, mended) = Engine::open(directory)?;
    let mut recovered = recovery::read_journals(&Local, directory)?;
    recovered.recovery.mended = mended;
    let shared = Shared {
        directory: directory.to_owned(),
        limits: Limits::default(),
        // None is 0: every device that is noted as connected was so to another process.
        process: 0,
        recovery: recovered.recovery,
        listening: Listening::default(),
        engine: Box::new(engine),
        files: Arc::new(Local),
        freeze: FREEZE,
        reads_wait: true,
        recent: Recent { current: recovered.changed, ..Recent::default() }.into(),
        fault: Mutex::default(),
        checkpoint: Mutex::new(Checkpoint::default()),
        checkpoint_changed: Condvar::default(),
        _lock: Some(lock),
    };
    // Nobody takes the work.
    let (work, _) = mpsc::channel();
    Ok(DiskStore { open: Mutex::new(Some(Open { shared: Arc::new(shared), work, threads: None })) })
}
