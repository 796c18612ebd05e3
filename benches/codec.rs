//! Frames and serializers: what a delivery costs to encode and a frame to read.

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use msgserver_benches::content;
use msgserver_message::{Content, Message, Seq};
use msgserver_protocol::{
    Bar, ClientFrame, Delivery, Encoder, FirstText, FrameDecoder, FrameFormat, Json, LengthPrefixed,
    MAX_FRAME_BYTES, MessagePack, ServerFrame,
};
use tokio_util::codec::Decoder;

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    let encoders = [
        ("default json", Encoder::new(Bar, Json)),
        ("frame json", Encoder::new(LengthPrefixed, Json)),
        ("frame msgpack", Encoder::new(LengthPrefixed, MessagePack)),
    ];
    for (name, encoder) in encoders {
        let encoder = encoder.expect("they fit");
        for bytes in [128, 4096] {
            let message = Message::new(content(bytes));
            let delivery = Delivery::kept(&message, Seq::new(1));
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_function(BenchmarkId::new(name, bytes), |b| {
                b.iter(|| encoder.encode(&delivery).expect("a text has a form"));
            });
        }
    }
    // Each `|` has to be escaped.
    let encoder = Encoder::new(Bar, Json).expect("they fit");
    let message = Message::new(Content::text(&"|".repeat(126)));
    group.throughput(Throughput::Bytes(128));
    group.bench_function(BenchmarkId::new("default json, all bars", 128), |b| {
        b.iter(|| encoder.encode(&Delivery::notice(&message)).expect("a text has a form"));
    });
    group.finish();
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    for format in [FrameFormat::Json, FrameFormat::MessagePack] {
        let frame = |payload: &[u8]| [&(payload.len() as u32).to_be_bytes()[..], payload].concat();
        let mut ack = Vec::new();
        format.write(&ClientFrame::Ack { seq: Seq::new(123_456) }, &mut ack).expect("it has a form");
        let ack = frame(&ack);
        group.bench_function(BenchmarkId::new("ack", format!("{format:?}")), |b| {
            let mut decoder = FrameDecoder::<ClientFrame>::new(format, MAX_FRAME_BYTES);
            b.iter(|| decoder.decode(&mut BytesMut::from(&ack[..])).expect("a frame").expect("a whole one"));
        });
        let message = Message::new(content(128));
        let mut bytes = Vec::new();
        format
            .write(&ServerFrame::from(&Delivery::kept(&message, Seq::new(1))), &mut bytes)
            .expect("it has a form");
        let bytes = frame(&bytes);
        group.bench_function(BenchmarkId::new("message of 128 bytes", format!("{format:?}")), |b| {
            let mut decoder = FrameDecoder::<ServerFrame>::new(format, MAX_FRAME_BYTES);
            b.iter(|| {
                decoder.decode(&mut BytesMut::from(&bytes[..])).expect("a frame").expect("a whole one")
            });
        });
    }
    group.bench_function("first text", |b| {
        b.iter(|| FirstText::new(4096).feed(b"ada;123456|").expect("it is short"));
    });
    group.finish();
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);
