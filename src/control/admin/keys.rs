//! A look at what is stored: keys by their parts, and how the objects fare. Shows shape, never a secret or a body.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::AdminState;
use super::refusal::{Refusal, parameters, refuse_pages};
use crate::base::clock;
use crate::cache::key::{self, KeyHash};
use crate::cache::life::State as Life;
use crate::cache::store::{Cache, Standing};
use crate::cache::{Content, Object};
use crate::log::redact;

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// Which objects are shown.
#[derive(Debug, Default)]
struct Wish {
    limit: usize,
    /// What the identity begins with.
    prefix: Option<String>,
    route: Option<String>,
}

fn wish(query: &str) -> Result<Wish, Refusal> {
    let [limit, prefix, route] = parameters(query, ["limit", "prefix", "route"])?;
    let limit = match limit.as_deref().map(str::parse) {
        None => LIMIT_DEFAULT,
        Some(Ok(limit)) if (1..=LIMIT_MAX).contains(&limit) => limit,
        Some(_) => return Err(Refusal::bad_request(format!("limit is a number from 1 to {LIMIT_MAX}"))),
    };
    Ok(Wish { limit, prefix, route })
}

/// The URL of a key as it is shown: what is hidden there cannot be found out by asking for prefixes either.
fn shown_url(key: &[u8]) -> Vec<u8> {
    let mut clean = Vec::new();
    redact::uri(key::identity(key), &mut clean);
    clean
}

/// As many objects as are wished for, in no order; `more` says whether there were others.
fn list(cache: &Cache, wish: &Wish, now_ms: u64) -> Value {
    let (mut shown, mut more) = (Vec::new(), false);
    cache.for_each(|hash, object| {
        // There is no way to stop a visit: the rest is passed by at the price of a look.
        let identity_fits =
            wish.prefix.as_ref().is_none_or(|prefix| shown_url(&object.key).starts_with(prefix.as_bytes()));
        if more || !identity_fits {
            return;
        }
        let standing = standing(cache, object);
        if standing == Standing::Purged {
            return;
        }
        let parts = key::describe(&object.key);
        if wish.route.as_ref().is_some_and(|r| !parts.iter().any(|(name, value)| *name == "route" && value == r)) {
            return;
        }
        more = shown.len() == wish.limit;
        if !more {
            shown.push(row(hash, object, standing, parts, now_ms));
        }
    });
    json!({ "keys": shown, "more": more })
}

/// What purges say about an object that the sweep has not come to yet.
fn standing(cache: &Cache, object: &Object) -> Standing {
    match object.content().as_deref() {
        Some(Content::Answer(answer)) => cache.standing(object, &answer.head.tags),
        _ => cache.standing(object, &[]),
    }
}

fn row(hash: KeyHash, object: &Object, standing: Standing, parts: Vec<(&'static str, String)>, now_ms: u64) -> Value {
    let content = object.content();
    let (kind, answer) = match (object.life.state(), content.as_deref()) {
        (Life::Filling, _) => ("filling", None),
        (Life::Dead, _) | (_, None) => ("dead", None),
        (_, Some(Content::Variants(_))) => ("variants", None),
        (_, Some(Content::HitForMiss { .. })) => ("hit_for_miss", None),
        (_, Some(Content::Answer(answer))) if object.life.is_soft() || standing == Standing::Soft => {
            ("soft", Some(answer))
        }
        (_, Some(Content::Answer(answer))) => ("complete", Some(answer)),
    };
    let terms = answer.map(|answer| answer.head.terms);
    json!({
        "key": hash.to_hex(),
        "parts": by_name(parts),
        "state": kind,
        "status": answer.map(|answer| answer.head.status),
        "bytes": answer.map(|answer| answer.body.length()),
        "age": terms.map(|terms| terms.age_ms(now_ms) / 1_000),
        "ttl": terms.map(|terms| terms.fresh_for_ms(now_ms).div_euclid(1_000)),
        "uses": object.uses.load(std::sync::atomic::Ordering::Relaxed),
        "followers": object.life.followers(),
    })
}

/// A part that occurs several times becomes a list.
fn by_name(parts: Vec<(&'static str, String)>) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, value) in parts {
        let value = Value::String(value);
        match map.get_mut(name) {
            None => drop(map.insert(name.to_owned(), value)),
            Some(Value::Array(list)) => list.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    map
}

/// `GET /cache/keys`
pub(super) async fn keys(
    State(state): State<Arc<AdminState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    refuse_pages(&headers)?;
    let wish = wish(&query.unwrap_or_default())?;
    let cache = Arc::clone(&state.cache.cache);
    // A million objects take a moment: beside the control thread.
    let listing = tokio::task::spawn_blocking(move || list(&cache, &wish, clock::unix_ms()));
    let listing = listing.await.map_err(|error| Refusal {
        code: StatusCode::INTERNAL_SERVER_ERROR,
        kind: "internal",
        message: format!("the listing failed: {error}"),
    })?;
    Ok(Json(listing).into_response())
}
