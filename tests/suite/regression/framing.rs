//! Whose bytes are whose: no body becomes a request, no answer goes to another client, no tunnel opens by accident.

use super::*;

/// After a POST whose body was at hand and whose answer failed, the next request's body stays a body. (The gateway read
/// the first body twice, and so took the next head for it and the next body for a request.)
#[test]
fn a_failed_answer_turns_no_body_into_a_request() {
    let smuggled = get("/smuggled");
    let second = post("/second", &smuggled);
    // As long as the head of the second request, so that reading it twice would end exactly before the second body.
    let first = post("/first", &"x".repeat(second.len() - smuggled.len()));
    for bad in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "garbage\r\n\r\n",
    ] {
        let origin = Origin::new();
        let gateway = Config::to(&origin).start();
        let mut client = gateway.client();
        client.send([first.as_str(), &second].concat());
        let (mut peer, seen) = origin.accept_request();
        assert_eq!(seen.target, "/first");
        peer.send(bad);
        client.read_response().assert_failure(502);
        let (mut peer, seen) = origin.accept_request();
        assert_eq!(seen.brief(), format!("POST /second {}", smuggled.trim_end()), "{bad:?}");
        peer.send(ok("second"));
        assert_eq!(client.read_response().text(), "second");
    }
}

/// A TLS upstream connection with decrypted bytes behind its answer is never reused: they would be another client's answer.
/// (Only the socket was asked whether anything was left.)
#[test]
fn decrypted_bytes_nobody_asked_for_are_nobodys_answer() {
    let authority = Authority::new();
    let origin = Origin::tls(authority.pair(&["127.0.0.1"]).server());
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let ca = authority.write(dir.path());
    let gateway = Config::to(&origin).upstream(&format!("ca = {:?}", text(&ca))).start_in(dir);
    // One record that fills the buffer of a read to the last byte.
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 16000\r\nX-Fill: ";
    let fill = 16 * 1024 - 16_000 - head.len() - 4;
    let first = format!("{head}{}\r\n\r\n{}", "f".repeat(fill), "x".repeat(16_000));
    assert_eq!(first.len(), 16 * 1024);
    let mut one = gateway.client();
    one.send(get("/one"));
    let (mut peer, _) = origin.accept_request();
    peer.send_in_one_flight(&[first.as_bytes(), &ok("forged")]);
    assert_eq!(one.read_response().body.bytes.len(), 16_000);
    let mut two = gateway.client();
    two.send(get("/two"));
    let (mut fresh, seen) = origin.accept_request();
    assert_eq!(seen.target, "/two");
    fresh.send(ok("two"));
    assert_eq!(two.read_response().text(), "two");
}

/// The log of a request whose first line is malformed shows nothing of that line's place in an earlier request, and no
/// Authorization. (Marks of an earlier head on the same core were laid over the bytes of the new one.)
#[test]
fn a_malformed_line_is_not_logged_by_older_marks() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).log("access = \"stdout\"").log("format = \"json\"").start();
    let secret = format!("GE(T /x HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {}\r\n\r\n", "SEKRET".repeat(60));
    let filler = "p".repeat(300);
    for first in [
        format!("GET /{filler} HTTP/1.1\r\nhost: t\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nhost: {}\r\n\r\n", "h".repeat(200)),
        format!("GET /a HTTP/1.1\r\nhost: t\r\nuser-agent: {filler}\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nhost: t\r\nreferer: {filler}\r\n\r\n"),
    ] {
        for same_connection in [true, false] {
            let mut client = gateway.client();
            client.send(&first);
            assert_eq!(client.read_response().status, 200);
            if !same_connection {
                client = gateway.client();
            }
            client.send(&secret);
            client.read_response().assert_failure(400);
        }
    }
    eventually("all refusals are logged", || gateway.access().iter().filter(|l| l["status"] == 400).count() == 8);
    for line in gateway.access().iter().filter(|line| line["status"] == 400) {
        let shown = line.to_string();
        assert!(!shown.contains("SEKRET") && !shown.contains("authorization") && !shown.contains("host:"), "{shown}");
    }
}

/// A malformed request after a HEAD gets an answer with its body. (The method of the earlier request was still in place.)
#[test]
fn a_malformed_request_after_a_head_gets_its_body() {
    let origin = Origin::new().serve(|_| ok(""));
    let gateway = Config::to(&origin).start();
    for same_connection in [true, false] {
        let mut client = gateway.client();
        client.send("HEAD / HTTP/1.1\r\nhost: t\r\n\r\n");
        assert_eq!(client.read_response_to_head().status, 200);
        if !same_connection {
            client = gateway.client();
        }
        client.send("\x01\r\n\r\n");
        client.read_response().assert_failure(400);
        client.expect_closed();
    }
}

/// No upgrade but WebSocket alone is offered to the origin. (h2c went through, and with it a tunnel past every rule.)
#[test]
fn no_other_upgrade_is_offered() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).start();
    let settings = "HTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    for fields in [
        format!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n{settings}"),
        format!("Connection: Upgrade\r\nUpgrade: h2c\r\n{settings}"),
        format!("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n{settings}"),
        format!("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n{settings}"),
        "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: websocket/13\r\n".to_owned(),
        "Connection: close\r\nUpgrade: websocket\r\n".to_owned(),
    ] {
        let mut client = gateway.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: t\r\n{fields}\r\n"));
        assert_eq!(client.read_response().status, 200);
        let seen = origin.take_requests().remove(0);
        for name in ["upgrade", "http2-settings"] {
            assert_eq!(seen.field(name), None, "{fields}");
        }
        assert!(!seen.head.has_token("connection", "upgrade"), "{fields}");
    }
}

/// A 101 for anything but WebSocket is a broken answer: no tunnel opens.
#[test]
fn a_switch_to_another_protocol_is_502() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    for protocol in ["Upgrade: h2c\r\n", "Upgrade: websocket, h2c\r\n", "Upgrade: TLS/1.0\r\n", ""] {
        let mut client = gateway.client();
        client.send(WEBSOCKET);
        let (mut peer, _) = origin.accept_request();
        peer.send(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{protocol}\r\n"));
        client.read_response().assert_failure(502);
        peer.wait_gone();
    }
    assert_eq!(gateway.metric("ringway_tunnels_total", &[]), 0.0);
}

/// A 101 that names more in Connection keeps its Upgrade and loses what it names.
#[test]
fn a_101_that_names_more_keeps_its_upgrade() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(WEBSOCKET);
    let (mut peer, _) = origin.accept_request();
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Foo\r\nUpgrade: WebSocket\r\nX-Foo: 1\r\n\
         Sec-WebSocket-Accept: s3\r\n\r\nhello",
    );
    let response = client.read_response();
    assert_eq!((response.status, response.field("x-foo")), (101, None));
    assert!(response.field("upgrade").is_some_and(|u| u.eq_ignore_ascii_case("websocket")), "{:?}", response.head);
    assert!(response.head.has_token("connection", "upgrade"), "{:?}", response.head);
    assert_eq!(response.field("sec-websocket-accept"), Some("s3"));
    client.expect_bytes("hello");
}

/// Dot segments in disguise are refused: the origin may resolve what the router did not.
#[test]
fn dot_segments_in_disguise_are_refused() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).path("path = \"/public\"").start();
    for path in [
        "/public/../admin",
        "/public/..",
        "/public/.",
        "/public/./x",
        "/public/..%2fadmin",
        "/public/..%2Fadmin",
        "/public%2f..%2fadmin",
        "/public/%2e%2e/admin",
        "/public/.%2E/admin",
        "/public/%2e%2e%2fadmin",
        "/public/..;/admin",
        "/public/..;x=1/admin",
        "/public/%2e%2e;/admin",
        "/public/.;/admin",
        "/public/..\\admin",
        "/public\\..\\admin",
        "/public/..%5cadmin",
        "/public%5C%2e%2e%5Cadmin",
    ] {
        let mut client = gateway.client();
        client.send(get(path));
        let response = client.read_response();
        assert_eq!(response.status, 400, "{path}");
        response.assert_failure(400);
    }
    assert!(origin.take_requests().is_empty());
    for path in ["/public/..x", "/public/.../x", "/public/x..", "/public/a;..", "/public/x?y=/../z"] {
        assert_eq!(gateway.get(path).status, 200, "{path}");
    }
}

/// Taking a prefix away never leaves two slashes in front: that would look like an authority.
#[test]
fn a_stripped_path_has_one_slash_in_front() {
    for (strip, replace) in [("/v1", ""), ("/v1/", ""), ("/v1", "replace_prefix = \"/\"")] {
        let origin = Origin::new().serve(|request| ok(&request.target));
        let route = format!("strip_prefix = \"{strip}\"\n{replace}");
        let gateway = Config::to(&origin).path(&format!("path = \"{strip}\"")).route(&route).start();
        for (path, wanted) in [
            ("/v1/x", "/x"),
            ("/v1//evil.test/x", "/evil.test/x"),
            ("/v1///evil.test", "/evil.test"),
            ("/v1/", "/"),
            ("/v1//", "/"),
            ("/v1/?q", "/?q"),
        ] {
            assert_eq!(gateway.get(path).text(), wanted, "{path} without {strip} {replace}");
        }
    }
}

/// TRACE is 405: its answer would show what the gateway adds to requests.
#[test]
fn trace_is_405() {
    let origin = Origin::new().serve(|request| ok(&request.head.raw));
    let route = "[route.request]\nset = { authorization = \"Bearer SEKRET\" }";
    let gateway = Config::to(&origin).route(route).start();
    let mut client = gateway.client();
    client.send("TRACE / HTTP/1.1\r\nhost: t\r\n\r\n");
    let response = client.read_response();
    assert!(!response.assert_failure(405).text().contains("SEKRET"));
    assert!(origin.take_requests().is_empty());
}

/// An empty line behind a request is not the beginning of another: no 408 comes for it, and the next request is served.
#[test]
fn an_empty_line_behind_a_request_is_nothing() {
    let origin = Origin::new().serve(|request| ok(request.brief()));
    let gateway = Config::to(&origin).listener("head_timeout = \"100ms\"\nidle_timeout = \"500ms\"").start();
    let mut client = gateway.client();
    client.send([&post("/a", "body"), "\r\n"].concat());
    assert_eq!(client.read_response().text(), "POST /a body");
    client.silent_for(250);
    client.send(get("/b"));
    assert_eq!(client.read_response().text(), "GET /b");
    client.send("\r\n");
    client.expect_closed();
}

/// `100 Continue` comes before the head of the answer or not at all: never in it, in the body, or behind. (It waited for
/// room, or for the origin's word, and came in the middle of an answer that had begun.)
#[test]
fn a_100_never_follows_the_head() {
    for expect in ["answer", "forward"] {
        let origin = Origin::new();
        let config = Config::to(&origin).path("path = \"/e\"").limits("body = \"1KiB\"");
        let gateway = config.server(&format!("expect = \"{expect}\"")).start();
        for path in ["/e/slow", "/e/large", "/none"] {
            let mut client = gateway.client();
            let length = if path == "/e/large" { 5_000 } else { 5 };
            client.send(format!(
                "POST {path} HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            ));
            if path == "/e/slow" {
                let mut peer = origin.accept();
                peer.read_request_head();
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
                // Longer than a forwarded expectation holds the body back.
                origin::pace(1_300);
                peer.send("cd");
            }
            let (bytes, end) = client.rest();
            let text = String::from_utf8_lossy(&bytes);
            assert_eq!(end, End::Closed, "{text}");
            let last_head = text.rfind("HTTP/1.1 ").expect("an answer");
            assert!(!text[last_head..].starts_with("HTTP/1.1 1"), "{expect} {path}: {text}");
            assert!(text[..last_head].matches("HTTP/1.1 ").count() <= 1, "{expect} {path}: {text}");
        }
    }
}

/// An invitation for which the client's buffer has no room does not come in the middle of the answer.
#[test]
fn a_100_without_room_is_left_out() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    rustix::net::sockopt::set_socket_recv_buffer_size(client.tcp(), 16 * 1024).expect("SO_RCVBUF");
    let body = vec![b'x'; 8_000_000];
    client.send(get("/big"));
    let (mut first, _) = origin.accept_request();
    client.send("POST /e HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    let sender = std::thread::spawn({
        let answer = ok(&body);
        move || {
            first.send(answer);
            first
        }
    });
    assert_eq!(client.read_response_head().status, 200);
    let mut got = 0;
    // Little by little, so that no more room comes free than the first answer needs.
    while gateway.metric("ringway_responses_total", &[]) < 1.0 {
        got += client.take(20_000).expect("the first answer").len();
    }
    let first = sender.join().expect("the first answer is sent");
    let mut second = if origin::readable_either(first.tcp(), &origin) { first } else { origin.accept() };
    second.read_request_head();
    let sender = std::thread::spawn({
        let (answer, mut tcp) = (ok(vec![b'y'; 8_000_000]), second.tcp().try_clone().expect("a second handle"));
        move || std::io::Write::write_all(&mut tcp, &answer)
    });
    client.send("hello");
    second.expect_bytes("hello");
    assert_eq!(client.take(body.len() - got).map(|rest| rest.iter().all(|b| *b == b'x')), Ok(true));
    let mut response = client.read_response();
    if response.status == 100 {
        response = client.read_response();
    }
    sender.join().expect("no panic").expect("the second answer is sent");
    assert_eq!(response.status, 200);
    assert!(response.body.bytes.len() == 8_000_000 && response.body.bytes.iter().all(|b| *b == b'y'));
}
