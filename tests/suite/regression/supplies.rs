//! Hits when the client takes nothing for a while, and a cache that is full.

use std::sync::Arc;

use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use super::*;

const LARGE: usize = 200_000;
/// Pairs of requests that are sent before an answer is read.
const PAIRS: usize = 60_000;

/// A socket whose system takes few bytes that are not read.
#[track_caller]
fn narrow(gateway: &Gateway) -> std::net::TcpStream {
    let address = gateway.address();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("SO_RCVBUF");
    socket.connect(&address.into()).expect("the listener takes the connection");
    socket.into()
}

/// Asks HEAD and a condition that holds, again and again, until the gateway has no room to answer; then reads all.
fn ask_without_reading(gateway: &Gateway, mut client: Connection) {
    let one = "HEAD /large HTTP/1.1\r\nhost: t.test\r\n\r\n";
    let two = "GET /large HTTP/1.1\r\nhost: t.test\r\nif-none-match: \"e\"\r\n\r\n";
    let mut sent = 0;
    let requests = [one, two].concat().repeat(50);
    let answered = || gateway.metric("ringway_requests_total", &[]);
    let before = answered();
    // Each write is answered before the next one, until one is not: then the answers have no room.
    while sent < PAIRS {
        client.send(&requests);
        sent += 50;
        let wanted = before + 2.0 * sent as f64;
        let start = now_ms();
        while answered() < wanted && now_ms() - start < 300 {
            origin::pace(1);
        }
        if answered() < wanted {
            break;
        }
    }
    assert!(sent < PAIRS, "the gateway had room for {sent} pairs of answers");
    let tcp = client.tcp().try_clone().expect("a second handle");
    Socket::from(tcp).set_recv_buffer_size(1 << 20).expect("SO_RCVBUF");
    for pair in 0..sent {
        let head = client.read_response_to_head();
        assert_eq!((head.status, head.field("content-length")), (200, Some("200000")), "pair {pair}");
        let known = client.read_response();
        assert_eq!((known.status, known.text().as_str()), (304, ""), "pair {pair}");
    }
    client.send(get("/large").replace("host: t", "host: t.test"));
    let response = client.read_response();
    assert!(response.body.bytes == vec![b'y'; LARGE], "the connection is in order");
    assert_eq!(client.pending(), b"");
}

/// An answer of its kind, with an entity tag.
fn large() -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"e\"\r\n";
    let mut bytes = format!("{head}Content-Length: {LARGE}\r\n\r\n").into_bytes();
    bytes.extend(vec![b'y'; LARGE]);
    bytes
}

/// Has the large answer stored.
fn store(mut client: Connection) {
    client.send(get("/large").replace("host: t", "host: t.test"));
    assert_eq!(client.read_response().body.bytes.len(), LARGE);
}

/// Answers without a body have none, however little the client takes at a time. The stored body followed the head of HEAD
/// and of 304 where the socket was full: the next answers of the connection were those bytes.
#[test]
fn heads_have_no_bodies_where_there_is_no_room() {
    let origin = Origin::new().serve(|_| large());
    let gateway = Config::to(&origin).cache("").start();
    store(gateway.client());
    ask_without_reading(&gateway, Connection::new(wire::Wire::Plain(narrow(&gateway))));
    assert_eq!(origin.take_requests().len(), 1);
}

/// The same over TLS.
#[test]
fn heads_have_no_bodies_where_there_is_no_room_over_tls() {
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let (lines, trusting) = secure(&Authority::new(), &dir);
    let origin = Origin::new().serve(|_| large());
    let gateway = Config::to(&origin).listener(&lines).cache("").start_in(dir);
    let name = rustls::pki_types::ServerName::try_from("t.test").expect("a server name");
    let tls = ClientConnection::new(Arc::clone(&trusting), name).expect("a client connection");
    let tls = StreamOwned::new(tls, narrow(&gateway));
    store(tls::connect(gateway.address(), "t.test", &trusting).expect("a handshake"));
    ask_without_reading(&gateway, Connection::new(wire::Wire::Client(Box::new(tls))));
    assert_eq!(origin.take_requests().len(), 1);
}

/// Answers that are asked for on every core all the time outlive some that come new, in a cache that is full. Room that did
/// not come at once, because cores held what was evicted, cost all the others their places.
#[test]
fn what_is_hot_outlives_newcomers() {
    let origin = Origin::new().serve(|_| {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9000\r\n\r\n";
        [head.as_bytes(), &[b'x'; 9_000]].concat()
    });
    let memory = "[cache]\nmemory = \"1MiB\"";
    let gateway = Gateway::start_on_cores(&Config::to(&origin).cache("").more(memory).toml(), 2);
    let mut clients: Vec<Connection> = (0..8).map(|_| gateway.client()).collect();
    let mut hot = 0;
    while gateway.metric("ringway_cache_bytes", &[]) < 0.93 * 1024.0 * 1024.0 {
        gateway.get(&format!("/hot/{hot}"));
        hot += 1;
    }
    assert!((50..200).contains(&hot), "{hot} answers fill a MiB");
    for _ in 0..3 {
        for client in &mut clients {
            client.send((0..hot).map(|number| get(&format!("/hot/{number}"))).collect::<String>());
            (0..hot).for_each(|_| assert_eq!(client.read_response().status, 200));
        }
    }
    for number in 0..20 {
        assert_eq!(gateway.get(&format!("/new/{number}")).status, 200);
    }
    let client = &mut clients[0];
    let left = (0..hot).filter(|number| {
        let request = get(&format!("/hot/{number}"));
        client.send(request.replace("\r\n\r\n", "\r\ncache-control: only-if-cached\r\n\r\n"));
        client.read_response().status == 200
    });
    let left = left.count();
    assert!(left * 10 >= hot * 8, "{left} of {hot} are left");
    assert!(gateway.metric("ringway_cache_bytes", &[]) <= 1024.0 * 1024.0 * 33.0 / 32.0);
}
