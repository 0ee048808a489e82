//! How long things live: waits of streams that share one connection, gauges when it ends, what quiet streams hold.

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use super::bodies::resident_kib;
use super::*;
use crate::suite::harness::origin::pace;
use crate::suite::harness::wire::Wire;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A client with small segments and buffers, so that the gateway's kernel holds little of what is under way.
fn narrow(gateway: &Gateway) -> H2 {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_tcp_mss(536).expect("TCP_MAXSEG");
    socket.set_recv_buffer_size(8 * 1024).expect("SO_RCVBUF");
    socket.connect(&gateway.address().into()).expect("a connection");
    H2::client(Connection::new(Wire::Plain(socket.into())), &[(INITIAL_WINDOW_SIZE, WINDOW_MAX)])
}

/// A stream whose window stays shut is given up in its time, however much else happens on its connection.
#[test]
fn a_neighbour_buys_no_time_for_a_stream_without_window() {
    let origin = Origin::new().serve(|_| ok(vec![b'x'; 100_000]));
    let gateway = Config::to(&origin).listener("send_timeout = \"300ms\"").start();
    let mut client = H2::connect_with(&gateway, &[(INITIAL_WINDOW_SIZE, 0)]);
    client.get(1, "/");
    client.head(1);
    let before = now_ms();
    while !client.has_come(|f| f.kind == RST_STREAM && f.stream == 1) {
        assert!(now_ms() - before < 3_000, "PINGs and windows of the connection keep it waiting");
        client.ping();
        client.send(Frame::window_update(0, 1));
        pace(10);
    }
    settles(&gateway, "ringway_http2_streams_open");
}

/// Streams that wait for each other on a connection whose client reads slowly are not cut for that.
#[test]
fn streams_that_take_turns_at_a_slow_client_are_not_cut() {
    const BYTES: usize = 1024 * 1024;
    let origin = Origin::new().serve(|_| ok(vec![b'x'; BYTES]));
    let gateway = Config::to(&origin).listener("send_timeout = \"2s\"").start();
    let mut client = narrow(&gateway);
    client.send(Frame::window_update(0, WINDOW_MAX - WINDOW));
    let streams = [1, 3, 5, 7, 9, 11, 13, 15];
    for stream in streams {
        client.get(stream, "/");
    }
    let (before, mut bytes) = (now_ms(), 0);
    while bytes < streams.len() * BYTES {
        let frame = client.wait("DATA", |f| matches!(f.kind, DATA | RST_STREAM | GOAWAY));
        assert_eq!(frame.kind, DATA, "cut after {bytes} bytes");
        bytes += frame.content().len();
        if now_ms() - before < 2_500 {
            pace(10);
        }
    }
}

/// A connection that ends while exchanges are under way is not counted as an idle one when they have ended, too.
#[test]
fn a_connection_that_ends_with_streams_is_not_idle() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    for reset in [true, false] {
        let mut client = H2::connect(&gateway);
        client.get(1, "/");
        let (peer, _) = origin.accept_request();
        gateway.expect_metric("ringway_connections_idle", &[], 0.0);
        match reset {
            true => client.wire.reset(),
            false => drop(client),
        }
        settles(&gateway, "ringway_connections_open");
        gateway.expect_metric("ringway_connections_idle", &[], 0.0);
        drop(peer);
    }
}

/// A drain that waits for one stream costs next to nothing meanwhile.
#[test]
fn a_drain_waits_in_peace() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).server("drain = \"20s\"").start();
    let mut clients: Vec<(H2, Connection)> = (0..100)
        .map(|_| {
            let mut client = H2::connect(&gateway);
            client.get(1, "/");
            let (mut peer, _) = origin.accept_request();
            peer.send(CHUNKED);
            client.head(1);
            (client, peer)
        })
        .collect();
    gateway.signal(Signal::TERM);
    for (client, _) in &mut clients {
        client.wait("GOAWAY", |f| f.kind == GOAWAY);
        client.wait("the last GOAWAY", |f| f.kind == GOAWAY && f.last_stream() < WINDOW_MAX);
    }
    let before = processor_ms(&gateway);
    pace(1_000);
    let spent = processor_ms(&gateway) - before;
    assert!(spent < 150, "{spent} ms of the processor in a second");
}

/// Processor time that the gateway has taken so far.
fn processor_ms(gateway: &Gateway) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", gateway.pid())).expect("the child is alive");
    let behind_name = stat.rsplit(')').next().expect("a name in brackets");
    // User and system time, in ticks of 10 ms.
    behind_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number") * 10).sum()
}

/// A stream that is silent most of the time holds no buffer of its connection meanwhile.
#[test]
fn quiet_streams_hold_no_buffers() {
    const CLIENTS: usize = 150;
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let quiet = || {
        let mut client = H2::connect_with(&gateway, &[(INITIAL_WINDOW_SIZE, 1_000_000)]);
        client.updates = true;
        client.get(1, "/");
        let (mut peer, _) = origin.accept_request();
        peer.send(CHUNKED);
        peer.send(chunk(vec![b'x'; 60_000]));
        client.head(1);
        client.take_data(1, 60_000);
        client.ping();
        (client, peer)
    };
    let mut all: Vec<(H2, Connection)> = (0..20).map(|_| quiet()).collect();
    let before = resident_kib(&gateway);
    all.extend((0..CLIENTS).map(|_| quiet()));
    let each = resident_kib(&gateway).saturating_sub(before) / CLIENTS;
    assert!(each < 40, "{each} KiB for a connection with a quiet stream");
}

/// Uploads that announce a body and send none are begun up to a bound; one whose body comes is begun at once, and one for
/// which there is room again, too.
#[test]
fn silent_uploads_take_few_upstreams() {
    const BOUND: u32 = 16;
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    for number in 0..BOUND + 4 {
        client.request(1 + 2 * number, "POST", &format!("/{number}"), &[], false);
    }
    let peers: Vec<_> = (0..BOUND).map(|_| origin.accept()).collect();
    let late = 1 + 2 * (BOUND + 3);
    client.data(late, "x", true);
    let (mut peer, request) = origin.accept_request();
    assert_eq!(request.target, format!("/{}", BOUND + 3), "its body came, the others of the last ones wait");
    peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\ndone");
    assert_eq!(client.message(late).text(), "done");
    origin.expect_no_connection();
    client.data(1, "x", false);
    let next = origin.accept();
    origin.expect_no_connection();
    drop((next, peers, peer));
}
