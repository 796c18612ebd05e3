//! Where a server is.

use std::fmt;
use std::str::FromStr;

/// Where a WebSocket is unless the address says otherwise.
const WEBSOCKET_PATH: &str = "/v1/ws";

/// Where a server is, and how to speak to it.
///
/// | begins with | speaks |
/// |---|---|
/// | `tcp://host:port` | the `frame` protocol |
/// | `tls://host:port` | the same within TLS |
/// | `ws://host[:port][/path]` | WebSocket; port 80 and the path `/v1/ws` unless said |
/// | `wss://host[:port][/path]` | the same within TLS; port 443 unless said |
///
/// ```
/// use msgserver_client::Address;
///
/// let address: Address = "wss://push.example.org".parse()?;
/// assert_eq!(address.to_string(), "wss://push.example.org:443/v1/ws");
/// assert!("http://push.example.org".parse::<Address>().is_err());
/// # Ok::<(), msgserver_client::InvalidAddress>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub(crate) speech: Speech,
    pub(crate) is_secret: bool,
    /// Host and port.
    pub(crate) authority: String,
}

/// What is spoken there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Speech {
    /// The `frame` protocol.
    Frame,
    /// WebSocket, at a path.
    WebSocket(String),
}

/// A text is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} is no address of a server: {right}")]
pub struct InvalidAddress {
    url: String,
    right: &'static str,
}

impl InvalidAddress {
    pub(crate) fn new(url: &str, right: &'static str) -> Self {
        Self { url: url.to_owned(), right }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(url: &str) -> Result<Self, InvalidAddress> {
        let wrong = |right| InvalidAddress::new(url, right);
        let (scheme, rest) = url
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "tcp" | "tls" | "ws" | "wss"))
            .ok_or_else(|| wrong("begin it with tcp://, tls://, ws:// or wss://"))?;
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let port = host.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let has_port = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if host.is_empty() {
            return Err(wrong("name a host"));
        }
        let authority = match scheme {
            _ if has_port => host.to_owned(),
            "ws" => format!("{host}:80"),
            "wss" => format!("{host}:443"),
            _ => return Err(wrong("name the port, as in tcp://127.0.0.1:3367")),
        };
        let speech = match (scheme, path) {
            ("tcp" | "tls", "" | "/") => Speech::Frame,
            ("tcp" | "tls", _) => return Err(wrong("a raw TCP door has no path")),
            (_, "" | "/") => Speech::WebSocket(WEBSOCKET_PATH.to_owned()),
            (_, query) if query.starts_with('?') => Speech::WebSocket(format!("{WEBSOCKET_PATH}{query}")),
            (_, path) => Speech::WebSocket(path.to_owned()),
        };
        Ok(Self { speech, is_secret: matches!(scheme, "tls" | "wss"), authority })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.speech, self.is_secret) {
            (Speech::Frame, false) => write!(f, "tcp://{}", self.authority),
            (Speech::Frame, true) => write!(f, "tls://{}", self.authority),
            (Speech::WebSocket(path), false) => write!(f, "ws://{}{path}", self.authority),
            (Speech::WebSocket(path), true) => write!(f, "wss://{}{path}", self.authority),
        }
    }
}

impl Address {
    /// The host alone, as a certificate names it.
    pub(crate) fn host(&self) -> &str {
        let host = self.authority.rsplit_once(':').map_or(&*self.authority, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_to_speak() {
        for (url, meant) in [
            ("tcp://a:3367/", "tcp://a:3367"),
            ("tls://[::1]:3367", "tls://[::1]:3367"),
            ("ws://a:3365", "ws://a:3365/v1/ws"),
            ("ws://a/", "ws://a:80/v1/ws"),
            ("ws://[::1]", "ws://[::1]:80/v1/ws"),
            ("ws://[::1]:3365?user=ada", "ws://[::1]:3365/v1/ws?user=ada"),
            ("wss://a", "wss://a:443/v1/ws"),
            ("wss://a:1/push/v1/ws", "wss://a:1/push/v1/ws"),
        ] {
            assert_eq!(url.parse::<Address>().unwrap().to_string(), meant);
        }
        assert_eq!("tls://[::1]:3367".parse::<Address>().unwrap().host(), "::1");
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_would_be() {
        for (url, right) in [
            ("http://a", "begin it with"),
            ("a:3367", "begin it with"),
            ("tcp://a", "name the port"),
            ("tcp://a:66000", "name the port"),
            ("tcp://a:1/v1/ws", "no path"),
            ("ws://", "name a host"),
        ] {
            let said = url.parse::<Address>().unwrap_err().to_string();
            assert!(said.contains(right) && said.contains(url), "{said}");
        }
    }
}
