//! SIGHUP: a new plan for new exchanges, running ones finish on theirs, a bad file changes nothing.

use super::harness::*;

/// A reload changes where new requests go, on connections that were open before too.
#[test]
fn new_requests_go_by_the_new_file() {
    let (one, two) = (Origin::new().serve(|_| ok("one")), Origin::new().serve(|_| ok("two")));
    let port = ReservedPort::new();
    let gateway = Config::to(&one).address(port.address).start();
    let mut client = gateway.client();
    client.send(get("/"));
    assert_eq!(client.read_response().text(), "one");
    let (taken, line) = gateway.reload(&Config::to(&two).address(port.address).toml());
    assert!(taken, "{line}");
    eventually("every core has the new plan", || gateway.get("/").text() == "two");
    client.send(get("/"));
    assert_eq!(client.read_response().text(), "two");
}

/// A reload reaches every core: when one request went by the new file, soon all do.
#[test]
fn a_reload_reaches_every_core() {
    let (one, two) = (Origin::new().serve(|_| ok("one")), Origin::new().serve(|_| ok("two")));
    let port = ReservedPort::new();
    let gateway = Gateway::start_on_all_cores(&Config::to(&one).address(port.address).toml());
    // Connections that were open before; the kernel spreads them over the cores.
    let mut clients: Vec<Connection> = (0..24).map(|_| gateway.client()).collect();
    let mut answers = || -> Vec<String> {
        clients.iter_mut().for_each(|client| client.send(get("/")));
        clients.iter_mut().map(|client| client.read_response().text()).collect()
    };
    assert!(answers().iter().all(|answer| answer == "one"));
    assert!(gateway.reload(&Config::to(&two).address(port.address).toml()).0);
    eventually("all cores have the new plan", || answers().iter().all(|answer| answer == "two"));
    gateway.stop();
}

/// An exchange that runs during a reload ends as it began.
#[test]
fn running_exchanges_end_on_their_plan() {
    let (one, two) = (Origin::new(), Origin::new().serve(|_| ok("two")));
    let port = ReservedPort::new();
    let gateway = Config::to(&one).address(port.address).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = one.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfir");
    let response = client.read_response_head();
    assert!(gateway.reload(&Config::to(&two).address(port.address).toml()).0);
    eventually("the new plan is in force", || gateway.get("/").text() == "two");
    peer.send("st!");
    assert_eq!(client.finish_response(response, false).text(), "first!");
}

/// A bad file is refused whole and named, and the old plan serves on.
#[test]
fn a_bad_file_changes_nothing() {
    let origin = Origin::new().serve(|_| ok("old"));
    let port = ReservedPort::new();
    let good = Config::to(&origin).address(port.address);
    let gateway = good.start();
    for bad in [
        "this is not TOML",
        &good.clone().server("unknown_key = 1").toml(),
        &good.clone().route("upstream = 5").toml(),
        "",
    ] {
        let (taken, line) = gateway.reload(bad);
        assert!(!taken, "{bad}");
        assert!(line.contains("gateway.toml") || gateway.err.all().join("\n").contains("gateway.toml"), "{line}");
        assert_eq!(gateway.get("/").text(), "old");
    }
    assert!(gateway.reload(&good.toml()).0, "a good file is taken afterwards");
    assert_eq!(gateway.get("/").text(), "old");
    gateway.stop();
}

/// A listener may be added, and be removed again; requests on the others do not notice.
#[test]
fn listeners_come_and_go() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (port, added) = (ReservedPort::new(), ReservedPort::new());
    let config = Config::to(&origin).address(port.address);
    let gateway = config.start();
    let mut steady = gateway.client();
    let more = config.clone().more(&format!("[[listener]]\naddress = \"{}\"", added.address));
    assert!(gateway.reload(&more.toml()).0);
    eventually("the new listener accepts", || std::net::TcpStream::connect(added.address).is_ok());
    let mut client = connect(added.address);
    client.send(get("/"));
    assert_eq!(client.read_response().status, 200);
    assert!(gateway.reload(&config.toml()).0);
    eventually("the removed listener refuses", || std::net::TcpStream::connect(added.address).is_err());
    steady.send(get("/"));
    assert_eq!(steady.read_response().status, 200);
}

/// Connections accepted by a listener that is removed are served to the end of their exchange.
#[test]
fn a_removed_listener_finishes_its_exchanges() {
    let origin = Origin::new();
    let (port, other) = (ReservedPort::new(), ReservedPort::new());
    let gateway = Config::to(&origin).address(port.address).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    assert!(gateway.reload(&Config::to(&origin).address(other.address).toml()).0);
    peer.send(ok("to the end"));
    assert_eq!(client.read_response().text(), "to the end");
}

/// No request fails while the file is reloaded again and again.
#[test]
fn no_request_fails_during_reloads() {
    let origin = Origin::new().serve(|_| ok("x"));
    let port = ReservedPort::new();
    let config = Config::to(&origin).address(port.address);
    let gateway = config.start();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let mut count = 0;
            let mut client = gateway.client();
            while !stop.load(std::sync::atomic::Ordering::Acquire) {
                client.send(get("/"));
                assert_eq!(client.read_response().status, 200);
                assert_eq!(gateway.get("/").status, 200);
                count += 1;
            }
            count
        });
        for round in 0..10 {
            let next = config.clone().route(&format!("[route.response]\nset = {{ x-round = \"{round}\" }}"));
            assert!(gateway.reload(&next.toml()).0);
        }
        stop.store(true, std::sync::atomic::Ordering::Release);
        assert!(asker.join().expect("the asker ends well") > 0);
    });
    eventually("the last plan is in force", || gateway.get("/").field("x-round") == Some("9"));
}

/// Reloads leave no file descriptors behind.
#[test]
fn reloads_leak_no_descriptors() {
    let origin = Origin::new().serve(|_| ok("x"));
    let (port, added) = (ReservedPort::new(), ReservedPort::new());
    let config = Config::to(&origin).address(port.address);
    let more = config.clone().more(&format!("[[listener]]\naddress = \"{}\"", added.address));
    let gateway = config.start();
    let both = || {
        assert!(gateway.reload(&more.toml()).0);
        eventually("the listener is there", || std::net::TcpStream::connect(added.address).is_ok());
        assert!(gateway.reload(&config.toml()).0);
        eventually("the listener is gone", || std::net::TcpStream::connect(added.address).is_err());
    };
    both();
    eventually("connections are closed", || gateway.metric("ringway_connections_open", &[]) == 0.0);
    let before = gateway.descriptors();
    for _ in 0..5 {
        both();
    }
    eventually("descriptors return to the start", || gateway.descriptors() <= before);
}
