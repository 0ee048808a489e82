//! Speed of field blocks: read and written, the first time on a connection and once lines repeat.
//!
//! Goal: the time of one block of a load generator and of an SDK with 20 fields (read), and of a usual response
//! (written), against fluke-hpack where it can do the same. `first` is a new connection each time, its making included;
//! `again` is what the second and all later requests of a connection cost.
//!
//! Non-goal: wrong blocks, blocks that come in pieces.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use ringway::h2::hpack::{Decoder, Encoder};
use ringway::http::FieldId;

/// What h2load sends.
const H2LOAD: &[(&str, &str)] = &[
    (":path", "/1k"),
    (":scheme", "https"),
    (":authority", "127.0.0.1:8443"),
    (":method", "GET"),
    ("user-agent", "h2load nghttp2/1.52.0"),
];

/// What an SDK sends.
const SDK: &[(&str, &str)] = &[
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "api.example.com"),
    (":path", "/v1/chat/completions"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("authorization", "Bearer sk-proj-0123456789abcdefghijklmnopqrstuvwxyz"),
    ("content-length", "1834"),
    ("content-type", "application/json"),
    ("idempotency-key", "stainless-python-retry-0d8c1a4e-f0a1"),
    ("user-agent", "OpenAI/Python 1.68.2"),
    ("x-request-id", "7b0c2f7e-3a52-4b2f-9f0e-0d8c1a4ef0a1"),
    ("x-stainless-arch", "x64"),
    ("x-stainless-async", "false"),
    ("x-stainless-lang", "python"),
    ("x-stainless-os", "Linux"),
    ("x-stainless-package-version", "1.68.2"),
    ("x-stainless-read-timeout", "600"),
    ("x-stainless-retry-count", "0"),
    ("x-stainless-runtime", "CPython"),
];

/// A usual response, its status aside.
const RESPONSE: &[(&str, &str)] = &[
    ("Content-Type", "application/json"),
    ("Content-Length", "1024"),
    ("Date", "Mon, 23 Nov 2026 10:00:00 GMT"),
    ("Server", "nginx"),
    ("Via", "1.1 ringway"),
    ("Cache-Control", "max-age=60"),
    ("Cache-Status", "ringway; hit; ttl=53"),
    ("X-Request-Id", "7b0c2f7e-3a52-4b2f-9f0e-0d8c1a4ef0a1"),
];

/// Bits of the words in Huffman code of printable ASCII; the rest is not in these fields.
mod words {
    /// From the space on: word and its bits.
    pub fn of(byte: u8) -> (u32, u32) {
        let by_length: [(&[u8], u32, u32); 5] = [
            (b"012aceiost", 5, 0x0),
            (b" %-./3456789=A_bdfghlmnpru", 6, 0x14),
            (b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz", 7, 0x5c),
            (b"&*,;XZ", 8, 0xf8),
            (b"!\"()?", 10, 0x3f8),
        ];
        let found = by_length.iter().find_map(|(symbols, bits, first)| {
            let nth = symbols.iter().position(|symbol| *symbol == byte)?;
            Some((first + nth as u32, *bits))
        });
        found.expect("a byte that these fields have")
    }
}

/// Appends text the way browsers and SDKs write it.
fn huffman(text: &str, block: &mut Vec<u8>) {
    let (mut ahead, mut valid, mut code) = (0_u64, 0, Vec::new());
    for byte in text.bytes() {
        let (word, bits) = words::of(byte);
        (ahead, valid) = (ahead << bits | u64::from(word), valid + bits);
        while valid >= 8 {
            valid -= 8;
            code.push((ahead >> valid) as u8);
        }
    }
    if valid > 0 {
        code.push((ahead << (8 - valid)) as u8 | 0xff >> valid);
    }
    assert!(code.len() < 127);
    block.push(0x80 | code.len() as u8);
    block.extend(code);
}

/// A block in which every line is a literal in Huffman code, added to the table unless it varies.
fn first_block(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in lines {
        let varies = ["content-length", "idempotency-key", "x-request-id"].contains(name);
        block.push(if varies { 0x00 } else { 0x40 });
        huffman(name, &mut block);
        huffman(value, &mut block);
    }
    block
}

/// Three blocks of the same lines, as our encoder writes them: the last has what repeats as indexes.
fn later_blocks(lines: &[(&'static str, &str)]) -> [Vec<u8>; 3] {
    let mut encoder = Encoder::new();
    std::array::from_fn(|_| {
        let mut block = Vec::new();
        for (name, value) in lines {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            match name.first() {
                Some(b':') => encoder.pseudo(&mut block, name, value),
                _ => encoder.field(&mut block, FieldId::of(name), name, value),
            }
        }
        block
    })
}

fn read(criterion: &mut Criterion) {
    for (name, lines) in [("h2load", H2LOAD), ("SDK", SDK)] {
        let first = first_block(lines);
        let mut group = criterion.benchmark_group(format!("read {name}"));
        group.bench_function(format!("first, {} bytes", first.len()), |bencher| {
            bencher.iter(|| {
                let mut decoder = Decoder::new(4_096);
                decoder.decode(black_box(&first), |line| {
                    black_box(line);
                })
            });
        });
        let [before, between, again] = later_blocks(lines);
        group.bench_function(format!("again, {} bytes", again.len()), |bencher| {
            let mut decoder = Decoder::new(4_096);
            assert_eq!(decoder.decode(&before, |_| {}), Ok(()));
            assert_eq!(decoder.decode(&between, |_| {}), Ok(()));
            bencher.iter(|| {
                decoder.decode(black_box(&again), |line| {
                    black_box(line);
                })
            });
        });
        group.bench_function("again, fluke", |bencher| {
            let mut decoder = fluke_hpack::Decoder::new();
            assert!(decoder.decode(&before).is_ok() && decoder.decode(&between).is_ok());
            bencher.iter(|| {
                let verdict = decoder.decode_with_cb(black_box(&again), |name, value| {
                    black_box((name, value));
                });
                assert!(verdict.is_ok());
            });
        });
        group.finish();
    }
}

fn write(criterion: &mut Criterion) {
    let lines: Vec<_> = RESPONSE.iter().map(|(name, value)| (FieldId::of(name.as_bytes()), name, value)).collect();
    let block = |encoder: &mut Encoder, out: &mut Vec<u8>| {
        encoder.begin(out);
        encoder.status(out, 200);
        for (id, name, value) in black_box(&lines) {
            encoder.field(out, *id, name.as_bytes(), value.as_bytes());
        }
    };
    let mut group = criterion.benchmark_group("write response");
    group.bench_function("first", |bencher| {
        let mut out = Vec::with_capacity(1_024);
        bencher.iter(|| {
            out.clear();
            block(&mut Encoder::new(), &mut out);
            black_box(&out);
        });
    });
    group.bench_function("again", |bencher| {
        let (mut encoder, mut out) = (Encoder::new(), Vec::with_capacity(1_024));
        bencher.iter(|| {
            out.clear();
            block(&mut encoder, &mut out);
            black_box(&out);
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = read, write
}
criterion_main!(benches);
