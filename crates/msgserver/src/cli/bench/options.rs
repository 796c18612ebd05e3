//! What `msgserver bench` is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use serde::Serialize;

use super::line::Door;
use super::peer::Peer;
use super::publisher::Publishing;
use super::stamp::SHORTEST;

/// The longest content that a server takes, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    /// Every message to every client
    FanOut,
    /// Each message to one client, in turn
    ToOne,
    /// Memory of connections that do nothing
    Idle,
    /// How fast clients come online
    Connect,
    /// Publications that are safe before they are answered, for users who are away
    Durable,
    /// Fan-out beside clients that read slowly or not at all
    Mixed,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Options {
    /// What is measured; a short run of each unless said
    pub(super) mode: Option<Mode>,

    /// How many clients, or users who are away; as suits the mode unless said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000), help_heading = "Load")]
    pub(super) clients: Option<u64>,
    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX)), help_heading = "Load")]
    pub(super) messages: Option<u64>,
    /// End after so much time; 3 unless there is an end by --messages
    #[arg(long, value_name = "S", value_parser = seconds, help_heading = "Load")]
    pub(super) seconds: Option<f64>,
    /// Bytes of each content
    #[arg(long, value_name = "BYTES", default_value = "128", value_parser = clap::value_parser!(u64).range(SHORTEST as u64..=LONGEST), help_heading = "Load")]
    pub(super) size: u64,
    /// How many messages are on their way at a time; 32 for fan-out, else 256
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000), conflicts_with = "rate", help_heading = "Load")]
    pub(super) window: Option<u64>,
    /// Publish so many a second in place of a window; latency counts from the moment for which a message was meant
    #[arg(long, value_name = "PER_SECOND", value_parser = rate, help_heading = "Load")]
    pub(super) rate: Option<f64>,
    /// The door that the clients use; frame for connect, else raw, unless said
    #[arg(long, help_heading = "Load")]
    pub(super) door: Option<Door>,
    /// How messages are handed over; each in turn unless said for to-one and durable, else http
    #[arg(long, help_heading = "Load")]
    pub(super) publisher: Option<Publishing>,
    /// Publish with `"store": false`, for who is connected now: as peers do, which keep nothing. For to-one
    #[arg(long, help_heading = "Load")]
    pub(super) unkept: bool,
    /// Threads that are the clients; half the processors unless said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=256), help_heading = "Load")]
    pub(super) threads: Option<u64>,

    /// Load this server, by its HTTP API, in place of one of its own; with https:// TLS is spoken at all its doors
    #[arg(long, value_name = "http[s]://HOST:PORT", value_hint = ValueHint::Url, help_heading = "Server")]
    pub(super) url: Option<String>,
    /// Where that server's door for the clients is; at the usual port of the same host unless said
    #[arg(long, value_name = "HOST:PORT", requires = "url", help_heading = "Server")]
    pub(super) connect: Option<String>,
    /// Where that server's frame door is, for the publisher
    #[arg(long, value_name = "HOST:PORT", requires = "url", help_heading = "Server")]
    pub(super) frame: Option<String>,
    /// The certificates of the authorities that may vouch for that server, in PEM; the system's unless said
    #[arg(long, value_name = "FILE", requires = "url", value_hint = ValueHint::FilePath, help_heading = "Server")]
    pub(super) ca: Option<PathBuf>,
    /// That server's API key
    #[arg(
        long,
        env = "MSGSERVER_API_KEY",
        hide_env_values = true,
        requires = "url",
        help_heading = "Server"
    )]
    pub(super) api_key: Option<String>,
    /// Have TLS on every door of its own server, with a certificate made for the run, and speak it. The floor and peers
    /// stay in the clear
    #[arg(long, conflicts_with = "url", help_heading = "Server")]
    pub(super) tls: bool,
    /// Measure this server beside, if it is installed; once for each. For fan-out, to-one, idle and connect
    #[arg(long, help_heading = "Server")]
    pub(super) peer: Vec<Peer>,
    /// What users prove themselves with
    #[arg(long, env = "MSGSERVER_SHARED_SECRET", hide_env_values = true, help_heading = "Server")]
    pub(super) shared_secret: Option<String>,
    /// That server's process, if it is on this machine, to measure what it uses
    #[arg(long, requires = "url", help_heading = "Server")]
    pub(super) pid: Option<u32>,
    /// Store of its own server; memory, but disk for durable, unless said
    #[arg(long, conflicts_with = "url", help_heading = "Server")]
    pub(super) store: Option<String>,
    /// Where its own server may keep files for the run; the system's directory for temporary files unless said
    #[arg(long, value_name = "DIR", conflicts_with = "url", value_hint = ValueHint::DirPath, help_heading = "Server")]
    pub(super) directory: Option<PathBuf>,

    /// Write the report as JSON; `-` for standard output, in place of the table
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Report")]
    pub(super) json: Option<PathBuf>,
    /// Draw the distribution of latencies and the rate over time
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Report")]
    pub(super) svg: Option<PathBuf>,
}

fn positive(text: &str, most: f64, what: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| *value > 0.0 && *value <= most);
    value.ok_or_else(|| format!("{what} above 0 and up to {most}"))
}

fn seconds(text: &str) -> Result<f64, String> {
    positive(text, 86_400.0, "give a number of seconds")
}

fn rate(text: &str) -> Result<f64, String> {
    positive(text, 10_000_000.0, "give a number of messages a second")
}

impl Options {
    /// Whether TLS is spoken with the server.
    pub(super) fn is_under_tls(&self) -> bool {
        self.tls || self.url.as_ref().is_some_and(|url| url.starts_with("https://"))
    }

    /// The end by time, if there is one.
    pub(super) fn time(&self, usual: f64) -> Option<Duration> {
        let usual = self.messages.is_none().then_some(usual);
        self.seconds.or(usual).map(Duration::from_secs_f64)
    }

    pub(super) fn size(&self) -> usize {
        usize::try_from(self.size).expect("its range is small")
    }

    pub(super) fn threads(&self) -> usize {
        let half = || std::thread::available_parallelism().map_or(1, |all| all.get() / 2).max(1);
        self.threads.map_or_else(half, |threads| usize::try_from(threads).expect("its range is small"))
    }
}
