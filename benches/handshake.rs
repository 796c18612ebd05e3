//! The old handshake: its RSA part once a connection, its AES part once a message and connection.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use msgserver_handshake::{ClientHandshake, ServerHandshake, ServerKey, SessionCipher};
use msgserver_protocol::Cipher;

fn agree(c: &mut Criterion) {
    let mut group = c.benchmark_group("handshake, the server's part");
    group.sample_size(20);
    for bits in [1024, 2048] {
        let key = ServerKey::generate(bits).expect("the size is taken");
        let (_, second) = ClientHandshake::answer(key.hello(), 1024).expect("a key");
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("server key", bits), |b| {
            b.iter_batched_ref(
                || ServerHandshake::new(&key),
                |handshake| handshake.feed(&second).expect("it is whole"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn seal(c: &mut Criterion) {
    let mut group = c.benchmark_group("AES-128-ECB and base64");
    let cipher = SessionCipher::from_key([7; 16]);
    for bytes in [128, 4096] {
        let plain = vec![b'x'; bytes];
        group.throughput(Throughput::Bytes(bytes as u64));
        let mut out = Vec::with_capacity(2 * bytes);
        group.bench_function(BenchmarkId::new("seal", bytes), |b| {
            b.iter(|| {
                out.clear();
                cipher.seal(&plain, &mut out);
            });
        });
        // The floor of an encrypted door: what nobody can leave out, with a key that is prepared.
        let (aes, mut blocks) = (Aes128Enc::new(&[7; 16].into()), vec![Block::default(); bytes / 16 + 1]);
        group.bench_function(BenchmarkId::new("AES alone", bytes), |b| {
            b.iter(|| aes.encrypt_blocks(&mut blocks))
        });
        let sealed = out.clone();
        group.bench_function(BenchmarkId::new("open", bytes), |b| {
            b.iter(|| cipher.open(&sealed).expect("sealed under this key"));
        });
    }
    group.finish();
}

criterion_group!(benches, agree, seal);
criterion_main!(benches);
