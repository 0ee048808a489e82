//! WebSocket through HTTP/2: extended CONNECT (RFC 8441) on either side, and HTTP/1.1 beside it where that is needed.

use super::super::h2::frames::*;
use super::super::harness::*;
use super::origin::*;

const REQUEST: &str = "GET /ws?a=b HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Protocol: chat\r\n\r\n";
/// RFC 6455 §1.3: the answer to that key.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const CONSENT: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The head of an extended CONNECT of a client.
const CONNECT: [(&str, &str); 6] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "http"),
    (":path", "/ws?a=b"),
    (":authority", "t"),
    ("sec-websocket-version", "13"),
];

/// An origin in clear that takes extended CONNECT, and the connection on which it has said so.
fn taking() -> (H2Origin, Gateway, H2) {
    let origin = H2Origin::clear().settings(&[(ENABLE_CONNECT_PROTOCOL, 1)]);
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, request) = origin.accept_request();
    peer.answer(request.stream, 200, "x");
    assert_eq!(client.read_response().status, 200);
    (origin, gateway, peer)
}

/// What an extended CONNECT says to an origin.
#[track_caller]
fn check_connect(head: &Message) {
    assert_eq!((head.field(":method"), head.field(":protocol")), (Some("CONNECT"), Some("websocket")));
    assert_eq!((head.field(":path"), head.field(":scheme")), (Some("/ws?a=b"), Some("http")));
    assert!(head.field(":authority").is_some());
    assert_eq!(head.field("sec-websocket-version"), Some("13"));
    assert_eq!(head.field("content-length"), None);
}

/// An upgrade of HTTP/1.1 becomes extended CONNECT where the origin takes it; bytes pass both ways, and the end too.
#[test]
fn an_upgrade_becomes_extended_connect() {
    let (origin, gateway, mut peer) = taking();
    let mut client = gateway.client();
    client.send(REQUEST);
    let head = peer.next_request_head();
    check_connect(&head);
    assert_eq!(head.field("sec-websocket-protocol"), Some("chat"));
    peer.headers(head.stream, &[(":status", "200"), ("sec-websocket-protocol", "chat")], false);
    let response = client.read_response();
    assert_eq!((response.status, response.field("upgrade")), (101, Some("websocket")));
    assert_eq!(response.field("sec-websocket-accept"), Some(ACCEPT));
    assert_eq!(response.field("sec-websocket-protocol"), Some("chat"));
    for round in 0..20_u8 {
        client.send([0x81, round, b'\r', b'\n', 0]);
        assert_eq!(peer.take_data(head.stream, 5), [0x81, round, b'\r', b'\n', 0]);
        peer.data(head.stream, [round; 3], false);
        client.expect_bytes([round; 3]);
    }
    peer.data(head.stream, "goodbye", true);
    client.expect_bytes("goodbye");
    client.expect_closed();
    origin.expect_no_connection();
    assert!(is_alive(&mut peer, 1));
}

/// A client that leaves a tunnel ends its stream and no other.
#[test]
fn a_tunnel_ends_with_its_client() {
    let (_origin, gateway, mut peer) = taking();
    let mut client = gateway.client();
    client.send(REQUEST);
    let head = peer.next_request_head();
    peer.headers(head.stream, &[(":status", "200")], false);
    assert_eq!(client.read_response().status, 101);
    drop(client);
    let ended = |f: &Frame| f.stream == head.stream && (f.kind == RST_STREAM || f.ends());
    peer.wait("the end of the tunnel", ended);
    let mut other = super::caller::Caller::h1(&gateway);
    assert_eq!(other.ask_through(&mut peer), "through");
}

/// A refusal of the origin is an answer like any other.
#[test]
fn a_refused_connect_is_an_answer() {
    let (_origin, gateway, mut peer) = taking();
    let mut client = gateway.client();
    client.send(REQUEST);
    let head = peer.next_request_head();
    peer.answer(head.stream, 403, "no");
    let response = client.read_response();
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
}

/// Extended CONNECT of a client goes on as extended CONNECT, and bytes pass both ways.
#[test]
fn extended_connect_passes() {
    let (_origin, gateway, mut peer) = taking();
    let mut client = H2::connect(&gateway);
    client.headers(1, &CONNECT, false);
    let head = peer.next_request_head();
    check_connect(&head);
    peer.headers(head.stream, &[(":status", "200")], false);
    assert_eq!(fields::one(&client.head(1), ":status"), Some("200"));
    for round in 0..20_u8 {
        client.data(1, [round; 7], false);
        assert_eq!(peer.take_data(head.stream, 7), [round; 7]);
        peer.data(head.stream, [round; 3], false);
        assert_eq!(client.take_data(1, 3), [round; 3]);
    }
    client.send(Frame::reset(1, CANCEL));
    let ended = |f: &Frame| f.stream == head.stream && (f.kind == RST_STREAM || f.ends());
    peer.wait("the end of the tunnel", ended);
    client.ping();
    peer.ping();
}

/// An origin in clear that does not take extended CONNECT is not sent it (RFC 8441 §3): the upgrade is not granted.
#[test]
fn an_origin_that_does_not_take_connect_is_not_sent_it() {
    let origin = H2Origin::clear().serve(|_| Answer::ok("plain"));
    let gateway = origin.config().start();
    assert_eq!(gateway.get("/").status, 200);
    let mut client = gateway.client();
    client.send(REQUEST);
    let response = client.read_response();
    assert!(response.status == 200 || response.status >= 500, "{}", response.status);
    let mut client = H2::connect(&gateway);
    client.headers(1, &CONNECT, false);
    let answer = client.message(1);
    assert!(matches!(answer.ending, Ending::Reset(_)) || answer.status() >= 500, "{answer:?}");
    assert!(origin.take_requests().iter().all(|request| request.field(":method") == Some("GET")));
}

/// `auto` over TLS: an upgrade goes over HTTP/1.1 though the origin offers h2, beside the connection of the others.
#[test]
fn an_upgrade_over_auto_takes_http_1() {
    let origin = tls_origin(&["h2", "http/1.1"]);
    let gateway = Config::to(&origin).upstream(SECURE).start();
    let mut plain = gateway.client();
    plain.send(get("/"));
    let mut peer = H2::accept(&origin);
    let request = whole_request(&mut peer);
    peer.answer(request.stream, 200, "x");
    assert_eq!(plain.read_response().status, 200);
    let mut client = gateway.client();
    client.send(REQUEST);
    let (mut tunnel, request) = origin.accept_request();
    assert_eq!(chosen(&tunnel).as_deref(), Some("http/1.1"));
    assert_eq!((request.field("upgrade"), request.target.as_str()), (Some("websocket"), "/ws?a=b"));
    tunnel.send(CONSENT);
    let response = client.read_response();
    assert_eq!((response.status, response.field("sec-websocket-accept")), (101, Some(ACCEPT)));
    client.send("up");
    tunnel.expect_bytes("up");
    tunnel.send("down");
    client.expect_bytes("down");
    plain.send(get("/"));
    let request = whole_request(&mut peer);
    peer.answer(request.stream, 200, "beside");
    assert_eq!(plain.read_response().text(), "beside");
}

/// The same for extended CONNECT of a client: the origin gets an upgrade of HTTP/1.1 with a key of the gateway's own.
#[test]
fn extended_connect_over_auto_takes_http_1() {
    let origin = tls_origin(&["h2", "http/1.1"]);
    let gateway = Config::to(&origin).upstream(SECURE).start();
    let mut client = H2::connect(&gateway);
    client.headers(1, &CONNECT, false);
    let (mut tunnel, request) = origin.accept_request();
    assert_eq!((request.brief().as_str(), request.field("upgrade")), ("GET /ws?a=b", Some("websocket")));
    assert!(request.field("sec-websocket-key").is_some_and(|key| key.len() == 24), "{:?}", request.head.fields);
    assert_eq!(request.field("sec-websocket-version"), Some("13"));
    tunnel.send(CONSENT);
    let head = client.head(1);
    // The answer to another key than the one that was sent is none: both ends are honest or the tunnel is refused.
    if fields::one(&head, ":status") == Some("200") {
        client.data(1, "up", false);
        tunnel.expect_bytes("up");
        tunnel.send("down");
        assert_eq!(client.take_data(1, 4), b"down");
    } else {
        assert_eq!(fields::one(&head, ":status"), Some("502"));
    }
}

/// Many tunnels and requests share one connection.
#[test]
fn tunnels_and_requests_share_a_connection() {
    let (origin, gateway, mut peer) = taking();
    let mut tunnels: Vec<(Connection, u32)> = Vec::new();
    for _ in 0..10 {
        let mut client = gateway.client();
        client.send(REQUEST);
        let head = peer.next_request_head();
        peer.headers(head.stream, &[(":status", "200")], false);
        assert_eq!(client.read_response().status, 101);
        tunnels.push((client, head.stream));
    }
    assert_eq!(super::caller::Caller::h1(&gateway).ask_through(&mut peer), "through");
    for (number, (client, stream)) in tunnels.iter_mut().enumerate() {
        client.send([number as u8; 4]);
        assert_eq!(peer.take_data(*stream, 4), [number as u8; 4]);
    }
    origin.expect_no_connection();
}
