//! What the journals stand on.
#![cfg_attr(
    not(feature = "simulation"),
    allow(unreachable_pub, reason = "only a simulation brings one of its own")
)]

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// What the journals need of a filesystem. A simulation has one that forgets what is not synced.
pub trait Filesystem: fmt::Debug + Send + Sync {
    /// An empty file, in place of one that may be there.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Growing>>;

    /// All bytes of a file.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::NotFound`] if there is none.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names of the files in a directory.
    ///
    /// # Errors
    /// What the system says.
    fn names(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Gives a file another name, in place of what has it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes safe which files are in a directory: one that was made, renamed or removed is only so then.
    ///
    /// # Errors
    /// What the system says.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// A file that is only added to.
pub trait Growing: fmt::Debug + Send {
    /// Adds all of the bytes at the end.
    ///
    /// # Errors
    /// What the system says; some of them may be there then.
    fn add(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes safe what was added.
    ///
    /// # Errors
    /// What the system says; then nobody knows what is safe.
    fn sync(&self) -> io::Result<()>;
}

/// The filesystem of the machine.
#[derive(Debug)]
pub(super) struct Local;

impl Filesystem for Local {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        Ok(Box::new(File::create(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            // Ours are all text.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

impl Growing for File {
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
