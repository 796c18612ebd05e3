//! The doors of a running server: their sockets, and what is said of them at the start.

use std::net::SocketAddr;
use std::sync::Arc;

use msgserver::{Application, DoorTls, Proxies, Tls};
use tokio::net::TcpListener;

use super::Fault;
use super::configuration::{Configuration, Listener, LogFormat, Place, StoreChoice};

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

impl Behind {
    /// What clients may call it in the first words of TLS.
    const fn application(self) -> Application {
        match self {
            Self::Http => Application::Http,
            Self::Mqtt => Application::Mqtt,
            _ => Application::Unnamed,
        }
    }
}

/// A door that is open.
pub(crate) struct OpenDoor {
    /// The key of its address.
    pub(crate) key: String,
    /// Where it is, with the port that the system chose for port 0.
    pub(crate) place: Place,
    pub(crate) behind: Behind,
    pub(crate) listener: msgserver::Listener,
    has_tls: bool,
    speaks: String,
}

impl OpenDoor {
    /// Whether it is one of the file's list.
    pub(crate) const fn is_listed(&self) -> bool {
        matches!(self.behind, Behind::Listed(_))
    }
}

/// A door that is to be opened.
struct WantedDoor<'c> {
    key: String,
    place: &'c Option<Place>,
    behind: Behind,
    speaks: String,
}

/// Opens every door; none of them is served yet.
pub(crate) async fn open(
    configuration: &Configuration,
    tls: Option<&Arc<Tls>>,
) -> Result<Vec<OpenDoor>, Fault> {
    let http = "POST /v1/messages, /msg/sender; GET /v1/ws, /v1/sse, /v1/stats, /metrics";
    let frame = "protocol frame, json, with acknowledgements";
    let wanted = |key: &str, place, behind, speaks: &str| WantedDoor {
        key: key.to_owned(),
        place,
        behind,
        speaks: speaks.to_owned(),
    };
    let main = &configuration.listen;
    let mut all = vec![
        wanted("listen", &main.address, Behind::Main, &speaks(main)),
        wanted("frame", &configuration.frame, Behind::Frame, frame),
        wanted("http", &configuration.http, Behind::Http, http),
        wanted("mqtt", &configuration.mqtt, Behind::Mqtt, "MQTT 3.1.1 and 5"),
    ];
    for (n, listener) in configuration.listeners.iter().enumerate() {
        let key = format!("listener[{}].address", n + 1);
        all.push(wanted(&key, &listener.address, Behind::Listed(n), &speaks(listener)));
    }
    let proxies = Arc::new(Proxies(configuration.trusted_proxies.clone()));
    let mut doors = Vec::new();
    for WantedDoor { key, place, behind, mut speaks } in all {
        let Some(place) = place else { continue };
        let (place, mut listener) = bind(place, configuration.unix_mode)
            .await
            .map_err(|fault| Fault::Failed(format!("{key} = \"{place}\": {fault}")))?;
        let (has_tls, is_behind_proxies) = match behind {
            Behind::Listed(n) => {
                let listed = &configuration.listeners[n];
                (configuration.listener_has_tls(listed), configuration.listener_is_behind_proxies(listed))
            }
            _ => (configuration.has_tls(&key, &place), configuration.is_behind_proxies(&place)),
        };
        if let Some(tls) = tls.filter(|_| has_tls) {
            listener = listener.tls(DoorTls::new(Arc::clone(tls), behind.application()));
            speaks += ", TLS";
        }
        if is_behind_proxies {
            listener = listener.behind(Arc::clone(&proxies));
            speaks += ", PROXY protocol";
        }
        doors.push(OpenDoor { key, place, behind, listener, has_tls, speaks });
    }
    Ok(doors)
}

async fn bind(place: &Place, mode: u32) -> std::io::Result<(Place, msgserver::Listener)> {
    match place {
        Place::Tcp(address) => {
            let socket = TcpListener::bind(address).await?;
            Ok((Place::Tcp(socket.local_addr()?), socket.into()))
        }
        Place::Unix(path) => Ok((place.clone(), msgserver::Listener::unix(path, mode)?)),
    }
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
        for OpenDoor { key, place, speaks, .. } in doors {
            tracing::info!(door = key, address = %place, speaks, "open");
        }
        tracing::info!(version, store = safety(configuration), "ready");
        return;
    }
    let width = doors.iter().map(|door| door.key.len()).max().unwrap_or(0).max("listen".len());
    eprintln!("msgserver {version}");
    for door in doors {
        eprintln!("  {:<width$}  {:<21} {}", door.key, door.place.to_string(), door.speaks);
    }
    for (name, address) in [
        ("listen", &configuration.listen.address),
        ("frame", &configuration.frame),
        ("http", &configuration.http),
    ] {
        if address.is_none() {
            eprintln!("  {name:<width$}  off");
        }
    }
    eprintln!("  {:<width$}  {}", "store", safety(configuration));
    let reachable = |door: &&OpenDoor| matches!(door.place, Place::Tcp(_));
    let find = |behind| doors.iter().find(|door| door.behind == behind).filter(reachable);
    if let (Some(frame), Some(http)) = (find(Behind::Frame), find(Behind::Http)) {
        let url = |door: &OpenDoor, schemes: [&str; 2], usual: u16| {
            let usual = door.place == Place::Tcp(SocketAddr::from(([127, 0, 0, 1], usual)));
            match (&door.place, door.has_tls) {
                (Place::Tcp(_), false) if usual => String::new(),
                (place, has_tls) => format!("--url {}://{place} ", schemes[usize::from(has_tls)]),
            }
        };
        let proof = match configuration.shared_secret {
            Some(_) => " --token SECRET",
            None if configuration.tokens.ask() => " --token TOKEN",
            None => "",
        };
        let key = match configuration.api_key {
            Some(_) => "--api-key SECRET ",
            None if configuration.has_api_keys() => "--api-key KEY ",
            None if configuration.tokens.ask() => "--api-key TOKEN ",
            None => "",
        };
        let (frame, http) = (url(frame, ["tcp", "tls"], 3367), url(http, ["http", "https"], 3365));
        eprintln!("\nIn a second terminal:  msgserver listen {frame}--user ada{proof}");
        eprintln!("and in a third:        msgserver send {http}{key}--to ada hello");
    }
}
