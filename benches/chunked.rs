//! Speed of taking chunked framing off, in place: small chunks as token streams send them, large ones as files.
//!
//! Goal: bytes per second of `BodyDecoder` over a full large buffer, by the size of the chunks.
//!
//! Non-goal: trailers, bodies cut across reads, system calls.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringway::h1::body::{BODY_END, CHUNK_END, CHUNK_HEAD_BYTES_MAX};
use ringway::h1::{BodyDecoder, BodyLength, chunk_head};

/// Payload of one iteration: what a large buffer holds.
const PAYLOAD_BYTES: usize = 60 * 1024;

fn wire(chunk_bytes: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in vec![b'x'; PAYLOAD_BYTES].chunks(chunk_bytes) {
        wire.extend_from_slice(chunk_head(chunk.len(), &mut [0; CHUNK_HEAD_BYTES_MAX]));
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(CHUNK_END);
    }
    wire.extend_from_slice(BODY_END);
    wire
}

fn chunked(criterion: &mut Criterion) {
    for chunk_bytes in [32, 200, 4096, 32 * 1024] {
        let wire = wire(chunk_bytes);
        let mut group = criterion.benchmark_group(format!("chunks of {chunk_bytes}"));
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function("decode", |bencher| {
            bencher.iter_batched_ref(
                || wire.clone(),
                |buf| black_box(BodyDecoder::new(BodyLength::Chunked).decode(buf)),
                BatchSize::LargeInput,
            );
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    targets = chunked
}
criterion_main!(benches);
