//! RFC 9113 §5.2, §6.9: windows are obeyed byte by byte, and given back whatever becomes of the stream.

use super::*;

/// An origin that answers with so many bytes as the path says.
fn bytes_of_path() -> Serving {
    Origin::new().serve(|request: &Request| {
        let bytes = request.target.trim_start_matches('/').parse().unwrap_or(0);
        ok(vec![b'x'; bytes])
    })
}

/// A client with a window for each stream, and a GET for so many bytes on stream 1, its head taken.
fn waiting(gateway: &Gateway, window: u32, bytes: usize) -> H2 {
    let mut client = H2::connect_with(gateway, &[(INITIAL_WINDOW_SIZE, window)]);
    client.get(1, &format!("/{bytes}"));
    let head = client.head(1);
    assert_eq!(fields::one(&head, ":status"), Some("200"));
    client
}

/// With a window of one byte, one byte comes each time it is opened by one.
#[test]
fn section_6_9_1_a_window_of_one_byte() {
    let origin = bytes_of_path();
    let gateway = Config::to(&origin).start();
    let mut client = waiting(&gateway, 1, 20);
    for number in 0..20 {
        let (data, end) = client.next_data(1);
        assert_eq!((data.as_slice(), end), (&b"x"[..], number == 19));
        client.ping();
        assert!(!client.has_come(|f| f.kind == DATA), "more than the window at byte {number}");
        if !end {
            client.send(Frame::window_update(1, 1));
        }
    }
}

/// With a window of nothing the head comes and no content; an end of stream needs no window.
#[test]
fn section_6_9_1_a_window_of_nothing() {
    let origin = bytes_of_path();
    let gateway = Config::to(&origin).start();
    let mut client = waiting(&gateway, 0, 5);
    client.ping();
    assert!(!client.has_come(|f| f.kind == DATA && !f.payload.is_empty()));
    client.get(3, "/0");
    assert_eq!(client.message(3).whole(), (200, String::new()));
    client.send(Frame::window_update(1, 5));
    assert_eq!(client.take_data(1, 5), b"xxxxx");
}

/// The window of the connection holds all streams together.
#[test]
fn section_6_9_1_the_window_of_the_connection() {
    let origin = bytes_of_path();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect_with(&gateway, &[(INITIAL_WINDOW_SIZE, 1_000_000)]);
    let mut held = 0;
    for stream in [1, 3, 5, 7] {
        client.get(stream, "/40000");
    }
    let all = |f: &Frame| f.kind == DATA;
    while held < WINDOW as usize {
        held += client.wait("DATA", all).content().len();
    }
    assert_eq!(held, WINDOW as usize);
    client.ping();
    assert!(!client.has_come(all));
    client.send(Frame::window_update(0, 160_000 - WINDOW));
    while held < 160_000 {
        held += client.wait("DATA", all).content().len();
    }
}

/// A larger initial window opens the streams that wait (§6.9.2).
#[test]
fn section_6_9_2_a_larger_initial_window() {
    let origin = bytes_of_path();
    let gateway = Config::to(&origin).start();
    let mut client = waiting(&gateway, 10, 1_000);
    assert_eq!(client.take_data(1, 10).len(), 10);
    client.settings(&[(INITIAL_WINDOW_SIZE, 25)]);
    assert_eq!(client.take_data(1, 15).len(), 15);
    client.ping();
    assert!(!client.has_come(|f| f.kind == DATA));
    client.settings(&[(INITIAL_WINDOW_SIZE, 1_000)]);
    assert_eq!(client.take_data(1, 975).len(), 975);
}

/// A smaller initial window makes windows negative: they count up through nothing (§6.9.2).
#[test]
fn section_6_9_2_a_negative_window() {
    let origin = bytes_of_path();
    let gateway = Config::to(&origin).start();
    let mut client = waiting(&gateway, 100, 1_000);
    assert_eq!(client.take_data(1, 100).len(), 100);
    client.settings(&[(INITIAL_WINDOW_SIZE, 40)]);
    client.send(Frame::window_update(1, 60));
    client.ping();
    assert!(!client.has_come(|f| f.kind == DATA), "the window is nothing, not 60");
    client.send(Frame::window_update(1, 7));
    assert_eq!(client.take_data(1, 7).len(), 7);
    client.ping();
    assert!(!client.has_come(|f| f.kind == DATA));
}

/// A stream that waits for its window does not hold up the others.
#[test]
fn section_5_2_a_stream_without_a_window_holds_up_nobody() {
    let origin = bytes_of_path();
    let gateway = Config::to(&origin).start();
    let mut client = waiting(&gateway, 1, 100_000);
    for stream in (3..40).step_by(2) {
        client.get(stream, "/1");
        assert_eq!(client.message(stream).whole(), (200, "x".to_owned()));
    }
}

/// DATA beyond the window that the gateway has given is an error of flow control, and memory does not grow with it.
#[test]
fn section_6_9_1_data_beyond_the_window() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.request(1, "POST", "/a", &[], false);
    let mut peer = origin.accept();
    peer.read_request_head();
    // The origin reads no more: sooner or later the windows are closed, whatever the sockets between hold.
    let frame = Frame::data(1, [b'x'; FRAME_BYTES], false);
    let mut sent = 0;
    while sent < 64 * 1024 * 1024 && client.try_send_all(&[frame.clone(), frame.clone()]) {
        sent += 2 * FRAME_BYTES;
        let over = |f: &Frame| matches!(f.kind, RST_STREAM | GOAWAY);
        if sent.is_multiple_of(1024 * 1024) && client.has_come(over) {
            break;
        }
    }
    let over = client.wait("an error", |f| matches!(f.kind, RST_STREAM | GOAWAY));
    assert_eq!(over.number(), FLOW_CONTROL_ERROR, "{over:?} after {sent} bytes");
}

/// What comes on a stream that is over, and padding, are given back to the connection's window.
#[test]
fn section_6_9_1_windows_do_not_leak() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    // Each kind sends 3 MB on streams that come to nothing, or as padding.
    type Kind = (&'static str, fn(&mut H2, u32));
    let kinds: [Kind; 3] = [
        ("reset by the client", |client, stream| {
            client.request(stream, "POST", "/reset", &[("content-length", "999999")], false);
            client.body(stream, &[b'x'; FRAME_BYTES], false);
            client.send(Frame::reset(stream, CANCEL));
        }),
        ("malformed", |client, stream| {
            client.request(stream, "POST", "/malformed", &[("content-length", "1")], false);
            client.body(stream, &[b'x'; FRAME_BYTES], true);
        }),
        ("padding", |client, stream| {
            client.request(stream, "POST", "/padding", &[], false);
            for number in 0..64 {
                while client.room(stream) < 257 {
                    client.keep_next().expect("the windows open again");
                }
                client.send(Frame::padded_data(stream, "x", 255, number == 63));
            }
        }),
    ];
    for (name, play) in kinds {
        let mut client = H2::connect(&gateway);
        // 60 resets are below every budget.
        for number in 0..60 {
            play(&mut client, 1 + 2 * number);
        }
        client.updates = true;
        client.request(1_001, "POST", "/last", &[], false);
        client.body(1_001, &vec![b'x'; 1_500_000], true);
        assert_eq!(client.message(1_001).whole().0, 200, "{name}");
    }
}
