//! Sessions: finding a user's, passing over all of them while others come and go, writing to a socket.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use msgserver_benches::{Nobody, Readers, content, plain_session, users};
use msgserver_message::{Message, UserId};
use msgserver_pool::{Events, Pool, Reactor, ReactorOptions, Session, ShardedPool};
use msgserver_protocol::{Bar, Delivery, Encoder, Json};

struct Bench {
    reactor: Reactor,
    encoders: Arc<[Encoder]>,
    door: TcpListener,
}

impl Bench {
    fn new() -> Self {
        let events: Arc<dyn Events> = Arc::new(Nobody);
        Self {
            reactor: Reactor::start(&ReactorOptions::default(), &events).expect("threads"),
            encoders: [Encoder::new(Bar, Json).expect("they fit")].into(),
            door: TcpListener::bind("127.0.0.1:0").expect("a port"),
        }
    }

    fn session(&self, number: u64, user: &UserId) -> (Arc<Session>, TcpStream) {
        let client = TcpStream::connect(self.door.local_addr().expect("bound")).expect("it listens");
        let (socket, _) = self.door.accept().expect("somebody has connected");
        let setup = plain_session(number, user.clone(), &self.encoders);
        (Arc::new(self.reactor.session(socket, setup).expect("a socket")), client)
    }
}

const SESSIONS: usize = 5_000;

fn registry(c: &mut Criterion) {
    let bench = Bench::new();
    let users = users(SESSIONS);
    let pool = Arc::new(ShardedPool::default());
    let clients: Vec<_> = users
        .iter()
        .zip(1..)
        .map(|(user, number)| {
            let (session, client) = bench.session(number, user);
            pool.insert(session);
            client
        })
        .collect();

    let mut group = c.benchmark_group("pool");
    group.throughput(Throughput::Elements(1));
    let mut next = 0;
    group.bench_function(BenchmarkId::new("find a user's sessions", SESSIONS), |b| {
        b.iter(|| {
            next += 1;
            pool.sessions_of(&users[next % SESSIONS])
        });
    });
    let (comer, client) = bench.session(u64::MAX, &UserId::new("comer").expect("a name"));
    group.bench_function("come and go", |b| {
        b.iter(|| {
            pool.insert(Arc::clone(&comer));
            pool.remove(&comer);
        });
    });
    group.throughput(Throughput::Elements(SESSIONS as u64));
    let pass = |pool: &ShardedPool| {
        let mut count = 0;
        pool.for_each(&mut |_| count += 1);
        count
    };
    group.bench_function("pass over all", |b| b.iter(|| pass(&pool)));
    let stop = Arc::new(AtomicBool::new(false));
    let churn = std::thread::spawn({
        let (pool, stop) = (Arc::clone(&pool), Arc::clone(&stop));
        move || {
            while !stop.load(Ordering::Relaxed) {
                pool.insert(Arc::clone(&comer));
                pool.remove(&comer);
            }
        }
    });
    group.bench_function("pass over all while one comes and goes", |b| b.iter(|| pass(&pool)));
    stop.store(true, Ordering::Relaxed);
    churn.join().expect("it ends");
    group.finish();
    drop((clients, client));
}

fn send(c: &mut Criterion) {
    let bench = Bench::new();
    let (session, client) = bench.session(1, &UserId::new("ada").expect("a name"));
    bench.reactor.watch(&session);
    let readers = Readers::of(vec![client]).expect("a socket");
    let message = Message::new(content(128));
    let mut group = c.benchmark_group("session");
    group.throughput(Throughput::Elements(1));
    // As long as the client keeps up, this is one system call.
    group.bench_function(BenchmarkId::new("send", 128), |b| {
        b.iter_custom(|times| {
            let (before, start) = (readers.read(), std::time::Instant::now());
            for n in 1..=times {
                session.send(&Delivery::notice(&message));
                if n % 256 == 0 {
                    readers.wait_for(before + n * 129);
                }
            }
            readers.wait_for(before + times * 129);
            start.elapsed()
        });
    });
    group.finish();
}

criterion_group!(benches, registry, send);
criterion_main!(benches);
