//! PROXY protocol v1 and v2 on a listener: the header is required, read strictly, and believed.

use super::harness::*;

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn gateway(origin: &Serving) -> Gateway {
    Config::to(origin).listener("proxy_protocol = true").start()
}

/// What the origin is told of the client when the connection starts with these bytes; `None` where it is refused.
fn told(gateway: &Gateway, origin: &Serving, header: &[u8]) -> Option<String> {
    let mut client = gateway.client();
    client.send([header, get("/").as_bytes()].concat());
    let head = client.try_head().ok()?;
    assert_eq!(Response::of(head).status, 200);
    origin.take_requests().pop()?.field("x-forwarded-for").map(str::to_owned)
}

/// A v2 header: command, family and protocol, addresses.
fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length = (addresses.len() as u16).to_be_bytes();
    [V2, &[0x20 | command, family], &length, addresses].concat()
}

/// Addresses of a v2 header over TCP and IPv4.
fn v4(client: [u8; 4]) -> Vec<u8> {
    [&client[..], &[127, 0, 0, 1], &40_000_u16.to_be_bytes(), &80_u16.to_be_bytes()].concat()
}

/// Version 1 names the client, over IPv4 and IPv6.
#[test]
fn version_1_names_the_client() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = gateway(&origin);
    let told = |header: &str| told(&gateway, &origin, header.as_bytes());
    assert_eq!(told("PROXY TCP4 203.0.113.9 127.0.0.1 40000 80\r\n").as_deref(), Some("203.0.113.9"));
    assert_eq!(told("PROXY TCP6 2001:db8::9 ::1 40000 80\r\n").as_deref(), Some("2001:db8::9"));
}

/// Version 1 with UNKNOWN leaves the peer's own address.
#[test]
fn an_unknown_client_is_the_peer() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = gateway(&origin);
    assert_eq!(told(&gateway, &origin, b"PROXY UNKNOWN\r\n").as_deref(), Some("127.0.0.1"));
    assert_eq!(told(&gateway, &origin, b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n").as_deref(), Some("127.0.0.1"));
}

/// Version 2 names the client, over IPv4 and IPv6, extensions passed over.
#[test]
fn version_2_names_the_client() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = gateway(&origin);
    let header = v2(1, 0x11, &v4([203, 0, 113, 7]));
    assert_eq!(told(&gateway, &origin, &header).as_deref(), Some("203.0.113.7"));
    let with_extension = v2(1, 0x11, &[&v4([203, 0, 113, 8])[..], &[0x04, 0, 3, 1, 2, 3]].concat());
    assert_eq!(told(&gateway, &origin, &with_extension).as_deref(), Some("203.0.113.8"));
    let client: std::net::Ipv6Addr = "2001:db8::7".parse().expect("an address");
    let six = [&client.octets()[..], &client.octets(), &[1, 1, 0, 80]].concat();
    assert_eq!(told(&gateway, &origin, &v2(1, 0x21, &six)).as_deref(), Some("2001:db8::7"));
}

/// Version 2 with LOCAL, as health checks of balancers send it, leaves the peer's own address.
#[test]
fn a_local_connection_is_the_peer() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = gateway(&origin);
    assert_eq!(told(&gateway, &origin, &v2(0, 0, &[])).as_deref(), Some("127.0.0.1"));
}

/// The header may come byte by byte.
#[test]
fn the_header_may_come_in_pieces() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = gateway(&origin);
    let one = b"PROXY TCP4 203.0.113.9 127.0.0.1 40000 80\r\n".to_vec();
    for header in [one, v2(1, 0x11, &v4([203, 0, 113, 9]))] {
        let mut client = gateway.client();
        for byte in [&header[..], get("/").as_bytes()].concat() {
            client.send([byte]);
        }
        assert_eq!(client.read_response().status, 200);
        assert_eq!(origin.take_requests()[0].field("x-forwarded-for"), Some("203.0.113.9"));
    }
}

/// A connection without a header, or with a wrong one, is closed without an answer, and no request of it passes.
#[test]
fn wrong_headers_are_closed() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = gateway(&origin);
    let long = format!("PROXY TCP4 {} 127.0.0.1 1 2\r\n", "1".repeat(200));
    let wrong: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"PROXY\r\n".to_vec(),
        b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
        b"PROXY TCP4 1.2.3.4\r\n".to_vec(),
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n".to_vec(),
        b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n".to_vec(),
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n".to_vec(),
        b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n".to_vec(),
        b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(),
        b"PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n".to_vec(),
        b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
        long.into_bytes(),
        [V2, &[0x11, 0x11, 0, 12], &v4([1, 2, 3, 4])].concat(),
        [V2, &[0x2f, 0x11, 0, 12], &v4([1, 2, 3, 4])].concat(),
        v2(1, 0x11, &[1, 2, 3]),
        v2(1, 0x21, &v4([1, 2, 3, 4])),
    ];
    for header in &wrong {
        let mut client = gateway.client();
        // The gateway may close before all is written.
        drop(client.try_send(&[&header[..], get("/").as_bytes()].concat()));
        let (bytes, end) = client.rest();
        assert_ne!(end, End::Silent, "{:?}", String::from_utf8_lossy(header));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 400"),
            "{text:?} for {:?}",
            String::from_utf8_lossy(header)
        );
    }
    assert_eq!(told(&gateway, &origin, b"PROXY UNKNOWN\r\n").as_deref(), Some("127.0.0.1"));
    assert!(origin.take_requests().is_empty());
}

/// A header that never comes is given up after the time of a handshake.
#[test]
fn a_missing_header_is_given_up() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("proxy_protocol = true\nhandshake_timeout = \"200ms\"").start();
    let mut silent = gateway.client();
    assert!(silent.wait_gone() < 2_000);
    let mut half = gateway.client();
    half.send("PROXY TCP4 1.2.");
    assert!(half.wait_gone() < 2_000);
}

/// Without the setting the header is a malformed request: nobody may choose an address for himself.
#[test]
fn without_the_setting_the_header_is_refused() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    for header in [b"PROXY TCP4 203.0.113.9 127.0.0.1 40000 80\r\n".to_vec(), v2(1, 0x11, &v4([1, 2, 3, 4]))] {
        let mut client = gateway.client();
        client.send([&header[..], get("/").as_bytes()].concat());
        client.read_response().assert_failure(400);
    }
    origin.expect_no_connection();
}

/// The header stands in front of TLS.
#[test]
fn the_header_stands_in_front_of_tls() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (authority, dir) = (Authority::new(), tempfile::TempDir::new().expect("a scratch folder"));
    let (cert, key) = authority.pair(&["t.test"]).write(dir.path(), "t");
    let lines = format!("proxy_protocol = true\n[[listener.tls]]\ncert = {:?}\nkey = {:?}", text(&cert), text(&key));
    let gateway = Config::to(&origin).listener(&lines).start_in(dir);
    let config = std::sync::Arc::new(authority.client());
    let mut client =
        tls::connect_behind(gateway.address(), "t.test", &config, b"PROXY TCP4 203.0.113.9 127.0.0.1 4 8\r\n")
            .expect("a handshake");
    client.send(get("/"));
    assert_eq!(client.read_response().status, 200);
    assert_eq!(origin.take_requests()[0].field("x-forwarded-for"), Some("203.0.113.9"));
}
