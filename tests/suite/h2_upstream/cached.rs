//! The cache in front of an HTTP/2 origin: what is stored, merged and confirmed is the same as over HTTP/1.1.

use super::super::h2::frames::*;
use super::super::harness::*;
use super::caller::Caller;
use super::origin::*;

/// A stored answer serves clients of both versions, GET, HEAD and Range; the origin is asked once.
#[test]
fn a_stored_answer_serves_both_versions() {
    let origin = H2Origin::clear().serve(|_| Answer::ok("0123456789").field("cache-control", "max-age=60"));
    let gateway = origin.config().cache("").start();
    assert_eq!(gateway.get("/").status, 200);
    for mut caller in Caller::both(&gateway) {
        let told = caller.fetch("/");
        assert_eq!(told.whole(), (200, "0123456789".to_owned()));
        assert!(told.field("age").is_some() && told.field("cache-status").is_some_and(|status| status.contains("hit")));
        caller.ask("HEAD", "/", &[], b"");
        let told = caller.told_of("HEAD");
        assert_eq!((told.whole(), told.field("content-length")), ((200, String::new()), Some("10")));
        caller.ask("GET", "/", &[("range", "bytes=2-4")], b"");
        assert_eq!(caller.told().whole(), (206, "234".to_owned()));
    }
    assert_eq!(origin.take_requests().len(), 1);
}

/// An answer without a length is stored when END_STREAM has come.
#[test]
fn an_unmeasured_answer_is_stored() {
    let answer = || Answer::ok("body").unmeasured().field("cache-control", "max-age=60");
    let origin = H2Origin::clear().serve(move |_| answer());
    let gateway = origin.config().cache("").start();
    for mut caller in Caller::both(&gateway) {
        for _ in 0..3 {
            assert_eq!(caller.fetch("/").whole(), (200, "body".to_owned()));
        }
    }
    assert_eq!(origin.take_requests().len(), 1);
}

/// Identical requests in flight become one stream; all of them get its answer as it comes.
#[test]
fn identical_requests_become_one_stream() {
    let origin = H2Origin::clear();
    let gateway = origin.config().cache("").start();
    let mut callers: Vec<Caller> = (0..5).flat_map(|_| Caller::both(&gateway)).collect();
    callers[0].get("/same");
    let (mut peer, request) = origin.accept_request();
    callers[1..].iter_mut().for_each(|caller| caller.get("/same"));
    gateway.expect_metric("ringway_exchanges_active", &[], 10.0);
    peer.headers(request.stream, &[(":status", "200"), ("cache-control", "max-age=60")], false);
    peer.data(request.stream, "first", false);
    for caller in &mut callers {
        assert_eq!(caller.told_head(), 200);
        assert_eq!(caller.piece(), b"first");
    }
    peer.data(request.stream, "second", true);
    for caller in &mut callers {
        assert_eq!(caller.rest(), (b"second".to_vec(), false));
    }
    peer.ping();
    assert!(!peer.has_come(|f| f.kind == HEADERS), "the origin is asked once");
}

/// A cut answer is cut for all who wait for it, and is not stored.
#[test]
fn a_cut_answer_is_not_stored() {
    let origin = H2Origin::clear();
    let gateway = origin.config().cache("").start();
    let mut callers = Caller::both(&gateway);
    callers[0].get("/cut");
    let (mut peer, request) = origin.accept_request();
    callers[1].get("/cut");
    gateway.expect_metric("ringway_exchanges_active", &[], 2.0);
    peer.headers(request.stream, &[(":status", "200"), ("cache-control", "max-age=60")], false);
    for caller in &mut callers {
        assert_eq!(caller.told_head(), 200);
    }
    peer.data(request.stream, "part", false);
    peer.send(Frame::reset(request.stream, INTERNAL_ERROR));
    for mut caller in callers {
        assert!(caller.rest().1);
    }
    let mut caller = Caller::h1(&gateway);
    caller.get("/cut");
    let request = whole_request(&mut peer);
    peer.answer(request.stream, 200, "whole");
    assert_eq!(caller.told().whole(), (200, "whole".to_owned()));
}

/// Answers `x`, which may be stored: else who waits for it asks for himself.
fn answer_for_all(peer: &mut H2, stream: u32) {
    peer.headers(stream, &[(":status", "200"), ("cache-control", "max-age=60"), ("content-length", "1")], false);
    peer.data(stream, "x", true);
}

/// A flight whose stream was not processed is sent again, and nobody who waits for it notices.
#[test]
fn a_flight_survives_goaway() {
    let origin = H2Origin::clear();
    let gateway = origin.config().cache("").start();
    let mut callers = Caller::both(&gateway);
    callers[0].get("/same");
    let (mut peer, _) = origin.accept_request();
    callers[1].get("/same");
    gateway.expect_metric("ringway_exchanges_active", &[], 2.0);
    peer.send(Frame::goaway(0, NO_ERROR));
    let (mut fresh, again) = origin.accept_request();
    answer_for_all(&mut fresh, again.stream);
    for mut caller in callers {
        assert_eq!(caller.told().whole(), (200, "x".to_owned()));
    }
    fresh.ping();
    assert!(!fresh.has_come(|f| f.kind == HEADERS), "one flight, one stream");
}

/// A stale answer is confirmed with 304 over HTTP/2, and served.
#[test]
fn a_stale_answer_is_confirmed() {
    let origin = H2Origin::clear().serve(|request| match request.field("if-none-match") {
        Some("\"e\"") => Answer::status(304).field("etag", "\"e\"").field("cache-control", "max-age=60"),
        _ => Answer::ok("body").field("etag", "\"e\"").field("cache-control", "max-age=0"),
    });
    let gateway = origin.config().cache("").start();
    for mut caller in Caller::both(&gateway) {
        for _ in 0..2 {
            assert_eq!(caller.fetch("/").whole(), (200, "body".to_owned()));
        }
    }
    let asked: Vec<bool> = origin.take_requests().iter().map(|r| r.field("if-none-match").is_some()).collect();
    assert_eq!(asked, [false, true]);
}

/// A stale answer stands in for an origin whose stream or connection breaks, where its directives allow it.
#[test]
fn a_stale_answer_stands_in() {
    let origin = H2Origin::clear();
    let gateway = origin.config().cache("").start();
    let mut caller = Caller::h1(&gateway);
    caller.get("/");
    let (mut peer, request) = origin.accept_request();
    let fields = [(":status", "200"), ("cache-control", "max-age=0, stale-if-error=600"), ("content-length", "4")];
    peer.headers(request.stream, &fields, false);
    peer.data(request.stream, "body", true);
    assert_eq!(caller.told().whole(), (200, "body".to_owned()));
    for mut caller in Caller::both(&gateway) {
        caller.get("/");
        let request = whole_request(&mut peer);
        peer.send(Frame::reset(request.stream, INTERNAL_ERROR));
        assert_eq!(caller.told().whole(), (200, "body".to_owned()));
    }
}

/// Waits until a gauge is no higher than this.
#[track_caller]
fn fallen(gateway: &Gateway, gauge: &str, number: f64) {
    eventually(gauge, || gateway.metric(gauge, &[]) <= number);
}

/// The client that began a flight may leave: the others get the answer, and its stream is not cancelled.
#[test]
fn a_flight_goes_on_without_its_first_client() {
    for first in 0..2 {
        let origin = H2Origin::clear();
        let gateway = origin.config().cache("").start();
        let mut callers: Vec<Caller> = Caller::both(&gateway).into();
        let mut leader = callers.remove(first);
        leader.get("/same");
        let (mut peer, request) = origin.accept_request();
        callers[0].get("/same");
        gateway.expect_metric("ringway_exchanges_active", &[], 2.0);
        let left = leader.leave();
        fallen(&gateway, "ringway_exchanges_active", 1.0);
        answer_for_all(&mut peer, request.stream);
        assert_eq!(callers[0].told().whole(), (200, "x".to_owned()));
        assert!(!peer.has_come(|f| f.kind == RST_STREAM));
        drop(left);
    }
}

/// When nobody waits for a flight any more its stream is cancelled, or it is fetched to be stored: never left open.
#[test]
fn a_flight_without_clients_ends() {
    let origin = H2Origin::clear();
    let gateway = origin.config().cache("").start();
    for mut caller in Caller::both(&gateway) {
        caller.get("/nobody");
        let (mut peer, request) = origin.accept_request();
        let left = caller.leave();
        fallen(&gateway, "ringway_exchanges_active", 0.0);
        peer.answer(request.stream, 200, "x");
        fallen(&gateway, "ringway_flights_active", 0.0);
        peer.ping();
        goodbye(peer);
        drop(left);
    }
}

/// A large answer is stored while a slow client reads it at its own pace, and later clients get it whole.
#[test]
fn a_large_answer_is_stored() {
    let body: Vec<u8> = (0..1_000_000_u32).map(|at| at as u8).collect();
    let sent = body.clone();
    let origin = H2Origin::clear().serve(move |_| Answer::ok(sent.clone()).field("cache-control", "max-age=60"));
    let gateway = origin.config().cache("").start();
    for _ in 0..2 {
        for mut caller in Caller::both(&gateway) {
            let told = caller.fetch("/large");
            assert!(told.body == body && !told.is_cut);
        }
    }
    assert_eq!(origin.take_requests().len(), 1);
}
