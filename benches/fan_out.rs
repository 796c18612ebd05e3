//! A notice to everybody, from the call to the last byte read by the last client, over real sockets; beside it the
//! floor: a loop that does nothing but write what waits to each socket, with one system call a socket.

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use msgserver::{Encryption, Server};
use msgserver_benches::{Readers, content};
use tokio::net::TcpListener;

/// How many notices are on their way at a time.
const WINDOW: u64 = 32;

fn fan_out(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut group = c.benchmark_group("fan-out");
    group.sample_size(10);
    for (clients, bytes) in [(100, 128), (1_000, 128), (1_000, 4096)] {
        let server = {
            let _in_runtime = runtime.enter();
            Server::builder().encryption(Encryption::None).build().expect("the defaults fit")
        };
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("bound");
        runtime.spawn({
            let server = server.clone();
            async move { server.serve(listener).await }
        });
        let readers = Readers::connect(address, clients).expect("sockets");
        while server.online_count() < clients {
            std::thread::yield_now();
        }
        let (sender, content) = (server.sender(), content(bytes));
        let each = (bytes as u64 + 1) * clients as u64;
        group.throughput(Throughput::Elements(clients as u64));
        group.bench_function(BenchmarkId::new(format!("{clients} clients"), bytes), |b| {
            b.iter_custom(|times| {
                let (before, start) = (readers.read(), Instant::now());
                for n in 1..=times {
                    runtime.block_on(sender.send_notice(content.clone())).expect("it is taken");
                    readers.wait_for(before + n.saturating_sub(WINDOW) * each);
                }
                readers.wait_for(before + times * each);
                start.elapsed()
            });
        });
        drop(readers);
        runtime.block_on(server.stop(std::time::Duration::from_secs(1)));
    }
    group.finish();
}

fn floor(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan-out");
    group.sample_size(10);
    for (clients, bytes) in [(1_000, 128), (1_000, 4096)] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let connect = || {
            let client = TcpStream::connect(address).expect("it listens");
            (client, listener.accept().expect("somebody has connected").0)
        };
        let (clients_side, mut servers_side): (Vec<_>, Vec<_>) = (0..clients).map(|_| connect()).unzip();
        let readers = Readers::of(clients_side).expect("sockets");
        // Half a window at a time: so much waits on average when a server finds the time to write.
        let burst = vec![b'x'; (bytes + 1) * WINDOW as usize / 2];
        group.throughput(Throughput::Elements(clients as u64));
        group.bench_function(BenchmarkId::new(format!("{clients} clients, floor"), bytes), |b| {
            b.iter_custom(|times| {
                let (before, start) = (readers.read(), Instant::now());
                let (mut written, all) = (0, times * (bytes as u64 + 1));
                while written < all {
                    let part = &burst[..burst.len().min(usize::try_from(all - written).expect("it fits"))];
                    servers_side.iter_mut().for_each(|socket| socket.write_all(part).expect("it is open"));
                    written += part.len() as u64;
                    readers.wait_for(
                        before + written.saturating_sub(burst.len() as u64) * servers_side.len() as u64,
                    );
                }
                readers.wait_for(before + all * servers_side.len() as u64);
                start.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, floor, fan_out);
criterion_main!(benches);
