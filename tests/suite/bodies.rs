//! Bodies both ways: framing by length, chunks and end of connection, trailers, bodiless answers, Expect (RFC 9112 §6, §7).

use super::harness::*;

/// Bytes with a pattern in which a lost or doubled piece shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// A body with a length arrives with that length.
#[test]
fn a_request_body_with_a_length_passes() {
    let origin = Origin::new().serve(|request| ok(&request.body.bytes));
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    for length in [0, 1, 4_095, 16_384, 16_385, 100_000] {
        let body = pattern(length);
        client.send(format!("POST /{length} HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n\r\n"));
        client.send(&body);
        assert!(client.read_response().body.bytes == body, "{length} bytes");
        let seen = origin.take_requests();
        assert_eq!(seen[0].head.framing(), Ok(Framing::Length(length)));
    }
}

/// A chunked request body arrives whole, chunked again, whatever its chunks are.
#[test]
fn a_chunked_request_body_passes() {
    let origin = Origin::new().serve(|request| ok(&request.body.bytes));
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    for sizes in [vec![], vec![1], vec![1; 300], vec![16_384, 1, 20_000], vec![70_000]] {
        let body = pattern(sizes.iter().sum());
        client.send("POST /c HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut rest = body.as_slice();
        for size in sizes {
            let (piece, after) = rest.split_at(size);
            client.send(chunk(piece));
            rest = after;
        }
        client.send("0\r\n\r\n");
        assert!(client.read_response().body.bytes == body);
        assert_eq!(origin.take_requests()[0].head.framing(), Ok(Framing::Chunked));
    }
}

/// A large body goes up and comes back whole.
#[test]
fn eight_megabytes_pass_both_ways() {
    let origin = Origin::new().serve(|request| ok(&request.body.bytes));
    let gateway = Config::to(&origin).start();
    let body = pattern(8 * 1024 * 1024);
    let mut client = gateway.client();
    client.send(format!("POST /big HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n", body.len()));
    client.send(&body);
    let response = client.read_response();
    assert_eq!(response.status, 200);
    assert!(response.body.bytes == body);
}

/// An answer in chunks arrives in chunks, and what the origin sent is what the client gets.
#[test]
fn a_chunked_answer_passes() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    let response = client.read_response();
    assert_eq!(response.text(), "hello world");
    assert_eq!(response.head.framing(), Ok(Framing::Chunked));
}

/// An answer that ends with its connection arrives whole, and the client can tell that it is.
#[test]
fn an_answer_until_the_end_of_the_connection_passes() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    for request in [get("/"), "GET / HTTP/1.0\r\n\r\n".to_owned()] {
        let mut client = gateway.client();
        client.send(request);
        let (mut peer, _) = origin.accept_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end");
        drop(peer);
        let response = client.read_response();
        assert_eq!((response.text().as_str(), response.body.cut), ("until the end", None));
    }
}

/// A chunked answer goes to an HTTP/1.0 client without chunks, and the connection ends with it.
#[test]
fn http_1_0_gets_no_chunks() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let response = client.read_response();
    assert_eq!(response.head.all("transfer-encoding"), [""; 0]);
    assert_eq!(response.text(), "abc");
    client.expect_closed();
}

/// Trailers of a request and of an answer are passed on behind a chunked body.
#[test]
fn trailers_pass_both_ways() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send("2\r\nhi\r\n0\r\nX-Sum: 42\r\nContent-Length: 9\r\n\r\n");
    let (mut peer, seen) = origin.accept_request();
    assert_eq!(seen.body.bytes, b"hi");
    let names: Vec<String> = seen.body.trailers.iter().map(|(n, v)| format!("{n}: {v}").to_lowercase()).collect();
    assert_eq!(names, ["x-sum: 42"], "what may not be a trailer is dropped (RFC 9110 §6.5.1)");
    peer.send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Done\r\n\r\n2\r\nok\r\n0\r\nX-Done: yes\r\n\r\n",
    );
    let response = client.read_response();
    assert_eq!(response.text(), "ok");
    assert!(response.body.trailers.iter().any(|(n, v)| n.eq_ignore_ascii_case("x-done") && v == "yes"));
}

/// Answers to HEAD, 204 and 304 have no body whatever their fields say, and the connection lives on.
#[test]
fn bodiless_answers_have_no_body() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send("HEAD /h HTTP/1.1\r\nhost: t\r\n\r\n");
    let (mut peer, seen) = origin.accept_request();
    assert_eq!(seen.method, "HEAD");
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    let response = client.read_response_to_head();
    assert_eq!((response.status, response.field("content-length")), (200, Some("1234")));
    for reply in
        ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"a\"\r\n\r\n"]
    {
        client.send(get("/b"));
        peer.read_request();
        peer.send(reply);
        let response = client.read_response();
        assert!(reply.contains(&response.status.to_string()) && response.body.bytes.is_empty());
    }
    client.send(get("/after"));
    peer.read_request();
    peer.send(ok("after"));
    assert_eq!(client.read_response().text(), "after");
}

/// A chunked answer to HEAD has no body either.
#[test]
fn a_chunked_answer_to_head_has_no_body() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send("HEAD / HTTP/1.1\r\nhost: t\r\n\r\n");
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.read_response_to_head().status, 200);
    client.send(get("/after"));
    peer.read_request();
    peer.send(ok("after"));
    assert_eq!(client.read_response().text(), "after");
}

/// A failure answer to HEAD has no body.
#[test]
fn a_failure_answer_to_head_has_no_body() {
    let port = ReservedPort::new();
    let gateway = Config::to(&format!("http://{}", port.address)).start();
    let mut client = gateway.client();
    client.send("HEAD / HTTP/1.1\r\nhost: t\r\n\r\n");
    assert_eq!(client.read_response_to_head().status, 502);
    client.send("HEAD / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    assert_eq!(client.read_response_to_head().status, 502);
    client.expect_closed();
}

/// `Expect: 100-continue` is answered with 100 before the body comes, and the body then passes.
#[test]
fn expect_is_answered_when_the_body_is_wanted() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send("POST /e HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(client.read_response().status, 100);
    client.send("hello");
    let (mut peer, seen) = origin.accept_request();
    assert_eq!((seen.brief().as_str(), seen.field("expect")), ("POST /e hello", None));
    peer.send(ok("x"));
    assert_eq!(client.read_response().status, 200);
}

/// With `expect = "forward"` the origin decides: its 100 is passed on, and its refusal too.
#[test]
fn expect_is_forwarded_when_configured() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).server("expect = \"forward\"").start();
    let request = "POST /e HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let mut client = gateway.client();
    client.send(request);
    let mut peer = origin.accept();
    let seen = peer.read_request_head();
    assert_eq!(seen.field("expect"), Some("100-continue"));
    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.read_response().status, 100);
    client.send("hello");
    peer.expect_bytes("hello");
    peer.send(ok("x"));
    assert_eq!(client.read_response().status, 200);

    let mut client = gateway.client();
    client.send(request);
    let mut peer = origin_next(&origin, peer);
    peer.read_request_head();
    peer.send("HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!(client.read_response().status, 417);
}

/// The connection on which the next request comes: the one that was kept, or a new one.
fn origin_next(origin: &Origin, kept: Connection) -> Connection {
    let reused = origin::readable_either(kept.tcp(), origin);
    if reused { kept } else { origin.accept() }
}

/// A body over the route's limit is refused with 413, by its length at once and by its chunks when they pass it.
#[test]
fn a_body_over_the_limit_is_refused() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).route("body_max = \"1KiB\"").start();
    let mut client = gateway.client();
    client.send(post("/", &"GET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n".repeat(40)));
    let refused = client.read_response();
    refused.assert_failure(413);
    // A small rest of a body may be read over so that the connection lives on; else it says close and is closed.
    if refused.says_close() {
        client.expect_closed();
    } else {
        client.send("GET /after HTTP/1.1\r\n\r\n");
        client.read_response().assert_failure(400);
    }
    origin.expect_no_connection();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send([chunk(pattern(1_000)), chunk(pattern(25))].concat());
    assert!(client.read_response().assert_failure(413).says_close());
    client.expect_closed();
}

/// A body of exactly the limit passes.
#[test]
fn a_body_of_the_limit_passes() {
    let origin = Origin::new().serve(|request| ok(request.body.bytes.len().to_string()));
    let gateway = Config::to(&origin).route("body_max = \"1KiB\"").start();
    let mut client = gateway.client();
    client.send(post("/", &"x".repeat(1_024)));
    assert_eq!(client.read_response().text(), "1024");
    client.send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send([chunk(pattern(1_000)), chunk(pattern(24)), b"0\r\n\r\n".to_vec()].concat());
    assert_eq!(client.read_response().text(), "1024");
}

/// A client that leaves in the middle of its body takes the upstream request with it; the origin never sees its end.
#[test]
fn a_cut_request_body_is_never_completed() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    for head in ["content-length: 10\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nhost: t\r\n{head}"));
        let mut peer = origin.accept();
        let request = peer.read_request_head();
        drop(client);
        let body = peer.body(request.head.framing().expect("a framing"), false);
        assert!(body.cut.is_some(), "{body:?}");
    }
}

/// An answer before the request body is whole is passed on; the rest of the body never becomes a request.
#[test]
fn an_early_answer_is_passed_on() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client
        .send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n");
    let mut peer = origin.accept();
    peer.read_request_head();
    peer.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    let response = client.read_response();
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
    client.expect_closed();
    origin.expect_no_connection();
}

/// Random pipelines of good requests, cut anywhere, reach the origin as they were written and are answered in order.
#[test]
fn pipelines_cut_anywhere_stay_whole() {
    use proptest::prelude::*;
    let origin = Origin::new().serve(|request| ok(request.brief()));
    let gateway = Config::to(&origin).start();
    let request = (0..4_u8, "[a-z]{1,12}", proptest::collection::vec("[ -~]{1,40}", 0..4));
    let plan = (proptest::collection::vec(request, 1..6), proptest::collection::vec(1..60_usize, 1..20));
    let config = ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((requests, cuts) in plan)| {
        let mut bytes = Vec::new();
        let mut wanted = Vec::new();
        for (kind, path, pieces) in &requests {
            let body = pieces.concat();
            match kind {
                0 => bytes.extend_from_slice(get(&format!("/{path}")).as_bytes()),
                1 => bytes.extend_from_slice(post(&format!("/{path}"), &body).as_bytes()),
                _ => {
                    let head = format!("PUT /{path} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
                    bytes.extend_from_slice(head.as_bytes());
                    pieces.iter().for_each(|piece| bytes.extend_from_slice(&chunk(piece)));
                    bytes.extend_from_slice(b"0\r\n\r\n");
                }
            }
            let (method, body) = match kind { 0 => ("GET", ""), 1 => ("POST", body.as_str()), _ => ("PUT", body.as_str()) };
            wanted.push(format!("{method} /{path} {body}").trim_end().to_owned());
        }
        let mut client = gateway.client();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            client.send(piece);
            rest = after;
            if rest.is_empty() { break }
        }
        for wanted in &wanted {
            prop_assert_eq!(&client.read_response().text(), wanted);
        }
        let seen: Vec<String> = origin.take_requests().iter().map(|r| r.brief()).collect();
        prop_assert_eq!(&seen, &wanted);
    });
}
