//! HTTP/2 towards clients: the real executable between a client that is scripted frame by frame and an HTTP/1.1 origin.

pub mod frames;

mod self_test;

use super::harness::*;
use frames::*;

/// A request in clear with prior knowledge is answered.
#[test]
fn a_request_in_clear_is_answered() {
    let origin = Origin::new().serve(|request: &Request| ok(request.brief()));
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    assert_eq!(client.fetch(1, "/a").whole(), (200, "GET /a".to_owned()));
    client.ping();
}
