//! How often: what is admitted, what a refusal says, what waits, what a reload keeps.

use crate::suite::h2::*;
use crate::suite::harness::*;

/// A limit of these lines that all requests have to pass.
fn limited(origin: &impl config::Endpoint, lines: &str) -> Config {
    let table = format!("[[limit]]\nname = \"one\"\n{lines}\n[limits]\nevery_route = [\"one\"]\nmemory = \"1MiB\"");
    Config::to(origin).more(&table)
}

/// Statuses of `count` requests on one connection.
fn ask(client: &mut Connection, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        client.send(get("/"));
        statuses.push(client.read_response().status);
    }
    statuses
}

fn storable() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx".to_vec()
}

fn outcome(gateway: &Gateway, outcome: &str) -> f64 {
    gateway.metric("ringway_limit_requests_total", &["limit=\"one\"", &format!("outcome=\"{outcome}\"")])
}

/// The burst passes, the next request is 429, says when to come again, and does not reach the origin.
#[test]
fn a_request_too_many_is_429() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = limited(&origin, "rate = \"1/h\"\nburst = 2").start();
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, 3), [200; 3]);
    client.send(get("/"));
    let refused = client.read_response();
    refused.assert_failure(429);
    assert!(
        refused.text().contains("\"rate_limit_error\"") && refused.text().contains("limit one"),
        "{}",
        refused.text()
    );
    let seconds: u64 = refused.field("retry-after").and_then(|s| s.parse().ok()).expect("seconds");
    assert!((3_590..=3_600).contains(&seconds), "{seconds}");
    assert_eq!(refused.field("ratelimit-policy"), Some("\"one\";q=3;w=10800"));
    let left = refused.field("ratelimit").expect("what is left");
    assert_eq!(left, format!("\"one\";r=0;t={seconds}"));
    assert_eq!(origin.take_requests().len(), 3);
    assert_eq!((outcome(&gateway, "passed"), outcome(&gateway, "refused")), (3.0, 1.0));
    gateway.expect_metric("ringway_failures_total", &["reason=\"rate_limited\""], 1.0);
    let line = gateway.out.wait("rate_limited");
    assert!(line.contains("429"), "{line}");
}

/// All cores together admit the burst, and what the rate gives meanwhile.
#[test]
fn all_cores_share_one_burst() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Gateway::start_on_all_cores(&limited(&origin, "rate = \"1/h\"\nburst = 49").toml());
    let mut clients: Vec<Connection> = (0..16).map(|_| gateway.client()).collect();
    let mut admitted = 0;
    for _ in 0..10 {
        clients.iter_mut().for_each(|client| client.send(get("/")));
        admitted +=
            clients.iter_mut().filter_map(|client| (client.read_response().status == 200).then_some(())).count();
    }
    // A lease of 50 has 3 tokens at most: what is left over by a core is not more than 2.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert!((50 - 2 * cores..=50 + 2 * cores).contains(&admitted), "{admitted}");
}

/// A request that may wait is sent on when its time has come; one that would wait too long is refused at once.
#[test]
fn a_delayed_request_waits_for_its_time() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = limited(&origin, "rate = \"1/s\"\ndelay = \"1100ms\"").start();
    let mut clients: Vec<Connection> = (0..4).map(|_| gateway.client()).collect();
    let before = now_ms();
    for client in &mut clients {
        client.send(get("/"));
        // One after the other, so that it is known who comes first.
        client.wait_delivered();
    }
    let statuses: Vec<u16> = clients.iter_mut().map(|client| client.read_response().status).collect();
    let took = now_ms() - before;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2, "{statuses:?}");
    assert!((900..4_000).contains(&took), "{took} ms");
    assert_eq!((outcome(&gateway, "passed"), outcome(&gateway, "delayed")), (1.0, 1.0));
}

/// A client that leaves while it waits gives its time to the next one.
#[test]
fn who_leaves_the_line_is_forgotten() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = limited(&origin, "rate = \"1/h\"\nburst = 1\ndelay = \"5m\"\nwaiting = 1").start();
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, 2), [200; 2]);
    // An hour is too long: no one waits.
    assert_eq!(ask(&mut client, 1), [429]);
    let quick = limited(&origin, "rate = \"1/m\"\ndelay = \"5m\"\nwaiting = 1").start();
    let mut client = quick.client();
    assert_eq!(ask(&mut client, 1), [200]);
    let mut waiting = quick.client();
    waiting.send(get("/"));
    waiting.wait_delivered();
    eventually("the line is full", || ask(&mut client, 1) == [429]);
    drop(waiting);
    eventually("its end is seen", || quick.metric("ringway_failures_total", &["reason=\"client_gone\""]) == 1.0);
    // The place is free: the next one waits, and is not refused.
    let mut next = quick.client();
    next.send(get("/"));
    next.silent_for(100);
}

/// A stream of HTTP/2 that is reset while it waits gives its time and its place in the line back.
#[test]
fn a_stream_that_is_reset_leaves_the_line() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = limited(&origin, "rate = \"1/m\"\ndelay = \"90s\"\nwaiting = 1").start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/");
    assert_eq!(client.message(1).status(), 200);
    let mut other = gateway.client();
    for stream in [3, 5, 7] {
        client.get(stream, "/");
        eventually("it waits", || gateway.metric("ringway_exchanges_active", &[]) == 1.0);
        eventually("the line is full", || ask(&mut other, 1) == [429]);
        client.send(Frame::reset(stream, CANCEL));
        let gone = f64::from(stream / 2);
        eventually("it has left", || gateway.metric("ringway_failures_total", &["reason=\"client_gone\""]) == gone);
    }
    let mut next = gateway.client();
    next.send(get("/"));
    next.silent_for(100);
    assert_eq!(origin.take_requests().len(), 1);
}

/// A request that waits for its time when the drain ends is told so, and is not sent on.
#[test]
fn a_drain_ends_the_line() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = limited(&origin, "rate = \"1/m\"\ndelay = \"5m\"").server("drain = \"500ms\"").start();
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, 1), [200]);
    client.send(get("/"));
    client.wait_delivered();
    client.silent_for(100);
    gateway.signal(rustix::process::Signal::TERM);
    client.read_response().assert_failure(503);
    assert_eq!(origin.take_requests().len(), 1);
}

/// Answers out of the cache are requests too.
#[test]
fn hits_count() {
    let origin = Origin::new().serve(|_| storable());
    let gateway = limited(&origin, "rate = \"1/h\"\nburst = 9").cache("").start();
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, 10), [200; 10]);
    assert_eq!(ask(&mut client, 3), [429; 3]);
    assert_eq!(origin.take_requests().len(), 1);
    assert_eq!((outcome(&gateway, "passed"), outcome(&gateway, "refused")), (10.0, 3.0));
}

/// A hit whose connection closes is counted once, though it does not go out at once.
#[test]
fn a_hit_is_counted_once() {
    let origin = Origin::new().serve(|_| storable());
    let gateway = limited(&origin, "rate = \"1/h\"\nburst = 9").cache("").start();
    for _ in 0..10 {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        assert_eq!(client.read_response().status, 200);
    }
    assert_eq!(outcome(&gateway, "passed"), 10.0);
    assert_eq!(gateway.get("/").status, 429);
}

/// A dry run counts what it would refuse, and refuses nothing.
#[test]
fn a_dry_run_only_counts() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = limited(&origin, "rate = \"1/h\"\nburst = 1\ndry_run = true").start();
    assert_eq!(ask(&mut gateway.client(), 5), [200; 5]);
    assert_eq!((outcome(&gateway, "passed"), outcome(&gateway, "dry_run")), (2.0, 3.0));
}

/// A dry run makes nobody wait, and has no line that could be full.
#[test]
fn a_dry_run_delays_nobody() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = limited(&origin, "rate = \"1/m\"\ndelay = \"5m\"\nwaiting = 1\ndry_run = true").start();
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, 8), [200; 8]);
    assert_eq!((outcome(&gateway, "delayed"), outcome(&gateway, "dry_run")), (5.0, 2.0));
}

/// Requests are told apart by the parts of the key, and the status is the one that is configured.
#[test]
fn keys_tell_requests_apart() {
    let origin = Origin::new().serve(|_| ok("x"));
    let lines = "rate = \"1/h\"\nkey = [\"header:x-team\", \"caller\"]\nstatus = 503\nheaders = true";
    let gateway = limited(&origin, lines).start();
    let ask = |fields: &str| {
        let mut client = gateway.client();
        client.send(format!("GET / HTTP/1.1\r\nhost: t\r\n{fields}\r\n"));
        client.read_response()
    };
    for fields in ["", "x-team: red\r\n", "x-team: blue\r\n", "authorization: Bearer a\r\n", "x-api-key: b\r\n"] {
        let passed = ask(fields);
        assert_eq!(passed.status, 200, "{fields}");
        assert_eq!(passed.field("ratelimit-policy"), Some("\"one\";q=1;w=3600"));
        assert_eq!(passed.field("ratelimit"), Some("\"one\";r=0;t=3600"));
        assert_eq!(ask(fields).status, 503, "{fields}");
    }
}

/// Of two limits of a route the one that refuses is named, and the other one is not charged.
#[test]
fn all_limits_must_pass() {
    let origin = Origin::new().serve(|_| ok("x"));
    let tables = "[[limit]]\nname = \"two\"\nrate = \"1/h\"\nburst = 3\nkey = [\"all\"]";
    let gateway = limited(&origin, "rate = \"1/h\"\nburst = 1\nkey = [\"caller\"]")
        .route("limits = [\"two\"]")
        .more(tables)
        .start();
    let ask = |key: &str| {
        let mut client = gateway.client();
        client.send(format!("GET / HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {key}\r\n\r\n"));
        let response = client.read_response();
        (response.status, response.text().contains("limit two"))
    };
    let statuses = ["a", "a", "a", "a", "b", "b", "c"].map(ask);
    let (passed, refused) = ((200, false), (429, false));
    assert_eq!(statuses, [passed, passed, refused, refused, passed, passed, (429, true)]);
}

/// A reload that leaves a limit as it was leaves its buckets; one that changes its rate does not.
#[test]
fn a_reload_keeps_the_buckets() {
    let origin = Origin::new().serve(|_| ok("x"));
    let port = ReservedPort::new();
    let config = |lines: &str| limited(&origin, lines).address(port.address);
    let gateway = config("rate = \"1/h\"\nburst = 1").start();
    assert_eq!(ask(&mut gateway.client(), 3), [200, 200, 429]);
    let (taken, line) = gateway.reload(&config("rate = \"1/h\"\nburst = 1\nstatus = 503").toml());
    assert!(taken, "{line}");
    eventually("the new plan refuses", || gateway.get("/").status == 503);
    assert!(gateway.reload(&config("rate = \"1/h\"\nburst = 2").toml()).0);
    eventually("the new buckets are full", || gateway.get("/").status == 200);
}

/// An address that connects too often is shut out without an answer; others and later ones are served.
#[test]
fn connections_come_as_often_as_they_may() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).listener("new_connections = \"1/h\"\nnew_connections_burst = 4").start();
    let mut clients: Vec<Connection> = (0..5).map(|_| gateway.client()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(ask(client, 1), [200]));
    let mut beyond = gateway.client();
    drop(beyond.try_send(get("/").as_bytes()));
    let (bytes, end) = beyond.rest();
    assert!(bytes.is_empty() && end != End::Silent);
    clients.iter_mut().for_each(|client| assert_eq!(ask(client, 1), [200], "those that are open are served on"));
    gateway.expect_metric("ringway_failures_total", &["reason=\"connection_rate\""], 1.0);
    gateway.expect_metric("ringway_connections_refused_total", &[], 1.0);
}
