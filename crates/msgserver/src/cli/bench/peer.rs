//! Other servers, which get the same load from the same clients in the same run.

mod mosquitto;
mod nats;
mod nchan;
mod redis;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use self::mosquitto::Mosquitto;
use self::nats::Nats;
use self::nchan::Nchan;
use self::redis::Redis;
use super::PATIENCE;
use super::line::Line;
use super::publisher::Answers;
use crate::cli::Fault;

/// What every client of a fan-out follows.
const ALL: &str = "all";

/// Where servers are that the search path of a user may not have.
const MORE_PLACES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A server that can be measured beside. A new one is a variant here and a [`Dialect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Peer {
    /// Publish and subscribe
    Redis,
    /// Publish and subscribe
    Nats,
    /// MQTT 3.1.1, QoS 0
    Mosquitto,
    /// A module of nginx: WebSocket, published over HTTP
    Nchan,
}

/// How a peer is started, and what is said to it.
pub(super) trait Dialect: Sync {
    /// The program.
    fn program(&self) -> &'static str;

    /// What the program is told, so that it serves at this address and keeps nothing. Its files are in the directory.
    ///
    /// # Errors
    /// What the system says of a file.
    fn arguments(&self, address: SocketAddr, directory: &Path) -> io::Result<Vec<String>>;

    /// What a client says and hears that follows a channel.
    fn line(&self, client: &str, channel: &str) -> Box<dyn Line>;

    /// What a publisher says first.
    fn greeting(&self) -> Vec<u8>;

    /// Appends a publication.
    fn write(&self, channel: &str, content: &[u8], out: &mut Vec<u8>);

    /// Whether each publication is answered.
    fn answers(&self) -> bool;

    /// Takes the answers to publications that are whole, and gives how many bytes those are.
    ///
    /// # Errors
    /// Why the connection is of no use any more.
    fn read(&self, bytes: &[u8], answers: &mut Answers) -> Result<usize, String>;
}

impl Peer {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Nats => "nats",
            Self::Mosquitto => "mosquitto",
            Self::Nchan => "nchan",
        }
    }

    pub(super) fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::Redis => &Redis,
            Self::Nats => &Nats,
            Self::Mosquitto => &Mosquitto,
            Self::Nchan => &Nchan,
        }
    }

    /// Where its program is.
    pub(super) fn program(self) -> Result<PathBuf, Fault> {
        let name = self.dialect().program();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).chain(MORE_PLACES.map(PathBuf::from));
        let found = places.map(|place| place.join(name)).find(|program| program.is_file());
        found.ok_or_else(|| {
            Fault::Usage(vec![format!("--peer {}: there is no {name} here; install it", self.name())])
        })
    }

    /// What a client says and hears, who gets what is for all, or what is for itself.
    pub(super) fn line(self, user: &str, to_one: bool) -> Box<dyn Line> {
        self.dialect().line(user, if to_one { user } else { ALL })
    }

    /// Whether it serves. That it listens is not enough: it may still be preparing, and what that takes is not the
    /// load's.
    pub(super) fn serves(self, address: SocketAddr) -> bool {
        let ask = || {
            let mut socket = TcpStream::connect(address)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.write_all(&self.line("probe", false).greet())?;
            socket.read_exact(&mut [0])
        };
        ask().is_ok()
    }

    /// Appends a publication, for one user or for all.
    pub(super) fn write(self, to: Option<(&str, u64)>, content: &[u8], out: &mut Vec<u8>) {
        match to {
            None => self.dialect().write(ALL, content, out),
            Some((prefix, number)) => self.dialect().write(&format!("{prefix}{number}"), content, out),
        }
    }
}

/// An address that nobody has now.
pub(super) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::super::line::Heard;
    use super::super::stamp::Stamp;
    use super::*;

    /// What a client hears however the bytes are cut: the numbers that came, and all that it says.
    pub(super) fn heard(dialect: &dyn Dialect, bytes: &[u8]) -> (Vec<u32>, Vec<u8>) {
        let mut outcomes = (1..=bytes.len()).map(|piece| {
            let mut line = dialect.line("ada", ALL);
            let (mut heard, mut tail, mut said) = (Heard::default(), Vec::new(), line.greet());
            let (mut numbers, mut is_online) = (Vec::new(), false);
            for piece in bytes.chunks(piece) {
                heard.clear();
                tail.extend_from_slice(piece);
                let taken = line.take(&tail, &mut heard).unwrap();
                tail.drain(..taken);
                numbers.extend(heard.stamps.iter().map(|(stamp, _)| stamp.number));
                said.extend_from_slice(&heard.say);
                is_online = heard.online;
            }
            assert!(is_online && tail.is_empty());
            (numbers, said)
        });
        let first = outcomes.next().unwrap();
        assert!(outcomes.all(|outcome| outcome == first));
        first
    }

    pub(super) fn content(number: u32, size: usize) -> Vec<u8> {
        let mut content = Vec::new();
        Stamp { number, moment: 1 }.write(size, &mut content);
        content
    }

    pub(super) fn written(dialect: &dyn Dialect, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        dialect.write(ALL, content, &mut out);
        out
    }
}
