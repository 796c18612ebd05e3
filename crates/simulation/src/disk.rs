//! A disk that forgets what is not synced, and a process that may die at each of its calls.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msgserver_persistence::steps::{Filesystem, Growing};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::chance::Chance;
use crate::trace::Trace;

/// So much of a file reaches a disk together, or does not.
const SECTOR: usize = 512;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Killed: what was written stays.
    Kill,
    /// The power fails: what was not synced stays in parts, in any order, or not at all.
    PowerCut,
}

/// A simulated disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
    died: Arc<Notify>,
    chance: Chance,
    trace: Trace,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    safe_names: BTreeMap<PathBuf, usize>,
    /// What was done to names and is not safe yet.
    renamed: Vec<Renamed>,
    dead: bool,
    /// So many calls are left to the process.
    calls_left: Option<u64>,
    /// One call in so many fails; 0 for a disk that is well.
    faults: u64,
}

#[derive(Debug, Clone, Default)]
struct File {
    bytes: Vec<u8>,
    safe: usize,
}

#[derive(Debug, Clone)]
enum Renamed {
    To(PathBuf, usize),
    Gone(PathBuf),
    Moved(PathBuf, PathBuf, usize),
}

impl Renamed {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::To(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Gone(name) => drop(names.remove(name)),
            Self::Moved(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
        }
    }
}

/// What becomes of a call.
enum Call {
    Done,
    /// The process dies: in the middle of it, or when it is done.
    Dies {
        done: bool,
    },
    Fails,
}

impl Disk {
    pub(crate) fn new(chance: Chance, trace: Trace) -> Self {
        Self { state: Arc::default(), died: Arc::default(), chance, trace }
    }

    /// A process begins that may make so many calls, of which one in `faults` fails.
    pub(crate) fn begin(&self, calls: Option<u64>, faults: u64) {
        let mut state = self.state.lock();
        (state.dead, state.calls_left, state.faults) = (false, calls, faults);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state.lock().dead
    }

    /// The files and how long they are, for the trace.
    pub(crate) fn contents(&self) -> String {
        let state = self.state.lock();
        let file = |(name, file): (&PathBuf, &usize)| {
            let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
            format!("{name} {}", state.files[*file].bytes.len())
        };
        state.names.iter().map(file).collect::<Vec<_>>().join(", ")
    }

    /// Whether a power cut would take nothing.
    #[cfg(test)]
    fn is_safe(&self) -> bool {
        self.state.lock().files.iter().all(|file| file.safe == file.bytes.len())
    }

    /// Waits until the process dies.
    pub(crate) async fn death(&self) {
        while !self.is_dead() {
            self.died.notified().await;
        }
    }

    /// The process ends: what is on the disk after that.
    pub(crate) fn end(&self, how: End) {
        let state = &mut *self.state.lock();
        state.dead = true;
        if how == End::PowerCut {
            let mut names = state.safe_names.clone();
            for renamed in &state.renamed {
                if self.chance.one_in(2) {
                    renamed.apply(&mut names);
                }
            }
            state.names = names;
            for file in &mut state.files {
                self.forget(file);
            }
        }
        state.renamed.clear();
        state.safe_names = state.names.clone();
        for file in &mut state.files {
            file.safe = file.bytes.len();
        }
    }

    /// What of a file is left without power.
    fn forget(&self, file: &mut File) {
        let unsafe_bytes = (file.bytes.len() - file.safe) as u64;
        match self.chance.below(3) {
            0 => file.bytes.truncate(file.safe),
            1 => file.bytes.truncate(file.safe + self.chance.below(unsafe_bytes + 1) as usize),
            // The length was written before the sectors were.
            _ => {
                let mut at = file.safe;
                while at < file.bytes.len() {
                    let end = ((at / SECTOR + 1) * SECTOR).min(file.bytes.len());
                    if self.chance.one_in(2) {
                        file.bytes[at..end].fill(0);
                    }
                    at = end;
                }
            }
        }
    }

    fn call(&self, state: &mut State, what: &str, name: &Path) -> io::Result<Call> {
        if state.dead {
            return Err(io::Error::other("the process is dead"));
        }
        if let Some(left) = &mut state.calls_left {
            if *left == 0 {
                state.dead = true;
                let done = self.chance.one_in(2);
                let when = if done { "after" } else { "in" };
                self.trace.note(format_args!("dies {when} {what} {}", name.display()));
                self.died.notify_waiters();
                self.died.notify_one();
                return Ok(Call::Dies { done });
            }
            *left -= 1;
        }
        if self.chance.one_in(state.faults) {
            self.trace.note(format_args!("{what} {} fails", name.display()));
            return Ok(Call::Fails);
        }
        Ok(Call::Done)
    }

    /// A call that is done as a whole or not.
    fn whole<T>(
        &self,
        what: &str,
        name: &Path,
        work: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let state = &mut *self.state.lock();
        match self.call(state, what, name)? {
            Call::Done => work(state),
            Call::Dies { done } => {
                if done {
                    work(state)?;
                }
                Err(io::Error::other("the process dies"))
            }
            Call::Fails => Err(io::Error::other("a fault of the disk")),
        }
    }
}

impl Filesystem for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        let file = self.whole("create", path, |state| {
            state.files.push(File::default());
            let file = state.files.len() - 1;
            state.names.insert(path.to_owned(), file);
            state.renamed.push(Renamed::To(path.to_owned(), file));
            Ok(file)
        })?;
        Ok(Box::new(Open { disk: self.clone(), file, name: path.to_owned() }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state.lock();
        let file = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.files[*file].bytes.clone())
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        let inside = state.names.keys().filter(|name| name.parent() == Some(directory));
        Ok(inside.filter_map(|name| Some(name.file_name()?.to_str()?.to_owned())).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.whole("rename", from, |state| {
            let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
            let moved = Renamed::Moved(from.to_owned(), to.to_owned(), file);
            moved.apply(&mut state.names);
            state.renamed.push(moved);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.whole("remove", path, |state| {
            state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
            state.renamed.push(Renamed::Gone(path.to_owned()));
            Ok(())
        })
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.whole("sync directory", directory, |state| {
            // Only what is in it: but there is nothing else that is renamed at the same time.
            for renamed in std::mem::take(&mut state.renamed) {
                renamed.apply(&mut state.safe_names);
            }
            Ok(())
        })
    }
}

/// A file that is written.
#[derive(Debug)]
struct Open {
    disk: Disk,
    file: usize,
    name: PathBuf,
}

impl Growing for Open {
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        let state = &mut *self.disk.state.lock();
        let call = self.disk.call(state, "write", &self.name)?;
        let file = &mut state.files[self.file].bytes;
        match call {
            Call::Done => {
                file.extend_from_slice(bytes);
                return Ok(());
            }
            Call::Dies { done: true } => file.extend_from_slice(bytes),
            Call::Dies { done: false } | Call::Fails => {
                let part = self.disk.chance.below(bytes.len() as u64 + 1) as usize;
                file.extend_from_slice(&bytes[..part]);
            }
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.whole("sync", &self.name, |state| {
            let file = &mut state.files[self.file];
            file.safe = file.bytes.len();
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use msgserver_message::{Content, DeviceId, Message, Seq, UserId};
    use msgserver_persistence::steps::{SafeRows, Steps};
    use msgserver_persistence::{Append, DiskStore, Limits, Store};

    use super::*;
    use crate::clock::Clock;

    /// Has the writer do what is asked, and waits for the answer.
    async fn answer<T>(steps: &mut Steps, asked: impl Future<Output = T>) -> T {
        tokio::join!(biased; asked, async { steps.commit() }).0
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_device_that_comes_again_and_finds_nothing_is_let_in_before_that_is_safe() {
        let disk = Disk::new(Chance::new(1), Trace::new(Clock::default()));
        disk.begin(None, 0);
        let files: Arc<dyn Filesystem> = Arc::new(disk.clone());
        let rows = SafeRows::new(Arc::clone(&files));
        let (store, mut steps) = DiskStore::in_steps(files, rows, Limits::default(), 1 << 20).unwrap();
        let steps = &mut steps;
        let (ada, phone) = (UserId::new("ada").unwrap(), DeviceId::new("phone").unwrap());

        assert!(!answer(steps, store.open(&ada, &phone)).await.unwrap().known);
        assert!(disk.is_safe(), "it is new");
        answer(steps, store.leave(&ada, &phone, Seq::ZERO)).await.unwrap();
        assert!(answer(steps, store.open(&ada, &phone)).await.unwrap().known);
        assert!(!disk.is_safe(), "nothing waits for it");

        let hello = Append::new(Arc::new(Message::new(Content::text("hello"))), [ada.clone()]);
        answer(steps, store.keep(hello)).await.unwrap();
        assert!(disk.is_safe(), "what was there before a message is safe with it");
        answer(steps, store.leave(&ada, &phone, Seq::ZERO)).await.unwrap();
        answer(steps, store.open(&ada, &phone)).await.unwrap();
        assert!(disk.is_safe(), "it is sent what waits");
    }
}
