//! The admin listener: is it alive, is it ready, what does it count.
//!
//! Control plane only, read only: it looks at counters and flags and changes nothing. By default it listens on
//! loopback; who binds it elsewhere shows counters, reasons and the version to whoever can reach it, never a request.
//! Its connections are bounded in number and in silence, so that it cannot use up the process's descriptors.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use axum::{Json, Router};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep};

use crate::stats::{self, CoreStats, ProcessInfo};

/// How long connections of the admin listener may last after the shutdown began.
const SHUTDOWN_MS_MAX: u64 = 1_000;
/// Connections of the admin listener; more wait in the backlog of the kernel.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may neither read nor write: longer than the usual period of a scrape.
const IDLE_MS_MAX: u64 = 75_000;

/// What the admin listener looks at.
pub struct AdminState {
    /// The counters of every core, in the order of the cores.
    pub cores: Vec<Arc<CoreStats>>,
    pub process: ProcessInfo,
    /// Every core serves.
    pub ready: Arc<AtomicBool>,
    /// The process has been asked to end and finishes what it has.
    pub draining: Arc<AtomicBool>,
}

/// Serves the admin endpoints until `shutdown` turns true or its sender is gone; then waits at most a second for
/// connections that are still open.
///
/// # Errors
/// Those of the listener.
pub async fn serve(listener: TcpListener, state: Arc<AdminState>, shutdown: watch::Receiver<bool>) -> io::Result<()> {
    let listener = Bounded::new(listener, CONNECTIONS_MAX, Duration::from_millis(IDLE_MS_MAX));
    let mut late = shutdown.clone();
    let serving = axum::serve(listener, router(state)).with_graceful_shutdown(ended(shutdown));
    tokio::select! {
        result = serving => result,
        () = async {
            let _ = late.wait_for(|is_over| *is_over).await;
            sleep(Duration::from_millis(SHUTDOWN_MS_MAX)).await;
        } => Ok(()),
    }
}

async fn ended(mut shutdown: watch::Receiver<bool>) {
    // An error means that the sender is gone: then there is nobody to wait for.
    let _ = shutdown.wait_for(|is_over| *is_over).await;
}

fn router(state: Arc<AdminState>) -> Router {
    // A handler of GET answers HEAD too.
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .with_state(state)
}

/// The process lives and its control plane turns.
async fn health() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Whether new traffic should come here.
async fn ready(State(state): State<Arc<AdminState>>) -> Response {
    // Draining comes first: a process that ends is not ready, however far it came.
    let (code, status) = if state.draining.load(Ordering::Acquire) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if state.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting")
    };
    (code, Json(json!({ "status": status }))).into_response()
}

async fn metrics(State(state): State<Arc<AdminState>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, stats::render(&state.cores, &state.process)).into_response()
}

async fn not_found() -> Response {
    failure(StatusCode::NOT_FOUND, "not_found", "there are /health, /ready and /metrics here")
}

async fn not_allowed(method: Method) -> Response {
    let message = format!("{method} is not served here; use GET or HEAD");
    failure(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &message)
}

fn failure(code: StatusCode, kind: &str, message: &str) -> Response {
    (code, Json(json!({ "error": { "type": kind, "message": message } }))).into_response()
}

/// A listener that accepts only as many connections as it has permits.
struct Bounded {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    idle_max: Duration,
}

/// An accepted connection, which fails when it is silent for too long and gives its permit back when it ends.
struct Admitted {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    idle_max: Duration,
    _permit: OwnedSemaphorePermit,
}

impl Bounded {
    fn new(listener: TcpListener, connections_max: usize, idle_max: Duration) -> Self {
        Self { listener, permits: Arc::new(Semaphore::new(connections_max)), idle_max }
    }
}

impl Listener for Bounded {
    type Io = Admitted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Admitted, SocketAddr) {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.expect("the semaphore is open because nothing closes it");
        // axum's own accept: it waits and tries again when descriptors are short.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let idle = Box::pin(sleep(self.idle_max));
        (Admitted { stream, idle, idle_max: self.idle_max, _permit: permit }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Admitted {
    /// Passes progress on and starts the clock of silence again; fails when there was none for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.idle.set(sleep(self.idle_max));
            return poll;
        }
        self.idle.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Admitted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.watch(cx, poll)
    }
}

impl AsyncWrite for Admitted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
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
}
