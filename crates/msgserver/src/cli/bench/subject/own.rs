//! Servers that are started for a run.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use msgserver_client::Trust;
use serde_json::Value;

use super::{Subject, Ways};
use crate::cli::Fault;
use crate::cli::bench::certificate::{Certificate, NAME};
use crate::cli::bench::line::{Door, Entrance};
use crate::cli::bench::options::Options;
use crate::cli::bench::own_process::OwnProcess;
use crate::cli::bench::peer::{Peer, free_address};
use crate::cli::bench::place::{Certified, Place};

/// How long a server may take to open its doors.
const PATIENCE: Duration = Duration::from_secs(60);

/// What proves the users of a server of its own, and what its publisher: where users prove themselves, nobody publishes
/// without a key.
const SECRET: &str = "bench";
const KEY: &str = "bench-key";

/// What a server of its own is to be.
#[derive(Debug, Clone)]
pub(in crate::cli::bench) struct Wanted<'a> {
    pub(in crate::cli::bench) door: Door,
    pub(in crate::cli::bench) store: &'a str,
    /// Whether each client is to be a user by name, also where the door would take it without.
    pub(in crate::cli::bench) users: bool,
}

fn directory(options: &Options) -> Result<tempfile::TempDir, Fault> {
    let mut name = tempfile::Builder::new();
    name.prefix("msgserver-bench-");
    let made = options.directory.as_ref().map_or_else(|| name.tempdir(), |parent| name.tempdir_in(parent));
    made.map_err(|fault| Fault::Failed(format!("a directory for its own server: {fault}")))
}

impl Subject {
    pub(super) fn own_server(options: &Options, wanted: &Wanted<'_>) -> Result<Self, Fault> {
        let directory = directory(options)?;
        let path = |name: &str| directory.path().join(name).display().to_string();
        let mut arguments = vec!["serve".to_owned()];
        let mut flag = |name: &str, value: &str| arguments.extend([format!("--{name}"), value.to_owned()]);
        for door in ["listen", "frame", "http", "mqtt"] {
            flag(door, "127.0.0.1:0");
        }
        flag("store", wanted.store);
        flag("data-dir", &path("data"));
        flag("ready-file", &path("ready.json"));
        flag("log-level", "warn");
        // The load may put more in an inbox than the usual limit; what is dropped would count as lost.
        flag("inbox-messages", "100000000");
        flag("inbox-bytes", "1GiB");
        let secret = options.shared_secret.clone().or_else(|| wanted.users.then(|| SECRET.to_owned()));
        let key = secret.is_some().then(|| KEY.to_owned());
        if let Some((secret, key)) = secret.as_ref().zip(key.as_ref()) {
            flag("shared-secret", secret);
            flag("api-key", key);
        }
        let certificate = options.tls.then(|| Certificate::make(directory.path())).transpose()?;
        if let Some(Certificate { file, key }) = &certificate {
            flag("tls-cert", &file.display().to_string());
            flag("tls-key", &key.display().to_string());
        }
        if wanted.door == Door::Encrypted {
            arguments.push("--encrypt".to_owned());
        }
        let ready = directory.path().join("ready.json");
        let mut own = OwnProcess::start("its own server", None, &arguments, directory, Stdio::null())?;
        let start = Instant::now();
        let doors: Value = loop {
            if let Ok(json) = std::fs::read(&ready) {
                break serde_json::from_slice(&json).map_err(Fault::failed)?;
            }
            if let Some(fault) = own.ended() {
                return Err(fault);
            }
            if start.elapsed() > PATIENCE {
                return Err(Fault::Failed("its own server does not open its doors".to_owned()));
            }
            // Between two looks, so that the server gets the processor.
            std::thread::sleep(Duration::from_millis(2));
        };
        let tls = certificate.map(|certificate| {
            let trust = Trust::authorities(certificate.file).map_err(Fault::failed)?;
            Certified::new(NAME, &trust).map_err(Fault::Failed)
        });
        let tls = tls.transpose()?;
        let place = |door: &str| -> Result<Place, Fault> {
            Ok(Place { address: address(&doors, door)?, tls: tls.clone() })
        };
        let http = place("http")?;
        Ok(Self {
            process: Some(own.process()),
            place: place(wanted.door.key())?,
            entrance: Entrance::new(wanted.door, secret.clone()).map_err(Fault::Failed)?,
            ways: Ways { host: http.address.to_string(), http, frame: Some(place("frame")?), key, secret },
            _own: Some(own),
        })
    }

    /// The floor, in a process of its own.
    pub(in crate::cli::bench) fn floor(options: &Options) -> Result<Self, Fault> {
        let mut own = OwnProcess::start(
            "the floor",
            None,
            &["bench".to_owned(), "floor".to_owned()],
            directory(options)?,
            Stdio::piped(),
        )?;
        let mut line = String::new();
        let stdout = own.child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).map_err(Fault::failed)?;
        let doors: Value = serde_json::from_str(&line)
            .map_err(|fault| own.ended().unwrap_or_else(|| Fault::Failed(format!("the floor: {fault}"))))?;
        let http = Place::in_the_clear(address(&doors, "http")?);
        Ok(Self {
            process: Some(own.process()),
            place: Place::in_the_clear(address(&doors, "listen")?),
            entrance: Entrance::Floor,
            ways: Ways { http, host: String::new(), frame: None, key: None, secret: None },
            _own: Some(own),
        })
    }

    /// A peer, in a process of its own; `to_one` if each client is to get its own messages and no other's.
    pub(in crate::cli::bench) fn peer(options: &Options, peer: Peer, to_one: bool) -> Result<Self, Fault> {
        let program = peer.program()?;
        let directory = directory(options)?;
        let address = free_address().map_err(Fault::failed)?;
        let arguments = peer.dialect().arguments(address, directory.path()).map_err(Fault::failed)?;
        let mut own = OwnProcess::start(peer.name(), Some(&program), &arguments, directory, Stdio::null())?;
        let start = Instant::now();
        while !peer.serves(address) {
            if let Some(fault) = own.ended() {
                return Err(fault);
            }
            if start.elapsed() > PATIENCE {
                return Err(Fault::Failed(format!("{} does not open its door", peer.name())));
            }
            // Between two looks, so that it gets the processor.
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Self {
            process: Some(own.process()),
            place: Place::in_the_clear(address),
            entrance: Entrance::Peer { peer, to_one },
            ways: Ways {
                http: Place::in_the_clear(address),
                host: String::new(),
                frame: None,
                key: None,
                secret: None,
            },
            _own: Some(own),
        })
    }
}

fn address(doors: &Value, door: &str) -> Result<SocketAddr, Fault> {
    let address = doors[door].as_str().and_then(|address| address.parse().ok());
    address.ok_or_else(|| Fault::Failed(format!("no address for {door} in {doors}")))
}
