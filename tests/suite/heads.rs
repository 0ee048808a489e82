//! Heads through the gateway: what is passed, what is added, what is stripped (RFC 9110 §7.6, RFC 9112 §3).

use super::harness::*;

/// Sends a request through and returns it as the origin got it, with the answer.
#[track_caller]
fn exchange(config: Config, origin: &Origin, request: &str, reply: &[u8]) -> (message::Request, Response) {
    let gateway = config.start();
    let mut client = gateway.client();
    client.send(request);
    let (mut peer, seen) = origin.accept_request();
    peer.send(reply);
    (seen, client.read_response())
}

/// A GET passes with its target and fields, and the answer comes back with status, fields and body.
#[test]
fn a_get_passes_and_its_answer_comes_back() {
    let origin = Origin::new();
    let request = "GET /v1/models?limit=2&x=%20 HTTP/1.1\r\nHost: t\r\nAccept: */*\r\nX-Custom: a b, c\r\n\r\n";
    let reply = b"HTTP/1.1 201 Made\r\nContent-Length: 4\r\nX-Answer: yes\r\nContent-Type: text/plain\r\n\r\nbody";
    let (seen, response) = exchange(Config::to(&origin), &origin, request, reply);
    assert_eq!(seen.head.start, "GET /v1/models?limit=2&x=%20 HTTP/1.1");
    assert_eq!(seen.field("accept"), Some("*/*"));
    assert_eq!(seen.field("x-custom"), Some("a b, c"));
    assert_eq!((response.status, response.text().as_str()), (201, "body"));
    assert_eq!(response.field("x-answer"), Some("yes"));
    assert_eq!(response.field("content-type"), Some("text/plain"));
}

/// The Host that the origin gets is the endpoint's authority unless the upstream says another.
#[test]
fn host_is_that_of_the_endpoint_or_as_configured() {
    let origin = Origin::new();
    let address = origin.address().to_string();
    let (seen, _) = exchange(Config::to(&origin), &origin, &get("/"), &ok("x"));
    assert_eq!(seen.field("host"), Some(address.as_str()));
    let config = Config::to(&origin).upstream("host = \"api.example.com\"");
    let (seen, _) = exchange(config, &origin, &get("/"), &ok("x"));
    assert_eq!(seen.field("host"), Some("api.example.com"));
}

/// Hop-by-hop fields of a request, and those that Connection names, stay behind.
#[test]
fn hop_by_hop_fields_of_a_request_stay_behind() {
    let origin = Origin::new();
    let request = "GET / HTTP/1.1\r\nHost: t\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
                   Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nTE: gzip\r\nUpgrade: foo\r\nX-Stays: 2\r\n\r\n";
    let (seen, _) = exchange(Config::to(&origin), &origin, request, &ok("x"));
    for gone in ["x-mine", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade"] {
        assert_eq!(seen.field(gone), None, "{:?}", seen.head);
    }
    assert!(!seen.head.has_token("connection", "x-mine"), "{:?}", seen.head);
    assert_eq!(seen.field("x-stays"), Some("2"));
}

/// `TE: trailers` is kept, and Connection names it again for the next hop.
#[test]
fn te_trailers_is_kept() {
    let origin = Origin::new();
    let request = "GET / HTTP/1.1\r\nHost: t\r\nConnection: TE\r\nTE: trailers, deflate\r\n\r\n";
    let (seen, _) = exchange(Config::to(&origin), &origin, request, &ok("x"));
    assert_eq!(seen.field("te"), Some("trailers"), "{:?}", seen.head);
    assert!(seen.head.has_token("connection", "te"), "RFC 9110 §10.1.4: {:?}", seen.head);
}

/// Hop-by-hop fields of an answer, and those that its Connection names, stay behind.
#[test]
fn hop_by_hop_fields_of_an_answer_stay_behind() {
    let origin = Origin::new();
    let reply = b"HTTP/1.1 200 OK\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
                  Proxy-Connection: x\r\nContent-Length: 1\r\nX-Stays: 2\r\n\r\nx";
    let (_, response) = exchange(Config::to(&origin), &origin, &get("/"), reply);
    for gone in ["x-mine", "keep-alive", "proxy-connection"] {
        assert_eq!(response.field(gone), None, "{:?}", response.head);
    }
    assert_eq!(response.field("x-stays"), Some("2"));
    assert_eq!(response.text(), "x");
}

/// A client cannot have fields removed that the gateway sets, by naming them in Connection.
#[test]
fn connection_cannot_remove_what_the_gateway_sets() {
    let origin = Origin::new();
    let request = "GET / HTTP/1.1\r\nHost: t\r\n\
                   Connection: x-forwarded-for, x-forwarded-host, x-forwarded-proto, via, x-request-id, host\r\n\r\n";
    let (seen, _) = exchange(Config::to(&origin), &origin, request, &ok("x"));
    for kept in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "via", "x-request-id", "host"] {
        assert!(seen.field(kept).is_some(), "{kept} is missing in {:?}", seen.head);
    }
}

/// Via is added to request and answer, behind what came.
#[test]
fn via_is_added_both_ways() {
    let origin = Origin::new();
    let request = "GET / HTTP/1.1\r\nHost: t\r\nVia: 1.0 before\r\n\r\n";
    let reply = b"HTTP/1.1 200 OK\r\nVia: 1.1 behind\r\nContent-Length: 0\r\n\r\n";
    let (seen, response) = exchange(Config::to(&origin).server("via = \"edge\""), &origin, request, reply);
    assert_eq!(seen.head.all("via").join(", "), "1.0 before, 1.1 edge");
    assert_eq!(response.head.all("via").join(", "), "1.1 behind, 1.1 edge");
    let (seen, response) = exchange(Config::to(&origin), &origin, &get("/"), &ok("x"));
    assert_eq!((seen.field("via"), response.field("via")), (Some("1.1 ringway"), Some("1.1 ringway")));
}

/// An HTTP/1.0 request goes on as HTTP/1.1, and Via tells the version it came in.
#[test]
fn http_1_0_goes_on_as_1_1() {
    let origin = Origin::new();
    let (seen, response) = exchange(Config::to(&origin), &origin, "GET /a HTTP/1.0\r\n\r\n", &ok("x"));
    assert_eq!(seen.version, "HTTP/1.1");
    assert!(seen.head.all("via").join(",").starts_with("1.0 "), "{:?}", seen.head);
    assert!(response.says_close());
    assert_eq!(response.text(), "x");
}

/// Fields that stand on several lines arrive on as many lines or as one list, in order; Set-Cookie is never joined.
#[test]
fn repeated_fields_keep_their_order() {
    let origin = Origin::new();
    let request = "GET / HTTP/1.1\r\nHost: t\r\nX-List: a\r\nX-Other: o\r\nX-List: b\r\nCookie: c=1\r\n\r\n";
    let reply = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2, c\r\nContent-Length: 0\r\n\r\n";
    let (seen, response) = exchange(Config::to(&origin), &origin, request, reply);
    assert_eq!(seen.head.all("x-list").join(", "), "a, b");
    assert_eq!(seen.field("cookie"), Some("c=1"));
    assert_eq!(response.head.all("set-cookie"), ["a=1", "b=2, c"]);
}

/// The bytes of a field value pass as they are, beyond ASCII too.
#[test]
fn values_pass_unchanged() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\nX-Bytes: \xe9\xc3\xa9 \"q\\\" \t end\r\n\r\n");
    let (_, seen) = origin.accept_request();
    let raw = seen.head.raw;
    assert!(raw.windows(16).any(|w| w == b" \xe9\xc3\xa9 \"q\\\" \t end\r"), "{:?}", String::from_utf8_lossy(&raw));
}

/// Interim answers are passed on, the final one follows (RFC 9110 §15.2).
#[test]
fn interim_answers_are_passed_on() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n");
    let early = client.read_response();
    assert_eq!((early.status, early.field("link")), (103, Some("</s.css>; rel=preload")));
    peer.send(ok("end"));
    assert_eq!(client.read_response().text(), "end");
}

/// An interim answer never goes to an HTTP/1.0 client (RFC 9110 §15.2).
#[test]
fn http_1_0_gets_no_interim_answer() {
    let origin = Origin::new();
    let reply = b"HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    let (_, response) = exchange(Config::to(&origin), &origin, "GET / HTTP/1.0\r\n\r\n", reply);
    assert_eq!(response.status, 200);
}

/// The reason phrase is not needed, and an odd status passes as it came.
#[test]
fn odd_statuses_pass() {
    let origin = Origin::new();
    let (_, response) =
        exchange(Config::to(&origin), &origin, &get("/"), b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n");
    assert_eq!(response.status, 299);
    let (_, response) =
        exchange(Config::to(&origin), &origin, &get("/"), b"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(response.status, 599);
}

/// An answer of HTTP/1.0 comes to the client as HTTP/1.1.
#[test]
fn an_answer_of_1_0_comes_as_1_1() {
    let origin = Origin::new();
    let (_, response) =
        exchange(Config::to(&origin), &origin, &get("/"), b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!((response.version.as_str(), response.text().as_str()), ("HTTP/1.1", "x"));
}

/// A field beyond the small read buffer passes: heads may come in many pieces from both sides.
#[test]
fn heads_may_come_byte_by_byte() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    let long = "v".repeat(12_000);
    for byte in format!("GET /slow HTTP/1.1\r\nHost: t\r\nX-Long: {}\r\n\r\n", &long[..300]).bytes() {
        client.send([byte]);
    }
    let (mut peer, seen) = origin.accept_request();
    assert_eq!(seen.field("x-long").map(str::len), Some(300));
    for piece in format!("HTTP/1.1 200 OK\r\nX-Long: {long}\r\nContent-Length: 1\r\n\r\nx").as_bytes().chunks(61) {
        peer.send(piece);
    }
    let response = client.read_response();
    assert_eq!((response.field("x-long").map(str::len), response.text().as_str()), (Some(12_000), "x"));
}
