//! Addresses: who may come, by the peer and behind trusted proxies.

use super::*;

/// An address that is denied, or not allowed, is refused with 403 before anything else is looked at.
#[test]
fn lists_admit_and_refuse() {
    let origin = Origin::new().serve(|_| ok("in"));
    for (lines, status) in [
        ("deny = [\"127.0.0.0/8\"]", 403),
        ("allow = [\"10.0.0.0/8\"]", 403),
        ("allow = [\"127.0.0.1\"]", 200),
        ("allow = [\"127.0.0.0/8\"]\ndeny = [\"127.0.0.1\"]", 403),
        ("deny = [\"10.0.0.0/8\"]", 200),
    ] {
        let by_route = Config::to(&origin).route(lines).start();
        let by_server = Config::to(&origin).server(lines).start();
        for gateway in [by_route, by_server] {
            let response = gateway.get("/");
            assert_eq!(response.status, status, "{lines}");
            if status == 403 {
                response.assert_failure(403);
                assert!(response.text().contains("permission_error"));
            }
        }
    }
    // Both must admit.
    let both = Config::to(&origin).server("deny = [\"127.0.0.0/8\"]").route("allow = [\"127.0.0.1\"]").start();
    assert_eq!(both.get("/").status, 403);
}

/// Behind a trusted proxy the field that it writes tells the address, and no other field, and nobody else's word.
#[test]
fn behind_a_trusted_proxy_its_word_counts() {
    let origin = Origin::new().serve(|_| ok("in"));
    let config = |how: &str, trusted: &str| {
        let server = format!("client_address = {how:?}\ntrusted_peers = [{trusted:?}]");
        Config::to(&origin).server(&server).route("deny = [\"192.0.2.0/24\"]").start()
    };
    let asked = |gateway: &Gateway, fields: &[(&str, &str)]| outcome(gateway, &get_with("/seen", fields)).0;
    let gateway = config("x-forwarded-for", "127.0.0.1");
    assert_eq!(asked(&gateway, &[("x-forwarded-for", "198.51.100.1, 192.0.2.1")]), 403);
    assert_eq!(gateway.access_of("/seen")["client"], "192.0.2.1");
    assert_eq!(asked(&gateway, &[("x-forwarded-for", "192.0.2.1, 198.51.100.1")]), 200);
    assert_eq!(asked(&gateway, &[("forwarded", "for=192.0.2.1")]), 200, "the other field may be the client's own");
    let gateway = config("forwarded", "127.0.0.1");
    assert_eq!(asked(&gateway, &[("forwarded", "for=\"192.0.2.1:80\";proto=https, for=127.0.0.1")]), 403);
    for gateway in [config("x-forwarded-for", "10.0.0.1"), config("peer", "127.0.0.1")] {
        assert_eq!(asked(&gateway, &[("x-forwarded-for", "192.0.2.1")]), 200);
        assert_eq!(gateway.access_of("/seen")["client"], "127.0.0.1");
    }
}

/// A stored answer is not given to an address that may not come.
#[test]
fn the_cache_is_behind_the_lists() {
    let reply = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\nin";
    let origin = Origin::new().serve(move |_| reply.as_bytes().to_vec());
    let server = "client_address = \"x-forwarded-for\"\ntrusted_peers = [\"127.0.0.1\"]";
    let gateway = Config::to(&origin).server(server).route("deny = [\"192.0.2.0/24\"]").cache("").start();
    for _ in 0..3 {
        assert_eq!(outcome(&gateway, &get("/")).0, 200);
        assert_eq!(outcome(&gateway, &get_with("/", &[("x-forwarded-for", "192.0.2.7")])).0, 403);
    }
    assert_eq!(origin.take_requests().len(), 1);
}
