//! The admin listener: health, counters, and the cache to look at and to purge.
//!
//! Control plane only. By default it listens on loopback; who binds it elsewhere lets whoever reaches it see counters
//! and the keys of stored answers, and drop those answers: nobody is asked for a password, but pages in a browser are
//! refused, and webhooks are signed. It never shows a body or a credential.

mod cache;
mod callers;
mod health;
mod keys;
mod listener;
pub mod metrics;
mod purge;
mod refusal;
mod signature;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::stats::{CoreStats, ProcessInfo};
use listener::Bounded;
use refusal::{BODY_BYTES_MAX, Refusal};

pub use cache::{CacheAdmin, CachedRoute, Sight};
pub use purge::PurgeBody;
pub use signature::{Hooked, Hooks};

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
    pub cache: Arc<CacheAdmin>,
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
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/cache/stats", get(cache::stats))
        .route("/cache/keys", get(keys::keys))
        .route("/cache/purge", post(purge::purge))
        .route("/cache/version", post(cache::version))
        .route("/hooks/purge", post(purge::hook))
        .route("/callers", get(callers::list).post(callers::create))
        .route("/callers/{id}", delete(callers::revoke))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
}

async fn not_found() -> Refusal {
    Refusal::not_found(
        "there are /health, /ready, /metrics, /cache/stats, /cache/keys, /cache/purge, /cache/version, \
         /hooks/purge and /callers here",
    )
}

async fn not_allowed(method: Method, uri: Uri) -> Refusal {
    let changes = ["/cache/purge", "/cache/version", "/hooks/purge"].contains(&uri.path());
    let wanted = match uri.path() {
        "/callers" => "GET, HEAD or POST",
        path if path.starts_with("/callers/") => "DELETE",
        _ if changes => "POST",
        _ => "GET or HEAD",
    };
    let message = format!("{method} is not served here; use {wanted}");
    Refusal { code: StatusCode::METHOD_NOT_ALLOWED, kind: "method_not_allowed", message }
}
