//! Ends of connections: GOAWAY in two steps on a drain, time-outs, and clients that leave in order (RFC 9113 §6.8, §9.1).

use rustix::process::Signal;

use super::*;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A gateway whose drain has begun while stream 1 streams, its head and `before` taken.
fn draining(server: &str) -> (Gateway, Origin, H2, Connection) {
    let origin = Origin::new();
    let gateway = Config::to(&origin).server(server).start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/stream");
    let (mut peer, _) = origin.accept_request();
    peer.send(CHUNKED);
    peer.send(chunk("before"));
    client.head(1);
    assert_eq!(client.take_data(1, 6), b"before");
    gateway.signal(Signal::TERM);
    (gateway, origin, client, peer)
}

/// The next GOAWAY; every PING that comes before it is answered.
#[track_caller]
fn goaway(client: &mut H2) -> Frame {
    loop {
        let frame = client.wait("GOAWAY", |f| f.kind == GOAWAY || (f.kind == PING && !f.has(ACK)));
        if frame.kind == GOAWAY {
            assert_eq!(frame.number(), NO_ERROR);
            return frame;
        }
        client.send(Frame::new(PING, ACK, 0, frame.payload));
    }
}

/// A drain says GOAWAY twice: first that no more streams should come, then which were the last; what runs finishes.
#[test]
fn a_drain_lets_streams_finish() {
    let (mut gateway, origin, mut client, mut peer) = draining("drain = \"20s\"");
    let first = goaway(&mut client);
    assert_eq!(first.last_stream(), WINDOW_MAX, "RFC 9113 §6.8: the first one gives what is under way its time");
    // A stream that began before the client has answered is served.
    client.get(3, "/under-way");
    let (mut other, _) = origin.accept_request();
    let last = goaway(&mut client);
    assert!((3..WINDOW_MAX).contains(&last.last_stream()), "{last:?}");
    // A stream behind it is not: it is left alone or refused.
    client.get(last.last_stream() + 2, "/too-late");
    other.send(ok("under way"));
    assert_eq!(client.message(3).text(), "under way");
    peer.send(chunk("after"));
    assert_eq!(client.take_data(1, 5), b"after");
    peer.send("0\r\n\r\n");
    assert!(client.next_data(1).1);
    client.expect_end();
    origin.expect_no_connection();
    assert_eq!(gateway.wait_exit(), Some(0));
}

/// A client that never answers the first GOAWAY is told the last stream all the same, and what runs finishes.
#[test]
fn a_drain_does_not_wait_for_a_silent_client() {
    let (mut gateway, _origin, mut client, mut peer) = draining("drain = \"20s\"");
    client.wait("GOAWAY", |f| f.kind == GOAWAY);
    peer.send(chunk("after"));
    assert_eq!(client.take_data(1, 5), b"after");
    client.wait("GOAWAY", |f| f.kind == GOAWAY && f.last_stream() == 1);
    peer.send("0\r\n\r\n");
    assert!(client.next_data(1).1);
    client.expect_end();
    assert_eq!(gateway.wait_exit(), Some(0));
}

/// An idle connection is told and closed at once.
#[test]
fn a_drain_ends_idle_connections() {
    let origin = Origin::new().serve(echo);
    let mut gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.fetch(1, "/");
    let mut fresh = H2::connect(&gateway);
    fresh.ping();
    gateway.signal(Signal::TERM);
    for client in [&mut client, &mut fresh] {
        client.expect_goaway(&[NO_ERROR]);
    }
    assert_eq!(gateway.wait_exit(), Some(0));
}

/// A stream that does not end meets the deadline of the drain: it is cut, not ended.
#[test]
fn the_deadline_cuts_what_does_not_end() {
    let (mut gateway, _origin, mut client, mut peer) = draining("drain = \"300ms\"");
    let over = client.try_wait(|f| f.stream == 1 && (f.ends() || f.kind == RST_STREAM));
    assert!(over.as_ref().map_or_else(|end| *end != End::Silent, |frame| frame.kind == RST_STREAM), "{over:?}");
    assert_eq!(gateway.wait_exit(), Some(0));
    peer.wait_gone();
}

/// A reload changes nothing for the streams that run, and new ones are served.
#[test]
fn a_reload_lets_streams_run() {
    let origin = Origin::new();
    let config = Config::to(&origin);
    let gateway = config.start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/stream");
    let (mut peer, _) = origin.accept_request();
    peer.send(CHUNKED);
    client.head(1);
    let (taken, line) = gateway.reload(&config.toml());
    assert!(taken, "{line}");
    peer.send(chunk("after"));
    assert_eq!(client.take_data(1, 5), b"after");
    peer.send("0\r\n\r\n");
    assert!(client.next_data(1).1);
}

/// A connection without streams is told and closed after the time of the listener; a stream that is quiet keeps it.
#[test]
fn idle_connections_are_closed() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("idle_timeout = \"400ms\"").start();
    let mut busy = H2::connect(&gateway);
    busy.get(1, "/quiet");
    let (mut peer, _) = origin.accept_request();
    peer.send(CHUNKED);
    busy.head(1);
    let mut idle = H2::connect(&gateway);
    let before = now_ms();
    idle.expect_goaway(&[NO_ERROR]);
    let took = now_ms() - before;
    assert!((200..3_000).contains(&took), "{took} ms");
    peer.send(chunk("still here"));
    assert_eq!(busy.take_data(1, 10), b"still here");
    peer.send("0\r\n\r\n");
    assert!(busy.next_data(1).1);
    busy.expect_goaway(&[NO_ERROR]);
}

/// A field block that does not end is cut by the time of a head, whatever comes of it meanwhile.
#[test]
fn a_block_that_does_not_end_is_cut() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("head_timeout = \"300ms\"").start();
    let mut client = H2::connect(&gateway);
    let block = fields::request("GET", "/", &[("x", &"y".repeat(1_000))]);
    let before = now_ms();
    client.send(Frame::headers_begun(1, &block[..20], true));
    client.wire.tcp().set_read_timeout(Some(Duration::from_millis(20))).expect("read timeout");
    let mut at = 20;
    while client.try_wait(|f| f.kind == GOAWAY) == Err(End::Silent) {
        assert!(at < block.len() && now_ms() - before < 3_000, "a drip does not buy time");
        client.try_send_all(&[Frame::continuation(1, &block[at..at + 1], false)]);
        at += 1;
    }
    origin.expect_no_connection();
}

/// The same for a frame of which a part came.
#[test]
fn a_frame_that_does_not_end_is_cut() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("head_timeout = \"300ms\"\nidle_timeout = \"300ms\"").start();
    for cut in [3, 9, 12] {
        let mut client = H2::connect(&gateway);
        let bytes = Frame::headers(1, fields::request("GET", "/", &[]), true).bytes();
        client.wire.send(&bytes[..cut]);
        let before = now_ms();
        client.expect_end();
        let took = now_ms() - before;
        assert!(took < 3_000, "{took} ms, {cut} bytes");
    }
    origin.expect_no_connection();
}

/// A client that says GOAWAY gets what it has asked for, and then the connection ends.
#[test]
fn a_client_may_leave_in_order() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("idle_timeout = \"1s\"").start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/");
    let (mut peer, _) = origin.accept_request();
    client.send(Frame::goaway(0, NO_ERROR));
    client.ping();
    peer.send(ok("still answered"));
    assert_eq!(client.message(1).text(), "still answered");
    client.expect_end();
}

/// Whatever way a client ends, nothing of it is left: descriptors, streams, exchanges.
#[test]
fn nothing_is_left_behind() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).upstream("pool = 1\nidle_timeout = \"100ms\"").start();
    assert_eq!(gateway.get("/").status, 200);
    eventually("idle upstream connections are closed", || origin.open() == 0);
    let before = gateway.descriptors();
    for round in 0..60 {
        let mut client = H2::connect(&gateway);
        client.get(1, "/");
        client.request(3, "POST", "/", &[], false);
        match round % 6 {
            0 => drop(client),
            1 => client.wire.reset(),
            2 => client.send(Frame::goaway(0, NO_ERROR)),
            3 => client.send(Frame::new(PING, 0, 0, [0; 3])),
            4 => client.send(Frame::headers_begun(5, [], true)),
            _ => drop(client.message(1)),
        }
    }
    eventually("descriptors return to the start", || gateway.descriptors() <= before);
    settles(&gateway, "ringway_http2_streams_open");
    settles(&gateway, "ringway_exchanges_active");
    settles(&gateway, "ringway_connections_open");
}
