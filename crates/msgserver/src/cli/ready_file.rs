//! The file that says that every door is open, and where.

use std::io;
use std::path::{Path, PathBuf};

use super::Fault;
use super::doors::OpenDoor;

fn failed(path: &Path, fault: &io::Error) -> Fault {
    Fault::Failed(format!("ready_file = {:?}: {fault}", path.display().to_string()))
}

/// The ready file, which goes with this value.
pub(crate) struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Takes away what a server that was killed has left: who waits for the file must not find that.
    pub(crate) fn clear(path: &Path) -> Result<(), Fault> {
        match std::fs::remove_file(path) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(failed(path, &fault)),
            _ => Ok(()),
        }
    }

    /// Writes the file whole, with the real addresses of the doors.
    pub(crate) fn write(path: &Path, doors: &[OpenDoor]) -> Result<Self, Fault> {
        let mut object = serde_json::Map::new();
        let mut listed = Vec::new();
        for door in doors {
            let address = serde_json::Value::from(door.place.to_string());
            if door.is_listed() {
                listed.push(address);
            } else {
                object.insert(door.key.clone(), address);
            }
        }
        if !listed.is_empty() {
            object.insert("listeners".to_owned(), listed.into());
        }
        // Whoever waits for the file must never see half of it.
        let mut whole = path.as_os_str().to_owned();
        whole.push(".partial");
        let written = std::fs::write(&whole, serde_json::Value::from(object).to_string());
        written.and_then(|()| std::fs::rename(whole, path)).map_err(|fault| failed(path, &fault))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        if let Err(Fault::Failed(fault)) = Self::clear(&self.0) {
            tracing::warn!("not removed: {fault}");
        }
    }
}
