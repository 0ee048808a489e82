//! WebSocket over HTTP/2 (RFC 8441): extended CONNECT becomes an upgrade of HTTP/1.1, and DATA a tunnel.

use base64::Engine;

use super::*;

/// The 101 that agrees to a request (RFC 6455 §4.2.2).
#[track_caller]
fn consent(seen: &Request) -> String {
    let key = seen.field("sec-websocket-key").expect("a key");
    let digest = sha1(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes());
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    format!("{head}Sec-WebSocket-Accept: {accept}\r\n\r\n")
}

/// SHA-1 (FIPS 180-4 §6.1), for the handshake alone.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    for block in padded.chunks(64) {
        let mut words: Vec<u32> = block.chunks(4).map(|w| u32::from_be_bytes([w[0], w[1], w[2], w[3]])).collect();
        for at in 16..80 {
            words.push((words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (mixed, constant) = match at {
                0..20 => ((b & c) | (!b & d), 0x5a82_7999_u32),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6),
            };
            let next = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(*word);
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
        }
        for (sum, more) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(more);
        }
    }
    let mut digest = [0; 20];
    digest.chunks_mut(4).zip(state).for_each(|(out, word)| out.copy_from_slice(&word.to_be_bytes()));
    digest
}

/// The example of RFC 6455 §1.3.
#[test]
fn the_handshake_is_computed_right() {
    let digest = sha1(b"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    assert_eq!(base64::engine::general_purpose::STANDARD.encode(digest), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

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
    peer.send(consent(&seen));
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
    let (mut peer, seen) = origin.accept_request();
    client.ping();
    assert_eq!(peer.pending(), b"");
    peer.send(consent(&seen) + "first frame");
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
        let (mut peer, seen) = origin.accept_request();
        peer.send(consent(&seen));
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
    let (mut second, seen) = origin.accept_request();
    second.send(consent(&seen));
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
