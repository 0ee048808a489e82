//! What heads, interim answers and trailers carry: the route's edits reach everything, strangers' words reach nothing.

use super::*;

/// Edits of a route reach the fields that the gateway writes itself: `set` wins over them, `remove` leaves none.
#[test]
fn edits_reach_the_gateways_own_fields() {
    let origin = Origin::new().serve(|_| ok("x"));
    let set = "set = { \"x-forwarded-for\" = \"203.0.113.1\", \"x-forwarded-proto\" = \"gopher\", \
               \"x-forwarded-host\" = \"set.test\", via = \"1.1 set\", \"x-request-id\" = \"set-id\" }";
    let down = "set = { via = \"1.1 down\", \"x-request-id\" = \"down-id\", date = \"Thu, 01 Jan 1970 00:00:00 GMT\" }";
    let gateway = Config::to(&origin).route(&format!("[route.request]\n{set}\n[route.response]\n{down}")).start();
    let response = gateway.get("/set");
    let seen = origin.take_requests().remove(0);
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.1"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "set.test"),
        ("via", "1.1 set"),
        ("x-request-id", "set-id"),
    ] {
        assert_eq!(seen.field(name), Some(value), "{name}");
    }
    for (name, value) in [("via", "1.1 down"), ("x-request-id", "down-id"), ("date", "Thu, 01 Jan 1970 00:00:00 GMT")] {
        assert_eq!(response.field(name), Some(value), "{name}");
    }
    let names = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via", "x-request-id"];
    let edits = format!(
        "[route.request]\nremove = {names:?}\n[route.response]\nremove = [\"Via\", \"x-request-id\", \"date\"]"
    );
    let gateway = Config::to(&origin).route(&edits).start();
    let response = gateway.get("/removed");
    let seen = origin.take_requests().remove(0);
    names.iter().for_each(|name| assert_eq!(seen.field(name), None, "{name}"));
    ["via", "x-request-id", "date"].iter().for_each(|name| assert_eq!(response.field(name), None, "{name}"));
}

/// A PROXY header that names a trusted address is not believed when an untrusted socket says it; both must be trusted.
#[test]
fn a_proxy_header_lends_no_trust() {
    for (trusted, believed) in [("10.0.0.0/8", false), ("127.0.0.0/8", false), ("10.0.0.0/8\", \"127.0.0.0/8", true)] {
        let origin = Origin::new().serve(|_| ok("x"));
        let config = Config::to(&origin).server(&format!("trusted_peers = [\"{trusted}\"]"));
        let gateway = config.listener("proxy_protocol = true").start();
        let mut client = gateway.client();
        client.send(
            "PROXY TCP4 10.1.2.3 127.0.0.1 40000 80\r\nGET / HTTP/1.1\r\nhost: t\r\nx-forwarded-for: 6.6.6.6\r\n\
             x-request-id: chosen\r\nx-forwarded-proto: https\r\n\r\n",
        );
        assert_eq!(client.read_response().status, 200);
        let seen = origin.take_requests().remove(0);
        let (chain, proto) = if believed { ("6.6.6.6, 10.1.2.3", "https") } else { ("10.1.2.3", "http") };
        assert_eq!(seen.field("x-forwarded-for"), Some(chain), "trusted: {trusted}");
        assert_eq!(seen.field("x-forwarded-proto"), Some(proto), "trusted: {trusted}");
        assert_eq!(seen.field("x-request-id") == Some("chosen"), believed, "trusted: {trusted}");
    }
}

/// Names with underscores that CGI-like origins would read as guarded ones are dropped; others pass.
#[test]
fn twins_with_underscores_are_dropped() {
    let origin = Origin::new().serve(|_| ok("x"));
    let route = "[route.request]\nset = { \"x-user\" = \"7\" }\nremove = [\"x-internal\"]";
    let gateway = Config::to(&origin).route(route).start();
    let twins = [
        "X_Forwarded_For",
        "X-Forwarded_For",
        "x_forwarded-proto",
        "X_FORWARDED_HOST",
        "X_Request_Id",
        "X_Real_IP",
        "Content_Length",
        "Transfer_Encoding",
        "Proxy_Authorization",
        "X_User",
        "X_Internal",
    ];
    let fields: String = twins.iter().map(|name| format!("{name}: 6\r\n")).collect();
    let mut client = gateway.client();
    client.send(format!("GET / HTTP/1.1\r\nhost: t\r\n{fields}X_Other: kept\r\n_: kept\r\n\r\n"));
    assert_eq!(client.read_response().status, 200);
    let seen = origin.take_requests().remove(0);
    twins.iter().for_each(|name| assert_eq!(seen.head.all(name), [""; 0], "{name}"));
    assert_eq!((seen.field("x_other"), seen.field("_"), seen.field("x-user")), (Some("kept"), Some("kept"), Some("7")));
}

/// Interim answers obey the route's edits.
#[test]
fn interim_answers_obey_edits() {
    let origin = Origin::new();
    let route = "[route.response]\nremove = [\"link\"]\nset = { \"x-set\" = \"route\" }";
    let gateway = Config::to(&origin).route(route).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 103 Early Hints\r\nLink: <secret>\r\nX-Set: origin\r\nX-Kept: 1\r\n\r\n");
    peer.send("HTTP/1.1 200 OK\r\nLink: <secret>\r\nX-Set: origin\r\nContent-Length: 0\r\n\r\n");
    let hints = client.read_response();
    assert_eq!((hints.status, hints.field("link"), hints.field("x-kept")), (103, None, Some("1")));
    assert_ne!(hints.field("x-set"), Some("origin"));
    let response = client.read_response();
    assert_eq!((response.status, response.field("link"), response.field("x-set")), (200, None, Some("route")));
}

/// Trailers obey the route's edits, both ways.
#[test]
fn trailers_obey_edits() {
    let origin = Origin::new();
    let route = "[route.request]\nremove = [\"x-up\"]\nset = { \"x-set\" = \"route\" }\n\
                 [route.response]\nremove = [\"X-Down\"]\nset = { \"x-set\" = \"route\" }";
    let gateway = Config::to(&origin).route(route).start();
    let mut client = gateway.client();
    client.send(
        "POST / HTTP/1.1\r\nhost: t\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Up: secret\r\n\
         X-Set: client\r\nX-Kept: 1\r\n\r\n",
    );
    let (mut peer, seen) = origin.accept_request();
    let kept = [("X-Kept".to_owned(), "1".to_owned())];
    assert_eq!((seen.brief().as_str(), &seen.body.trailers[..]), ("POST / hi", &kept[..]));
    peer.send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nho\r\n0\r\nx-down: secret\r\nX-Set: origin\r\n\
         X-Kept: 1\r\n\r\n",
    );
    let response = client.read_response();
    assert_eq!((response.text().as_str(), &response.body.trailers[..]), ("ho", &kept[..]));
}
