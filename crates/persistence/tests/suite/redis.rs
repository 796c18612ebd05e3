use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use msgserver_persistence::RedisStore;

use super::*;
use crate::promises::model;

#[path = "redis/cluster.rs"]
mod cluster;
#[path = "redis/failures.rs"]
mod failures;
#[path = "redis/go.rs"]
mod go;
#[path = "redis/keys.rs"]
mod keys;
#[path = "redis/mending.rs"]
mod mending;
#[path = "redis/servers.rs"]
mod servers;

/// A server of the test's own, which ends with it. On a socket in its directory: no port to lose to another.
struct Server {
    process: Option<Child>,
    directory: tempfile::TempDir,
    /// A node of a cluster has one for clients and one for other nodes, as it cannot do with a socket.
    ports: Option<[u16; 2]>,
}

impl Server {
    fn start() -> Self {
        let mut server = Self { process: None, directory: tempfile::tempdir().unwrap(), ports: None };
        server.start_again();
        server
    }

    /// A node of a cluster, with some of the hash slots.
    async fn start_node(slots: std::ops::Range<u32>) -> Self {
        let mut server = Self { process: None, directory: tempfile::tempdir().unwrap(), ports: None };
        // Between finding a free port and using it another may take it.
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            assert!(Instant::now() < end, "no node of a cluster has started");
            server.stop();
            let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
            server.ports = Some(free.map(|free| free.local_addr().unwrap().port()));
            server.start_again();
            let end = Instant::now() + Duration::from_secs(5);
            while Instant::now() < end {
                let client = ::redis::Client::open(server.url()).unwrap();
                if let Ok(mut redis) = client.get_multiplexed_async_connection().await {
                    let mut command = ::redis::cmd("CLUSTER");
                    command.arg("ADDSLOTSRANGE").arg(slots.start).arg(slots.end - 1);
                    let _: () = command.query_async(&mut redis).await.unwrap();
                    return server;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Three nodes that know of each other.
    async fn start_cluster() -> [Self; 3] {
        let nodes = [
            Self::start_node(0..5000).await,
            Self::start_node(5000..11000).await,
            Self::start_node(11000..16384).await,
        ];
        let mut first = nodes[0].connection().await;
        for node in &nodes[1..] {
            let [port, other] = node.ports.unwrap();
            let mut meet = ::redis::cmd("CLUSTER");
            meet.arg("MEET").arg("127.0.0.1").arg(port).arg(other);
            let _: () = meet.query_async(&mut first).await.unwrap();
        }
        for node in &nodes {
            let redis = node.connection().await;
            until("the cluster is well", async || {
                let mut about = ::redis::cmd("CLUSTER");
                let about: String = about.arg("INFO").query_async(&mut redis.clone()).await.unwrap();
                about.contains("cluster_state:ok") && about.contains("cluster_known_nodes:3")
            })
            .await;
        }
        nodes
    }

    fn start_again(&mut self) {
        mending::mend(self.directory.path());
        let mut command = Command::new("redis-server");
        match self.ports {
            None => command.args(["--port", "0", "--unixsocket", "socket"]),
            Some([port, other]) => command
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--cluster-enabled", "yes"])
                .args(["--cluster-port", &other.to_string()]),
        };
        let process = command
            .args(["--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(self.directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server has to be installed");
        self.process = Some(process);
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn url(&self) -> String {
        if let Some([port, _]) = self.ports {
            return format!("redis://127.0.0.1:{port}");
        }
        format!("redis+unix://{}/socket?db=1", self.directory.path().display())
    }

    async fn store(&self) -> RedisStore {
        self.store_with(Limits::default()).await
    }

    async fn store_with(&self, limits: Limits) -> RedisStore {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match RedisStore::connect_with_limits(&self.url(), limits).await {
                Ok(store) => return store,
                Err(fault) => assert!(Instant::now() < end, "{fault}"),
            }
        }
    }

    async fn connection(&self) -> ::redis::aio::MultiplexedConnection {
        let client = ::redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so().await {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

keeps_its_promises!(kept, async |_: &std::path::Path, limits: msgserver_persistence::Limits| {
    let server = crate::redis::Server::start();
    (server.store_with(limits).await, server)
});

/// Whatever is done, Redis holds what the rules say. What only a crash shows is shown elsewhere.
#[test]
fn a_store_in_redis_does_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::start();
    drop(runtime.block_on(server.store()));
    let config = proptest::test_runner::Config { cases: 48, failure_persistence: None, ..Default::default() };
    proptest::proptest!(config, |(actions in model::actions())| {
        runtime.block_on(async {
            let _: () = ::redis::cmd("FLUSHALL").query_async(&mut server.connection().await).await.unwrap();
            let store = server.store_with(model::limits()).await;
            let mut model = model::Model::new();
            for action in &actions {
                model.take(&store, action).await;
                model.compare(&store).await;
            }
        });
    });
}
