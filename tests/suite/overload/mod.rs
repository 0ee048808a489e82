//! Overload: a late core refuses and recovers by itself; bodies that would take too much memory are refused.

use std::sync::atomic::{AtomicBool, Ordering};

use super::harness::*;

/// Keeps one core busy with pipelined requests for stored answers, on so many connections, until told to stop.
fn flood(gateway: &Gateway, connections: usize, stop: &AtomicBool) {
    let address = gateway.address();
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(move || {
                let mut client = connect(address);
                client.send(get("/stored"));
                let first = client.read_response();
                let bunch = get("/stored").repeat(64);
                while !stop.load(Ordering::Relaxed) {
                    client.send(&bunch);
                    for _ in 0..64 {
                        let response = client.read_response();
                        assert!(response.status == first.status || response.status == 503, "{}", response.status);
                    }
                }
            });
        }
    });
}

fn origin() -> Serving {
    Origin::new().serve(|request: &Request| {
        let control = if request.target == "/stored" { "max-age=600" } else { "no-store" };
        format!("HTTP/1.1 200 OK\r\nCache-Control: {control}\r\nContent-Length: 1\r\n\r\nx").into_bytes()
    })
}

/// A core that is kept busy refuses what needs the upstream, with a time to come again; health stays up; when the flood is
/// over, everything is served again.
#[test]
fn a_busy_core_sheds_and_recovers_by_itself() {
    let origin = origin();
    let gateway = Config::to(&origin).cache("").more("[server.overload]\ntarget = \"10ms\"").start();
    assert_eq!(gateway.get("/stored").status, 200);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&gateway, 16, &stop));
        let mut refused = None;
        let start = now_ms();
        while refused.is_none() && now_ms() - start < WAIT.as_millis() as u64 {
            let response = gateway.get("/fresh");
            refused = (response.status == 503).then_some(response);
            assert_eq!((gateway.admin("/health").status, gateway.admin("/ready").status), (200, 200));
        }
        stop.store(true, Ordering::Relaxed);
        flooding.join().expect("the flood ends");
        let refused = refused.expect("a late core refuses");
        let seconds: u64 = refused.field("retry-after").expect("Retry-After").parse().expect("seconds");
        assert!((1..=3).contains(&seconds), "{seconds}");
        assert!(refused.text().contains("the gateway is overloaded"), "{}", refused.text());
    });
    eventually("everything is served again", || gateway.get("/fresh").status == 200);
    eventually("no core sheds", || gateway.metric("ringway_cores_shedding", &[]) == 0.0);
    assert!(gateway.metric("ringway_failures_total", &["reason=\"overload\""]) >= 1.0);
    assert!(gateway.metric("ringway_queue_delay_seconds_count", &[]) >= 4.0);
}

/// With the target off nothing is refused, however late the core is.
#[test]
fn nothing_is_refused_where_that_is_off() {
    let origin = origin();
    let gateway = Config::to(&origin).cache("").more("[server.overload]\ntarget = \"off\"").start();
    assert_eq!(gateway.get("/stored").status, 200);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&gateway, 8, &stop));
        for _ in 0..20 {
            assert_eq!(gateway.get("/fresh").status, 200);
        }
        stop.store(true, Ordering::Relaxed);
        flooding.join().expect("the flood ends");
    });
    assert_eq!(gateway.metric("ringway_failures_total", &["reason=\"overload\""]), 0.0);
}

/// Bodies that together would go over the bound are refused before they are read; what is given back can be had again.
#[test]
fn bodies_in_flight_are_bounded() {
    let origin = Origin::new().serve(|_| ok("x"));
    let config =
        Config::to(&origin).server("in_flight_bytes = \"1MiB\"").cache("key = [\"path\", \"body\"]\npost = true");
    let gateway = config.start();
    let mut first = gateway.client();
    first.send(format!("POST /a HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n", 900 << 10));
    first.send("x");
    gateway.expect_metric("ringway_in_flight_bytes", &[], f64::from(900 << 10));
    let mut second = gateway.client();
    second.send(format!("POST /b HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n", 200 << 10));
    let refused = second.read_response();
    assert!(refused.assert_failure(503).field("retry-after").is_some());
    first.send("x".repeat((900 << 10) - 1));
    assert_eq!(first.read_response().status, 200);
    gateway.expect_metric("ringway_in_flight_bytes", &[], 0.0);
    let mut third = gateway.client();
    third.send(post("/c", &"x".repeat(800 << 10)));
    assert_eq!(third.read_response().status, 200);
    assert_eq!(gateway.metric("ringway_failures_total", &["reason=\"in_flight_bytes\""]), 1.0);
}
