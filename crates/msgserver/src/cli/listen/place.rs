//! Where a client stands, in a file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use msgserver_message::{DeviceId, Seq, UserId};
use serde::{Deserialize, Serialize};

/// The last message that a device has printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    user: UserId,
    device: DeviceId,
    seq: Seq,
}

/// The last message that was printed; kept in a file if there is one.
#[derive(Debug)]
pub(super) struct Place {
    file: Option<PathBuf>,
    line: Line,
}

impl Place {
    /// Before the first message, or where the file says.
    pub(super) fn read(file: Option<PathBuf>, user: &UserId, device: &DeviceId) -> io::Result<Self> {
        let start = Line { user: user.clone(), device: device.clone(), seq: Seq::ZERO };
        let Some(path) = &file else { return Ok(Self { file, line: start }) };
        let line = match fs::read(path) {
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
        Ok(Self { file, line })
    }

    pub(super) const fn seq(&self) -> Seq {
        self.line.seq
    }

    /// Everything up to `seq` is printed. To go back is to begin anew.
    pub(super) fn move_to(&mut self, seq: Seq) -> io::Result<()> {
        if seq == self.line.seq {
            return Ok(());
        }
        self.line.seq = seq;
        self.file.as_deref().map_or(Ok(()), |path| write(path, &self.line))
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
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_and_is_of_one_device() {
        let directory = tempfile::tempdir().unwrap();
        let file = Some(directory.path().join("place"));
        let (ada, phone) = (UserId::new("ada").unwrap(), DeviceId::new("phone").unwrap());
        let mut place = Place::read(file.clone(), &ada, &phone).unwrap();
        assert_eq!(place.seq(), Seq::ZERO);
        place.move_to(Seq::new(7)).unwrap();
        assert_eq!(Place::read(file.clone(), &ada, &phone).unwrap().seq(), Seq::new(7));
        let other = Place::read(file.clone(), &ada, &DeviceId::unnamed()).unwrap_err().to_string();
        assert!(other.contains("device phone"), "{other}");
        fs::write(file.as_deref().unwrap(), "nonsense").unwrap();
        assert!(Place::read(file, &ada, &phone).is_err());
    }
}
