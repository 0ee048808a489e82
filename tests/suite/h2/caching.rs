//! The cache under HTTP/2: hits of every kind on many streams, and one object for every version.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// An origin whose every answer of so many bytes differs from the one before and may be stored for a minute.
fn counting(bytes: usize) -> Serving {
    let count = AtomicUsize::new(0);
    Origin::new().serve(move |request: &Request| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let mut body = format!("{number} of {}", request.target).into_bytes();
        body.resize(body.len().max(bytes), b'.');
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"e\"\r\nContent-Type: text/plain\r\n";
        let mut answer = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        if request.method != "HEAD" {
            answer.extend_from_slice(&body);
        }
        answer
    })
}

fn is_hit(answer: &Message) -> bool {
    answer.all("cache-status").join(", ").contains("ringway; hit")
}

/// A second request is answered from the cache, whatever version the first one had.
#[test]
fn every_version_gets_the_same_object() {
    let origin = counting(0);
    let gateway = Config::to(&origin).cache("").start();
    let mut client = H2::connect(&gateway);
    let front = [(":method", "GET"), (":scheme", "http"), (":authority", "t")];
    for (number, path) in ["/first-by-2", "/first-by-1"].into_iter().enumerate() {
        let stream = 1 + 4 * number as u32;
        if number == 1 {
            gateway.get(path);
        }
        for stream in [stream, stream + 2] {
            client.headers(stream, &[&front[..], &[(":path", path)]].concat(), true);
            let answer = client.message(stream);
            assert_eq!(answer.whole(), (200, format!("{number} of {path}")));
            assert_eq!(is_hit(&answer), stream > 1, "{:?}", answer.fields);
            assert_eq!((answer.field("connection"), answer.field("content-type")), (None, Some("text/plain")));
        }
        let plain = gateway.get(path);
        assert_eq!(plain.text(), format!("{number} of {path}"));
    }
    assert_eq!(origin.take_requests().len(), 2);
}

/// HEAD, 304, ranges and what cannot be met are answered from a stored answer.
#[test]
fn hits_of_every_kind() {
    let origin = counting(1_000);
    let gateway = Config::to(&origin).cache("").start();
    let mut client = H2::connect(&gateway);
    let body = client.fetch(1, "/a").text();
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str);
    let rows: [Row<'_>; 7] = [
        ("HEAD", &[], 200, ""),
        ("GET", &[("if-none-match", "\"e\"")], 304, ""),
        ("HEAD", &[("if-none-match", "\"e\"")], 304, ""),
        ("GET", &[("range", "bytes=2-4")], 206, &body[2..5]),
        ("GET", &[("range", "bytes=5000-")], 416, "-"),
        ("GET", &[("if-match", "\"f\"")], 412, "-"),
        ("GET", &[("cache-control", "only-if-cached")], 200, &body),
    ];
    for (number, (method, fields, status, text)) in rows.into_iter().enumerate() {
        let stream = 3 + 2 * number as u32;
        client.request(stream, method, "/a", fields, true);
        let answer = client.message(stream);
        assert_eq!((answer.ending, answer.status()), (Ending::Whole, status), "{method} {fields:?}");
        assert!(text == "-" || answer.text() == text, "{method} {fields:?}: {answer:?}");
    }
    assert_eq!(origin.take_requests().len(), 1);
    client.request(99, "GET", "/b", &[("cache-control", "only-if-cached")], true);
    client.message(99).assert_failure(504);
}

/// Many hits in one write are answered each on its own stream.
#[test]
fn many_hits_in_one_write() {
    let origin = counting(1_024);
    let gateway = Config::to(&origin).cache("").start();
    for number in 0..10 {
        gateway.get(&format!("/{number}"));
    }
    let mut client = H2::connect(&gateway);
    client.send(Frame::window_update(0, 1_000_000));
    for batch in 0..10 {
        let streams: Vec<u32> = (0..60).map(|number| 1 + 2 * (batch * 60 + number)).collect();
        let head =
            |stream: &u32| Frame::headers(*stream, fields::request("GET", &format!("/{}", stream % 10), &[]), true);
        client.send_all(&streams.iter().map(head).collect::<Vec<_>>());
        for stream in streams {
            let answer = client.message(stream);
            assert!(is_hit(&answer) && answer.text().contains(&format!("of /{}", stream % 10)), "{answer:?}");
        }
    }
    assert_eq!(origin.take_requests().len(), 10);
}

/// A large hit goes out as the windows open, byte by byte as it was, beside others.
#[test]
fn a_large_hit_goes_out_as_windows_open() {
    let origin = counting(1_500_000);
    let gateway = Config::to(&origin).cache("").start();
    let stored = gateway.get("/large").body.bytes;
    let mut client = H2::connect(&gateway);
    client.get(1, "/large");
    client.head(1);
    let mut got = client.take_data(1, WINDOW as usize);
    for step in [1, 10, 100_000, 400_000, 1_000_000] {
        client.ping();
        assert!(!client.has_come(|f| f.kind == DATA), "nothing beyond the window");
        client.open_windows(1, step);
        let more = (stored.len() - got.len()).min(step as usize);
        got.extend(client.take_data(1, more));
    }
    assert!(got == stored);
    client.updates = true;
    client.send(Frame::window_update(0, 1_000_000));
    client.get(3, "/large");
    client.get(5, "/large");
    for stream in [3, 5] {
        let answer = client.message(stream);
        assert!(is_hit(&answer) && answer.body == stored);
    }
    assert_eq!(origin.take_requests().len(), 1);
}

/// A reader that resets a hit in its middle disturbs nobody.
#[test]
fn a_hit_may_be_given_up() {
    let origin = counting(1_000_000);
    let gateway = Config::to(&origin).cache("").start();
    let stored = gateway.get("/large").body.bytes;
    let mut client = H2::connect(&gateway);
    for number in 0..10 {
        client.get(1 + 2 * number, "/large");
        client.head(1 + 2 * number);
        client.send(Frame::reset(1 + 2 * number, CANCEL));
        client.send(Frame::window_update(0, 100_000));
    }
    client.updates = true;
    client.send(Frame::window_update(0, 1_000_000));
    client.get(101, "/large");
    assert!(client.message(101).body == stored);
    settles(&gateway, "ringway_http2_streams_open");
}

/// Streams that ask for the same at once are served by one request to the origin, and read along as it comes.
#[test]
fn requests_for_the_same_are_merged() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let mut client = H2::connect(&gateway);
    let frames: Vec<Frame> =
        (0..20).map(|number| Frame::headers(1 + 2 * number, fields::request("GET", "/m", &[]), true)).collect();
    client.send_all(&frames);
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n");
    for number in 0..20 {
        assert_eq!(fields::one(&client.head(1 + 2 * number), ":status"), Some("200"));
    }
    for text in ["one ", "two ", "three"] {
        peer.send(chunk(text));
        for number in 0..20 {
            assert_eq!(client.take_data(1 + 2 * number, text.len()), text.as_bytes());
        }
    }
    peer.send("0\r\n\r\n");
    for number in 0..20 {
        client.wait("the end", |f| f.stream == 1 + 2 * number && f.ends());
    }
    origin.expect_no_connection();
    assert!(is_hit(&client.fetch(101, "/m")));
}

/// A stream that leads a fetch may leave: those that wait for the same get their answer.
#[test]
fn who_leads_a_fetch_may_leave() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/m");
    let (mut peer, _) = origin.accept_request();
    client.get(3, "/m");
    client.ping();
    client.send(Frame::reset(1, CANCEL));
    client.ping();
    peer.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.message(3).whole(), (200, "ok".to_owned()));
}

/// The scheme and the authority are part of what tells objects apart, as in HTTP/1.1.
#[test]
fn authorities_are_apart() {
    let origin = counting(0);
    let gateway = Config::to(&origin).cache("").start();
    let mut client = H2::connect(&gateway);
    for (number, authority) in ["a.example", "b.example", "a.example"].into_iter().enumerate() {
        let stream = 1 + 2 * number as u32;
        let fields = [(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", "/x")];
        client.headers(stream, &fields, true);
        assert_eq!(is_hit(&client.message(stream)), number == 2);
    }
}
