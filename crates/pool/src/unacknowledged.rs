//! How much of what was written the peer's TCP has not acknowledged.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Bytes in a socket's send queue that the peer has not acknowledged (`SIOCOUTQ`, see `tcp(7)`).
///
/// The one unsafe call of the crate: no safe wrapper of this request is in rustix, nix or socket2, and
/// without it a message to a client that cannot acknowledge could only be hoped to have arrived.
pub(crate) fn unacknowledged(socket: impl AsFd) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed for the call, and TIOCOUTQ (the number of SIOCOUTQ) writes one int.
    let answer = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(u64::try_from(bytes).unwrap_or(0)) }
}
