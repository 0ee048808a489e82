//! Bodies over HTTP/2: content both ways with and without a length, trailers, Expect, streaming, and back-pressure.

use super::*;
use crate::suite::harness::origin::readable_within;

/// Bytes with a pattern in which a lost or doubled piece shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// A gateway between a client that opens its windows by itself and an origin that is played.
fn played() -> (Gateway, Origin, H2) {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.updates = true;
    (gateway, origin, client)
}

/// A body with a length arrives with that length, one without arrives in chunks; both come back.
#[test]
fn request_bodies_pass() {
    let origin = Origin::new().serve(|request: &Request| ok(&request.body.bytes));
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.updates = true;
    for (number, length) in [0, 1, 4_095, 16_384, 16_385, 65_535, 65_536, 100_000, 300_000].into_iter().enumerate() {
        let body = pattern(length);
        for (with_length, stream) in [(true, 1 + 4 * number as u32), (false, 3 + 4 * number as u32)] {
            let said = length.to_string();
            let fields: &[(&str, &str)] = if with_length { &[("content-length", &said)] } else { &[] };
            client.request(stream, "POST", "/", fields, false);
            client.body(stream, &body, true);
            let answer = client.message(stream);
            assert!(answer.whole().0 == 200 && answer.body == body, "{length} bytes, {with_length}");
            let framing = origin.take_requests()[0].head.framing();
            let wanted = if with_length { Framing::Length(length) } else { Framing::Chunked };
            assert_eq!(framing, Ok(wanted), "{length} bytes");
        }
    }
}

/// A request that ends with its head has no framing where its method needs none, and a length of 0 where it does.
#[test]
fn requests_without_content_have_none() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    for (number, (method, framings)) in [
        ("GET", &[Framing::Unsaid][..]),
        ("HEAD", &[Framing::Unsaid]),
        ("DELETE", &[Framing::Unsaid, Framing::Length(0)]),
        ("POST", &[Framing::Length(0), Framing::Unsaid]),
    ]
    .into_iter()
    .enumerate()
    {
        let stream = 1 + 2 * number as u32;
        client.request(stream, method, "/", &[], true);
        assert_eq!(client.message(stream).whole().0, 200);
        let framing = origin.take_requests()[0].head.framing().expect("a strict framing");
        assert!(framings.contains(&framing), "{method}: {framing:?}");
    }
}

/// Eight megabytes go up and come back whole.
#[test]
fn eight_megabytes_pass_both_ways() {
    let origin = Origin::new().serve(|request: &Request| ok(&request.body.bytes));
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.updates = true;
    let body = pattern(8 * 1024 * 1024);
    client.request(1, "POST", "/big", &[], false);
    client.body(1, &body, true);
    let answer = client.message(1);
    assert!(answer.whole().0 == 200 && answer.body == body);
}

/// Trailers pass both ways; what may not be one is dropped (RFC 9110 §6.5.1).
#[test]
fn trailers_pass_both_ways() {
    let (_gateway, origin, mut client) = played();
    client.request(1, "POST", "/", &[("te", "trailers")], false);
    client.data(1, "hi", false);
    client.headers(1, &[("x-sum", "42"), ("content-length", "9"), ("x-more", "a, b")], true);
    let (mut peer, seen) = origin.accept_request();
    assert_eq!(seen.body.bytes, b"hi");
    let names: Vec<String> = seen.body.trailers.iter().map(|(n, v)| format!("{n}: {v}").to_lowercase()).collect();
    assert_eq!(names, ["x-sum: 42", "x-more: a, b"]);
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Done\r\n\r\n");
    peer.send("2\r\nok\r\n0\r\nX-Done: yes\r\nContent-Length: 7\r\nConnection: close\r\n\r\n");
    let answer = client.message(1);
    assert_eq!(answer.whole(), (200, "ok".to_owned()));
    assert_eq!(answer.trailer("x-done"), Some("yes"));
    let names: Vec<&str> = answer.trailers.iter().flatten().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-done"]);
}

/// Trailers come behind an answer without content, too.
#[test]
fn trailers_come_without_content() {
    let (_gateway, origin, mut client) = played();
    client.request(1, "GET", "/", &[("te", "trailers")], true);
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Done: yes\r\n\r\n");
    let answer = client.message(1);
    assert_eq!((answer.whole().1.as_str(), answer.trailer("x-done")), ("", Some("yes")));
}

/// `expect: 100-continue` is answered with 100 before the content comes, and the content then passes.
#[test]
fn expect_is_answered() {
    let (_gateway, origin, mut client) = played();
    client.request(1, "POST", "/e", &[("expect", "100-continue"), ("content-length", "5")], false);
    assert_eq!(fields::one(&client.head(1), ":status"), Some("100"));
    client.data(1, "hello", true);
    let (mut peer, seen) = origin.accept_request();
    assert_eq!((seen.brief().as_str(), seen.field("expect")), ("POST /e hello", None));
    peer.send(ok("x"));
    assert_eq!(client.message(1).whole().0, 200);
}

/// Content of nothing: empty DATA between and behind does not end what has not ended.
#[test]
fn empty_data_is_nothing() {
    let (_gateway, origin, mut client) = played();
    client.request(1, "POST", "/e", &[], false);
    for piece in ["", "a", "", "", "b", ""] {
        client.data(1, piece, false);
    }
    client.data(1, "", true);
    let (mut peer, seen) = origin.accept_request();
    assert_eq!(seen.body.bytes, b"ab");
    peer.send(ok("x"));
    assert_eq!(client.message(1).whole().0, 200);
}

/// A stream of events reaches the client event by event, and its head before the first.
#[test]
fn each_event_goes_out_at_once() {
    let (_gateway, origin, mut client) = played();
    client.get(1, "/stream");
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(fields::one(&client.head(1), "content-type"), Some("text/event-stream"));
    for number in 0..50 {
        let event = format!("data: {number}\n\n");
        peer.send(chunk(&event));
        assert_eq!(client.take_data(1, event.len()), event.as_bytes());
    }
    peer.send("0\r\n\r\n");
    let (last, end) = client.next_data(1);
    assert_eq!((last.len(), end), (0, true));
}

/// A request body is streamed while the answer is: each piece arrives before the next is sent.
#[test]
fn both_directions_stream_at_once() {
    let (_gateway, origin, mut client) = played();
    client.request(1, "POST", "/", &[], false);
    client.data(1, "first", false);
    let mut peer = origin.accept();
    assert_eq!(peer.read_request_head().head.framing(), Ok(Framing::Chunked));
    let mut up = Body::default();
    assert_eq!(peer.next_chunk(&mut up), Ok(Some(b"first".to_vec())));
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.head(1);
    for round in 0..20 {
        let (down, upwards) = (format!("down {round}"), format!("up {round}"));
        peer.send(chunk(&down));
        assert_eq!(client.take_data(1, down.len()), down.as_bytes());
        client.data(1, &upwards, false);
        assert_eq!(peer.next_chunk(&mut up), Ok(Some(upwards.into_bytes())));
    }
    client.data(1, "", true);
    assert_eq!(peer.next_chunk(&mut up), Ok(None));
    peer.send("0\r\n\r\n");
    assert!(client.next_data(1).1);
}

/// An answer before the request body is whole is passed on; what the client still sends is taken and forgotten, its
/// windows opened again, and the connection lives (§8.1).
#[test]
fn an_early_answer_is_passed_on() {
    let (gateway, origin, mut client) = played();
    type Kind = (&'static str, fn(&mut H2, u32));
    let kinds: [Kind; 4] = [
        ("the rest", |client, stream| client.body(stream, &pattern(3_000_000), true)),
        ("the rest and trailers", |client, stream| {
            client.body(stream, &pattern(1_000), false);
            client.headers(stream, &[("x-sum", "1")], true);
        }),
        ("a reset", |client, stream| client.send(Frame::reset(stream, CANCEL))),
        ("nothing more", |_, _| {}),
    ];
    for (number, (name, rest)) in kinds.into_iter().enumerate() {
        let stream = 1 + 4 * number as u32;
        client.request(stream, "POST", "/", &[], false);
        client.body(stream, &pattern(1_000), false);
        let mut peer = origin.accept();
        peer.read_request_head();
        peer.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        assert_eq!(client.message(stream).whole(), (403, "no".to_owned()), "{name}");
        rest(&mut client, stream);
        client.get(stream + 2, "/after");
        let (mut fresh, seen) = origin.accept_request();
        assert_eq!(seen.brief(), "GET /after", "{name}");
        fresh.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nafter");
        assert_eq!(client.message(stream + 2).text(), "after", "{name}");
    }
    settles(&gateway, "ringway_http2_streams_open");
}

/// A client that goes on sending for ever behind an early answer is told to stop with NO_ERROR.
#[test]
fn an_early_answer_ends_an_endless_request() {
    let (_gateway, origin, mut client) = played();
    client.request(1, "POST", "/", &[], false);
    let mut peer = origin.accept();
    peer.read_request_head();
    peer.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    assert_eq!(client.message(1).whole(), (403, "no".to_owned()));
    let (piece, mut sent) = (pattern(FRAME_BYTES), 0);
    while sent < SENT_MAX && !client.has_come(|f| f.kind == RST_STREAM) {
        if client.room(1) < FRAME_BYTES {
            client.keep_next().expect("windows or the end of the stream");
            continue;
        }
        client.data(1, &piece, false);
        sent += FRAME_BYTES;
    }
    client.expect_reset(1, &[NO_ERROR]);
    client.ping();
}

/// A body over the route's limit is 413, by its length at once and by its bytes when they pass it; others are served.
#[test]
fn a_body_over_the_limit_is_refused() {
    let origin = Origin::new().serve(|request: &Request| ok(request.body.bytes.len().to_string()));
    let gateway = Config::to(&origin).route("body_max = \"1KiB\"").start();
    let mut client = H2::connect(&gateway);
    client.request(1, "POST", "/", &[("content-length", "1025")], false);
    client.message(1).assert_failure(413);
    client.request(3, "POST", "/", &[], false);
    client.data(3, pattern(1_000), false);
    client.data(3, pattern(25), false);
    client.message(3).assert_failure(413);
    client.request(5, "POST", "/", &[], false);
    client.data(5, pattern(1_024), true);
    assert_eq!(client.message(5).text(), "1024");
    assert_eq!(origin.take_requests().len(), 1);
}

/// A stream that the client resets ends the upstream call, whether its answer has begun or not; others live on.
#[test]
fn a_reset_ends_the_upstream() {
    let (gateway, origin, mut client) = played();
    client.get(1, "/quiet");
    let (mut quiet, _) = origin.accept_request();
    client.get(3, "/stream");
    let (mut stream, _) = origin.accept_request();
    stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    client.head(3);
    client.request(5, "POST", "/up", &[("content-length", "10")], false);
    client.data(5, "hello", false);
    let mut up = origin.accept();
    let head = up.read_request_head();
    client.get(7, "/kept");
    let (mut kept, _) = origin.accept_request();
    for stream in [1, 3, 5] {
        client.send(Frame::reset(stream, CANCEL));
    }
    for peer in [&mut quiet, &mut stream] {
        let took = peer.wait_gone();
        assert!(took < 1_500, "{took} ms");
    }
    let body = up.body(head.head.framing().expect("a framing"), false);
    assert!(body.cut.is_some(), "the origin never sees the end of a request that was cut");
    kept.send(ok("kept"));
    assert_eq!(client.message(7).text(), "kept");
    settles(&gateway, "ringway_exchanges_active");
}

/// A client that leaves ends every upstream call of its connection.
#[test]
fn a_client_that_leaves_ends_every_upstream() {
    let (gateway, origin, mut client) = played();
    let mut peers: Vec<Connection> = (0..5)
        .map(|number| {
            client.get(1 + 2 * number, "/");
            origin.accept_request().0
        })
        .collect();
    drop(client);
    for peer in &mut peers {
        let took = peer.wait_gone();
        assert!(took < 1_500, "{took} ms");
    }
    settles(&gateway, "ringway_http2_streams_open");
}

/// A client that gives no window stops the origin: the gateway holds a bounded part of the answer.
#[test]
fn a_client_without_a_window_stops_the_origin() {
    let (gateway, origin, mut client) = played();
    client.updates = false;
    client.get(1, "/stream");
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.head(1);
    let before = resident_kib(&gateway);
    let sent = send_until_stopped(&mut peer);
    assert!(sent < SENT_MAX, "the origin was never stopped");
    let grown = resident_kib(&gateway).saturating_sub(before);
    assert!(grown < 4 * 1024, "the gateway grew by {grown} KiB");
    // What the window allowed has come, and more comes when it opens.
    assert_eq!(client.take_data(1, WINDOW as usize).len(), WINDOW as usize);
    client.open_windows(1, 100_000);
    assert_eq!(client.take_data(1, 100_000).len(), 100_000);
}

/// A client that does not even read its socket stops the origin in the same way, and many streams hold no more.
#[test]
fn a_client_that_does_not_read_stops_every_origin() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect_with(&gateway, &[(INITIAL_WINDOW_SIZE, WINDOW_MAX)]);
    client.send(Frame::window_update(0, WINDOW_MAX - WINDOW));
    let mut peers: Vec<Connection> = (0..3)
        .map(|number| {
            client.get(1 + 2 * number, "/");
            let mut peer = origin.accept_request().0;
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            peer
        })
        .collect();
    let before = resident_kib(&gateway);
    let sent: Vec<usize> = peers.iter_mut().map(send_until_stopped).collect();
    assert!(sent.iter().all(|sent| *sent < SENT_MAX), "{sent:?}");
    let grown = resident_kib(&gateway).saturating_sub(before);
    assert!(grown < 6 * 1024, "the gateway grew by {grown} KiB");
}

/// An origin that does not read closes the windows of the client: the gateway holds a bounded part of the request.
#[test]
fn an_origin_that_does_not_read_stops_the_client() {
    let (gateway, origin, mut client) = played();
    client.request(1, "POST", "/", &[("content-length", "60000000")], false);
    let mut peer = origin.accept();
    peer.read_request_head();
    let before = resident_kib(&gateway);
    client.wire.tcp().set_read_timeout(Some(Duration::from_millis(300))).expect("read timeout");
    let piece = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    let end = loop {
        match client.try_body(1, &piece, false) {
            Ok(()) => sent += piece.len(),
            Err(end) => break end,
        }
        assert!(sent < 50_000_000, "the client was never stopped");
    };
    assert_eq!(end, End::Silent, "the windows are closed and nothing else");
    let grown = resident_kib(&gateway).saturating_sub(before);
    assert!(grown < 4 * 1024, "the gateway grew by {grown} KiB");
    // Another stream of the same connection is served meanwhile.
    client.wire.tcp().set_read_timeout(Some(WAIT)).expect("read timeout");
    client.get(3, "/other");
    let (mut other, _) = origin.accept_request();
    other.send(ok("other"));
    assert_eq!(client.message(3).text(), "other");
}

/// A body that stops is given up by the time of the listener, on this stream alone.
#[test]
fn a_body_that_stops_is_given_up() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("body_timeout = \"300ms\"").start();
    let mut client = H2::connect(&gateway);
    client.request(1, "POST", "/", &[("content-length", "10")], false);
    client.data(1, "hello", false);
    let mut peer = origin.accept();
    let head = peer.read_request_head();
    client.message(1).assert_failure(408);
    assert!(peer.body(head.head.framing().expect("a framing"), false).cut.is_some());
    client.get(3, "/after");
    let (mut peer, _) = origin.accept_request();
    peer.send(ok("after"));
    assert_eq!(client.message(3).text(), "after");
    assert!(!readable_within(&origin, 0), "no other request came of it");
}

/// An origin that is silent for too long is 504 on this stream alone.
#[test]
fn a_silent_origin_is_504() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("read_timeout = \"300ms\"").start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/silent");
    let (_silent, _) = origin.accept_request();
    client.message(1).assert_failure(504);
    client.ping();
}

/// What sockets and gateway together never hold of one answer.
const SENT_MAX: usize = 64 * 1024 * 1024;

/// Sends chunks until the peer takes no more for a while, or far too much was taken; returns how many bytes.
fn send_until_stopped(peer: &mut Connection) -> usize {
    peer.tcp().set_write_timeout(Some(Duration::from_millis(200))).expect("write timeout");
    let piece = chunk(vec![b'x'; 64 * 1024]);
    let mut sent = 0;
    while sent < SENT_MAX && peer.try_send(&piece).is_ok() {
        sent += piece.len();
    }
    sent
}

/// Memory of the process in KiB.
pub fn resident_kib(gateway: &Gateway) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("the child is alive");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("KiB")
}
