//! The cache's part of the plan: what `[cache]` and `[route.cache]` mean, and what only several of their keys together
//! get wrong. Rules of RFC 9111 are not here: a policy says what an operator wants, `cache` knows what may be done.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::cache_values::{lifetime_ms, status};
use super::defaults;
use super::problems::{At, Place, Problems, fault};
use super::raw::{RawConfig, RawRoute};
use super::raw_cache::{KeyPart, QueryOrder, RawCache, RawPolicy};
use super::resolve::{Context, items, or};
use super::routes::resolved;
use crate::base::units::format_size;
use crate::bounds;
use crate::cache::CachePolicy;
use crate::cache::policy::{Authorization, BodyKey, KeyPolicy, Origin, QueryKey};
use crate::plan::{CacheStart, PurgeHook};

/// `memory`, `snapshot`, `snapshot_interval`.
pub(super) fn start(raw: &RawCache, context: &Context<'_>) -> CacheStart {
    if let Some(interval) = raw.snapshot_interval.as_ref().filter(|_| raw.snapshot.is_none()) {
        context.problems.warn(&interval.place, "has no effect: there is no `snapshot`", "add snapshot = \"FILE\"");
    }
    CacheStart {
        memory_bytes: or(&raw.memory, bounds::CACHE_BYTES_DEFAULT),
        snapshot: raw.snapshot.as_ref().map(|path| context.path(path)),
        snapshot_interval_ms: or(&raw.snapshot_interval, bounds::SNAPSHOT_INTERVAL_MS_DEFAULT),
    }
}

/// `hook_secret` and `hook_window`.
pub(super) fn hook(raw: &RawCache, admin: Option<SocketAddr>, context: &Context<'_>) -> Option<PurgeHook> {
    let Some(written) = &raw.hook_secret else {
        if let Some(window) = &raw.hook_window {
            let what = "has no effect: there is no `hook_secret`";
            context.problems.warn(&window.place, what, "add hook_secret = \"env:NAME\"");
        }
        return None;
    };
    if admin.is_none() {
        let what = "has no effect: POST /hooks/purge is served by the admin listener, which is off";
        context.problems.warn(&written.place, what, "set `admin` in [server]");
    }
    let secret = context.problems.keep(&written.place, resolved(written, context))?;
    if secret.len() < defaults::HOOK_SECRET_BYTES_MIN && context.ticketer.is_some() {
        let what = format!("is shorter than {} bytes", defaults::HOOK_SECRET_BYTES_MIN);
        context.problems.error(&written.place, what, "make one with: openssl rand -hex 32");
    }
    let window_ms = or(&raw.hook_window, defaults::HOOK_WINDOW_MS);
    Some(PurgeHook { secret, window_ms })
}

/// `[cache]` without a route that uses it.
pub(super) fn warn_unused(raw: &RawConfig, problems: &Problems) {
    if let Some(place) = &raw.cache.place
        && raw.routes.iter().all(|route| route.cache.is_none())
    {
        problems.warn(place, "has no effect: no route has a cache", "add [route.cache] below a [[route]]");
    }
}

/// `[route.cache]` of the route that is called `name`.
pub(super) fn policy(
    raw: &RawPolicy,
    route: &RawRoute,
    name: &Arc<str>,
    memory_bytes: u64,
    context: &Context<'_>,
) -> CachePolicy {
    let problems = context.problems;
    let (bumps, counters) = context.registry.of(name);
    let plain = CachePolicy::plain(Arc::clone(name), bumps, counters);
    let authorization = or(&raw.authorization, plain.authorization);
    let post = or(&raw.post, plain.post);
    let ttl = lifetimes(raw, problems);
    warn_never_used(raw, route, post, problems);
    CachePolicy {
        version: raw.version.as_ref().map_or_else(|| Arc::clone(&plain.version), |version| version.as_str().into()),
        key: key(raw, post, authorization, problems),
        post,
        origin: or(&raw.origin, plain.origin),
        ttl,
        jitter_percent: narrow(&raw.jitter, plain.jitter_percent),
        object_bytes_max: object_bytes(raw, memory_bytes, problems),
        min_uses: narrow(&raw.min_uses, plain.min_uses),
        bypass_headers: texts(&raw.bypass_headers),
        bypass_query: texts(&raw.bypass_query),
        ignore_client_no_cache: raw.ignore_client_no_cache.as_ref().map(|reason| reason.value.clone()),
        authorization,
        set_cookie: or(&raw.set_cookie, plain.set_cookie),
        merge: or(&raw.merge, plain.merge),
        waiters_max: narrow(&raw.waiters, plain.waiters_max),
        wait_ms: or(&raw.wait, plain.wait_ms),
        unwanted: or(&raw.unwanted, plain.unwanted),
        hit_for_miss_ms: or(&raw.hit_for_miss, plain.hit_for_miss_ms),
        stale_while_revalidate_ms: or(&raw.stale_while_revalidate, plain.stale_while_revalidate_ms),
        stale_if_error_ms: or(&raw.stale_if_error, plain.stale_if_error_ms),
        refresh_ahead_percent: narrow(&raw.refresh_ahead, plain.refresh_ahead_percent),
        strip_tags: or(&raw.strip_tags, plain.strip_tags),
        ..plain
    }
}

/// A number whose bounds are those of its type, or the default.
fn narrow<T: TryFrom<u64>>(written: &Option<At<u64>>, default: T) -> T {
    written.as_ref().and_then(|at| T::try_from(at.value).ok()).unwrap_or(default)
}

fn texts(list: &Option<At<Vec<At<Box<str>>>>>) -> Box<[Box<str>]> {
    items(list).iter().map(|text| text.value.clone()).collect()
}

/// Refuses a list that was written and says nothing.
fn refuse_empty<T>(list: &Option<At<Vec<At<T>>>>, hint: &str, problems: &Problems) {
    if let Some(list) = list.as_ref().filter(|list| list.is_empty() && !problems.any_under(&list.place.path)) {
        problems.error(&list.place, "is empty", hint);
    }
}

/// `ttl` in the order written, `any` at the end, and whether `origin` can do without it.
fn lifetimes(raw: &RawPolicy, problems: &Problems) -> Box<[(Option<u16>, u64)]> {
    let mut ttl = Vec::with_capacity(raw.ttl.len());
    for (name, value) in &raw.ttl {
        let status = problems.keep(&name.place, status(name));
        let ms = problems.keep(&value.place, lifetime_ms(value));
        ttl.extend(status.zip(ms));
    }
    ttl.sort_by_key(|(status, _)| status.is_none());
    let refused = problems.any_under(&format!("{}.ttl", raw.place.path));
    if let Some(origin) = raw.origin.as_ref().filter(|at| at.value == Origin::Override)
        && ttl.is_empty()
        && !refused
    {
        let what = "overrides what the origin says, but nothing says how long answers live";
        problems.error(&origin.place, what, "add [route.cache.ttl] with 200 = \"10m\"");
    }
    ttl.into()
}

/// An object may take a quarter of the cache: a few larger ones would push everything else out.
fn object_bytes(raw: &RawPolicy, memory_bytes: u64, problems: &Problems) -> u64 {
    let most = memory_bytes / defaults::OBJECTS_PER_CACHE_MIN;
    let Some(written) = &raw.object_max else { return bounds::OBJECT_BYTES_DEFAULT.min(most) };
    if written.value > most && !problems.any_under("cache.memory") {
        let what = format!("is more than a quarter of the cache's memory ({})", format_size(memory_bytes));
        problems.error(
            &written.place,
            what,
            format!("write at most {}, or raise `memory` in [cache]", format_size(most)),
        );
    }
    written.value
}

/// The key's parts: as written, or scheme, host, path, query, caller, and where POST is cached the body as JSON.
fn key(raw: &RawPolicy, post: bool, authorization: Authorization, problems: &Problems) -> KeyPolicy {
    refuse_empty(&raw.key, "leave it out for scheme, host, path, query and caller", problems);
    check_parts(raw, post, authorization, problems);
    let written = raw.key.as_ref().map(|_| items(&raw.key));
    let has = |part: KeyPart, default: bool| written.map_or(default, |key| key.iter().any(|at| at.value == part));
    let headers = items(&raw.key).iter().filter_map(|part| match &part.value {
        KeyPart::Header(name) => Some(name.clone()),
        _ => None,
    });
    let body = match (has(KeyPart::Body, false), has(KeyPart::BodyJson, post)) {
        (true, _) => BodyKey::Raw,
        (_, true) => BodyKey::Json { except: texts(&raw.body_except) },
        (false, false) => BodyKey::None,
    };
    warn_about_body(raw, post, &body, problems);
    KeyPolicy {
        scheme: has(KeyPart::Scheme, true),
        host: has(KeyPart::Host, true),
        path: has(KeyPart::Path, true),
        query: query(raw, has(KeyPart::Query, true), problems),
        headers: headers.collect(),
        body,
        caller: has(KeyPart::Caller, authorization != Authorization::Shared),
        body_bytes_max: or(&raw.body_max, bounds::KEY_BODY_BYTES_DEFAULT),
    }
}

/// What a written `key` may not say, or must not leave out.
fn check_parts(raw: &RawPolicy, post: bool, authorization: Authorization, problems: &Problems) {
    let Some(key) = &raw.key else { return };
    let mut seen = BTreeSet::new();
    for part in key.iter().filter(|part| !seen.insert(&part.value)) {
        problems.error(&part.place, "is listed twice", "name each part once");
    }
    let find = |wanted: &KeyPart| key.iter().find(|part| part.value == *wanted);
    if let (Some(_), Some(json)) = (find(&KeyPart::Body), find(&KeyPart::BodyJson)) {
        problems.error(&json.place, "\"body\" is there too", "keep one of \"body\" and \"body-json\"");
    }
    match (authorization, find(&KeyPart::Caller)) {
        (Authorization::Shared, Some(caller)) => {
            let hint = "remove \"caller\" from key, or write authorization = \"own\"";
            problems.error(&caller.place, "authorization = \"shared\" gives every caller the same answer", hint);
        }
        // What is missing may be one of the parts that were refused.
        _ if problems.any_under(&key.place.path) => return,
        (Authorization::Own, None) => {
            let hint = "add \"caller\" to key, or write authorization = \"shared\"";
            problems.error(&key.place, "authorization = \"own\" tells callers apart, but this key does not", hint);
        }
        (Authorization::Rfc9111, None) => {
            let what = "the key has no \"caller\": an answer that the origin lets be stored goes to every caller, also \
                        where it was made for one cookie or API key";
            problems.warn(&key.place, what, "add \"caller\", or write authorization = \"shared\" if that is meant");
        }
        _ => {}
    }
    let no_body = find(&KeyPart::Body).is_none() && find(&KeyPart::BodyJson).is_none();
    if post && no_body && !problems.any_under(&key.place.path) {
        let hint = "add \"body-json\" or \"body\" to key";
        problems.error(&key.place, "a POST is told apart by its body", hint);
    }
}

/// `query`, `query_only` and `query_except`: at most one of them decides, and only where the query is a part at all.
fn query(raw: &RawPolicy, in_key: bool, problems: &Problems) -> QueryKey {
    let order = raw.query.as_ref().map(|at| &at.place);
    let only = raw.query_only.as_ref().map(|at| &at.place);
    let except = raw.query_except.as_ref().map(|at| &at.place);
    if !in_key {
        let key_refused = raw.key.as_ref().is_some_and(|key| problems.any_under(&key.place.path));
        for place in [order, only, except].into_iter().flatten().filter(|_| !key_refused) {
            problems.error(place, "the key has no query", "add \"query\" to key, or remove this");
        }
        return QueryKey::None;
    }
    refuse_empty(&raw.query_only, "leave \"query\" out of key to look at no parameter", problems);
    refuse_empty(&raw.query_except, "leave it out to look at all parameters", problems);
    if let (Some(_), Some(except)) = (only, except) {
        problems.error(except, "`query_only` is there too", "keep one of them");
    }
    let whole = or(&raw.query, QueryOrder::Whole) == QueryOrder::Whole;
    if let (Some(order), Some(_)) = (order.filter(|_| whole), only.or(except)) {
        let what = "the whole query is never looked at beside `query_only` or `query_except`";
        problems.error(order, what, "remove it, or write query = \"sorted\"");
    }
    match (only, except) {
        (Some(_), _) => QueryKey::Only(texts(&raw.query_only)),
        (None, Some(_)) => QueryKey::Except(texts(&raw.query_except)),
        (None, None) if whole => QueryKey::Whole,
        (None, None) => QueryKey::Sorted,
    }
}

/// Keys about the body that the key of this route has no use for.
fn warn_about_body(raw: &RawPolicy, post: bool, body: &BodyKey, problems: &Problems) {
    if problems.any_under(&format!("{}.key", raw.place.path)) {
        return;
    }
    if let Some(except) = raw.body_except.as_ref().filter(|_| !matches!(body, BodyKey::Json { .. })) {
        let hint = "add \"body-json\" to key, or remove this";
        problems.error(&except.place, "members are left out of a body that is read as JSON only", hint);
    }
    if let Some(most) = raw.body_max.as_ref().filter(|_| *body == BodyKey::None) {
        problems.warn(&most.place, "has no effect: the key has no body", "remove it");
    }
    let is_body = |part: &&At<KeyPart>| matches!(part.value, KeyPart::Body | KeyPart::BodyJson);
    if let Some(part) = items(&raw.key).iter().find(is_body).filter(|_| !post) {
        let what = "counts for GET with a body only: POST goes past the cache";
        problems.warn(&part.place, what, "add post = true if POST is meant");
    }
}

/// A cache that no method reaches, and one that shares what was made for one caller.
fn warn_never_used(raw: &RawPolicy, route: &RawRoute, post: bool, problems: &Problems) {
    let methods = items(&route.methods);
    let takes = |method: &str| methods.is_empty() || methods.iter().any(|m| m.value == method);
    let used = takes("GET") || (post && takes("POST"));
    if !used {
        let hint = match takes("POST") {
            true => "add post = true, or GET to `methods`",
            false => "add GET to `methods`, or remove [route.cache]",
        };
        problems.warn(&raw.place, "is never used: the route's `methods` have none that is cached", hint);
    }
    if let Some(at) = raw.authorization.as_ref().filter(|at| at.value == Authorization::Shared) {
        let what = "an answer to one caller is given to all callers, whatever credentials they have or lack";
        problems.warn(&at.place, what, "write \"own\" unless the answers are the same for everybody");
    }
}

/// Two routes of one name would share answers. Written names are compared elsewhere.
pub(super) fn refuse_same_name<'r>(cached: Vec<(&'r RawRoute, &'r Place, Arc<str>)>, problems: &Problems) {
    let mut seen: BTreeMap<Arc<str>, bool> = BTreeMap::new();
    for (route, place, name) in cached {
        let written = route.name.is_some();
        if seen.get(&name).is_some_and(|other| !(*other && written)) {
            let what = format!("another route with a cache has the name {name:?}, which is a part of keys");
            problems.fault(place, fault(what, "give each its own `name`"));
        }
        seen.insert(name, written);
    }
}
