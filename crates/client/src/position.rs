//! Where a device stands, kept beyond the life of a process.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use msgserver_message::{DeviceId, Seq, UserId};
use serde::{Deserialize, Serialize};

/// Keeps the number of the last message that was acknowledged, so that the next process of the same device is handed
/// what comes after it and nothing twice.
///
/// Who handles messages in a database keeps it there, in one transaction with what a message does: then even a crash
/// between the two cannot let a message count twice.
#[async_trait]
pub trait Position: Send + 'static {
    /// The number that was saved last, or [`Seq::ZERO`].
    ///
    /// # Errors
    /// What keeps it from being read.
    async fn load(&mut self) -> io::Result<Seq>;

    /// Keeps a number. It is acknowledged only once this has returned. [`Seq::ZERO`] means that the server does not
    /// know the device and counts anew.
    ///
    /// # Errors
    /// What keeps it from being kept.
    async fn save(&mut self, seq: Seq) -> io::Result<()>;
}

/// Keeps nothing: a new process is handed what its predecessor has not acknowledged, and also what it has
/// acknowledged if that did not reach the server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unkept;

#[async_trait]
impl Position for Unkept {
    async fn load(&mut self) -> io::Result<Seq> {
        Ok(Seq::ZERO)
    }

    async fn save(&mut self, _: Seq) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the number in a file, synced, with whose it is.
#[derive(Debug)]
pub struct FilePosition {
    path: PathBuf,
    line: Line,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    user: UserId,
    device: DeviceId,
    seq: Seq,
}

impl FilePosition {
    /// Reads the file, or begins before the first message if there is none.
    ///
    /// # Errors
    /// What the system says of the file; or it is of another device, or no such file.
    pub fn open(path: impl Into<PathBuf>, user: &UserId, device: &DeviceId) -> io::Result<Self> {
        let path = path.into();
        let start = Line { user: user.clone(), device: device.clone(), seq: Seq::ZERO };
        let line = match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)?,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => start,
            Err(fault) => return Err(fault),
        };
        if (&line.user, &line.device) != (user, device) {
            let Line { user, device, .. } = line;
            return Err(io::Error::other(format!(
                "it is of user {user}, device {device}; give another file"
            )));
        }
        Ok(Self { path, line })
    }
}

#[async_trait]
impl Position for FilePosition {
    async fn load(&mut self) -> io::Result<Seq> {
        Ok(self.line.seq)
    }

    async fn save(&mut self, seq: Seq) -> io::Result<()> {
        if seq == self.line.seq {
            return Ok(());
        }
        let (path, line) = (self.path.clone(), Line { seq, ..self.line.clone() });
        self.line = tokio::task::spawn_blocking(move || write(&path, &line).map(|()| line))
            .await
            .map_err(io::Error::other)??;
        Ok(())
    }
}

/// Written whole and then renamed: whenever this process ends, the file holds one place or the next.
fn write(path: &Path, line: &Line) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = File::create(&partial)?;
    serde_json::to_writer(&mut file, line)?;
    file.write_all(b"\n")?;
    file.sync_data()?;
    fs::rename(partial, path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_found_again_and_is_of_one_device() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("place");
        let (ada, phone) = (UserId::new("ada").unwrap(), DeviceId::new("phone").unwrap());
        let mut place = FilePosition::open(&file, &ada, &phone).unwrap();
        assert_eq!(place.load().await.unwrap(), Seq::ZERO);
        place.save(Seq::new(7)).await.unwrap();
        let mut again = FilePosition::open(&file, &ada, &phone).unwrap();
        assert_eq!(again.load().await.unwrap(), Seq::new(7));
        let other = FilePosition::open(&file, &ada, &DeviceId::unnamed()).unwrap_err().to_string();
        assert!(other.contains("device phone"), "{other}");
        fs::write(&file, "nonsense").unwrap();
        assert!(FilePosition::open(&file, &ada, &phone).is_err());
    }
}
