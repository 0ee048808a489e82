//! The end of the process: no new connection, streams finish or meet the deadline, exit code 0.

use rustix::process::Signal;

use super::harness::*;

/// SIGTERM and SIGINT end an idle gateway at once with 0, idle client connections closed.
#[test]
fn an_idle_gateway_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let origin = Origin::new().serve(|_| ok("x"));
        let mut gateway = Config::to(&origin).start();
        let mut client = gateway.client();
        client.send(get("/"));
        assert_eq!(client.read_response().status, 200);
        gateway.signal(signal);
        client.expect_closed();
        assert_eq!(gateway.wait_exit(), Some(0));
    }
}

/// Signals are heard from the moment the ready line is out: a supervisor may stop what it has just started.
#[test]
fn signals_are_heard_at_once() {
    let config = Config::to(&"http://127.0.0.1:9");
    for _ in 0..5 {
        config.start().stop();
        assert!(config.start().reload(&config.toml()).0);
    }
}

/// A running exchange finishes, is told to be the last, and new connections are refused meanwhile.
#[test]
fn a_running_exchange_finishes() {
    let origin = Origin::new();
    let mut gateway = Config::to(&origin).server("drain = \"20s\"").start();
    let mut client = gateway.client();
    client.send(get("/slow"));
    let (mut peer, _) = origin.accept_request();
    gateway.signal(Signal::TERM);
    let address = gateway.address();
    eventually("new connections are refused", || std::net::TcpStream::connect(address).is_err());
    assert!(gateway.is_alive());
    peer.send(ok("finished"));
    let response = client.read_response();
    assert_eq!(response.text(), "finished");
    assert!(response.says_close(), "the last answer on the connection: {:?}", response.head);
    client.expect_closed();
    assert_eq!(gateway.wait_exit(), Some(0));
}

/// A stream that began before goes on to its end.
#[test]
fn a_running_stream_finishes() {
    let origin = Origin::new();
    let mut gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    client.send(get("/stream"));
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    peer.send(chunk("before"));
    client.read_response_head();
    let mut body = Body::default();
    assert_eq!(client.next_chunk(&mut body), Ok(Some(b"before".to_vec())));
    gateway.signal(Signal::TERM);
    let address = gateway.address();
    eventually("new connections are refused", || std::net::TcpStream::connect(address).is_err());
    peer.send(chunk("after"));
    assert_eq!(client.next_chunk(&mut body), Ok(Some(b"after".to_vec())));
    peer.send("0\r\n\r\n");
    assert_eq!(client.next_chunk(&mut body), Ok(None));
    client.expect_closed();
    assert_eq!(gateway.wait_exit(), Some(0));
}

/// A stream that does not end meets the deadline: it is cut, and the exit code is still 0.
#[test]
fn the_deadline_ends_what_does_not_end() {
    let origin = Origin::new();
    let mut gateway = Config::to(&origin).server("drain = \"300ms\"").start();
    let mut client = gateway.client();
    client.send(get("/stream"));
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let response = client.read_response_head();
    let before = now_ms();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_exit(), Some(0));
    let took = now_ms() - before;
    assert!((200..2_500).contains(&took), "{took} ms");
    assert!(client.finish_response(response, false).body.cut.is_some());
    peer.wait_gone();
}

/// Exchanges on every core finish before the process ends.
#[test]
fn every_core_drains() {
    let origin = Origin::new();
    let mut gateway = Gateway::start_on_all_cores(&Config::to(&origin).toml());
    let mut clients: Vec<Connection> = (0..16).map(|_| gateway.client()).collect();
    let mut peers = Vec::new();
    for client in &mut clients {
        client.send(get("/"));
        peers.push(origin.accept_request().0);
    }
    gateway.signal(Signal::TERM);
    let address = gateway.address();
    eventually("new connections are refused", || std::net::TcpStream::connect(address).is_err());
    peers.iter_mut().for_each(|peer| peer.send(ok("finished")));
    for client in &mut clients {
        assert_eq!(client.read_response().text(), "finished");
        client.expect_closed();
    }
    assert_eq!(gateway.wait_exit(), Some(0));
}

/// `/ready` says that the gateway drains while `/health` says that it lives.
#[test]
fn readiness_ends_before_life() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    assert_eq!((gateway.admin("/ready").status, gateway.admin("/health").status), (200, 200));
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    gateway.signal(Signal::TERM);
    eventually("the gateway says that it drains", || gateway.admin("/ready").status == 503);
    assert_eq!(gateway.admin("/health").status, 200);
    peer.send(ok("x"));
    assert_eq!(client.read_response().status, 200);
}

/// Every access line is written out before the process ends.
#[test]
fn a_drain_writes_out_the_access_log() {
    let origin = Origin::new().serve(|_| ok("x"));
    let mut gateway = Config::to(&origin).log("access = \"stdout\"").start();
    for number in 0..20 {
        assert_eq!(gateway.get(&format!("/logged/{number}")).status, 200);
    }
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_exit(), Some(0));
    gateway.out.wait("/logged/19");
    assert_eq!(gateway.access().len(), 20);
}
