//! Is the process alive, is it ready, what does it count. Reads flags and counters, changes nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{AdminState, metrics as cache_metrics};
use crate::stats;

/// The process lives and its control plane turns.
pub(super) async fn health() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Whether new traffic should come here.
pub(super) async fn ready(State(state): State<Arc<AdminState>>) -> Response {
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

/// The counters of the cores and of the cache.
pub(super) async fn metrics(State(state): State<Arc<AdminState>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let text = stats::render(&state.cores, &state.process) + &cache_metrics::render(&state.cache);
    (kind, text).into_response()
}
