//! Speed of writing heads anew on their way through, from parsed ones, into a warm buffer.
//!
//! Goal: the cost of `proxy::headers` per head, for five requests and five responses as they occur, and of one request
//! with everything a route can ask for (rewrite, edits, a trusted peer). The throughput is of bytes written.
//!
//! Non-goal: reading (`head_parse`), system calls, a cold cache.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringway::h1::{HeadLimits, Parsed, RequestParser, parse_response, request_framing, response_framing};
use ringway::http::{RequestHead, ResponseHead, Version};
use ringway::proxy::core::Parts;
use ringway::proxy::exchange::RequestId;
use ringway::proxy::headers::{RequestParts, ResponseParts, write_request, write_response};
use ringway::proxy::route::{Edits, Rewrite, Route};
use ringway::proxy::service::Service;
use ringway::proxy::{Core, Peer};

mod heads;
#[path = "heads/responses.rs"]
mod responses;

fn request_head(text: &str) -> RequestHead {
    let mut head = RequestHead::default();
    let verdict = RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head);
    assert_eq!(verdict, Ok(Parsed::Complete { head_bytes: text.len() }));
    head
}

fn response_head(text: &str) -> ResponseHead {
    let mut head = ResponseHead::default();
    let verdict = parse_response(text.as_bytes(), &HeadLimits::default(), &mut head);
    assert_eq!(verdict, Ok(Parsed::Complete { head_bytes: text.len() }));
    head
}

fn route() -> Route {
    Route {
        name: "llm".into(),
        upstream: 0,
        rewrite: None,
        request: Edits::default(),
        response: Edits::default(),
        body_bytes_max: 1 << 20,
        connect_ms: 3_000,
        read_ms: 30_000,
        cache: None,
        screen: Default::default(),
    }
}

/// A route that asks for everything: rewrite, a key of its own, a field more, one less.
fn edited_route() -> Route {
    let pair = |name: &str, value: &str| (name.into(), value.into());
    Route {
        rewrite: Some(Rewrite { strip: "/v1".into(), replace: "/api/v1".into() }),
        request: Edits {
            set: vec![pair("Authorization", "Bearer sk-of-the-gateway-0123456789abcdef")],
            add: vec![pair("X-Team", "search")],
            remove: vec!["x-stainless-os".into()],
        },
        ..route()
    }
}

fn service() -> Service {
    Service { via: "ringway".into(), ..Service::default() }
}

fn request_parts<'a>(
    (service, route): (&'a Service, &'a Route),
    head: &'a RequestHead,
    peer: &'a Peer,
    request_id: &'a RequestId,
) -> RequestParts<'a> {
    let framing = request_framing(head).expect("a framing, because the head is well formed");
    RequestParts {
        service,
        route,
        head,
        peer,
        trusted: false,
        request_id,
        host: b"api.upstream.example",
        body: framing.body,
        forward_expect: false,
        upgrade: framing.upgrade,
        validators: None,
        client_host: ringway::h1::authority(head),
    }
}

fn requests(criterion: &mut Criterion) {
    let (service, plain, edited) = (service(), route(), edited_route());
    let core = Core::new(Parts::alone(Arc::new(Service::default())));
    let address = "192.0.2.7:41234".parse().expect("an address");
    let peer = Peer { address, socket: address, tls: true };
    let request_id = RequestId::of(&RequestHead::default(), false, &core);
    let mut run = |name: &str, parts: &RequestParts<'_>| {
        let mut out = Vec::with_capacity(8 * 1024);
        write_request(&mut out, parts);
        let mut group = criterion.benchmark_group("write request");
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                write_request(&mut out, black_box(parts));
                black_box(out.as_slice()).len()
            });
        });
        group.finish();
    };
    for (name, text) in heads::REQUESTS {
        let head = request_head(text);
        run(name, &request_parts((&service, &plain), &head, &peer, &request_id));
        if name == "SDK POST" {
            let parts = request_parts((&service, &edited), &head, &peer, &request_id);
            run("SDK POST, edited", &RequestParts { trusted: true, ..parts });
        }
    }
}

fn responses(criterion: &mut Criterion) {
    let core = Core::new(Parts::alone(Arc::new(Service::default())));
    let (edits, request_id) = (Edits::default(), RequestId::of(&RequestHead::default(), false, &core));
    let mut group = criterion.benchmark_group("write response");
    for (name, text) in responses::RESPONSES {
        let head = response_head(text);
        let parts = ResponseParts {
            head: &head,
            edits: &edits,
            via: b"ringway",
            request_id: &request_id,
            body: response_framing(&head, false).expect("a framing, because the head is well formed").body,
            bodiless: false,
            client_version: Version::Http11,
            keep_alive: true,
            upgrade: false,
            date: core.date(),
            cache: None,
            strip_tags: false,
        };
        let mut out = Vec::with_capacity(8 * 1024);
        write_response(&mut out, &parts);
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                write_response(&mut out, black_box(&parts));
                black_box(out.as_slice()).len()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = requests, responses
}
criterion_main!(benches);
