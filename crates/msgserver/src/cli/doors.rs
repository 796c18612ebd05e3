//! The doors of a running server: their sockets, and what is said of them at the start.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::Fault;
use super::configuration::{Configuration, Listener, LogFormat, StoreChoice};

/// What is behind a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// The protocol that the flags choose.
    Main,
    /// The `frame` protocol.
    Frame,
    Http,
    Mqtt,
    /// What the `[[listener]]` of this number says; the first is 0.
    Listed(usize),
}

/// A door that is open.
pub(crate) struct OpenDoor {
    /// The key of its address.
    pub(crate) key: String,
    /// Where it is, with the port that the system chose for port 0.
    pub(crate) address: SocketAddr,
    pub(crate) behind: Behind,
    pub(crate) socket: TcpListener,
    speaks: String,
}

impl OpenDoor {
    /// Whether it is one of the file's list.
    pub(crate) const fn is_listed(&self) -> bool {
        matches!(self.behind, Behind::Listed(_))
    }
}

/// Opens every door; none of them is served yet.
pub(crate) async fn open(configuration: &Configuration) -> Result<Vec<OpenDoor>, Fault> {
    let http = "POST /v1/messages, /msg/sender; GET /v1/ws, /v1/sse, /v1/stats, /metrics";
    let mut wanted = vec![
        ("listen".to_owned(), configuration.listen.address, Behind::Main, speaks(&configuration.listen)),
        (
            "frame".to_owned(),
            configuration.frame,
            Behind::Frame,
            "protocol frame, json, with acknowledgements".to_owned(),
        ),
        ("http".to_owned(), configuration.http, Behind::Http, http.to_owned()),
        ("mqtt".to_owned(), configuration.mqtt, Behind::Mqtt, "MQTT 3.1.1 and 5".to_owned()),
    ];
    for (n, listener) in configuration.listeners.iter().enumerate() {
        let key = format!("listener[{}].address", n + 1);
        wanted.push((key, listener.address, Behind::Listed(n), speaks(listener)));
    }
    let mut doors = Vec::new();
    for (key, address, behind, speaks) in wanted {
        let Some(address) = address else { continue };
        let opened = async {
            let socket = TcpListener::bind(address).await?;
            std::io::Result::Ok((socket.local_addr()?, socket))
        };
        let (address, socket) =
            opened.await.map_err(|fault| Fault::Failed(format!("{key} = \"{address}\": {fault}")))?;
        doors.push(OpenDoor { key, address, behind, socket, speaks });
    }
    Ok(doors)
}

fn speaks(listener: &Listener) -> String {
    let encrypted = if listener.encrypt { ", encrypted" } else { "" };
    let limit = listener.max_connections.map(|limit| format!(", at most {limit} connections"));
    format!("protocol {}, {}{encrypted}{}", listener.protocol, listener.serializer, limit.unwrap_or_default())
}

fn safety(configuration: &Configuration) -> String {
    match &configuration.store {
        StoreChoice::Memory => "memory: what is undelivered ends with this process".to_owned(),
        StoreChoice::Disk => format!("{}: what is accepted is on disk", configuration.data_dir.display()),
        StoreChoice::Redis(_) => "Redis: what is accepted is as safe as Redis is set to keep it".to_owned(),
    }
}

/// Says what is open where, and to a reader what to type next.
pub(crate) fn announce(configuration: &Configuration, doors: &[OpenDoor]) {
    let version = env!("CARGO_PKG_VERSION");
    if configuration.log_format == LogFormat::Json {
        for OpenDoor { key, address, speaks, .. } in doors {
            tracing::info!(door = key, %address, speaks, "open");
        }
        tracing::info!(version, store = safety(configuration), "ready");
        return;
    }
    let width = doors.iter().map(|door| door.key.len()).max().unwrap_or(0).max("listen".len());
    eprintln!("msgserver {version}");
    for door in doors {
        eprintln!("  {:<width$}  {:<21} {}", door.key, door.address.to_string(), door.speaks);
    }
    for (name, address) in [
        ("listen", configuration.listen.address),
        ("frame", configuration.frame),
        ("http", configuration.http),
    ] {
        if address.is_none() {
            eprintln!("  {name:<width$}  off");
        }
    }
    eprintln!("  {:<width$}  {}", "store", safety(configuration));
    let find = |behind| doors.iter().find(|door| door.behind == behind);
    if let (Some(frame), Some(http)) = (find(Behind::Frame), find(Behind::Http)) {
        let url = |door: &OpenDoor, scheme: &str, usual: u16| {
            let usual = door.address == SocketAddr::from(([127, 0, 0, 1], usual));
            if usual { String::new() } else { format!("--url {scheme}://{} ", door.address) }
        };
        let proof = match configuration.shared_secret {
            Some(_) => " --token SECRET",
            None if configuration.tokens.ask() => " --token TOKEN",
            None => "",
        };
        let key = match configuration.api_key {
            Some(_) => "--api-key SECRET ",
            None if !configuration.api_keys.is_empty() => "--api-key KEY ",
            None if configuration.tokens.ask() => "--api-key TOKEN ",
            None => "",
        };
        let (frame, http) = (url(frame, "tcp", 3367), url(http, "http", 3365));
        eprintln!("\nIn a second terminal:  msgserver listen {frame}--user ada{proof}");
        eprintln!("and in a third:        msgserver send {http}{key}--to ada hello");
    }
}
