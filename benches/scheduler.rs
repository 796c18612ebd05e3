//! A message to one user, in process: who is away, and who is connected; the more users are known, the same.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use msgserver::{MemoryStore, Publication, Server, SharedSecret};
use msgserver_benches::{Readers, content, users};
use std::io::Write;
use tokio::net::TcpListener;

fn to_one(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut group = c.benchmark_group("message to one user");
    group.throughput(Throughput::Elements(1));
    for known in [1_000, 1_000_000] {
        let users = users(known);
        let store = Arc::new(MemoryStore::new());
        let server = {
            let _in_runtime = runtime.enter();
            Server::builder().shared_store(store).build().expect("the defaults fit")
        };
        let sender = server.sender();
        let mut next = 0;
        group.bench_function(BenchmarkId::new("away, users known", known), |b| {
            b.iter(|| {
                next += 1;
                let publication = Publication::new(users[next * 7919 % known].clone(), content(128));
                runtime.block_on(sender.publish(publication)).expect("it is taken")
            });
        });
        runtime.block_on(server.stop(std::time::Duration::ZERO));
    }
    group.finish();
}

fn connected(c: &mut Criterion) {
    const CLIENTS: usize = 1_000;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut group = c.benchmark_group("message to one user");
    group.throughput(Throughput::Elements(1));
    for stored in [false, true] {
        let server = {
            let _in_runtime = runtime.enter();
            let mut builder = Server::builder().authentication(SharedSecret::new("s"));
            if stored {
                builder = builder.store(MemoryStore::new());
            }
            builder.build().expect("the defaults fit")
        };
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("bound");
        runtime.spawn({
            let server = server.clone();
            async move { server.serve(listener).await }
        });
        let users = users(CLIENTS);
        let sockets = users.iter().map(|user| {
            let mut socket = TcpStream::connect(address).expect("it listens");
            write!(socket, "{user};s|").expect("a socket");
            socket
        });
        let readers = Readers::of(sockets.collect()).expect("sockets");
        while server.online_count() < CLIENTS {
            std::thread::yield_now();
        }
        let (sender, content) = (server.sender(), content(128));
        let mut next = 0;
        let name = if stored { "connected, memory store" } else { "connected, no store" };
        group.bench_function(BenchmarkId::new(name, CLIENTS), |b| {
            b.iter_custom(|times| {
                let (before, start) = (readers.read(), Instant::now());
                for n in 1..=times {
                    next += 1;
                    let publication = Publication::new(users[next % CLIENTS].clone(), content.clone());
                    runtime.block_on(sender.publish(publication)).expect("it is taken");
                    if n % 256 == 0 {
                        readers.wait_for(before + n * 129);
                    }
                }
                readers.wait_for(before + times * 129);
                start.elapsed()
            });
        });
        drop(readers);
        runtime.block_on(server.stop(std::time::Duration::from_secs(1)));
    }
    group.finish();
}

criterion_group!(benches, to_one, connected);
criterion_main!(benches);
