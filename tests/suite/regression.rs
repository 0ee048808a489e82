//! One test per bug that was found elsewhere than in this suite. The doc of each says what must hold and what broke.

use std::time::Duration;

use super::harness::*;

/// Bytes that come after a pause are not lost: on this runtime a read that is dropped by a timer takes its bytes along.
#[test]
fn no_bytes_are_lost_in_a_pause() {
    let origin = Origin::new().serve(|request| ok(request.brief()));
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.tcp().set_read_timeout(Some(Duration::from_millis(60))).expect("read timeout");
    for piece in ["GE", "T /pa", "use HTTP/1.1\r\nho", "st: t\r\ncontent-length: 6\r\n", "\r\nhel", "lo"] {
        client.send(piece);
        // Longer than a sweep over deadlines: nothing is expected to come.
        assert_eq!(client.fill(), Err(End::Silent));
    }
    client.tcp().set_read_timeout(Some(WAIT)).expect("read timeout");
    client.send("!");
    assert_eq!(client.read_response().text(), "GET /pause hello!");
}

/// No connection is lost while others come and go: on this runtime an accept that is dropped takes its connection along.
#[test]
fn no_connection_is_lost() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).start();
    for _ in 0..300 {
        assert_eq!(gateway.get("/").status, 200);
    }
}
