//! GOAWAY and REFUSED_STREAM (RFC 9113 §6.8, §8.7): what was never processed is sent again, whatever it is.

use super::super::h2::frames::*;
use super::super::harness::*;
use super::caller::Caller;
use super::origin::*;

/// Streams above the last one of GOAWAY are sent again on a new connection, POST too; those below finish where they are.
#[test]
fn streams_above_the_last_one_are_sent_again() {
    for origin in H2Origin::both() {
        let gateway = origin.config().start();
        let mut callers: Vec<Caller> = Caller::both(&gateway).into_iter().chain(Caller::both(&gateway)).collect();
        callers[0].get("/0");
        let mut peer = origin.accept();
        let mut running = vec![whole_request(&mut peer)];
        for (number, caller) in callers.iter_mut().enumerate().skip(1) {
            caller.post(&format!("/{number}"), "body");
            running.push(whole_request(&mut peer));
        }
        peer.send(Frame::goaway(running[1].stream, NO_ERROR));
        let mut fresh = origin.accept();
        let mut again = [whole_request(&mut fresh), whole_request(&mut fresh)];
        again.sort_by_key(brief);
        assert_eq!(again.each_ref().map(brief), ["POST /2", "POST /3"]);
        assert!(again.iter().all(|request| request.body == b"body"));
        running[..2].iter().for_each(|request| peer.answer(request.stream, 200, brief(request)));
        again.iter().for_each(|request| fresh.answer(request.stream, 200, brief(request)));
        for (caller, expected) in callers.iter_mut().zip(["GET /0", "POST /1", "POST /2", "POST /3"]) {
            assert_eq!(caller.told().whole(), (200, expected.to_owned()));
        }
        peer.expect_end();
        assert_eq!(Caller::h1(&gateway).ask_through(&mut fresh), "through");
    }
}

/// After GOAWAY new requests go to a new connection while the old one finishes.
#[test]
fn new_requests_go_to_a_new_connection() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send(get("/old"));
    let (mut peer, request) = origin.accept_request();
    peer.headers(request.stream, &[(":status", "200"), ("content-length", "8")], false);
    peer.data(request.stream, "half", false);
    peer.send(Frame::goaway(request.stream, NO_ERROR));
    peer.ping();
    let mut other = gateway.client();
    other.send(post("/new", "x"));
    let (mut fresh, new) = origin.accept_request();
    fresh.answer(new.stream, 200, "new");
    assert_eq!(other.read_response().text(), "new");
    peer.data(request.stream, "half", true);
    assert_eq!(client.read_response().text(), "halfhalf");
    peer.expect_end();
}

/// RFC 9113 §6.8: a first GOAWAY that names the highest stream touches no running one; the second one may name less.
#[test]
fn goaway_in_two_steps() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut clients = [gateway.client(), gateway.client()];
    clients[0].send(get("/0"));
    let mut peer = origin.accept();
    let first = whole_request(&mut peer);
    clients[1].send(post("/1", "x"));
    let second = whole_request(&mut peer);
    peer.send(Frame::goaway(WINDOW_MAX, NO_ERROR));
    peer.ping();
    origin.expect_no_connection();
    peer.send(Frame::goaway(first.stream, NO_ERROR));
    let (mut fresh, again) = origin.accept_request();
    assert_eq!((brief(&again), again.stream), ("POST /1".to_owned(), 1));
    assert_eq!(second.body, again.body);
    fresh.answer(again.stream, 200, "1");
    peer.answer(first.stream, 200, "0");
    assert_eq!(clients[0].read_response().text(), "0");
    assert_eq!(clients[1].read_response().text(), "1");
}

/// GOAWAY on a connection without streams closes it; the next request takes a new one.
#[test]
fn goaway_on_an_idle_connection_closes_it() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    for round in 0..3 {
        let mut client = gateway.client();
        client.send(post("/", "x"));
        let (mut peer, request) = origin.accept_request();
        peer.answer(request.stream, 200, round.to_string());
        assert_eq!(client.read_response().text(), round.to_string());
        goodbye(peer);
    }
}

/// GOAWAY with an error and no stream processed: sent again like any other that was never processed.
#[test]
fn goaway_with_an_error_is_no_different() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send(post("/", "body"));
    let (mut peer, _) = origin.accept_request();
    peer.send(Frame::goaway(0, ENHANCE_YOUR_CALM));
    let (mut fresh, again) = origin.accept_request();
    assert_eq!(again.body, b"body");
    fresh.answer(again.stream, 200, "x");
    assert_eq!(client.read_response().text(), "x");
    peer.expect_end();
}

/// GOAWAY that names the stream as processed, and then the end: a GET may be sent again, a POST is 502.
#[test]
fn a_processed_post_is_not_sent_again() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut caller = Caller::h1(&gateway);
    caller.post("/", "body");
    let (mut peer, request) = origin.accept_request();
    peer.send(Frame::goaway(request.stream, INTERNAL_ERROR));
    peer.wire.shutdown_write();
    caller.told().assert_failure(502);
    origin.expect_no_connection();
}

/// An origin that says GOAWAY to everything is 502 after a few attempts.
#[test]
fn goaway_without_end_is_502() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send(post("/", "body"));
    let refusing = std::thread::spawn(move || {
        let mut taken = Vec::new();
        while taken.len() < 10 && origin.is_asked_within(500) {
            let (mut peer, _) = origin.accept_request();
            peer.send(Frame::goaway(0, NO_ERROR));
            taken.push(peer);
        }
        taken.len()
    });
    client.read_response().assert_failure(502);
    let taken = refusing.join().expect("the origin ends well");
    assert!((2..=4).contains(&taken), "{taken} attempts");
}

/// RFC 9113 §8.7: REFUSED_STREAM means never processed: even a POST is sent again, and the connection is kept.
#[test]
fn a_refused_stream_is_sent_again() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept: Option<H2> = None;
    for mut caller in Caller::both(&gateway) {
        for method in ["GET", "POST"] {
            caller.ask(method, "/", &[], if method == "POST" { b"body" } else { b"" });
            let peer = kept.get_or_insert_with(|| origin.accept());
            let refused = whole_request(peer);
            peer.send(Frame::reset(refused.stream, REFUSED_STREAM));
            let (fresh, again) = next_request_on(&origin, peer);
            assert_eq!((brief(&again), &again.body), (brief(&refused), &refused.body));
            match fresh {
                Some(mut fresh) => {
                    fresh.answer(again.stream, 200, "again");
                    goodbye(fresh);
                }
                None => peer.answer(again.stream, 200, "again"),
            }
            assert_eq!(caller.told().whole(), (200, "again".to_owned()));
            peer.ping();
        }
    }
}

/// A refused stream whose body has only begun is sent again as far as it is at hand, or is 502: never a part of it.
#[test]
fn a_refused_upload_is_whole_or_502() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 10\r\n\r\nhello");
    let mut peer = origin.accept();
    let stream = peer.next_request_head().stream;
    peer.take_data(stream, 5);
    peer.send(Frame::reset(stream, REFUSED_STREAM));
    peer.ping();
    // The client may have gone on, or not: both must end.
    drop(client.try_send(b"world"));
    let answering = std::thread::spawn(move || {
        if !peer.has_come(|f| f.kind == HEADERS) && !origin.is_asked_within(300) {
            return;
        }
        let (mut fresh, again) = next_request_on(&origin, &mut peer);
        assert_eq!(again.body, b"helloworld");
        fresh.as_mut().unwrap_or(&mut peer).answer(again.stream, 200, "x");
    });
    let status = client.read_response().status;
    assert!(status == 502 || status == 200, "{status}");
    answering.join().expect("the origin ends well");
}

/// An origin that refuses everything is 502 (or 503) after a few attempts.
#[test]
fn refusing_without_end_is_an_error() {
    let origin = H2Origin::clear().serve(|_| Answer::reset(REFUSED_STREAM));
    let gateway = origin.config().start();
    for (mut caller, method) in Caller::both(&gateway).into_iter().zip(["GET", "POST"]) {
        caller.ask(method, "/", &[], b"");
        let told = caller.told();
        assert!(matches!(told.whole().0, 502 | 503), "{told:?}");
        let attempts = origin.take_requests().len();
        assert!((1..=4).contains(&attempts), "{attempts} attempts");
    }
}

/// REFUSED_STREAM after the answer has begun is like any other reset: the answer is cut.
#[test]
fn a_late_refusal_cuts() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept = None;
    for mut caller in Caller::both(&gateway) {
        caller.get("/");
        let peer = kept.get_or_insert_with(|| origin.accept());
        let stream = whole_request(peer).stream;
        peer.headers(stream, &[(":status", "200")], false);
        assert_eq!(caller.told_head(), 200);
        peer.send(Frame::reset(stream, REFUSED_STREAM));
        assert!(caller.rest().1, "the answer is cut");
        peer.ping();
        assert!(!peer.has_come(|f| f.kind == HEADERS), "nothing is sent again");
    }
}

/// A request that was refused may go to another endpoint, which serves it.
#[test]
fn another_endpoint_serves_what_was_refused() {
    let full = H2Origin::clear().serve(|_| Answer::reset(REFUSED_STREAM));
    let good = H2Origin::clear().serve(|request| Answer::ok(request.body.clone()));
    let gateway = Config::to_all(&[&full, &good]).upstream(CLEAR).start();
    let mut client = gateway.client();
    let mut served = 0;
    for number in 0..6 {
        client.send(post("/", &number.to_string()));
        let response = client.read_response();
        served += usize::from(response.status == 200 && response.text() == number.to_string());
    }
    assert!(served >= 3, "at least those that went to the good one first: {served}");
    assert_eq!(good.take_requests().len(), served);
}
