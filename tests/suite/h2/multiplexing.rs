//! Many streams on one connection: each gets its own answer, none waits for another, and no more than was allowed.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use super::*;

/// An origin that answers `/slow…` when it is told to and everything else at once.
fn with_slow_paths() -> (Serving, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel();
    let wait = Arc::new(Mutex::new(wait));
    let origin = Origin::new().serve(move |request: &Request| {
        if request.target.starts_with("/slow") {
            // The end of the test lets go of those that still wait.
            let _told = wait.lock().expect("no test thread panicked").recv();
        }
        echo(request)
    });
    (origin, go)
}

/// A hundred requests in one write are answered each by its own answer.
#[test]
fn a_hundred_streams_at_once() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    let frames: Vec<Frame> = (0..100)
        .map(|number| Frame::headers(1 + 2 * number, fields::request("GET", &format!("/{number}"), &[]), true))
        .collect();
    client.send_all(&frames);
    for number in (0..100).rev() {
        assert_eq!(client.message(1 + 2 * number).whole(), (200, format!("GET /{number}")));
    }
    assert_eq!(origin.take_requests().len(), 100);
    settles(&gateway, "ringway_http2_streams_open");
}

/// A thousand requests on one connection, fifty at a time.
#[test]
fn a_thousand_streams_on_one_connection() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.updates = true;
    for batch in 0..20 {
        let streams: Vec<u32> = (0..50).map(|number| 1 + 2 * (batch * 50 + number)).collect();
        let frames: Vec<Frame> = streams
            .iter()
            .map(|stream| Frame::headers(*stream, fields::request("GET", &format!("/{stream}"), &[]), true))
            .collect();
        client.send_all(&frames);
        for stream in streams {
            assert_eq!(client.message(stream).whole(), (200, format!("GET /{stream}")));
        }
    }
    assert_eq!(origin.take_requests().len(), 1_000);
}

/// Uploads that come piece by piece in turn are kept apart, and so are their answers.
#[test]
fn uploads_in_turn_are_kept_apart() {
    let origin = Origin::new().serve(|request: &Request| ok(&request.body.bytes));
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.updates = true;
    let streams: Vec<u32> = (0..20).map(|number| 1 + 2 * number).collect();
    let piece = |stream: u32, round: u32| format!("{stream}-{round};").repeat(90);
    for stream in &streams {
        client.request(*stream, "POST", "/", &[], false);
    }
    for round in 0..10 {
        for stream in &streams {
            client.body(*stream, piece(*stream, round).as_bytes(), round == 9);
        }
    }
    for stream in streams {
        let wanted: String = (0..10).map(|round| piece(stream, round)).collect();
        assert!(client.message(stream).text() == wanted, "stream {stream}");
    }
}

/// A stream whose answer is slow holds up nobody.
#[test]
fn a_slow_stream_holds_up_nobody() {
    let (origin, go) = with_slow_paths();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/slow");
    for number in 1..30 {
        assert_eq!(client.fetch(1 + 2 * number, "/fast").text(), "GET /fast");
    }
    go.send(()).expect("the origin waits");
    assert_eq!(client.message(1).text(), "GET /slow");
}

/// A short answer gets through while a long one is on its way, though the windows would let the long one pass at once.
#[test]
fn a_long_answer_lets_short_ones_through() {
    let origin = Origin::new().serve(|request: &Request| match request.target.as_str() {
        "/long" => ok(vec![b'x'; 16 * 1024 * 1024]),
        _ => ok("short"),
    });
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect_with(&gateway, &[(INITIAL_WINDOW_SIZE, 100_000_000)]);
    client.send(Frame::window_update(0, 100_000_000));
    client.get(1, "/long");
    client.head(1);
    let mut taken = client.next_data(1).0.len();
    client.get(3, "/short");
    let long = |f: &Frame| f.stream == 1 && f.kind == DATA;
    let short = |f: &Frame| f.stream == 3 && f.ends();
    loop {
        let frame = client.wait("DATA", |f| long(f) || short(f));
        if frame.stream == 3 {
            break;
        }
        taken += frame.content().len();
        assert!(!frame.ends(), "the short answer came behind {taken} bytes");
    }
    while taken < 16 * 1024 * 1024 {
        taken += client.next_data(1).0.len();
    }
}

/// Two long answers share the connection: neither is over before the other has got a fair part of it.
#[test]
fn long_answers_share_the_connection() {
    let origin = Origin::new().serve(|_| ok(vec![b'x'; 4 * 1024 * 1024]));
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect_with(&gateway, &[(INITIAL_WINDOW_SIZE, 1_000_000)]);
    client.updates = true;
    client.get(1, "/");
    client.get(3, "/");
    let mut taken = [0, 0];
    while taken.iter().all(|taken| *taken < 4 * 1024 * 1024) {
        let frame = client.wait("DATA", |f| f.kind == DATA);
        taken[(frame.stream as usize - 1) / 2] += frame.content().len();
    }
    assert!(taken.iter().all(|taken| *taken > 512 * 1024), "{taken:?}");
}

/// Streams beyond what SETTINGS allow are refused as never processed; there is room again when one is over (§5.1.2).
#[test]
fn streams_are_limited() {
    let (origin, go) = with_slow_paths();
    let gateway = Config::to(&origin).listener("http2_streams = 4").start();
    let mut client = H2::connect(&gateway);
    assert_eq!(client.settings.get(&MAX_CONCURRENT_STREAMS), Some(&4));
    for stream in [1, 3, 5, 7] {
        client.get(stream, "/slow");
    }
    for stream in [9, 11] {
        client.get(stream, "/refused");
        client.expect_reset(stream, &[REFUSED_STREAM, PROTOCOL_ERROR]);
    }
    // One of them is reset by the client: its place is free at once.
    client.send(Frame::reset(7, CANCEL));
    assert_eq!(client.fetch(13, "/after").text(), "GET /after");
    // The one that was given up may take one, too.
    (0..4).for_each(|_| go.send(()).expect("the origin waits"));
    for _ in 0..3 {
        let over = client.wait("an answer", |f| f.ends() && f.stream < 7);
        assert!(matches!(over.stream, 1 | 3 | 5));
    }
    assert_eq!(client.fetch(15, "/again").text(), "GET /again");
    let seen: Vec<String> = origin.take_requests().iter().map(|request| request.brief()).collect();
    assert!(!seen.iter().any(|brief| brief.contains("refused")), "{seen:?}");
}

/// As many streams as SETTINGS allow may be open at once.
#[test]
fn as_many_streams_as_were_allowed() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("http2_streams = 30").start();
    let mut client = H2::connect(&gateway);
    for number in 0..30 {
        client.request(1 + 2 * number, "POST", "/", &[], false);
    }
    client.ping();
    assert!(!client.has_come(|f| f.kind == RST_STREAM));
    let mut peers: Vec<(u32, Connection)> = Vec::new();
    for number in 0..30 {
        client.data(1 + 2 * number, "x", true);
    }
    for number in 0..30 {
        peers.push((number, origin.accept_request().0));
    }
    peers.iter_mut().for_each(|(_, peer)| peer.send(ok("x")));
    for number in 0..30 {
        assert_eq!(client.message(1 + 2 * number).whole().0, 200);
    }
}

/// Connections are apart: streams of one number on two connections do not meet.
#[test]
fn connections_are_apart() {
    let origin = Origin::new().serve(|request: &Request| ok(&request.body.bytes));
    let gateway = Config::to(&origin).start();
    let mut clients: Vec<H2> = (0..8).map(|_| H2::connect(&gateway)).collect();
    for client in &mut clients {
        client.request(1, "POST", "/", &[], false);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.data(1, number.to_string(), true);
    }
    for (number, client) in clients.iter_mut().enumerate().rev() {
        assert_eq!(client.message(1).text(), number.to_string());
    }
}

/// Over TLS many streams are served as well, and bodies beyond a record pass.
#[test]
fn many_streams_over_tls() {
    let origin = Origin::new().serve(|request: &Request| ok(&request.body.bytes));
    let (gateway, authority) = secure(&origin, "");
    let mut client = H2::connect_tls(&gateway, &authority, "t.test");
    client.updates = true;
    let body: Vec<u8> = (0..200_000).map(|i: usize| (i * 31 + i / 251) as u8).collect();
    for number in 0..10 {
        client.request(1 + 2 * number, "POST", "/", &[], false);
        client.body(1 + 2 * number, &body, true);
    }
    for number in 0..10 {
        assert!(client.message(1 + 2 * number).body == body);
    }
}
