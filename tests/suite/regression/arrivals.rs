//! Answers on their way: who may join them, who is left behind, and when nobody wants them any more.

use rustix::process::Signal;

use super::*;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Bytes that have no pattern.
fn noise(bytes: usize) -> Vec<u8> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    (0..bytes).map(|_| chance.below(256) as u8).collect()
}

/// What Cache-Status says.
fn cache_status(response: &Response) -> String {
    response.head.all("cache-status").join(", ")
}

/// A client whose system takes few bytes that it has not read.
#[track_caller]
fn narrow_client(gateway: &Gateway) -> Connection {
    let address = gateway.address();
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("SO_RCVBUF");
    socket.connect(&address.into()).expect("the listener takes the connection");
    Connection::new(wire::Wire::Plain(socket.into()))
}

/// Every gauge that counts what goes on is back at 0.
#[track_caller]
fn all_is_quiet(gateway: &Gateway) {
    for gauge in ["ringway_exchanges_active", "ringway_flights_active", "ringway_followers_active"] {
        eventually(&format!("{gauge} is 0"), || gateway.metric(gauge, &[]) == 0.0);
    }
    eventually("no client is left", || gateway.metric("ringway_connections_open", &[]) == 0.0);
}

/// An answer that keeps coming in drops is ended within a second or so when its only client has left, one too large to be
/// stored as well. It went on as long as the origin did: bytes that came let no wait look who is left.
#[test]
fn an_answer_in_drops_that_nobody_wants_is_ended() {
    for first in [100, 100_000] {
        let origin = Origin::new();
        let gateway = Config::to(&origin).cache("object_max = \"64KiB\"").start();
        let mut client = gateway.client();
        client.send(get("/drops"));
        let (mut peer, _) = origin.accept_request();
        peer.send(CHUNKED);
        peer.send(chunk(vec![b'x'; first]));
        client.read_response_head();
        let mut body = Body::default();
        while body.bytes.len() < first {
            client.next_chunk(&mut body).expect("the stream is open");
        }
        drop(client);
        let left_ms = now_ms();
        while peer.try_send(&chunk("drop")).is_ok() {
            let took = now_ms() - left_ms;
            assert!(took < 2_000, "{first} bytes and drops: still wanted after {took} ms");
            origin::pace(50);
        }
        all_is_quiet(&gateway);
    }
}

/// A connection on each of two cores.
#[track_caller]
fn one_on_each_core(gateway: &Gateway) -> [Connection; 2] {
    let mut found: [Option<Connection>; 2] = [None, None];
    for number in 0..60 {
        let mut client = gateway.client();
        let path = format!("/core/{number}.");
        client.send(get(&path).replace("\r\n\r\n", "\r\ncache-control: only-if-cached\r\n\r\n"));
        assert_eq!(client.read_response().status, 504);
        let core = gateway.access_of(&path)["core"].as_u64().expect("a number");
        found[usize::try_from(core).expect("0 or 1")].get_or_insert(client);
        if let [Some(_), Some(_)] = &found {
            break;
        }
    }
    found.map(|client| client.expect("sixty connections come to both cores"))
}

/// Who follows an answer that another core fetches gets all of it though the process is to end and who asked first has
/// left; and the process ends then, not at its deadline. The core of the fetch went, and the answer with it.
#[test]
fn a_drain_waits_for_followers_on_other_cores() {
    for leading in [0, 1] {
        let origin = Origin::new();
        let config = Config::to(&origin).server("drain = \"20s\"").cache("").log("access = \"stdout\"");
        let mut gateway = Gateway::start_on_cores(&config.log("format = \"json\"").toml(), 2);
        let [zero, one] = one_on_each_core(&gateway);
        let (mut leader, mut follower) = if leading == 0 { (zero, one) } else { (one, zero) };
        leader.send(get("/half"));
        let (mut peer, _) = origin.accept_request();
        follower.send(get("/half"));
        peer.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nfirst");
        for client in [&mut leader, &mut follower] {
            assert_eq!(client.read_response_head().status, 200);
            client.expect_bytes("first");
        }
        drop(leader);
        eventually("it has left", || gateway.metric("ringway_exchanges_active", &[]) <= 1.0);
        gateway.signal(Signal::TERM);
        // Longer than a core without clients takes to end.
        follower.silent_for(400);
        let before = now_ms();
        peer.send("other");
        follower.expect_bytes("other");
        follower.expect_closed();
        assert_eq!(gateway.wait_exit(), Some(0), "{:#?}", gateway.err.all());
        assert!(now_ms() - before < 2_000, "{} ms for the end", now_ms() - before);
    }
}

/// The same for a follower who waits for the first byte.
#[test]
fn a_drain_waits_for_the_first_byte_on_other_cores() {
    let origin = Origin::new();
    let config = Config::to(&origin).server("drain = \"20s\"").cache("").log("access = \"stdout\"");
    let mut gateway = Gateway::start_on_cores(&config.log("format = \"json\"").toml(), 2);
    let [mut leader, mut follower] = one_on_each_core(&gateway);
    leader.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    follower.send(get("/"));
    eventually("both wait", || gateway.metric("ringway_exchanges_active", &[]) >= 2.0);
    drop(leader);
    eventually("it has left", || gateway.metric("ringway_exchanges_active", &[]) <= 1.0);
    gateway.signal(Signal::TERM);
    // Longer than a core without clients takes to end.
    follower.silent_for(400);
    peer.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nwhole");
    let response = follower.read_response();
    assert_eq!((response.status, response.text().as_str()), (200, "whole"));
    assert_eq!(gateway.wait_exit(), Some(0), "{:#?}", gateway.err.all());
}

/// One reader who reads nothing does not keep another from an answer that is not stored: that one is served to its end, the
/// other is cut, and the memory of it all is given back. All waited for the slowest, for ever.
#[test]
fn a_reader_of_nothing_is_left_behind() {
    let body = noise(6_000_000);
    for slow_leads in [true, false] {
        let origin = Origin::new();
        let gateway = Config::to(&origin).cache("object_max = \"64KiB\"").start();
        let before = gateway.metric("ringway_cache_bytes", &[]);
        let (mut slow, mut fast) = (narrow_client(&gateway), gateway.client());
        let (first, second) = if slow_leads { (&mut slow, &mut fast) } else { (&mut fast, &mut slow) };
        first.send(get("/large"));
        let (mut peer, _) = origin.accept_request();
        second.send(get("/large"));
        eventually("both are in", || gateway.metric("ringway_exchanges_active", &[]) >= 2.0);
        let pieces: Vec<u8> = body.chunks(50_000).flat_map(chunk).collect();
        let sending = std::thread::spawn(move || {
            peer.send([CHUNKED.as_bytes(), &pieces, b"0\r\n\r\n"].concat());
            peer
        });
        let start = now_ms();
        let response = fast.read_response();
        assert!(response.body.cut.is_none() && response.body.bytes == body, "slow first: {slow_leads}");
        assert!(now_ms() - start < 4_000, "{} ms", now_ms() - start);
        let peer = sending.join().expect("the origin sent all of it");
        let (read, end) = slow.rest();
        assert_ne!(end, End::Silent);
        assert!(!read.ends_with(b"\r\n0\r\n\r\n") && read.len() < body.len(), "it is cut, and it shows");
        drop((slow, fast, peer));
        all_is_quiet(&gateway);
        let used = || gateway.metric("ringway_cache_bytes", &[]);
        eventually("the memory is given back", || used() <= before + 16.0 * 1024.0);
    }
}

/// Readers who make a pause together, or one alone, are waited for: they get every byte of an answer that is not stored.
#[test]
fn nobody_is_left_behind_for_nobody() {
    let body = noise(6_000_000);
    for readers in [1, 2] {
        let origin = Origin::new();
        let gateway = Config::to(&origin).cache("object_max = \"64KiB\"").start();
        let mut all: Vec<Connection> = Vec::new();
        let mut peer = None;
        for _ in 0..readers {
            let mut client = narrow_client(&gateway);
            client.send(get("/large"));
            all.push(client);
            peer = peer.or_else(|| Some(origin.accept_request().0));
        }
        eventually("all are in", || gateway.metric("ringway_exchanges_active", &[]) >= f64::from(readers));
        let mut peer = peer.expect("a first one asked");
        let pieces: Vec<u8> = body.chunks(50_000).flat_map(chunk).collect();
        let sending = std::thread::spawn(move || peer.send([CHUNKED.as_bytes(), &pieces, b"0\r\n\r\n"].concat()));
        // Longer than others would be kept waiting.
        origin::pace(1_300);
        let read = |mut client: Connection| {
            let tcp = client.tcp().try_clone().expect("a second handle");
            socket2::Socket::from(tcp).set_recv_buffer_size(1 << 20).expect("SO_RCVBUF");
            std::thread::spawn(move || client.read_response())
        };
        for reader in all.into_iter().map(read).collect::<Vec<_>>() {
            let response = reader.join().expect("a reader ends well");
            assert!(response.body.cut.is_none() && response.body.bytes == body, "{readers} readers");
        }
        sending.join().expect("the origin sent all of it");
    }
}

/// Who may not use an answer without asking does not join it while it arrives: he has one of his own. He was given the
/// other's.
#[test]
fn what_must_be_asked_for_is_not_joined() {
    let no_cache = get("/").replace("\r\n\r\n", "\r\ncache-control: no-cache\r\n\r\n");
    let aged = get("/").replace("\r\n\r\n", "\r\ncache-control: max-age=0\r\n\r\n");
    let pairs = [
        ("max-age=0", get("/")),
        ("no-cache", get("/")),
        ("max-age=60", no_cache),
        ("max-age=60", aged.clone()),
        ("max-age=60", get("/").replace("\r\n\r\n", "\r\npragma: no-cache\r\n\r\n")),
    ];
    for (said, second) in pairs {
        let origin = Origin::new();
        let gateway = Config::to(&origin).cache("").start();
        let head = format!("HTTP/1.1 200 OK\r\nCache-Control: {said}\r\nETag: \"e\"\r\n");
        let mut first = gateway.client();
        first.send(get("/"));
        let (mut peer, _) = origin.accept_request();
        peer.send(format!("{head}Content-Length: 5\r\n\r\nfi"));
        assert_eq!(first.read_response_head().status, 200);
        first.expect_bytes("fi");
        let mut other = gateway.client();
        other.send(&second);
        let (mut fresh, _) = origin.accept_request();
        fresh.send(format!("{head}Content-Length: 6\r\n\r\nsecond"));
        let response = other.read_response();
        assert_eq!(response.text(), "second", "{said}: {second:?}");
        assert!(cache_status(&response).contains("detail=arriving"), "{said}: {:?}", response.head);
        peer.send("rst");
        first.expect_bytes("rst");
        origin.expect_no_connection();
    }
}

/// A stale answer whose origin refuses connections goes to everybody at once, and the origin is tried once in a second at
/// most. Every hit began a try.
#[test]
fn a_refused_refresh_rests() {
    let port = ReservedPort::new();
    let origin = port.listen();
    let upstream = format!("http://{}", port.address);
    let gateway = Config::to(&upstream).cache("").start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    let control =
        "Cache-Control: max-age=60, stale-while-revalidate=600\r\nAge: 70\r\nETag: \"e\"\r\nConnection: close\r\n";
    peer.send(format!("HTTP/1.1 200 OK\r\n{control}Content-Length: 3\r\n\r\nold"));
    assert_eq!(client.read_response().text(), "old");
    drop((peer, origin));
    let tries = || gateway.metric("ringway_upstream_connects_total", &[]);
    let (before, start) = (tries(), now_ms());
    while now_ms() - start < 1_500 {
        let asked = now_ms();
        client.send(get("/"));
        let response = client.read_response();
        assert_eq!((response.status, response.text().as_str()), (200, "old"), "{:?}", response.head);
        assert!(now_ms() - asked < 500, "{} ms for what is stored", now_ms() - asked);
    }
    eventually("the last try is over", || gateway.metric("ringway_flights_active", &[]) == 0.0);
    let (tried, most) = (tries() - before, ((now_ms() - start) / 1_000 + 1) as f64);
    assert!(tried >= 1.0 && tried <= most, "{tried} tries in {} ms", now_ms() - start);
}
