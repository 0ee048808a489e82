//! What may be done with a stored answer for this request, now (RFC 9111 §4, §5.2.1, RFC 5861). Runs on every hit.
//!
//! Decides only: serving, refreshing and asking the upstream are the caller's.

use super::answer::Terms;
use super::cache_status::Fwd;
use super::directives::{MaxStale, RequestControl};

/// What a stored answer is good for. Durations are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Serve it: fresh for so much longer.
    Fresh { ttl_ms: i64 },
    /// Serve it, and fetch it anew beside: fresh, but in the last part of its lifetime.
    Refresh { ttl_ms: i64 },
    /// Serve it, and fetch it anew beside: stale for so long (RFC 5861 §3).
    StaleWhileRevalidate { stale_ms: u64 },
    /// Serve it: stale for so long, and the request takes that (RFC 9111 §5.2.1.2).
    StaleAllowed { stale_ms: u64 },
    /// Ask the upstream first.
    Revalidate,
}

/// What the answer is good for. `soft` = purged softly: stale as of now.
#[inline]
pub fn judge(terms: &Terms, soft: bool, request: &RequestControl, refresh_ahead_percent: u8, now_ms: u64) -> Use {
    if request.no_cache || terms.no_cache || is_too_old(terms, request, now_ms) {
        return Use::Revalidate;
    }
    let ttl_ms = terms.fresh_for_ms(now_ms);
    if soft || ttl_ms <= 0 {
        return judge_stale(terms, soft, request, stale_ms(terms, now_ms));
    }
    if ttl_ms.unsigned_abs() < request.min_fresh_ms {
        return Use::Revalidate;
    }
    if ttl_ms.unsigned_abs() <= refresh_ahead_ms(terms, refresh_ahead_percent) {
        return Use::Refresh { ttl_ms };
    }
    Use::Fresh { ttl_ms }
}

/// What Cache-Status says where [`judge`] said [`Use::Revalidate`]: the answer was no longer to be used by itself, or it
/// was and the request did not take it (RFC 9211 §2.2).
pub fn forward_reason(terms: &Terms, soft: bool, now_ms: u64) -> Fwd {
    if soft || terms.no_cache || terms.fresh_for_ms(now_ms) <= 0 { Fwd::Stale } else { Fwd::Request }
}

/// Whether the answer may be served because the upstream failed (RFC 5861 §4), whatever [`judge`] said before.
///
/// A request that asked for something fresher gets it only where it says stale-if-error itself.
pub fn stale_on_error(terms: &Terms, soft: bool, request: &RequestControl, now_ms: u64) -> bool {
    let ttl_ms = terms.fresh_for_ms(now_ms);
    let is_stale = soft || ttl_ms <= 0;
    if terms.no_cache || (is_stale && terms.must_revalidate) {
        return false;
    }
    let within = |most_ms: u64| !is_stale || stale_ms(terms, now_ms) < most_ms;
    if request.stale_if_error_ms.is_some_and(within) {
        return true;
    }
    let ends_too_soon = request.min_fresh_ms > 0 && (is_stale || ttl_ms.unsigned_abs() < request.min_fresh_ms);
    let wants_fresher = request.no_cache || ends_too_soon || is_too_old(terms, request, now_ms);
    !wants_fresher && within(terms.stale_if_error_ms)
}

/// RFC 9111 §5.2.1.1. Ages have milliseconds here: `max-age=0` takes nothing stored, not even of this millisecond.
fn is_too_old(terms: &Terms, request: &RequestControl, now_ms: u64) -> bool {
    request.max_age_ms.is_some_and(|most_ms| terms.age_ms(now_ms) >= most_ms)
}

fn judge_stale(terms: &Terms, soft: bool, request: &RequestControl, stale_ms: u64) -> Use {
    if terms.must_revalidate || request.min_fresh_ms > 0 {
        return Use::Revalidate;
    }
    let taken = match request.max_stale {
        Some(MaxStale::Any) => true,
        Some(MaxStale::Ms(most_ms)) => stale_ms <= most_ms,
        // Who says max-age and not max-stale takes nothing stale.
        None => request.max_age_ms.is_none(),
    };
    if taken && stale_ms < terms.stale_while_revalidate_ms {
        return Use::StaleWhileRevalidate { stale_ms };
    }
    // How long a softly purged answer has been wrong is not known, so no max-stale covers it.
    if taken && request.max_stale.is_some() && !soft {
        return Use::StaleAllowed { stale_ms };
    }
    Use::Revalidate
}

/// Milliseconds since the lifetime ended; 0 while it lasts.
fn stale_ms(terms: &Terms, now_ms: u64) -> u64 {
    terms.fresh_for_ms(now_ms).min(0).unsigned_abs()
}

fn refresh_ahead_ms(terms: &Terms, percent: u8) -> u64 {
    // A lifetime is ten years at most: no overflow.
    terms.lifetime_ms.saturating_mul(u64::from(percent)) / 100
}
