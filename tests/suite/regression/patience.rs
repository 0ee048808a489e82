//! How long anybody waits: no time-out counts twice or too early, and nobody who is silent keeps others waiting.

use std::net::TcpStream;

use super::*;

/// The time to connect passes once, and a single address is dialled once. (It was dialled again as its own successor.)
#[test]
fn a_single_address_is_dialled_once() {
    let (port, _fillers) = ReservedPort::deaf();
    let gateway = Config::to(&format!("http://{}", port.address)).upstream("connect_timeout = \"500ms\"").start();
    let before = now_ms();
    gateway.get("/").assert_failure(504);
    let took = now_ms() - before;
    assert!((450..950).contains(&took), "{took} ms");
    assert_eq!(gateway.metric("ringway_upstream_connects_total", &[]), 1.0);
    let port = ReservedPort::new();
    let gateway = Config::to(&format!("http://{}", port.address)).start();
    gateway.get("/").assert_failure(502);
    assert_eq!(gateway.metric("ringway_upstream_connects_total", &[]), 1.0);
}

/// The time to answer counts from the end of the upload: until then the origin is still being asked.
#[test]
fn the_read_time_counts_from_the_end_of_the_upload() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("read_timeout = \"250ms\"").start();
    for answered in [true, false] {
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 3\r\n\r\n");
        let mut peer = origin.accept();
        peer.read_request_head();
        for _ in 0..3 {
            client.silent_for(130);
            client.send("x");
            peer.expect_bytes("x");
        }
        let uploaded = now_ms();
        if answered {
            client.silent_for(150);
            peer.send(ok("late"));
            assert_eq!(client.read_response().text(), "late");
        } else {
            client.read_response().assert_failure(504);
            let took = now_ms() - uploaded;
            assert!((220..1_000).contains(&took), "{took} ms");
        }
    }
}

/// An answer that begins early is not cut by the time to read while the request is still on its way up.
#[test]
fn an_early_answer_waits_for_the_upload() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("read_timeout = \"300ms\"").start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\n\r\n");
    let mut peer = origin.accept();
    peer.read_request_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    let response = client.read_response_head();
    client.expect_bytes("ab");
    for _ in 0..4 {
        client.silent_for(200);
        client.send("x");
        peer.expect_bytes("x");
    }
    peer.send("cd");
    assert_eq!(response.status, 200);
    client.expect_bytes("cd");
}

/// A client that leaves while the gateway still connects ends the attempt within a second, and nothing is sent.
#[test]
fn a_client_that_leaves_ends_the_connecting() {
    let (port, fillers) = ReservedPort::deaf();
    let gateway = Config::to(&format!("http://{}", port.address)).upstream("connect_timeout = \"30s\"").start();
    let mut client = gateway.client();
    client.send(post("/never", "body"));
    eventually("the gateway connects", || gateway.metric("ringway_upstream_connects_total", &[]) == 1.0);
    drop(client);
    let left = now_ms();
    eventually("the attempt ends", || gateway.metric("ringway_exchanges_active", &[]) == 0.0);
    let took = now_ms() - left;
    assert!(took < 1_000, "{took} ms");
    // There is room in the queue again: an attempt that goes on would come in with its next SYN, a second after the first.
    let mut waiting = port.accept_until_silent(1_200);
    assert_eq!(waiting.len(), fillers.len());
    waiting.iter_mut().for_each(|connection| assert_eq!(connection.pending(), b""));
}

/// Hundreds of silent connections on a TLS listener keep no honest handshake out. (Each took a place among the handshakes.)
#[test]
fn silent_connections_keep_no_handshake_out() {
    raise_descriptors();
    let origin = Origin::new().serve(|_| ok("x"));
    let (authority, dir) = (Authority::new(), tempfile::TempDir::new().expect("a scratch folder"));
    let (lines, trusting) = secure(&authority, &dir);
    let gateway = Config::to(&origin).listener(&lines).start_in(dir);
    let silent: Vec<TcpStream> =
        (0..600).map(|_| TcpStream::connect(gateway.address()).expect("the listener takes the connection")).collect();
    eventually("all are accepted", || gateway.metric("ringway_connections_open", &[]) >= 600.0);
    let before = now_ms();
    let mut client = tls::connect(gateway.address(), "t.test", &trusting).expect("a handshake");
    client.send(get("/"));
    assert_eq!(client.read_response().status, 200);
    let took = now_ms() - before;
    assert!(took < 2_000, "{took} ms");
    assert_eq!(gateway.metric("ringway_handshakes_active", &[]), 0.0);
    drop(silent);
}

/// A tunnel whose client has left ends after the time to send, though the origin ignores that; and the other way round.
#[test]
fn a_tunnel_that_lost_one_side_ends() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("send_timeout = \"400ms\"").start();
    for client_leaves in [true, false] {
        let (client, peer) = tunnel(&gateway, &origin);
        let (mut leaving, mut staying) = if client_leaves { (client, peer) } else { (peer, client) };
        leaving.shutdown_write();
        let left = now_ms();
        assert_eq!(staying.fill(), Err(End::Closed));
        // The last words of the side that stays still arrive.
        staying.send("last words");
        leaving.expect_bytes("last words");
        eventually("the tunnel ends", || gateway.metric("ringway_tunnels_open", &[]) == 0.0);
        let took = now_ms() - left;
        assert!((350..2_000).contains(&took), "{took} ms, client leaves: {client_leaves}");
        eventually("the staying side notices when it sends", || staying.try_send(b"x").is_err());
    }
}

/// What is left of a tunnel lives on as long as it has something to say, beyond the time to send. (It was cut then.)
#[test]
fn a_half_closed_tunnel_lives_while_lines_come() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).listener("send_timeout = \"400ms\"").start();
    for client_leaves in [true, false] {
        let (client, peer) = tunnel(&gateway, &origin);
        let (mut leaving, mut staying) = if client_leaves { (client, peer) } else { (peer, client) };
        leaving.shutdown_write();
        assert_eq!(staying.fill(), Err(End::Closed));
        for line in 0..12 {
            let line = format!("line {line}\n");
            staying.send(&line);
            leaving.expect_bytes(&line);
            origin::pace(100);
        }
        assert_eq!(gateway.metric("ringway_tunnels_open", &[]), 1.0, "client leaves: {client_leaves}");
        let silent = now_ms();
        eventually("the silent tunnel ends", || gateway.metric("ringway_tunnels_open", &[]) == 0.0);
        let took = now_ms() - silent;
        assert!(took < 1_500, "{took} ms, client leaves: {client_leaves}");
    }
}

/// An answer whose head comes byte by byte is answered, however many looks at the client, and sweeps, pass meanwhile.
#[test]
fn a_slow_head_of_an_answer_is_waited_for() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("read_timeout = \"3s\"").start();
    let mut client = gateway.client();
    for request in [get("/slow"), post("/slow", "body")] {
        client.send(request);
        let (mut peer, _) = origin.accept_request();
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: yes\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow" {
            peer.send([*byte]);
            origin::pace(8);
        }
        let response = client.read_response();
        assert_eq!((response.status, response.text().as_str()), (200, "slow"));
        assert_eq!(response.field("x-slow"), Some("yes"));
    }
}

/// The time to read an answer is that of a silence: a head that comes slower as a whole, but never stops, is answered.
#[test]
fn a_head_may_take_longer_than_a_silence() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).upstream("read_timeout = \"500ms\"").start();
    let mut client = gateway.client();
    client.send(get("/slow"));
    let (mut peer, _) = origin.accept_request();
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-More: yes\r\n\r\nslow" {
        peer.send([*byte]);
        origin::pace(14);
    }
    assert_eq!(client.read_response().text(), "slow");
}
