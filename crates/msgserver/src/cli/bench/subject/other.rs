//! A server that is there already.

use std::net::{SocketAddr, ToSocketAddrs};

use msgserver_client::Trust;

use super::{Subject, Ways};
use crate::cli::Fault;
use crate::cli::bench::line::{Door, Entrance};
use crate::cli::bench::options::Options;
use crate::cli::bench::place::{Certified, Place};
use crate::cli::bench::process::Process;

/// The ports of a server that nobody has told others.
const HTTP_PORT: u16 = 3365;
const FRAME_PORT: u16 = 3367;

impl Subject {
    pub(super) fn other_server(options: &Options, url: &str, door: Door) -> Result<Self, Fault> {
        let usage = |line: String| Fault::Usage(vec![line]);
        let https = url.strip_prefix("https://");
        let host = https.or_else(|| url.strip_prefix("http://")).map(|rest| rest.trim_end_matches('/'));
        let host = host.ok_or_else(|| usage(format!("--url {url}: begin it with http:// or https://")))?;
        let trust = match &options.ca {
            Some(_) if https.is_none() => {
                return Err(usage(format!(
                    "--ca: there is no certificate at {url}; begin --url with https://"
                )));
            }
            Some(file) => Trust::authorities(file).map_err(|fault| Fault::Failed(format!("--ca {fault}")))?,
            None => Trust::System,
        };
        let resolve = |flag: &str, host: &str, port: u16| -> Result<Place, Fault> {
            // With a port of its own, or without.
            let found = host.to_socket_addrs().or_else(|_| (host, port).to_socket_addrs());
            let found = found.ok().and_then(|mut addresses| addresses.next());
            let address =
                found.ok_or_else(|| usage(format!("{flag} {host}: no such host; give HOST or HOST:PORT")))?;
            let tls = https.map(|_| Certified::new(name(host), &trust)).transpose();
            Ok(Place { address, tls: tls.map_err(|fault| usage(format!("{flag} {host}: {fault}")))? })
        };
        let http = resolve("--url", host, HTTP_PORT)?;
        let beside =
            |port| Place { address: SocketAddr::new(http.address.ip(), port), tls: http.tls.clone() };
        let connect = |usual: Place| match &options.connect {
            Some(host) => resolve("--connect", host, usual.address.port()),
            None => Ok(usual),
        };
        let frame = match &options.frame {
            Some(host) => resolve("--frame", host, FRAME_PORT)?,
            None if door == Door::Frame => connect(beside(FRAME_PORT))?,
            None => beside(FRAME_PORT),
        };
        Ok(Self {
            process: options.pid.map(Process::new),
            place: connect(beside(door.usual_port()))?,
            entrance: Entrance::new(door, options.shared_secret.clone()).map_err(Fault::Failed)?,
            ways: Ways {
                http,
                host: host.to_owned(),
                frame: Some(frame),
                key: options.api_key.clone(),
                secret: options.shared_secret.clone(),
            },
            _own: None,
        })
    }
}

/// A host without its port, as a certificate names it.
fn name(host: &str) -> &str {
    let without = host.rsplit_once(':').filter(|(name, _)| !name.contains(':') || name.ends_with(']'));
    without.map_or(host, |(name, _)| name).trim_matches(['[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_names_a_host_without_its_port() {
        for (host, expected) in [
            ("push.example", "push.example"),
            ("push.example:3365", "push.example"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:3365", "::1"),
            ("[::1]", "::1"),
            ("::1", "::1"),
        ] {
            assert_eq!(name(host), expected, "{host}");
        }
    }
}
