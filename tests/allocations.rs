//! Memory that an exchange takes on the way through the pure code: none, once the buffers are warm.
//!
//! A global allocator that counts has to live in a program of its own: this one. It runs what an exchange runs between
//! its system calls: read a head, judge its framing, find the route, write the request, the same with the response, and
//! the access line. Connections, timers and tasks are not in it.

#![expect(unsafe_code, reason = "an allocator that counts is an `unsafe impl`")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use ringway::h1::body::CHUNK_HEAD_BYTES_MAX;
use ringway::h1::{
    self, BodyDecoder, BodyEncoder, BodyLength, HeadLimits, Parsed, RequestParser, chunk_head, parse_response,
};
use ringway::http::{FieldId, RequestHead, Version};
use ringway::log::{AccessFormat, AccessRecord, CoreLog, LogSink, LogWriter};
use ringway::proxy::core::Parts;
use ringway::proxy::exchange::RequestId;
use ringway::proxy::headers::{RequestParts, ResponseParts, write_request, write_response};
use ringway::proxy::route::{Edits, Matcher, PathMatch, Rewrite, Route, Router, has_dot_segment};
use ringway::proxy::service::{ForwardedPolicy, Service};
use ringway::proxy::{Core, Peer};

#[path = "../benches/heads/mod.rs"]
mod heads;
#[path = "../benches/heads/responses.rs"]
mod responses;

thread_local! {
    /// Allocations of this thread. A constant without a destructor: reading it allocates nothing.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes on to the system's allocator as it came; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is that of the system's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`, and `memory` comes from the system's allocator.
        unsafe { System.realloc(memory, layout, bytes) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and `memory` comes from the system's allocator.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Allocations of `work`, on this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// A core with two routes and a log, and what an exchange is handed.
struct Bench {
    core: Core,
    service: Arc<Service>,
    peer: Peer,
    date: [u8; 29],
}

fn route(path: &str, rewrite: Option<Rewrite>, request: Edits, response: Edits) -> (Matcher, Route) {
    let matcher = Matcher { path: PathMatch::Prefix(path.into()), ..Matcher::default() };
    let name = path.into();
    let (upstream, body_bytes_max, connect_ms, read_ms) = (0, u64::MAX, 3_000, 30_000);
    (matcher, Route { name, upstream, rewrite, request, response, body_bytes_max, connect_ms, read_ms, cache: None })
}

/// The service, with a plain route to everything and one below `/v1` that edits all it can.
fn service(trusted: bool) -> Service {
    let pair = |name: &str, value: &str| (name.into(), value.into());
    let set = vec![pair("Authorization", "Bearer of-the-gateway")];
    let request = Edits { set, add: vec![pair("X-Team", "search")], remove: vec!["x-stainless-os".into()] };
    let response = Edits { remove: vec!["server".into()], ..Edits::default() };
    let rewrite = Rewrite { strip: "/v1".into(), replace: "/api/v1".into() };
    Service {
        router: Router::compile(vec![
            route("/", None, Edits::default(), Edits::default()),
            route("/v1", Some(rewrite), request, response),
        ]),
        forwarded: ForwardedPolicy::Both,
        trusted_peers: trusted.then(|| "192.0.2.0/24".parse().expect("a network")).into_iter().collect(),
        via: "ringway".into(),
        ..Service::default()
    }
}

impl Bench {
    fn new(trusted: bool, log: CoreLog) -> Self {
        let service = Arc::new(service(trusted));
        let core = Core::new(Parts { log, ..Parts::alone(Arc::clone(&service)) });
        let address = "192.0.2.7:41234".parse().expect("an address");
        // Rendered once per second, with one allocation: not a part of each exchange.
        let date = core.date();
        Self { core, service, peer: Peer { address, socket: address, tls: true }, date }
    }

    /// One exchange without its system calls. The verdicts are asserted: a refusal would be cheap for no reason.
    fn exchange(&self, request: &str, response: &str) {
        let mut head = self.core.take_request_head();
        let parsed = RequestParser::default().parse(request.as_bytes(), &self.service.limits, &mut head);
        assert_eq!(parsed, Ok(Parsed::Complete { head_bytes: request.len() }));
        let (request_id, route) = self.pass_request(&head);
        let mut answer = self.core.take_response_head();
        let parsed = parse_response(response.as_bytes(), &self.service.limits, &mut answer);
        assert_eq!(parsed, Ok(Parsed::Complete { head_bytes: response.len() }));
        let framing = h1::response_framing(&answer, false).expect("a framing, because the head is well formed");
        self.pass_body(framing.body);
        let mut out = self.core.buffers.small();
        let parts = ResponseParts {
            head: &answer,
            edits: &route.response,
            via: self.service.via.as_bytes(),
            request_id: &request_id,
            body: framing.body,
            bodiless: false,
            client_version: Version::Http11,
            keep_alive: true,
            upgrade: false,
            date: self.date,
            cache: None,
        };
        write_response(&mut out, &parts);
        self.core.buffers.give(out);
        self.log(&head, &route.name, &request_id, answer.status);
        self.core.give_response_head(answer);
        self.core.give_request_head(head);
    }

    fn pass_request(&self, head: &RequestHead) -> (RequestId, &Route) {
        let framing = h1::request_framing(head).expect("a framing, because the head is well formed");
        let path = h1::target_parts(head).path;
        assert!(!has_dot_segment(path));
        let route = self.service.router.find(h1::authority(head), path, head);
        let route = route.expect("a route, because one takes everything");
        let trusted = self.service.trusts(self.peer.ip());
        let request_id = RequestId::of(head, trusted, &self.core);
        let parts = RequestParts {
            service: &self.service,
            route,
            head,
            peer: &self.peer,
            trusted,
            request_id: &request_id,
            host: b"api.upstream.example",
            body: framing.body,
            forward_expect: framing.expect_continue,
            upgrade: framing.upgrade,
            validators: None,
        };
        let mut out = self.core.buffers.small();
        write_request(&mut out, &parts);
        self.core.buffers.give(out);
        (request_id, route)
    }

    /// A chunk with its framing on, and off again.
    fn pass_body(&self, body: BodyLength) {
        let mut buffer = self.core.buffers.small();
        assert!(BodyEncoder::new(body).take(2));
        buffer.extend_from_slice(chunk_head(2, &mut [0; CHUNK_HEAD_BYTES_MAX]));
        buffer.extend_from_slice(b"ok\r\n");
        let decoded = BodyDecoder::new(BodyLength::Chunked).decode(&mut buffer).expect("a chunk");
        assert_eq!((decoded.payload, decoded.done), (2, false));
        self.core.buffers.give(buffer);
    }

    fn log(&self, head: &RequestHead, route: &str, request_id: &RequestId, status: u16) {
        self.core.log.access(&AccessRecord {
            unix_ms: 1_795_449_600_123,
            client: self.peer.ip(),
            user: None,
            method: head.method_text(),
            target: head.target(),
            version: "HTTP/1.1",
            status,
            bytes_sent: 2,
            bytes_received: 0,
            referer: head.find(FieldId::Referer),
            user_agent: head.find(FieldId::UserAgent),
            host: h1::authority(head),
            request_id: request_id.as_bytes(),
            route,
            upstream: "llm",
            endpoint: Some(self.peer.socket),
            reason: None,
            cache: None,
            cache_detail: None,
            total_us: 1_234,
            upstream_us: Some(1_000),
            first_byte_us: Some(1_100),
            core: 0,
        });
    }
}

fn every_head_passes_without_an_allocation(trusted: bool, log: CoreLog, rounds: usize) {
    let bench = Bench::new(trusted, log);
    let pairs = heads::REQUESTS.iter().flat_map(|request| responses::RESPONSES.iter().map(move |r| (request, r)));
    for ((_, request), (_, response)) in pairs.clone() {
        bench.exchange(request, response);
    }
    for ((request_name, request), (response_name, response)) in pairs {
        for _ in 0..rounds {
            let count = allocations(|| bench.exchange(request, response));
            assert_eq!(count, 0, "{request_name}, answered by {response_name}");
        }
    }
}

/// The counter counts: an allocation and a growth are two.
#[test]
fn the_counter_counts() {
    let count = allocations(|| {
        let mut bytes = Vec::<u8>::with_capacity(16);
        bytes.extend_from_slice(std::hint::black_box(&[1; 17]));
        std::hint::black_box(&bytes);
    });
    assert_eq!(count, 2);
}

/// Once warm, an exchange allocates nothing, whoever the peer is.
#[test]
fn a_warm_exchange_allocates_nothing() {
    every_head_passes_without_an_allocation(false, CoreLog::disabled(), 20);
    every_head_passes_without_an_allocation(true, CoreLog::disabled(), 20);
}

/// An access line allocates nothing, in any format, while its batch has room.
#[test]
fn a_line_of_the_access_log_allocates_nothing() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for format in [AccessFormat::Json, AccessFormat::Sanitized, AccessFormat::Combined] {
        let (writer, lanes) = LogWriter::start(LogSink::File(folder.path().join("log")), 1).expect("a log");
        let lane = lanes.into_iter().next().expect("a lane, because one was asked for");
        every_head_passes_without_an_allocation(false, CoreLog::new(format, lane), 1);
        assert!(writer.finish());
    }
}

/// A chunked body without trailers takes no memory at its end.
#[test]
fn the_end_of_a_chunked_body_allocates_nothing() {
    let mut buffer = *b"0\r\n\r\n";
    let count = allocations(|| {
        assert!(BodyDecoder::new(BodyLength::Chunked).decode(&mut buffer).is_ok_and(|decoded| decoded.done));
    });
    assert_eq!(count, 0);
}

/// What still allocates: a path with an escape in it is decoded once to look for dot segments.
#[test]
fn an_escape_in_a_path_costs_one_allocation_at_most() {
    assert!(allocations(|| assert!(!has_dot_segment(b"/v1/files/a%20b"))) <= 1);
    assert_eq!(allocations(|| assert!(!has_dot_segment(b"/v1/files/a.b"))), 0);
}

/// What still allocates: a name with an underscore is compared with dashes in their place.
#[test]
fn an_underscore_in_a_name_costs_one_allocation_at_most() {
    let bench = Bench::new(false, CoreLog::disabled());
    let mut head = RequestHead::default();
    let text = "GET / HTTP/1.1\r\nHost: a\r\nx_team: search\r\n\r\n";
    assert!(RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head).is_ok());
    bench.core.buffers.give(bench.core.buffers.small());
    assert!(allocations(|| _ = bench.pass_request(&head)) <= 1);
}
