//! What was written about the cache: `[cache]` and `[route.cache]`, each value checked by itself. The list of these keys,
//! as `raw.rs` is of the others; what they mean together is decided by `caching.rs`.

use super::cache_values;
use super::defaults;
use super::problems::{At, Place};
use super::raw::{secret, size};
use super::reader::Table;
use super::values;
use crate::base::secret::Secret;
use crate::bounds;
use crate::cache::policy::{Authorization, Origin, SetCookie, Unwanted};

/// `[cache]`
#[derive(Debug, Default)]
pub(super) struct RawCache {
    /// `None`: there is no such table.
    pub place: Option<Place>,
    pub memory: Option<At<u64>>,
    pub snapshot: Option<At<String>>,
    /// 0 = `off`.
    pub snapshot_interval: Option<At<u64>>,
    pub hook_secret: Option<At<Secret>>,
    pub hook_window: Option<At<u64>>,
}

/// `[route.cache]`
#[derive(Debug, Default)]
pub(super) struct RawPolicy {
    pub place: Place,
    pub key: Option<At<Vec<At<KeyPart>>>>,
    pub query: Option<At<QueryOrder>>,
    pub query_only: Option<At<Vec<At<Box<str>>>>>,
    pub query_except: Option<At<Vec<At<Box<str>>>>>,
    pub body_except: Option<At<Vec<At<Box<str>>>>>,
    pub body_max: Option<At<u64>>,
    pub post: Option<At<bool>>,
    pub origin: Option<At<Origin>>,
    /// Status or `any`, and a duration.
    pub ttl: Vec<(At<String>, At<String>)>,
    pub jitter: Option<At<u64>>,
    pub object_max: Option<At<u64>>,
    pub min_uses: Option<At<u64>>,
    pub bypass_headers: Option<At<Vec<At<Box<str>>>>>,
    pub bypass_query: Option<At<Vec<At<Box<str>>>>>,
    pub ignore_client_no_cache: Option<At<Box<str>>>,
    pub authorization: Option<At<Authorization>>,
    pub set_cookie: Option<At<SetCookie>>,
    pub merge: Option<At<bool>>,
    pub waiters: Option<At<u64>>,
    pub wait: Option<At<u64>>,
    pub unwanted: Option<At<Unwanted>>,
    pub hit_for_miss: Option<At<u64>>,
    pub stale_while_revalidate: Option<At<u64>>,
    pub stale_if_error: Option<At<u64>>,
    pub refresh_ahead: Option<At<u64>>,
    pub strip_tags: Option<At<bool>>,
    pub version: Option<At<String>>,
}

/// A part of the key by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyPart {
    Scheme,
    Host,
    Path,
    Query,
    Caller,
    /// In lower case.
    Header(Box<str>),
    Body,
    BodyJson,
    /// Part of every key, written or not.
    Method,
    /// Part of every key, written or not.
    Version,
}

/// How the query goes into the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryOrder {
    Whole,
    Sorted,
}

/// Reads `[cache]`.
pub(super) fn cache(t: &mut Table<'_>) -> RawCache {
    RawCache {
        place: Some(t.place()),
        memory: size(t, "memory", bounds::CACHE_BYTES_MIN, u64::MAX),
        snapshot: t.parsed("snapshot", values::file_name),
        snapshot_interval: t.parsed("snapshot_interval", |text| match text {
            "off" => Ok(0),
            text => cache_values::duration_between(text, defaults::SNAPSHOT_INTERVAL_MS_MIN, bounds::LIFETIME_MS_MAX),
        }),
        hook_secret: t.parsed("hook_secret", |text| Ok(secret(text))),
        hook_window: t.parsed("hook_window", |text| {
            cache_values::duration_between(text, defaults::HOOK_WINDOW_MS_MIN, defaults::HOOK_WINDOW_MS_MAX)
        }),
    }
}

/// Reads `[route.cache]`.
pub(super) fn policy(t: &mut Table<'_>) -> RawPolicy {
    let orders = [("whole", QueryOrder::Whole), ("sorted", QueryOrder::Sorted)];
    let origins = [("respect", Origin::Respect), ("override", Origin::Override)];
    let authorizations =
        [("rfc9111", Authorization::Rfc9111), ("own", Authorization::Own), ("shared", Authorization::Shared)];
    let cookies = [("not-stored", SetCookie::NotStored), ("strip", SetCookie::Strip)];
    let unwanted = [("stop", Unwanted::Stop), ("finish", Unwanted::Finish)];
    RawPolicy {
        place: t.place(),
        key: t.list("key", cache_values::key_part),
        query: t.parsed("query", |text| values::choice(text, &orders)),
        query_only: t.list("query_only", cache_values::query_name),
        query_except: t.list("query_except", cache_values::query_name),
        body_except: t.list("body_except", cache_values::member_name),
        body_max: size(t, "body_max", 1, bounds::KEY_BODY_BYTES_MAX),
        post: t.boolean("post"),
        origin: t.parsed("origin", |text| values::choice(text, &origins)),
        ttl: t.pairs("ttl", str::to_owned),
        jitter: t.count("jitter", 0, 99),
        object_max: size(t, "object_max", 1, u64::MAX),
        min_uses: t.count("min_uses", 1, u64::from(u8::MAX)),
        bypass_headers: t.list("bypass_headers", cache_values::header_name),
        bypass_query: t.list("bypass_query", cache_values::query_name),
        ignore_client_no_cache: t.parsed("ignore_client_no_cache", cache_values::reason),
        authorization: t.parsed("authorization", |text| values::choice(text, &authorizations)),
        set_cookie: t.parsed("set_cookie", |text| values::choice(text, &cookies)),
        merge: t.boolean("merge"),
        waiters: t.count("waiters", 1, bounds::CONNECTIONS_MAX as u64),
        wait: t.parsed("wait", values::duration_ms),
        unwanted: t.parsed("unwanted", |text| values::choice(text, &unwanted)),
        hit_for_miss: t.parsed("hit_for_miss", |text| cache_values::duration_between(text, 1, bounds::LIFETIME_MS_MAX)),
        stale_while_revalidate: t.parsed("stale_while_revalidate", cache_values::lifetime_ms),
        stale_if_error: t.parsed("stale_if_error", cache_values::lifetime_ms),
        refresh_ahead: t.count("refresh_ahead", 0, 90),
        strip_tags: t.boolean("strip_tags"),
        version: t.parsed("version", values::name),
    }
}
