//! Putting a server together.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use msgserver_access::Gate;
use msgserver_handshake::HandshakeError;
use msgserver_listener::Listener;
use msgserver_message::UserId;
use msgserver_persistence::Store;
use msgserver_pool::{Pool, ShardedPool};
use msgserver_protocol::{IncompatibleChoice, Protocol, Serializer};
use msgserver_queue::{LaneQueue, Queue};
use msgserver_scheduler::{
    AsyncFunction, Authenticate, FailedCallback, FailedDelivery, Filter, Job, Parts, Scheduler, Settings,
    Witness,
};
#[cfg(feature = "webhooks")]
use msgserver_webhooks::Webhooks;
use tokio::net::{TcpListener, ToSocketAddrs};

#[cfg(feature = "webhooks")]
use crate::webhooks::ToWebhooks;
use crate::{Choice, Door, Encryption};

/// The scheduler knows doors by their number.
const MAIN_DOOR: usize = 0;
const FRAME_DOOR: usize = 1;
const MORE_DOORS: usize = 2;

/// Why a server cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no part of that name.
    #[error("there is no {part} called {name:?}; there is {known}")]
    UnknownName {
        /// What was to be chosen.
        part: &'static str,
        /// The name.
        name: String,
        /// The names that are known.
        known: &'static str,
    },
    /// Two choices do not fit together.
    #[error(transparent)]
    Incompatible(#[from] IncompatibleChoice),
    /// The `frame` protocol under the old handshake.
    #[error("encryption \"ssl\" is for protocol \"default\"; clients of protocol {0:?} do not know it")]
    EncryptedFrames(String),
    /// The key cannot be made.
    #[error(transparent)]
    Key(#[from] HandshakeError),
    /// The system has no more threads or descriptors.
    #[error("the server's threads cannot be started: {0}")]
    Start(#[from] io::Error),
}

pub(crate) fn chosen<T: ?Sized>(
    part: &'static str,
    known: &'static str,
    choice: Choice<T>,
    by_name: impl Fn(&str) -> Option<Arc<T>>,
) -> Result<Arc<T>, BuildError> {
    match choice {
        Choice::Value(value) => Ok(value),
        Choice::Name(name) => by_name(&name).ok_or(BuildError::UnknownName { part, name, known }),
    }
}

/// What a server is to be; every choice has the first msgserver's default.
pub struct ServerBuilder {
    pool: Choice<dyn Pool>,
    queue: Choice<dyn Queue<Job>>,
    main_door: Door,
    more_doors: Vec<Door>,
    store: Option<Arc<dyn Store>>,
    filter: Option<Arc<dyn Filter>>,
    authentication: Option<Arc<dyn Authenticate>>,
    failed_callback: Option<FailedCallback>,
    witness: Option<Arc<dyn Witness>>,
    #[cfg(feature = "webhooks")]
    webhooks: Option<Webhooks>,
    settings: Settings,
}

impl ServerBuilder {
    /// Where sessions are found: `"default"`, or an `Arc` of a [`Pool`].
    #[must_use]
    pub fn pool(mut self, pool: impl Into<Choice<dyn Pool>>) -> Self {
        self.pool = pool.into();
        self
    }

    /// Where messages wait: `"default"`, or an `Arc` of a [`Queue`].
    #[must_use]
    pub fn queue(mut self, queue: impl Into<Choice<dyn Queue<Job>>>) -> Self {
        self.queue = queue.into();
        self
    }

    /// `"json"`, `"msgpack"`, or an `Arc` of a [`Serializer`].
    #[must_use]
    pub fn serializer(mut self, serializer: impl Into<Choice<dyn Serializer>>) -> Self {
        self.main_door.serializer = serializer.into();
        self
    }

    /// `"default"`, `"frame"`, or an `Arc` of a [`Protocol`].
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<Choice<dyn Protocol>>) -> Self {
        self.main_door.protocol = protocol.into();
        self
    }

    /// Whether connections are encrypted: `"none"`, `"ssl"`, or an [`Encryption`].
    #[must_use]
    pub fn encryption(mut self, encryption: impl Into<Choice<Encryption>>) -> Self {
        self.main_door.encryption = encryption.into();
        self
    }

    /// One more door beside the chosen one and that of the `frame` protocol; as many as wanted.
    /// [`Server::serve_door`] opens it.
    #[must_use]
    pub fn door(mut self, door: Door) -> Self {
        self.more_doors.push(door);
        self
    }

    /// Where undelivered messages live. Without one they are tried again and then given up.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// As [`ServerBuilder::store`], of a store that was chosen at run time.
    #[must_use]
    pub fn shared_store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Who may connect at all: a function of the peer's address, or a [`Filter`].
    #[must_use]
    pub fn filter(mut self, filter: impl Filter) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    /// Who a client is: a function of the text that it sends, or an [`Authenticate`]. A client that is
    /// refused gets the text of the error.
    #[must_use]
    pub fn authentication(mut self, authentication: impl Authenticate) -> Self {
        self.authentication = Some(Arc::new(authentication));
        self
    }

    /// As [`ServerBuilder::authentication`], for a function that has to wait for its answer.
    #[must_use]
    pub fn authentication_async<F, A, E>(self, authentication: F) -> Self
    where
        F: Fn(String) -> A + Send + Sync + 'static,
        A: Future<Output = Result<UserId, E>> + Send + 'static,
        E: Display + 'static,
    {
        self.authentication(AsyncFunction(authentication))
    }

    /// What is asked of who comes in: tokens, the application, API keys. It stands beside
    /// [`ServerBuilder::authentication`]; a token that the gate can check decides alone.
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> Self {
        self.settings.gate = Arc::new(gate);
        self
    }

    /// Is told of each try that failed.
    #[must_use]
    pub fn failed_callback(mut self, callback: impl Fn(&FailedDelivery) + Send + Sync + 'static) -> Self {
        self.failed_callback = Some(Arc::new(callback));
        self
    }

    /// Is told what becomes of messages, step by step, while the server runs.
    #[must_use]
    pub fn witness(mut self, witness: impl Witness) -> Self {
        self.witness = Some(Arc::new(witness));
        self
    }

    /// Tells HTTP endpoints what becomes of messages. They take the place of a [`ServerBuilder::witness`], and end with
    /// [`Server::stop`].
    #[cfg(feature = "webhooks")]
    #[must_use]
    pub fn webhooks(mut self, webhooks: Webhooks) -> Self {
        self.webhooks = Some(webhooks.clone());
        self.witness(ToWebhooks(webhooks))
    }

    /// The settings: resend times and interval, parallel workers, limits.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Starts the server's workers on the current tokio runtime. No door is open yet.
    ///
    /// # Errors
    /// [`BuildError`] names the choice that cannot be.
    pub fn build(self) -> Result<Server, BuildError> {
        let pool = chosen("pool", "default", self.pool, |name| {
            (name == "default").then(|| Arc::new(ShardedPool::default()) as Arc<dyn Pool>)
        })?;
        let queue = chosen("queue", "default", self.queue, |name| {
            (name == "default").then(|| Arc::new(LaneQueue::default()) as Arc<dyn Queue<Job>>)
        })?;
        let doors = [self.main_door, Door::new("frame", "json")].into_iter();
        let doors = doors.chain(self.more_doors).chain(Door::on_http()).chain(Door::on_mqtt());
        let doors = doors.map(Door::build).collect::<Result<_, _>>()?;
        let parts = Parts {
            pool,
            queue,
            store: self.store,
            doors,
            filter: self.filter,
            authentication: self.authentication,
            failed_callback: self.failed_callback,
            witness: self.witness,
        };
        Ok(Server {
            scheduler: Scheduler::start(parts, self.settings)?,
            #[cfg(feature = "webhooks")]
            webhooks: self.webhooks,
        })
    }
}

/// A server whose workers run; doors are opened with [`Server::listen`].
/// Cheap to clone.
#[derive(Clone)]
pub struct Server {
    scheduler: Scheduler,
    #[cfg(feature = "webhooks")]
    webhooks: Option<Webhooks>,
}

impl Server {
    /// Begins with the first msgserver's defaults.
    #[must_use]
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            pool: "default".into(),
            queue: "default".into(),
            main_door: Door::new("default", "json"),
            more_doors: Vec::new(),
            store: None,
            filter: None,
            authentication: None,
            failed_callback: None,
            witness: None,
            #[cfg(feature = "webhooks")]
            webhooks: None,
            settings: Settings::default(),
        }
    }

    /// What messages are handed to.
    #[must_use]
    pub fn sender(&self) -> Scheduler {
        self.scheduler.clone()
    }

    /// How many connections are online.
    #[must_use]
    pub fn online_count(&self) -> usize {
        self.scheduler.online_count()
    }

    /// Opens a door of the chosen protocol and serves it until the server stops.
    ///
    /// # Errors
    /// What the system says of the address.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        self.serve(TcpListener::bind(address).await?).await;
        Ok(())
    }

    /// As [`Server::listen`], on a socket that is open already.
    pub async fn serve(&self, listener: impl Into<Listener>) {
        self.scheduler.serve(listener, MAIN_DOOR).await;
    }

    /// Serves the `frame` protocol in JSON beside the chosen one.
    pub async fn serve_frames(&self, listener: impl Into<Listener>) {
        self.scheduler.serve(listener, FRAME_DOOR).await;
    }

    /// Serves MQTT, both versions.
    ///
    /// # Panics
    /// Never: the door is there.
    #[cfg(feature = "mqtt")]
    pub async fn serve_mqtt(&self, listener: impl Into<Listener>) {
        let door = self.scheduler.door("mqtt", "json").expect("every server has it");
        self.scheduler.serve(listener, door).await;
    }

    /// Serves the door that was added with [`ServerBuilder::door`]: the first one is 0.
    ///
    /// # Panics
    /// If fewer doors were added.
    pub async fn serve_door(&self, listener: impl Into<Listener>, door: usize) {
        self.scheduler.serve(listener, MORE_DOORS + door).await;
    }

    /// Stops: what waits is written as far as clients take it within `patience`, the store is closed, and webhooks are
    /// told of it within what is left of `patience`, or a second.
    pub async fn stop(&self, patience: Duration) {
        #[cfg(feature = "webhooks")]
        let start = std::time::Instant::now();
        self.scheduler.stop(patience).await;
        // Last: sessions tell of steps until they end.
        #[cfg(feature = "webhooks")]
        if let Some(webhooks) = &self.webhooks {
            webhooks.stop(patience.saturating_sub(start.elapsed()).max(Duration::from_secs(1))).await;
        }
    }
}
