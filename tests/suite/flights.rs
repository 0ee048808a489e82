//! Merging: identical requests become one upstream call, streamed to all while it arrives, and nobody is kept waiting for
//! an answer that is not his.
//!
//! Here: who is merged and who is not. The files beside this one: when somebody leaves or the origin fails (`trouble`),
//! bodies and event streams on their way (`streams`), clients of different kinds in one flight (`kinds`).

mod kinds;
mod streams;
mod trouble;

use super::harness::message::Request;
use super::harness::*;

/// Of a storable answer.
const STORED: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n";

/// A storable answer with a length.
fn stored(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("{STORED}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Bytes that have no pattern.
fn noise(bytes: usize) -> Vec<u8> {
    let mut chance = Chance(0x1234_5678_9abc_def1);
    (0..bytes).map(|_| chance.below(256) as u8).collect()
}

/// Waits until the gateway is busy with so many requests: what was sent has been read and joined.
#[track_caller]
fn all_are_in(gateway: &Gateway, count: usize) {
    eventually("every request is being answered", || gateway.metric("ringway_exchanges_active", &[]) >= count as f64);
}

/// So many clients that have sent this request.
fn clients(gateway: &Gateway, count: usize, request: &str) -> Vec<Connection> {
    let client = |_| {
        let mut client = gateway.client();
        client.send(request);
        client
    };
    (0..count).map(client).collect()
}

/// The first client's request as the origin got it, and so many more clients that wait with it.
fn flight(gateway: &Gateway, origin: &Origin, count: usize, request: &str) -> (Connection, Vec<Connection>) {
    let mut all = clients(gateway, 1, request);
    let (peer, _) = origin.accept_request();
    all.extend(clients(gateway, count - 1, request));
    all_are_in(gateway, count);
    (peer, all)
}

/// What Cache-Status says.
fn cache_status(response: &Response) -> String {
    response.head.all("cache-status").join(", ")
}

/// Fifty identical requests are one upstream call; every client gets the same bytes, all but the first as merged.
#[test]
fn identical_requests_become_one() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let body = noise(200_000);
    let (mut peer, mut all) = flight(&gateway, &origin, 50, &get("/one"));
    peer.send(stored(&body));
    let mut merged = 0;
    for client in &mut all {
        let response = client.read_response();
        assert_eq!((response.status, response.body.cut), (200, None));
        assert!(response.body.bytes == body, "every byte as it was");
        merged += usize::from(cache_status(&response).contains("collapsed"));
    }
    assert_eq!(merged, 49);
    origin.expect_no_connection();
    gateway.expect_metric("ringway_cache_requests_total", &["outcome=\"merged\""], 49.0);
    gateway.expect_metric("ringway_cache_requests_total", &["outcome=\"miss\""], 1.0);
    all[0].send(get("/one"));
    let response = all[0].read_response();
    assert!(cache_status(&response).contains("hit") && response.body.bytes == body);
}

/// On two cores too: many connections, one upstream call.
#[test]
fn identical_requests_of_all_cores_become_one() {
    let origin = Origin::new();
    let gateway = Gateway::start_on_cores(&Config::to(&origin).cache("").toml(), 2);
    let body = noise(100_000);
    let (mut peer, mut all) = flight(&gateway, &origin, 60, &get("/one"));
    peer.send(stored(&body));
    for client in &mut all {
        assert!(client.read_response().body.bytes == body, "every byte as it was");
    }
    for client in &mut all {
        client.send(get("/one"));
        let response = client.read_response();
        assert!(cache_status(&response).contains("hit") && response.body.bytes == body);
    }
    origin.expect_no_connection();
}

/// POSTs are merged where the route says so and the bodies mean the same; others are not.
#[test]
fn posts_of_one_meaning_are_merged() {
    let origin = Origin::new();
    let cache = "post = true\nkey = [\"host\", \"path\", \"body-json\"]\nttl = { 200 = \"1m\" }";
    let gateway = Config::to(&origin).cache(cache).start();
    let mut first = gateway.client();
    first.send(post("/v1/chat", "{\"model\":\"m\",\"n\":1}"));
    let (mut one, seen) = origin.accept_request();
    assert_eq!(seen.brief(), "POST /v1/chat {\"model\":\"m\",\"n\":1}");
    let mut same = gateway.client();
    same.send(post("/v1/chat", " { \"n\" : 1 , \"model\" : \"m\" } "));
    let mut other = gateway.client();
    other.send(post("/v1/chat", "{\"model\":\"m\",\"n\":2}"));
    let (mut two, seen) = origin.accept_request();
    assert_eq!(seen.brief(), "POST /v1/chat {\"model\":\"m\",\"n\":2}");
    all_are_in(&gateway, 3);
    two.send(ok("two"));
    assert_eq!(other.read_response().text(), "two");
    one.send(ok("one"));
    assert_eq!((first.read_response().text(), same.read_response().text()), ("one".to_owned(), "one".to_owned()));
    origin.expect_no_connection();
}

/// Requests that must not be merged go side by side: the origin has all of them before it answers one.
#[test]
fn what_must_not_be_merged_is_not() {
    let pairs = [
        [get("/no-store").replace("\r\n\r\n", "\r\ncache-control: no-store\r\n\r\n"), get("/no-store")],
        [post("/post", "x"), post("/post", "x")],
        [get("/key"), get("/key").replace("\r\n\r\n", "\r\nauthorization: Bearer a\r\n\r\n")],
        [
            get("/keys").replace("\r\n\r\n", "\r\nauthorization: Bearer a\r\n\r\n"),
            get("/keys").replace("\r\n\r\n", "\r\nauthorization: Bearer b\r\n\r\n"),
        ],
        [
            get("/api").replace("\r\n\r\n", "\r\nx-api-key: a\r\n\r\n"),
            get("/api").replace("\r\n\r\n", "\r\nx-api-key: b\r\n\r\n"),
        ],
        [get("/path?a"), get("/path?b")],
        [get("/host"), get("/host").replace("host: t", "host: u")],
    ];
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    for [one, two] in &pairs {
        let (mut one, mut two) = (clients(&gateway, 1, one), clients(&gateway, 1, two));
        let (mut first, _) = origin.accept_request();
        let (mut second, _) = origin.accept_request();
        for peer in [&mut second, &mut first] {
            peer.send("HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx");
        }
        assert_eq!((one[0].read_response().status, two[0].read_response().status), (200, 200));
    }
    origin.expect_no_connection();
}

/// A route may switch merging off.
#[test]
fn merging_can_be_switched_off() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("merge = false").start();
    let mut all = clients(&gateway, 2, &get("/"));
    let (mut one, _) = origin.accept_request();
    let (mut two, _) = origin.accept_request();
    one.send(stored("x"));
    two.send(stored("x"));
    assert!(all.iter_mut().all(|client| client.read_response().text() == "x"));
    all[0].send(get("/"));
    assert!(cache_status(&all[0].read_response()).contains("hit"));
}

/// Not storable: everybody is let go at once, the origin sees the rest side by side, and the mark holds for the next.
#[test]
fn what_is_not_storable_lets_all_go() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut peer, mut all) = flight(&gateway, &origin, 6, &get("/mine"));
    let unstored = |body: &str| {
        format!("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{body}")
    };
    // The head alone is enough: nobody waits for the body.
    peer.send("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: 1\r\n\r\n");
    let mut peers: Vec<Connection> = (0..5).map(|_| origin.accept_request().0).collect();
    peers.iter_mut().rev().for_each(|peer| peer.send(unstored("f")));
    for client in &mut all[1..] {
        assert_eq!(client.read_response().text(), "f");
    }
    peer.send("l");
    assert_eq!(all[0].read_response().text(), "l");
    // The next ones do not wait for each other at all.
    let mut next = clients(&gateway, 2, &get("/mine"));
    let mut peers: Vec<Connection> = (0..2).map(|_| origin.accept_request().0).collect();
    peers.iter_mut().for_each(|peer| peer.send(unstored("n")));
    for client in &mut next {
        let response = client.read_response();
        assert!(cache_status(&response).contains("detail=hit_for_miss"), "{:?}", response.head);
    }
    gateway.expect_metric("ringway_cache_pass_total", &["reason=\"hit_for_miss\""], 7.0);
}

/// A mark ends: after its time requests are merged again.
#[test]
fn a_mark_ends() {
    let origin =
        Origin::new().serve(|_| b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n".to_vec());
    let gateway = Config::to(&origin).cache("hit_for_miss = \"200ms\"").start();
    gateway.get("/");
    assert!(cache_status(&gateway.get("/")).contains("detail=hit_for_miss"));
    eventually("the mark is over", || !cache_status(&gateway.get("/")).contains("hit_for_miss"));
}

/// Waiters who need another variant go on their own; the others get the answer.
#[test]
fn waiters_for_another_variant_go_alone() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let speaking = |language: &str| get("/v").replace("\r\n\r\n", &format!("\r\naccept-language: {language}\r\n\r\n"));
    let variant = |body: &str| format!("{STORED}Vary: Accept-Language\r\nContent-Length: 2\r\n\r\n{body}");
    let (mut peer, mut english) = flight(&gateway, &origin, 3, &speaking("en"));
    let mut german = clients(&gateway, 2, &speaking("de"));
    all_are_in(&gateway, 5);
    peer.send(variant("en"));
    for client in &mut english {
        assert_eq!(client.read_response().text(), "en");
    }
    let (fresh, seen) = origin.accept_request_on(&mut peer);
    assert_eq!(seen.field("accept-language"), Some("de"));
    fresh.unwrap_or(peer).send(variant("de"));
    for client in &mut german {
        assert_eq!(client.read_response().text(), "de");
    }
}

/// A stale answer is confirmed once for all who ask.
#[test]
fn one_confirmation_is_for_all() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    peer.send(format!("{STORED}Age: 70\r\nETag: \"e\"\r\nContent-Length: 3\r\n\r\nold"));
    assert_eq!(client.read_response().text(), "old");
    let mut all = clients(&gateway, 10, &get("/"));
    let seen = peer.read_request();
    assert_eq!(seen.field("if-none-match"), Some("\"e\""));
    all_are_in(&gateway, 10);
    peer.send("HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nETag: \"e\"\r\n\r\n");
    for client in &mut all {
        assert_eq!(client.read_response().text(), "old");
    }
    origin.expect_no_connection();
}

/// While one request refreshes a stale answer in the background, all others are served at once and nobody else asks.
#[test]
fn one_refresh_at_a_time() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    let old = format!("{STORED}Age: 70\r\nETag: \"e\"\r\n").replace("60", "60, stale-while-revalidate=60");
    peer.send(format!("{old}Content-Length: 3\r\n\r\nold"));
    assert_eq!(client.read_response().text(), "old");
    for _ in 0..20 {
        client.send(get("/"));
        assert_eq!(client.read_response().text(), "old");
    }
    let seen: Request = peer.read_request();
    assert_eq!(seen.field("if-none-match"), Some("\"e\""));
    origin.expect_no_connection();
    peer.send(stored("new"));
    eventually("the new answer is there", || {
        client.send(get("/"));
        client.read_response().text() == "new"
    });
    assert_eq!(peer.pending(), b"", "it was asked once");
    origin.expect_no_connection();
}

/// More waiters than the route allows go to the origin by themselves.
#[test]
fn waiters_have_a_cap() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("waiters = 2").start();
    let mut all = clients(&gateway, 1, &get("/"));
    let (mut leader, _) = origin.accept_request();
    all.extend(clients(&gateway, 6, &get("/")));
    all_are_in(&gateway, 7);
    // Two wait, or one where the first counts too.
    let mut alone: Vec<Connection> = (0..4).map(|_| origin.accept_request().0).collect();
    while origin::readable_within(&origin, 50) {
        alone.push(origin.accept_request().0);
    }
    assert!(alone.len() <= 5, "{} went alone", alone.len());
    alone.iter_mut().for_each(|peer| peer.send(stored("x")));
    leader.send(stored("x"));
    let answers: Vec<Response> = all.iter_mut().map(Connection::read_response).collect();
    assert!(answers.iter().all(|answer| answer.text() == "x"));
    let alone_says = answers.iter().filter(|answer| cache_status(answer).contains("detail=waiter_limit")).count();
    assert_eq!(alone_says, alone.len());
}

/// Who has waited long enough for a first byte goes to the origin by himself.
#[test]
fn waiting_has_an_end() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("wait = \"200ms\"").start();
    let (mut leader, mut all) = flight(&gateway, &origin, 2, &get("/"));
    let (mut peer, _) = origin.accept_request();
    peer.send(stored("mine"));
    let response = all[1].read_response();
    assert_eq!(response.text(), "mine");
    assert!(cache_status(&response).contains("detail=waiter_timeout"), "{:?}", response.head);
    leader.send(stored("his"));
    assert_eq!(all[0].read_response().text(), "his");
}
