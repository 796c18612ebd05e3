//! Doors that are files.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::Listener;
use crate::listener::{Socket, Terms};

/// The file that a Unix socket is. It goes with this value, unless another server has put its own there.
#[derive(Debug)]
pub struct UnixDoor {
    path: PathBuf,
    inode: u64,
}

impl Listener {
    /// A Unix socket at a path, which who has the rights of `mode` may use. One that a server has left there is
    /// replaced.
    ///
    /// # Errors
    /// What the system says of the path; [`io::ErrorKind::AddrInUse`] if a server listens there, and
    /// [`io::ErrorKind::AlreadyExists`] if there is a file that is no socket.
    pub fn unix(path: &Path, mode: u32) -> io::Result<Self> {
        check_free(path)?;
        // Under its name there is never one that has not got its rights yet.
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let _ = fs::remove_file(&partial);
        let socket = UnixListener::bind(&partial)?;
        let placed = fs::set_permissions(&partial, Permissions::from_mode(mode))
            .and_then(|()| fs::symlink_metadata(&partial))
            .and_then(|file| fs::rename(&partial, path).map(|()| file.ino()));
        let inode = placed.inspect_err(|_| drop(fs::remove_file(&partial)))?;
        let door = UnixDoor { path: path.to_owned(), inode };
        Ok(Self { socket: Socket::Unix(socket, door), terms: Terms::default() })
    }
}

fn check_free(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(fault),
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there")),
        // Nobody does: a server that was killed has left it.
        Err(fault) if fault.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(fault) => Err(fault),
    }
}

impl std::fmt::Display for UnixDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unix:{}", self.path.display())
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
