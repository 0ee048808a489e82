//! Streaming: bytes go out as they come, back-pressure holds both ways, and who leaves is noticed.

use std::time::Duration;

use super::harness::*;

const SSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A stream that has begun: gateway, origin, client (head read) and peer.
fn stream(config: impl Fn(Config) -> Config) -> (Gateway, Origin, Connection, Connection) {
    let origin = Origin::new();
    let gateway = config(Config::to(&origin)).start();
    let mut client = gateway.client();
    client.send(get("/stream"));
    let (mut peer, _) = origin.accept_request();
    peer.send(SSE);
    let response = client.read_response_head();
    assert_eq!((response.status, response.field("content-type")), (200, Some("text/event-stream")));
    (gateway, origin, client, peer)
}

/// The head of an answer goes out before any of its body has come.
#[test]
fn a_head_goes_out_at_once() {
    stream(|config| config);
}

/// Each event reaches the client before the next is sent.
#[test]
fn each_event_goes_out_at_once() {
    let (_gateway, _origin, mut client, mut peer) = stream(|config| config);
    let mut body = Body::default();
    for number in 0..50 {
        let event = format!("data: {number}\n\n");
        peer.send(chunk(&event));
        let got = client.next_chunk(&mut body).expect("the stream is open").expect("an event");
        assert_eq!(String::from_utf8_lossy(&got), event);
    }
    peer.send("0\r\n\r\n");
    assert_eq!(client.next_chunk(&mut body), Ok(None));
}

/// A single byte with a length, and one without, go out at once too.
#[test]
fn single_bytes_go_out_at_once() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    for head in ["Content-Length: 5\r\n\r\n", "Connection: close\r\n\r\n"] {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.0\r\n\r\n");
        let (mut peer, _) = origin.accept_request();
        peer.send(format!("HTTP/1.1 200 OK\r\n{head}"));
        client.read_response_head();
        for byte in b"12345" {
            peer.send([*byte]);
            client.expect_bytes([*byte]);
        }
    }
}

/// A request body is streamed: the origin gets each piece before the next is sent.
#[test]
fn a_request_body_is_streamed() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send(chunk("piece 0"));
    let mut peer = origin.accept();
    assert_eq!(peer.read_request_head().head.framing(), Ok(Framing::Chunked));
    let mut body = Body::default();
    assert_eq!(peer.next_chunk(&mut body), Ok(Some(b"piece 0".to_vec())));
    for number in 1..20 {
        client.send(chunk(format!("piece {number}")));
        assert_eq!(peer.next_chunk(&mut body), Ok(Some(format!("piece {number}").into_bytes())));
    }
    client.send("0\r\n\r\n");
    assert_eq!(peer.next_chunk(&mut body), Ok(None));
    peer.send(ok("x"));
    assert_eq!(client.read_response().status, 200);
}

/// Request and answer may stream at the same time.
#[test]
fn both_directions_stream_at_once() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send(chunk("first"));
    let mut peer = origin.accept();
    peer.read_request_head();
    let (mut up, mut down) = (Body::default(), Body::default());
    assert_eq!(peer.next_chunk(&mut up), Ok(Some(b"first".to_vec())));
    peer.send(SSE);
    client.read_response_head();
    for round in 0..10 {
        peer.send(chunk(format!("down {round}")));
        assert_eq!(client.next_chunk(&mut down), Ok(Some(format!("down {round}").into_bytes())));
        client.send(chunk(format!("up {round}")));
        assert_eq!(peer.next_chunk(&mut up), Ok(Some(format!("up {round}").into_bytes())));
    }
}

/// When the client leaves in the middle of a stream, the upstream connection is closed within a second.
#[test]
fn a_client_that_leaves_ends_the_upstream() {
    for reset in [false, true] {
        let (_gateway, _origin, client, mut peer) = stream(|config| config);
        if reset {
            client.reset()
        } else {
            drop(client)
        }
        let took = peer.wait_gone();
        assert!(took < 1_000, "{took} ms, reset: {reset}");
    }
}

/// When the client leaves before the answer begins, the upstream connection is closed within a second.
#[test]
fn a_client_that_leaves_early_ends_the_upstream() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    for request in [get("/"), post("/", "body")] {
        let mut client = gateway.client();
        client.send(request);
        let (mut peer, _) = origin.accept_request();
        drop(client);
        let took = peer.wait_gone();
        assert!(took < 1_000, "{took} ms");
    }
    assert_eq!(gateway.get_through(&origin).status, 200);
}

/// A client that does not read stops the origin: the gateway holds a bounded part, not the stream.
#[test]
fn a_client_that_does_not_read_stops_the_origin() {
    let (gateway, _origin, mut client, mut peer) = stream(|config| config);
    let before = resident_kib(&gateway);
    peer.tcp().set_write_timeout(Some(Duration::from_millis(300))).expect("write timeout");
    let piece = chunk(vec![b'x'; 64 * 1024]);
    let mut sent = 0;
    while sent < 64 * 1024 * 1024 && peer.try_send(&piece).is_ok() {
        sent += piece.len();
    }
    assert!(sent < 64 * 1024 * 1024, "the origin was never stopped");
    let grown = resident_kib(&gateway).saturating_sub(before);
    assert!(grown < 4 * 1024, "the gateway grew by {grown} KiB");
    // The stream goes on when the client reads.
    let mut body = Body::default();
    assert!(client.next_chunk(&mut body).expect("the stream is open").is_some());
}

/// An origin that does not read stops the client's upload in the same way.
#[test]
fn an_origin_that_does_not_read_stops_the_client() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 60000000\r\n\r\n");
    let mut peer = origin.accept();
    peer.read_request_head();
    let before = resident_kib(&gateway);
    client.tcp().set_write_timeout(Some(Duration::from_millis(300))).expect("write timeout");
    let piece = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < 50_000_000 && client.try_send(&piece).is_ok() {
        sent += piece.len();
    }
    assert!(sent < 50_000_000, "the client was never stopped");
    let grown = resident_kib(&gateway).saturating_sub(before);
    assert!(grown < 4 * 1024, "the gateway grew by {grown} KiB");
}

/// A client that stops reading for too long is given up, and the origin with it.
#[test]
fn a_client_that_never_reads_is_given_up() {
    let (_gateway, _origin, _client, mut peer) = stream(|config| config.listener("send_timeout = \"300ms\""));
    let piece = chunk(vec![b'x'; 64 * 1024]);
    let before = now_ms();
    while peer.try_send(&piece).is_ok() {
        assert!(now_ms() - before < 4_000, "the gateway should have closed");
    }
}

/// An origin that stops reading a body for too long is given up with 504 or 502.
#[test]
fn an_origin_that_never_reads_is_given_up() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("send_timeout = \"300ms\"").start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 60000000\r\n\r\n");
    let mut peer = origin.accept();
    peer.read_request_head();
    let mut sending = client.tcp().try_clone().expect("a second handle");
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        while sending.write_all(&[b'x'; 64 * 1024]).is_ok() {}
    });
    let status = client.try_head().map(|head| Response::of(head).status);
    assert!(matches!(status, Ok(502 | 504) | Err(End::Reset | End::Closed)), "{status:?}");
    drop(client);
    writer.join().expect("the writer ends");
}

/// Memory of the process in KiB.
fn resident_kib(gateway: &Gateway) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("the child is alive");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("KiB")
}
