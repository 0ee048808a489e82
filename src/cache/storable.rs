//! Whether an answer may be stored, and on which terms (RFC 9111 §3). Pure: two heads, two moments, the route's policy.
//!
//! Judges heads only: what the body turns out to be is judged where it arrives.

use super::answer::Terms;
use super::directives::{Directives, Reach};
use super::fields::StoredFields;
use super::lifetime::{self, Lifetime, Source};
use super::policy::{Authorization, CachePolicy, Origin, SetCookie};
use crate::bounds;
use crate::h1::{HeadLimits, Parsed, parse_response};
use crate::http::{FieldId, Method, RequestHead, ResponseHead, syntax};
use crate::stats::NotStored;

/// A request, its answer's head, and when they passed. Moments are Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    pub request: &'a RequestHead,
    pub response: &'a ResponseHead,
    /// When the request was sent.
    pub request_ms: u64,
    /// When the response head came.
    pub response_ms: u64,
    /// For the jitter of the lifetime.
    pub random: u64,
}

/// The terms on which the answer may be stored.
///
/// # Errors
/// The first reason not to store it, in the order: status, no-store, private, credentials, Vary, cookies, freshness.
pub fn terms(exchange: &Exchange<'_>, policy: &CachePolicy) -> Result<Terms, NotStored> {
    let (request, response) = (exchange.request, exchange.response);
    let said = Directives::of_response(response);
    let ignored = Directives::default();
    let directives = if overrides(policy, response.status) { &ignored } else { &said };
    check_status(response, directives)?;
    let no_store = directives.no_store && !directives.must_understand;
    if no_store || Directives::of_request(request).no_store {
        return Err(NotStored::NoStore);
    }
    if directives.private == Reach::Whole {
        return Err(NotStored::Private);
    }
    // Asked of what the origin really said: a lifetime from the operator is no permission to share.
    if policy.authorization == Authorization::Rfc9111 && has_credentials(request) && !allows_sharing(&said) {
        return Err(NotStored::Authorization);
    }
    if varies_on_everything(response) {
        return Err(NotStored::VaryStar);
    }
    if policy.set_cookie == SetCookie::NotStored && response.find(FieldId::SetCookie).is_some() {
        return Err(NotStored::SetCookie);
    }
    let is_read = matches!(request.method, Method::Get | Method::Head);
    let lifetime = lifetime::lifetime(response, directives, policy, is_read, exchange.response_ms);
    with_freshness(exchange, policy, directives, lifetime)
}

/// The terms of a stored answer that a 304 has just confirmed (RFC 9111 §4.3.4).
///
/// `exchange` is that of the 304; `status` and `fields` are the stored ones, brought up to date by it. Age, which is
/// never stored, is the 304's.
///
/// # Errors
/// Why the answer may not be stored any longer; it may still answer this request.
pub fn confirmed_terms(
    exchange: &Exchange<'_>,
    status: u16,
    fields: &StoredFields,
    policy: &CachePolicy,
) -> Result<Terms, NotStored> {
    let mut text = b"HTTP/1.1 ".to_vec();
    text.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    text.extend_from_slice(b" \r\n");
    text.extend_from_slice(fields.lines());
    if let Some(age) = exchange.response.find(FieldId::Age) {
        text.extend_from_slice(b"Age: ");
        text.extend_from_slice(age);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    let limits = HeadLimits { head_bytes: bounds::HEAD_BYTES_MAX, fields: bounds::FIELDS_MAX, ..HeadLimits::default() };
    let mut response = ResponseHead::default();
    match parse_response(&text, &limits, &mut response) {
        Ok(Parsed::Complete { .. }) => terms(&Exchange { response: &response, ..*exchange }, policy),
        Ok(Parsed::Partial) | Err(_) => Err(NotStored::FieldsTooLarge),
    }
}

/// Lower-case names of the fields that are not stored with the answer: those that `no-cache="…"` and `private="…"`
/// list (RFC 9111 §5.2.2.4, §5.2.2.7).
pub fn unstored_fields(response: &ResponseHead, policy: &CachePolicy) -> Vec<Box<str>> {
    if overrides(policy, response.status) {
        return Vec::new();
    }
    Directives::of_response(response).into_listed_fields()
}

/// Whether a 206 is the whole after all: `Content-Range: bytes 0-(n-1)/n`, and any Content-Length says n too.
pub fn is_whole_part(response: &ResponseHead) -> bool {
    let mut ranges = response.fields().filter(|f| f.id == FieldId::ContentRange).map(|f| f.value);
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return false };
    let number = |text: &[u8]| -> Option<u64> {
        let is_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(text).ok().filter(|_| is_digits)?.parse().ok()
    };
    let Some((unit, range)) = range.split_at_checked(6) else { return false };
    let Some(dash) = memchr::memchr(b'-', range) else { return false };
    let Some(slash) = memchr::memchr(b'/', range).filter(|slash| *slash > dash) else { return false };
    let part = |span: std::ops::Range<usize>| range.get(span).and_then(number);
    let (first, last, whole) = (part(0..dash), part(dash + 1..slash), part(slash + 1..range.len()));
    let length = response.find(FieldId::ContentLength).map(number);
    unit.eq_ignore_ascii_case(b"bytes ")
        && first == Some(0)
        && whole.is_some_and(|whole| whole > 0)
        && last == whole.and_then(|whole| whole.checked_sub(1))
        && length.is_none_or(|length| length == whole)
}

/// Whether the request carries credentials: Authorization (RFC 9111 §3.5), or a key as the LLM vendors have it.
pub fn has_credentials(request: &RequestHead) -> bool {
    let is_one = |id| matches!(id, FieldId::Authorization | FieldId::XApiKey | FieldId::ApiKey | FieldId::XGoogApiKey);
    request.fields.iter().any(|f| is_one(f.id))
}

/// Whether the operator's lifetime for the status replaces what the origin says about caching, all of it.
fn overrides(policy: &CachePolicy, status: u16) -> bool {
    policy.origin == Origin::Override && policy.ttl_ms(status).is_some()
}

/// RFC 9111 §3: the status is final and, where that is asked for, understood.
fn check_status(response: &ResponseHead, directives: &Directives) -> Result<(), NotStored> {
    let storable = match response.status {
        ..200 | 304 => false,
        206 => is_whole_part(response),
        status => !directives.must_understand || is_understood(status),
    };
    if storable { Ok(()) } else { Err(NotStored::Status) }
}

/// Whether the gateway knows what the status asks of a cache (RFC 9111 §5.2.2.3): those of RFC 9110 §15.
fn is_understood(status: u16) -> bool {
    matches!(status, 200..=206 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505)
}

/// RFC 9111 §3.5: what lets an answer to a request with credentials be stored.
fn allows_sharing(directives: &Directives) -> bool {
    directives.public || directives.s_maxage.is_some() || directives.must_revalidate
}

fn varies_on_everything(response: &ResponseHead) -> bool {
    let lines = response.fields().filter(|f| f.id == FieldId::Vary).map(|f| f.value);
    lines.flat_map(|line| line.split(|b| *b == b',')).any(|member| syntax::trim(member) == b"*")
}

/// The terms, where what is stored can ever be used: fresh for a while, usable while stale, or confirmed by a validator.
fn with_freshness(
    exchange: &Exchange<'_>,
    policy: &CachePolicy,
    directives: &Directives,
    lifetime: Option<Lifetime>,
) -> Result<Terms, NotStored> {
    let response = exchange.response;
    let guessable = directives.public || lifetime::is_heuristically_cacheable(response.status);
    let lifetime = match lifetime {
        // The operator's zero.
        Some(Lifetime { ms: 0, source: Source::Route }) => return Err(NotStored::NoFreshness),
        Some(lifetime) => lifetime.ms,
        None if !guessable => return Err(NotStored::Status),
        None if directives.no_cache == Reach::Whole => 0,
        None => return Err(NotStored::NoFreshness),
    };
    let no_cache = directives.no_cache == Reach::Whole;
    // s-maxage forbids stale answers (RFC 9111 §5.2.2.10), unless the same response permits them by name (RFC 5861).
    let permits_stale = directives.stale_while_revalidate.max(directives.stale_if_error) > Some(0);
    let implied = directives.s_maxage.is_some() && !permits_stale;
    let must_revalidate = directives.must_revalidate || directives.proxy_revalidate || implied;
    let never_stale = must_revalidate || no_cache;
    let stale_ms = |said: Option<u64>, default_ms: u64| match said {
        _ if never_stale => 0,
        Some(seconds) => seconds.saturating_mul(1_000),
        // The operator's defaults are for answers that say nothing about it.
        None if directives.s_maxage.is_some() => 0,
        None => default_ms,
    };
    let terms = Terms {
        response_ms: exchange.response_ms,
        initial_age_ms: lifetime::initial_age_ms(response, exchange.request_ms, exchange.response_ms),
        lifetime_ms: lifetime::jittered_ms(lifetime, policy.jitter_percent, exchange.random),
        no_cache,
        must_revalidate,
        stale_while_revalidate_ms: stale_ms(directives.stale_while_revalidate, policy.stale_while_revalidate_ms),
        stale_if_error_ms: stale_ms(directives.stale_if_error, policy.stale_if_error_ms),
    };
    let is_fresh = !no_cache && terms.fresh_for_ms(exchange.response_ms) > 0;
    let may_be_stale = permits_stale && !never_stale;
    let has_validator = response.fields.iter().any(|f| matches!(f.id, FieldId::Etag | FieldId::LastModified));
    if is_fresh || may_be_stale || has_validator { Ok(terms) } else { Err(NotStored::NoFreshness) }
}
