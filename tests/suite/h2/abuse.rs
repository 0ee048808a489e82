//! Those who mean harm: floods of every frame, bombs and stalls. Each is told ENHANCE_YOUR_CALM and cut off, counted by its
//! reason; the neighbours on the core are served on, and memory does not grow with it.

use super::bodies::resident_kib;
use super::*;

/// What one flood sends: the frames of its step with this number.
type Step<'a> = &'a dyn Fn(u32) -> Vec<Frame>;

/// Steps that a flood takes at most; every budget is far below it.
const STEPS_MAX: u32 = 60_000;
const MEMORY_KIB_MAX: usize = 16 * 1024;

/// Runs a flood against a gateway until it is cut off, `reads` = it takes what is answered. One of `reasons` is counted.
#[track_caller]
fn flood(reads: bool, reasons: &[&str], step: Step<'_>) {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let mut neighbour = H2::connect(&gateway);
    neighbour.fetch(1, "/before");
    let before = resident_kib(&gateway);
    let mut client = H2::connect(&gateway);
    let is_over = |f: &Frame| f.kind == GOAWAY;
    for number in 0..STEPS_MAX / 50 {
        let frames: Vec<Frame> = (number * 50..number * 50 + 50).flat_map(step).collect();
        if !client.try_send_all(&frames) || (reads && client.has_come(is_over)) {
            break;
        }
    }
    let goaway = client.wait("GOAWAY", is_over);
    assert_eq!(goaway.number(), ENHANCE_YOUR_CALM, "{reasons:?}");
    client.expect_end();
    let counted = |reason: &&str| gateway.metric("ringway_failures_total", &[&format!("\"{reason}\"")]);
    eventually("the flood is counted by its reason", || reasons.iter().map(counted).sum::<f64>() >= 1.0);
    let grown = resident_kib(&gateway).saturating_sub(before);
    assert!(grown < MEMORY_KIB_MAX, "the gateway grew by {grown} KiB");
    assert_eq!(neighbour.fetch(3, "/after").text(), "GET /after");
    settles(&gateway, "ringway_http2_streams_open");
}

/// The number of the stream of a step.
fn stream(number: u32) -> u32 {
    1 + 2 * number
}

/// A GET that the step begins.
fn request(number: u32) -> Frame {
    Frame::headers(stream(number), fields::request("GET", "/flood", &[]), true)
}

/// A POST that the step begins.
fn open_request(number: u32) -> Frame {
    Frame::headers(stream(number), fields::request("POST", "/flood", &[]), false)
}

/// CVE-2023-44487: streams are opened and reset at once, with and without reading what comes of it.
#[test]
fn rapid_reset() {
    for reads in [true, false] {
        flood(reads, &["h2_rapid_reset"], &|number| vec![request(number), Frame::reset(stream(number), CANCEL)]);
    }
    flood(true, &["h2_rapid_reset"], &|number| vec![open_request(number), Frame::reset(stream(number), NO_ERROR)]);
}

/// CVE-2025-8671: the gateway is made to reset streams, by each rule of a stream that can be broken.
#[test]
fn made_you_reset_by_windows() {
    let reasons = ["h2_made_you_reset"];
    flood(true, &reasons, &|n| vec![open_request(n), Frame::window_update(stream(n), 0)]);
    flood(true, &reasons, &|n| vec![open_request(n), Frame::window_update(stream(n), WINDOW_MAX)]);
}

/// The same by frames on a stream that the client has ended.
#[test]
fn made_you_reset_by_states() {
    let reasons = ["h2_made_you_reset"];
    flood(true, &reasons, &|n| {
        vec![open_request(n), Frame::data(stream(n), "x", true), Frame::data(stream(n), "x", true)]
    });
    flood(true, &reasons, &|n| vec![request(n), Frame::data(stream(n), "x", true)]);
}

/// The same by requests that are malformed.
#[test]
fn made_you_reset_by_malformed_requests() {
    let reasons = ["h2_made_you_reset"];
    let malformed = |n| Frame::headers(stream(n), fields::request("GET", "/flood", &[("connection", "x")]), true);
    flood(true, &reasons, &|n| vec![malformed(n)]);
    flood(false, &reasons, &|n| vec![malformed(n)]);
    let length = |n| Frame::headers(stream(n), fields::request("POST", "/flood", &[("content-length", "1")]), false);
    flood(true, &reasons, &|n| vec![length(n), Frame::data(stream(n), "", true)]);
}

/// CVE-2024-27316 and its kin: a field block that never ends, of pieces of every size.
#[test]
fn continuation_flood() {
    for bytes in [0, 1, 100, FRAME_BYTES] {
        // One long field, so that nothing of it can be decoded before its end.
        let start = [fields::request("GET", "/flood", &[]), vec![0, 1, b'x', 0x7f, 0x80, 0x80, 0x80, 0x01]].concat();
        flood(true, &["h2_continuation_flood", "h2_header_bomb"], &|number| match number {
            0 => vec![Frame::headers_begun(1, start.clone(), true)],
            _ => vec![Frame::continuation(1, vec![b'y'; bytes], false)],
        });
    }
}

/// CVE-2019-9518: frames without content.
#[test]
fn empty_frames() {
    let empty = ["h2_empty_frames"];
    flood(true, &empty, &|n| if n == 0 { vec![open_request(0)] } else { vec![Frame::data(1, "", false)] });
    flood(true, &empty, &|n| if n == 0 { vec![open_request(0)] } else { vec![Frame::padded_data(1, "", 0, false)] });
    flood(true, &empty, &|n| if n == 0 { vec![open_request(0)] } else { vec![Frame::padded_data(1, "", 50, false)] });
    let reasons = ["h2_empty_frames", "h2_made_you_reset"];
    flood(true, &reasons, &|n| vec![Frame::headers(stream(n), [], true)]);
}

/// CVE-2019-9515: SETTINGS, each of which is answered; the client reads the answers or does not.
#[test]
fn settings_flood() {
    for reads in [true, false] {
        flood(reads, &["h2_settings_flood"], &|_| vec![Frame::settings(&[])]);
    }
    flood(true, &["h2_settings_flood"], &|n| vec![Frame::settings(&[(INITIAL_WINDOW_SIZE, n)])]);
    flood(true, &["h2_settings_flood"], &|_| vec![Frame::settings_ack()]);
}

/// CVE-2019-9512: PINGs, each of which is answered; the client reads the answers or does not.
#[test]
fn ping_flood() {
    for reads in [true, false] {
        flood(reads, &["h2_ping_flood"], &|n| vec![Frame::ping(u64::from(n))]);
    }
    flood(true, &["h2_ping_flood"], &|n| vec![Frame::ping_ack(u64::from(n))]);
}

/// CVE-2019-9513: priorities, and frames that nobody knows.
#[test]
fn priority_flood() {
    let reasons = ["h2_priority_flood", "h2_empty_frames"];
    flood(true, &reasons, &|n| vec![Frame::priority(stream(n), 0, 1)]);
    flood(true, &reasons, &|n| vec![Frame::new(PRIORITY_UPDATE, 0, 0, stream(n).to_be_bytes())]);
    flood(true, &reasons, &|n| vec![Frame::new(0x77, 0, n, [0; 16])]);
}

/// Windows opened by single bytes, of the connection and of a stream.
#[test]
fn window_update_flood() {
    flood(true, &["h2_window_flood"], &|_| vec![Frame::window_update(0, 1)]);
    flood(true, &["h2_window_flood"], &|n| {
        if n == 0 { vec![open_request(0)] } else { vec![Frame::window_update(1, 1)] }
    });
}

/// A block of a few kilobytes that decodes to megabytes: a large field in the table, named by one byte each time.
#[test]
fn an_hpack_bomb() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let mut neighbour = H2::connect(&gateway);
    neighbour.fetch(1, "/before");
    let before = resident_kib(&gateway);
    let mut client = H2::connect(&gateway);
    let seed = [fields::request("GET", "/seed", &[]), fields::indexed_literal("x", "y".repeat(4_000))].concat();
    client.send(Frame::headers(1, seed, true));
    assert_eq!(client.message(1).whole().0, 200);
    let bomb = [fields::request("GET", "/bomb", &[]), vec![0x80 | 62; 16_000]].concat();
    for number in 1..40 {
        if !client.try_send_all(&[Frame::headers(stream(number), bomb.clone(), true)]) {
            break;
        }
        let answer = client.message(stream(number));
        let refused = match answer.ending {
            Ending::Whole => answer.status() == 431,
            Ending::Reset(_) => true,
            Ending::GoAway(code) => matches!(code, ENHANCE_YOUR_CALM | COMPRESSION_ERROR),
            Ending::Cut(end) => end != End::Silent,
        };
        assert!(refused, "{answer:?}");
    }
    let grown = resident_kib(&gateway).saturating_sub(before);
    assert!(grown < MEMORY_KIB_MAX, "the gateway grew by {grown} KiB");
    assert_eq!(neighbour.fetch(3, "/after").text(), "GET /after");
    let seen: Vec<String> = origin.take_requests().iter().map(|request| request.brief()).collect();
    assert!(!seen.iter().any(|brief| brief.contains("/bomb")), "{seen:?}");
}

/// A block of nothing but changes of the table's size, and one of fields too small to count by their bytes.
#[test]
fn games_with_the_table() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let sizes = [fields::table_size(0), fields::table_size(4_096)].concat().repeat(3_000);
    let mut client = H2::connect(&gateway);
    client.try_send_all(&[Frame::headers(1, [sizes, fields::request("GET", "/", &[])].concat(), true)]);
    let answer = client.message(1);
    let calm = matches!(answer.ending, Ending::GoAway(COMPRESSION_ERROR | ENHANCE_YOUR_CALM));
    assert!(calm || answer.status() == 200, "{answer:?}");
    let mut client = H2::connect(&gateway);
    let small = fields::literal("a", "").repeat(3_000);
    client.try_send_all(&[Frame::headers(1, [fields::request("GET", "/small", &[]), small].concat(), true)]);
    let answer = client.message(1);
    let refused =
        matches!(answer.ending, Ending::Reset(_) | Ending::GoAway(ENHANCE_YOUR_CALM)) || answer.status() == 431;
    assert!(refused, "{answer:?}");
    assert_eq!(gateway.get("/after").text(), "GET /after");
}

/// VSV00014: a client that asks for much and gives no window is given up after the time to send, and its upstreams with it.
#[test]
fn a_stall_without_windows_is_cut() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("send_timeout = \"300ms\"").start();
    let mut client = H2::connect_with(&gateway, &[(INITIAL_WINDOW_SIZE, 0)]);
    let mut peers: Vec<Connection> = (0..5)
        .map(|number| {
            client.get(stream(number), "/");
            let mut peer = origin.accept_request().0;
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            peer.send(chunk(vec![b'x'; 100_000]));
            client.head(stream(number));
            peer
        })
        .collect();
    for number in 0..5 {
        let cut = |f: &Frame| f.kind == GOAWAY || (f.kind == RST_STREAM && f.stream == stream(number));
        let frame = client.wait("the end of a stalled stream", cut);
        assert_ne!(frame.number(), NO_ERROR, "{frame:?}");
        if frame.kind == GOAWAY {
            assert_eq!(frame.number(), ENHANCE_YOUR_CALM);
            client.expect_end();
            break;
        }
    }
    for peer in &mut peers {
        peer.wait_gone();
    }
    settles(&gateway, "ringway_http2_streams_open");
}

/// A client that opens its windows byte by byte to keep a stream alive for ever holds a bounded part of one answer.
#[test]
fn a_drip_of_windows_holds_little() {
    let origin = Origin::new().serve(|_| ok(vec![b'x'; 4 * 1024 * 1024]));
    let gateway = Config::to(&origin).start();
    let before = resident_kib(&gateway);
    let mut client = H2::connect_with(&gateway, &[(INITIAL_WINDOW_SIZE, 0)]);
    for number in 0..20 {
        client.get(stream(number), "/");
        client.head(stream(number));
    }
    for _ in 0..20 {
        for number in 0..20 {
            client.send(Frame::window_update(stream(number), 1));
            assert_eq!(client.take_data(stream(number), 1), b"x");
        }
    }
    let grown = resident_kib(&gateway).saturating_sub(before);
    assert!(grown < MEMORY_KIB_MAX, "the gateway grew by {grown} KiB");
}

/// A client that does not take what the connection has to send is cut after the time to send.
#[test]
fn a_client_that_never_reads_is_cut() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("send_timeout = \"300ms\"").start();
    let mut client = H2::connect_with(&gateway, &[(INITIAL_WINDOW_SIZE, WINDOW_MAX)]);
    client.send(Frame::window_update(0, WINDOW_MAX - WINDOW));
    client.get(1, "/");
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let piece = chunk(vec![b'x'; 64 * 1024]);
    let before = now_ms();
    while peer.try_send(&piece).is_ok() {
        assert!(now_ms() - before < 4_000, "the gateway should have closed");
    }
    let counted = |reason: &str| gateway.metric("ringway_failures_total", &[&format!("\"{reason}\"")]);
    eventually("the stall is counted", || counted("h2_stalled") + counted("send_timeout") >= 1.0);
}

/// Streams that are opened and then left alone are given up after the time of a body.
#[test]
fn streams_that_are_left_alone_are_given_up() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("body_timeout = \"300ms\"").start();
    let mut client = H2::connect(&gateway);
    for number in 0..50 {
        client.send(open_request(number));
    }
    for number in 0..50 {
        let answer = client.message(stream(number));
        assert!(matches!(answer.ending, Ending::Reset(_)) || answer.status() == 408, "{answer:?}");
    }
    settles(&gateway, "ringway_http2_streams_open");
}

/// What browsers, SDKs and gRPC do in a burst is below every budget.
#[test]
fn honest_bursts_are_served() {
    let origin = Origin::new().serve(|request: &Request| match request.target.as_str() {
        "/large" => ok(vec![b'x'; 3_000_000]),
        _ => echo(request),
    });
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.updates = true;
    // A page that is left: its requests are cancelled at once.
    for number in 0..90 {
        client.get(stream(number), "/page");
    }
    for number in 0..90 {
        client.send(Frame::reset(stream(number), CANCEL));
    }
    // gRPC: a PING beside each message, empty DATA at the ends.
    for number in 100..140 {
        client.ping();
        client.request(stream(number), "POST", "/grpc", &[("te", "trailers")], false);
        client.data(stream(number), "message", false);
        client.data(stream(number), "", true);
        assert_eq!(client.message(stream(number)).whole().0, 200);
    }
    // Priorities of a browser, and settings that change a few times.
    for number in 0..30 {
        client.send(Frame::priority(stream(500 + number), 0, 1));
        client.settings(&[(INITIAL_WINDOW_SIZE, 65_535 + number)]);
    }
    // A download whose windows are opened frame by frame.
    client.get(stream(200), "/large");
    assert_eq!(client.message(stream(200)).body.len(), 3_000_000);
    client.ping();
}
