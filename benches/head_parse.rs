//! Speed of reading request heads: ours (known fields numbered, head copied) against httparse (neither).
//!
//! `cargo bench --bench head_parse -- --warm-up-time 1 --measurement-time 2`

use std::hint::black_box;

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

criterion_group!(benches, head_parse);
criterion_main!(benches);
