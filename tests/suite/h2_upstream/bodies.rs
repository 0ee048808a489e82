//! Bodies over HTTP/2 upstreams and flow control (RFC 9113 §5.2, §6.9): whole, in both directions, and never unbounded.

use super::super::h2::frames::*;
use super::super::harness::*;
use super::caller::Caller;
use super::origin::*;

/// Bytes that differ at each place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(31) ^ (at >> 8)) as u8).collect()
}

/// An origin that sends back what it gets, without a length where the path says so.
fn echo(origin: H2Origin) -> H2Serving {
    origin.serve(|request| match request.field(":path") {
        Some("/unmeasured") => Answer::ok(request.body.clone()).unmeasured(),
        _ => Answer::ok(request.body.clone()),
    })
}

/// Bodies of many sizes, beyond each window and frame, pass both ways unchanged, with a length and without one.
#[test]
fn bodies_of_any_size_pass() {
    for origin in H2Origin::both() {
        let origin = echo(origin);
        let gateway = origin.config().start();
        for mut caller in Caller::both(&gateway) {
            for length in [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 300_000] {
                let body = pattern(length);
                for path in ["/measured", "/unmeasured"] {
                    exchange(&mut caller, path, &body);
                }
            }
        }
        assert_eq!(origin.connections(), 1);
    }
}

/// Posts a body and expects it back. A client of HTTP/1.1 sends while the answer comes.
#[track_caller]
fn exchange(caller: &mut Caller, path: &str, body: &[u8]) {
    let told = match caller {
        Caller::H1(client) => {
            let head = format!("POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n", body.len());
            client.send(head);
            client.send(body);
            client.read_response().body.bytes
        }
        Caller::H2 { .. } => {
            caller.ask("POST", path, &[], body);
            caller.told().body
        }
    };
    assert!(told == body, "{} bytes of {} at {path}", told.len(), body.len());
}

/// A chunked request of many small chunks arrives whole.
#[test]
fn small_chunks_arrive() {
    let origin = echo(H2Origin::clear());
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunks: Vec<u8> = (0..2_000).flat_map(|number: u32| chunk(number.to_string())).collect();
    client.send([&chunks[..], b"0\r\n\r\n"].concat());
    let expected: String = (0..2_000).map(|number: u32| number.to_string()).collect();
    assert_eq!(client.read_response().text(), expected);
}

/// A request body is streamed: the origin gets each piece before the next is sent.
#[test]
fn a_request_body_is_streamed() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut peer = origin.accept();
    let stream = peer.next_request_head().stream;
    for number in 0..20 {
        let piece = format!("piece {number}");
        client.send(chunk(&piece));
        assert_eq!(peer.next_data(stream), (piece.into_bytes(), false));
    }
    client.send("0\r\n\r\n");
    peer.wait("the end of the request", |f| f.stream == stream && f.ends());
    peer.answer(stream, 200, "x");
    assert_eq!(client.read_response().text(), "x");
}

/// Padding, empty frames and frames of one byte change nothing, and what they take of the windows comes back.
#[test]
fn odd_frames_of_an_answer_are_read() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut kept = None;
    for mut caller in Caller::both(&gateway) {
        caller.get("/");
        let peer = kept.get_or_insert_with(|| origin.accept());
        let stream = whole_request(peer).stream;
        peer.headers(stream, &[(":status", "200")], false);
        let mut sent = Vec::new();
        for number in 0..2_000_u32 {
            // Each takes 257 bytes of the windows and carries one: 2,000 of them are eight windows.
            while peer.room(stream) < 257 {
                let frame = peer.read_frame().expect("the windows are opened again");
                assert_eq!(frame.kind, WINDOW_UPDATE, "{frame:?}");
            }
            let byte = [number as u8];
            peer.send(Frame::padded_data(stream, byte, 255, false));
            if number % 500 == 0 {
                peer.data(stream, "", false);
            }
            sent.extend_from_slice(&byte);
        }
        peer.send(Frame::padded_data(stream, "", 0, true));
        assert_eq!(caller.told().body, sent);
    }
}

/// RFC 9113 §6.9.1: with a window of one byte the gateway sends one byte at a time. The harness fails where it sends more.
#[test]
fn a_window_of_one_byte_is_respected() {
    let origin = H2Origin::clear().settings(&[(INITIAL_WINDOW_SIZE, 1)]);
    let gateway = origin.config().start();
    // The first exchange shows that the settings are known.
    let mut first = gateway.client();
    first.send(get("/"));
    let mut peer = origin.accept_held();
    let request = peer.next_request();
    peer.answer(request.stream, 200, "x");
    assert_eq!(first.read_response().status, 200);
    for mut caller in Caller::both(&gateway) {
        caller.ask("POST", "/", &[], b"twenty bytes of body");
        let stream = peer.next_request_head().stream;
        let mut body = Vec::new();
        while body.len() < 20 {
            let (piece, _) = peer.next_data(stream);
            assert!(piece.len() <= 1, "{piece:?}");
            body.extend(piece);
            if body.len() < 20 {
                peer.open_windows(stream, 1);
            }
        }
        assert_eq!(body, b"twenty bytes of body");
        peer.answer(stream, 200, "x");
        assert_eq!(caller.told().whole().0, 200);
    }
}

/// RFC 9113 §6.9.2: a window of nothing lets the head through and no byte of the body, until SETTINGS open it.
#[test]
fn a_window_that_settings_open() {
    let origin = H2Origin::clear().settings(&[(INITIAL_WINDOW_SIZE, 0)]);
    let gateway = origin.config().start();
    let mut first = gateway.client();
    first.send(get("/"));
    let mut peer = origin.accept();
    let request = peer.next_request();
    peer.answer(request.stream, 200, "x");
    assert_eq!(first.read_response().status, 200);
    let mut client = gateway.client();
    client.send(post("/", "body"));
    let stream = peer.next_request_head().stream;
    peer.ping();
    assert!(!peer.has_come(|f| f.kind == DATA));
    peer.settings(&[(INITIAL_WINDOW_SIZE, 10)]);
    assert_eq!(peer.take_data(stream, 4), b"body");
    peer.answer(stream, 200, "x");
    assert_eq!(client.read_response().status, 200);
}

/// RFC 9113 §6.9.2: SETTINGS in the middle of a body may make its window negative; nothing comes until it is positive again.
#[test]
fn a_window_that_becomes_negative() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 60000\r\n\r\n");
    client.send(vec![b'a'; 40_000]);
    let mut peer = origin.accept_held();
    let stream = peer.next_request_head().stream;
    peer.take_data(stream, 40_000);
    settle(&mut peer, &[(INITIAL_WINDOW_SIZE, 30_000)]);
    client.send(vec![b'b'; 20_000]);
    peer.send(Frame::window_update(stream, 9_999));
    peer.ping();
    assert!(!peer.has_come(|f| f.kind == DATA && !f.payload.is_empty()), "the window is -1 byte");
    peer.send(Frame::window_update(stream, 20_001));
    assert_eq!(peer.take_data(stream, 20_000), vec![b'b'; 20_000]);
    peer.answer(stream, 200, "x");
    assert_eq!(client.read_response().status, 200);
}

/// An origin that takes nothing stops the client: the gateway holds a bounded part of the body.
#[test]
fn an_origin_that_takes_nothing_stops_the_client() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 60000000\r\n\r\n");
    let mut peer = origin.accept_held();
    let stream = peer.next_request_head().stream;
    client.tcp().set_write_timeout(Some(std::time::Duration::from_millis(300))).expect("write timeout");
    let piece = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < 60_000_000 && client.try_send(&piece).is_ok() {
        sent += piece.len();
    }
    assert!(sent < 60_000_000, "the client was never stopped");
    // No more than the window has come, and others are served meanwhile.
    peer.take_data(stream, WINDOW as usize);
    peer.open_windows(0, 1);
    assert_eq!(Caller::h1(&gateway).ask_through(&mut peer), "through");
}

/// A client that does not read stops the origin at a bounded part, and nobody else on the same upstream connection.
#[test]
fn a_client_that_does_not_read_stops_its_stream_alone() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut slow = gateway.client();
    slow.send(get("/slow"));
    let (mut peer, request) = origin.accept_request();
    let stream = request.stream;
    peer.headers(stream, &[(":status", "200")], false);
    let mut sent = 0;
    // The windows tell when the gateway takes no more: a round trip has passed and there is still no room.
    loop {
        let room = peer.room(stream).min(FRAME_BYTES);
        if room > 0 {
            peer.data(stream, vec![b'x'; room], false);
            sent += room;
            assert!(sent < 64 * 1024 * 1024, "the origin was never stopped");
            continue;
        }
        peer.wire.tcp().set_read_timeout(Some(std::time::Duration::from_millis(300))).expect("read timeout");
        if peer.read_frame().is_err() {
            break;
        }
    }
    peer.wire.tcp().set_read_timeout(Some(WAIT)).expect("read timeout");
    for mut caller in Caller::both(&gateway) {
        caller.get("/quick");
        let quick = whole_request(&mut peer).stream;
        let body = vec![b'q'; 200_000];
        peer.headers(quick, &[(":status", "200"), ("content-length", "200000")], false);
        // Both ends move: the client reads what the windows let through.
        let reader = std::thread::spawn(move || caller.told());
        peer.body(quick, &body, true);
        assert!(reader.join().expect("the client reads").body == body);
    }
    // The stream goes on when its client reads.
    let reader = std::thread::spawn(move || {
        let response = slow.read_response_head();
        slow.finish_response(response, false)
    });
    peer.body(stream, b"end", true);
    let response = reader.join().expect("the client reads");
    assert_eq!((response.body.bytes.len(), response.body.cut), (sent + 3, None));
}

/// A client of HTTP/2 that opens no window stops the origin as well.
#[test]
fn a_client_without_window_stops_the_origin() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/");
    let (mut peer, request) = origin.accept_request();
    peer.headers(request.stream, &[(":status", "200")], false);
    let mut sent = 0;
    loop {
        let room = peer.room(request.stream).min(FRAME_BYTES);
        if room > 0 {
            peer.data(request.stream, vec![b'x'; room], false);
            sent += room;
            assert!(sent < 16 * 1024 * 1024, "the origin was never stopped");
            continue;
        }
        peer.wire.tcp().set_read_timeout(Some(std::time::Duration::from_millis(300))).expect("read timeout");
        if peer.read_frame().is_err() {
            break;
        }
    }
    peer.wire.tcp().set_read_timeout(Some(WAIT)).expect("read timeout");
    client.head(1);
    client.take_data(1, WINDOW as usize);
    client.ping();
    assert!(!client.has_come(|f| f.kind == DATA));
    client.updates = true;
    client.open_windows(1, WINDOW);
    let reader = std::thread::spawn(move || rest_of(&mut client, 1));
    peer.body(request.stream, b"", true);
    let message = reader.join().expect("the client reads");
    assert_eq!((message.body.len(), message.ending), (sent - WINDOW as usize, Ending::Whole));
}

/// RFC 9113 §8.1.1: a length that the body does not have is never a whole answer at the client.
#[test]
fn a_wrong_length_is_never_whole() {
    let origin = H2Origin::clear();
    let gateway = origin.config().start();
    for (said, body) in [("10", "hello"), ("3", "hello"), ("10", "")] {
        for mut caller in Caller::both(&gateway) {
            caller.post("/", "x");
            let (mut peer, request) = origin.accept_request();
            peer.headers(request.stream, &[(":status", "200"), ("content-length", said)], false);
            peer.data(request.stream, body, true);
            caller.told().assert_cut_or_502();
            goodbye(peer);
        }
        for mut caller in Caller::both(&gateway) {
            caller.post("/", "x");
            let (mut peer, request) = origin.accept_request();
            let frames = [
                Frame::headers(request.stream, fields::block(&[(":status", "200"), ("content-length", said)]), false),
                Frame::data(request.stream, body, true),
            ];
            peer.send_all(&frames);
            caller.told().assert_cut_or_502();
            goodbye(peer);
        }
    }
}
