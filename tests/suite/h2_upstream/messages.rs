//! What an HTTP/2 origin is asked (RFC 9113 §8.2, §8.3), whichever version the client speaks.

use super::super::h2::frames::*;
use super::super::harness::*;
use super::caller::Caller;
use super::origin::*;

/// What a clear HTTP/2 origin gets from a client of HTTP/1.1 that sends these bytes.
fn asked_by_h1(config: impl Fn(Config) -> Config, bytes: &str) -> (H2Origin, Message) {
    let origin = H2Origin::clear();
    let gateway = config(origin.config()).start();
    let mut client = gateway.client();
    client.send(bytes);
    let (mut peer, request) = origin.accept_request();
    peer.answer(request.stream, 200, "x");
    assert_eq!(client.read_response().text(), "x");
    (origin, request)
}

/// The same from a client of HTTP/2.
fn asked_by_h2(fields: &[(&str, &str)], body: &[u8]) -> Message {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = H2::connect(&gateway);
    client.headers(1, fields, body.is_empty());
    if !body.is_empty() {
        client.body(1, body, true);
    }
    let (mut peer, request) = origin.accept_request();
    peer.answer(request.stream, 200, "x");
    assert_eq!(client.message(1).whole(), (200, "x".to_owned()));
    request
}

/// RFC 9113 §8.3.1: exactly the four pseudo-fields, and no Host beside `:authority`.
#[test]
fn a_request_has_its_pseudo_fields() {
    for origin in H2Origin::both() {
        let scheme = if origin.config().toml().contains("https://") { "https" } else { "http" };
        let gateway = origin.config().start();
        let mut peer = None;
        for mut caller in Caller::both(&gateway) {
            caller.ask("GET", "/a/b?c=d&e", &[("Accept-Nothing", "Of This")], b"");
            let peer = peer.get_or_insert_with(|| origin.accept());
            let request = whole_request(peer);
            let pseudo = request.fields.iter().filter(|(name, _)| name.starts_with(':'));
            let mut names: Vec<&str> = pseudo.map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, [":authority", ":method", ":path", ":scheme"]);
            assert_eq!(brief(&request), "GET /a/b?c=d&e");
            assert_eq!(request.field(":scheme"), Some(scheme));
            assert_eq!(request.field(":authority"), Some(origin.authority().as_str()));
            assert_eq!(request.field("host"), None);
            assert!(request.pieces.is_empty(), "RFC 9113 §8.1: HEADERS alone end a request without content");
            peer.answer(request.stream, 200, "x");
            assert_eq!(caller.told().whole(), (200, "x".to_owned()));
        }
    }
}

/// `host` of the upstream is the authority; what the client called it is in X-Forwarded-Host.
#[test]
fn the_authority_is_the_upstreams() {
    let config = |config: Config| config.upstream("host = \"api.example:81\"");
    let (_, request) = asked_by_h1(config, "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(request.field(":authority"), Some("api.example:81"));
    assert_eq!(request.field("x-forwarded-host"), Some("shop.example"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
}

/// A route that sets Host sets the authority.
#[test]
fn a_host_that_the_route_sets_is_the_authority() {
    let config = |config: Config| config.route("[route.request]\nset = { host = \"set.example\" }");
    let (_, request) = asked_by_h1(config, &get("/"));
    assert_eq!((request.field(":authority"), request.field("host")), (Some("set.example"), None));
}

/// RFC 9113 §8.2: names in lower case; values as they came; fields of the same name keep their order.
#[test]
fn fields_pass_with_names_in_lower_case() {
    let text = "GET / HTTP/1.1\r\nHost: t\r\nX-Mixed-CASE: Kept As Is\r\nAccept: a\r\nAccept: b\r\nX-Empty:\r\n\
                X-Obs: \u{fc}\r\n\r\n";
    let (_, request) = asked_by_h1(|config| config, text);
    assert_eq!(request.field("x-mixed-case"), Some("Kept As Is"));
    assert_eq!(request.all("accept"), ["a", "b"]);
    assert_eq!(request.field("x-empty"), Some(""));
    let bytes: Vec<u8> = request.field("x-obs").unwrap_or_default().chars().map(|c| c as u8).collect();
    assert_eq!(bytes, "\u{fc}".as_bytes(), "obs-text passes byte by byte");
}

/// RFC 9113 §8.2.2: nothing that belongs to the client's connection, nor what Connection names.
#[test]
fn nothing_of_the_connection_passes() {
    let text = "GET / HTTP/1.1\r\nHost: t\r\nConnection: keep-alive, X-Named\r\nKeep-Alive: timeout=5\r\n\
                Proxy-Connection: keep-alive\r\nX-Named: x\r\nHTTP2-Settings: AAMAAABk\r\nUpgrade: h2c\r\n\
                TE: gzip, deflate\r\nX-Kept: x\r\n\r\n";
    let (_, request) = asked_by_h1(|config| config, text);
    for name in ["connection", "keep-alive", "proxy-connection", "x-named", "http2-settings", "upgrade", "te"] {
        assert!(request.all(name).is_empty(), "{name} in {:?}", request.fields);
    }
    assert_eq!(request.field("x-kept"), Some("x"));
}

/// RFC 9113 §8.2.2: `te: trailers` passes, and nothing else of TE.
#[test]
fn te_trailers_passes() {
    let text = "GET / HTTP/1.1\r\nHost: t\r\nConnection: TE\r\nTE: gzip;q=0.5, trailers\r\n\r\n";
    assert_eq!(asked_by_h1(|config| config, text).1.all("te"), ["trailers"]);
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "t"), ("te", "trailers")];
    assert_eq!(asked_by_h2(&fields, b"").all("te"), ["trailers"]);
}

/// Via names the version that each message came in (RFC 9110 §7.6.3).
#[test]
fn via_names_the_version_that_came() {
    let origin = H2Origin::clear().serve(|_| Answer::ok("x"));
    let gateway = origin.config().start();
    for (mut caller, version) in Caller::both(&gateway).into_iter().zip(["1.1", "2.0"]) {
        let told = caller.fetch("/");
        assert_eq!(told.field("via"), Some("2.0 ringway"), "the answer came in HTTP/2");
        assert_eq!(origin.take_requests()[0].field("via"), Some(format!("{version} ringway").as_str()));
    }
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).start();
    assert_eq!(Caller::h2(&gateway).fetch("/").field("via"), Some("1.1 ringway"));
    assert_eq!(origin.take_requests()[0].field("via"), Some("2.0 ringway"));
}

/// The request id is the same for client and origin.
#[test]
fn the_request_id_is_one() {
    let origin = H2Origin::clear().serve(|_| Answer::ok("x"));
    let gateway = origin.config().start();
    for mut caller in Caller::both(&gateway) {
        let told = caller.fetch("/");
        let id = told.field("x-request-id").expect("an id");
        assert_eq!(origin.take_requests()[0].field("x-request-id"), Some(id));
    }
}

/// RFC 9113 §8.2.3: cookies may come apart and mean one Cookie field; an origin of HTTP/1.1 gets one line.
#[test]
fn cookies_are_whole() {
    let text = "GET / HTTP/1.1\r\nHost: t\r\nCookie: a=1; b=2; c=3\r\n\r\n";
    assert_eq!(asked_by_h1(|config| config, text).1.all("cookie").join("; "), "a=1; b=2; c=3");
    let front = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "t")];
    let fields = [&front[..], &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3")]].concat();
    assert_eq!(asked_by_h2(&fields, b"").all("cookie").join("; "), "a=1; b=2; c=3");
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.headers(1, &fields, true);
    assert_eq!(client.message(1).whole().0, 200);
    assert_eq!(origin.take_requests()[0].field("cookie"), Some("a=1; b=2; c=3"));
}

/// Methods and targets pass: known and unknown methods, `*`, the absolute form, an empty path.
#[test]
fn methods_and_targets_pass() {
    let origin = H2Origin::clear().serve(|request| Answer::ok(brief(request)));
    let gateway = origin.config().start();
    let rows = [
        ("DELETE /x", "DELETE /x"),
        ("BREW /pot", "BREW /pot"),
        ("OPTIONS *", "OPTIONS *"),
        ("OPTIONS /x", "OPTIONS /x"),
        ("GET http://t/absolute?q", "GET /absolute?q"),
        ("GET http://t", "GET /"),
        ("GET http://t?q", "GET /?q"),
        ("GET /a//b;c%2fd/~user/:x@y?a?b=/d&e=%00", "GET /a//b;c%2fd/~user/:x@y?a?b=/d&e=%00"),
    ];
    let mut client = gateway.client();
    for (line, expected) in rows {
        client.send(format!("{line} HTTP/1.1\r\nhost: t\r\n\r\n"));
        assert_eq!(client.read_response().text(), expected);
    }
    assert_eq!(origin.connections(), 1);
}

/// Content-Length is kept; a chunked request has none; an empty POST ends with its head.
#[test]
fn the_length_of_a_request_is_kept() {
    let (_, request) = asked_by_h1(|config| config, &post("/", "hello"));
    assert_eq!((request.field("content-length"), request.body.as_slice()), (Some("5"), &b"hello"[..]));
    let (_, request) = asked_by_h1(|config| config, &post("/", ""));
    assert_eq!((request.field("content-length"), request.pieces.len()), (Some("0"), 0));
    let text = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    let (_, request) = asked_by_h1(|config| config, text);
    assert_eq!((request.field("content-length"), request.body.as_slice()), (None, &b"hello"[..]));
    assert_eq!(request.all("transfer-encoding").len(), 0);
    let front = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "t")];
    let request = asked_by_h2(&front, b"hello");
    assert_eq!((request.field("content-length"), request.body.as_slice()), (None, &b"hello"[..]));
    let fields = [&front[..], &[("content-length", "5")]].concat();
    assert_eq!(asked_by_h2(&fields, b"hello").field("content-length"), Some("5"));
}

/// RFC 9113 §8.1: trailers of a request arrive, from clients of either version.
#[test]
fn trailers_of_a_request_pass() {
    let text = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 9\r\n\r\n";
    let (_, request) = asked_by_h1(|config| config, text);
    assert_eq!((request.body.as_slice(), request.trailer("x-sum")), (&b"hello"[..], Some("9")));
    let origin = H2Origin::clear().serve(|_| Answer::ok("x"));
    let gateway = origin.config().start();
    let mut client = H2::connect(&gateway);
    client.request(1, "POST", "/", &[], false);
    client.data(1, "hello", false);
    client.headers(1, &[("x-sum", "9")], true);
    assert_eq!(client.message(1).whole().0, 200);
    assert_eq!(origin.take_requests()[0].trailer("x-sum"), Some("9"));
}

/// Trailers pass through every mix of versions.
#[test]
fn trailers_pass_through_every_mix() {
    let h1 = Origin::new()
        .serve(|_| b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 9\r\n\r\n".to_vec());
    let h2 = H2Origin::clear().serve(|_| Answer::ok("x").unmeasured().trailer("x-sum", "9"));
    for config in [Config::to(&h1), h2.config()] {
        let gateway = config.start();
        for mut caller in Caller::both(&gateway) {
            caller.ask("GET", "/", &[("te", "trailers")], b"");
            let told = caller.told();
            assert_eq!((told.whole(), fields::one(&told.trailers, "x-sum")), ((200, "x".to_owned()), Some("9")));
        }
    }
}

/// RFC 9110 §10.1.1: the gateway answers `Expect: 100-continue` itself, and the origin is not asked to.
#[test]
fn expect_is_answered_by_the_gateway() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send("POST /e HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(client.read_response().status, 100);
    client.send("hello");
    let (mut peer, request) = origin.accept_request();
    assert_eq!((request.field("expect"), request.body.as_slice()), (None, &b"hello"[..]));
    peer.answer(request.stream, 200, "x");
    assert_eq!(client.read_response().text(), "x");
}

/// With `expect = "forward"` the origin's 100 is passed on, and its refusal too.
#[test]
fn expect_may_be_forwarded() {
    let origin = H2Origin::clear();
    let gateway = origin.config().server("expect = \"forward\"").start();
    let text = "POST /e HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let mut client = gateway.client();
    client.send(text);
    let mut peer = origin.accept();
    let head = peer.next_request_head();
    assert_eq!(head.field("expect"), Some("100-continue"));
    peer.headers(head.stream, &[(":status", "100")], false);
    assert_eq!(client.read_response().status, 100);
    client.send("hello");
    let request = peer.finish_message(head);
    assert_eq!(request.body, b"hello");
    peer.answer(request.stream, 200, "x");
    assert_eq!(client.read_response().text(), "x");
    let mut refused = gateway.client();
    refused.send(text);
    let head = peer.next_request_head();
    peer.answer(head.stream, 417, "no");
    assert_eq!(refused.read_response().status, 417);
    peer.ping();
}

/// What a client of HTTP/2 sends arrives at an origin of HTTP/1.1 as its own kind of request.
#[test]
fn h2_to_h1_is_a_request_of_http_1() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    let fields = [(":method", "PUT"), (":scheme", "http"), (":path", "/a?b"), (":authority", "t"), ("x-a", "b")];
    client.headers(1, &fields, false);
    client.body(1, b"hello", true);
    let (mut peer, request) = origin.accept_request();
    assert_eq!((request.version.as_str(), request.brief().as_str()), ("HTTP/1.1", "PUT /a?b hello"));
    assert_eq!(request.field("host"), Some(origin.address().to_string().as_str()));
    assert_eq!(request.field("x-a"), Some("b"));
    assert!(request.head.fields.iter().all(|(name, _)| !name.starts_with(':')));
    peer.send(ok("x"));
    assert_eq!(client.message(1).whole(), (200, "x".to_owned()));
}

/// A route's edits hold for both versions.
#[test]
fn edits_of_the_route_hold() {
    let lines = "[route.request]\nset = { X-Set = \"s\" }\nremove = [\"X-Gone\"]\n\
                 [route.response]\nset = { X-Answer = \"a\" }\nremove = [\"X-Secret\"]";
    let origin = H2Origin::clear().serve(|_| Answer::ok("x").field("x-secret", "s"));
    let gateway = origin.config().route(lines).start();
    for mut caller in Caller::both(&gateway) {
        caller.ask("GET", "/", &[("x-gone", "g"), ("x-set", "client")], b"");
        let told = caller.told();
        assert_eq!((told.field("x-answer"), told.field("x-secret")), (Some("a"), None));
        let request = &origin.take_requests()[0];
        assert_eq!((request.all("x-set"), request.field("x-gone")), (vec!["s"], None));
    }
}

/// A head of many fields, more than one frame holds, arrives whole.
#[test]
fn a_large_head_arrives() {
    let value = "v".repeat(900);
    let lines: String = (0..40).map(|number| format!("x-{number}: {value}\r\n")).collect();
    let origin = H2Origin::clear().serve(|_| Answer::ok("x"));
    let gateway = origin.config().limits("head = \"60KiB\"").start();
    let mut client = gateway.client();
    client.send(format!("GET / HTTP/1.1\r\nhost: t\r\n{lines}\r\n"));
    assert_eq!(client.read_response().status, 200);
    let request = &origin.take_requests()[0];
    assert!((0..40).all(|number| request.field(&format!("x-{number}")) == Some(value.as_str())));
}

/// RFC 7541 §4.2: an origin that keeps no dynamic table gets blocks without one.
#[test]
fn a_table_of_no_size_is_respected() {
    let origin = H2Origin::clear().settings(&[(HEADER_TABLE_SIZE, 0)]);
    let gateway = origin.config().start();
    let mut client = gateway.client();
    let mut kept = None;
    for number in 0..5 {
        client.send(format!("GET /{number} HTTP/1.1\r\nhost: t\r\nx-same: same\r\n\r\n"));
        let peer = kept.get_or_insert_with(|| origin.accept());
        let request = whole_request(peer);
        assert_eq!((brief(&request), request.field("x-same")), (format!("GET /{number}"), Some("same")));
        peer.answer(request.stream, 200, "x");
        assert_eq!(client.read_response().status, 200);
    }
}
