//! Clients of different kinds in one flight: conditions, HTTP/1.0, uploads that wait for a word, time-outs.

use rustix::process::Signal;

use super::*;

const EAGER: &str = "post = true\nkey = [\"host\", \"path\", \"body-json\"]\nttl = { 200 = \"1m\" }";

/// Who asks with a condition and who does not are in one flight; each gets the answer that is his.
#[test]
fn conditions_in_one_flight() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let knowing = get("/").replace("\r\n\r\n", "\r\nif-none-match: \"e\"\r\n\r\n");
    for first_knows in [true, false] {
        let path = if first_knows { "/knowing" } else { "/plain" };
        let of = |knows: bool| if knows { knowing.replace(" / ", &format!(" {path} ")) } else { get(path) };
        let (mut peer, mut all) = flight(&gateway, &origin, 1, &of(first_knows));
        all.extend(clients(&gateway, 1, &of(!first_knows)));
        all_are_in(&gateway, 2);
        peer.send(format!("{STORED}ETag: \"e\"\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"));
        let (one, two) = (all[0].read_response(), all[1].read_response());
        let (known, plain) = if first_knows { (one, two) } else { (two, one) };
        assert_eq!((known.status, known.text().as_str()), (304, ""));
        assert_eq!((plain.status, plain.text().as_str()), (200, "body"));
    }
    origin.expect_no_connection();
}

/// An answer of unknown length reaches clients of HTTP/1.1 in chunks and those of HTTP/1.0 until the close.
#[test]
fn versions_in_one_flight() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let old = "GET / HTTP/1.0\r\nhost: t\r\n\r\n";
    for first in [old.to_owned(), get("/")] {
        let path = if first == old { "/old" } else { "/new" };
        let (mut peer, mut all) = flight(&gateway, &origin, 1, &first.replace(" / ", &format!(" {path} ")));
        all.extend(clients(&gateway, 1, &old.replace(" / ", &format!(" {path} "))));
        all.extend(clients(&gateway, 1, &get(path)));
        all_are_in(&gateway, 3);
        peer.send(format!("{STORED}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"));
        peer.send([chunk("one "), chunk("two"), b"0\r\n\r\n".to_vec()].concat());
        for client in &mut all {
            let response = client.read_response();
            assert_eq!((response.text().as_str(), response.body.cut), ("one two", None), "{:?}", response.head);
        }
    }
    origin.expect_no_connection();
}

/// A body that is part of the key is asked for, where the client waits for a word, and may come in chunks.
#[test]
fn uploads_that_are_part_of_the_key() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache(EAGER).start();
    let mut first = gateway.client();
    first.send("POST /v1 HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 7\r\n\r\n");
    assert_eq!(first.read_response_head().status, 100);
    first.send("{\"a\":1}");
    let (mut peer, seen) = origin.accept_request();
    assert_eq!(seen.body.bytes, b"{\"a\":1}");
    let mut second = gateway.client();
    second.send("POST /v1 HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
    for piece in ["{\"a", "\":", "1}"] {
        second.send(chunk(piece));
    }
    second.send("0\r\n\r\n");
    all_are_in(&gateway, 2);
    peer.send(ok("one for both"));
    assert_eq!(
        (first.read_response().text(), second.read_response().text()),
        ("one for both".into(), "one for both".into())
    );
    // The connections are in order for the next request.
    for client in [&mut first, &mut second] {
        client.send(post("/v1", "{ \"a\": 1 }"));
        let response = client.read_response();
        assert!(cache_status(&response).contains("hit") && response.text() == "one for both");
    }
    origin.expect_no_connection();
}

/// A body that is cut, or slower than the listener allows, never reaches the origin and keeps nobody else waiting.
#[test]
fn uploads_that_do_not_end() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache(EAGER).listener("body_timeout = \"300ms\"").start();
    let half = "POST /v1 HTTP/1.1\r\nhost: t\r\ncontent-length: 7\r\n\r\n{\"a";
    let mut leaving = gateway.client();
    leaving.send(half);
    drop(leaving);
    let mut slow = gateway.client();
    slow.send(half);
    let mut whole = gateway.client();
    whole.send(post("/v1", "{\"a\":1}"));
    let (mut peer, _) = origin.accept_request();
    peer.send(ok("x"));
    assert_eq!(whole.read_response().text(), "x");
    slow.read_response().assert_failure(408);
    origin.expect_no_connection();
}

/// A body beyond the bound of the route is refused; one beyond that of the key goes past the cache, whole.
#[test]
fn uploads_that_are_large() {
    let origin = Origin::new().serve(|request: &Request| ok(request.body.bytes.len().to_string()));
    let config = Config::to(&origin).cache(EAGER).cache("body_max = \"64KiB\"").route("body_max = \"256KiB\"");
    let gateway = config.start();
    let body = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let mut client = gateway.client();
    for (bytes, hit) in [(60_000, true), (100_000, false), (250_000, false)] {
        for turn in 0..2 {
            client.send(post("/v1", &body(bytes)));
            let response = client.read_response();
            assert_eq!(response.text(), bytes.to_string());
            assert_eq!(cache_status(&response).contains("ringway; hit"), hit && turn == 1, "{bytes}, turn {turn}");
        }
    }
    let mut refused = gateway.client();
    refused.send(format!("POST /v1 HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n", 300_000));
    refused.read_response().assert_failure(413);
}

/// An origin that is silent gives everybody who waits the time-out, at the same time and not one after the other.
#[test]
fn a_silent_origin_is_waited_for_once() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("read_timeout = \"400ms\"").cache("").start();
    let before = now_ms();
    let (_peer, mut all) = flight(&gateway, &origin, 6, &get("/"));
    for client in &mut all {
        client.read_response().assert_failure(504);
    }
    let took = now_ms() - before;
    assert!(took < 1_500, "{took} ms");
}

/// Different keys do not wait for each other: the origin has all of them before it answers one.
#[test]
fn flights_go_side_by_side() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let mut all: Vec<Connection> =
        (0..30).flat_map(|number| clients(&gateway, 1, &get(&format!("/{number}")))).collect();
    let mut peers: Vec<(Connection, Request)> = (0..30).map(|_| origin.accept_request()).collect();
    for (peer, request) in peers.iter_mut().rev() {
        peer.send(stored(&request.target));
    }
    for (number, client) in all.iter_mut().enumerate() {
        assert_eq!(client.read_response().text(), format!("/{number}"));
    }
}

/// A refresh in the background that hangs does not keep the process from its end.
#[test]
fn a_refresh_that_hangs_keeps_nobody() {
    let origin = Origin::new();
    let mut gateway = Config::to(&origin).server("drain = \"20s\"").cache("").start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    let old = format!("{STORED}Age: 70\r\nContent-Length: 3\r\n\r\nold").replace("60", "60, stale-while-revalidate=60");
    peer.send(old);
    assert_eq!(client.read_response().text(), "old");
    client.send(get("/"));
    assert_eq!(client.read_response().text(), "old");
    peer.read_request();
    drop(client);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_exit(), Some(0));
}

/// A client may leave and come back: its second request joins the flight of its first.
#[test]
fn a_client_comes_back() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut peer, mut all) = flight(&gateway, &origin, 2, &get("/"));
    drop(all.remove(0));
    all.extend(clients(&gateway, 1, &get("/")));
    eventually("it is back", || gateway.metric("ringway_exchanges_active", &[]) >= 2.0);
    peer.send(stored("x"));
    for client in &mut all {
        assert_eq!(client.read_response().text(), "x");
    }
    origin.expect_no_connection();
}

/// Interim answers of the origin do not end a flight.
#[test]
fn interim_answers_in_a_flight() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut peer, mut all) = flight(&gateway, &origin, 3, &get("/"));
    peer.send("HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n");
    peer.send(stored("final"));
    for client in &mut all {
        let mut response = client.read_response();
        if response.status == 103 {
            response = client.read_response();
        }
        assert_eq!((response.status, response.text().as_str()), (200, "final"));
    }
    let response = gateway.get("/");
    assert!(cache_status(&response).contains("hit") && response.field("link").is_none());
}
