//! Origins that fail: each way has its status, nothing is made up, nothing leaks, and the gateway lives.

use super::harness::*;

/// The answer of a gateway whose origin replies with these bytes and then closes. A POST is asked, which is sent once.
fn answer_to(bytes: &[u8]) -> (Response, Gateway) {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(post("/", ""));
    let (mut peer, _) = origin.accept_request();
    peer.send(bytes);
    drop(peer);
    (client.read_response(), gateway)
}

/// A refused connection is 502.
#[test]
fn a_refused_connection_is_502() {
    let port = ReservedPort::new();
    let gateway = Config::to(&format!("http://{}", port.address)).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let response = client.read_response();
    response.assert_failure(502);
    assert!(!response.says_close(), "the client's connection is not to blame");
    client.send(get("/again"));
    client.read_response().assert_failure(502);
}

/// An origin that never takes the connection is 504 after the connect time.
#[test]
fn a_connect_that_takes_too_long_is_504() {
    let (port, _fillers) = ReservedPort::deaf();
    let gateway = Config::to(&format!("http://{}", port.address)).upstream("connect_timeout = \"200ms\"").start();
    let before = now_ms();
    gateway.get("/").assert_failure(504);
    let took = now_ms() - before;
    assert!((150..2_000).contains(&took), "{took} ms");
}

/// An origin that takes the request and says nothing is 504 after the read time, and its connection is closed.
#[test]
fn a_silent_origin_is_504() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("read_timeout = \"200ms\"").start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    let before = now_ms();
    client.read_response().assert_failure(504);
    assert!(now_ms() - before < 2_000);
    peer.wait_gone();
    origin.expect_no_connection();
}

/// The route's own read time wins over the upstream's.
#[test]
fn a_route_may_wait_shorter() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("read_timeout = \"30s\"").route("read_timeout = \"150ms\"").start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (_peer, _) = origin.accept_request();
    client.read_response().assert_failure(504);
}

/// An origin that closes without a word on a fresh connection is 502.
#[test]
fn an_early_close_is_502() {
    let (response, _gateway) = answer_to(b"");
    response.assert_failure(502);
}

/// An origin that resets the connection is 502.
#[test]
fn a_reset_is_502() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(post("/", ""));
    let (peer, _) = origin.accept_request();
    peer.reset();
    client.read_response().assert_failure(502);
}

/// Half a head is 502.
#[test]
fn half_a_head_is_502() {
    let (response, _gateway) = answer_to(b"HTTP/1.1 200 OK\r\nContent-Le");
    response.assert_failure(502);
}

/// Whatever is no strict answer is 502, and none of it reaches the client.
#[test]
fn garbage_is_502() {
    let garbage: &[&[u8]] = &[
        b"garbage\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ];
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut wrong = Vec::new();
    for bytes in garbage {
        let mut client = gateway.client();
        client.send(get("/"));
        let (mut peer, _) = origin.accept_request();
        peer.send(bytes);
        drop(peer);
        let response = client.read_response();
        if response.status != 502 {
            wrong.push(format!("{} for {:?}", response.status, String::from_utf8_lossy(bytes)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A head without an end, or with too many fields, is 502; the gateway does not keep reading.
#[test]
fn an_endless_head_is_502() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    let writer = std::thread::spawn(move || {
        let mut sent = peer.try_send(b"HTTP/1.1 200 OK\r\n");
        while sent.is_ok() {
            sent = peer.try_send(&b"X-Endless: 0123456789012345678901234567890123456789\r\n".repeat(20));
        }
    });
    client.read_response().assert_failure(502);
    writer.join().expect("the gateway closed the connection");
}

/// Interim answers without an end are 502.
#[test]
fn endless_interim_answers_are_502() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    let writer = std::thread::spawn(move || while peer.try_send(b"HTTP/1.1 103 Early Hints\r\n\r\n").is_ok() {});
    let last = std::iter::repeat_with(|| client.read_response()).find(|r| r.status != 103);
    last.expect("a final answer").assert_failure(502);
    writer.join().expect("the gateway closed the connection");
}

/// An answer that ends too early is cut for the client too: no last chunk, no filled-up length, and the end.
#[test]
fn a_cut_answer_is_cut_for_the_client() {
    let cases: &[(&[u8], &str)] = &[
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n\r\n", "hello"),
    ];
    for (bytes, text) in cases {
        let (response, _gateway) = answer_to(bytes);
        // What is wrong from the start may be seen before the head went out.
        assert!(response.status == 502 || response.body.cut.is_some(), "{response:?}");
        assert!(response.status == 502 || text.starts_with(&response.text()), "{response:?}");
    }
}

/// A reset in the middle of an answer cuts it for the client too.
#[test]
fn a_reset_answer_is_cut_for_the_client() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    for head in ["Content-Length: 100\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "\r\nhello"] {
        let mut client = gateway.client();
        client.send(get("/"));
        let (mut peer, _) = origin.accept_request();
        peer.send(format!("HTTP/1.1 200 OK\r\n{head}"));
        let response = client.read_response_head();
        peer.reset();
        let response = client.finish_response(response, false);
        assert!(response.body.cut.is_some(), "{response:?}");
    }
}

/// Where only the end of the connection tells the end of the answer, a cut one ends in a reset: a close would be a fake end.
#[test]
fn a_cut_answer_has_no_fake_end() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    for head in ["Content-Length: 100\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.0\r\n\r\n");
        let (mut peer, _) = origin.accept_request();
        peer.send(format!("HTTP/1.1 200 OK\r\n{head}"));
        let response = client.read_response_head();
        client.expect_bytes("h");
        drop(peer);
        let response = client.finish_response(response, false);
        assert!(response.body.cut.is_some(), "{response:?}");
    }
}

/// An answer that stops in the middle meets the read time, and is cut.
#[test]
fn an_answer_that_stops_is_cut() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("read_timeout = \"200ms\"").start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    let response = client.read_response();
    assert!(matches!(response.body.cut, Some(End::Closed | End::Reset)), "{response:?}");
    peer.wait_gone();
}

/// An origin that dies takes only its own exchanges along; when it is back it is used again.
#[test]
fn an_origin_that_comes_back_is_used_again() {
    let port = ReservedPort::new();
    let gateway = Config::to(&format!("http://{}", port.address)).start();
    gateway.get("/down").assert_failure(502);
    let origin = port.listen();
    assert_eq!(gateway.get_through(&origin).text(), "through");
    drop(origin);
    gateway.get("/down").assert_failure(502);
    let origin = port.listen();
    assert_eq!(gateway.get_through(&origin).text(), "through");
}

/// A certificate that does not hold is 502.
#[test]
fn an_untrusted_origin_is_502() {
    let authority = Authority::new();
    let origin = Origin::tls(authority.pair(&["127.0.0.1"]).server());
    let gateway = Config::to(&origin).start();
    let peer = std::thread::spawn(move || origin.accept().fill());
    gateway.get("/").assert_failure(502);
    assert!(peer.join().expect("the origin ends well").is_err());
}

/// Failing exchanges leave no file descriptor behind.
#[test]
fn failures_leak_no_descriptors() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("read_timeout = \"100ms\"").start();
    assert_eq!(one_of_each(&gateway, &origin), 5);
    eventually("the first round is cleaned up", || gateway.metric("ringway_connections_open", &[]) == 0.0);
    let before = gateway.descriptors();
    for _ in 0..5 {
        one_of_each(&gateway, &origin);
    }
    eventually("descriptors return to the start", || gateway.descriptors() <= before);
    assert_eq!(gateway.get_through(&origin).status, 200);
}

/// Five exchanges that fail in five ways.
fn one_of_each(gateway: &Gateway, origin: &Origin) -> usize {
    let replies: [Option<&[u8]>; 5] = [
        Some(b""),
        Some(b"garbage\r\n\r\n"),
        Some(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
        None,
        Some(b"HTTP/1.1 2"),
    ];
    for (number, reply) in replies.iter().enumerate() {
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        let (mut peer, _) = origin.accept_request();
        if let Some(bytes) = reply {
            peer.send(bytes);
            if number % 2 == 0 {
                peer.reset()
            } else {
                drop(peer)
            }
            assert_ne!(client.rest().1, End::Silent);
        } else {
            assert_ne!(client.rest().1, End::Silent);
        }
    }
    replies.len()
}

/// Answers that are good until a few of their bytes are changed.
const ANSWERS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nX-End: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nuntil the end",
];

/// Whatever an origin answers, the client gets a strict answer (the harness reads no other), cut or whole, and the gateway
/// serves on.
#[test]
fn changed_answers_never_break_the_client() {
    let origin = Origin::new();
    // Some answers are still good ones: their connections are not kept, for the origin closes each and nobody knows when
    // the gateway sees that.
    let gateway = Config::to(&origin).upstream("pool = 0").start();
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    for number in 0..400 {
        let mut bytes = ANSWERS[number % ANSWERS.len()].to_vec();
        chance.change(&mut bytes, b"\r\n \t:;,0a5-\0\x7f\xff/H");
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let (mut peer, _) = origin.accept_request();
        // The gateway may have refused and gone before all is written.
        drop(peer.try_send(&bytes));
        drop(peer);
        loop {
            let response = client.read_response();
            if response.status >= 200 {
                assert!(response.status != 502 || response.assert_failure(502).says_close(), "{bytes:?}");
                break;
            }
        }
        assert_eq!(client.rest().0, b"", "nothing behind the answer to {:?}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!(gateway.get_through(&origin).status, 200);
}
