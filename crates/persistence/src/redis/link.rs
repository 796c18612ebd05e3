//! The connection, and how it is asked.

use std::fmt;
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::{
    Client, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisError,
    RedisFuture, RedisResult, ScriptInvocation, Value,
};
use parking_lot::Mutex;

use super::NAME;
use crate::StoreError;

/// How long an operation may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection that Redis refuses for other reasons than being away is left alone.
const RENEW_AFTER: Duration = Duration::from_secs(1);

/// How long it may take to connect, and to be answered once.
const CONNECTING: Duration = Duration::from_millis(1500);
const ANSWERING: Duration = Duration::from_secs(4);

/// One connection to Redis, which everything shares: what is asked at one time travels together.
pub(super) struct Link {
    client: Client,
    connection: Mutex<(Connection, Instant)>,
}

/// A connection to a server, or to each node of a cluster.
#[derive(Clone)]
enum Connection {
    Server(ConnectionManager),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(command),
            Self::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(server) => server.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(server) => server.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Something to ask Redis.
#[derive(Clone, Copy)]
pub(crate) enum Ask<'a> {
    /// Something that may be done twice.
    Again(&'a ScriptInvocation<'a>),
    /// Something whose answer would be another one if it were done twice, though no harm would come of it.
    Once(&'a ScriptInvocation<'a>),
    /// A command that may be sent twice.
    Command(&'a Cmd),
}

impl Ask<'_> {
    async fn send<T: FromRedisValue>(self, mut connection: Connection) -> RedisResult<T> {
        match self {
            Self::Again(script) | Self::Once(script) => script.invoke_async(&mut connection).await,
            Self::Command(command) => command.query_async(&mut connection).await,
        }
    }

    /// Whether to try once more on a new connection.
    fn may_repeat(self, fault: &RedisError) -> bool {
        // A connection that was refused has carried nothing.
        fault.is_connection_refusal()
            || fault.is_connection_dropped() && matches!(self, Self::Again(_) | Self::Command(_))
    }
}

/// Why Redis did not do what was asked.
pub(super) enum Refusal {
    /// It cannot be used now.
    Unavailable(StoreError),
    /// A script has to know first whether these servers are alive.
    Doubt(Vec<String>),
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unavailable(fault) => fault,
            Refusal::Doubt(servers) => unavailable(format_args!("it is not known whether {servers:?} live")),
        }
    }
}

pub(crate) fn unavailable(detail: impl fmt::Display) -> StoreError {
    StoreError::Unavailable { store: NAME, detail: detail.to_string() }
}

/// Waits for something as long as an operation may take.
pub(super) async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, StoreError> {
    let late = |_| unavailable(format_args!("no answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, work).await.map_err(late)
}

/// A connection that is made when it is used, and again after an I/O error.
fn lazy(client: &Client) -> RedisResult<Connection> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECTING))
        .set_response_timeout(Some(ANSWERING))
        .set_number_of_retries(1);
    ConnectionManager::new_lazy_with_config(client.clone(), config).map(Connection::Server)
}

/// Connections to the nodes of the cluster that one of them belongs to.
async fn to_cluster(node: ConnectionInfo) -> RedisResult<Connection> {
    let client = ClusterClient::builder([node])
        .use_protocol(ProtocolVersion::RESP3)
        .connection_timeout(CONNECTING)
        .response_timeout(ANSWERING)
        .overall_response_timeout(Some(PATIENCE))
        // For slots that have moved. It may also send again what was sent once: see `Ask::Once`.
        .retries(3)
        .build()?;
    client.get_async_connection().await.map(Connection::Cluster)
}

impl Link {
    /// The server at a URL, or the cluster that it is a node of.
    pub(super) async fn new(url: &str) -> Result<Self, StoreError> {
        let info = url.into_connection_info().map_err(unavailable)?;
        // With the third version of the protocol a lost connection is noticed when it is lost, and not only
        // by the next operation, which would have to fail.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_redis_settings(settings);
        let client = Client::open(info.clone()).map_err(unavailable)?;
        let connection = Mutex::new((lazy(&client).map_err(unavailable)?, Instant::now()));
        let link = Self { client, connection };
        let about: String = link.ask(Ask::Command(::redis::cmd("INFO").arg("server"))).await?;
        if about.contains("redis_mode:cluster") {
            let cluster = in_time(to_cluster(info)).await?.map_err(unavailable)?;
            *link.connection.lock() = (cluster, Instant::now());
        }
        Ok(link)
    }

    /// Whether there are several nodes.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.connection.lock().0, Connection::Cluster(_))
    }

    pub(super) async fn ask<T: FromRedisValue>(&self, ask: Ask<'_>) -> Result<T, StoreError> {
        Ok(self.try_ask(ask).await?)
    }

    pub(super) async fn try_ask<T: FromRedisValue>(&self, ask: Ask<'_>) -> Result<T, Refusal> {
        let answer = async {
            match ask.send(self.connection()).await {
                Err(fault) if ask.may_repeat(&fault) => ask.send(self.connection()).await,
                answer => answer,
            }
        };
        let answer = in_time(answer).await.map_err(Refusal::Unavailable)?;
        answer.map_err(|fault| {
            if fault.code() == Some("DOUBT") {
                let servers = fault.detail().unwrap_or_default().split_whitespace();
                return Refusal::Doubt(servers.map(str::to_owned).collect());
            }
            self.renew(&fault);
            Refusal::Unavailable(unavailable(fault))
        })
    }

    fn connection(&self) -> Connection {
        self.connection.lock().0.clone()
    }

    /// The manager connects again after an I/O error only: after any other, such as too many clients or a
    /// password that was changed, it would repeat that error for ever.
    fn renew(&self, fault: &RedisError) {
        let mut connection = self.connection.lock();
        let is_server = matches!(connection.0, Connection::Server(_));
        if is_server && !fault.is_io_error() && connection.1.elapsed() > RENEW_AFTER {
            match lazy(&self.client) {
                Ok(new) => *connection = (new, Instant::now()),
                Err(fault) => tracing::error!(%fault, "no new connection to Redis"),
            }
        }
    }
}
