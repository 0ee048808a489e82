//! Upgrade (RFC 9110 §7.8): a tunnel after 101, and nothing forwarded before it.

use super::harness::*;

const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: t\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const CONSENT: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3\r\n\r\n";

/// A tunnel through a gateway: client, origin and what keeps them alive.
fn tunnel() -> (Gateway, Origin, Connection, Connection) {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(REQUEST);
    let (mut peer, seen) = origin.accept_request();
    assert!(seen.head.has_token("connection", "upgrade"), "{:?}", seen.head);
    assert_eq!(seen.field("upgrade"), Some("websocket"));
    assert_eq!(seen.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    peer.send(CONSENT);
    let response = client.read_response();
    assert_eq!((response.status, response.field("upgrade")), (101, Some("websocket")));
    assert!(response.head.has_token("connection", "upgrade"), "{:?}", response.head);
    assert_eq!(response.field("sec-websocket-accept"), Some("s3"));
    (gateway, origin, client, peer)
}

/// After 101 bytes pass both ways as they come, whatever they are.
#[test]
fn after_101_bytes_pass_both_ways() {
    let (_gateway, _origin, mut client, mut peer) = tunnel();
    for round in 0..20_u8 {
        client.send([0x81, round, b'\r', b'\n', 0]);
        peer.expect_bytes([0x81, round, b'\r', b'\n', 0]);
        peer.send([round; 3]);
        client.expect_bytes([round; 3]);
    }
    let large = vec![7_u8; 300_000];
    let sender = std::thread::spawn({
        let large = large.clone();
        move || {
            peer.send(&large);
            peer
        }
    });
    assert!(client.take(large.len()).expect("the tunnel is open") == large);
    sender.join().expect("the origin ends well");
}

/// Bytes that follow the 101 at once are not lost.
#[test]
fn bytes_behind_the_101_are_passed() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(REQUEST);
    let (mut peer, _) = origin.accept_request();
    peer.send([CONSENT.as_bytes(), b"first frame"].concat());
    assert_eq!(client.read_response().status, 101);
    client.expect_bytes("first frame");
}

/// Bytes that the client sends before the 101 wait until it has come, and then are passed first.
#[test]
fn nothing_is_forwarded_before_the_101() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send([REQUEST.as_bytes(), b"GET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n"].concat());
    let (mut peer, _) = origin.accept_request();
    // A request on a connection of its own has passed: what the gateway wanted to send it has sent.
    let mut other = gateway.client();
    other.send(get("/other"));
    let (mut second, _) = origin.accept_request();
    second.send(ok("x"));
    assert_eq!(other.read_response().status, 200);
    assert_eq!(peer.pending(), b"");
    peer.send(CONSENT);
    assert_eq!(client.read_response().status, 101);
    peer.expect_bytes("GET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n");
}

/// The end of one side of a tunnel ends the other.
#[test]
fn the_end_of_one_side_ends_the_other() {
    let (_gateway, _origin, client, mut peer) = tunnel();
    drop(client);
    assert!(peer.wait_gone() < 1_500);
    let (_gateway, _origin, mut client, peer) = tunnel();
    drop(peer);
    assert!(client.wait_gone() < 1_500);
}

/// What was sent before the end still arrives.
#[test]
fn the_last_bytes_of_a_tunnel_arrive() {
    let (_gateway, _origin, mut client, mut peer) = tunnel();
    peer.send("goodbye");
    drop(peer);
    assert_eq!(client.rest().0, b"goodbye");
}

/// A refused upgrade is an answer like any other, and the connection lives on.
#[test]
fn a_refused_upgrade_is_an_answer() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(REQUEST);
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 426 Upgrade Required\r\nUpgrade: other\r\nContent-Length: 2\r\n\r\nno");
    let response = client.read_response();
    assert_eq!((response.status, response.text().as_str()), (426, "no"));
}

/// A 101 that nobody asked for is a broken answer.
#[test]
fn an_unasked_101_is_refused() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    peer.send(CONSENT);
    client.read_response().assert_failure(502);
    peer.wait_gone();
}

/// An upstream connection that became a tunnel is never reused.
#[test]
fn a_tunnel_is_never_reused() {
    let (gateway, origin, client, mut peer) = tunnel();
    drop(client);
    let mut client = gateway.client();
    client.send(get("/next"));
    let (mut fresh, seen) = origin.accept_request();
    assert_eq!(seen.target, "/next");
    fresh.send(ok("x"));
    assert_eq!(client.read_response().status, 200);
    peer.wait_gone();
}
