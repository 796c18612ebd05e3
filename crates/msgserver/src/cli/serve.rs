//! `msgserver serve`.

use std::sync::Arc;

use clap::Args;
use msgserver::{
    DiskStore, Door, Encryption, Figure, HttpApi, MemoryStore, Proxies, Publishers, RedisStore, Server,
    ServerKey, SharedSecret, Store, Webhooks,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::configuration::{Configuration, Flags, InForce, Listener, LogFormat, StoreChoice, Webhook};
use super::doors::{self, Behind, OpenDoor};
use super::ready_file::ReadyFile;
use super::{Fault, descriptors, gate, log, tls};

#[derive(Args)]
#[command(
    after_help = "Each flag is also a key of the file and an environment variable: --data-dir is data_dir and \
    MSGSERVER_DATA_DIR, --limits-queue is queue in [limits] and MSGSERVER_LIMITS__QUEUE. A flag goes \
    before the environment, the environment before the file. More doors are [[listener]] in the file. \
    -h shows the most used flags, --help all; docs/configuration.md has every key."
)]
pub(crate) struct Serve {
    #[command(flatten)]
    flags: Flags,
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Fault> {
        let mut in_force = InForce::read(&self.flags).map_err(Fault::Usage)?;
        let hidden = in_force.hidden();
        if !hidden.is_empty() {
            return Err(Fault::Usage(hidden));
        }
        let configuration = in_force.configuration();
        log::start(configuration.log_format, &configuration.log_level);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Fault::failed);
        let outcome = runtime.and_then(|runtime| {
            let outcome = runtime.block_on(serve(&configuration));
            // What is still under way now is nothing that anybody waits for.
            runtime.shutdown_background();
            outcome
        });
        match outcome {
            Err(Fault::Failed(line)) if configuration.log_format == LogFormat::Json => {
                tracing::error!("{line}");
                Err(Fault::Logged)
            }
            outcome => outcome,
        }
    }
}

async fn serve(configuration: &Configuration) -> Result<(), Fault> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Fault::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Fault::failed)?;
    let ready_file = configuration.ready_file.as_deref();
    if let Some(path) = ready_file {
        ReadyFile::clear(path)?;
    }

    let tls = tls::open(configuration)?;
    let webhooks = webhooks(configuration)?;
    let server = build(configuration, webhooks.clone()).await?;
    let doors = doors::open(configuration, tls.as_ref()).await?;
    doors::announce(configuration, &doors);
    let ready_file = ready_file.map(|path| ReadyFile::write(path, &doors)).transpose()?;
    if let Some(tls) = tls {
        tokio::spawn(tls::keep(tls).map_err(Fault::failed)?);
    }
    let stop_http = watch::Sender::new(false);
    let mut http = JoinSet::new();
    for door in doors {
        open_to_clients(door, &server, configuration, webhooks.as_ref(), &stop_http, &mut http);
    }

    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    tracing::info!("draining; a second signal ends at once");
    stop_http.send_replace(true);
    let answered = async {
        if tokio::time::timeout(configuration.drain, http.join_all()).await.is_err() {
            tracing::warn!("some HTTP clients have not taken their answers");
        }
    };
    let drained = async { tokio::join!(server.stop(configuration.drain), answered) };
    let outcome = tokio::select! {
        _ = drained => Ok(()),
        _ = terminate.recv() => Err(Fault::Failed("ended before everything was settled".to_owned())),
        _ = interrupt.recv() => Err(Fault::Failed("ended before everything was settled".to_owned())),
    };
    drop(ready_file);
    outcome
}

/// The webhooks, if there are some.
fn webhooks(configuration: &Configuration) -> Result<Option<Webhooks>, Fault> {
    let all = configuration.webhooks.iter().chain([&configuration.webhook]);
    let endpoints: Vec<_> =
        all.filter_map(Webhook::endpoint).collect::<Result<_, _>>().map_err(Fault::failed)?;
    if endpoints.is_empty() { Ok(None) } else { Webhooks::start(endpoints).map(Some).map_err(Fault::failed) }
}

async fn build(configuration: &Configuration, webhooks: Option<Webhooks>) -> Result<Server, Fault> {
    let encrypted = std::iter::once(&configuration.listen).chain(&configuration.listeners);
    let mut key = None;
    if encrypted.into_iter().any(|listener| listener.encrypt) {
        tracing::warn!(
            "encrypt is for old clients: it authenticates nobody and AES-ECB shows which blocks repeat"
        );
        key = Some(server_key(configuration)?);
    }
    let encryption = |listener: &Listener| {
        key.clone().filter(|_| listener.encrypt).map_or(Encryption::None, Encryption::Key)
    };

    let mut settings = configuration.settings.clone();
    let limit = configuration.max_connections.unwrap_or(usize::MAX);
    settings.max_connections = limit.min(descriptors::for_connections());
    // Its directory is this server's own from here on.
    let store = open_store(configuration).await?;
    let gate = gate::build(configuration)?;
    settings.publishers = match &configuration.api_key {
        Some(key) => Publishers::WithKey(key.as_str().into()),
        // Who proves to be a user has not proven to be a publisher.
        None if configuration.shared_secret.is_some()
            || configuration.tls.client_ca.is_some()
            || !gate.is_open() =>
        {
            Publishers::Nobody
        }
        None => Publishers::Everybody,
    };
    settings.topics = configuration.inbox.topics;
    let listen = &configuration.listen;
    let mut builder = Server::builder()
        .settings(settings)
        .gate(gate)
        .shared_store(store)
        .protocol(listen.protocol)
        .serializer(listen.serializer)
        .encryption(encryption(listen));
    for listener in &configuration.listeners {
        let mut door = Door::new(listener.protocol, listener.serializer).encryption(encryption(listener));
        if let Some(limit) = listener.max_connections {
            door = door.max_connections(limit);
        }
        builder = builder.door(door);
    }
    if !configuration.networks.is_open() {
        builder = builder.filter(configuration.networks.clone());
    }
    if let Some(secret) = &configuration.shared_secret {
        builder = builder.authentication(SharedSecret::new(secret));
    }
    if let Some(webhooks) = webhooks {
        builder = builder.webhooks(webhooks);
    }
    builder.build().map_err(Fault::failed)
}

fn server_key(configuration: &Configuration) -> Result<ServerKey, Fault> {
    let Some(path) = &configuration.key_file else {
        return ServerKey::generate(configuration.key_bits).map_err(Fault::failed);
    };
    let failed = |fault: &dyn std::fmt::Display| {
        Fault::Failed(format!("encryption.key_file = {:?}: {fault}", path.display().to_string()))
    };
    let bytes = std::fs::read(path).map_err(|fault| failed(&fault))?;
    ServerKey::decode(&bytes).map_err(|fault| failed(&fault))
}

async fn open_store(configuration: &Configuration) -> Result<Arc<dyn Store>, Fault> {
    match &configuration.store {
        StoreChoice::Memory => Ok(Arc::new(MemoryStore::with_limits(configuration.inbox))),
        StoreChoice::Disk => {
            let store = DiskStore::with_limits(&configuration.data_dir, configuration.inbox);
            Ok(Arc::new(store.map_err(Fault::failed)?))
        }
        StoreChoice::Redis(url) => {
            let store =
                RedisStore::connect_with_limits(url, configuration.inbox).await.map_err(Fault::failed)?;
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

/// Serves a door until the server stops.
fn open_to_clients(
    door: OpenDoor,
    server: &Server,
    configuration: &Configuration,
    webhooks: Option<&Webhooks>,
    stop_http: &watch::Sender<bool>,
    http: &mut JoinSet<()>,
) {
    let server = server.clone();
    let socket = door.listener;
    match door.behind {
        Behind::Main => drop(tokio::spawn(async move { server.serve(socket).await })),
        Behind::Frame => drop(tokio::spawn(async move { server.serve_frames(socket).await })),
        Behind::Mqtt => drop(tokio::spawn(async move { server.serve_mqtt(socket).await })),
        Behind::Listed(n) => drop(tokio::spawn(async move { server.serve_door(socket, n).await })),
        Behind::Http => {
            let mut api = HttpApi::new(server.sender())
                .patience(configuration.request_deadline)
                .body_limit(configuration.body_bytes)
                .proxies(Arc::new(Proxies(configuration.trusted_proxies.clone())))
                .origins(configuration.origins.clone());
            if !door.place.is_local() && !configuration.allow_anonymous {
                api = api.refuse_strangers();
            }
            if let Some(key) = &configuration.api_key {
                api = api.key(key);
            }
            if let Some(webhooks) = webhooks.cloned() {
                api = api.more_figures(move || figures(&webhooks));
            }
            let mut stop = stop_http.subscribe();
            http.spawn(api.serve(socket, async move {
                let _ = stop.wait_for(|stop| *stop).await;
            }));
        }
    }
}

fn figures(webhooks: &Webhooks) -> Vec<Figure> {
    let figures = webhooks.figures();
    vec![
        Figure::new("webhooks_waiting", "Events that wait for webhooks now", figures.waiting),
        Figure::new(
            "webhooks_delivered",
            "Events that webhooks have taken since the start",
            figures.delivered,
        ),
        Figure::new(
            "webhooks_failed",
            "Requests that webhooks have not taken since the start",
            figures.failed,
        ),
        Figure::new("webhooks_dropped", "Events for webhooks dropped since the start", figures.dropped),
    ]
}
