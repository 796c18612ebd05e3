//! Proxies that are believed when they say for whom they speak.

use std::net::IpAddr;

use ipnet::IpNet;

/// The networks of proxies that are believed when they say for whom they speak.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxies(pub Vec<IpNet>);

impl Proxies {
    /// Whether somebody at this address is believed.
    #[must_use]
    pub fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whom a request is from that came from `peer`, by what each proxy on its way has noted of the one before it
    /// (`X-Forwarded-For`, all of its lines in their order): the last one that is no trusted proxy itself. What stands
    /// before that may be anybody's invention.
    #[must_use]
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut client = peer;
        let hops = forwarded_for.rev().flat_map(|line| line.rsplit(','));
        for hop in hops {
            if !self.trust(client) {
                break;
            }
            match address(hop.trim()) {
                Some(before) => client = before,
                None => break,
            }
        }
        client
    }
}

/// An address as proxies write it: some add a port, and brackets to what has colons.
fn address(text: &str) -> Option<IpAddr> {
    let bare =
        text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(inside, _)| inside);
    let address =
        bare.parse().or_else(|_| text.parse().map(|with_port: std::net::SocketAddr| with_port.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&str]) -> String {
        let proxies = Proxies(vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        proxies.client(peer.parse().unwrap(), lines.iter().copied()).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_have_noted_counts() {
        assert_eq!(client("10.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(client("192.0.2.1", &["192.0.2.7"]), "192.0.2.1", "a stranger says what it likes");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 192.0.2.7, 10.0.0.2"]), "192.0.2.7");
        assert_eq!(
            client("10.0.0.1", &["1.1.1.1", "192.0.2.7", "10.0.0.2"]),
            "192.0.2.7",
            "lines are one list"
        );
        assert_eq!(client("::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client("::ffff:10.0.0.1", &["192.0.2.7:1234"]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &["10.0.0.3"]), "10.0.0.3", "all are proxies: the first of them");
        for odd in ["", "unknown", "_hidden", "192.0.2.7, nobody"] {
            assert_eq!(client("10.0.0.1", &[odd]), "10.0.0.1", "{odd}");
        }
    }
}
