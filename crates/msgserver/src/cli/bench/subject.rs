//! What is measured: a server of its own, another's, or the floor.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::line::{Door, Entrance};
use super::options::Options;
use super::own_process::OwnProcess;
use super::process::Process;
use super::publisher::Way;
use crate::cli::Fault;

/// How long a server may take to open its doors, or to see what has come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ports of a server that nobody has told others.
const HTTP_PORT: u16 = 3365;
const FRAME_PORT: u16 = 3367;

/// What proves the users of a server of its own, and what its publisher: where users prove themselves, nobody publishes
/// without a key.
const SECRET: &str = "bench";
const KEY: &str = "bench-key";

/// How messages are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Publishing {
    /// A request a message, on one connection, the next without waiting for the answer
    Http,
    /// A request for all that may go
    Batch,
    /// Frames of one session
    Frame,
}

impl std::fmt::Display for Publishing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Batch => "batch",
            Self::Frame => "frame",
        })
    }
}

/// A server that is measured. One of its own ends with this value.
pub(super) struct Subject {
    pub(super) process: Option<Process>,
    pub(super) address: SocketAddr,
    pub(super) entrance: Entrance,
    ways: Ways,
    /// Ends with this value.
    _own: Option<OwnProcess>,
}

struct Ways {
    http: SocketAddr,
    host: String,
    frame: Option<SocketAddr>,
    key: Option<String>,
    secret: Option<String>,
}

/// What a server of its own is to be.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub(super) door: Door,
    pub(super) store: &'a str,
    /// Whether each client is to be a user by name, also where the door would take it without.
    pub(super) users: bool,
}

fn directory(options: &Options) -> Result<tempfile::TempDir, Fault> {
    let mut name = tempfile::Builder::new();
    name.prefix("msgserver-bench-");
    let made = options.directory.as_ref().map_or_else(|| name.tempdir(), |parent| name.tempdir_in(parent));
    made.map_err(|fault| Fault::Failed(format!("a directory for its own server: {fault}")))
}

impl Subject {
    /// The server that the options name, or one of its own that is as wanted.
    pub(super) fn server(options: &Options, wanted: &Wanted<'_>) -> Result<Self, Fault> {
        options.url.as_deref().map_or_else(
            || Self::own_server(options, wanted),
            |url| Self::other_server(options, url, wanted.door),
        )
    }

    fn own_server(options: &Options, wanted: &Wanted<'_>) -> Result<Self, Fault> {
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
        if wanted.door == Door::Encrypted {
            arguments.push("--encrypt".to_owned());
        }
        let ready = directory.path().join("ready.json");
        let mut own = OwnProcess::start(&arguments, directory, Stdio::null())?;
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
        let http = address(&doors, "http")?;
        Ok(Self {
            process: Some(own.process()),
            address: address(&doors, wanted.door.key())?,
            entrance: Entrance::new(wanted.door, secret.clone()).map_err(Fault::Failed)?,
            ways: Ways { http, host: http.to_string(), frame: Some(address(&doors, "frame")?), key, secret },
            _own: Some(own),
        })
    }

    fn other_server(options: &Options, url: &str, door: Door) -> Result<Self, Fault> {
        let usage = |line: String| Fault::Usage(vec![line]);
        let host = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let host = host.ok_or_else(|| usage(format!("--url {url}: begin it with http://")))?;
        let resolve = |flag: &str, host: &str, port: u16| {
            // With a port of its own, or without.
            let found = host.to_socket_addrs().or_else(|_| (host, port).to_socket_addrs());
            let found = found.ok().and_then(|mut addresses| addresses.next());
            found.ok_or_else(|| usage(format!("{flag} {host}: no such host; give HOST or HOST:PORT")))
        };
        let http = resolve("--url", host, HTTP_PORT)?;
        let beside = |port| SocketAddr::new(http.ip(), port);
        let connect = |usual: SocketAddr| match &options.connect {
            Some(host) => resolve("--connect", host, usual.port()),
            None => Ok(usual),
        };
        let frame = match &options.frame {
            Some(host) => resolve("--frame", host, FRAME_PORT)?,
            None if door == Door::Frame => connect(beside(FRAME_PORT))?,
            None => beside(FRAME_PORT),
        };
        Ok(Self {
            process: options.pid.map(Process::new),
            address: connect(beside(door.usual_port()))?,
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

    /// The floor, in a process of its own.
    pub(super) fn floor(options: &Options) -> Result<Self, Fault> {
        let mut own = OwnProcess::start(
            &["bench".to_owned(), "floor".to_owned()],
            directory(options)?,
            Stdio::piped(),
        )?;
        let mut line = String::new();
        let stdout = own.child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).map_err(Fault::failed)?;
        let doors: Value = serde_json::from_str(&line)
            .map_err(|fault| own.ended().unwrap_or_else(|| Fault::Failed(format!("the floor: {fault}"))))?;
        let http = address(&doors, "http")?;
        Ok(Self {
            process: Some(own.process()),
            address: address(&doors, "listen")?,
            entrance: Entrance::Floor,
            ways: Ways { http, host: String::new(), frame: None, key: None, secret: None },
            _own: Some(own),
        })
    }

    pub(super) const fn is_floor(&self) -> bool {
        matches!(self.entrance, Entrance::Floor)
    }

    /// The way in which a publisher of this kind hands over.
    pub(super) fn way(&self, publishing: Publishing, user: String) -> Way {
        let Ways { http: address, host, key, secret, .. } = &self.ways;
        let (address, host, key) = (*address, host.clone(), key.clone());
        match (publishing, self.ways.frame) {
            (Publishing::Frame, Some(address)) => {
                Way::Frame { address, user, token: key.or_else(|| secret.clone()) }
            }
            (_, None) => Way::Floor { address },
            (Publishing::Http, _) => Way::Http { address, host, key },
            (Publishing::Batch, _) => Way::Batch { address, host, key },
        }
    }

    fn get(&self, path: &str) -> Result<String, Fault> {
        let url = format!("http://{}{path}", self.ways.host);
        let failed =
            |fault: ureq::Error| Fault::Failed(format!("{url}: {fault}; is a server running there?"));
        let mut request = ureq::get(&url);
        if let Some(key) = &self.ways.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        request.call().map_err(failed)?.body_mut().read_to_string().map_err(failed)
    }

    /// How many connections the server has; nothing of the floor, whose clients know for themselves.
    pub(super) fn connections(&self) -> Result<Option<u64>, Fault> {
        if self.is_floor() {
            return Ok(None);
        }
        let stats: Value = serde_json::from_str(&self.get("/v1/stats")?).map_err(Fault::failed)?;
        stats["connections"]
            .as_u64()
            .map(Some)
            .ok_or_else(|| Fault::Failed(format!("{} counts no connections: {stats}", self.ways.host)))
    }

    /// How often the server has asked the disk to keep what was written, if it counts that.
    pub(super) fn syncs(&self) -> Option<u64> {
        let metrics = self.get("/metrics").ok()?;
        let line = metrics.lines().find(|line| !line.starts_with('#') && line.contains("syncs"))?;
        Some(line.rsplit_once(' ')?.1.parse::<f64>().ok()? as u64)
    }
}

fn address(doors: &Value, door: &str) -> Result<SocketAddr, Fault> {
    let address = doors[door].as_str().and_then(|address| address.parse().ok());
    address.ok_or_else(|| Fault::Failed(format!("no address for {door} in {doors}")))
}
