//! How exchanges and connections end: a cut answer looks cut, a last answer arrives, nothing is asked twice or left behind.

use super::*;

/// A cut answer has no proper end for a client of HTTP/1.0, plain or TLS, however the origin framed it.
#[test]
fn a_cut_answer_has_no_proper_end() {
    let origin = Origin::new();
    let (authority, dir) = (Authority::new(), tempfile::TempDir::new().expect("a scratch folder"));
    let (lines, trusting) = secure(&authority, &dir);
    let more = format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{lines}");
    let gateway = Config::to(&origin).more(&more).start_in(dir);
    for secure in [false, true] {
        for (head, whole) in [
            ("Content-Length: 100\r\n\r\nhello", End::Closed),
            ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", End::Reset),
            ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", End::Reset),
            ("\r\nhello", End::Reset),
        ] {
            let mut client = match secure {
                false => gateway.client(),
                true => tls::connect(gateway.ready.listen[1], "t.test", &trusting).expect("a handshake"),
            };
            client.send("GET / HTTP/1.0\r\n\r\n");
            let (mut peer, _) = origin.accept_request();
            peer.send(format!("HTTP/1.1 200 OK\r\n{head}"));
            let response = client.read_response_head();
            client.expect_bytes("hello");
            // Where the end of the connection is the end of the answer, only a reset cuts it.
            if head.starts_with('\r') {
                peer.reset()
            } else {
                drop(peer)
            }
            let response = client.finish_response(response, false);
            let cut = response.body.cut.unwrap_or_else(|| panic!("{head:?} looks whole, secure: {secure}"));
            assert!(cut == whole || cut == End::Reset, "{cut:?} for {head:?}, secure: {secure}");
        }
    }
}

/// When a client sends more after its last request.
#[derive(Clone, Copy, Debug)]
enum More {
    /// Along with it.
    AtOnce,
    /// While it waits for the answer.
    Waiting,
    /// When the gateway has sent the answer.
    Later,
}

/// The last answer on a connection, read slowly, while the client sends more; how much of it arrives, and how it ends.
fn last_answer(more: More) -> (Result<(), String>, End) {
    let body = vec![b'x'; 600_000];
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    rustix::net::sockopt::set_socket_recv_buffer_size(client.tcp(), 16 * 1024).expect("SO_RCVBUF");
    let (last, follows) = ("GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n", get("/follows"));
    client.send(last);
    if matches!(more, More::AtOnce) {
        client.send(&follows);
    }
    let (mut peer, _) = origin.accept_request();
    if matches!(more, More::Waiting) {
        client.send(&follows);
    }
    peer.send(ok(&body));
    eventually("the gateway has sent all of it", || gateway.metric("ringway_responses_total", &[]) == 1.0);
    if matches!(more, More::Later) {
        client.send(&follows);
    }
    assert!(client.read_response_head().says_close());
    let mut got = 0;
    while got < body.len() {
        match client.take(50_000.min(body.len() - got)) {
            Ok(piece) => got += piece.len(),
            Err(end) => return (Err(format!("{got} bytes")), end),
        }
        origin::pace(20);
    }
    let (bytes, end) = client.rest();
    assert_eq!(bytes, b"", "what follows the last request is not answered");
    origin.expect_no_connection();
    (Ok(()), end)
}

/// The last answer on a connection arrives whole, however slowly it is read, when more requests were sent before its end.
/// (Closing with unread bytes is a reset, and a reset destroys what is still on its way.)
#[test]
fn a_last_answer_survives_what_was_sent_before() {
    for more in [More::AtOnce, More::Waiting] {
        assert_eq!(last_answer(more), (Ok(()), End::Closed), "{more:?}");
    }
}

/// The last answer on a connection arrives whole when more is sent after the gateway has handed it to the kernel.
#[test]
fn a_last_answer_survives_what_is_sent_later() {
    assert_eq!(last_answer(More::Later), (Ok(()), End::Closed));
}

/// A 413 reaches a client that goes on sending for a while before it reads.
#[test]
fn a_413_reaches_a_client_that_goes_on_sending() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).limits("body = \"1KiB\"").start();
    let (mut length, mut chunked) = (gateway.client(), gateway.client());
    length.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 100000000\r\n\r\n");
    chunked.send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
    let before = now_ms();
    while now_ms() - before < 1_500 {
        length.send([b'x'; 16 * 1024]);
        chunked.send(chunk([b'x'; 16 * 1024]));
        origin::pace(20);
    }
    for mut client in [length, chunked] {
        assert!(client.read_response().assert_failure(413).says_close());
    }
}

/// A GET whose interim answer came before the origin closed is not sent again: the origin has begun to answer it.
#[test]
fn nothing_is_sent_again_after_an_interim_answer() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let (mut client, mut peer) = warm(&gateway, &origin);
    client.send(get("/second"));
    peer.read_request();
    peer.send("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n");
    assert_eq!(client.read_response().status, 103);
    drop(peer);
    client.read_response().assert_failure(502);
    origin.expect_no_connection();
}

/// Answers that break an exchange, each in its own way; `None` = silence until the read time is over.
const BROKEN: &[Option<&[u8]>] = &[
    None,
    Some(b""),
    Some(b"garbage\r\n\r\n"),
    Some(b"HTTP/1.1 2"),
    Some(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
    Some(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    Some(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
    Some(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    Some(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
];

/// Requests that are refused or never come to an end, and what the client does not wait for.
const REFUSED: &[&str] = &[
    "GET / HTTP/1.1\r\nhost : t\r\n\r\n",
    "GET /../x HTTP/1.1\r\nhost: t\r\n\r\n",
    "TRACE / HTTP/1.1\r\nhost: t\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 100000000\r\n\r\n",
    "GET / HTTP/1.1\r\nhost",
    "\r\n",
];

/// The gauges of what goes on return to 0 after failures of all kinds.
#[test]
fn gauges_return_to_zero() {
    let origin = Origin::new();
    let (authority, dir) = (Authority::new(), tempfile::TempDir::new().expect("a scratch folder"));
    let (lines, trusting) = secure(&authority, &dir);
    let times =
        "head_timeout = \"150ms\"\nbody_timeout = \"150ms\"\nhandshake_timeout = \"600ms\"\nsend_timeout = \"300ms\"\n";
    let more = format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{times}{lines}");
    let config = Config::to(&origin).limits("body = \"1MiB\"").upstream("read_timeout = \"500ms\"");
    let gateway = config.listener(times).more(&more).start_in(dir);
    // Handshakes: none of it TLS, cut in the middle, silent for too long, refused by the client, and one that succeeds.
    let secure_address = gateway.ready.listen[1];
    let mut rubbish = connect(secure_address);
    rubbish.send(get("/"));
    let mut cut = connect(secure_address);
    cut.send(b"\x16\x03\x01\x02\x00\x01");
    drop(cut);
    let mut halting = connect(secure_address);
    halting.send(b"\x16\x03\x01\x02\x00\x01");
    let mut silent = connect(secure_address);
    assert!(tls::connect(secure_address, "other.test", &trusting).is_err());
    drop(tls::connect(secure_address, "t.test", &trusting).expect("a handshake"));
    fail_upstream(&gateway, &origin);
    fail_downstream(&gateway, &origin);
    for connection in [&mut rubbish, &mut halting, &mut silent] {
        connection.wait_gone();
    }
    for name in ["exchanges_active", "connections_idle", "connections_open", "tunnels_open", "handshakes_active"] {
        eventually(name, || gateway.metric(&format!("ringway_{name}"), &[]) == 0.0);
    }
    assert_eq!(gateway.metric("ringway_panics_total", &[]), 0.0);
    assert_eq!(gateway.get_through(&origin).status, 200);
}

/// One exchange for each way in which an origin breaks it.
fn fail_upstream(gateway: &Gateway, origin: &Origin) {
    for broken in BROKEN {
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi");
        let (mut peer, _) = origin.accept_request();
        match broken {
            None => assert_ne!(client.rest().1, End::Silent),
            Some(bytes) => {
                peer.send(bytes);
                drop(peer);
                assert_ne!(client.rest().1, End::Silent);
            }
        }
    }
}

/// Clients that leave at each step, requests that are refused or late, tunnels that lose either side.
fn fail_downstream(gateway: &Gateway, origin: &Origin) {
    for refused in REFUSED {
        let mut client = gateway.client();
        client.send(refused);
        client.shutdown_write();
        assert_ne!(client.rest().1, End::Silent, "{refused:?}");
    }
    let mut late = gateway.client();
    late.send("GET / HT");
    late.read_response().assert_failure(408);
    for body in ["", "he"] {
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\n{body}"));
        let mut peer = origin.accept();
        peer.read_request_head();
        if body.is_empty() {
            drop(client)
        } else {
            client.read_response().assert_failure(408);
        }
        peer.wait_gone();
    }
    for begun in [false, true] {
        let mut client = gateway.client();
        client.send(get("/"));
        let (mut peer, _) = origin.accept_request();
        if begun {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
            client.read_response_head();
        }
        client.reset();
        peer.wait_gone();
    }
    for client_leaves in [true, false] {
        let (client, peer) = tunnel(gateway, origin);
        let (leaving, mut staying) = if client_leaves { (client, peer) } else { (peer, client) };
        leaving.reset();
        staying.wait_gone();
    }
}

/// Two upstreams with one address keep their own bounds on idle connections. (They shared a pool, and its bounds.)
#[test]
fn upstreams_with_one_address_have_pools_of_their_own() {
    let origin = Origin::new().serve(|request| ok(request.brief()));
    let kept = format!(
        "[[upstream]]\nname = \"kept\"\nendpoints = [{:?}]\npool = 10\n\
         [[route]]\nname = \"kept\"\npath = \"/kept\"\nupstream = \"kept\"",
        origin.url()
    );
    let gateway = Config::to(&origin).path("path = \"/once\"").upstream("pool = 0").more(&kept).start();
    for _ in 0..4 {
        assert_eq!(gateway.get("/once").text(), "GET /once");
        assert_eq!(gateway.get("/kept").text(), "GET /kept");
    }
    assert_eq!(origin.connections(), 4 + 1);
    eventually("only the kept one is open", || origin.open() == 1);
}
