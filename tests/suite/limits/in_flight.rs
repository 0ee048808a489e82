//! How many at once: requests of one key, and requests to one upstream. Whoever ends, however he ends, leaves his place.

use crate::suite::h2::{H2, WINDOW};
use crate::suite::harness::*;

fn limited(origin: &impl config::Endpoint, most: u32) -> Config {
    let table = format!("[[limit]]\nname = \"one\"\nin_flight = {most}\n[limits]\nmemory = \"1MiB\"");
    Config::to(origin).route("limits = [\"one\"]").more(&table)
}

/// Asks and has the origin hold the answer back.
fn held(gateway: &Gateway, origin: &Origin) -> (Connection, Connection) {
    let mut client = gateway.client();
    client.send(get("/held"));
    let (peer, _) = origin.accept_request();
    (client, peer)
}

/// Whether one more request is let through; it is answered, and its place is free again.
fn passes(gateway: &Gateway, origin: &Origin) -> bool {
    let mut client = gateway.client();
    client.send("GET /probe HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    if !origin::readable_within(origin, 50) {
        let refused = client.read_response();
        assert!([429, 503].contains(&refused.status), "{}", refused.status);
        assert_eq!(refused.field("retry-after"), Some("1"));
        return false;
    }
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx");
    client.read_response().status == 200
}

/// One request too many at once is 429; a place is free again when an answer is complete.
#[test]
fn a_request_too_many_at_once_is_429() {
    let origin = Origin::new();
    let gateway = limited(&origin, 2).start();
    let (mut first, mut first_peer) = held(&gateway, &origin);
    let (_second, _second_peer) = held(&gateway, &origin);
    let refused = gateway.get("/");
    refused.assert_failure(429);
    assert!(refused.text().contains("too many requests at once: limit one"), "{}", refused.text());
    gateway.expect_metric("ringway_failures_total", &["reason=\"in_flight_limited\""], 1.0);
    first_peer.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nha");
    assert_eq!(first.read_response_head().status, 200);
    assert!(!passes(&gateway, &origin), "the answer is not complete");
    first_peer.send("lf");
    first.expect_bytes("half");
    eventually("the place is free", || passes(&gateway, &origin));
}

/// However an exchange ends, its place is free: client gone, upstream gone, malformed answer.
#[test]
fn places_are_left_however_an_exchange_ends() {
    let origin = Origin::new();
    let gateway = limited(&origin, 1).start();
    let (client, peer) = held(&gateway, &origin);
    assert!(!passes(&gateway, &origin));
    drop(client);
    eventually("the client has left", || passes(&gateway, &origin));
    drop(peer);
    let (mut client, peer) = held(&gateway, &origin);
    drop(peer);
    // The request is sent again, for it is a GET; the second end is final.
    let again = origin::readable_within(&origin, 500).then(|| origin.accept_request());
    drop(again);
    assert!(client.read_response().status >= 500);
    eventually("the upstream has left", || passes(&gateway, &origin));
    let (mut client, mut peer) = held(&gateway, &origin);
    peer.send("nonsense\r\n\r\n");
    client.read_response().assert_failure(502);
    eventually("the answer was malformed", || passes(&gateway, &origin));
}

/// A tunnel holds its place as long as it is open.
#[test]
fn a_tunnel_holds_its_place() {
    let origin = Origin::new();
    let gateway = limited(&origin, 1).start();
    let mut client = gateway.client();
    client.send(
        "GET /chat HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n",
    );
    let (mut peer, _) = origin.accept_request();
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    );
    assert_eq!(client.read_response_head().status, 101);
    assert!(!passes(&gateway, &origin));
    drop((client, peer));
    eventually("the tunnel has ended", || passes(&gateway, &origin));
}

/// Those who follow one fetch are in flight too, each of them.
#[test]
fn followers_are_in_flight() {
    let origin = Origin::new();
    let gateway = limited(&origin, 2).cache("").start();
    let (mut leader, mut peer) = held(&gateway, &origin);
    let mut follower = gateway.client();
    follower.send(get("/held"));
    eventually("there are two", || gateway.metric("ringway_exchanges_active", &[]) == 2.0);
    assert_eq!(gateway.get("/held").status, 429);
    peer.send("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 1\r\n\r\nx");
    assert_eq!((leader.read_response().status, follower.read_response().status), (200, 200));
    eventually("both have left", || gateway.get("/held").status == 200);
}

/// A stored answer is in flight until its last byte is out, also where its reader takes it slowly.
#[test]
fn a_hit_is_in_flight_until_it_is_read() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 200000\r\n\r\n{}",
        "x".repeat(200_000)
    );
    let origin = Origin::new().serve(move |_| answer.as_bytes().to_vec());
    let gateway = limited(&origin, 1).cache("").start();
    assert_eq!(gateway.get("/").status, 200);
    let mut slow = H2::connect(&gateway);
    slow.get(1, "/");
    slow.head(1);
    slow.take_data(1, WINDOW as usize);
    assert_eq!(gateway.get("/").status, 429);
    slow.open_windows(1, 200_000);
    slow.take_data(1, 200_000 - WINDOW as usize);
    eventually("the place is free", || gateway.get("/").status == 200);
    assert_eq!(origin.take_requests().len(), 1);
}

/// One request too many to an upstream is 503, whoever asks; its place is free when the answer is complete.
#[test]
fn an_upstream_gets_as_many_as_it_may() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("in_flight = 1").start();
    let (mut client, mut peer) = held(&gateway, &origin);
    let refused = gateway.get("/");
    refused.assert_failure(503);
    assert!(refused.text().contains("overloaded_error"), "{}", refused.text());
    gateway.expect_metric("ringway_failures_total", &["reason=\"upstream_busy\""], 1.0);
    assert!(!passes(&gateway, &origin));
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx");
    assert_eq!(client.read_response().text(), "x");
    eventually("the place is free", || passes(&gateway, &origin));
    let (client, _peer) = held(&gateway, &origin);
    drop(client);
    eventually("the client has left", || passes(&gateway, &origin));
}

/// A fetch for the cache counts once, however many wait for it; a hit does not count.
#[test]
fn a_fetch_for_the_cache_takes_one_place() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("in_flight = 1").cache("").start();
    let (mut leader, mut peer) = held(&gateway, &origin);
    let mut follower = gateway.client();
    follower.send(get("/held"));
    eventually("there are two", || gateway.metric("ringway_exchanges_active", &[]) == 2.0);
    assert_eq!(gateway.get("/other").status, 503);
    let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncache-control: max-age=60\r\ncontent-length: 1\r\n\r\nx";
    peer.send(answer);
    assert_eq!((leader.read_response().status, follower.read_response().status), (200, 200));
    let (_holds, _peer) = held_at(&gateway, &origin, "/third");
    assert_eq!(gateway.get("/held").status, 200, "a hit asks nobody");
}

fn held_at(gateway: &Gateway, origin: &Origin, path: &str) -> (Connection, Connection) {
    let mut client = gateway.client();
    client.send(get(path));
    let (peer, _) = origin.accept_request();
    (client, peer)
}
