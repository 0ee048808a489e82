//! Bodies and event streams on their way: byte 0 at once, then live; slow readers; answers too large to be kept.

use super::*;

const EVENTS: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/event-stream\r\n\
                      Transfer-Encoding: chunked\r\n\r\n";

/// Everybody gets what has come before the origin goes on, who joins late included.
#[test]
fn bytes_reach_everybody_at_once() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut peer, mut all) = flight(&gateway, &origin, 5, &get("/"));
    peer.send(format!("{STORED}Content-Length: 100\r\n\r\n"));
    for client in &mut all {
        assert_eq!(client.read_response_head().field("content-length"), Some("100"));
    }
    for round in 0..10 {
        peer.send(format!("round {round:04}"));
        for client in &mut all {
            client.expect_bytes(format!("round {round:04}"));
        }
        if round < 9 {
            let mut late = clients(&gateway, 1, &get("/")).remove(0);
            assert_eq!(late.read_response_head().status, 200);
            (0..=round).for_each(|before| late.expect_bytes(format!("round {before:04}")));
            all.push(late);
        }
    }
    origin.expect_no_connection();
}

/// An event stream is merged live: who comes late gets the events so far, then each as it comes. Afterwards it is replayed.
#[test]
fn event_streams_are_merged_live() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut peer, mut all) = flight(&gateway, &origin, 3, &get("/events"));
    peer.send(EVENTS);
    let mut bodies: Vec<Body> = (0..3).map(|_| Body::default()).collect();
    for client in &mut all {
        assert_eq!(client.read_response_head().field("content-type"), Some("text/event-stream"));
    }
    let mut whole = String::new();
    for number in 0..5 {
        let event = format!("data: {{\"n\":{number}}}\n\n");
        peer.send(chunk(&event));
        whole += &event;
        for (client, body) in all.iter_mut().zip(&mut bodies) {
            read_until(client, body, whole.len());
        }
        if number == 2 {
            let mut late = clients(&gateway, 1, &get("/events")).remove(0);
            assert!(cache_status(&late.read_response_head()).contains("collapsed"));
            let mut body = Body::default();
            read_until(&mut late, &mut body, whole.len());
            all.push(late);
            bodies.push(body);
        }
    }
    whole += "data: [DONE]\n\n";
    peer.send(chunk("data: [DONE]\n\n"));
    peer.send("0\r\n\r\n");
    for (client, body) in all.iter_mut().zip(&mut bodies) {
        read_until(client, body, whole.len());
        assert_eq!(client.next_chunk(body), Ok(None));
        assert_eq!(String::from_utf8_lossy(&body.bytes), whole);
    }
    let replayed = gateway.get("/events");
    assert!(cache_status(&replayed).contains("ringway; hit"), "{:?}", replayed.head);
    assert_eq!((replayed.text(), replayed.field("content-type")), (whole, Some("text/event-stream")));
    origin.expect_no_connection();
}

/// Reads chunks until the body has so many bytes.
#[track_caller]
fn read_until(client: &mut Connection, body: &mut Body, bytes: usize) {
    while body.bytes.len() < bytes {
        assert!(client.next_chunk(body).expect("the stream is open").is_some(), "the stream ended early");
    }
}

/// An event stream without the end of its protocol, or with an error in it, reaches the clients and is not stored.
#[test]
fn unclean_event_streams_are_not_stored() {
    let unclean = [
        ("no end", "data: {\"n\":1}\n\n", "stream_unfinished"),
        ("an end inside a text", "data: {\"text\":\"[DONE]\"}\n\n", "stream_unfinished"),
        ("an error event", "event: error\ndata: {}\n\ndata: [DONE]\n\n", "stream_error"),
        ("an error as data", "data: {\"error\":{\"message\":\"x\"}}\n\ndata: [DONE]\n\n", "stream_error"),
        ("more behind the end", "data: [DONE]\n\ndata: {\"n\":1}\n\n", "stream_unfinished"),
    ];
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    for (number, (name, events, reason)) in unclean.iter().enumerate() {
        let path = format!("/events/{number}");
        for _ in 0..2 {
            let mut client = gateway.client();
            client.send(get(&path));
            let (mut peer, _) = origin.accept_request();
            peer.send(EVENTS.replace("Transfer", "Connection: close\r\nTransfer"));
            peer.send(chunk(events));
            peer.send("0\r\n\r\n");
            assert_eq!(client.read_response().text(), *events, "{name}");
        }
        let counted = || gateway.metric("ringway_cache_not_stored_total", &[&format!("reason=\"{reason}\"")]);
        eventually(&format!("{name} is counted as {reason}"), || counted() >= 1.0);
    }
}

/// Event streams of each dialect that end as they should are stored.
#[test]
fn clean_event_streams_are_stored() {
    let clean = [
        ("OpenAI", "data: {\"choices\":[]}\n\ndata: [DONE]\n\n"),
        ("OpenAI with CRLF", "data: {\"choices\":[]}\r\n\r\ndata: [DONE]\r\n\r\n"),
        ("Anthropic", "event: message_start\ndata: {}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
        ("responses", "event: response.created\ndata: {}\n\nevent: response.completed\ndata: {}\n\n"),
    ];
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    for (number, (name, events)) in clean.iter().enumerate() {
        let path = format!("/events/{number}");
        let mut client = gateway.client();
        client.send(get(&path));
        let (mut peer, _) = origin.accept_request();
        peer.send(EVENTS.replace("Transfer", "Connection: close\r\nTransfer"));
        // Cut where it hurts.
        let (front, back) = events.split_at(events.len() - 5);
        peer.send(chunk(front));
        peer.send(chunk(back));
        peer.send("0\r\n\r\n");
        assert_eq!(client.read_response().text(), *events, "{name}");
        let replayed = gateway.get(&path);
        assert!(cache_status(&replayed).contains("ringway; hit"), "{name}: {:?}", replayed.head);
        assert_eq!(replayed.text(), *events, "{name}");
    }
    origin.expect_no_connection();
}

/// An answer over the limit of the route streams through to all who wait, and is not stored.
#[test]
fn too_large_answers_stream_through() {
    let body = noise(700_000);
    for chunked in [false, true] {
        let origin = Origin::new();
        let gateway = Config::to(&origin).cache("object_max = \"64KiB\"").start();
        let mut first = clients(&gateway, 1, &get("/large")).remove(0);
        let (mut peer, _) = origin.accept_request();
        let mut second = clients(&gateway, 1, &get("/large")).remove(0);
        all_are_in(&gateway, 2);
        let answer = large(&body, chunked);
        let sending = std::thread::spawn(move || {
            peer.send(&answer);
            // An answer of known length may have let the second one go: it is answered too.
            while let Ok(head) = peer.try_head() {
                assert!(head.start.starts_with("GET /large"));
                peer.send(&answer);
            }
        });
        let other = answer_others(&origin, large(&body, chunked));
        let reading = std::thread::spawn(move || second.read_response());
        let response = first.read_response();
        assert!(response.body.cut.is_none() && response.body.bytes == body, "the first, chunked: {chunked}");
        let response = reading.join().expect("the second reads");
        assert!(response.body.cut.is_none() && response.body.bytes == body, "the second, chunked: {chunked}");
        let response = gateway.get("/large");
        assert!(!cache_status(&response).contains("ringway; hit") && response.body.bytes == body);
        let counted = || gateway.metric("ringway_cache_not_stored_total", &["reason=\"too_large\""]);
        eventually("it is counted", || counted() >= 1.0);
        drop(gateway);
        sending.join().expect("the origin ends well");
        drop(other);
    }
}

/// An answer of these bytes.
fn large(body: &[u8], chunked: bool) -> Vec<u8> {
    if !chunked {
        return stored(body);
    }
    let mut bytes = format!("{STORED}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    body.chunks(50_000).for_each(|piece| bytes.extend_from_slice(&chunk(piece)));
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Every further connection to the origin gets this answer, on threads of their own.
fn answer_others(origin: &Origin, answer: Vec<u8>) -> Serving {
    origin.share().serve(move |_: &Request| answer.clone())
}

/// A client that does not read keeps nobody else waiting, and still gets every byte when it reads.
#[test]
fn a_slow_reader_slows_nobody() {
    let body = noise(6_000_000);
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut peer, mut all) = flight(&gateway, &origin, 3, &get("/big"));
    let answer = stored(&body);
    let sending = std::thread::spawn(move || {
        peer.send(&answer);
        peer
    });
    // The first client, whose request it was, does not read; the others are done before it begins.
    for client in &mut all[1..] {
        assert!(client.read_response().body.bytes == body);
    }
    sending.join().expect("the origin sent all of it");
    let response = gateway.get("/big");
    assert!(cache_status(&response).contains("ringway; hit") && response.body.bytes == body);
    assert!(all[0].read_response().body.bytes == body);
}

/// A slow reader of an answer that is not kept stops the origin for all, within bounds of memory, and loses nothing.
#[test]
fn a_slow_reader_of_what_is_not_kept() {
    let body = noise(6_000_000);
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("object_max = \"64KiB\"").start();
    let (mut peer, mut all) = flight(&gateway, &origin, 2, &get("/big"));
    let answer = large(&body, true);
    let sending = std::thread::spawn(move || peer.send(&answer));
    let mut slow = all.remove(0);
    let mut quick = all.remove(0);
    let reading = std::thread::spawn(move || quick.read_response());
    assert_eq!(slow.read_response_head().status, 200);
    let mut read = Body::default();
    while let Some(piece) = slow.next_chunk(&mut read).expect("the stream is open") {
        assert!(!piece.is_empty());
    }
    assert!(read.bytes == body && reading.join().expect("the quick one reads").body.bytes == body);
    sending.join().expect("the origin sent all of it");
}

/// HEAD, a range and a condition join a flight too, each with the answer that is its own.
#[test]
fn parts_and_heads_of_what_is_on_its_way() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut peer, mut all) = flight(&gateway, &origin, 1, &get("/"));
    peer.send(format!("{STORED}ETag: \"e\"\r\nContent-Length: 10\r\n\r\n01234"));
    all[0].read_response_head();
    all[0].expect_bytes("01234");
    let fields = |field: &str| get("/").replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"));
    let mut known = clients(&gateway, 1, &fields("if-none-match: \"e\"")).remove(0);
    let asked = origin::readable_within(&origin, 100);
    peer.send("56789");
    all[0].expect_bytes("56789");
    if asked {
        let (mut other, _) = origin.accept_request();
        other.send("HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n");
    }
    assert_eq!(known.read_response().status, 304);
    let mut part = clients(&gateway, 1, &fields("range: bytes=3-6")).remove(0);
    let response = part.read_response();
    assert_eq!((response.status, response.text().as_str()), (206, "3456"));
}
