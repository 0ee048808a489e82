//! The harness tested on itself: client and origin talk to each other directly.

use std::sync::Arc;

use super::harness::*;

/// A request and its answer arrive as they were sent when nothing stands between client and origin.
#[test]
fn client_and_origin_understand_each_other() {
    let origin = Origin::new();
    let mut client = connect(origin.address());
    client.send(post("/a", "hello"));
    let (mut peer, request) = origin.accept_request();
    assert_eq!(request.brief(), "POST /a hello");
    peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    peer.send([chunk("ab"), chunk("c"), b"0\r\nx-end: 1\r\n\r\n".to_vec()].concat());
    let response = client.read_response();
    assert_eq!((response.status, response.text().as_str()), (200, "abc"));
    assert_eq!(response.body.chunks, [b"ab".to_vec(), b"c".to_vec()]);
    assert_eq!(response.body.trailers, [("x-end".to_owned(), "1".to_owned())]);
    drop(client);
    peer.expect_closed();
    assert_eq!(origin.accepted(), 1);
    origin.expect_no_connection();
}

/// A body that ends too early is noted, with the way it ended.
#[test]
fn a_cut_body_is_seen_as_cut() {
    let origin = Origin::new();
    for reset in [false, true] {
        let mut client = connect(origin.address());
        let mut peer = origin.accept();
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
        let response = client.read_response_head();
        client.expect_bytes("ab");
        if reset {
            peer.reset()
        } else {
            drop(peer)
        }
        let response = client.finish_response(response, false);
        assert_eq!(response.body.cut, Some(if reset { End::Reset } else { End::Closed }));
    }
}

/// The serving origin answers and records whole requests only.
#[test]
fn the_serving_origin_records_whole_requests() {
    let origin = Origin::new().serve(|request| ok(request.brief()));
    let mut client = connect(origin.address());
    client.send(get("/one"));
    assert_eq!(client.read_response().text(), "GET /one");
    client.send("POST /cut HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nhe");
    drop(client);
    eventually("the origin closes", || origin.open() == 0);
    let seen: Vec<String> = origin.take_requests().iter().map(|r| r.brief()).collect();
    assert_eq!(seen, ["GET /one"]);
    assert_eq!(origin.connections(), 1);
}

/// TLS ends of the harness shake hands, and a client that does not trust the authority refuses.
#[test]
fn tls_ends_meet() {
    let authority = Authority::new();
    let origin = Origin::tls(authority.pair(&["origin.test"]).server());
    let address = origin.address();
    let peer = std::thread::spawn(move || {
        let (mut peer, request) = origin.accept_request();
        peer.send(ok(request.brief()));
        origin
    });
    let mut client = tls::connect(address, "origin.test", &Arc::new(authority.client())).expect("a handshake");
    client.send(get("/tls"));
    assert_eq!(client.read_response().text(), "GET /tls");
    let origin = peer.join().expect("the origin ends well");
    let peer = std::thread::spawn(move || origin.accept().fill());
    let stranger = Arc::new(Authority::new().client());
    assert!(tls::connect(address, "origin.test", &stranger).is_err());
    assert!(peer.join().expect("the origin ends well").is_err());
}

/// A reserved port refuses, a deaf one lets connecting time out, and an origin can come to life on a reserved one.
#[test]
fn dead_ports_are_dead() {
    let port = ReservedPort::new();
    let refused = std::net::TcpStream::connect(port.address).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let origin = port.listen();
    let mut client = connect(port.address);
    origin.accept().send("x");
    client.expect_bytes("x");
    let (deaf, _fillers) = ReservedPort::deaf();
    let silent = std::net::TcpStream::connect_timeout(&deaf.address, std::time::Duration::from_millis(100));
    assert_eq!(silent.expect_err("the queue is full").kind(), std::io::ErrorKind::TimedOut);
}

/// The file that the builder writes is TOML with the parts in their places.
#[test]
fn the_config_builder_writes_toml() {
    let config =
        Config::to(&"http://127.0.0.1:9").server("drain = \"1s\"").limits("fields = 9").route("body_max = \"1KiB\"");
    let config = config.more("[[route]]\nname = \"b\"\npath = \"/b\"\nupstream = \"origin\"").toml();
    let table: toml::Table = config.parse().expect("TOML");
    assert_eq!(table["server"]["limits"]["fields"].as_integer(), Some(9));
    assert_eq!(table["server"]["drain"].as_str(), Some("1s"));
    assert_eq!(table["route"].as_array().map(Vec::len), Some(2));
}

/// The language of exchanges sees what is right and what is wrong, here on a route without a cache.
#[test]
fn exchanges_are_judged() {
    let right = Case::made(
        "right",
        &[
            [
                "GET|X-A: 1",
                "200|ETag: \"e\"|Date: {-5}|=a",
                "200 -|ETag: \"e\"|Date: {-5}|!Age|=a|>X-A: 1|>!X-B|>target: @",
            ],
            ["GET @/b?c", "404|+abc", "404 -|Via~ringway|*b|>target: @/b?c|>method: GET"],
            ["HEAD", "200|Content-Language: en|=abc", "200 -|Content-Length: 3|Content-Length>=3|Content-Length<=3|="],
            ["POST|=body", "204", "204 -|="],
            ["GET", "200|<abc", "200 -|=abc"],
            ["GET", "200|!abc", "200 cut|=abc"],
            ["GET", "200|-abc", "200 cut|=abc"],
            ["GET", "x", "502 -"],
            ["GET @ HTTP/1.0|!Host", "200|^X-T: 1|+abc", "200 -|=abc"],
            ["GET", "?200|=a", "200 -|=a"],
            ["...GET", "200|=a", "200 -|=a"],
        ],
    );
    let stage = Stage::with(|config| config);
    stage.play(&[right]);
    let wrong = [
        ["GET", "", "200 -"],
        ["GET", "200|=a", "404 -"],
        ["GET", "200|=a", "200 hit"],
        ["GET", "200|=a", "200 miss"],
        ["GET", "200|=a", "200 pass"],
        ["GET", "200|=a", "200 valid"],
        ["GET", "200|=a", "200 cut"],
        ["GET", "200|=a", "200 -|=b"],
        ["GET", "200|=a", "200 -|*b"],
        ["GET", "200|X-A: 1|=a", "200 -|!X-A"],
        ["GET", "200|=a", "200 -|X-A"],
        ["GET", "200|X-A: 1|=a", "200 -|X-A: 2"],
        ["GET", "200|X-A: 1|X-A: 2|=a", "200 -|X-A: 1"],
        ["GET", "200|Age: 5|=a", "200 -|Age>=6"],
        ["GET", "200|Age: 5|=a", "200 -|Age<=4"],
        ["GET", "200|=a", "200 -|Age<=4"],
        ["GET", "200|=a", "200 -|Age>=0"],
        ["GET|X-A: 1", "200|=a", "200 -|>!X-A"],
        ["GET", "200|=a", "200 -|>X-A"],
        ["GET", "200|!abc", "200 -"],
        ["GET", "x", "200 -"],
    ];
    for step in wrong {
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            stage.play(&[Case::made("wrong", &[step])]);
        }));
        assert!(judged.is_err(), "{step:?} should have been noticed");
    }
}
