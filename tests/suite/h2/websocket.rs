//! WebSocket over HTTP/2 (RFC 8441): extended CONNECT becomes an upgrade of HTTP/1.1, and DATA a tunnel.

use super::*;

const CONSENT: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3\r\n\r\n";

/// Asks for a WebSocket on a stream.
fn ask(client: &mut H2, stream: u32) {
    let fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/ws?room=1"),
        (":authority", "t"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        ("origin", "http://t"),
    ];
    client.headers(stream, &fields, false);
}

/// A tunnel on stream 1: gateway, origin, client and peer.
fn tunnel() -> (Gateway, Origin, H2, Connection) {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.updates = true;
    ask(&mut client, 1);
    let (mut peer, seen) = origin.accept_request();
    assert_eq!(seen.head.start, "GET /ws?room=1 HTTP/1.1");
    assert!(seen.head.has_token("connection", "upgrade"), "{:?}", seen.head);
    assert_eq!(seen.field("upgrade"), Some("websocket"));
    assert!(seen.field("sec-websocket-key").is_some_and(|key| key.len() == 24), "RFC 6455 §4.1: {:?}", seen.head);
    assert_eq!((seen.field("sec-websocket-version"), seen.field("sec-websocket-protocol")), (Some("13"), Some("chat")));
    peer.send(CONSENT);
    let head = client.head(1);
    assert_eq!(fields::one(&head, ":status"), Some("200"));
    for gone in ["sec-websocket-accept", "content-length"] {
        assert_eq!(fields::one(&head, gone), None, "{head:?}");
    }
    (gateway, origin, client, peer)
}

/// After consent bytes pass both ways as they come, whatever they are, and however many.
#[test]
fn bytes_pass_both_ways() {
    let (_gateway, _origin, mut client, mut peer) = tunnel();
    for round in 0..20_u8 {
        client.data(1, [0x81, round, b'\r', b'\n', 0], false);
        peer.expect_bytes([0x81, round, b'\r', b'\n', 0]);
        peer.send([round; 3]);
        assert_eq!(client.take_data(1, 3), [round; 3]);
    }
    let large = vec![7_u8; 300_000];
    let sent = large.clone();
    let sender = std::thread::spawn(move || {
        peer.send(&sent);
        peer
    });
    assert!(client.take_data(1, large.len()) == large);
    let mut peer = sender.join().expect("the origin ends well");
    let reader = std::thread::spawn(move || peer.take(300_000));
    client.body(1, &large, false);
    assert!(reader.join().expect("the origin ends well").expect("the tunnel is open") == large);
}

/// Bytes that follow the 101 at once are not lost; those sent before it wait for it.
#[test]
fn early_bytes_are_not_lost() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    ask(&mut client, 1);
    client.data(1, "GET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n", false);
    let (mut peer, _) = origin.accept_request();
    client.ping();
    assert_eq!(peer.pending(), b"");
    peer.send([CONSENT.as_bytes(), b"first frame"].concat());
    client.head(1);
    assert_eq!(client.take_data(1, 11), b"first frame");
    peer.expect_bytes("GET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n");
}

/// The end of one side ends the other, and the connection lives on.
#[test]
fn the_end_of_one_side_ends_the_other() {
    let (_gateway, origin, mut client, mut peer) = tunnel();
    peer.send("goodbye");
    drop(peer);
    assert_eq!(client.take_data(1, 7), b"goodbye");
    let over = client.wait("the end", |f| f.stream == 1 && (f.ends() || f.kind == RST_STREAM));
    assert!(over.kind != DATA || over.content().is_empty(), "{over:?}");
    for (stream, last) in [(3, Frame::reset(3, CANCEL)), (5, Frame::data(5, "", true))] {
        ask(&mut client, stream);
        let (mut peer, _) = origin.accept_request();
        peer.send(CONSENT);
        client.head(stream);
        client.send(last);
        assert!(peer.wait_gone() < 1_500);
    }
    client.get(7, "/after");
    let (mut fresh, seen) = origin.accept_request();
    assert_eq!(seen.target, "/after");
    fresh.send(ok("after"));
    assert_eq!(client.message(7).text(), "after");
}

/// An answer that is no 101 is passed on when it refuses, and is never taken for consent.
#[test]
fn a_refusal_is_an_answer() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    ask(&mut client, 1);
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    assert_eq!(client.message(1).whole(), (403, "no".to_owned()));
    ask(&mut client, 3);
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    let answer = client.message(3);
    let taken = answer.ending == Ending::Whole && (200..300).contains(&answer.status());
    assert!(!taken, "RFC 8441 §5: 2xx would say that the tunnel is there: {answer:?}");
    client.ping();
}

/// Two tunnels and requests share a connection.
#[test]
fn tunnels_and_requests_share_a_connection() {
    let (_gateway, origin, mut client, mut first) = tunnel();
    ask(&mut client, 3);
    let (mut second, _) = origin.accept_request();
    second.send(CONSENT);
    client.head(3);
    client.get(5, "/beside");
    let (mut beside, _) = origin.accept_request();
    client.data(1, "one", false);
    client.data(3, "two", false);
    first.expect_bytes("one");
    second.expect_bytes("two");
    beside.send(ok("beside"));
    assert_eq!(client.message(5).text(), "beside");
    second.send("2");
    first.send("1");
    assert_eq!((client.take_data(1, 1), client.take_data(3, 1)), (b"1".to_vec(), b"2".to_vec()));
}

/// Requests that are not the extended CONNECT of RFC 8441 are refused, and nothing reaches the origin.
#[test]
fn other_connects_are_refused() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let whole =
        [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"), (":authority", "t")];
    for gone in [2, 3, 4] {
        let mut client = H2::connect(&gateway);
        let fields: Vec<(&str, &str)> =
            whole.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, f)| *f).collect();
        client.headers(1, &fields, false);
        let answer = client.message(1);
        let refused = matches!(answer.ending, Ending::Reset(PROTOCOL_ERROR)) || (400..=501).contains(&answer.status());
        assert!(refused, "without {:?}: {answer:?}", whole[gone]);
        client.ping();
    }
    origin.expect_no_connection();
}
