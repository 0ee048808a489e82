//! What clients of either version get from an HTTP/2 origin: framing, statuses without a body, interim answers, streams.

use super::super::h2::frames::*;
use super::super::harness::*;
use super::caller::Caller;
use super::origin::*;

/// Fields pass, those of the same name apart and in order; the framing is the gateway's own.
#[test]
fn fields_of_an_answer_pass() {
    let answer = || Answer::ok("body").field("server", "o").field("set-cookie", "a=1").field("x-empty", "");
    let origin = H2Origin::clear().serve(move |_| answer().field("set-cookie", "b=2; Path=/"));
    let gateway = origin.config().start();
    for mut caller in Caller::both(&gateway) {
        let told = caller.fetch("/");
        assert_eq!(told.whole(), (200, "body".to_owned()));
        assert_eq!(told.all("set-cookie"), ["a=1", "b=2; Path=/"]);
        assert_eq!((told.field("server"), told.field("x-empty")), (Some("o"), Some("")));
        assert_eq!(told.field("content-length"), Some("4"));
        assert!(told.field("date").is_some() && told.all("connection").is_empty());
        assert!(told.all(":status").len() <= 1 && told.all("status").is_empty());
    }
    assert_eq!(origin.connections(), 1);
}

/// An answer without a length is chunked for HTTP/1.1, ends with the connection for HTTP/1.0, and is whole in each case.
#[test]
fn an_answer_without_a_length_is_whole() {
    let origin = H2Origin::clear().serve(|_| Answer::ok("body").unmeasured());
    let gateway = origin.config().start();
    for mut caller in Caller::both(&gateway) {
        for _ in 0..2 {
            let told = caller.fetch("/");
            assert_eq!((told.whole(), told.field("content-length")), ((200, "body".to_owned()), None));
        }
    }
    let mut old = gateway.client();
    old.send("GET / HTTP/1.0\r\n\r\n");
    let response = old.read_response();
    assert_eq!((response.text().as_str(), response.body.cut, response.says_close()), ("body", None, true));
}

/// An answer that ends with its head has no body, with a length of 0 or without one.
#[test]
fn an_answer_may_end_with_its_head() {
    let origin = H2Origin::clear().serve(|request| match request.field(":path") {
        Some("/measured") => Answer::ok(""),
        _ => Answer::ok("").unmeasured(),
    });
    let gateway = origin.config().start();
    for mut caller in Caller::both(&gateway) {
        for path in ["/measured", "/unmeasured", "/measured"] {
            assert_eq!(caller.fetch(path).whole(), (200, String::new()));
        }
    }
}

/// HEAD, 204 and 304: no body, and what they say of a length stays or goes as RFC 9110 §8.6 wants; connections live on.
#[test]
fn answers_without_a_body_have_none() {
    let origin = H2Origin::clear().serve(|request| match request.field(":path") {
        Some("/204") => Answer::status(204).field("x-kept", "k"),
        Some("/304") => Answer::status(304).field("etag", "\"e\"").field("content-length", "4"),
        Some("/unmeasured") => Answer::ok("body").unmeasured(),
        _ => Answer::ok("body"),
    });
    let gateway = origin.config().start();
    for mut caller in Caller::both(&gateway) {
        let rows = [
            ("HEAD", "/", 200, Some("4")),
            ("HEAD", "/unmeasured", 200, None),
            ("GET", "/204", 204, None),
            ("HEAD", "/204", 204, None),
            ("GET", "/304", 304, Some("4")),
        ];
        for (method, path, status, length) in rows {
            caller.ask(method, path, &[], b"");
            let told = caller.told_of(method);
            assert_eq!(
                (told.whole(), told.field("content-length")),
                ((status, String::new()), length),
                "{method} {path}"
            );
        }
        assert_eq!(caller.fetch("/after").whole(), (200, "body".to_owned()));
    }
    assert_eq!(origin.connections(), 1);
}

/// A HEAD whose answer ends in an empty DATA frame is whole too.
#[test]
fn an_empty_last_frame_ends_the_answer_to_head() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept = None;
    for mut caller in Caller::both(&gateway) {
        caller.ask("HEAD", "/", &[], b"");
        let peer = kept.get_or_insert_with(|| origin.accept());
        let stream = whole_request(peer).stream;
        peer.headers(stream, &[(":status", "200"), ("content-length", "70")], false);
        peer.data(stream, "", true);
        let told = caller.told_of("HEAD");
        assert_eq!((told.whole().0, told.field("content-length")), (200, Some("70")));
        peer.ping();
    }
}

/// RFC 9113 §8.1.1: a body behind an answer that has none never reaches a client, nor breaks what follows on its connection.
#[test]
fn a_body_that_must_not_be_is_not_passed() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    for (method, status) in [("HEAD", "200"), ("GET", "204"), ("GET", "304")] {
        for mut caller in Caller::both(&gateway) {
            caller.ask(method, "/", &[], b"");
            let (mut peer, request) = origin.accept_request();
            peer.headers(request.stream, &[(":status", status)], false);
            peer.data(request.stream, "HTTP/1.1 200 OK\r\nx-smuggled: 1\r\n\r\n", true);
            let told = caller.told_of(method);
            assert!(!told.text().contains("smuggled"), "{method} {status}: {told:?}");
            goodbye(peer);
            if told.is_cut && matches!(caller, Caller::H1(_)) {
                continue;
            }
            caller.get("/after");
            let (mut peer, request) = origin.accept_request();
            peer.answer(request.stream, 200, "after");
            assert_eq!(caller.told().whole(), (200, "after".to_owned()), "{method} {status}");
            goodbye(peer);
        }
    }
}

/// Interim answers pass in order; a client of HTTP/1.0 gets none.
#[test]
fn interim_answers_pass() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept = None;
    for mut caller in Caller::both(&gateway) {
        caller.get("/");
        let peer = kept.get_or_insert_with(|| origin.accept());
        let stream = whole_request(peer).stream;
        for link in ["</a>", "</b>"] {
            peer.headers(stream, &[(":status", "103"), ("link", link)], false);
        }
        peer.answer(stream, 200, "x");
        let told = caller.told();
        assert_eq!((told.interim.as_slice(), told.whole()), (&[103, 103][..], (200, "x".to_owned())));
    }
    let mut old = gateway.client();
    old.send("GET / HTTP/1.0\r\n\r\n");
    let peer = kept.as_mut().expect("a connection");
    let stream = whole_request(peer).stream;
    peer.headers(stream, &[(":status", "103"), ("link", "</a>")], false);
    peer.answer(stream, 200, "x");
    assert_eq!(old.read_response().status, 200);
}

/// An interim answer goes out at once, and its fields with it.
#[test]
fn an_interim_answer_goes_out_at_once() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, request) = origin.accept_request();
    peer.headers(request.stream, &[(":status", "103"), ("link", "</style.css>")], false);
    let interim = client.read_response();
    assert_eq!((interim.status, interim.field("link")), (103, Some("</style.css>")));
    peer.answer(request.stream, 200, "x");
    assert_eq!(client.read_response().status, 200);
}

/// A 100 that nobody asked for does no harm.
#[test]
fn an_unasked_100_does_no_harm() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept = None;
    for mut caller in Caller::both(&gateway) {
        caller.get("/");
        let peer = kept.get_or_insert_with(|| origin.accept());
        let stream = whole_request(peer).stream;
        peer.headers(stream, &[(":status", "100")], false);
        peer.answer(stream, 200, "x");
        assert_eq!(caller.told().whole(), (200, "x".to_owned()));
    }
}

/// Interim answers without an end are 502, and their stream is reset.
#[test]
fn endless_interim_answers_are_502() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept = None;
    for mut caller in Caller::both(&gateway) {
        caller.post("/", "x");
        let peer = kept.get_or_insert_with(|| origin.accept());
        let stream = whole_request(peer).stream;
        let interim = Frame::headers(stream, fields::block(&[(":status", "103")]), false);
        peer.send_all(&vec![interim; 200]);
        caller.told().assert_failure(502);
        assert_ne!(reset_of(peer, stream), NO_ERROR);
        peer.ping();
    }
}

/// Server-sent events reach the client one by one, each before the next is sent.
#[test]
fn each_event_goes_out_at_once() {
    for origin in H2Origin::both() {
        let gateway = origin.config().start();
        let mut kept = None;
        for mut caller in Caller::both(&gateway) {
            caller.get("/events");
            let peer = kept.get_or_insert_with(|| origin.accept());
            let stream = whole_request(peer).stream;
            peer.headers(stream, &[(":status", "200"), ("content-type", "text/event-stream")], false);
            assert_eq!(caller.told_head(), 200);
            for number in 0..30 {
                let event = format!("data: {number}\n\n");
                peer.data(stream, &event, false);
                assert_eq!(caller.piece(), event.as_bytes());
            }
            peer.data(stream, "", true);
            assert_eq!(caller.rest(), (Vec::new(), false));
        }
    }
}

/// Two streams of events on one connection do not hold each other up.
#[test]
fn streams_of_events_go_side_by_side() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut callers: Vec<Caller> = Caller::both(&gateway).into_iter().chain(Caller::both(&gateway)).collect();
    let mut kept = None;
    let mut streams = Vec::new();
    for caller in &mut callers {
        caller.get("/events");
        let peer = kept.get_or_insert_with(|| origin.accept());
        let stream = whole_request(peer).stream;
        peer.headers(stream, &[(":status", "200"), ("content-type", "text/event-stream")], false);
        assert_eq!(caller.told_head(), 200);
        streams.push(stream);
    }
    let peer = kept.as_mut().expect("a connection");
    for number in 0..10 {
        for (caller, stream) in callers.iter_mut().zip(&streams) {
            let event = format!("data: {number} of {stream}\n\n");
            peer.data(*stream, &event, false);
            assert_eq!(caller.piece(), event.as_bytes());
        }
    }
    for (caller, stream) in callers.iter_mut().zip(&streams) {
        peer.data(*stream, "end", true);
        assert_eq!(caller.rest(), (b"end".to_vec(), false));
    }
}

/// A head goes out before any of its body has come.
#[test]
fn a_head_goes_out_at_once() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept = None;
    for mut caller in Caller::both(&gateway) {
        caller.get("/");
        let peer = kept.get_or_insert_with(|| origin.accept());
        let stream = whole_request(peer).stream;
        peer.headers(stream, &[(":status", "201"), ("x-early", "1")], false);
        assert_eq!(caller.told_head(), 201);
        peer.data(stream, "late", true);
        assert_eq!(caller.rest(), (b"late".to_vec(), false));
    }
}

/// RFC 9113 §8.1: an answer may come before the request is whole, and RST_STREAM NO_ERROR behind it asks for no more.
#[test]
fn an_early_answer_is_passed() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 100000\r\n\r\nbegin");
    let mut peer = origin.accept();
    let head = peer.next_request_head();
    peer.answer(head.stream, 413, "too much");
    peer.send(Frame::reset(head.stream, NO_ERROR));
    let response = client.read_response();
    assert_eq!((response.status, response.text().as_str()), (413, "too much"));
    let mut client = H2::connect(&gateway);
    client.request(1, "POST", "/", &[], false);
    client.data(1, "begin", false);
    let head = peer.next_request_head();
    peer.answer(head.stream, 413, "too much");
    peer.send(Frame::reset(head.stream, NO_ERROR));
    let head = client.head(1);
    assert_eq!(fields::one(&head, ":status"), Some("413"));
    assert_eq!(client.take_data(1, 8), b"too much");
    assert_eq!(Caller::h1(&gateway).ask_through(&mut peer), "through");
}

/// An early answer without RST_STREAM: the gateway ends the stream by itself, and the connection lives on.
#[test]
fn an_early_answer_ends_the_stream() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 100000\r\n\r\nbegin");
    let mut peer = origin.accept();
    let head = peer.next_request_head();
    peer.answer(head.stream, 403, "no");
    assert_eq!(client.read_response().text(), "no");
    drop(client);
    reset_of(&mut peer, head.stream);
    assert_eq!(Caller::h1(&gateway).ask_through(&mut peer), "through");
}

/// Request and answer may stream at the same time, as gRPC does, through every mix of versions.
#[test]
fn both_directions_stream_at_once() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = H2::connect(&gateway);
    client.request(1, "POST", "/", &[("te", "trailers"), ("content-type", "application/grpc")], false);
    let mut peer = origin.accept();
    let stream = peer.next_request_head().stream;
    peer.headers(stream, &[(":status", "200"), ("content-type", "application/grpc")], false);
    assert_eq!(fields::one(&client.head(1), "content-type"), Some("application/grpc"));
    for round in 0..10 {
        let (up, down) = (format!("up {round}"), format!("down {round}"));
        client.data(1, &up, false);
        assert_eq!(peer.next_data(stream).0, up.as_bytes());
        peer.data(stream, &down, false);
        assert_eq!(client.next_data(1).0, down.as_bytes());
    }
    client.data(1, "", true);
    peer.wait("the end of the request", |f| f.stream == stream && f.ends());
    peer.headers(stream, &[("grpc-status", "0")], true);
    let end = rest_of(&mut client, 1);
    assert_eq!((end.ending, end.trailer("grpc-status")), (Ending::Whole, Some("0")));
    assert_eq!(Caller::h1(&gateway).ask_through(&mut peer), "through");
}
