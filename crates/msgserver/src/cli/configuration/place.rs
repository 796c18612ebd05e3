//! Where doors are.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::value::Value;

/// Where a door is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    /// A file of this machine.
    Unix(PathBuf),
}

impl Place {
    /// Whether only who is on this machine can come there.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether the system chooses a port of its own.
    pub(crate) fn is_chosen_by_system(&self) -> bool {
        matches!(self, Self::Tcp(address) if address.port() == 0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where a door is; `off` closes it.
pub(crate) struct Address<'a>(pub(crate) &'a mut Option<Place>);

impl Value for Address<'_> {
    fn placeholder(&self) -> &'static str {
        "ADDR"
    }

    fn expected(&self) -> String {
        "an IP address and a port, such as \"127.0.0.1:3366\", a path, as \"unix:/run/msgserver.sock\", or \"off\""
            .to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = match text.strip_prefix("unix:") {
            _ if text == "off" => None,
            // A path without a name is a directory.
            Some(path) => Some(Place::Unix(PathBuf::from(path).file_name().map(|_| path.into())?)),
            None => Some(Place::Tcp(text.parse().ok()?)),
        };
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.as_ref().map_or_else(|| "off".to_owned(), ToString::to_string))
    }
}

/// Who may use a file, in the digits of `chmod`.
pub(crate) struct Mode<'a>(pub(crate) &'a mut u32);

impl Value for Mode<'_> {
    fn placeholder(&self) -> &'static str {
        "MODE"
    }

    fn expected(&self) -> String {
        "three octal digits, such as \"660\"".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        let is_mode = text.len() == 3 && text.bytes().all(|digit| (b'0'..b'8').contains(&digit));
        *self.0 = u32::from_str_radix(is_mode.then_some(text)?, 8).ok()?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(format!("{:03o}", self.0))
    }
}
