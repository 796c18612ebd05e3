//! Engines for the store on disk, on its own work: 256 publishers wait for one synced commit, in which each has a
//! message of 128 bytes in the log of one of 100,000 users, the row of that user, and what is known of the message
//! with the moment when it is forgotten. Then an inbox is read, and what was read is acknowledged and deleted.

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fjall::{KeyspaceCreateOptions, PersistMode};
use redb::{ReadableDatabase, TableDefinition};

const PUBLISHERS: u64 = 256;
const USERS: u64 = 100_000;
const TABLES: [&str; 4] = ["log", "users", "messages", "aging"];

/// A row to write, or one to delete, in one of the tables.
type Change = (usize, Vec<u8>, Option<Vec<u8>>);

trait Engine {
    const NAME: &str;
    fn open(directory: &Path) -> Self;
    /// Done once it is safe.
    fn commit(&self, changes: Vec<Change>);
    fn get(&self, table: usize, key: &[u8]) -> Option<Vec<u8>>;
    fn range(&self, table: usize, from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)>;
}

struct Redb(redb::Database);

impl Redb {
    const fn table(table: usize) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(TABLES[table])
    }
}

impl Engine for Redb {
    const NAME: &str = "redb";

    fn open(directory: &Path) -> Self {
        Self(redb::Database::create(directory.join("inboxes.redb")).expect("a database"))
    }

    fn commit(&self, changes: Vec<Change>) {
        let transaction = self.0.begin_write().expect("a transaction");
        {
            let mut tables = [0, 1, 2, 3].map(|n| transaction.open_table(Self::table(n)).expect("a table"));
            for (table, key, value) in &changes {
                match value {
                    Some(value) => drop(tables[*table].insert(key.as_slice(), value.as_slice())),
                    None => drop(tables[*table].remove(key.as_slice())),
                }
            }
        }
        transaction.commit().expect("it is written");
    }

    fn get(&self, table: usize, key: &[u8]) -> Option<Vec<u8>> {
        let transaction = self.0.begin_read().expect("a transaction");
        let table = transaction.open_table(Self::table(table)).ok()?;
        table.get(key).expect("it is read").map(|value| value.value().to_vec())
    }

    fn range(&self, table: usize, from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let transaction = self.0.begin_read().expect("a transaction");
        let table = transaction.open_table(Self::table(table)).expect("a table");
        let rows = table.range(from..to).expect("a range").map(|row| row.expect("it is read"));
        rows.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).collect()
    }
}

struct Fjall {
    database: fjall::Database,
    tables: Vec<fjall::Keyspace>,
}

impl Engine for Fjall {
    const NAME: &str = "fjall";

    fn open(directory: &Path) -> Self {
        let database = fjall::Database::builder(directory).open().expect("a database");
        let table = |name: &&str| database.keyspace(name, KeyspaceCreateOptions::default).expect("a table");
        let tables = TABLES.iter().map(table).collect();
        Self { database, tables }
    }

    fn commit(&self, changes: Vec<Change>) {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (table, key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.tables[table], key, value),
                None => batch.remove(&self.tables[table], key),
            }
        }
        batch.commit().expect("it is written");
    }

    fn get(&self, table: usize, key: &[u8]) -> Option<Vec<u8>> {
        self.tables[table].get(key).expect("it is read").map(|value| value.to_vec())
    }

    fn range(&self, table: usize, from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let rows = self.tables[table].range(from..to).map(|row| row.into_inner().expect("it is read"));
        rows.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }
}

fn user_key(user: u64) -> Vec<u8> {
    format!("user {user:06}").into_bytes()
}

fn entry_key(user: u64, seq: u64) -> Vec<u8> {
    [&user_key(user)[..], &seq.to_be_bytes()].concat()
}

/// The inboxes that an engine holds: the first and last number of each user.
struct Inboxes<E> {
    engine: E,
    last: Vec<u64>,
    appended: u64,
}

impl<E: Engine> Inboxes<E> {
    fn new(directory: &Path) -> Self {
        Self { engine: E::open(directory), last: vec![0; USERS as usize], appended: 0 }
    }

    /// A user, each as often as every other, in no order.
    fn next_user(&mut self) -> u64 {
        self.appended += 1;
        (self.appended.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % USERS
    }

    fn append_one_each(&mut self) {
        let mut changes = Vec::with_capacity(PUBLISHERS as usize * TABLES.len());
        for _ in 0..PUBLISHERS {
            let user = self.next_user();
            // The row of the user is read first, as the rules do.
            let row = self.engine.get(1, &user_key(user));
            let seq = row.and_then(|row| row.try_into().ok()).map_or(0, u64::from_be_bytes) + 1;
            self.last[user as usize] = seq;
            let id = (u128::from(self.appended) << 64 | 0x5ca1_ab1e).to_be_bytes();
            let aging = [&self.appended.to_be_bytes()[..], &id].concat();
            changes.push((0, entry_key(user, seq), Some(vec![b'x'; 200])));
            changes.push((1, user_key(user), Some(seq.to_be_bytes().to_vec())));
            changes.push((2, id.to_vec(), Some(vec![7; 48])));
            changes.push((3, aging, Some(Vec::new())));
        }
        self.engine.commit(changes);
    }
}

fn engine<E: Engine>(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut inboxes = Inboxes::<E>::new(directory.path());
    let mut group = c.benchmark_group(E::NAME);
    group.sample_size(10).measurement_time(Duration::from_secs(20));
    group.throughput(Throughput::Elements(PUBLISHERS));
    group.bench_function(BenchmarkId::new("append, publishers at once", PUBLISHERS), |b| {
        b.iter_custom(|times| {
            let start = Instant::now();
            (0..times).for_each(|_| inboxes.append_one_each());
            start.elapsed()
        });
    });
    let mut next = 0;
    group.measurement_time(Duration::from_secs(5)).throughput(Throughput::Elements(1));
    group.bench_function("read an inbox", |b| {
        b.iter(|| {
            next = (next + 1) % USERS;
            inboxes.engine.range(0, &entry_key(next, 0), &entry_key(next, u64::MAX))
        });
    });
    // The numbers that are acknowledged must be there, so each is deleted once.
    let mut acknowledged = vec![0; USERS as usize];
    group.throughput(Throughput::Elements(PUBLISHERS));
    group.bench_function(BenchmarkId::new("acknowledge, devices at once", PUBLISHERS), |b| {
        b.iter_custom(|times| {
            let start = Instant::now();
            for _ in 0..times {
                let mut changes = Vec::with_capacity(PUBLISHERS as usize * 2);
                for _ in 0..PUBLISHERS {
                    let user = inboxes.next_user();
                    let at: &mut u64 = &mut acknowledged[user as usize];
                    for (key, _) in inboxes.engine.range(0, &entry_key(user, *at), &entry_key(user, *at + 2))
                    {
                        changes.push((0, key, None));
                    }
                    *at += 1;
                    changes.push((
                        1,
                        user_key(user),
                        Some(inboxes.last[user as usize].to_be_bytes().to_vec()),
                    ));
                }
                inboxes.engine.commit(changes);
            }
            start.elapsed()
        });
    });
    group.finish();
    let size = |path: &Path| {
        let files = walk(path)
            .into_iter()
            .filter_map(|file| std::os::unix::fs::MetadataExt::blocks(&file).checked_mul(512));
        files.sum::<u64>() >> 20
    };
    println!("{}: {} appended, {} MiB on disk", E::NAME, inboxes.appended, size(directory.path()));
    let start = Instant::now();
    let Inboxes { engine, .. } = inboxes;
    drop(engine);
    let closed = start.elapsed();
    let start = Instant::now();
    let engine = E::open(directory.path());
    println!("{}: closed in {closed:?}, opened in {:?}", E::NAME, start.elapsed());
    drop(engine);
}

fn walk(path: &Path) -> Vec<std::fs::Metadata> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(of) if of.is_dir() => files.append(&mut walk(&entry.path())),
            Ok(of) => files.push(of),
            Err(_) => {}
        }
    }
    files
}

criterion_group!(benches, engine::<Redb>, engine::<Fjall>);
criterion_main!(benches);
