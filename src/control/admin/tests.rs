//! The admin listener, asked over real connections.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::stats::Counter;

fn state() -> Arc<AdminState> {
    Arc::new(AdminState {
        cores: vec![CoreStats::new(), CoreStats::new()],
        process: ProcessInfo { version: "9.9.9".to_owned(), ..ProcessInfo::default() },
        ready: Arc::default(),
        draining: Arc::default(),
    })
}

/// Sends a request and reads until the peer closes: status line with fields, and body.
async fn ask(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Runs a test against a served state, then shuts down and waits for the end of the server.
fn with_server<F: Future<Output = ()>>(state: &Arc<AdminState>, test: impl FnOnce(SocketAddr) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(listener, Arc::clone(state), stopped));
        test(address).await;
        stop.send(true).unwrap();
        server.await.unwrap().unwrap();
    });
}

#[test]
fn health_is_told_while_the_process_lives_and_head_has_no_body() {
    with_server(&state(), |address| async move {
        let (head, body) = ask(address, "GET", "/health").await;
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("application/json"), "{head}");
        assert_eq!(body, "{\"status\":\"ok\"}");
        let (head, body) = ask(address, "HEAD", "/health").await;
        assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{head}");
    });
}

#[test]
fn readiness_says_why_not() {
    let state = state();
    with_server(&state, async |address| {
        let (head, body) = ask(address, "GET", "/ready").await;
        assert!(head.starts_with("HTTP/1.1 503 ") && body == "{\"status\":\"starting\"}", "{head} {body}");
        state.ready.store(true, Ordering::Release);
        let (head, body) = ask(address, "GET", "/ready").await;
        assert!(head.starts_with("HTTP/1.1 200 ") && body == "{\"status\":\"ready\"}", "{head} {body}");
        state.draining.store(true, Ordering::Release);
        let (head, body) = ask(address, "GET", "/ready").await;
        assert!(head.starts_with("HTTP/1.1 503 ") && body == "{\"status\":\"draining\"}", "{head} {body}");
    });
}

#[test]
fn metrics_are_the_sum_of_the_cores_at_that_moment() {
    let state = state();
    with_server(&state, async |address| {
        state.cores[0].add(Counter::Requests, 2);
        state.cores[1].add(Counter::Requests, 3);
        let (head, body) = ask(address, "GET", "/metrics").await;
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        assert!(body.contains("\nringway_requests_total 5\n"));
        assert!(body.contains("ringway_build_info{version=\"9.9.9\"} 1\n"));
        state.cores[1].inc(Counter::Requests);
        assert!(ask(address, "GET", "/metrics").await.1.contains("\nringway_requests_total 6\n"));
    });
}

#[test]
fn other_paths_and_methods_are_refused_in_json() {
    with_server(&state(), |address| async move {
        for (method, path, status, kind) in
            [("GET", "/", "404", "not_found"), ("POST", "/metrics", "405", "method_not_allowed")]
        {
            let (head, body) = ask(address, method, path).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["error"]["type"], kind);
        }
    });
}

#[test]
fn a_connection_that_never_ends_does_not_hold_up_the_shutdown() {
    // The half-sent request stays open beyond the end of the server.
    let mut held = None;
    with_server(&state(), async |address| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nHo").await.unwrap();
        held = Some(stream);
        // Answered after the other connection was accepted.
        ask(address, "GET", "/health").await;
    });
    assert!(held.is_some());
}

#[test]
fn a_silent_connection_ends_and_makes_room_for_the_next() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut bounded = Bounded::new(listener, 1, Duration::from_millis(20));
        let _first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();
        let (mut admitted, _) = bounded.accept().await;
        assert_eq!(bounded.permits.available_permits(), 0, "the second one waits");
        let error = admitted.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(admitted);
        bounded.accept().await;
    });
}
