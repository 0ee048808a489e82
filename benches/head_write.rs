//! Speed of writing a response head from a read one: status line, the fields that pass, the few that are set.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringway::h1::{HeadLimits, parse_response};
use ringway::http::{FieldId, ResponseHead};

const RESPONSE: &str = "HTTP/1.1 200 OK\r\n\
Date: Mon, 23 Nov 2026 10:00:00 GMT\r\n\
Content-Type: application/json\r\n\
Content-Length: 1024\r\n\
Connection: keep-alive\r\n\
openai-organization: org-0123456789\r\n\
openai-processing-ms: 512\r\n\
openai-version: 2020-10-01\r\n\
x-ratelimit-limit-requests: 10000\r\n\
x-ratelimit-remaining-requests: 9999\r\n\
x-request-id: req_0123456789abcdef0123456789abcdef\r\n\
Server: upstream\r\n\r\n";

fn head_write(criterion: &mut Criterion) {
    let limits = HeadLimits::default();
    let mut head = ResponseHead::default();
    let verdict = parse_response(RESPONSE.as_bytes(), &limits, &mut head);
    assert!(matches!(verdict, Ok(ringway::h1::Parsed::Complete { .. })));
    let mut group = criterion.benchmark_group("response head");
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    group.bench_function("parse", |bencher| {
        let mut head = ResponseHead::default();
        bencher.iter(|| black_box(parse_response(black_box(RESPONSE.as_bytes()), &limits, &mut head)));
    });
    group.bench_function("write", |bencher| {
        let mut out = Vec::with_capacity(4096);
        bencher.iter(|| {
            out.clear();
            write_head(black_box(&head), &mut out);
            black_box(out.len())
        });
    });
    group.finish();
}

/// The shape of the real writer: status line, fields without those of the hop, two that the gateway sets.
fn write_head(head: &ResponseHead, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(head.status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.reason());
    out.extend_from_slice(b"\r\n");
    for field in head.fields() {
        if matches!(field.id, FieldId::Connection | FieldId::KeepAlive | FieldId::TransferEncoding | FieldId::Upgrade) {
            continue;
        }
        out.extend_from_slice(field.name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Via: 1.1 ringway\r\n\r\n");
}

criterion_group!(benches, head_write);
criterion_main!(benches);
