//! Speed of reading request heads: ours (known fields numbered, head copied) against httparse (neither).
//!
//! Goal: the ratio to httparse on five heads of real clients, both reading a whole head from a warm buffer. Ours does
//! more with it: each known field gets its number, and the head is copied to where the exchange keeps it.
//!
//! Non-goal: heads that come in pieces, refused heads, framing and target checks (`h1::framing`).

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringway::h1::{HeadLimits, RequestParser};
use ringway::http::RequestHead;

mod heads;

fn head_parse(criterion: &mut Criterion) {
    for (name, text) in heads::REQUESTS {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("ringway", |bencher| {
            let (limits, mut head) = (HeadLimits::default(), RequestHead::default());
            bencher.iter(|| {
                let verdict = RequestParser::default().parse(black_box(text.as_bytes()), &limits, &mut head);
                assert!(verdict.is_ok());
                black_box(&head);
            });
        });
        group.bench_function("httparse", |bencher| {
            bencher.iter(|| {
                let mut slots = [httparse::EMPTY_HEADER; 64];
                let mut request = httparse::Request::new(&mut slots);
                let verdict = request.parse(black_box(text.as_bytes()));
                assert!(verdict.is_ok());
                black_box(&request);
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    targets = head_parse
}
criterion_main!(benches);
