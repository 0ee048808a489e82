//! RFC 9111 as tables: heads and a moment in, a verdict out. A row is a clause; sections head the tables.
//!
//! In heads `@n` stands for the HTTP date n seconds from the moment the response came.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;

use super::answer::Terms;
use super::cache_status::Fwd;
use super::counters::RouteCounters;
use super::directives::{Directives, MaxStale, Reach, RequestControl};
use super::fields::StoredFields;
use super::judge::{Use, forward_reason, judge, stale_on_error};
use super::lifetime::{date_ms, initial_age_ms, jittered_ms};
use super::policy::{Authorization, CachePolicy, Origin, SetCookie};
use super::storable::{Exchange, confirmed_terms, is_whole_part, terms, unstored_fields};
use crate::bounds;
use crate::h1::{HeadLimits, Parsed, RequestParser, parse_response};
use crate::http::{RequestHead, ResponseHead};
use crate::stats::NotStored;

/// When responses came: a full second, so that dates are exact.
const T: u64 = 1_790_000_000_000;

fn with_dates(lines: &str) -> String {
    let mut out = String::new();
    let mut parts = lines.split('@');
    out.push_str(parts.next().unwrap());
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(part.len());
        let seconds = (T / 1_000).checked_add_signed(part[..end].parse().unwrap()).unwrap();
        out.push_str(&httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)));
        out.push_str(&part[end..]);
    }
    out
}

/// A request: its request line and field lines, parted by `|`. A line without a target is one of fields only.
fn request(lines: &str) -> RequestHead {
    let lines = with_dates(lines).replace('|', "\r\n");
    let text = if lines.contains("HTTP/1.1") { lines } else { format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}") };
    let mut head = RequestHead::default();
    let text = format!("{}\r\n\r\n", text.trim_end());
    let parsed = RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head);
    assert!(matches!(parsed, Ok(Parsed::Complete { .. })), "{text}");
    head
}

/// A response: status and field lines, parted by `|`.
fn response(lines: &str) -> ResponseHead {
    let text = format!("HTTP/1.1 {}\r\n\r\n", with_dates(lines).replacen('|', " \r\n", 1).replace('|', "\r\n"));
    let mut head = ResponseHead::default();
    let parsed = parse_response(text.as_bytes(), &HeadLimits::default(), &mut head);
    assert!(matches!(parsed, Ok(Parsed::Complete { .. })), "{text}");
    head
}

fn plain() -> CachePolicy {
    CachePolicy::plain("r".into(), Arc::new(AtomicU64::new(0)), RouteCounters::new(1))
}

fn terms_of(asked: &str, answered: &str, policy: &CachePolicy) -> Result<Terms, NotStored> {
    let (request, response) = (request(asked), response(answered));
    terms(&Exchange { request: &request, response: &response, request_ms: T, response_ms: T, random: 0 }, policy)
}

/// Lifetime in seconds, or why the answer is not stored.
fn stored_s(asked: &str, answered: &str, policy: &CachePolicy) -> Result<u64, NotStored> {
    terms_of(asked, answered, policy).map(|terms| terms.lifetime_ms / 1_000)
}

fn names(directives: Directives) -> Vec<Box<str>> {
    directives.into_listed_fields()
}

fn check(rows: &[(&str, &str, Result<u64, NotStored>)], policy: &CachePolicy) {
    for (asked, answered, expected) in rows {
        assert_eq!(stored_s(asked, answered, policy), *expected, "{asked} -> {answered}");
    }
}

/// RFC 9111 §3: what may be stored, and §4.2.1–2: for how long it is fresh.
#[test]
fn storing_follows_section_3() {
    use NotStored::{NoFreshness, NoStore, Private, SetCookie, Status, VaryStar};
    check(
        &[
            // The status is final and understood.
            ("", "103|Cache-Control: max-age=60", Err(Status)),
            ("", "304|Cache-Control: max-age=60", Err(Status)),
            ("", "200|Cache-Control: max-age=60", Ok(60)),
            ("", "500|Cache-Control: max-age=60", Ok(60)),
            ("", "299|Cache-Control: max-age=60", Ok(60)),
            ("", "299|Cache-Control: max-age=60, must-understand", Err(Status)),
            ("", "200|Cache-Control: max-age=60, must-understand, no-store", Ok(60)),
            ("", "299|Cache-Control: max-age=60, must-understand, no-store", Err(Status)),
            ("", "206|Cache-Control: max-age=60|Content-Range: bytes 0-9/10|Content-Length: 10", Ok(60)),
            ("", "206|Cache-Control: max-age=60|Content-Range: bytes 0-8/10", Err(Status)),
            ("", "206|Cache-Control: max-age=60", Err(Status)),
            // no-store and private.
            ("", "200|Cache-Control: max-age=60, no-store", Err(NoStore)),
            ("", "200|Cache-Control: max-age=60|Cache-Control: NO-STORE", Err(NoStore)),
            ("Cache-Control: no-store", "200|Cache-Control: max-age=60", Err(NoStore)),
            ("", "200|Cache-Control: max-age=60, private", Err(Private)),
            ("", "200|Cache-Control: max-age=60, private=\"x-a\"", Ok(60)),
            ("", "200|Cache-Control: max-age=60, private=\"x-a\", private", Err(Private)),
            ("", "200|Cache-Control: max-age=60, private=\"\"", Err(Private)),
            // Vary and cookies.
            ("", "200|Cache-Control: max-age=60|Vary: Accept|Vary: a, *", Err(VaryStar)),
            ("", "200|Cache-Control: max-age=60|Vary: Accept", Ok(60)),
            ("", "200|Cache-Control: max-age=60|Set-Cookie: a=b", Err(SetCookie)),
            // Freshness, or a status that may be guessed about.
            ("", "200|Cache-Control: s-maxage=30, max-age=60", Ok(30)),
            ("", "200|Date: @0|Expires: @90", Ok(90)),
            ("", "200|Expires: @90", Ok(90)),
            ("", "200|Date: @-10|Expires: @90", Ok(100)),
            ("", "200|Date: @0|Expires: @90|Cache-Control: max-age=5", Ok(5)),
            ("", "200|Date: @0|Expires: 0", Err(NoFreshness)),
            ("", "200|Date: @0|Expires: 0|ETag: \"a\"", Ok(0)),
            ("", "200|Date: @0|Expires: @90|Expires: @90", Ok(90)),
            ("", "200|Date: @0|Expires: @90|Expires: @91", Err(NoFreshness)),
            ("", "200|Date: @0|Last-Modified: @-1000", Ok(100)),
            ("", "200|Last-Modified: @-1000", Ok(100)),
            ("", "200|Date: @0|Last-Modified: @-100000000", Ok(bounds::HEURISTIC_MS_MAX / 1_000)),
            ("", "200|Date: @0|Last-Modified: @5", Err(NoFreshness)),
            ("", "302|Date: @0|Last-Modified: @-1000", Err(Status)),
            ("", "302|Date: @0|Last-Modified: @-1000|Cache-Control: public", Ok(100)),
            ("", "404|Date: @0|Last-Modified: @-1000", Ok(100)),
            ("", "500|Date: @0|Last-Modified: @-1000", Err(Status)),
            ("POST / HTTP/1.1|Host: a", "200|Date: @0|Last-Modified: @-1000", Err(NoFreshness)),
            ("POST / HTTP/1.1|Host: a", "200|Cache-Control: max-age=60", Ok(60)),
            ("", "200", Err(NoFreshness)),
            ("", "200|ETag: \"a\"", Err(NoFreshness)),
            ("", "302", Err(Status)),
            // What is confirmed before each use needs a validator.
            ("", "200|Cache-Control: no-cache", Err(NoFreshness)),
            ("", "200|Cache-Control: no-cache|ETag: \"a\"", Ok(0)),
            ("", "200|Cache-Control: no-cache, max-age=60", Err(NoFreshness)),
            ("", "200|Cache-Control: no-cache, max-age=60|ETag: \"a\"", Ok(60)),
            ("", "500|Cache-Control: no-cache|ETag: \"a\"", Err(Status)),
            ("", "200|Cache-Control: no-cache=\"x-a\", max-age=60", Ok(60)),
            ("", "200|Cache-Control: max-age=0", Err(NoFreshness)),
            ("", "200|Cache-Control: max-age=0|Last-Modified: @-1", Ok(0)),
            ("", "200|Cache-Control: max-age=0, stale-while-revalidate=9", Ok(0)),
            ("", "200|Cache-Control: max-age=0, must-revalidate, stale-while-revalidate=9", Err(NoFreshness)),
            // Stale on arrival.
            ("", "200|Cache-Control: max-age=60|Age: 60", Err(NoFreshness)),
            ("", "200|Cache-Control: max-age=60|Age: 59", Ok(60)),
            ("", "200|Cache-Control: max-age=60|Date: @-60", Err(NoFreshness)),
        ],
        &plain(),
    );
}

/// RFC 9111 §3.5: credentials need the origin's permission, the vendors' keys as Authorization.
#[test]
fn answers_to_callers_with_credentials_need_permission() {
    let mut rows = Vec::new();
    for asked in ["Authorization: Bearer a", "x-api-key: a", "api-key: a", "x-goog-api-key: a"] {
        rows.extend([
            (asked, "200|Cache-Control: max-age=60", Err(NotStored::Authorization)),
            (asked, "200|Cache-Control: max-age=60, public", Ok(60)),
            (asked, "200|Cache-Control: s-maxage=60", Ok(60)),
            (asked, "200|Cache-Control: max-age=60, must-revalidate", Ok(60)),
            (asked, "200|Cache-Control: max-age=60, proxy-revalidate", Err(NotStored::Authorization)),
        ]);
    }
    check(&rows, &plain());
    for authorization in [Authorization::Own, Authorization::Shared] {
        let policy = CachePolicy { authorization, ..plain() };
        assert_eq!(stored_s("Authorization: a", "200|Cache-Control: max-age=60", &policy), Ok(60));
    }
}

/// The route's lifetimes: below the origin's word where it is respected, above it where it is overridden.
#[test]
fn lifetimes_of_the_route_refine_or_replace_those_of_the_origin() {
    use NotStored::{Authorization as Credentials, NoFreshness, NoStore, Private, Status, VaryStar};
    let ttl = || Box::new([(Some(200), 30_000), (Some(404), 0), (Some(500), 5_000)]);
    check(
        &[
            ("", "200", Ok(30)),
            ("", "200|Date: @0|Last-Modified: @-1000", Ok(30)),
            ("", "200|Cache-Control: max-age=60", Ok(60)),
            ("", "200|Cache-Control: no-store", Err(NoStore)),
            ("", "200|Cache-Control: private", Err(Private)),
            ("", "404", Err(NoFreshness)),
            ("", "404|ETag: \"a\"", Err(NoFreshness)),
            ("", "500", Ok(5)),
            ("", "503", Err(Status)),
            ("POST / HTTP/1.1|Host: a", "200", Ok(30)),
        ],
        &CachePolicy { ttl: ttl(), ..plain() },
    );
    check(
        &[
            ("", "200|Cache-Control: no-store, private, no-cache, max-age=9|Expires: 0|Pragma: no-cache", Ok(30)),
            ("", "200|Vary: *", Err(VaryStar)),
            ("", "200|Set-Cookie: a", Err(NotStored::SetCookie)),
            ("Cache-Control: no-store", "200", Err(NoStore)),
            ("Authorization: a", "200", Err(Credentials)),
            ("Authorization: a", "200|Cache-Control: public", Ok(30)),
            ("", "404|Cache-Control: max-age=60", Err(NoFreshness)),
            // No row, so the origin's word counts.
            ("", "410|Cache-Control: max-age=60", Ok(60)),
            ("", "410|Cache-Control: no-store", Err(NoStore)),
        ],
        &CachePolicy { ttl: ttl(), origin: Origin::Override, ..plain() },
    );
    let any = CachePolicy { ttl: Box::new([(None, 7_000)]), set_cookie: SetCookie::Strip, ..plain() };
    assert_eq!(stored_s("", "503|Set-Cookie: a", &any), Ok(7));
    assert_eq!(stored_s("", "304", &any), Err(Status));
}

/// The terms carry what is agreed beyond the lifetime.
#[test]
fn terms_say_when_stale_is_forbidden_and_for_how_long_it_is_not() {
    let policy = CachePolicy { stale_while_revalidate_ms: 1_000, stale_if_error_ms: 2_000, ..plain() };
    let of = |directives: &str| {
        let terms = terms_of("", &format!("200|ETag: \"a\"|Cache-Control: {directives}"), &policy).unwrap();
        (terms.no_cache, terms.must_revalidate, terms.stale_while_revalidate_ms, terms.stale_if_error_ms)
    };
    assert_eq!(of("max-age=60"), (false, false, 1_000, 2_000));
    assert_eq!(of("max-age=60, stale-while-revalidate=5, stale-if-error=0"), (false, false, 5_000, 0));
    assert_eq!(of("max-age=60, must-revalidate, stale-while-revalidate=5"), (false, true, 0, 0));
    assert_eq!(of("max-age=60, proxy-revalidate"), (false, true, 0, 0));
    assert_eq!(of("s-maxage=60"), (false, true, 0, 0));
    // What the origin permits by name, s-maxage does not forbid; the operator's defaults it does.
    assert_eq!(of("s-maxage=60, stale-if-error=5"), (false, false, 0, 5_000));
    assert_eq!(of("s-maxage=60, must-revalidate, stale-if-error=5"), (false, true, 0, 0));
    assert_eq!(of("max-age=60, no-cache"), (true, false, 0, 0));
    assert_eq!(of("max-age=60, no-cache=\"x-a\""), (false, false, 1_000, 2_000));
}

/// RFC 9111 §4.3.4: a confirmed answer lives by its new fields, and by the Age of the 304.
#[test]
fn a_confirmed_answer_gets_new_terms() {
    let stored = |lines: &str| StoredFields::of_lines(with_dates(lines).replace('|', "\r\n").into_bytes());
    let (asked, confirmation) = (request(""), response("304|Age: 7|Cache-Control: no-store"));
    let exchange =
        Exchange { request: &asked, response: &confirmation, request_ms: T, response_ms: T + 1_000, random: 0 };
    let of = |lines: &str| confirmed_terms(&exchange, 200, &stored(lines), &plain());
    let terms = of("Date: @0|ETag: \"a\"|Cache-Control: max-age=60|").unwrap();
    assert_eq!((terms.lifetime_ms, terms.initial_age_ms, terms.response_ms), (60_000, 8_000, T + 1_000));
    assert_eq!(of("Cache-Control: private|"), Err(NotStored::Private));
    assert_eq!(of(""), Err(NotStored::NoFreshness));
    let whole = stored("Cache-Control: max-age=60|ETag: \"a\"|Content-Range: bytes 0-9/10|");
    assert_eq!(confirmed_terms(&exchange, 206, &whole, &plain()).map(|terms| terms.lifetime_ms), Ok(60_000));
    let large = format!("X: {}|", "x".repeat(bounds::HEAD_BYTES_MAX));
    assert_eq!(of(&large), Err(NotStored::FieldsTooLarge));
}

/// Fields that the origin lists are not stored, unless the operator overrides it.
#[test]
fn listed_fields_are_not_stored() {
    let listed = response("200|Cache-Control: private=\"X-A\", no-cache=x-b");
    assert_eq!(unstored_fields(&listed, &plain()).join(" "), "x-b x-a");
    let overriding = CachePolicy { origin: Origin::Override, ttl: Box::new([(None, 1)]), ..plain() };
    assert_eq!(unstored_fields(&listed, &overriding).len(), 0);
}

/// RFC 9111 §5.2 and RFC 9110 §5.6.1: lists over all lines, both forms of arguments, the stricter of two.
#[test]
fn cache_control_is_read_as_one_list() {
    let max_age = |value: &str| Directives::parse([value.as_bytes()].into_iter()).max_age;
    for (value, expected) in [
        ("max-age=60", Some(60)),
        (",, MAX-Age=60 ,", Some(60)),
        ("max-age=\"60\"", Some(60)),
        ("max-age=\"6\\0\"", Some(60)),
        ("max-age=060", Some(60)),
        ("max-age=60, max-age=30", Some(30)),
        ("max-age=30, max-age=60", Some(30)),
        ("max-age=60, max-age=x", Some(0)),
        ("max-age=2147483649", Some(1 << 31)),
        ("max-age=99999999999999999999999999", Some(1 << 31)),
        // What cannot be read is stale.
        ("max-age=-1", Some(0)),
        ("max-age=1.5", Some(0)),
        ("max-age", Some(0)),
        ("max-age=", Some(0)),
        ("max-age='60'", Some(0)),
        ("max-age= 60", Some(0)),
        ("max-age =60", Some(0)),
        ("max-age=\"60", Some(0)),
        ("max-age=\"60\"0", Some(0)),
        ("max-age=60;x", Some(0)),
        // What is not the directive.
        ("x-max-age=60", None),
        ("x=\"a, max-age=60\"", None),
        ("x=\"a\\\", max-age=60\"", None),
        ("x=\"a, max-age=60", Some(60)),
        ("", None),
    ] {
        assert_eq!(max_age(value), expected, "{value}");
    }
    let all = Directives::parse(
        [&b"no-transform, must-understand"[..], b"immutable;x, only-if-cached", b"min-fresh=2, min-fresh=3"]
            .into_iter(),
    );
    assert!(all.no_transform && all.must_understand && all.only_if_cached && !all.immutable);
    assert_eq!((all.min_fresh, all.max_stale), (Some(3), None));
    let unclosed = Directives::parse([&b"private=\"a, no-store"[..]].into_iter());
    assert!(unclosed.no_store && unclosed.private == Reach::Whole);
}

/// RFC 9111 §5.2.2.4 and §5.2.2.7: field names of no-cache and private, in either form, in any case.
#[test]
fn qualified_forms_list_their_fields() {
    let parse = |value: &str| Directives::parse([value.as_bytes()].into_iter());
    let some = parse("no-cache=\"Set-Cookie , X\\-A\", private=x-b, no-cache=x-c");
    assert_eq!((some.no_cache, some.private), (Reach::Fields, Reach::Fields));
    assert!(some.no_cache_lists(b"SET-cookie") && some.no_cache_lists(b"x-a") && some.no_cache_lists(b"x-c"));
    assert!(some.private_lists(b"X-B") && !some.private_lists(b"x-a") && !some.no_cache_lists(b"x-b"));
    assert_eq!(names(some).join(" "), "set-cookie x-a x-c x-b");
    for whole in ["no-cache=\"a\", no-cache", "no-cache, no-cache=a", "no-cache=\"a b\"", "no-cache=\",\"", "no-cache="]
    {
        assert_eq!(parse(whole).no_cache, Reach::Whole, "{whole}");
        assert_eq!(names(parse(whole)).len(), 0, "{whole}");
    }
}

/// RFC 9213 §2.1: a valid targeted field replaces Cache-Control and Expires, a broken or empty one counts for nothing.
#[test]
fn cdn_cache_control_goes_first_where_it_is_valid() {
    use NotStored::{NoFreshness, NoStore};
    check(
        &[
            ("", "200|CDN-Cache-Control: max-age=600|Cache-Control: no-store", Ok(600)),
            ("", "200|CDN-Cache-Control: no-store|Cache-Control: max-age=60", Err(NoStore)),
            ("", "200|CDN-Cache-Control: no-store=?0, max-age=5", Ok(5)),
            ("", "200|CDN-Cache-Control: max-age=30, max-age=60", Ok(60)),
            ("", "200|CDN-Cache-Control: max-age=60;x=y|Cache-Control: max-age=1", Ok(60)),
            ("", "200|CDN-Cache-Control: max-age=1|CDN-Cache-Control: max-age=60", Ok(60)),
            ("", "200|CDN-Cache-Control: public|Date: @0|Expires: @90", Err(NoFreshness)),
            // Other types than the directive's are not taken for a number.
            ("", "200|CDN-Cache-Control: max-age=\"60\"", Err(NoFreshness)),
            ("", "200|CDN-Cache-Control: max-age=60.0", Err(NoFreshness)),
            ("", "200|CDN-Cache-Control: max-age=-60", Err(NoFreshness)),
            // Broken or empty.
            ("", "200|CDN-Cache-Control: Max-Age=600|Cache-Control: max-age=60", Ok(60)),
            ("", "200|CDN-Cache-Control: max-age=600,|Cache-Control: max-age=60", Ok(60)),
            ("", "200|CDN-Cache-Control: no-store|CDN-Cache-Control: &|Cache-Control: max-age=60", Ok(60)),
            ("", "200|CDN-Cache-Control:|Cache-Control: max-age=60", Ok(60)),
            ("", "200|CDN-Cache-Control:|Date: @0|Expires: @90", Ok(90)),
        ],
        &plain(),
    );
    let listed = Directives::of_response(&response("200|CDN-Cache-Control: no-cache=(\"a\" b), private=\"c,d\""));
    assert_eq!(names(listed).join(" "), "a b c d");
    let last =
        Directives::of_response(&response("200|CDN-Cache-Control: no-cache=\"a\", no-cache, private, private=?0"));
    assert_eq!((last.no_cache, last.private, names(last.clone()).len()), (Reach::Whole, Reach::Absent, 0));
}

/// RFC 9111 §4.2.3: the greater of what Date and what Age say, and the time on the way.
#[test]
fn initial_age_is_the_greater_of_apparent_and_corrected() {
    for (answered, expected_ms) in [
        ("200", 0),
        ("200|Date: @0", 0),
        ("200|Date: @-10", 10_000),
        ("200|Date: @10", 0),
        ("200|Date: yesterday", 0),
        ("200|Age: 7", 7_000),
        ("200|Age: 7|Date: @-10", 10_000),
        ("200|Age: 70|Date: @-10", 70_000),
        ("200|Age: 7, 9", 7_000),
        ("200|Age: 7|Age: 9", 7_000),
        ("200|Age: -7", 0),
        ("200|Age: 7.5", 0),
        ("200|Age: \"7\"", 0),
        ("200|Age: 99999999999999999999", (1 << 31) * 1_000),
    ] {
        assert_eq!(initial_age_ms(&response(answered), T, T), expected_ms, "{answered}");
    }
    assert_eq!(initial_age_ms(&response("200|Age: 7"), T - 500, T), 7_500);
    assert_eq!(initial_age_ms(&response("200"), T - 500, T), 500);
    assert_eq!(initial_age_ms(&response("200|Date: @0"), T + 900, T + 900), 0, "dates have no fractions");
    assert_eq!(initial_age_ms(&response("200"), T + 1, T), 0, "a clock that was set back");
}

/// RFC 9110 §5.6.7: three forms of dates, and what is none.
#[test]
fn dates_have_three_forms() {
    for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
        assert_eq!(date_ms(date.as_bytes()), Some(784_111_777_000), "{date}");
    }
    for none in ["", "0", "-1", "784111777", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 36 Nov 1994 08:49:37 GMT", "\u{e9}"]
    {
        assert_eq!(date_ms(none.as_bytes()), None, "{none}");
    }
}

/// RFC 9110 §14.4: only the whole counts as the whole.
#[test]
fn a_part_that_is_the_whole_is_known() {
    for (line, expected) in [
        ("Content-Range: bytes 0-9/10", true),
        ("Content-Range: Bytes 0-9/10|Content-Length: 10", true),
        ("Content-Range: bytes 0-9/10|Content-Length: 9", false),
        ("Content-Range: bytes 0-9/*", false),
        ("Content-Range: bytes 1-9/10", false),
        ("Content-Range: bytes 0-8/10", false),
        ("Content-Range: bytes */10", false),
        ("Content-Range: bytes 0-0/0", false),
        ("Content-Range: bytes +0-9/10", false),
        ("Content-Range: items 0-9/10", false),
        ("Content-Range: bytes 0-9/10|Content-Range: bytes 0-9/10", false),
        ("Content-Range: bytes 0-18446744073709551615/18446744073709551616", false),
        ("Content-Range: bytes /-", false),
        ("Content-Range: by", false),
        ("Content-Type: multipart/byteranges", false),
    ] {
        assert_eq!(is_whole_part(&response(&format!("206|{line}"))), expected, "{line}");
    }
}

/// RFC 9111 §5.2.1 and §5.4: what a request asks, and what is left of it where the route does not obey.
#[test]
fn requests_say_what_they_take() {
    let of = |lines: &str| RequestControl::of(&request(lines), false);
    let nothing = RequestControl::default();
    assert_eq!(of("Accept: a"), nothing);
    assert_eq!(of("Pragma: no-cache"), RequestControl { no_cache: true, ..nothing });
    assert_eq!(of("Pragma: x, No-Cache"), RequestControl { no_cache: true, ..nothing });
    assert_eq!(of("Pragma: no-store, max-age=0"), nothing);
    assert!(!of("Pragma: no-cache|Cache-Control: max-age=5").no_cache);
    assert_eq!(of("Cache-Control: max-stale").max_stale, Some(MaxStale::Any));
    assert_eq!(of("Cache-Control: max-stale=5, max-stale").max_stale, Some(MaxStale::Ms(5_000)));
    assert_eq!(of("Cache-Control: max-stale=x").max_stale, Some(MaxStale::Ms(0)));
    let all =
        "Cache-Control: no-store, no-cache, max-age=1, min-fresh=2, max-stale=3, only-if-cached, stale-if-error=4";
    let said = RequestControl {
        no_store: true,
        no_cache: true,
        max_age_ms: Some(1_000),
        min_fresh_ms: 2_000,
        max_stale: Some(MaxStale::Ms(3_000)),
        only_if_cached: true,
        stale_if_error_ms: Some(4_000),
    };
    assert_eq!(of(all), said);
    let obeyed = RequestControl { no_cache: false, max_age_ms: None, min_fresh_ms: 0, ..said };
    assert_eq!(RequestControl::of(&request(all), true), obeyed);
    assert_eq!(RequestControl::of(&request("Pragma: no-cache"), true), nothing);
}

/// RFC 9111 §4.2.4, §5.2.1 and RFC 5861 §3: what a stored answer is good for, by its age in seconds.
#[test]
fn use_of_a_stored_answer_depends_on_age_terms_and_request() {
    let fresh = |seconds: i64| Use::Fresh { ttl_ms: seconds * 1_000 };
    let beside = |seconds: u64| Use::StaleWhileRevalidate { stale_ms: seconds * 1_000 };
    let allowed = |seconds: u64| Use::StaleAllowed { stale_ms: seconds * 1_000 };
    let rows = [
        // Response directives, request directives, seconds since, verdict.
        ("max-age=60", "", 0, fresh(60)),
        ("max-age=60", "", 59, fresh(1)),
        ("max-age=60", "", 60, Use::Revalidate),
        ("max-age=60", "", 61, Use::Revalidate),
        ("max-age=60, no-cache", "", 0, Use::Revalidate),
        ("max-age=60, no-cache", "max-stale", 61, Use::Revalidate),
        ("max-age=60, no-cache=\"a\"", "", 1, fresh(59)),
        // What the request takes.
        ("max-age=60", "no-cache", 0, Use::Revalidate),
        ("max-age=60", "max-age=0", 0, Use::Revalidate),
        ("max-age=60", "max-age=30", 29, fresh(31)),
        ("max-age=60", "max-age=30", 31, Use::Revalidate),
        ("max-age=60", "min-fresh=30", 30, fresh(30)),
        ("max-age=60", "min-fresh=30", 31, Use::Revalidate),
        ("max-age=60", "max-stale", 600, allowed(540)),
        ("max-age=60", "max-stale=10", 70, allowed(10)),
        ("max-age=60", "max-stale=10", 71, Use::Revalidate),
        ("max-age=60", "max-stale=10, max-age=65", 64, allowed(4)),
        ("max-age=60", "max-stale=10, max-age=65", 66, Use::Revalidate),
        ("max-age=60", "max-stale=10, min-fresh=1", 61, Use::Revalidate),
        ("max-age=60, must-revalidate", "max-stale", 61, Use::Revalidate),
        ("max-age=60, proxy-revalidate", "max-stale", 61, Use::Revalidate),
        ("s-maxage=60", "max-stale", 61, Use::Revalidate),
        // Stale while it is revalidated.
        ("max-age=60, stale-while-revalidate=30", "", 60, beside(0)),
        ("max-age=60, stale-while-revalidate=30", "", 89, beside(29)),
        ("max-age=60, stale-while-revalidate=30", "", 90, Use::Revalidate),
        ("max-age=60, stale-while-revalidate=30", "max-age=100", 61, Use::Revalidate),
        ("max-age=60, stale-while-revalidate=30", "max-stale=5", 61, beside(1)),
        ("max-age=60, stale-while-revalidate=30", "max-stale=5", 66, Use::Revalidate),
        ("max-age=60, stale-while-revalidate=30", "max-stale", 99, allowed(39)),
        ("max-age=60, stale-while-revalidate=30", "no-cache", 61, Use::Revalidate),
        ("max-age=60, must-revalidate, stale-while-revalidate=30", "", 61, Use::Revalidate),
    ];
    for (said, asked, seconds, expected) in rows {
        let terms = terms_of("", &format!("200|ETag: \"a\"|Cache-Control: {said}"), &plain()).unwrap();
        let control = RequestControl::of(&request(&format!("Cache-Control: {asked}")), false);
        assert_eq!(judge(&terms, false, &control, 0, T + seconds * 1_000), expected, "{said} / {asked} / {seconds}");
    }
}

/// A soft purge makes stale at once; refreshing ahead begins in the last part of the lifetime.
#[test]
fn soft_purges_and_refreshes_ahead() {
    let terms = Terms { response_ms: T, lifetime_ms: 60_000, ..Terms::default() };
    let bridged = Terms { stale_while_revalidate_ms: 1, ..terms };
    let (plain, any) =
        (RequestControl::default(), RequestControl { max_stale: Some(MaxStale::Any), ..RequestControl::default() });
    assert_eq!(judge(&terms, true, &plain, 0, T), Use::Revalidate);
    assert_eq!(judge(&terms, true, &any, 0, T), Use::Revalidate);
    assert_eq!(judge(&bridged, true, &plain, 0, T), Use::StaleWhileRevalidate { stale_ms: 0 });
    assert_eq!(judge(&Terms { must_revalidate: true, ..bridged }, true, &plain, 0, T), Use::Revalidate);
    assert_eq!(judge(&terms, false, &plain, 10, T + 53_999), Use::Fresh { ttl_ms: 6_001 });
    assert_eq!(judge(&terms, false, &plain, 10, T + 54_000), Use::Refresh { ttl_ms: 6_000 });
    assert_eq!(judge(&terms, false, &plain, 0, T + 59_999), Use::Fresh { ttl_ms: 1 });
}

/// RFC 5861 §4: whose stale-if-error counts, and what forbids it.
#[test]
fn errors_are_bridged_where_terms_or_request_allow_it() {
    let rows = [
        ("max-age=60, stale-if-error=30", "", 61, true),
        ("max-age=60, stale-if-error=30", "", 90, false),
        ("max-age=60", "", 61, false),
        ("max-age=60", "stale-if-error=30", 61, true),
        ("max-age=60", "stale-if-error=30", 90, false),
        ("max-age=60, must-revalidate", "stale-if-error=30", 61, false),
        ("s-maxage=60", "stale-if-error=30", 61, false),
        ("max-age=60, no-cache", "stale-if-error=30", 1, false),
        ("max-age=60, stale-if-error=30", "no-cache", 1, false),
        ("max-age=60, stale-if-error=30", "max-age=0", 1, false),
        ("max-age=60, stale-if-error=30", "min-fresh=9", 61, false),
        ("max-age=60, stale-if-error=30", "max-age=0, stale-if-error=9", 61, true),
        // Fresh: the upstream was asked for another reason.
        ("max-age=60, must-revalidate", "max-age=9", 5, true),
    ];
    for (said, asked, seconds, expected) in rows {
        let terms = terms_of("", &format!("200|ETag: \"a\"|Cache-Control: {said}"), &plain()).unwrap();
        let control = RequestControl::of(&request(&format!("Cache-Control: {asked}")), false);
        assert_eq!(stale_on_error(&terms, false, &control, T + seconds * 1_000), expected, "{said} / {asked}");
    }
    let (soft, nothing) =
        (Terms { response_ms: T, lifetime_ms: 60_000, ..Terms::default() }, RequestControl::default());
    assert!(!stale_on_error(&soft, true, &nothing, T) && stale_on_error(&soft, false, &nothing, T));
    assert!(stale_on_error(&Terms { stale_if_error_ms: 1, ..soft }, true, &nothing, T));
}

/// RFC 9211 §2.2: a request that refuses what is fresh is told apart from an answer that is stale.
#[test]
fn the_reason_for_asking_the_upstream_is_named() {
    let terms = Terms { response_ms: T, lifetime_ms: 60_000, ..Terms::default() };
    assert_eq!(forward_reason(&terms, false, T + 59_999), Fwd::Request);
    assert_eq!(forward_reason(&terms, false, T + 60_000), Fwd::Stale);
    assert_eq!(forward_reason(&terms, true, T), Fwd::Stale);
    assert_eq!(forward_reason(&Terms { no_cache: true, ..terms }, false, T), Fwd::Stale);
}

/// How stale a served answer is; none where it is not served.
fn served_ms(verdict: Use) -> Option<u64> {
    match verdict {
        Use::Fresh { .. } | Use::Refresh { .. } => Some(0),
        Use::StaleWhileRevalidate { stale_ms } | Use::StaleAllowed { stale_ms } => Some(stale_ms),
        Use::Revalidate => None,
    }
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let ms = || 0..100_000_u64;
    (ms(), ms(), any::<[bool; 2]>(), ms(), ms()).prop_map(|(age, lifetime, [no_cache, must], swr, sie)| Terms {
        response_ms: T,
        initial_age_ms: age,
        lifetime_ms: lifetime,
        no_cache: no_cache && must,
        must_revalidate: must && !no_cache,
        stale_while_revalidate_ms: swr,
        stale_if_error_ms: sie,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever stands in the fields, they are read, and read the same in any case.
    #[test]
    fn any_bytes_are_read(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..4)) {
        let directives = Directives::parse(lines.iter().map(Vec::as_slice));
        prop_assert_eq!(directives, Directives::parse(lines.iter().map(|l| l.to_ascii_uppercase()).collect::<Vec<_>>().iter().map(Vec::as_slice)));
        for line in &lines {
            date_ms(line);
        }
    }

    /// Texts made of the pieces that directives are made of never break a reader, be it a list or a dictionary.
    #[test]
    fn any_mixture_of_pieces_is_read(pieces in prop::collection::vec(
        prop::sample::select(vec!["max-age", "no-cache", "private", "=", "\"", "\\", ",", " ", "(", ")", "?1", "60", "-", ".", ";", ":", "a", "max-stale"]), 0..24)) {
        let text = pieces.concat();
        let both = response(&format!("200|CDN-Cache-Control: {text}|Cache-Control: {text}|Age: {text}|Content-Range: bytes {text}"));
        let directives = Directives::of_response(&both);
        for listed in directives.into_listed_fields() {
            prop_assert!(!listed.is_empty() && crate::http::syntax::is_token(listed.as_bytes()));
        }
        is_whole_part(&both);
        initial_age_ms(&both, T, T);
        RequestControl::of(&request(&format!("Cache-Control: {text}|Pragma: {text}")), false);
    }

    /// A directive added to a response never makes its lifetime longer, duplicates included.
    #[test]
    fn of_two_durations_the_shorter_counts(a in 0..1_000_u64, b in 0..1_000_u64) {
        let of = |value: String| Directives::parse([value.as_bytes()].into_iter()).max_age;
        prop_assert_eq!(of(format!("max-age={a}, max-age=\"{b}\"")), Some(a.min(b)));
    }

    /// Time makes no answer younger, and nothing that may not be served may be served later.
    #[test]
    fn age_never_falls(terms in any_terms(), a in 0..300_000_u64, b in 0..300_000_u64, percent in 0..100_u8) {
        let (sooner, later) = (T + a.min(b), T + a.max(b));
        prop_assert!(terms.age_ms(sooner) <= terms.age_ms(later));
        let control = RequestControl::default();
        let served = |now| served_ms(judge(&terms, false, &control, percent, now));
        if let Some(stale_ms) = served(later) {
            prop_assert!(served(sooner).is_some_and(|ms| ms <= stale_ms));
        }
        prop_assert!(!stale_on_error(&terms, false, &control, later) || stale_on_error(&terms, false, &control, sooner));
    }

    /// A request that asks for more never gets a staler answer; nor does a soft purge serve more.
    #[test]
    fn a_stricter_request_gets_no_staler_answer(
        terms in any_terms(), now in 0..300_000_u64, max_age in prop::option::of(0..200_000_u64),
        min_fresh in 0..50_000_u64, stale in 0..100_000_u64, stricter in 0..50_000_u64,
    ) {
        let loose = RequestControl {
            max_age_ms: max_age, min_fresh_ms: min_fresh, max_stale: Some(MaxStale::Ms(stale)), ..RequestControl::default()
        };
        let now = T + now;
        let bound = served_ms(judge(&terms, false, &loose, 0, now));
        for strict in [
            RequestControl { no_cache: true, ..loose },
            RequestControl { max_age_ms: Some(max_age.unwrap_or(200_000).saturating_sub(stricter)), ..loose },
            RequestControl { min_fresh_ms: min_fresh + stricter, ..loose },
            RequestControl { max_stale: Some(MaxStale::Ms(stale.saturating_sub(stricter))), ..loose },
        ] {
            let got = served_ms(judge(&terms, false, &strict, 0, now));
            prop_assert!(got.is_none() || got == bound, "{:?} got {:?}, {:?} got {:?}", strict, got, loose, bound);
            prop_assert!(!stale_on_error(&terms, false, &strict, now) || stale_on_error(&terms, false, &loose, now));
        }
        prop_assert!(served_ms(judge(&terms, true, &loose, 0, now)).is_none() || bound.is_some());
        if let Some(ms) = bound {
            prop_assert!(ms == 0 || !(terms.must_revalidate || terms.no_cache));
        }
    }

    /// Jitter shortens, by no more than it may.
    #[test]
    fn jitter_only_shortens(ms in 0..=bounds::LIFETIME_MS_MAX, percent in any::<u8>(), random in any::<u64>()) {
        let least = (ms - ms / 100 * u64::from(percent.min(99))).saturating_sub(100);
        let jittered = jittered_ms(ms, percent, random);
        prop_assert!(jittered <= ms && jittered >= least, "{jittered}");
        prop_assert_eq!(jittered_ms(ms, 0, random), ms);
    }
}
