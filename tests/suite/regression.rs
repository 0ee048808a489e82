//! One test per bug that was found elsewhere than in this suite. The doc of each says what must hold and what broke.
//!
//! Here: what concerns bytes and connections as such. The files beside this one: whose bytes are whose (`framing`), what
//! heads carry (`fields`), how long anybody waits (`patience`), who waits for whom (`turns`), how connections end
//! (`endings`) and the process (`departure`), and what is changed and told while it runs (`upkeep`). Of the cache: what the
//! origin says about a stored answer (`confirmations`), whose answer is whose (`kept_apart`), answers on their way
//! (`arrivals`), and hits and memory (`supplies`).

mod arrivals;
mod confirmations;
mod departure;
mod endings;
mod fields;
mod framing;
mod kept_apart;
mod patience;
mod supplies;
mod turns;
mod upkeep;

use std::time::Duration;

use super::harness::*;

/// What a client sends to open a WebSocket.
const WEBSOCKET: &str = "GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// What the origin says to it.
const CONSENT: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// A tunnel: client and origin's end.
#[track_caller]
fn tunnel(gateway: &Gateway, origin: &Origin) -> (Connection, Connection) {
    let mut client = gateway.client();
    client.send(WEBSOCKET);
    let (mut peer, _) = origin.accept_request();
    peer.send(CONSENT);
    assert_eq!(client.read_response().status, 101);
    (client, peer)
}

/// A kept upstream connection: a first GET was served on it.
#[track_caller]
fn warm(gateway: &Gateway, origin: &Origin) -> (Connection, Connection) {
    let mut client = gateway.client();
    client.send(get("/first"));
    let (mut peer, _) = origin.accept_request();
    peer.send(ok("first"));
    assert_eq!(client.read_response().text(), "first");
    (client, peer)
}

/// Lines of a listener that speaks TLS as `t.test`, and the client that trusts it.
fn secure(authority: &Authority, dir: &tempfile::TempDir) -> (String, std::sync::Arc<rustls::ClientConfig>) {
    let (cert, key) = authority.pair(&["t.test"]).write(dir.path(), "t");
    let lines = format!("[[listener.tls]]\ncert = {:?}\nkey = {:?}\n", text(&cert), text(&key));
    (lines, std::sync::Arc::new(authority.client()))
}

/// Lets this process have as many descriptors as it may.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the soft limit may be raised");
}

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
