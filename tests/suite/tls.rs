//! TLS on both sides: versions, names, certificates swapped while serving, handshakes that fail or hang.

use std::sync::Arc;

use tempfile::TempDir;

use super::harness::tls::{connect, shown};
use super::harness::*;

/// A folder with a pair for these names under `NAME.pem` and `NAME.key`.
fn folder(authority: &Authority, pairs: &[(&str, &[&str])]) -> TempDir {
    let dir = TempDir::new().expect("a scratch folder");
    for (file, names) in pairs {
        authority.pair(names).write(dir.path(), file);
    }
    dir
}

/// The table of a pair in that folder; relative paths are the folder's of the configuration file.
fn table(dir: &TempDir, name: &str) -> String {
    let path = |end: &str| dir.path().join(format!("{name}.{end}"));
    format!("[[listener.tls]]\ncert = {:?}\nkey = {:?}\n", text(&path("pem")), text(&path("key")))
}

/// A gateway that speaks TLS as `t.test`, and a client configuration that trusts it.
fn secure(origin: &impl config::Endpoint, lines: &str) -> (Gateway, Authority) {
    let authority = Authority::new();
    let dir = folder(&authority, &[("t", &["t.test"])]);
    let config = Config::to(origin).listener(lines).listener(&table(&dir, "t"));
    (config.start_in(dir), authority)
}

/// A request over TLS is served and the origin is told the scheme.
#[test]
fn a_request_over_tls_is_served() {
    let origin = Origin::new().serve(|request| ok(request.brief()));
    let (gateway, authority) = secure(&origin, "");
    assert_eq!(gateway.ready.schemes, ["https"]);
    let mut client = connect(gateway.address(), "t.test", &Arc::new(authority.client())).expect("a handshake");
    for number in 0..3 {
        client.send(post(&format!("/{number}"), "hello"));
        assert_eq!(client.read_response().text(), format!("POST /{number} hello"));
    }
    assert_eq!(origin.take_requests()[0].field("x-forwarded-proto"), Some("https"));
}

/// Both TLS 1.2 and TLS 1.3 are spoken, each with http/1.1 by ALPN.
#[test]
fn both_versions_are_spoken() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (gateway, authority) = secure(&origin, "");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut config = authority.client_of(&[version]);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut client = connect(gateway.address(), "t.test", &Arc::new(config)).expect("a handshake");
        let wire::Wire::Client(tls) = &client.wire else { panic!("a TLS client") };
        assert_eq!(tls.conn.protocol_version(), Some(version.version));
        assert_eq!(tls.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        client.send(get("/"));
        assert_eq!(client.read_response().status, 200);
    }
}

/// A client that offers http/1.0 alone by ALPN, as those of HTTP/1.0 do, is served; http/1.1 goes first where it is there.
#[test]
fn clients_of_http_1_0_are_served() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (gateway, authority) = secure(&origin, "");
    for (offered, chosen) in [(vec!["http/1.0"], "http/1.0"), (vec!["http/1.0", "http/1.1"], "http/1.1")] {
        let mut config = authority.client();
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut client = connect(gateway.address(), "t.test", &Arc::new(config)).expect("a handshake");
        let wire::Wire::Client(tls) = &client.wire else { panic!("a TLS client") };
        assert_eq!(tls.conn.alpn_protocol(), Some(chosen.as_bytes()));
        client.send("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(client.read_response().status, 200);
    }
}

/// An RSA certificate serves as well as an ECDSA one.
#[test]
fn an_rsa_certificate_serves() {
    let authority = Authority::new();
    let dir = TempDir::new().expect("a scratch folder");
    authority.pair_with(&["t.test"], &rcgen::PKCS_RSA_SHA256).write(dir.path(), "rsa");
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).listener(&table(&dir, "rsa")).start_in(dir);
    let mut client = connect(gateway.address(), "t.test", &Arc::new(authority.client())).expect("a handshake");
    client.send(get("/"));
    assert_eq!(client.read_response().status, 200);
}

/// The certificate is chosen by name: exact, wildcard of one label, and the first one for all others.
#[test]
fn the_certificate_is_chosen_by_name() {
    let authority = Authority::new();
    let dir =
        folder(&authority, &[("first", &["a.test", "other.test"]), ("wild", &["*.b.test"]), ("exact", &["x.b.test"])]);
    let origin = Origin::new().serve(|_| ok("x"));
    let pem = |name: &str| std::fs::read_to_string(dir.path().join(format!("{name}.pem"))).expect("a file of the test");
    let pems: Vec<String> = ["first", "wild", "exact"].into_iter().map(pem).collect();
    let tables: String = ["first", "wild", "exact"].into_iter().map(|name| table(&dir, name)).collect();
    let gateway = Config::to(&origin).listener(&tables).start_in(dir);
    let client = Arc::new(authority.client());
    for (name, which) in [("a.test", 0), ("y.b.test", 1), ("x.b.test", 2), ("X.B.test", 2), ("other.test", 0)] {
        let connection = connect(gateway.address(), name, &client).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(pem_der(&pems[which]), shown(&connection), "{name}");
    }
    assert!(connect(gateway.address(), "z.y.b.test", &client).is_err(), "a wildcard covers one label");
}

fn pem_der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate").to_vec()
}

/// A changed pair is served to new connections without a restart; running ones go on.
#[test]
fn a_changed_pair_is_taken_up() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (gateway, authority) = secure(&origin, "");
    let client = Arc::new(fresh(authority.client()));
    let mut running = connect(gateway.address(), "t.test", &client).expect("a handshake");
    let next = authority.pair(&["t.test"]);
    next.write(gateway.dir.path(), "t");
    eventually("the new certificate is shown", || {
        connect(gateway.address(), "t.test", &client).is_ok_and(|connection| shown(&connection) == next.der())
    });
    running.send(get("/"));
    assert_eq!(running.read_response().status, 200);
}

/// A client that never resumes, so that each handshake shows the certificate anew.
fn fresh(mut config: rustls::ClientConfig) -> rustls::ClientConfig {
    config.resumption = rustls::client::Resumption::disabled();
    config
}

/// A changed pair that is broken is refused with a line that names the file, and the old one serves on.
#[test]
fn a_broken_pair_keeps_the_old_one() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (gateway, authority) = secure(&origin, "");
    let client = Arc::new(fresh(authority.client()));
    let before = shown(&connect(gateway.address(), "t.test", &client).expect("a handshake"));
    std::fs::write(gateway.dir.path().join("t.pem"), "-----BEGIN RUBBISH-----\n").expect("a file of the test");
    let line = gateway.err.wait("t.pem");
    assert!(!line.is_empty());
    assert_eq!(shown(&connect(gateway.address(), "t.test", &client).expect("a handshake")), before);
}

/// A session is resumed by its ticket.
#[test]
fn sessions_are_resumed() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (gateway, authority) = secure(&origin, "");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = Arc::new(authority.client_of(&[version]));
        for round in 0..2 {
            let mut connection = connect(gateway.address(), "t.test", &client).expect("a handshake");
            connection.send(get("/"));
            assert_eq!(connection.read_response().status, 200);
            let wire::Wire::Client(tls) = &connection.wire else { panic!("a TLS client") };
            let resumed = tls.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            assert_eq!(resumed, round == 1, "{version:?}");
        }
    }
}

/// The end of an answer without a length is told by close_notify, not by a cut.
#[test]
fn the_end_is_told_by_close_notify() {
    let origin = Origin::new();
    let (gateway, authority) = secure(&origin, "");
    let mut client = connect(gateway.address(), "t.test", &Arc::new(authority.client())).expect("a handshake");
    client.send("GET / HTTP/1.0\r\n\r\n");
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\n\r\nall of it");
    drop(peer);
    let response = client.read_response();
    assert_eq!((response.text().as_str(), response.body.cut), ("all of it", None));
}

/// A cut answer ends without close_notify where its end is told by nothing else.
#[test]
fn a_cut_answer_over_tls_is_cut() {
    let origin = Origin::new();
    let (gateway, authority) = secure(&origin, "");
    let mut client = connect(gateway.address(), "t.test", &Arc::new(authority.client())).expect("a handshake");
    client.send("GET / HTTP/1.0\r\n\r\n");
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
    let response = client.read_response_head();
    peer.reset();
    let response = client.finish_response(response, false);
    assert!(
        response.body.cut.is_some(),
        "a client that reads until the end must not take this for whole: {response:?}"
    );
}

/// Large bodies pass both ways over TLS.
#[test]
fn large_bodies_pass_over_tls() {
    let origin = Origin::new().serve(|request| ok(&request.body.bytes));
    let (gateway, authority) = secure(&origin, "");
    let body: Vec<u8> = (0..2_000_000_u32).map(|i| (i / 7) as u8).collect();
    let mut client = connect(gateway.address(), "t.test", &Arc::new(authority.client())).expect("a handshake");
    client.send(format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n", body.len()));
    client.send(&body);
    assert!(client.read_response().body.bytes == body);
}

/// Events are not held back by TLS, and a client that leaves is noticed.
#[test]
fn streams_pass_over_tls_and_leaving_is_noticed() {
    let origin = Origin::new();
    let (gateway, authority) = secure(&origin, "");
    let mut client = connect(gateway.address(), "t.test", &Arc::new(authority.client())).expect("a handshake");
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.read_response_head();
    let mut body = Body::default();
    for number in 0..10 {
        let event = format!("data: {number}\n\n").into_bytes();
        peer.send(chunk(&event));
        assert_eq!(client.next_chunk(&mut body), Ok(Some(event)));
    }
    drop(client);
    assert!(peer.wait_gone() < 1_000);
}

/// A plain request on a TLS listener ends the connection and hurts nobody else.
#[test]
fn a_plain_request_on_a_tls_listener_is_ended() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (gateway, authority) = secure(&origin, "");
    let mut plain = gateway.client();
    plain.send(get("/"));
    assert_ne!(plain.rest().1, End::Silent);
    let mut client = connect(gateway.address(), "t.test", &Arc::new(authority.client())).expect("a handshake");
    client.send(get("/"));
    assert_eq!(client.read_response().status, 200);
    assert_eq!(origin.connections(), 1);
}

/// A handshake that never comes is ended after its time.
#[test]
fn a_silent_handshake_is_ended() {
    let origin = Origin::new();
    let (gateway, _authority) = secure(&origin, "handshake_timeout = \"200ms\"");
    let mut silent = gateway.client();
    assert!(silent.wait_gone() < 2_000);
    let mut half = gateway.client();
    half.send(b"\x16\x03\x01\x02\x00\x01\x00");
    assert!(half.wait_gone() < 2_000);
}

/// An https upstream is verified by its CA file and asked by its name.
#[test]
fn an_https_upstream_is_verified() {
    let authority = Authority::new();
    let dir = TempDir::new().expect("a scratch folder");
    let ca = authority.write(dir.path());
    let origin = Origin::tls(authority.pair(&["api.test"]).server()).serve(|request| ok(request.brief()));
    let lines = format!("ca = {:?}\nsni = \"api.test\"\nhost = \"api.test\"", text(&ca));
    let gateway = Config::to(&origin).upstream(&lines).start_in(dir);
    for number in 0..3 {
        assert_eq!(gateway.get(&format!("/{number}")).text(), format!("GET /{number}"));
    }
    assert_eq!(origin.connections(), 1, "TLS connections are pooled too");
}

/// A certificate for another name is refused with 502.
#[test]
fn a_wrong_name_upstream_is_refused() {
    let authority = Authority::new();
    let dir = TempDir::new().expect("a scratch folder");
    let ca = authority.write(dir.path());
    let origin = Origin::tls(authority.pair(&["other.test"]).server()).serve(|_| ok("x"));
    let lines = format!("ca = {:?}\nsni = \"api.test\"", text(&ca));
    let gateway = Config::to(&origin).upstream(&lines).start_in(dir);
    gateway.get("/").assert_failure(502);
    assert_eq!(origin.take_requests().len(), 0);
}

/// `insecure = true` takes any certificate, and says so at start.
#[test]
fn insecure_takes_any_certificate_and_warns() {
    let origin = Origin::tls(Authority::new().pair(&["other.test"]).server()).serve(|_| ok("x"));
    let gateway = Config::to(&origin).upstream("insecure = true").start();
    assert_eq!(gateway.get("/").status, 200);
    gateway.err.wait("insecure");
}

/// An https upstream that ends an unmeasured answer without close_notify has cut it.
#[test]
fn an_upstream_without_close_notify_has_cut() {
    let authority = Authority::new();
    let dir = TempDir::new().expect("a scratch folder");
    let ca = authority.write(dir.path());
    let origin = Origin::tls(authority.pair(&["127.0.0.1"]).server());
    let gateway = Config::to(&origin).upstream(&format!("ca = {:?}", text(&ca))).start_in(dir);
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\n\r\npart");
    let response = client.read_response_head();
    // Closing the socket alone sends FIN without close_notify.
    peer.tcp().shutdown(std::net::Shutdown::Both).expect("shutdown");
    let response = client.finish_response(response, false);
    assert!(response.body.cut.is_some(), "{response:?}");
}

/// Many handshakes at once are all served.
#[test]
fn many_handshakes_are_served() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (gateway, authority) = secure(&origin, "");
    let client = Arc::new(authority.client());
    let mut connections: Vec<Connection> =
        (0..40).map(|_| connect(gateway.address(), "t.test", &client).expect("a handshake")).collect();
    connections.iter_mut().for_each(|connection| connection.send(get("/")));
    connections.iter_mut().for_each(|connection| assert_eq!(connection.read_response().status, 200));
}
