//! Purges, by request and by webhook: what is named, as identities and marks of the cache. Whatever is named, answers of every caller,
//! route and variant go. When in doubt it purges more, never less.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminState;
use super::cache::CacheAdmin;
use super::refusal::{Refusal, guard, parameters, whole};
use super::signature::Hooked;
use crate::base::clock;
use crate::cache::key::{self, KeyHash};
use crate::cache::policy::{KeyPolicy, QueryKey};
use crate::cache::store::Purge;
use crate::h1::target::is_authority;
use crate::http::Method;

/// What is to be purged, as written: exactly one of url, key, prefix, tag, tags, all.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PurgeBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Only with `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
    /// Stale at once instead of gone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub soft: bool,
}

/// What is to be purged, as the cache takes it.
#[derive(Debug, PartialEq, Eq)]
enum What {
    Urls(Vec<Vec<u8>>, Option<Method>),
    Key(KeyHash),
    Prefixes(Vec<Vec<u8>>),
    Tags(Vec<String>),
    All,
}

/// A URL in its parts.
struct Target<'a> {
    /// `None` = a prefix without scheme.
    tls: Option<bool>,
    authority: &'a [u8],
    path: &'a [u8],
    query: Option<&'a [u8]>,
}

/// Carries a purge out and says what was purged. In effect on every core when this returns; the memory comes back
/// beside. Needs a tokio runtime around it.
///
/// # Errors
/// What is wrong with the body.
pub(super) fn carry_out(admin: &Arc<CacheAdmin>, text: &[u8]) -> Result<Value, Refusal> {
    let body: PurgeBody = serde_json::from_slice(text).map_err(|e| Refusal::bad_request(e.to_string()))?;
    let what = what(&body, &admin.sight.load().keys).map_err(Refusal::bad_request)?;
    let purge = |purge: Purge<'_>| admin.cache.purge(&purge, body.soft);
    let sequence = match &what {
        What::Urls(urls, None) => urls.iter().map(|url| purge(Purge::Url(url))).max(),
        What::Urls(urls, Some(method)) => urls.iter().map(|url| purge(Purge::UrlMethod(url, *method))).max(),
        What::Key(hash) => Some(purge(Purge::Key(*hash))),
        What::Prefixes(prefixes) => prefixes.iter().map(|prefix| purge(Purge::Prefix(prefix))).max(),
        What::Tags(tags) => tags.iter().map(|tag| purge(Purge::Tag(tag.as_bytes()))).max(),
        What::All => Some(purge(Purge::All)),
    };
    admin.sweep_soon();
    let soft = body.soft;
    let named = PurgeBody { soft: false, ..body };
    Ok(json!({ "purged": named, "soft": soft, "sequence": sequence.unwrap_or_default() }))
}

/// What a body means; `keys` are the ways in which URLs become identities.
fn what(body: &PurgeBody, keys: &[KeyPolicy]) -> Result<What, String> {
    let named = [
        body.url.is_some(),
        body.key.is_some(),
        body.prefix.is_some(),
        body.tag.is_some(),
        body.tags.is_some(),
        body.all.is_some(),
    ];
    if named.iter().filter(|is_named| **is_named).count() != 1 {
        return Err("say exactly one of url, key, prefix, tag, tags, all".to_owned());
    }
    if body.method.is_some() && body.url.is_none() {
        return Err("method goes with url only".to_owned());
    }
    if let Some(url) = &body.url {
        let method = body.method.as_deref().map(method).transpose()?;
        return Ok(What::Urls(identities(url, keys)?, method));
    }
    if let Some(key) = &body.key {
        let hash = KeyHash::from_hex(key).ok_or("key is 32 hexadecimal digits, as GET /cache/keys shows them")?;
        return Ok(What::Key(hash));
    }
    if let Some(prefix) = &body.prefix {
        return Ok(What::Prefixes(prefixes(prefix, keys)?));
    }
    let tags = body.tags.clone().or_else(|| body.tag.clone().map(|tag| vec![tag]));
    match (tags, body.all) {
        (Some(tags), _) if tags.is_empty() || tags.iter().any(String::is_empty) => {
            Err("a tag has at least one character, and tags at least one tag".to_owned())
        }
        (Some(tags), _) => Ok(What::Tags(tags)),
        (None, Some(true)) => Ok(What::All),
        (None, _) => Err("all is true or absent".to_owned()),
    }
}

/// The method of stored answers: HEAD is answered from GET.
fn method(text: &str) -> Result<Method, String> {
    match Method::of(text.as_bytes()) {
        Method::Get | Method::Head => Ok(Method::Get),
        Method::Post => Ok(Method::Post),
        _ => Err(format!("answers to {text:?} are never stored; method is GET, HEAD or POST")),
    }
}

/// The identities of a URL, one for each way of making keys.
fn identities(url: &str, keys: &[KeyPolicy]) -> Result<Vec<Vec<u8>>, String> {
    let target = split(url)?;
    let Some(tls) = target.tls else { return Err(format!("url {url:?} begins with neither http:// nor https://")) };
    let path = if target.path.is_empty() { b"/" } else { target.path };
    Ok(distinct(keys, |policy, out| key::write_identity(out, policy, target.authority, tls, path, target.query)))
}

/// What the identities begin with that a prefix concerns. Where a key is made without host or path, or reorders the
/// query, the prefix ends before that.
fn prefixes(prefix: &str, keys: &[KeyPolicy]) -> Result<Vec<Vec<u8>>, String> {
    let target = split(prefix)?;
    if target.path.is_empty() {
        let text = format!("prefix {prefix:?} has no path: end the host with a slash, so that no longer name is meant");
        return Err(text);
    }
    let schemes: &[bool] = match target.tls {
        Some(true) => &[true],
        Some(false) => &[false],
        None => &[true, false],
    };
    let mut all: Vec<Vec<u8>> = Vec::new();
    for tls in schemes {
        for one in distinct(keys, |policy, out| {
            key::write_identity(out, policy, target.authority, *tls, target.path, None);
            if let (Some(query), true, QueryKey::Whole) = (target.query, policy.path, &policy.query) {
                out.push(b'?');
                out.extend_from_slice(query);
            }
        }) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    Ok(all)
}

/// One of a kind of what is written for each way of making keys; the plain way is always among them.
fn distinct(keys: &[KeyPolicy], write: impl Fn(&KeyPolicy, &mut Vec<u8>)) -> Vec<Vec<u8>> {
    let plain = KeyPolicy::default();
    let mut all: Vec<Vec<u8>> = Vec::new();
    for policy in keys.iter().chain([&plain]) {
        let mut one = Vec::new();
        write(policy, &mut one);
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

fn split(text: &str) -> Result<Target<'_>, String> {
    if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
        return Err(format!("{text:?} has {odd:?}, which no request carries; percent-encode it or leave it out"));
    }
    let after = |scheme: &str| {
        text.split_at_checked(scheme.len())
            .filter(|(start, _)| start.eq_ignore_ascii_case(scheme))
            .map(|(_, rest)| rest)
    };
    let (tls, rest) = match (after("http://"), after("https://")) {
        (Some(rest), _) => (Some(false), rest),
        (None, Some(rest)) => (Some(true), rest),
        (None, None) => (None, text),
    };
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if !is_authority(authority.as_bytes()) {
        return Err(format!(
            "{text:?} names no host; write it like example.com/path or https://example.com/path?query"
        ));
    }
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query.as_bytes())));
    Ok(Target { tls, authority: authority.as_bytes(), path: path.as_bytes(), query })
}

/// `POST /cache/purge`
pub(super) async fn purge(
    State(state): State<Arc<AdminState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    guard(&headers)?;
    parameters(&query.unwrap_or_default(), [])?;
    Ok(Json(carry_out(&state.cache, &whole(body)?)?).into_response())
}

/// `POST /hooks/purge`
pub(super) async fn hook(
    State(state): State<Arc<AdminState>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let Some(terms) = state.cache.sight.load().hook.clone() else {
        let message =
            "webhooks are off: set hook_secret in [cache], for example \"env:RINGWAY_HOOK_SECRET\", and reload";
        return Err(Refusal::not_found(message));
    };
    let body = whole(body)?;
    match state.cache.hooks.judge(&terms, &headers, &body, clock::unix_ms()) {
        Hooked::Accepted => Ok(Json(carry_out(&state.cache, &body)?).into_response()),
        refused => {
            let (code, message) = (StatusCode::UNAUTHORIZED, refused.advice().to_owned());
            Err(Refusal { code, kind: refused.name(), message })
        }
    }
}
