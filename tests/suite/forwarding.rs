//! Who the client is, told to the origin: X-Forwarded-*, Forwarded (RFC 7239), X-Request-Id, and whom to believe.

use super::harness::*;

/// What the origin saw of a request sent through a gateway with these server lines.
fn seen(server: &[&str], fields: &str) -> message::Request {
    let origin = Origin::new().serve(|_| ok("x"));
    let config = server.iter().fold(Config::to(&origin), |config, line| config.server(line));
    let gateway = config.start();
    let mut client = gateway.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: shop.example:8080\r\n{fields}\r\n"));
    assert_eq!(client.read_response().status, 200);
    origin.take_requests().remove(0)
}

const TRUST: &str = "trusted_peers = [\"127.0.0.0/8\"]";

/// By default the origin is told address, scheme and host of the client.
#[test]
fn the_origin_is_told_who_asks() {
    let request = seen(&[], "");
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-host"), Some("shop.example:8080"));
    assert_eq!(request.field("forwarded"), None);
}

/// What a stranger says about itself is replaced, in every form.
#[test]
fn a_stranger_is_not_believed() {
    let lies = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\n\
                X-Request-Id: chosen-by-a-stranger\r\n";
    let request = seen(&[], lies);
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-host"), Some("shop.example:8080"));
    assert_eq!(request.field("forwarded"), None);
    assert_ne!(request.field("x-request-id"), Some("chosen-by-a-stranger"));
}

/// A trusted peer is believed, and its own address is added behind.
#[test]
fn a_trusted_peer_is_believed() {
    let told = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example\r\n\
                X-Request-Id: from-the-edge-1\r\n";
    let request = seen(&[TRUST], told);
    assert_eq!(request.head.all("x-forwarded-for").join(", "), "203.0.113.7, 127.0.0.1");
    assert_eq!(request.field("x-forwarded-proto"), Some("https"));
    assert_eq!(request.field("x-forwarded-host"), Some("public.example"));
    assert_eq!(request.field("x-request-id"), Some("from-the-edge-1"));
}

/// A trusted peer that says nothing changes nothing.
#[test]
fn a_trusted_peer_that_is_silent_changes_nothing() {
    let request = seen(&[TRUST], "");
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
}

/// A peer outside of the trusted ranges is a stranger though others are trusted.
#[test]
fn trust_is_by_range() {
    let request = seen(&["trusted_peers = [\"10.0.0.0/8\", \"2001:db8::/32\"]"], "X-Forwarded-For: 6.6.6.6\r\n");
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
}

/// `forwarded = "forwarded"` writes RFC 7239 instead, quoted where it must be.
#[test]
fn the_standard_field_instead() {
    let request = seen(&["forwarded = \"forwarded\""], "");
    let value = request.field("forwarded").expect("Forwarded is set").to_ascii_lowercase();
    assert!(value.contains("for=127.0.0.1") && value.contains("proto=http"), "{value}");
    assert!(value.contains("host=\"shop.example:8080\""), "RFC 7239 §4: a colon needs quotes: {value}");
    assert_eq!(request.field("x-forwarded-for"), None);
}

/// `forwarded = "both"` writes both.
#[test]
fn both_forms() {
    let request = seen(&["forwarded = \"both\""], "");
    assert!(request.field("forwarded").is_some() && request.field("x-forwarded-for").is_some());
}

/// `forwarded = "off"` tells nothing, and passes nothing on from strangers.
#[test]
fn neither_form() {
    let request = seen(&["forwarded = \"off\""], "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n");
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"] {
        assert_ne!(request.head.all(name).join(","), "6.6.6.6", "{name}");
        assert!(!request.head.all(name).join(",").contains("6.6.6.6"), "{name}");
    }
}

/// Each request has an id of its own, and client and origin are told the same one.
#[test]
fn each_request_has_an_id() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    let mut ids = std::collections::HashSet::new();
    for _ in 0..20 {
        client.send(get("/"));
        let response = client.read_response();
        let id = response.field("x-request-id").expect("an id").to_owned();
        assert!(id.len() >= 8 && id.bytes().all(|b| b.is_ascii_graphic()), "{id:?}");
        assert_eq!(origin.take_requests()[0].field("x-request-id"), Some(id.as_str()));
        assert!(ids.insert(id), "each id comes once");
    }
}

/// An id that a trusted peer sends is taken only when it is harmless in a log line.
#[test]
fn an_odd_id_is_not_taken() {
    for odd in ["a b\"c", &"x".repeat(3_000)] {
        let request = seen(&[TRUST], &format!("X-Request-Id: {odd}\r\n"));
        assert_ne!(request.field("x-request-id"), Some(odd));
    }
}

/// Answers that the gateway makes itself carry the id too.
#[test]
fn failures_carry_an_id() {
    let port = ReservedPort::new();
    let gateway = Config::to(&format!("http://{}", port.address)).start();
    gateway.get("/").assert_failure(502);
}
