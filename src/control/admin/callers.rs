//! Keys of callers: listed, made and revoked, in the store that the plan in force names. The gateway sees the change of
//! the file as it sees any other: within two seconds on every core.
//!
//! A key is in the answer to its creation, and in no other.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::refusal::{Refusal, guard, parameters, refuse_pages, whole};
use crate::base::{clock, units};
use crate::control::callers::commands::shown;
use crate::control::callers::store::{Store, Wish, change};

/// The body of `POST /callers`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Creation {
    name: String,
    /// A duration such as `30d`.
    expires: Option<String>,
    #[serde(default)]
    routes: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    limits: Vec<String>,
}

/// `GET /callers`
pub(super) async fn list(
    State(state): State<Arc<AdminState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    refuse_pages(&headers)?;
    let [] = parameters(&query.unwrap_or_default(), [])?;
    let path = store(&state)?;
    answer(move || Store::read(&path).map(|store| shown(&store)).map_err(Failed::Store)).await
}

/// `POST /callers`
pub(super) async fn create(
    State(state): State<Arc<AdminState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    guard(&headers)?;
    let [] = parameters(&query.unwrap_or_default(), [])?;
    let path = store(&state)?;
    let body = whole(body)?;
    let Creation { name, expires, routes, models, limits } =
        serde_json::from_slice(&body).map_err(|error| Refusal::bad_request(format!("the body: {error}")))?;
    let now_ms = clock::unix_ms();
    let expires = expires.as_deref().map(units::parse_duration).transpose();
    let expires = expires.map_err(|error| Refusal::bad_request(format!("expires: {error}")))?;
    let lifetime_ms = expires.map(|lifetime| u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX));
    let expires_ms = lifetime_ms.map(|ms| now_ms.saturating_add(ms));
    let wish = Wish { name: name.clone(), expires_ms, routes, models, limits };
    answer(move || {
        let new = changed(&path, |store| store.create(wish, now_ms).map_err(Failed::Wish))?;
        Ok(json!({ "id": new.id, "name": name, "key": new.text }))
    })
    .await
}

/// `DELETE /callers/ID`
pub(super) async fn revoke(
    State(state): State<Arc<AdminState>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    refuse_pages(&headers)?;
    let [] = parameters(&query.unwrap_or_default(), [])?;
    let path = store(&state)?;
    answer(move || {
        let gone = changed(&path, |store| store.revoke(&id).map_err(Failed::NotThere))?;
        Ok(json!({ "id": gone.id, "name": gone.name, "revoked": true }))
    })
    .await
}

fn store(state: &AdminState) -> Result<PathBuf, Refusal> {
    let path = state.cache.sight.load().callers.clone();
    path.ok_or_else(|| Refusal::not_found("the configuration has no [callers] with a store"))
}

/// Why nothing was done.
enum Failed {
    Wish(String),
    NotThere(String),
    Store(String),
}

/// As [`change`], and whose fault it was.
fn changed<T>(path: &std::path::Path, work: impl FnOnce(&mut Store) -> Result<T, Failed>) -> Result<T, Failed> {
    let mut failed = None;
    let outcome = change(path, false, |store| {
        work(store).map_err(|why| {
            failed = Some(why);
            String::new()
        })
    });
    outcome.map_err(|why| failed.unwrap_or(Failed::Store(why)))
}

/// Works on the store beside the control thread.
async fn answer(work: impl FnOnce() -> Result<Value, Failed> + Send + 'static) -> Result<Response, Refusal> {
    let internal = |message: String| Refusal { code: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", message };
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| internal(format!("the store: {error}")))?;
    let said = done.map_err(|failed| match failed {
        Failed::Wish(why) => Refusal::bad_request(why),
        Failed::NotThere(why) => Refusal::not_found(why),
        Failed::Store(why) => internal(format!("the store of keys: {why}")),
    })?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(said)).into_response())
}
