//! How long an answer is fresh and how old it came (RFC 9111 §4.2). Pure arithmetic; moments are Unix milliseconds.
//!
//! What cannot be read never makes an answer younger or lets it live longer.

use super::directives::{Directives, delta_seconds};
use super::policy::{CachePolicy, Origin};
use crate::bounds;
use crate::http::{FieldId, ResponseHead, syntax};

/// Whose word a lifetime is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The route's row for the status.
    Route,
    /// The origin's: s-maxage, max-age or Expires.
    Origin,
    /// Nobody's: a tenth of the time since the last change (RFC 9111 §4.2.2).
    Heuristic,
}

/// A freshness lifetime (RFC 9111 §4.2.1), before jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// At most [`bounds::LIFETIME_MS_MAX`].
    pub ms: u64,
    pub source: Source,
}

/// How long the answer is fresh; `None` = nobody says and nothing can be guessed.
///
/// `is_read` = the request reads (GET, HEAD): an answer to anything else is never fresh by a guess (RFC 9110 §9.3.3).
pub fn lifetime(
    response: &ResponseHead,
    directives: &Directives,
    policy: &CachePolicy,
    is_read: bool,
    response_ms: u64,
) -> Option<Lifetime> {
    let route = || policy.ttl_ms(response.status).map(|ms| (ms, Source::Route));
    let origin = || explicit_ms(response, directives, response_ms).map(|ms| (ms, Source::Origin));
    let guess = || {
        let may = is_read && (directives.public || is_heuristically_cacheable(response.status));
        may.then(|| heuristic_ms(response, response_ms)).flatten().map(|ms| (ms, Source::Heuristic))
    };
    let known = match policy.origin {
        Origin::Override => route().or_else(origin),
        Origin::Respect => origin().or_else(route),
    };
    let (ms, source) = known.or_else(guess)?;
    Some(Lifetime { ms: ms.min(bounds::LIFETIME_MS_MAX), source })
}

/// The lifetime with a random part of up to `percent` per cent taken off, so that what came together does not go together.
pub fn jittered_ms(lifetime_ms: u64, percent: u8, random: u64) -> u64 {
    let cut = u128::from(lifetime_ms) * u128::from(percent.min(99)) * u128::from(random >> 32) / (100 << 32);
    lifetime_ms - u64::try_from(cut).unwrap_or(lifetime_ms)
}

/// Corrected initial age (RFC 9111 §4.2.3). `request_ms` is when the request was sent, `response_ms` when the head came.
///
/// Date counts whole seconds, so its distance does too: an answer made in this second is not half a second old.
pub fn initial_age_ms(response: &ResponseHead, request_ms: u64, response_ms: u64) -> u64 {
    let apparent_ms = response
        .find(FieldId::Date)
        .and_then(date_ms)
        .map_or(0, |date_ms| (response_ms / 1_000).saturating_sub(date_ms / 1_000).saturating_mul(1_000));
    let delay_ms = response_ms.saturating_sub(request_ms);
    let corrected_ms = age_field_ms(response).unwrap_or(0).saturating_add(delay_ms);
    apparent_ms.max(corrected_ms)
}

/// Whether answers of this status may be fresh by a guess (RFC 9110 §15.1).
pub fn is_heuristically_cacheable(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Unix milliseconds of an HTTP date in any of its three forms (RFC 9110 §5.6.7); `None` where it is none.
pub fn date_ms(value: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

/// s-maxage, max-age, Expires less Date: the first that is there.
fn explicit_ms(response: &ResponseHead, directives: &Directives, response_ms: u64) -> Option<u64> {
    if let Some(seconds) = directives.s_maxage.or(directives.max_age) {
        return Some(seconds.saturating_mul(1_000));
    }
    // A targeted field replaces Expires too (RFC 9213 §2.1).
    if directives.targeted {
        return None;
    }
    let mut lines = response.fields().filter(|f| f.id == FieldId::Expires).map(|f| f.value);
    let expires = lines.next()?;
    // Of two that differ neither can be trusted; what is no date has passed (RFC 9111 §4.2.1, §5.3).
    if lines.any(|other| other != expires) {
        return Some(0);
    }
    Some(date_ms(expires).map_or(0, |expires_ms| expires_ms.saturating_sub(sent_ms(response, response_ms))))
}

/// A tenth of the time since the last change (RFC 9111 §4.2.2); `None` where that is nothing.
fn heuristic_ms(response: &ResponseHead, response_ms: u64) -> Option<u64> {
    let changed_ms = response.find(FieldId::LastModified).and_then(date_ms)?;
    let unchanged_ms = sent_ms(response, response_ms).saturating_sub(changed_ms);
    Some((unchanged_ms / 10).min(bounds::HEURISTIC_MS_MAX)).filter(|ms| *ms > 0)
}

/// When the origin made the answer: its Date, else when it came.
fn sent_ms(response: &ResponseHead, response_ms: u64) -> u64 {
    response.find(FieldId::Date).and_then(date_ms).unwrap_or(response_ms)
}

/// The first value of Age; what is no number does not count (RFC 9111 §5.1).
fn age_field_ms(response: &ResponseHead) -> Option<u64> {
    let first = response.find(FieldId::Age)?.split(|b| *b == b',').next()?;
    delta_seconds(syntax::trim(first).iter().copied()).map(|seconds| seconds.saturating_mul(1_000))
}
