//! HTTP/2 towards clients: the real executable between a client that is scripted frame by frame and an HTTP/1.1 origin.
//!
//! `frames` is the scripted end, for other areas too. The other files: the rules of the protocol section by section
//! (`conformance`), what becomes of messages (`messages`, `bodies`, `websocket`), what two readers must not understand
//! differently (`smuggling`), many streams at once (`multiplexing`), the cache (`caching`), the end of a connection
//! (`endings`), those who mean harm (`abuse`), and those who mean none and were cut all the same (`review`).

pub mod frames;

mod abuse;
mod bodies;
mod caching;
mod conformance;
mod endings;
mod lifetimes;
mod messages;
mod multiplexing;
mod review;
mod self_test;
mod smuggling;
mod websocket;

use std::time::Duration;

use tempfile::TempDir;

use super::harness::origin::Reply;

use super::harness::*;
pub use frames::*;

/// An answer that says what was asked; without a body where the method is HEAD.
fn echo(request: &Request) -> Vec<u8> {
    let mut bytes = ok(request.brief());
    if request.method == "HEAD" {
        bytes.truncate(bytes.len() - request.brief().len());
    }
    bytes
}

/// A gateway that speaks TLS as `t.test`, and who has signed its certificate.
fn secure(origin: &impl config::Endpoint, lines: &str) -> (Gateway, Authority) {
    let authority = Authority::new();
    let dir = TempDir::new().expect("a scratch folder");
    let (cert, key) = authority.pair(&["t.test"]).write(dir.path(), "t");
    let table = format!("[[listener.tls]]\ncert = {:?}\nkey = {:?}\n", text(&cert), text(&key));
    (Config::to(origin).listener(lines).listener(&table).start_in(dir), authority)
}

/// Waits until a gauge is back at 0.
#[track_caller]
fn settles(gateway: &Gateway, gauge: &str) {
    eventually(gauge, || gateway.metric(gauge, &[]) == 0.0);
}

/// A request in clear with prior knowledge is answered.
#[test]
fn a_request_in_clear_is_answered() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    assert_eq!(client.fetch(1, "/a").whole(), (200, "GET /a".to_owned()));
    client.ping();
}

/// A request over TLS is answered.
#[test]
fn a_request_over_tls_is_answered() {
    let origin = Origin::new().serve(echo);
    let (gateway, authority) = secure(&origin, "");
    let mut client = H2::connect_tls(&gateway, &authority, "t.test");
    assert_eq!(client.fetch(1, "/a").whole(), (200, "GET /a".to_owned()));
    client.ping();
}
