//! `msgserver serve`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use std::sync::Arc;

use msgserver::{
    DiskStore, Encryption, HttpApi, MemoryStore, RedisStore, Server, Settings, SharedSecret, Store,
};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Fault, descriptors};

/// How long a drain may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Serve {
    /// Raw TCP door, the first msgserver's protocol; `off` closes it
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3366", env = "MSGSERVER_LISTEN")]
    listen: String,
    /// Protocol of that door: default or frame
    #[arg(long, default_value = "default", env = "MSGSERVER_PROTOCOL")]
    protocol: String,
    /// Serializer of that door: json or msgpack
    #[arg(long, default_value = "json", env = "MSGSERVER_SERIALIZER")]
    serializer: String,
    /// The first msgserver's "SSL" handshake on that door
    #[arg(long, env = "MSGSERVER_ENCRYPT")]
    encrypt: bool,
    /// Raw TCP door, the `frame` protocol; `off` closes it
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3367", env = "MSGSERVER_FRAME")]
    frame: String,
    /// HTTP API; `off` closes it
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3365", env = "MSGSERVER_HTTP")]
    http: String,
    /// Where undelivered messages live: memory, disk or redis://HOST:PORT
    #[arg(long, default_value = "disk", env = "MSGSERVER_STORE")]
    store: String,
    /// Directory of the disk store
    #[arg(long, value_name = "DIR", default_value = "./msgserver-data", env = "MSGSERVER_DATA_DIR")]
    data_dir: PathBuf,
    /// Clients prove themselves with `user;S`
    #[arg(long, value_name = "S", env = "MSGSERVER_SHARED_SECRET", hide_env_values = true)]
    shared_secret: Option<String>,
    /// Publishers send `Authorization: Bearer K`
    #[arg(long, value_name = "K", env = "MSGSERVER_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Open doors to the network without authentication or key
    #[arg(long, env = "MSGSERVER_ALLOW_ANONYMOUS")]
    allow_anonymous: bool,
    /// Form of the logs on standard error
    #[arg(long, default_value = "text", env = "MSGSERVER_LOG_FORMAT")]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace
    #[arg(long, default_value = "info", env = "MSGSERVER_LOG_LEVEL")]
    log_level: String,
    /// Written once every door is open, with their addresses
    #[arg(long, value_name = "PATH", env = "MSGSERVER_READY_FILE")]
    ready_file: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// One door's address, if it is to be open, and the socket once it is.
struct Address {
    key: &'static str,
    socket: Option<SocketAddr>,
}

impl Address {
    fn parse(key: &'static str, text: &str, faults: &mut Vec<String>) -> Self {
        let socket = (text != "off").then(|| text.parse().map_err(|_| ())).transpose();
        let socket = socket.unwrap_or_else(|()| {
            faults.push(format!("{key} = {text:?}: give an address such as 127.0.0.1:3366, or off"));
            None
        });
        Self { key, socket }
    }

    fn is_public(&self) -> bool {
        self.socket.is_some_and(|socket| !socket.ip().is_loopback())
    }

    async fn open(&self) -> Result<Option<TcpListener>, Fault> {
        let Some(socket) = self.socket else { return Ok(None) };
        let opened = TcpListener::bind(socket).await;
        opened.map(Some).map_err(|fault| Fault::failed(format!("{} = {socket}: {fault}", self.key)))
    }
}

fn local(listener: &Option<TcpListener>) -> Option<SocketAddr> {
    listener.as_ref().and_then(|listener| listener.local_addr().ok())
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Fault> {
        let mut faults = Vec::new();
        let listen = Address::parse("listen", &self.listen, &mut faults);
        let frame = Address::parse("frame", &self.frame, &mut faults);
        let http = Address::parse("http", &self.http, &mut faults);
        if !matches!(self.store.as_str(), "memory" | "disk") && !self.store.starts_with("redis://") {
            faults.push(format!("store = {:?}: give memory, disk or redis://HOST:PORT", self.store));
        }
        let mut one_of = |key: &str, value: &str, known: [&str; 2]| {
            if !known.contains(&value) {
                faults.push(format!("{key} = {value:?}: give {} or {}", known[0], known[1]));
            }
        };
        one_of("protocol", &self.protocol, ["default", "frame"]);
        one_of("serializer", &self.serializer, ["json", "msgpack"]);
        if self.protocol == "default" && self.serializer == "msgpack" && !self.encrypt {
            faults.push(
                "serializer = \"msgpack\": not under protocol \"default\" in the clear, whose frames end with \
                 a byte that it can hold; give json, protocol frame, or encrypt"
                    .to_owned(),
            );
        }
        if self.protocol == "frame" && self.encrypt {
            faults
                .push("encrypt = true: not with protocol \"frame\", whose clients do not know it".to_owned());
        }
        if !self.allow_anonymous {
            for door in [&listen, &frame] {
                if door.is_public() && self.shared_secret.is_none() {
                    faults.push(format!(
                        "{} = {}: open to the network without authentication; give shared-secret, or \
                         allow-anonymous if that is meant",
                        door.key,
                        door.socket.map_or_else(String::new, |socket| socket.to_string())
                    ));
                }
            }
            if http.is_public() && self.api_key.is_none() {
                faults.push(format!(
                    "http = {}: open to the network without a key; give api-key, or allow-anonymous if that is \
                     meant",
                    self.http
                ));
            }
        }
        let filter = EnvFilter::try_new(&self.log_level).unwrap_or_else(|fault| {
            faults.push(format!("log-level = {:?}: {fault}", self.log_level));
            EnvFilter::default()
        });
        if !faults.is_empty() {
            return Err(Fault::Usage(faults));
        }
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => log.init(),
            LogFormat::Json => log.json().init(),
        }
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Fault::failed)?;
        runtime.block_on(self.serve(&listen, &frame, &http))
    }

    async fn serve(&self, listen: &Address, frame: &Address, http: &Address) -> Result<(), Fault> {
        let mut terminate = signal(SignalKind::terminate()).map_err(Fault::failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Fault::failed)?;
        let settings = Settings { max_connections: descriptors::for_connections(), ..Settings::default() };
        let mut builder = Server::builder()
            .settings(settings)
            .shared_store(self.open_store().await?)
            .protocol(self.protocol.as_str())
            .serializer(self.serializer.as_str());
        if self.encrypt {
            builder = builder.encryption(Encryption::Ssl(1024));
            tracing::warn!(
                "encrypt is for old clients: it authenticates nobody and AES-ECB shows which blocks repeat"
            );
        }
        if let Some(secret) = &self.shared_secret {
            builder = builder.authentication(SharedSecret::new(secret));
        }
        let server = builder.build().map_err(Fault::failed)?;

        let (listen, frame, http) = (listen.open().await?, frame.open().await?, http.open().await?);
        let (at_listen, at_frame, at_http) = (local(&listen), local(&frame), local(&http));
        let mut doors = tokio::task::JoinSet::new();
        if let Some(listener) = listen {
            let server = server.clone();
            doors.spawn(async move { server.serve(listener).await });
        }
        if let Some(listener) = frame {
            let server = server.clone();
            doors.spawn(async move { server.serve_frames(listener).await });
        }
        let (stop_http, stopped) = tokio::sync::oneshot::channel::<()>();
        if let Some(listener) = http {
            let mut api = HttpApi::new(server.sender());
            if let Some(key) = &self.api_key {
                api = api.key(key);
            }
            tokio::spawn(api.serve(listener, async {
                let _ = stopped.await;
            }));
        }
        self.announce(at_listen, at_frame, at_http);
        if let Some(path) = &self.ready_file {
            write_ready_file(path, at_listen, at_frame, at_http)
                .map_err(|fault| Fault::failed(format!("ready-file = {}: {fault}", path.display())))?;
        }

        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("draining; a second signal ends at once");
        let _ = stop_http.send(());
        tokio::select! {
            () = server.stop(PATIENCE) => Ok(()),
            _ = terminate.recv() => Err(Fault::Failed("ended before everything was settled".to_owned())),
            _ = interrupt.recv() => Err(Fault::Failed("ended before everything was settled".to_owned())),
        }
    }

    async fn open_store(&self) -> Result<Arc<dyn Store>, Fault> {
        match self.store.as_str() {
            "memory" => Ok(Arc::new(MemoryStore::new())),
            "disk" => Ok(Arc::new(DiskStore::open(&self.data_dir).map_err(Fault::failed)?)),
            url => {
                let store = RedisStore::connect(url).await.map_err(Fault::failed)?;
                let taken = store.take_over().await.map_err(Fault::failed)?;
                if taken.messages > 0 {
                    tracing::info!(
                        messages = taken.messages,
                        users = taken.users,
                        "taken over from a Go deployment"
                    );
                }
                Ok(Arc::new(store))
            }
        }
    }

    /// Says what is open where, and what to type next.
    fn announce(&self, listen: Option<SocketAddr>, frame: Option<SocketAddr>, http: Option<SocketAddr>) {
        let line = |name: &str, address: Option<SocketAddr>, what: &str| match address {
            Some(address) => eprintln!("  {name:<7} {address:<21} {what}", address = address.to_string()),
            None => eprintln!("  {name:<7} off"),
        };
        eprintln!("msgserver {}", env!("CARGO_PKG_VERSION"));
        let encrypted = if self.encrypt { ", encrypted" } else { "" };
        line("listen", listen, &format!("protocol {}, {}{encrypted}", self.protocol, self.serializer));
        line("frame", frame, "protocol frame, json, with acknowledgements");
        line("http", http, "POST /v1/messages, /msg/sender; GET /v1/stats, /metrics");
        match self.store.as_str() {
            "memory" => eprintln!("  store   memory: what is undelivered ends with this process"),
            redis if redis.starts_with("redis://") => {
                eprintln!("  store   Redis: what is accepted is as safe as Redis is set to keep it");
            }
            _ => eprintln!("  store   {}: what is accepted is on disk", self.data_dir.display()),
        }
        if let (Some(_), Some(_)) = (frame, http) {
            eprintln!("\nIn a second terminal:  msgserver listen --user ada");
            eprintln!("and in a third:        msgserver send --to ada hello");
        }
    }
}

fn write_ready_file(
    path: &Path,
    listen: Option<SocketAddr>,
    frame: Option<SocketAddr>,
    http: Option<SocketAddr>,
) -> std::io::Result<()> {
    let mut doors = serde_json::Map::new();
    for (name, address) in [("listen", listen), ("frame", frame), ("http", http)] {
        if let Some(address) = address {
            doors.insert(name.to_owned(), address.to_string().into());
        }
    }
    // Whoever waits for the file must never see half of it.
    let whole = path.with_extension("partial");
    fs::write(&whole, serde_json::Value::from(doors).to_string())?;
    fs::rename(whole, path)
}
