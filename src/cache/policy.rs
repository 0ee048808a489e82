//! What a route says about caching, compiled: the operator's word on top of RFC 9111. No behaviour but small questions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::counters::RouteCounters;
use crate::bounds;
use crate::http::FieldId;

/// The cache's rules on one route.
#[derive(Clone, Debug)]
pub struct CachePolicy {
    /// Part of every key: two routes never share an answer.
    pub route: Arc<str>,
    /// Part of every key, from the configuration; may be empty.
    pub version: Arc<str>,
    /// Part of every key: what tells these rules and this upstream from others of the same route's name, see
    /// [`CachePolicy::stands_on`].
    pub ground: u64,
    /// Part of every key too: raised by the admin API, kept over reloads.
    pub bumps: Arc<AtomicU64>,
    pub counters: Arc<RouteCounters>,
    pub key: KeyPolicy,
    /// POST is looked up and stored too; its body is part of the key.
    pub post: bool,
    pub origin: Origin,
    /// Lifetime by status: the first that fits. `None` as status = any status.
    pub ttl: Box<[(Option<u16>, u64)]>,
    /// Each lifetime is shortened by a random part of so many per cent, 0–99.
    pub jitter_percent: u8,
    /// Body bytes of one object.
    pub object_bytes_max: u64,
    /// Requests for a key before its answer is stored, 1–255; 1 = the first.
    pub min_uses: u8,
    /// Lower-case field names: a request that has one of them goes past the cache.
    pub bypass_headers: Box<[Box<str>]>,
    /// Names of query parameters: a request that has one of them goes past the cache.
    pub bypass_query: Box<[Box<str>]>,
    /// Why the request's no-cache, max-age and Pragma are not obeyed on this route; `None` = they are.
    pub ignore_client_no_cache: Option<Box<str>>,
    pub authorization: Authorization,
    pub set_cookie: SetCookie,
    pub merge: bool,
    pub waiters_max: u32,
    /// How long a request waits for the first byte of an answer that another one fetches.
    pub wait_ms: u64,
    /// What becomes of a fetch that nobody waits for any more.
    pub unwanted: Unwanted,
    pub hit_for_miss_ms: u64,
    /// For answers that do not say it themselves (RFC 5861 §3).
    pub stale_while_revalidate_ms: u64,
    /// For answers that do not say it themselves (RFC 5861 §4).
    pub stale_if_error_ms: u64,
    /// An answer that is asked for in the last so many per cent of its lifetime is refreshed beside; 0 = off.
    pub refresh_ahead_percent: u8,
    /// Surrogate-Key and Cache-Tag do not reach the client.
    pub strip_tags: bool,
}

/// Which parts of a request make its key. Method, route and versions always do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPolicy {
    pub scheme: bool,
    pub host: bool,
    pub path: bool,
    pub query: QueryKey,
    /// Lower-case field names.
    pub headers: Box<[Box<str>]>,
    pub body: BodyKey,
    /// The caller's credentials are a part.
    pub caller: bool,
    /// Bytes of a body that may be part of a key.
    pub body_bytes_max: u64,
}

/// What of the query is part of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryKey {
    /// As it came.
    Whole,
    None,
    /// Parameters in the order of their names; equal names keep their order.
    Sorted,
    /// Only these, sorted.
    Only(Box<[Box<str>]>),
    /// All but these, sorted.
    Except(Box<[Box<str>]>),
}

/// What of the request body is part of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyKey {
    /// A request with a body goes past the cache.
    None,
    /// Its bytes.
    Raw,
    /// Its meaning as JSON (member order and white space do not matter), without these top-level members.
    Json { except: Box<[Box<str>]> },
}

/// Whose word counts on what may be stored and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The origin's; the route's lifetimes are for answers that do not say.
    #[default]
    Respect,
    /// The route's lifetimes: Cache-Control, Expires and Pragma of the response are not looked at.
    Override,
}

/// What a request with credentials may get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authorization {
    /// Stored only with the origin's permission (RFC 9111 §3.5), and for the same caller.
    #[default]
    Rfc9111,
    /// Stored for the same caller only.
    Own,
    /// Stored for everybody: credentials are no part of the key.
    Shared,
}

/// What becomes of an answer with Set-Cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetCookie {
    /// It is not stored.
    #[default]
    NotStored,
    /// It is stored without the field, and nobody but the first caller sees the field.
    Strip,
}

/// What becomes of a fetch that nobody waits for any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unwanted {
    /// It is ended: the upstream is told by a close.
    #[default]
    Stop,
    /// It goes on to its end and is stored.
    Finish,
}

impl CachePolicy {
    /// Plain RFC 9111 with merged misses: what `--cache` means.
    pub fn plain(route: Arc<str>, bumps: Arc<AtomicU64>, counters: Arc<RouteCounters>) -> Self {
        Self {
            route,
            version: "".into(),
            ground: 0,
            bumps,
            counters,
            key: KeyPolicy::default(),
            post: false,
            origin: Origin::Respect,
            ttl: Box::default(),
            jitter_percent: 0,
            object_bytes_max: bounds::OBJECT_BYTES_DEFAULT,
            min_uses: 1,
            bypass_headers: Box::default(),
            bypass_query: Box::default(),
            ignore_client_no_cache: None,
            authorization: Authorization::Rfc9111,
            set_cookie: SetCookie::NotStored,
            merge: true,
            waiters_max: bounds::WAITERS_DEFAULT,
            wait_ms: bounds::WAIT_MS_DEFAULT,
            unwanted: Unwanted::Stop,
            hit_for_miss_ms: bounds::HIT_FOR_MISS_MS_DEFAULT,
            stale_while_revalidate_ms: 0,
            stale_if_error_ms: 0,
            refresh_ahead_percent: 0,
            strip_tags: false,
        }
    }

    /// Ties the keys to what makes them and to where answers come from: after a change of either in the configuration,
    /// what was stored before is not found any more. The same in every process, for the snapshot.
    #[must_use]
    pub fn stands_on(mut self, source: &str) -> Self {
        let text = format!("{:?} {source}", self.key);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        self.ground = digest.as_ref().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self
    }

    /// Whether a request field is part of the key.
    pub fn tells_apart(&self, id: FieldId, name: &[u8]) -> bool {
        super::key::CALLER_FIELDS.contains(&id)
            || self.key.headers.iter().any(|n| n.as_bytes().eq_ignore_ascii_case(name))
    }

    /// How often the version was bumped.
    pub fn bumped(&self) -> u64 {
        self.bumps.load(Ordering::Acquire)
    }

    /// The route's lifetime for a status, milliseconds.
    pub fn ttl_ms(&self, status: u16) -> Option<u64> {
        self.ttl.iter().find(|(s, _)| s.is_none_or(|s| s == status)).map(|(_, ms)| *ms)
    }
}

impl Default for KeyPolicy {
    /// Scheme, host, path, the query as it came, the caller.
    fn default() -> Self {
        Self {
            scheme: true,
            host: true,
            path: true,
            query: QueryKey::Whole,
            headers: Box::default(),
            body: BodyKey::None,
            caller: true,
            body_bytes_max: bounds::KEY_BODY_BYTES_DEFAULT,
        }
    }
}
