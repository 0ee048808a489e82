//! Who waits for whom: on one core, nobody who is busy, slow or silent keeps the others from their turn.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Writes the bytes again and again until the connection ends.
fn pour(connection: &Connection, bytes: Vec<u8>) {
    let mut tcp = connection.tcp().try_clone().expect("a second handle");
    std::thread::spawn(move || while tcp.write_all(&bytes).is_ok() {});
}

/// Reads and forgets at full speed until the connection ends; how much, counted while it goes on.
fn swallow(connection: &Connection) -> Arc<AtomicU64> {
    let mut tcp = connection.tcp().try_clone().expect("a second handle");
    let count = Arc::new(AtomicU64::new(0));
    let shared = count.clone();
    std::thread::spawn(move || {
        let mut room = vec![0; 256 * 1024];
        while let Ok(read @ 1..) = tcp.read(&mut room) {
            shared.fetch_add(read as u64, Ordering::Relaxed);
        }
    });
    count
}

/// Sends back at full speed whatever comes, until the connection ends.
fn echo(connection: &Connection) {
    let mut tcp = connection.tcp().try_clone().expect("a second handle");
    std::thread::spawn(move || {
        let mut room = vec![0; 256 * 1024];
        while let Ok(read @ 1..) = tcp.read(&mut room) {
            if tcp.write_all(&room[..read]).is_err() {
                return;
            }
        }
    });
}

/// While bytes go by, others are answered soon: the median of five new clients. (On a machine under load one may be late
/// by the machine's fault; whoever was kept waiting by the busy connection waited until it ended.)
#[track_caller]
fn others_are_answered_beside(gateway: &Gateway, busy: &AtomicU64, least: u64) {
    eventually("the busy connection is at full speed", || busy.load(Ordering::Relaxed) > least);
    let before = busy.load(Ordering::Relaxed);
    let mut took: Vec<u64> = (0..5)
        .map(|_| {
            let asked = now_ms();
            gateway.get("/nowhere").assert_failure(404);
            now_ms() - asked
        })
        .collect();
    took.sort_unstable();
    assert!(took[2] < 500, "{took:?} ms");
    eventually("the busy connection goes on", || busy.load(Ordering::Relaxed) > before + least);
}

/// A client that pipelines without end, and reads its answers, lets the other clients of its core have theirs. (On epoll it
/// kept the core to itself.)
#[test]
fn a_client_that_pipelines_without_end_keeps_nobody_waiting() {
    let gateway = Config::to(&"http://127.0.0.1:9").path("path = \"/served\"").start();
    let client = gateway.client();
    let answers = swallow(&client);
    pour(&client, get("/none").repeat(2_000).into_bytes());
    others_are_answered_beside(&gateway, &answers, 500_000);
}

/// A download without end between two fast peers lets the others have their turn.
#[test]
fn a_download_without_end_keeps_nobody_waiting() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).path("path = \"/bulk\"").start();
    let mut client = gateway.client();
    client.send(get("/bulk"));
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
    pour(&peer, vec![b'x'; 256 * 1024]);
    let bytes = swallow(&client);
    others_are_answered_beside(&gateway, &bytes, 32 << 20);
}

/// An upload without end between two fast peers lets the others have their turn.
#[test]
fn an_upload_without_end_keeps_nobody_waiting() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).path("path = \"/bulk\"").limits("body = \"1000GiB\"").start();
    let mut client = gateway.client();
    client.send("POST /bulk HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000000000\r\n\r\n");
    let mut peer = origin.accept();
    peer.read_request_head();
    let bytes = swallow(&peer);
    pour(&client, vec![b'x'; 256 * 1024]);
    others_are_answered_beside(&gateway, &bytes, 32 << 20);
}

/// A tunnel that echoes at full speed lets the others have their turn.
#[test]
fn a_tunnel_at_full_speed_keeps_nobody_waiting() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).path("path = \"/ws\"").start();
    let (client, peer) = tunnel(&gateway, &origin);
    echo(&peer);
    let bytes = swallow(&client);
    pour(&client, vec![b'x'; 64 * 1024]);
    others_are_answered_beside(&gateway, &bytes, 16 << 20);
}

/// A gateway that speaks TLS with all its places for handshakes asked for, and who trusts it.
fn crowded(first_bytes: &[u8]) -> (Gateway, Vec<TcpStream>, Arc<rustls::ClientConfig>) {
    raise_descriptors();
    let (authority, dir) = (Authority::new(), tempfile::TempDir::new().expect("a scratch folder"));
    let (lines, trusting) = secure(&authority, &dir);
    let gateway = Config::to(&"http://127.0.0.1:9").path("path = \"/served\"").listener(&lines).start_in(dir);
    let connect = |_| {
        let mut tcp = TcpStream::connect(gateway.address()).expect("the listener takes the connection");
        tcp.write_all(first_bytes).expect("the gateway has not closed");
        tcp
    };
    let crowd: Vec<TcpStream> = (0..520).map(connect).collect();
    (gateway, crowd, trusting)
}

/// An honest handshake, a request on it, and the milliseconds they took.
#[track_caller]
fn honest(gateway: &Gateway, trusting: &Arc<rustls::ClientConfig>) -> u64 {
    let before = now_ms();
    let mut client = tls::connect(gateway.address(), "t.test", trusting).expect("a handshake");
    client.send(get("/"));
    client.read_response().assert_failure(404);
    now_ms() - before
}

/// More connections than there are places for handshakes, each with the first byte of one, keep no honest one out. (One byte
/// took a place.)
#[test]
fn one_byte_takes_no_place_among_the_handshakes() {
    let (gateway, crowd, trusting) = crowded(&[0x16]);
    eventually("all are accepted", || gateway.metric("ringway_connections_open", &[]) >= 520.0);
    for _ in 0..2 {
        let took = honest(&gateway, &trusting);
        assert!(took < 1_000, "{took} ms");
    }
    assert_eq!(gateway.metric("ringway_handshakes_active", &[]), 0.0);
    assert_eq!(gateway.metric("ringway_failures_total", &["reason=\"handshake_overload\""]), 0.0);
    drop(crowd);
}

/// More handshakes than there are places, begun and left alone, keep no honest one out: the oldest gives way, and is
/// counted.
#[test]
fn the_oldest_handshake_gives_way() {
    let config = Arc::new(Authority::new().client());
    let name = rustls::pki_types::ServerName::try_from("t.test").expect("a server name");
    let mut hello = Vec::new();
    let mut stranger = rustls::ClientConnection::new(config, name).expect("a client");
    stranger.write_tls(&mut hello).expect("a Vec takes everything");
    let (gateway, crowd, trusting) = crowded(&hello);
    let displaced = || gateway.metric("ringway_failures_total", &["reason=\"handshake_overload\""]);
    eventually("the first ones have given way", || displaced() == 8.0);
    assert_eq!(gateway.metric("ringway_handshakes_active", &[]), 512.0);
    let took = honest(&gateway, &trusting);
    assert!(took < 1_000, "{took} ms");
    assert_eq!(displaced(), 9.0);
    drop(crowd);
}

/// An address that drops what is sent to it costs few of many requests at once the time to connect: while one finds out
/// whether it is back, the others are served by the good one. (All that came in that time waited for it, every two seconds.)
#[test]
fn a_dead_address_is_probed_by_few() {
    let good = Origin::new().serve(|_| ok("good"));
    let (dead, _fillers) = ReservedPort::deaf();
    let dead = format!("http://{}", dead.address);
    let gateway = Config::to_all(&[&good, &dead]).upstream("connect_timeout = \"400ms\"").start();
    let ask = || {
        let before = now_ms();
        assert_eq!(gateway.get("/").text(), "good");
        now_ms() - before
    };
    // The first to come to it finds out.
    eventually("the dead address was tried", || ask() >= 380);
    let begun = now_ms();
    // Longer than the cool-down of two seconds, so that it is tried again.
    let many = || std::iter::from_fn(|| (now_ms() - begun < 2_700).then(ask)).collect::<Vec<_>>();
    let took: Vec<u64> = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..12).map(|_| scope.spawn(many)).collect();
        askers.into_iter().flat_map(|asker| asker.join().expect("all requests are served")).collect()
    });
    let slow = took.iter().filter(|ms| **ms >= 380).count();
    assert!((1..=3).contains(&slow), "{slow} of {} waited", took.len());
}
