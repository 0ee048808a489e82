//! Peers that keep to the rules and were cut all the same, or whose neighbours were: slow readers, busy connections that
//! looked idle, requests that cross a GOAWAY, upstreams that have gone silent, trailers of every length.

use std::sync::Arc;

use socket2::{Domain, Socket, Type};

use super::super::h2_upstream::origin::*;
use super::*;
use crate::suite::harness::origin::pace;
use crate::suite::harness::wire::Wire;

/// A client over TLS with small segments and buffers, so that the gateway's kernel holds little of what is under way.
fn narrow(gateway: &Gateway, authority: &Authority) -> H2 {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_tcp_mss(536).expect("TCP_MAXSEG");
    socket.set_recv_buffer_size(8 * 1024).expect("SO_RCVBUF");
    socket.connect(&gateway.address().into()).expect("a connection");
    let mut config = authority.client();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = "t.test".try_into().expect("a name");
    let tls = rustls::ClientConnection::new(Arc::new(config), name).expect("a TLS client");
    let wire = Wire::Client(Box::new(rustls::StreamOwned::new(tls, socket.into())));
    H2::client(Connection::new(wire), &[(INITIAL_WINDOW_SIZE, WINDOW_MAX)])
}

/// A client that reads slowly, but reads, is not cut by the time to send, although its socket is full all the time.
#[test]
fn a_slow_reader_that_gets_on_is_not_cut() {
    let origin = Origin::new().serve(|_| ok(vec![b'x'; 12 * 1024 * 1024]));
    let (gateway, authority) = secure(&origin, "send_timeout = \"2s\"");
    let mut client = narrow(&gateway, &authority);
    client.send(Frame::window_update(0, WINDOW_MAX - WINDOW));
    client.get(1, "/");
    client.head(1);
    let mut bytes = 0;
    while bytes < 12 * 1024 * 1024 {
        bytes += client.next_data(1).0.len();
        pace(3);
    }
}

/// A connection whose requests are all answered at once, from the cache, is not an idle one.
#[test]
fn a_busy_connection_is_not_idle() {
    let origin = Origin::new()
        .serve(|_| b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok".to_vec());
    let gateway = Config::to(&origin).cache("").listener("idle_timeout = \"400ms\"").start();
    gateway.get("/");
    let mut client = H2::connect(&gateway);
    for number in 0..30 {
        let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "/")];
        client.headers(1 + 2 * number, &fields, true);
        assert_eq!(client.message(1 + 2 * number).text(), "ok");
        assert!(!client.has_come(|f| f.kind == GOAWAY), "after {number} requests");
        pace(40);
    }
    client.expect_goaway(&[NO_ERROR]);
}

/// RFC 9113 §6.8: a request with a body that crosses the last GOAWAY is left alone, and what runs goes on.
#[test]
fn a_body_that_crosses_goaway_disturbs_nobody() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).server("drain = \"20s\"").start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/stream");
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.head(1);
    gateway.signal(rustix::process::Signal::TERM);
    client.wait("GOAWAY", |f| f.kind == GOAWAY && f.last_stream() == 1);
    client.request(3, "POST", "/late", &[], false);
    client.data(3, "a body", false);
    client.headers(3, &[("x-sum", "1")], true);
    client.request(5, "POST", "/later", &[], false);
    client.send(Frame::reset(5, CANCEL));
    client.ping();
    peer.send(chunk("on"));
    assert_eq!(client.take_data(1, 2), b"on");
    peer.send("0\r\n\r\n");
    assert!(client.next_data(1).1);
    client.expect_end();
}

/// Trailers that are as long as they may be, and longer when they are written, pass; a neighbour on the same upstream
/// connection does not notice.
#[test]
fn long_trailers_of_one_client_disturb_no_other() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut neighbour = gateway.client();
    neighbour.send(get("/neighbour"));
    let (mut peer, first) = origin.accept_request();
    let mut client = gateway.client();
    client.send("POST /trailers HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n");
    client.send("a:\r\n".repeat(2_000) + "\r\n");
    let request = whole_request(&mut peer);
    assert_eq!(request.trailers.as_ref().map(Vec::len), Some(2_000));
    peer.answer(request.stream, 200, "taken");
    assert_eq!(client.read_response().text(), "taken");
    peer.answer(first.stream, 200, "undisturbed");
    assert_eq!(neighbour.read_response().text(), "undisturbed");
}

/// An upstream that says nothing at all any more gets no further requests on the connection it has gone silent on.
#[test]
fn a_silent_connection_gets_no_further_requests() {
    let origin = H2Origin::clear();
    let gateway = origin.config().route("read_timeout = \"300ms\"").start();
    let mut client = gateway.client();
    client.send(get("/first"));
    let (mut peer, request) = origin.accept_request();
    peer.answer(request.stream, 200, "first");
    assert_eq!(client.read_response().text(), "first");
    client.send(get("/lost"));
    whole_request(&mut peer);
    assert_eq!(client.read_response().status, 504);
    let mut client = gateway.client();
    client.send(get("/second"));
    let (mut fresh, request) = origin.accept_request();
    fresh.answer(request.stream, 200, "second");
    assert_eq!(client.read_response().text(), "second");
}

/// One answer that is late says nothing of its connection, where others come.
#[test]
fn a_slow_answer_does_not_cost_its_connection() {
    let origin = H2Origin::clear();
    let gateway = origin.config().route("read_timeout = \"500ms\"").start();
    let mut slow = gateway.client();
    slow.send(get("/slow"));
    let (mut peer, _) = origin.accept_request();
    let mut quick = gateway.client();
    for _ in 0..10 {
        quick.send(get("/quick"));
        let request = whole_request(&mut peer);
        peer.answer(request.stream, 200, "quick");
        assert_eq!(quick.read_response().text(), "quick");
        pace(70);
    }
    assert_eq!(slow.read_response().status, 504);
    quick.send(get("/quick"));
    let request = whole_request(&mut peer);
    peer.answer(request.stream, 200, "still here");
    assert_eq!(quick.read_response().text(), "still here");
    origin.expect_no_connection();
}

/// gRPC over a general HTTP server says the length of a short answer and its status behind it.
#[test]
fn trailers_come_behind_a_length() {
    let grpc =
        |_: &Message| Answer::ok("x").field("content-type", "application/grpc+proto").trailer("grpc-status", "0");
    let announced = |_: &Message| Answer::ok("x").field("trailer", "grpc-status").trailer("grpc-status", "0");
    let empty = |_: &Message| Answer::status(200).field("content-type", "application/grpc").trailer("grpc-status", "0");
    for (origin, body) in [
        (H2Origin::clear().serve(grpc), "x"),
        (H2Origin::clear().serve(announced), "x"),
        (H2Origin::clear().serve(empty), ""),
    ] {
        let gateway = origin.config().start();
        let mut client = H2::connect(&gateway);
        client.request(1, "POST", "/", &[("te", "trailers")], false);
        client.data(1, "message", true);
        let answer = client.message(1);
        assert_eq!(answer.whole(), (200, body.to_owned()));
        assert_eq!(answer.trailer("grpc-status"), Some("0"), "{answer:?}");
    }
}

/// What an upstream has said before its connection broke counts, also where the gateway was about to send: a POST that it
/// has not processed goes out again.
#[test]
fn goaway_counts_although_the_connection_breaks_behind_it() {
    for _ in 0..5 {
        let origin = H2Origin::clear();
        let gateway = origin.config().start();
        let mut client = gateway.client();
        client.send(get("/first"));
        let (mut peer, request) = origin.accept_request();
        peer.answer(request.stream, 200, "first");
        assert_eq!(client.read_response().text(), "first");
        gateway.freeze();
        client.send(post("/", "body"));
        peer.send(Frame::goaway(request.stream, NO_ERROR));
        peer.wire.reset();
        gateway.signal(rustix::process::Signal::CONT);
        let (mut fresh, again) = origin.accept_request();
        assert_eq!((again.field(":method"), again.body.as_slice()), (Some("POST"), &b"body"[..]));
        fresh.answer(again.stream, 200, "sent again");
        assert_eq!(client.read_response().text(), "sent again");
    }
}
