//! Persistent connections on both sides: reuse, order, and when they end (RFC 9112 §9).

use super::harness::*;

/// Many requests on one client connection use one upstream connection.
#[test]
fn connections_are_reused_on_both_sides() {
    let origin = Origin::new().serve(|request| ok(request.brief()));
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    for number in 0..50 {
        client.send(get(&format!("/{number}")));
        assert_eq!(client.read_response().text(), format!("GET /{number}"));
    }
    assert_eq!(origin.connections(), 1);
}

/// An upstream connection serves one client after another, with nothing of the first left for the second.
#[test]
fn an_upstream_connection_serves_several_clients() {
    let origin = Origin::new().serve(|request| ok(request.brief()));
    let gateway = Config::to(&origin).start();
    for number in 0..10 {
        let mut client = gateway.client();
        client.send(post(&format!("/{number}"), "body"));
        assert_eq!(client.read_response().text(), format!("POST /{number} body"));
    }
    assert_eq!(origin.connections(), 1);
}

/// Pipelined requests are answered in their order, though the first answer takes longest.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send([get("/1"), get("/2"), get("/3")].concat());
    let mut peer = origin.accept();
    for number in 1..=3 {
        assert_eq!(peer.read_request().target, format!("/{number}"));
        peer.send(ok(number.to_string()));
        assert_eq!(client.read_response().text(), number.to_string());
    }
}

/// `Connection: close` from the client ends its connection after the answer, and the upstream one stays.
#[test]
fn the_client_may_end_the_connection() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).start();
    for _ in 0..3 {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        assert!(client.read_response().says_close());
        client.expect_closed();
    }
    assert_eq!(origin.connections(), 1);
}

/// `Connection: close` from the origin ends the upstream connection alone.
#[test]
fn the_origin_may_end_its_connection() {
    let reply = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    let origin = Origin::new().serve(|_| reply.to_vec());
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    for _ in 0..3 {
        client.send(get("/"));
        let response = client.read_response();
        assert!(!response.says_close(), "{:?}", response.head);
    }
    assert_eq!(origin.connections(), 3);
    eventually("the gateway closes what the origin wants closed", || origin.open() == 0);
}

/// An upstream answer of HTTP/1.0 without keep-alive is not reused.
#[test]
fn an_origin_of_1_0_is_not_reused() {
    let origin = Origin::new().serve(|_| b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx".to_vec());
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    for _ in 0..2 {
        client.send(get("/"));
        assert_eq!(client.read_response().text(), "x");
    }
    assert_eq!(origin.connections(), 2);
}

/// An upstream connection with bytes behind its answer is never reused: they would be somebody else's answer.
#[test]
fn bytes_behind_an_answer_are_nobodys_answer() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(get("/1"));
    let (mut peer, _) = origin.accept_request();
    peer.send([ok("one"), ok("poison")].concat());
    assert_eq!(client.read_response().text(), "one");
    client.send(get("/2"));
    let (mut second, seen) = origin.accept_request();
    assert_eq!(seen.target, "/2");
    second.send(ok("two"));
    assert_eq!(client.read_response().text(), "two");
    peer.wait_gone();
}

/// Bytes that come on an idle upstream connection make it unfit too.
#[test]
fn bytes_on_an_idle_connection_make_it_unfit() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(get("/1"));
    let (mut peer, _) = origin.accept_request();
    peer.send(ok("one"));
    assert_eq!(client.read_response().text(), "one");
    peer.send(ok("poison"));
    peer.wait_delivered();
    client.send(get("/2"));
    let (mut second, _) = origin.accept_request();
    second.send(ok("two"));
    assert_eq!(client.read_response().text(), "two");
}

/// An idle client connection is closed after its time, without an answer.
#[test]
fn an_idle_client_is_closed() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).listener("idle_timeout = \"200ms\"").start();
    let mut client = gateway.client();
    client.send(get("/"));
    assert_eq!(client.read_response().status, 200);
    let before = now_ms();
    client.expect_closed();
    let took = now_ms() - before;
    assert!((150..1_500).contains(&took), "{took} ms");
}

/// An idle upstream connection is closed after its time.
#[test]
fn an_idle_upstream_connection_is_closed() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).upstream("idle_timeout = \"200ms\"").start();
    let mut client = gateway.client();
    client.send(get("/"));
    assert_eq!(client.read_response().status, 200);
    eventually("the idle upstream connection is closed", || origin.open() == 0);
    client.send(get("/"));
    assert_eq!(client.read_response().status, 200);
    assert_eq!(origin.connections(), 2);
}

/// No more connections stay idle than the pool may hold.
#[test]
fn the_pool_holds_no_more_than_it_may() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("pool = 2").start();
    let mut clients: Vec<Connection> = (0..5).map(|_| gateway.client()).collect();
    clients.iter_mut().for_each(|client| client.send(get("/")));
    let mut peers: Vec<Connection> = (0..5).map(|_| origin.accept_request().0).collect();
    peers.iter_mut().for_each(|peer| peer.send(ok("x")));
    clients.iter_mut().for_each(|client| assert_eq!(client.read_response().status, 200));
    let gone = |peer: &mut Connection| peer.tcp().peek(&mut [0]).is_ok_and(|n| n == 0);
    for peer in &peers {
        peer.tcp().set_nonblocking(true).expect("non-blocking");
    }
    eventually("three connections beyond the pool are closed", || {
        peers.iter_mut().filter_map(|peer| gone(peer).then_some(())).count() == 3
    });
}

/// A client that connects and leaves without a word costs nothing and is not answered.
#[test]
fn a_silent_visitor_is_not_answered() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    for _ in 0..3 {
        let mut client = gateway.client();
        client.shutdown_write();
        client.expect_closed();
    }
    origin.expect_no_connection();
}

/// A client that closes its sending side after a whole request gets the whole answer, or an end, never a part.
#[test]
fn a_half_closed_client_gets_its_answer_or_an_end() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    client.shutdown_write();
    let (bytes, end) = client.rest();
    assert_ne!(end, End::Silent);
    // Whether a half-closed client counts as gone is a choice; a broken answer is not.
    assert!(bytes.is_empty() || bytes.ends_with(b"\r\n\r\nx"), "{:?}", String::from_utf8_lossy(&bytes));
}
