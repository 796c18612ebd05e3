//! Stores: append from many publishers at once, read a page, acknowledge it.

use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use msgserver_benches::{content, users};
use msgserver_message::{DeviceId, Message, Seq};
use msgserver_persistence::{Append, DiskStore, MemoryStore, Store};
use tokio::task::JoinSet;

const PUBLISHERS: usize = 256;

fn stores(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let stores: [Arc<dyn Store>; 2] =
        [Arc::new(MemoryStore::new()), Arc::new(DiskStore::open(directory.path()).expect("a store"))];
    for store in stores {
        let mut group = c.benchmark_group(store.name());
        group.sample_size(10);
        let users = Arc::new(users(PUBLISHERS));
        group.throughput(Throughput::Elements(PUBLISHERS as u64));
        group.bench_function(BenchmarkId::new("append, publishers at once", PUBLISHERS), |b| {
            b.iter_custom(|times| {
                let start = Instant::now();
                runtime.block_on(async {
                    let mut publishers = JoinSet::new();
                    for n in 0..PUBLISHERS {
                        let (store, users) = (Arc::clone(&store), Arc::clone(&users));
                        publishers.spawn(async move {
                            for _ in 0..times {
                                let message = Arc::new(Message::new(content(128)));
                                store.keep(Append::new(message, &users[n..=n])).await.expect("it is kept");
                            }
                        });
                    }
                    while publishers.join_next().await.is_some() {}
                });
                start.elapsed()
            });
        });
        let (user, device) = (&users[0], DeviceId::unnamed());
        group.throughput(Throughput::Elements(256));
        group.bench_function("read a page of 256", |b| {
            b.iter(|| runtime.block_on(store.read(user, Seq::ZERO, 256)).expect("it is there"));
        });
        group.throughput(Throughput::Elements(1));
        group.bench_function("acknowledge one", |b| {
            let at = runtime.block_on(store.open(user, &device)).expect("a cursor").acknowledged;
            let mut next = at;
            b.iter(|| {
                next = next.next();
                runtime.block_on(store.acknowledge(user, &device, next)).expect("it is kept");
            });
        });
        group.finish();
    }
}

criterion_group!(benches, stores);
criterion_main!(benches);
