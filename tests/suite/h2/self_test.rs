//! The two ends of the harness understand each other, and notice what a strict reader has to notice.

use super::*;

/// A client and a server of the harness, connected directly.
fn pair() -> (H2, H2) {
    let origin = Origin::new();
    let address = origin.address();
    let client = std::thread::spawn(move || H2::client(super::super::harness::connect(address), &[]));
    let server = H2::accept(&origin);
    (client.join().expect("the client is answered"), server)
}

/// A request and its answer pass with bodies beyond the windows, interim heads and trailers.
#[test]
fn messages_pass_between_the_two_ends() {
    let (mut client, mut server) = pair();
    (client.updates, server.updates) = (true, true);
    let large = vec![b'x'; 200_000];
    let sent = large.clone();
    let serving = std::thread::spawn(move || {
        let request = server.next_request();
        assert_eq!((request.field(":path"), request.body == sent), (Some("/a"), true));
        server.headers(request.stream, &[(":status", "103"), ("link", "</x>")], false);
        server.headers(request.stream, &[(":status", "200")], false);
        server.body(request.stream, &sent, false);
        server.headers(request.stream, &[("x-sum", "1")], true);
        server.ping();
        server
    });
    client.request(1, "POST", "/a", &[], false);
    client.body(1, &large, true);
    let answer = client.message(1);
    assert_eq!((answer.interim_statuses(), answer.status(), answer.trailer("x-sum")), (vec![103], 200, Some("1")));
    assert!(answer.body == large && answer.ending == Ending::Whole);
    let ping = client.wait("PING", |frame| frame.kind == PING);
    client.send(Frame::new(PING, ACK, 0, ping.payload));
    drop(serving.join().expect("the server is answered"));
    assert_eq!(client.message(3).ending, Ending::Cut(End::Closed));
}

/// A frame that breaks the rules fails the test that gets it.
#[test]
fn a_sloppy_peer_is_noticed() {
    let head = |fields: &[(&str, &str)]| Frame::headers(1, fields::block(fields), true);
    let sloppy: Vec<Vec<Frame>> = vec![
        vec![Frame::new(DATA, 0, 1, vec![0; FRAME_BYTES + 1])],
        vec![head(&[(":status", "200")]), Frame::data(1, "x", true)],
        vec![Frame::reset(1, 0), head(&[(":status", "200")])],
        vec![head(&[(":status", "200"), ("Upper", "x")])],
        vec![head(&[(":status", "200"), ("connection", "close")])],
        vec![head(&[(":status", "200"), ("a", "b\r\nc: d")])],
        vec![head(&[("a", "b"), (":status", "200")])],
        vec![Frame::headers_begun(1, [], true), Frame::ping(1)],
        (0..5).map(|_| Frame::data(1, [0; FRAME_BYTES], false)).collect(),
    ];
    for frames in sloppy {
        let (mut client, mut server) = pair();
        server.wire.send(together(&frames));
        // Closing outright would throw away what the client has not read yet.
        server.wire.shutdown_write();
        let read = std::panic::AssertUnwindSafe(|| while client.read_frame().is_ok() {});
        assert!(std::panic::catch_unwind(read).is_err(), "{frames:?}");
    }
}
