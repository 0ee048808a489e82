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
use ringway::log::{AccessFormat, AccessRecord, CoreLog, LogOptions, LogSink, LogWriter};
use ringway::proxy::core::Parts;
use ringway::proxy::exchange::RequestId;
use ringway::proxy::headers::{RequestParts, ResponseParts, write_request, write_response};
use ringway::proxy::route::{Edits, Matcher, PathMatch, Rewrite, Route, Router, has_dot_segment};
use ringway::proxy::service::{ForwardedPolicy, Service};
use ringway::proxy::{Core, Peer};

#[path = "allocations/firewall.rs"]
mod firewall;
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
    (
        matcher,
        Route {
            name,
            upstream,
            rewrite,
            request,
            response,
            body_bytes_max,
            connect_ms,
            read_ms,
            cache: None,
            screen: Default::default(),
        },
    )
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
            strip_tags: false,
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
            client_host: h1::authority(head),
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
        self.core.log.access(
            &AccessRecord {
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
                caller: None,
                rule: None,
                cache: None,
                cache_detail: None,
                total_us: 1_234,
                upstream_us: Some(1_000),
                first_byte_us: Some(1_100),
                core: 0,
                response_head: b"",
            },
            &|_| None,
        );
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
        every_head_passes_without_an_allocation(false, CoreLog::new(LogOptions::of(format), lane), 1);
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

/// A hit in a core's front, from the bytes of the request to the bytes in the socket, allocates nothing: plain, with
/// credentials, chosen by Vary, of 64 KB, and 304.
#[test]
fn a_hit_allocates_nothing() {
    use monoio::{LegacyDriver, RuntimeBuilder};
    let mut runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build().expect("a runtime");
    runtime.block_on(async { stored::hits_allocate_nothing() });
}

/// A POST of 1 KB passes the firewall without an allocation once it is warm: by the two usual rules, and by fifty.
#[test]
fn a_warm_firewall_allocates_nothing() {
    use monoio::{LegacyDriver, RuntimeBuilder};
    let mut runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build().expect("a runtime");
    runtime.block_on(firewall::judging_allocates_nothing());
}

/// The same over HTTP/2, frames and the connection's own work included.
#[test]
fn a_hit_over_http2_allocates_nothing() {
    use monoio::{LegacyDriver, RuntimeBuilder};
    let mut runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build().expect("a runtime");
    runtime.block_on(stored::hits_over_http2_allocate_nothing());
}

mod stored {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::rc::Rc;

    use bytes::Bytes;
    use ringway::base::clock;
    use ringway::cache::answer::{Answer, AnswerHead, Body, Terms};
    use ringway::cache::counters::RouteCounters;
    use ringway::cache::directives::RequestControl;
    use ringway::cache::fields::StoredFields;
    use ringway::cache::object::{Content, OBJECT_BYTES, Object, Origin};
    use ringway::cache::{CachePolicy, key};
    use ringway::h2::{Connection, Limits, Role};
    use ringway::http::Method;
    use ringway::net::session::{Drive, Turn};
    use ringway::net::{Input, Session, Socket, Stream, task};
    use ringway::policy::auth::key::{NewKey, RANDOM_BYTES};
    use ringway::policy::auth::{AccessRule, AddressSet, CallerParts, Callers};
    use ringway::policy::limit::{Capacity, Counters, KeyPart, Limit, LimitState, Prefixes, Rate, Table};
    use ringway::proxy::exchange::Progress;
    use ringway::proxy::lookup::{Looking, Seen};
    use ringway::proxy::screen::Screen;
    use ringway::proxy::{Client, Next, Served, serve_at_once};

    use super::*;

    struct Hits {
        core: Rc<Core>,
        policy: Arc<CachePolicy>,
        near: Stream,
        far: TcpStream,
        peer: Peer,
    }

    pub fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let far = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        let (near, _) = listener.accept().expect("its other end");
        near.set_nonblocking(true).expect("a non-blocking socket");
        (Stream::Plain(Socket::new(near.into()).expect("a descriptor that can be waited for")), far)
    }

    /// One that lets everything pass, and says what is left.
    fn limit() -> Arc<Limit> {
        let (table, crowd) = (Table::new(1 << 20, 1), Arc::default());
        let state = LimitState { number: 1, table, counters: Counters::new(1), crowd };
        Arc::new(Limit {
            name: "limit".into(),
            key: Box::new([KeyPart::Address, KeyPart::Caller, KeyPart::Header("accept-language".into())]),
            prefixes: Prefixes { v4: 32, v6: 64 },
            rate: Rate::new(1_000, 1_000_000_000, 1_000, 0),
            in_flight: Some(10),
            waiting: Capacity { most: 1, crowd: Arc::default() },
            dry_run: false,
            status: 429,
            headers: true,
            state: Arc::new(state),
        })
    }

    impl Hits {
        fn new() -> Self {
            let policy = CachePolicy::plain("/".into(), Arc::default(), RouteCounters::new(1));
            let policy = Arc::new(policy.stands_on("test"));
            let (matcher, plain) = route("/", None, Edits::default(), Edits::default());
            // With a limit to pass: that costs no memory either.
            let screen = Screen { limits: Box::new([limit()]), ..Screen::default() };
            let cached = Route { cache: Some(Arc::clone(&policy)), screen, ..plain };
            let (screened, plain) = route("/house", None, Edits::default(), Edits::default());
            let rule =
                AccessRule { deny: AddressSet::new(["10.0.0.0/8".parse().expect("a range")]), ..Default::default() };
            let screen = Screen { access: [Arc::new(rule)].into(), callers: true, ..Screen::default() };
            let house = Route { cache: Some(Arc::clone(&policy)), screen, ..plain };
            let router = Router::compile(vec![(matcher, cached), (screened, house)]);
            let key = NewKey::of(&[7; RANDOM_BYTES]);
            let id = key.id.as_bytes().try_into().expect("12 letters");
            // With a limit of its own: that costs no memory either.
            let limits = Box::new([limit()]);
            let caller = CallerParts { id, sha256: key.sha256, name: "ci".into(), limits, ..CallerParts::default() };
            let callers = Arc::new(Callers::new([caller]));
            let service = Arc::new(Service { router, callers, via: "ringway".into(), ..Service::default() });
            let core = Rc::new(Core::new(Parts::alone(service)));
            let (near, far) = pair();
            let address = "192.0.2.7:41234".parse().expect("an address");
            Self { core, policy, near, far, peer: Peer { address, socket: address, tls: false } }
        }

        fn with_client<T>(&self, request: &str, work: impl FnOnce(&mut Client<'_>) -> T) -> T {
            let mut head = self.core.take_request_head();
            let limits = HeadLimits::default();
            let parsed = RequestParser::default().parse(request.as_bytes(), &limits, &mut head);
            assert_eq!(parsed, Ok(Parsed::Complete { head_bytes: request.len() }));
            let framing = h1::request_framing(&head).expect("a framing");
            let (timer, progress) = (self.core.deadlines.timer(), Progress::default());
            let mut client = Client {
                stream: &self.near,
                head: &head,
                framing,
                peer: self.peer,
                timer: &timer,
                body_ms: 1_000,
                send_ms: 1_000,
                body: None,
                progress: &progress,
                started_us: clock::now_us(),
            };
            let done = work(&mut client);
            self.core.give_request_head(head);
            done
        }

        /// Stores under the key of the request, and brings it to the front by a first look.
        fn store(&self, request: &str, content: impl Fn(usize) -> Content) {
            self.with_client(request, |client| {
                let control = RequestControl::default();
                let mut looking = Looking::begin(&self.core, client, false, &self.policy, control, &[]);
                let cache = &self.core.cache;
                for step in 0..2 {
                    let origin = Origin { key: looking.key().into(), method: Method::Get, birth: 0, url: 0 };
                    let charge = cache.charge(OBJECT_BYTES).expect("room");
                    let hash = key::hash(cache.salt(), looking.key(), &[]);
                    cache.replace(hash, &Object::complete(origin, content(step), charge));
                    if matches!(looking.look(&self.core, client.head), Seen::Answer(_)) {
                        return looking.end(&self.core);
                    }
                }
                unreachable!("what was stored is found");
            });
        }

        fn answer(&self, fields: &str, body: usize) -> Content {
            let charge = || self.core.cache.charge(1).expect("room");
            let terms = Terms { response_ms: clock::unix_ms(), lifetime_ms: 3_600_000, ..Terms::default() };
            let head = AnswerHead {
                status: 200,
                version: Version::Http11,
                reason: b"OK"[..].into(),
                fields: StoredFields::of_lines(fields.into()),
                terms,
                vary: None,
                tags: Box::default(),
                length: Some(body as u64),
            };
            let body = Body::new(vec![Bytes::from(vec![7; body])], charge());
            Content::Answer(Answer { head: Arc::new(head), body, charge: charge() })
        }

        /// One hit; what it sent is read and counted.
        fn hit(&mut self, request: &str, least: usize) -> u64 {
            let count = self.with_client(request, |client| {
                allocations(|| {
                    let served = serve_at_once(&self.core, client);
                    assert!(matches!(served, Served::Done(Next::KeepAlive)));
                })
            });
            let mut bytes = vec![0; 128 * 1024];
            let mut read = 0;
            while read < least {
                read += self.far.read(&mut bytes).expect("the response");
            }
            count
        }
    }

    /// What a client says first: the preface, SETTINGS, that it has seen ours, and a wide window for the connection.
    const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0\
        \0\0\x04\x08\0\0\0\0\0\x3f\0\0\0";
    /// `GET /plain` of host `a`, behind the frame header.
    const BLOCK: &[u8] = b"\x82\x86\x04\x06/plain\x01\x01a";

    /// Drives a session whose requests are all served where they are read.
    async fn drive(core: Rc<Core>, near: Stream, peer: Peer) {
        let limits = Limits { streams: 128, head_bytes: 16 * 1024, fields: 100 };
        let machine = Connection::new(Role::Server, limits, clock::now_ms());
        let session = Session::new(near, machine, &core.buffers);
        let (timer, lent) = (core.deadlines.timer(), core.deadlines.timer());
        let draining = std::cell::Cell::new(false);
        let (settle_ms, idle_ms, send_ms) = (60_000, 60_000, 60_000);
        let way = Drive { timer: &timer, settle_ms, idle_ms, send_ms, draining: &draining };
        let opened = |stream: Stream, head: &mut RequestHead, _| {
            let (framing, progress) = (h1::request_framing(head).expect("a framing"), Progress::default());
            let mut client = Client {
                stream: &stream,
                head,
                framing,
                peer,
                timer: &lent,
                body_ms: 1_000,
                send_ms: 1_000,
                body: None,
                progress: &progress,
                started_us: clock::now_us(),
            };
            assert!(matches!(serve_at_once(&core, &mut client), Served::Done(_)));
            true
        };
        let (mut input, mut head) = (Input::eager(), RequestHead::default());
        session.drive(way, &mut input, &mut head, opened, |_| Turn::On).await;
    }

    /// Waits until at least so many bytes have come; returns for how long.
    async fn receive(far: &mut TcpStream, least: usize) -> u64 {
        let (mut bytes, mut read, mut waited_ms) = ([0; 16 * 1024], 0, 0);
        while read < least {
            task::pause(1).await;
            waited_ms += 1;
            read += far.read(&mut bytes).unwrap_or(0);
        }
        waited_ms
    }

    pub async fn hits_over_http2_allocate_nothing() {
        const ROUNDS: u32 = 50;
        let mut hits = Hits::new();
        let fields =
            "Content-Type: application/json\r\nCache-Control: max-age=3600\r\nDate: Mon, 23 Nov 2026 20:00:00 GMT\r\n";
        let request = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
        hits.store(request, |_| hits.answer(fields, 1_000));
        hits.hit(request, 1_100);
        let (near, mut far) = pair();
        far.set_nonblocking(true).expect("a non-blocking socket");
        task::spawn(drive(Rc::clone(&hits.core), near, hits.peer), |why| assert_eq!(why, "", "the connection goes on"));
        far.write_all(OPENING).expect("sent");
        receive(&mut far, 9).await;
        let mut count = 0;
        let mut waited_ms = 0;
        for round in 0..2 * ROUNDS {
            let mut frame = [&[0, 0, 0, 1, 5][..], &(1 + 2 * round).to_be_bytes(), BLOCK].concat();
            frame[2] = BLOCK.len() as u8;
            far.write_all(&frame).expect("sent");
            let before = ALLOCATIONS.with(Cell::get);
            let waited = receive(&mut far, 1_060).await;
            if round >= ROUNDS {
                count += ALLOCATIONS.with(Cell::get) - before;
                waited_ms += waited;
            }
        }
        let before = ALLOCATIONS.with(Cell::get);
        for _ in 0..ROUNDS {
            task::pause(1).await;
        }
        let of_pauses = (ALLOCATIONS.with(Cell::get) - before) * waited_ms / u64::from(ROUNDS);
        assert_eq!(count.saturating_sub(of_pauses), 0, "{count} in {waited_ms} ms of waiting");
    }

    pub fn hits_allocate_nothing() {
        let mut hits = Hits::new();
        let fields = "Content-Type: application/json\r\nETag: \"v\"\r\nCache-Control: max-age=3600\r\n\
                      Date: Mon, 23 Nov 2026 20:00:00 GMT\r\n";
        let names: Box<[Box<str>]> = vec!["accept-language".into()].into();
        let cases = [
            ("plain", "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n", 1_000, false),
            ("caller", "GET /caller HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n", 1_000, false),
            ("query", "GET /query?a=1&b=2 HTTP/1.1\r\nHost: a\r\nUser-Agent: curl\r\n\r\n", 1_000, false),
            ("vary", "GET /vary HTTP/1.1\r\nHost: a\r\nAccept-Language: de, en\r\n\r\n", 1_000, true),
            ("304", "GET /304 HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"v\"\r\n\r\n", 0, false),
            ("64 KB", "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", 65_536, false),
        ];
        let of_the_house =
            format!("GET /house HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\n\r\n", NewKey::of(&[7; RANDOM_BYTES]).text);
        let house = [("a key of the house", of_the_house.as_str(), 1_000, false)];
        let cases = cases.into_iter().chain(house).collect::<Vec<_>>();
        for (_, request, body, varies) in &cases {
            hits.store(request, |step| match varies {
                true if step == 0 => Content::Variants(names.clone()),
                _ => hits.answer(fields, (*body).max(1)),
            });
        }
        for (name, request, body, _) in &cases {
            hits.hit(request, *body + 100);
            for _ in 0..20 {
                let count = hits.hit(request, *body + 100);
                assert_eq!(count, 0, "{name}");
            }
        }
    }
}
