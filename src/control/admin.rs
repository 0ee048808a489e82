//! The admin listener: is it alive, is it ready, what does it count.
//!
//! Control plane only, read only: it looks at counters and flags and changes nothing. By default it listens on
//! loopback; who binds it elsewhere shows counters, reasons and the version to whoever can reach it, never a request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::stats::{self, CoreStats, ProcessInfo};

/// How long connections of the admin listener may last after the shutdown began.
const SHUTDOWN_MS_MAX: u64 = 1_000;

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
    let mut late = shutdown.clone();
    let serving = axum::serve(listener, router(state)).with_graceful_shutdown(ended(shutdown));
    tokio::select! {
        result = serving => result,
        () = async {
            let _ = late.wait_for(|is_over| *is_over).await;
            tokio::time::sleep(Duration::from_millis(SHUTDOWN_MS_MAX)).await;
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
