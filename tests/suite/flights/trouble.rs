//! Flights in which somebody leaves, the origin fails, the answer is purged, or the gateway is to end.

use rustix::process::Signal;

use super::*;

/// A flight whose answer has begun: head and the first half are sent, and every client has read them.
fn half_way(gateway: &Gateway, origin: &Origin, count: usize) -> (Connection, Vec<Connection>) {
    let (mut peer, mut all) = flight(gateway, origin, count, &get("/half"));
    peer.send(format!("{STORED}Content-Length: 10\r\n\r\nfirst"));
    for client in &mut all {
        assert_eq!(client.read_response_head().status, 200);
        client.expect_bytes("first");
    }
    (peer, all)
}

/// The first client leaves before the answer: the flight goes on for the others.
#[test]
fn the_first_client_may_leave_before_the_head() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut peer, mut all) = flight(&gateway, &origin, 4, &get("/"));
    drop(all.remove(0));
    eventually("it has left", || gateway.metric("ringway_exchanges_active", &[]) <= 3.0);
    peer.send(stored("for the others"));
    for client in &mut all {
        assert_eq!(client.read_response().text(), "for the others");
    }
    all[0].send(get("/"));
    assert!(cache_status(&all[0].read_response()).contains("hit"));
    origin.expect_no_connection();
}

/// The first client leaves in the middle of the answer: the others get all of it, and it is stored.
#[test]
fn the_first_client_may_leave_in_the_middle() {
    for reset in [false, true] {
        let origin = Origin::new();
        let gateway = Config::to(&origin).cache("").start();
        let (mut peer, mut all) = half_way(&gateway, &origin, 3);
        let leaving = all.remove(0);
        if reset {
            leaving.reset();
        } else {
            drop(leaving);
        }
        eventually("it has left", || gateway.metric("ringway_exchanges_active", &[]) <= 2.0);
        peer.send("other");
        for client in &mut all {
            client.expect_bytes("other");
        }
        all[0].send(get("/half"));
        let response = all[0].read_response();
        assert!(cache_status(&response).contains("hit") && response.text() == "firstother");
        origin.expect_no_connection();
    }
}

/// Others may leave as they like: the first client is not concerned.
#[test]
fn the_others_may_leave() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut peer, mut all) = half_way(&gateway, &origin, 4);
    all.truncate(1);
    eventually("they have left", || gateway.metric("ringway_exchanges_active", &[]) <= 1.0);
    peer.send("other");
    all[0].expect_bytes("other");
}

/// When all have left, the upstream connection is closed, before the head and behind it.
#[test]
fn nobody_is_left() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut peer, all) = flight(&gateway, &origin, 3, &get("/"));
    drop(all);
    assert!(peer.wait_gone() < 1_500);
    let (mut peer, all) = half_way(&gateway, &origin, 3);
    drop(all);
    assert!(peer.wait_gone() < 1_500);
    // What was half there is not served.
    let mut client = gateway.client();
    client.send(get("/half"));
    let (mut peer, _) = origin.accept_request();
    peer.send(stored("whole"));
    assert_eq!(client.read_response().text(), "whole");
    eventually("nothing is left over", || gateway.metric("ringway_exchanges_active", &[]) < 1.0);
}

/// Where the route says so, a fetch that nobody waits for any more is finished and stored.
#[test]
fn nobody_is_left_and_it_is_finished() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("unwanted = \"finish\"").start();
    let (mut peer, all) = half_way(&gateway, &origin, 2);
    drop(all);
    eventually("all have left", || gateway.metric("ringway_exchanges_active", &[]) < 1.0);
    peer.send("other");
    eventually("it is stored", || {
        let response = gateway.get("/half");
        assert_eq!(response.text(), "firstother");
        cache_status(&response).contains("ringway; hit")
    });
    origin.expect_no_connection();
}

/// The origin fails before the head: the request is sent once more for those who wait, and they stay.
#[test]
fn the_origin_fails_before_the_head() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (peer, mut all) = flight(&gateway, &origin, 5, &get("/"));
    drop(peer);
    let (mut peer, seen) = origin.accept_request();
    assert_eq!(seen.brief(), "GET /");
    peer.send(stored("second try"));
    let first = all[0].read_response();
    assert!(first.status == 502 || first.text() == "second try", "{first:?}");
    for client in &mut all[1..] {
        assert_eq!(client.read_response().text(), "second try");
    }
    origin.expect_no_connection();
}

/// An origin that always fails gives every client its 502, after a bounded number of tries.
#[test]
fn the_origin_always_fails() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (peer, mut all) = flight(&gateway, &origin, 5, &get("/"));
    drop(peer);
    let failing = std::thread::spawn(move || {
        let mut tries = 1;
        while origin::readable_within(&origin, 300) {
            drop(origin.accept_request());
            tries += 1;
        }
        tries
    });
    for client in &mut all {
        client.read_response().assert_failure(502);
    }
    let tries = failing.join().expect("the origin ends well");
    assert!(tries <= 10, "{tries} tries for five clients");
}

/// The origin fails in the middle of the body: every client sees that it is cut, and nothing is stored.
#[test]
fn the_origin_fails_in_the_middle() {
    for reset in [false, true] {
        let origin = Origin::new();
        let gateway = Config::to(&origin).cache("").start();
        let (peer, mut all) = half_way(&gateway, &origin, 3);
        if reset {
            peer.reset();
        } else {
            drop(peer);
        }
        for client in &mut all {
            let (rest, end) = client.rest();
            assert!(rest.is_empty() && end != End::Silent, "{rest:?} {end:?}");
        }
        let mut client = gateway.client();
        client.send(get("/half"));
        let (mut peer, _) = origin.accept_request();
        peer.send(stored("whole"));
        assert_eq!(client.read_response().text(), "whole");
    }
}

/// An origin that refuses connections gives every waiting client the failure.
#[test]
fn the_origin_is_not_there() {
    let port = ReservedPort::new();
    let gateway = Config::to(&format!("http://{}", port.address)).cache("").start();
    for client in &mut clients(&gateway, 5, &get("/")) {
        client.read_response().assert_failure(502);
    }
    let origin = port.listen();
    assert_eq!(gateway.get_through(&origin).status, 200);
}

/// A purge during a flight concerns what is on its way: who waits gets it, who comes later does not.
#[test]
fn a_purge_kills_what_is_on_its_way() {
    for (purge, name) in
        [("{\"url\":\"http://t/half\"}", "url"), ("{\"all\":true}", "all"), ("{\"prefix\":\"t/ha\"}", "prefix")]
    {
        let origin = Origin::new();
        let gateway = Config::to(&origin).cache("").start();
        let (mut peer, mut all) = half_way(&gateway, &origin, 2);
        gateway.admin_post("/cache/purge", purge);
        let mut late = clients(&gateway, 1, &get("/half"));
        let (mut fresh, _) = origin.accept_request();
        fresh.send(stored("fresh"));
        assert_eq!(late[0].read_response().text(), "fresh", "{name}");
        peer.send("other");
        for client in &mut all {
            client.expect_bytes("other");
        }
        late[0].send(get("/half"));
        assert_eq!(late[0].read_response().text(), "fresh", "{name}");
        origin.expect_no_connection();
    }
}

/// A POST that succeeds during a flight invalidates what is on its way.
#[test]
fn an_unsafe_method_kills_what_is_on_its_way() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut peer, mut all) = half_way(&gateway, &origin, 2);
    let mut writer = gateway.client();
    writer.send(post("/half", "change"));
    let (mut other, _) = origin.accept_request();
    other.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(writer.read_response().status, 200);
    peer.send("other");
    for client in &mut all {
        client.expect_bytes("other");
    }
    all[0].send(get("/half"));
    let (fresh, _) = origin.accept_request_on(&mut peer);
    fresh.unwrap_or(peer).send(stored("changed"));
    assert_eq!(all[0].read_response().text(), "changed");
}

/// A drain lets a flight end for everybody in it.
#[test]
fn a_drain_lets_a_flight_end() {
    let origin = Origin::new();
    let mut gateway = Config::to(&origin).server("drain = \"10s\"").cache("").start();
    let (mut peer, mut all) = half_way(&gateway, &origin, 4);
    gateway.signal(Signal::TERM);
    let address = gateway.address();
    eventually("new connections are refused", || std::net::TcpStream::connect(address).is_err());
    peer.send("other");
    for client in &mut all {
        client.expect_bytes("other");
        client.expect_closed();
    }
    assert_eq!(gateway.wait_exit(), Some(0));
}

/// The end of a drain cuts a flight that does not end: the process goes with 0 and nobody hangs.
#[test]
fn the_end_of_a_drain_cuts_a_flight() {
    let origin = Origin::new();
    let mut gateway = Config::to(&origin).server("drain = \"300ms\"").cache("").start();
    let (_peer, mut all) = half_way(&gateway, &origin, 3);
    gateway.signal(Signal::TERM);
    for client in &mut all {
        assert_ne!(client.rest().1, End::Silent);
    }
    assert_eq!(gateway.wait_exit(), Some(0));
}

/// A reload during a flight changes nothing for those in it, and what it brings is stored.
#[test]
fn a_reload_lets_a_flight_go_on() {
    let origin = Origin::new();
    let config = Config::to(&origin).cache("");
    let gateway = config.start();
    let (mut peer, mut all) = half_way(&gateway, &origin, 3);
    let (taken, line) = gateway.reload(&config.clone().cache("jitter = 5").toml());
    assert!(taken, "{line}");
    peer.send("other");
    for client in &mut all {
        client.expect_bytes("other");
    }
    all[0].send(get("/half"));
    assert!(cache_status(&all[0].read_response()).contains("hit"));
}

/// Clients that come and go at random during many flights: no wrong byte, nobody stuck, nothing left over.
#[test]
fn many_flights_with_clients_that_leave() {
    let origin = Origin::new().serve(|request: &Request| {
        let size = 1_000 + 977 * request.target.len();
        let body: Vec<u8> = request.target.bytes().cycle().take(size).collect();
        stored(body)
    });
    let gateway = Config::to(&origin).cache("").start();
    let before = gateway.descriptors();
    let mut chance = Chance(42);
    for round in 0..40 {
        let path = format!("/flight/{round}");
        let mut all = clients(&gateway, 8, &get(&path));
        for _ in 0..chance.below(7) {
            drop(all.swap_remove(chance.below(all.len())));
        }
        for client in &mut all {
            let response = client.read_response();
            let right: Vec<u8> = path.bytes().cycle().take(1_000 + 977 * path.len()).collect();
            assert!(response.body.bytes == right, "{path}");
        }
    }
    eventually("nothing is left over", || gateway.metric("ringway_exchanges_active", &[]) < 1.0);
    eventually("no descriptor is left over", || gateway.descriptors() <= before + origin.open() + 4);
}
