//! What is sent again and what is not (RFC 9110 §9.2.2), and how endpoints take turns.

use super::harness::*;

/// A gateway with one idle upstream connection, whose other end is returned.
fn with_idle_connection(config: Config, origin: &Origin) -> (Gateway, Connection, Connection) {
    let gateway = config.start();
    let mut client = gateway.client();
    client.send(get("/first"));
    let (mut peer, _) = origin.accept_request();
    peer.send(ok("first"));
    assert_eq!(client.read_response().status, 200);
    (gateway, client, peer)
}

/// A GET on a kept connection that the origin closes upon it is sent again on a fresh one.
#[test]
fn a_get_on_a_stale_connection_is_sent_again() {
    let origin = Origin::new();
    let (_gateway, mut client, mut peer) = with_idle_connection(Config::to(&origin), &origin);
    client.send(get("/second"));
    assert_eq!(peer.read_request().target, "/second");
    drop(peer);
    let (mut fresh, seen) = origin.accept_request();
    assert_eq!(seen.target, "/second");
    fresh.send(ok("second"));
    assert_eq!(client.read_response().text(), "second");
}

/// The same with a reset instead of a close.
#[test]
fn a_get_on_a_reset_connection_is_sent_again() {
    let origin = Origin::new();
    let (_gateway, mut client, mut peer) = with_idle_connection(Config::to(&origin), &origin);
    client.send(get("/second"));
    peer.read_request();
    peer.reset();
    let (mut fresh, _) = origin.accept_request();
    fresh.send(ok("second"));
    assert_eq!(client.read_response().text(), "second");
}

/// An idle connection that the origin closed is noticed before use: even a POST goes on a fresh one.
#[test]
fn a_closed_idle_connection_is_not_used() {
    let origin = Origin::new();
    let (gateway, mut client, mut peer) = with_idle_connection(Config::to(&origin), &origin);
    peer.shutdown_write();
    peer.wait_delivered();
    client.send(post("/post", "body"));
    let (mut fresh, seen) = origin.accept_request();
    assert_eq!(seen.brief(), "POST /post body");
    fresh.send(ok("done"));
    assert_eq!(client.read_response().text(), "done");
    drop(gateway);
}

/// A POST whose bytes were sent is never sent twice: 502, and no further connection.
#[test]
fn a_post_is_never_sent_twice() {
    let origin = Origin::new();
    let (_gateway, mut client, mut peer) = with_idle_connection(Config::to(&origin), &origin);
    client.send(post("/post", "body"));
    assert_eq!(peer.read_request().brief(), "POST /post body");
    drop(peer);
    client.read_response().assert_failure(502);
    origin.expect_no_connection();
}

/// A POST without a body is no more repeatable than one with.
#[test]
fn an_empty_post_is_never_sent_twice() {
    let origin = Origin::new();
    let (_gateway, mut client, mut peer) = with_idle_connection(Config::to(&origin), &origin);
    client.send(post("/post", ""));
    peer.read_request();
    drop(peer);
    client.read_response().assert_failure(502);
    origin.expect_no_connection();
}

/// A PATCH and an unknown method are not repeatable either.
#[test]
fn other_unsafe_methods_are_never_sent_twice() {
    for method in ["PATCH", "BREW"] {
        let origin = Origin::new();
        let (_gateway, mut client, mut peer) = with_idle_connection(Config::to(&origin), &origin);
        client.send(format!("{method} /x HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n"));
        peer.read_request();
        drop(peer);
        client.read_response().assert_failure(502);
        origin.expect_no_connection();
    }
}

/// A GET is sent again once at most per fresh connection: an origin that always closes gives 502, not a loop.
#[test]
fn retries_end() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let closer = std::thread::spawn(move || {
        let mut taken = 0;
        while taken < 10 && origin::readable_within(&origin, 500) {
            drop(origin.accept_request());
            taken += 1;
        }
        taken
    });
    client.read_response().assert_failure(502);
    let taken = closer.join().expect("the origin ends well");
    assert!((1..=3).contains(&taken), "{taken} attempts");
}

/// Nothing is sent again once a byte of the answer has come.
#[test]
fn nothing_is_sent_again_after_the_first_byte() {
    let origin = Origin::new();
    let (_gateway, mut client, mut peer) = with_idle_connection(Config::to(&origin), &origin);
    client.send(get("/second"));
    peer.read_request();
    peer.send("HTTP/1.1 2");
    drop(peer);
    client.read_response().assert_failure(502);
    origin.expect_no_connection();
}

/// A request that timed out waiting for its answer is not sent again.
#[test]
fn a_timeout_is_not_sent_again() {
    let origin = Origin::new();
    let config = Config::to(&origin).upstream("read_timeout = \"150ms\"");
    let (_gateway, mut client, mut peer) = with_idle_connection(config, &origin);
    client.send(get("/second"));
    peer.read_request();
    client.read_response().assert_failure(504);
    origin.expect_no_connection();
}

/// Several endpoints take turns.
#[test]
fn endpoints_take_turns() {
    let (one, two) = (Origin::new().serve(|_| ok("1")), Origin::new().serve(|_| ok("2")));
    let gateway = Config::to_all(&[&one, &two]).start();
    let mut client = gateway.client();
    let answers: Vec<String> = (0..10)
        .map(|_| {
            client.send(get("/"));
            client.read_response().text()
        })
        .collect();
    assert!(answers.windows(2).all(|w| w[0] != w[1]), "{answers:?}");
}

/// An endpoint that refuses the connection is passed over, for a POST too: nothing of it was sent.
#[test]
fn a_refusing_endpoint_is_passed_over() {
    let port = ReservedPort::new();
    let dead = format!("http://{}", port.address);
    let alive = Origin::new().serve(|request| ok(request.brief()));
    let gateway = Config::to_all(&[&dead, &alive]).start();
    let mut client = gateway.client();
    for number in 0..6 {
        client.send(post(&format!("/{number}"), "body"));
        assert_eq!(client.read_response().text(), format!("POST /{number} body"));
    }
}

/// When all endpoints refuse, the answer is one 502.
#[test]
fn all_endpoints_refusing_is_502() {
    let (one, two) = (ReservedPort::new(), ReservedPort::new());
    let urls = [format!("http://{}", one.address), format!("http://{}", two.address)];
    let gateway = Config::to_all(&[&urls[0], &urls[1]]).start();
    let failure = gateway.get("/");
    assert!(failure.status == 502 || failure.status == 503, "{}", failure.status);
    failure.assert_failure(failure.status);
}
