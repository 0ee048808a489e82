//! Which version is spoken with an upstream: `protocol`, ALPN (RFC 7301, RFC 9113 §3.2) and prior knowledge (§3.3).

use super::super::h2::frames::*;
use super::super::harness::*;
use super::caller::Caller;
use super::origin::*;

/// The request that a TLS origin with this ALPN list gets, and what ALPN chose; `lines` belong to the upstream.
fn asked(alpn: &[&str], lines: &str) -> (Option<String>, String) {
    let origin = tls_origin(alpn);
    let gateway = Config::to(&origin).upstream(SECURE).upstream(lines).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let mut wire = origin.accept();
    if wire.take(1).expect("the first byte of a request") == b"P" {
        wire.expect_bytes(&PREFACE[1..]);
        let chosen = chosen(&wire);
        let mut peer = H2::raw(wire);
        peer.settings(&[]);
        peer.expect_settings();
        let request = whole_request(&mut peer);
        peer.answer(request.stream, 200, "x");
        assert_eq!(client.read_response().text(), "x");
        return (chosen, "HTTP/2".to_owned());
    }
    let chosen = chosen(&wire);
    wire.expect_bytes("ET / ");
    assert!(wire.try_head().expect("the rest of the head").start.starts_with("HTTP/1.1"));
    wire.send(ok("x"));
    assert_eq!(client.read_response().text(), "x");
    (chosen, "HTTP/1.1".to_owned())
}

/// `auto` over TLS: what ALPN chooses is spoken, and HTTP/1.1 where nothing is chosen.
#[test]
fn auto_speaks_what_alpn_chooses() {
    for lines in ["", "protocol = \"auto\""] {
        assert_eq!(asked(&["h2"], lines), (Some("h2".to_owned()), "HTTP/2".to_owned()));
        assert_eq!(asked(&["h2", "http/1.1"], lines), (Some("h2".to_owned()), "HTTP/2".to_owned()));
        assert_eq!(asked(&["http/1.1"], lines), (Some("http/1.1".to_owned()), "HTTP/1.1".to_owned()));
        assert_eq!(asked(&[], lines), (None, "HTTP/1.1".to_owned()));
    }
}

/// `h1` never speaks HTTP/2, whatever the origin offers.
#[test]
fn h1_speaks_http_1() {
    for alpn in [&["h2", "http/1.1"][..], &["http/1.1"], &[]] {
        assert_eq!(asked(alpn, "protocol = \"h1\"").1, "HTTP/1.1");
    }
}

/// `h2` speaks HTTP/2 with an origin that offers it.
#[test]
fn h2_speaks_http_2() {
    assert_eq!(asked(&["http/1.1", "h2"], "protocol = \"h2\""), (Some("h2".to_owned()), "HTTP/2".to_owned()));
}

/// `h2` against an origin that has only HTTP/1.1, or knows nothing of ALPN: 502 with a reason, and no request goes out.
#[test]
fn h2_without_h2_is_502() {
    for alpn in [&["http/1.1"][..], &[]] {
        let origin = tls_origin(alpn).serve(|_| ok("smuggled"));
        let gateway = Config::to(&origin).upstream(SECURE).upstream("protocol = \"h2\"").start();
        for mut caller in Caller::both(&gateway) {
            caller.get("/");
            caller.told().assert_failure(502);
        }
        assert_eq!(origin.take_requests().len(), 0);
        assert_eq!(gateway.access_of("/")["reason"], "upstream_tls", "{alpn:?}");
    }
}

/// `auto` and `h1` in clear speak HTTP/1.1, without any byte of HTTP/2 in front.
#[test]
fn auto_in_clear_is_http_1() {
    for lines in ["", "protocol = \"auto\"", "protocol = \"h1\""] {
        let origin = Origin::new();
        let gateway = Config::to(&origin).upstream(lines).start();
        for mut caller in Caller::both(&gateway) {
            caller.get("/");
            let (mut peer, request) = origin.accept_request();
            assert_eq!(request.version, "HTTP/1.1");
            peer.send([ok("x"), Vec::new()].concat());
            assert_eq!(caller.told().whole(), (200, "x".to_owned()));
            drop(peer);
        }
    }
}

/// `h2c` begins with the preface at once, without asking to upgrade.
#[test]
fn h2c_begins_with_the_preface() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send(get("/"));
    let mut wire = origin.accept_raw();
    wire.expect_bytes(PREFACE);
    let mut peer = H2::raw(wire);
    peer.settings(&[]);
    peer.expect_settings();
    let request = whole_request(&mut peer);
    peer.answer(request.stream, 200, "x");
    assert_eq!(client.read_response().text(), "x");
}

/// Endpoints of one upstream may speak different versions.
#[test]
fn endpoints_may_differ() {
    let one = tls_origin(&["http/1.1"]).serve(|_| ok("h1"));
    let two = H2Origin::tls(&["h2"]).serve(|_| Answer::ok("h2"));
    let gateway = Config::to_all(&[&one, &two]).upstream(SECURE).start();
    for mut caller in Caller::both(&gateway) {
        let mut said: Vec<String> = (0..4).map(|_| caller.fetch("/").whole().1).collect();
        said.sort();
        assert_eq!(said, ["h1", "h1", "h2", "h2"]);
    }
    assert_eq!((one.connections(), two.connections()), (1, 1));
}

/// Two upstreams that differ in `protocol` alone share no connection.
#[test]
fn protocols_share_no_connection() {
    let origin = tls_origin(&["h2", "http/1.1"]);
    let more = format!(
        "[[upstream]]\nname = \"old\"\nendpoints = [{:?}]\n{SECURE}\nprotocol = \"h1\"\n\
         [[route]]\nname = \"old\"\npath = \"/old\"\nupstream = \"old\"",
        origin.url()
    );
    let gateway = Config::to(&origin).upstream(SECURE).more(&more).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let mut peer = H2::accept(&origin);
    let request = whole_request(&mut peer);
    peer.answer(request.stream, 200, "new");
    assert_eq!(client.read_response().text(), "new");
    client.send(get("/old"));
    let (mut old, request) = origin.accept_request();
    assert_eq!((request.version.as_str(), chosen(&old).as_deref()), ("HTTP/1.1", Some("http/1.1")));
    old.send(ok("old"));
    assert_eq!(client.read_response().text(), "old");
}

/// A reload that changes `protocol` is followed by new requests.
#[test]
fn a_reload_may_change_the_protocol() {
    let origin = tls_origin(&["h2", "http/1.1"]);
    let config = Config::to(&origin).upstream(SECURE);
    let gateway = config.start();
    let mut client = gateway.client();
    client.send(get("/"));
    let mut peer = H2::accept(&origin);
    let request = whole_request(&mut peer);
    peer.answer(request.stream, 200, "new");
    assert_eq!(client.read_response().text(), "new");
    assert!(gateway.reload(&config.upstream("protocol = \"h1\"").toml()).0);
    client.send(get("/"));
    let (mut old, request) = origin.accept_request();
    assert_eq!(request.version, "HTTP/1.1");
    old.send(ok("old"));
    assert_eq!(client.read_response().text(), "old");
}

/// An origin that offered HTTP/2 once and now only HTTP/1.1 is spoken to in what it offers.
#[test]
fn an_origin_may_change_its_mind() {
    let port = ReservedPort::new();
    let gateway = Config::to(&format!("https://{}", port.address)).upstream(SECURE).start();
    let pair = Authority::new().pair(&["127.0.0.1"]);
    for alpn in [&b"h2"[..], b"http/1.1", b"h2"] {
        let mut config = std::sync::Arc::unwrap_or_clone(pair.server());
        config.alpn_protocols = vec![alpn.to_vec()];
        let origin = port.listen_tls(std::sync::Arc::new(config));
        let mut client = gateway.client();
        client.send(get("/"));
        if alpn == b"h2" {
            let mut peer = H2::accept(&origin);
            drop(origin);
            let request = whole_request(&mut peer);
            peer.answer(request.stream, 200, "x");
            assert_eq!(client.read_response().text(), "x");
            goodbye(peer);
        } else {
            let (mut peer, _) = origin.accept_request();
            drop(origin);
            peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx");
            assert_eq!(client.read_response().text(), "x");
        }
    }
}

/// Everything speaks HTTP/2 over TLS: client, gateway and origin.
#[test]
fn http_2_on_both_sides_over_tls() {
    let authority = Authority::new();
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let (cert, key) = authority.pair(&["t.test"]).write(dir.path(), "t");
    let table = format!("[[listener.tls]]\ncert = {:?}\nkey = {:?}\n", text(&cert), text(&key));
    let origin = H2Origin::tls(&["h2"]).serve(|request| Answer::ok(brief(request)));
    let gateway = origin.config().listener(&table).start_in(dir);
    let mut client = H2::connect_tls(&gateway, &authority, "t.test");
    for number in 0..20_u32 {
        let answer = client.fetch(number * 2 + 1, &format!("/{number}"));
        assert_eq!(answer.whole(), (200, format!("GET /{number}")));
    }
    let request = &origin.take_requests()[0];
    assert_eq!((request.field(":scheme"), request.field("x-forwarded-proto")), (Some("https"), Some("https")));
    assert_eq!(origin.connections(), 1);
}

/// The access log names the endpoint and what went wrong, as for HTTP/1.1.
#[test]
fn the_log_says_the_same() {
    let origin = H2Origin::clear().serve(|request| match request.field(":path") {
        Some("/bad") => Answer::status(200).field("x bad", "1"),
        Some("/reset") => Answer::reset(INTERNAL_ERROR),
        _ => Answer::ok("four"),
    });
    let gateway = origin.config().start();
    let mut caller = Caller::h1(&gateway);
    for path in ["/good", "/bad", "/reset"] {
        caller.post(path, "x");
        caller.told();
    }
    let good = gateway.access_of("/good");
    assert_eq!((&good["status"], &good["bytes_sent"], &good["bytes_received"]), (&200.into(), &4.into(), &1.into()));
    assert!(good["reason"].is_null() && good["upstream"] == "origin", "{good}");
    assert_eq!(gateway.access_of("/bad")["reason"], "upstream_bad_response");
    let reset = gateway.access_of("/reset");
    assert!(reset["reason"].as_str().is_some_and(|reason| reason.starts_with("upstream_")), "{reset}");
}
