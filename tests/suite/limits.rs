//! Limits of time, size and number: slow clients, large heads, many connections. Below it: how often (`rates`) and how
//! many at once (`in_flight`).

mod in_flight;
mod rates;

use std::time::Duration;

use super::harness::*;

/// A head that does not end in time is 408, also when single bytes keep coming.
#[test]
fn a_slow_head_is_408() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("head_timeout = \"300ms\"").start();
    let mut silent = gateway.client();
    silent.send("GET / HTTP/1.1\r\nHost:");
    let before = now_ms();
    assert!(silent.read_response().assert_failure(408).says_close());
    let took = now_ms() - before;
    assert!((200..2_000).contains(&took), "{took} ms");
    silent.expect_closed();
    let mut dripping = gateway.client();
    dripping.send("GET / HTTP/1.1\r\nX: ");
    dripping.tcp().set_read_timeout(Some(Duration::from_millis(20))).expect("read timeout");
    let before = now_ms();
    while dripping.fill() == Err(End::Silent) {
        assert!(now_ms() - before < 3_000, "a drip does not buy time");
        if dripping.try_send(b"x").is_err() {
            break;
        }
    }
    assert!(now_ms() - before < 3_000);
    origin.expect_no_connection();
}

/// A second head on a kept connection has the same time.
#[test]
fn a_slow_second_head_is_408() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).listener("head_timeout = \"200ms\"").start();
    let mut client = gateway.client();
    client.send(get("/"));
    assert_eq!(client.read_response().status, 200);
    client.send("GET / HT");
    client.read_response().assert_failure(408);
}

/// A body that stops is 408, and the origin sees no whole request.
#[test]
fn a_body_that_stops_is_408() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("body_timeout = \"200ms\"").start();
    for start in ["content-length: 10\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nhost: t\r\n{start}"));
        let mut peer = origin.accept();
        let request = peer.read_request_head();
        assert!(client.read_response().assert_failure(408).says_close());
        assert!(peer.body(request.head.framing().expect("a framing"), false).cut.is_some());
    }
}

/// A body that comes slowly but steadily is not cut: the time is between two reads.
#[test]
fn a_steady_body_is_not_cut() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("body_timeout = \"400ms\"").start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 10\r\n\r\n");
    let mut peer = origin.accept();
    peer.read_request_head();
    // Nothing comes on this connection: waiting for it in vain is the pause between two bytes.
    client.tcp().set_read_timeout(Some(Duration::from_millis(80))).expect("read timeout");
    for _ in 0..10 {
        client.send("x");
        assert_eq!(client.fill(), Err(End::Silent));
        peer.expect_bytes("x");
    }
    client.tcp().set_read_timeout(Some(WAIT)).expect("read timeout");
    peer.send(ok("all"));
    assert_eq!(client.read_response().text(), "all");
}

/// The sizes of head and request line and the number of fields are those of the file.
#[test]
fn sizes_of_heads_are_as_configured() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).limits("head = \"2KiB\"\nrequest_line = \"512B\"\nfields = 10").start();
    let ask = |line: usize, fields: usize, value: usize| {
        let mut client = gateway.client();
        let fields: String = (0..fields).map(|i| format!("X-{i}: {}\r\n", "v".repeat(value))).collect();
        client.send(format!("GET /{} HTTP/1.1\r\nHost: t\r\n{fields}\r\n", "a".repeat(line)));
        client.read_response().status
    };
    assert_eq!(ask(400, 9, 1), 200);
    assert_eq!(ask(600, 1, 1), 414);
    assert_eq!(ask(1, 10, 1), 431);
    assert_eq!(ask(1, 9, 150), 200);
    assert_eq!(ask(1, 9, 300), 431);
}

/// Connections beyond the limit are refused, and there is room again when others leave.
#[test]
fn connections_are_limited() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).server("connections_max = 3").start();
    let mut clients: Vec<Connection> = (0..3).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send(get("/"));
        assert_eq!(client.read_response().status, 200);
    }
    let mut beyond = gateway.client();
    // The gateway may close before the request is written.
    drop(beyond.try_send(get("/").as_bytes()));
    let (bytes, end) = beyond.rest();
    assert_ne!(end, End::Silent);
    assert!(bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 503"), "{:?}", String::from_utf8_lossy(&bytes));
    drop(clients);
    eventually("there is room again", || {
        let mut client = gateway.client();
        client.try_send(get("/").as_bytes()).is_ok() && client.try_head().is_ok()
    });
}

/// A client that pipelines without reading is stopped, not buffered.
#[test]
fn pipelining_without_reading_is_bounded() {
    let origin = Origin::new().serve(|_| ok(vec![b'x'; 16 * 1024]));
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.tcp().set_write_timeout(Some(Duration::from_millis(300))).expect("write timeout");
    let many = get("/").repeat(1_000);
    let mut sent = 0;
    while sent < 40_000_000 && client.try_send(many.as_bytes()).is_ok() {
        sent += many.len();
    }
    assert!(sent < 40_000_000, "the client was never stopped");
    assert_eq!(gateway.get("/other").status, 200, "others are served meanwhile");
}

/// Many connections at once are served, and their descriptors come back.
#[test]
fn many_connections_are_served_and_forgotten() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).upstream("pool = 1\nidle_timeout = \"100ms\"").start();
    assert_eq!(gateway.get("/").status, 200);
    eventually("idle upstream connections are closed", || origin.open() == 0);
    let before = gateway.descriptors();
    let mut clients: Vec<Connection> = (0..100).map(|_| gateway.client()).collect();
    clients.iter_mut().for_each(|client| client.send(get("/")));
    clients.iter_mut().for_each(|client| assert_eq!(client.read_response().status, 200));
    drop(clients);
    eventually("descriptors return to the start", || gateway.descriptors() <= before);
}

/// A flood of malformed requests leaves nothing behind.
#[test]
fn refused_requests_leave_nothing_behind() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).start();
    assert_eq!(gateway.get("/").status, 200);
    eventually("the connection is closed", || gateway.metric("ringway_connections_open", &[]) == 0.0);
    let before = gateway.descriptors();
    for _ in 0..100 {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nhost : t\r\n\r\n");
        assert_eq!(client.read_response().status, 400);
    }
    eventually("descriptors return to the start", || gateway.descriptors() <= before);
}
