//! Many requests on one upstream connection (RFC 9113 §5.1.2, §9.1): how many connections there are, and what they carry.

use super::super::h2::frames::*;
use super::super::harness::*;
use super::caller::Caller;
use super::origin::*;

/// A gateway whose connection to the origin is warm.
fn warm(origin: &H2Origin, config: Config) -> (Gateway, H2) {
    let gateway = config.start();
    let mut client = gateway.client();
    client.send(get("/first"));
    let (mut peer, request) = origin.accept_request();
    peer.answer(request.stream, 200, "first");
    assert_eq!(client.read_response().text(), "first");
    (gateway, peer)
}

/// Requests that run at once share one connection, each on a stream of its own with a rising odd number.
#[test]
fn concurrent_requests_share_one_connection() {
    for origin in H2Origin::both() {
        let gateway = origin.config().start();
        let mut clients: Vec<Connection> = (0..50).map(|_| gateway.client()).collect();
        let mut other = H2::connect(&gateway);
        clients[0].send(get("/0"));
        let mut peer = origin.accept();
        let mut running = vec![whole_request(&mut peer)];
        for (number, client) in clients.iter_mut().enumerate().skip(1) {
            client.send(get(&format!("/{number}")));
        }
        for number in 50..100 {
            other.get(number * 2 + 1, &format!("/{number}"));
        }
        running.extend((1..100).map(|_| whole_request(&mut peer)));
        let streams: Vec<u32> = running.iter().map(|request| request.stream).collect();
        assert!(streams.iter().all(|stream| stream % 2 == 1) && streams.is_sorted(), "{streams:?}");
        origin.expect_no_connection();
        // Answered from the last to the first: nobody waits for anybody.
        for request in running.iter().rev() {
            peer.answer(request.stream, 200, request.field(":path").unwrap_or_default());
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.read_response().text(), format!("/{number}"));
        }
        for number in 50..100 {
            assert_eq!(other.message(number * 2 + 1).whole(), (200, format!("/{number}")));
        }
    }
}

/// Requests that come before the first connection is there do not open one each.
#[test]
fn a_cold_burst_opens_one_connection() {
    let origin = H2Origin::clear().serve(|request| Answer::ok(brief(request)));
    let gateway = origin.config().start();
    let mut clients: Vec<Connection> = (0..30).map(|_| gateway.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(get(&format!("/{number}")));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.read_response().text(), format!("GET /{number}"));
    }
    assert_eq!(origin.connections(), 1);
}

/// 1,000 requests one after the other, and 1,000 of a client that asks 50 at once, take one connection.
#[test]
fn a_thousand_requests_take_one_connection() {
    let origin = H2Origin::clear().serve(|request| Answer::ok(brief(request)));
    let gateway = origin.config().start();
    let mut client = gateway.client();
    for number in 0..1_000 {
        client.send(get(&format!("/{number}")));
        assert_eq!(client.read_response().text(), format!("GET /{number}"));
    }
    let mut client = H2::connect(&gateway);
    client.updates = true;
    for round in 0..20_u32 {
        let streams: Vec<u32> = (0..50).map(|number| round * 100 + number * 2 + 1).collect();
        streams.iter().for_each(|stream| client.get(*stream, &format!("/{stream}")));
        for stream in streams {
            assert_eq!(client.message(stream).whole(), (200, format!("GET /{stream}")));
        }
    }
    assert_eq!((origin.connections(), origin.take_requests().len()), (1, 2_000));
}

/// RFC 9113 §5.1.2: an origin's limit is respected, and a further connection is opened when all are full.
#[test]
fn a_limit_of_streams_is_respected() {
    for (limit, requests, connections) in [(1, 4, 4), (10, 30, 3)] {
        let origin = H2Origin::clear().settings(&[(MAX_CONCURRENT_STREAMS, limit)]);
        let (gateway, first) = warm(&origin, origin.config());
        let mut clients: Vec<Connection> = (0..requests).map(|_| gateway.client()).collect();
        let mut peers = vec![first];
        let mut running: Vec<(usize, u32)> = Vec::new();
        for client in &mut clients {
            // One by one, so that what a connection carries is known before the next is sent.
            client.send(get("/"));
            let last = peers.len() - 1;
            let (fresh, request) = next_request_on(&origin, &mut peers[last]);
            peers.extend(fresh);
            running.push((peers.len() - 1, request.stream));
        }
        assert_eq!(peers.len(), connections, "limit {limit}");
        for peer in 0..peers.len() {
            let open = running.iter().filter(|(of, _)| *of == peer).count();
            assert!(open <= limit as usize, "{open} streams where {limit} are allowed");
        }
        for (peer, stream) in &running {
            peers[*peer].answer(*stream, 200, "x");
        }
        for client in &mut clients {
            assert_eq!(client.read_response().text(), "x");
        }
    }
}

/// A burst beyond the limit, before the first connection is there, is served: each request is asked once.
#[test]
fn a_burst_beyond_the_limit_is_served() {
    let origin = H2Origin::clear().settings(&[(MAX_CONCURRENT_STREAMS, 5)]).serve(|request| Answer::ok(brief(request)));
    let gateway = origin.config().start();
    let mut clients: Vec<Connection> = (0..40).map(|_| gateway.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(post(&format!("/{number}"), "x"));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.read_response().text(), format!("POST /{number}"));
    }
    assert_eq!(origin.take_requests().len(), 40);
    assert!(origin.connections() <= 8, "{} connections", origin.connections());
}

/// A limit that rises in flight is used, on the connection that is there.
#[test]
fn a_limit_that_rises_is_used() {
    let origin = H2Origin::clear().settings(&[(MAX_CONCURRENT_STREAMS, 1)]);
    let (gateway, mut peer) = warm(&origin, origin.config());
    let mut clients: Vec<Connection> = (0..5).map(|_| gateway.client()).collect();
    clients[0].send(get("/0"));
    let mut running = vec![whole_request(&mut peer)];
    settle(&mut peer, &[(MAX_CONCURRENT_STREAMS, 10)]);
    for (number, client) in clients.iter_mut().enumerate().skip(1) {
        client.send(get(&format!("/{number}")));
        running.push(whole_request(&mut peer));
    }
    origin.expect_no_connection();
    running.iter().for_each(|request| peer.answer(request.stream, 200, "x"));
    clients.iter_mut().for_each(|client| assert_eq!(client.read_response().text(), "x"));
}

/// A limit that falls in flight lets running streams finish and new ones go elsewhere.
#[test]
fn a_limit_that_falls_is_respected() {
    let origin = H2Origin::clear().settings(&[(MAX_CONCURRENT_STREAMS, 10)]);
    let (gateway, mut peer) = warm(&origin, origin.config());
    let mut clients: Vec<Connection> = (0..3).map(|_| gateway.client()).collect();
    let mut running = Vec::new();
    for client in &mut clients {
        client.send(get("/"));
        running.push(whole_request(&mut peer));
    }
    settle(&mut peer, &[(MAX_CONCURRENT_STREAMS, 1)]);
    let mut late = gateway.client();
    late.send(get("/late"));
    let (mut fresh, request) = origin.accept_request();
    assert_eq!(request.field(":path"), Some("/late"));
    fresh.answer(request.stream, 200, "late");
    assert_eq!(late.read_response().text(), "late");
    running.iter().for_each(|request| peer.answer(request.stream, 200, "x"));
    clients.iter_mut().for_each(|client| assert_eq!(client.read_response().text(), "x"));
}

/// An origin that allows no stream at all is 502 or 504, never a loop or a hang.
#[test]
fn a_limit_of_nothing_ends() {
    let origin = H2Origin::clear().settings(&[(MAX_CONCURRENT_STREAMS, 0)]).serve(|_| Answer::reset(REFUSED_STREAM));
    let gateway = origin.config().upstream("connect_timeout = \"500ms\"\nread_timeout = \"500ms\"").start();
    let mut client = gateway.client();
    client.send(get("/"));
    let status = client.read_response().status;
    assert!((502..=504).contains(&status), "{status}");
    assert!(origin.connections() <= 4, "{} connections", origin.connections());
}

/// Endpoints take turns, each with one connection.
#[test]
fn each_endpoint_has_one_connection() {
    let one = H2Origin::clear().serve(|_| Answer::ok("one"));
    let two = H2Origin::clear().serve(|_| Answer::ok("two"));
    let gateway = Config::to_all(&[&one, &two]).upstream(CLEAR).start();
    let mut client = gateway.client();
    let mut said = Vec::new();
    for _ in 0..10 {
        client.send(get("/"));
        said.push(client.read_response().text());
    }
    assert_eq!(said.iter().filter(|text| *text == "one").count(), 5, "endpoints take turns: {said:?}");
    assert_eq!((one.connections(), two.connections()), (1, 1));
}

/// Every core has a connection of its own and no more.
#[test]
fn each_core_has_one_connection() {
    let origin = H2Origin::clear().serve(|_| Answer::ok("x"));
    let gateway = Gateway::start_on_all_cores(&origin.config().toml());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for _ in 0..100 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert!(origin.connections() <= cores, "{} connections of {cores} cores", origin.connections());
}

/// An idle connection is closed after `idle_timeout`, with GOAWAY in front of the end.
#[test]
fn an_idle_connection_is_closed_in_order() {
    for origin in H2Origin::both() {
        let config = origin.config().upstream("idle_timeout = \"200ms\"");
        let (gateway, mut peer) = warm(&origin, config);
        let begun = now_ms();
        peer.expect_goaway(&[NO_ERROR]);
        let took = now_ms() - begun;
        assert!((100..2_000).contains(&took), "{took} ms");
        let mut client = gateway.client();
        client.send(post("/again", "x"));
        let (mut fresh, request) = origin.accept_request();
        fresh.answer(request.stream, 200, "again");
        assert_eq!(client.read_response().text(), "again");
    }
}

/// A connection with a stream on it is not idle, however long that stream is silent.
#[test]
fn a_silent_stream_is_not_idle() {
    let origin = H2Origin::clear();
    let (gateway, mut peer) = warm(&origin, origin.config().upstream("idle_timeout = \"150ms\""));
    let mut client = gateway.client();
    client.send(get("/slow"));
    let request = whole_request(&mut peer);
    peer.wire.silent_for(600);
    peer.answer(request.stream, 200, "slow");
    assert_eq!(client.read_response().text(), "slow");
}

/// With `pool = 0` a connection is closed when its last stream has ended.
#[test]
fn without_a_pool_nothing_is_kept() {
    let origin = H2Origin::clear();
    let (_gateway, mut peer) = warm(&origin, origin.config().upstream("pool = 0"));
    peer.expect_end();
}

/// A reload that leaves the upstream as it is keeps its connection; streams on it go on.
#[test]
fn a_reload_keeps_the_connection() {
    let origin = H2Origin::clear();
    let config = origin.config();
    let (gateway, mut peer) = warm(&origin, config.clone());
    let mut client = gateway.client();
    client.send(get("/running"));
    let request = whole_request(&mut peer);
    assert!(gateway.reload(&config.toml()).0);
    peer.answer(request.stream, 200, "x");
    assert_eq!(client.read_response().text(), "x");
    assert_eq!(Caller::h1(&gateway).ask_through(&mut peer), "through");
    origin.expect_no_connection();
}

/// A reload that takes the upstream away lets running streams finish, then closes its connection.
#[test]
fn a_reload_may_close_the_connection() {
    let origin = H2Origin::clear();
    let (gateway, mut peer) = warm(&origin, origin.config());
    let mut client = gateway.client();
    client.send(get("/running"));
    let request = whole_request(&mut peer);
    let other = H2Origin::clear().serve(|_| Answer::ok("other"));
    assert!(gateway.reload(&other.config().toml()).0);
    assert_eq!(gateway.get("/").text(), "other");
    peer.answer(request.stream, 200, "x");
    assert_eq!(client.read_response().text(), "x");
    peer.expect_end();
}
