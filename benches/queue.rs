//! Lanes: putting a job down, taking its lane, giving it back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use msgserver_benches::users;
use msgserver_queue::{LaneQueue, Queue};

fn lanes(c: &mut Criterion) {
    let mut group = c.benchmark_group("queue");
    group.throughput(Throughput::Elements(1));
    for count in [1, 1_000, 100_000] {
        let users = users(count);
        let queue = LaneQueue::default();
        let mut next = 0;
        group.bench_function(BenchmarkId::new("push, take, give back", count), |b| {
            b.iter(|| {
                queue.push(&users[next % count], next);
                next += 1;
                let lane = queue.take().expect("one waits");
                queue.give_back(&lane.user, VecDeque::new(), None);
            });
        });
    }
    // What waits for users who are away must cost those who are here nothing.
    let (parked, queue) = (users(100_000), LaneQueue::default());
    let later = Instant::now() + Duration::from_secs(3600);
    for user in &parked {
        queue.push(user, 0);
        let lane = queue.take().expect("one waits");
        queue.give_back(user, lane.jobs, Some(later));
    }
    let ada = msgserver_message::UserId::new("ada").expect("a name");
    group.bench_function("the same with 100,000 lanes parked", |b| {
        b.iter(|| {
            queue.push(&ada, 1);
            let lane = queue.take().expect("one waits");
            queue.give_back(&lane.user, VecDeque::new(), None);
            queue.wake_due(Instant::now())
        });
    });
    group.finish();
}

criterion_group!(benches, lanes);
criterion_main!(benches);
