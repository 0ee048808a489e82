//! How streams and connections towards upstreams end: by reset, by break, by silence, by a client that left, by the drain.

use rustix::process::Signal;

use super::super::h2::frames::*;
use super::super::harness::*;
use super::caller::Caller;
use super::origin::*;

/// A gateway with one upstream connection that carries a request of each caller; their streams in order.
fn running(origin: &H2Origin, callers: &mut [Caller], method: &str) -> (H2, Vec<u32>) {
    callers[0].ask(method, "/0", &[], b"");
    let mut peer = origin.accept();
    let mut streams = vec![whole_request(&mut peer).stream];
    for (number, caller) in callers.iter_mut().enumerate().skip(1) {
        caller.ask(method, &format!("/{number}"), &[], b"");
        streams.push(whole_request(&mut peer).stream);
    }
    (peer, streams)
}

/// A client that leaves before its answer ends its stream with CANCEL; its neighbours and the connection live on.
#[test]
fn a_client_that_leaves_ends_its_stream_alone() {
    for begun in [false, true] {
        let origin = H2Origin::clear();
        let gateway = origin.config().start();
        let mut callers: Vec<Caller> = Caller::both(&gateway).into_iter().chain(Caller::both(&gateway)).collect();
        let (mut peer, streams) = running(&origin, &mut callers, "GET");
        if begun {
            for (caller, stream) in callers.iter_mut().zip(&streams) {
                peer.headers(*stream, &[(":status", "200")], false);
                assert_eq!(caller.told_head(), 200);
            }
        }
        let stay = callers.split_off(2);
        let kept: Vec<Option<Caller>> = callers.into_iter().map(Caller::leave).collect();
        for stream in &streams[..2] {
            assert_eq!(reset_of(&mut peer, *stream), CANCEL, "stream {stream}, begun {begun}");
        }
        for (mut caller, stream) in stay.into_iter().zip(&streams[2..]) {
            if !begun {
                peer.headers(*stream, &[(":status", "200")], false);
                assert_eq!(caller.told_head(), 200);
            }
            peer.data(*stream, "whole", true);
            assert_eq!(caller.rest(), (b"whole".to_vec(), false));
        }
        drop(kept);
        assert_eq!(Caller::h1(&gateway).ask_through(&mut peer), "through");
        origin.expect_no_connection();
    }
}

/// A client of HTTP/2 whose whole connection goes ends each of its streams with CANCEL.
#[test]
fn a_connection_that_goes_ends_all_its_streams() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = H2::connect(&gateway);
    for number in 0..10_u32 {
        client.get(number * 2 + 1, "/");
    }
    let mut peer = origin.accept();
    let streams: Vec<u32> = (0..10).map(|_| whole_request(&mut peer).stream).collect();
    drop(client);
    for stream in streams {
        assert_eq!(reset_of(&mut peer, stream), CANCEL);
    }
    assert_eq!(Caller::h1(&gateway).ask_through(&mut peer), "through");
}

/// A client that leaves in the middle of its body ends its stream: the origin never takes the request for whole.
#[test]
fn a_cut_request_is_reset() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let mut peer = origin.accept();
    let head = peer.next_request_head();
    assert_eq!(peer.take_data(head.stream, 5), b"hello");
    drop(client);
    assert!(matches!(peer.finish_message(head).ending, Ending::Reset(_)));
    let mut client = H2::connect(&gateway);
    client.request(1, "POST", "/", &[], false);
    client.data(1, "hello", false);
    let head = peer.next_request_head();
    assert_eq!(peer.take_data(head.stream, 5), b"hello");
    client.send(Frame::reset(1, CANCEL));
    assert!(matches!(peer.finish_message(head).ending, Ending::Reset(_)));
    assert_eq!(Caller::h1(&gateway).ask_through(&mut peer), "through");
}

/// RST_STREAM before the answer is 502 for a POST, which is not sent again; the connection lives on.
#[test]
fn a_reset_is_502() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept = None;
    for code in [NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, CANCEL, ENHANCE_YOUR_CALM, 0xd, 0xff] {
        for mut caller in Caller::both(&gateway) {
            caller.post("/", "x");
            let peer = kept.get_or_insert_with(|| origin.accept());
            let stream = whole_request(peer).stream;
            peer.send(Frame::reset(stream, code));
            caller.told().assert_failure(502);
            peer.ping();
            assert!(!peer.has_come(|f| f.kind == HEADERS), "code {code}: nothing is sent again");
        }
    }
    origin.expect_no_connection();
}

/// RST_STREAM after the head, with whatever code, cuts the answer: it must not look whole.
#[test]
fn a_reset_after_the_head_cuts() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept = None;
    for code in [NO_ERROR, INTERNAL_ERROR, CANCEL] {
        for length in [None, Some("100")] {
            for mut caller in Caller::both(&gateway) {
                caller.get("/");
                let peer = kept.get_or_insert_with(|| origin.accept());
                let stream = whole_request(peer).stream;
                let mut head = vec![(":status", "200")];
                head.extend(length.map(|length| ("content-length", length)));
                peer.headers(stream, &head, false);
                peer.data(stream, "hello", false);
                peer.send(Frame::reset(stream, code));
                caller.told().assert_cut_or_502();
                peer.ping();
            }
        }
    }
    origin.expect_no_connection();
}

/// A client of HTTP/2 whose answer is cut keeps its connection and its other streams.
#[test]
fn a_cut_answer_is_one_stream_of_the_client() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/cut");
    let (mut peer, cut) = origin.accept_request();
    client.get(3, "/whole");
    let whole = whole_request(&mut peer);
    peer.headers(cut.stream, &[(":status", "200")], false);
    client.head(1);
    peer.send(Frame::reset(cut.stream, INTERNAL_ERROR));
    assert_ne!(reset_of(&mut client, 1), NO_ERROR);
    peer.answer(whole.stream, 200, "whole");
    assert_eq!(client.message(3).whole(), (200, "whole".to_owned()));
    client.ping();
}

/// The ways in which a connection breaks.
const BREAKS: [&str; 3] = ["closed", "reset", "garbage"];

fn end_by(mut peer: H2, how: &str) {
    match how {
        "closed" => drop(peer),
        "reset" => peer.wire.reset(),
        _ => {
            peer.try_send(&[0xff; 100]);
            peer.expect_end();
        }
    }
}

/// A connection that breaks fails its streams and nobody else: POST is 502, what has begun is cut, the next is served.
#[test]
fn a_broken_connection_fails_its_streams_alone() {
    for how in BREAKS {
        let origin = H2Origin::clear();
        let gateway = origin.config().start();
        let mut callers: Vec<Caller> = Caller::both(&gateway).into_iter().chain(Caller::both(&gateway)).collect();
        let (mut peer, streams) = running(&origin, &mut callers, "POST");
        for (caller, stream) in callers.iter_mut().zip(&streams).take(2) {
            peer.headers(*stream, &[(":status", "200")], false);
            assert_eq!(caller.told_head(), 200);
        }
        end_by(peer, how);
        for (number, mut caller) in callers.into_iter().enumerate() {
            if number < 2 {
                assert!(caller.rest().1, "{how}: the answer is cut");
            } else {
                caller.told().assert_failure(502);
            }
        }
        origin.expect_no_connection();
        let mut client = gateway.client();
        client.send(post("/next", "x"));
        let (mut fresh, request) = origin.accept_request();
        fresh.answer(request.stream, 200, "next");
        assert_eq!(client.read_response().text(), "next", "{how}");
    }
}

/// A GET on a kept connection that breaks under it is sent again on a fresh one.
#[test]
fn a_get_on_a_broken_connection_is_sent_again() {
    for how in &BREAKS[..2] {
        let origin = H2Origin::clear();
        let gateway = origin.config().start();
        let mut first = gateway.client();
        first.send(get("/first"));
        let (mut peer, request) = origin.accept_request();
        peer.answer(request.stream, 200, "first");
        assert_eq!(first.read_response().status, 200);
        let mut callers = Caller::both(&gateway);
        callers.iter_mut().for_each(|caller| caller.get("/again"));
        let streams = [whole_request(&mut peer), whole_request(&mut peer)];
        assert_eq!(streams.map(|request| brief(&request)), ["GET /again", "GET /again"]);
        end_by(peer, how);
        let mut fresh = origin.accept();
        for _ in 0..2 {
            let request = whole_request(&mut fresh);
            fresh.answer(request.stream, 200, "again");
        }
        for mut caller in callers {
            assert_eq!(caller.told().whole(), (200, "again".to_owned()), "{how}");
        }
        origin.expect_no_connection();
    }
}

/// An idle connection that the origin has closed is noticed before use: even a POST goes on a fresh one.
#[test]
fn a_closed_idle_connection_is_not_used() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send(get("/first"));
    let (mut peer, request) = origin.accept_request();
    peer.answer(request.stream, 200, "first");
    assert_eq!(client.read_response().status, 200);
    peer.wire.shutdown_write();
    peer.expect_end();
    client.send(post("/post", "body"));
    let (mut fresh, request) = origin.accept_request();
    assert_eq!((brief(&request).as_str(), request.body.as_slice()), ("POST /post", &b"body"[..]));
    fresh.answer(request.stream, 200, "done");
    assert_eq!(client.read_response().text(), "done");
}

/// An origin that keeps silent is 504 after the read time: its stream is cancelled, its neighbours go on.
#[test]
fn a_silent_stream_is_504() {
    let origin = H2Origin::clear();
    let gateway = origin.config().upstream("read_timeout = \"300ms\"").start();
    let mut kept = None;
    for mut caller in Caller::both(&gateway) {
        let mut steady = gateway.client();
        steady.send(get("/steady"));
        let peer = kept.get_or_insert_with(|| origin.accept());
        let going = whole_request(peer).stream;
        peer.headers(going, &[(":status", "200")], false);
        steady.read_response_head();
        caller.get("/silent");
        let silent = whole_request(peer).stream;
        let mut body = Body::default();
        while !peer.has_come(|f| f.kind == RST_STREAM) {
            peer.data(going, "tick", false);
            assert_eq!(steady.next_chunk(&mut body), Ok(Some(b"tick".to_vec())));
            pause();
        }
        assert_eq!(reset_of(peer, silent), CANCEL);
        caller.told().assert_failure(504);
        peer.data(going, "", true);
        assert_eq!(steady.next_chunk(&mut body), Ok(None));
    }
    assert_eq!(gateway.access_of("/silent")["reason"], "upstream_read_timeout");
    origin.expect_no_connection();
}

/// Silence in the middle of an answer cuts it.
#[test]
fn silence_in_an_answer_cuts_it() {
    let origin = H2Origin::clear();
    let gateway = origin.config().upstream("read_timeout = \"200ms\"").start();
    let mut kept = None;
    for mut caller in Caller::both(&gateway) {
        caller.get("/");
        let peer = kept.get_or_insert_with(|| origin.accept());
        let stream = whole_request(peer).stream;
        peer.headers(stream, &[(":status", "200")], false);
        peer.data(stream, "hello", false);
        let told = caller.told();
        assert!(told.is_cut && told.text() == "hello", "{told:?}");
        assert_eq!(reset_of(peer, stream), CANCEL);
        peer.ping();
    }
}

/// An origin that takes the connection and never says SETTINGS is 504, whether or not it reads.
#[test]
fn an_origin_that_says_nothing_is_504() {
    let origin = H2Origin::clear();
    let gateway = origin.config().upstream("read_timeout = \"300ms\"\nconnect_timeout = \"300ms\"").start();
    for mut caller in Caller::both(&gateway) {
        caller.post("/", "x");
        let mute = origin.accept_raw();
        caller.told().assert_failure(504);
        drop(mute);
    }
}

/// An origin that takes no more of a body is 504 after the send time.
#[test]
fn an_origin_that_takes_nothing_is_504() {
    let origin = H2Origin::clear();
    let gateway = origin.config().upstream("send_timeout = \"300ms\"").start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000\r\n\r\n");
    let mut sender = Connection::new(wire::Wire::Plain(client.tcp().try_clone().expect("a second handle")));
    let sending = std::thread::spawn(move || drop(sender.try_send(&vec![b'x'; 1_000_000])));
    let mut peer = origin.accept_held();
    let stream = peer.next_request_head().stream;
    assert_eq!(client.read_response_head().status, 504);
    assert_eq!(reset_of(&mut peer, stream), CANCEL);
    assert_eq!(Caller::h1(&gateway).ask_through(&mut peer), "through");
    drop(client);
    sending.join().expect("the sender ends");
}

/// PING is answered with the same bytes, whether streams run or not.
#[test]
fn ping_is_answered() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, request) = origin.accept_request();
    for opaque in [0, 1, u64::MAX] {
        assert!(is_alive(&mut peer, opaque));
    }
    peer.answer(request.stream, 200, "x");
    assert_eq!(client.read_response().status, 200);
    assert!(is_alive(&mut peer, 7));
}

/// SIGTERM: running streams finish, then the connection is closed with GOAWAY and the process ends with 0.
#[test]
fn a_drain_finishes_streams_and_closes() {
    let origin = H2Origin::clear();
    let mut gateway = origin.config().server("drain = \"20s\"").start();
    let mut callers = Caller::both(&gateway);
    let (mut peer, streams) = running(&origin, &mut callers, "GET");
    for (caller, stream) in callers.iter_mut().zip(&streams) {
        peer.headers(*stream, &[(":status", "200")], false);
        assert_eq!(caller.told_head(), 200);
    }
    gateway.signal(Signal::TERM);
    let address = gateway.address();
    eventually("new connections are refused", || std::net::TcpStream::connect(address).is_err());
    for (caller, stream) in callers.iter_mut().zip(&streams) {
        peer.data(*stream, "finished", true);
        assert_eq!(caller.rest(), (b"finished".to_vec(), false));
    }
    peer.expect_goaway(&[NO_ERROR]);
    assert_eq!(gateway.wait_exit(), Some(0));
}

/// SIGTERM with an idle upstream connection ends at once, and nothing is left open.
#[test]
fn a_drain_closes_idle_connections() {
    let origin = H2Origin::clear();
    let mut gateway = origin.config().start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, request) = origin.accept_request();
    peer.answer(request.stream, 200, "x");
    assert_eq!(client.read_response().status, 200);
    gateway.signal(Signal::TERM);
    peer.expect_end();
    assert_eq!(gateway.wait_exit(), Some(0));
}

/// The drain's deadline cuts what does not end: client and origin both see it, and the exit code is 0.
#[test]
fn the_deadline_of_a_drain_cuts() {
    let origin = H2Origin::clear();
    let mut gateway = origin.config().server("drain = \"300ms\"").start();
    let mut callers = Caller::both(&gateway);
    let (mut peer, streams) = running(&origin, &mut callers, "GET");
    for (caller, stream) in callers.iter_mut().zip(&streams) {
        peer.headers(*stream, &[(":status", "200")], false);
        assert_eq!(caller.told_head(), 200);
    }
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_exit(), Some(0));
    assert!(callers.into_iter().all(|mut caller| caller.rest().1), "both answers are cut");
    peer.expect_end();
}

/// A process that has ended leaves no connection open, however many it had.
#[test]
fn a_stop_leaves_nothing_open() {
    let origin = H2Origin::clear().settings(&[(MAX_CONCURRENT_STREAMS, 1)]).serve(|_| Answer::ok("x"));
    let gateway = origin.config().start();
    let mut callers: Vec<Caller> = (0..5).flat_map(|_| Caller::both(&gateway)).collect();
    callers.iter_mut().for_each(|caller| caller.get("/"));
    callers.iter_mut().for_each(|caller| assert_eq!(caller.told().whole().0, 200));
    gateway.stop();
    eventually("the origin has no connection", || origin.open() == 0);
}

/// What an origin still sends on a stream that the gateway has given up is read: its blocks keep the table of the
/// connection right (RFC 9113 §4.3), its content goes back into the window of the connection (§6.9).
#[test]
fn what_comes_late_on_a_cancelled_stream_is_counted() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept: Option<H2> = None;
    for round in 0..6_usize {
        let mut caller = Caller::h2(&gateway);
        caller.get("/left");
        let peer = kept.get_or_insert_with(|| origin.accept());
        let stream = whole_request(peer).stream;
        let _connection = caller.leave();
        assert_eq!(reset_of(peer, stream), CANCEL);
        let value = format!("of round {round}");
        let block = [fields::indexed(8), fields::indexed_literal("x-late", &value)].concat();
        peer.send(Frame::headers(stream, block, false));
        peer.body(stream, &[b'x'; 30_000], false);
        // What the late block has put into the table is used by the next answer.
        let mut next = gateway.client();
        next.send(get("/next"));
        let stream = whole_request(peer).stream;
        peer.send(Frame::headers(stream, [fields::indexed(8), fields::indexed(62)].concat(), false));
        peer.body(stream, b"whole", true);
        let response = next.read_response();
        assert_eq!((response.field("x-late"), response.text().as_str()), (Some(value.as_str()), "whole"));
    }
    origin.expect_no_connection();
}

/// Streams that ended badly leave nothing behind: no descriptor, no exchange.
#[test]
fn nothing_is_left_open() {
    let origin = H2Origin::clear().serve(|request| match request.field(":path") {
        Some("/reset") => Answer::reset(INTERNAL_ERROR),
        _ => Answer::ok("x"),
    });
    let gateway = origin.config().start();
    let before = {
        assert_eq!(gateway.get("/").status, 200);
        gateway.descriptors()
    };
    for round in 0..20 {
        let mut callers = Caller::both(&gateway);
        for caller in &mut callers {
            caller.post(if round % 2 == 0 { "/reset" } else { "/" }, "x");
            caller.told();
        }
    }
    eventually("descriptors are as before", || gateway.descriptors() <= before);
    gateway.expect_metric("ringway_exchanges_active", &[], 0.0);
    assert_eq!(origin.connections(), 1);
}
