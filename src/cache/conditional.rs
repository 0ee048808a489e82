//! Conditional requests: judged by a stored answer, written for a confirmation (RFC 9110 §13, RFC 9111 §4.3).
//!
//! Pure. Range and If-Range are `range`'s, and come after this (RFC 9110 §13.2.2, step 5).

use super::fields::{StoredFields, date_s, write_field};
use crate::http::head::FieldRef;
use crate::http::syntax::trim;
use crate::http::{FieldId, Method, RequestHead};

/// What a request's preconditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There are none, or they hold: the stored answer is sent.
    Send,
    /// 304: the client has it already.
    NotModified,
    /// 412.
    PreconditionFailed,
}

/// Fields of a request that a fetch must not carry when its answer is to be stored: it would not be the whole.
pub const STRIPPED: &[FieldId] = &[
    FieldId::IfMatch,
    FieldId::IfModifiedSince,
    FieldId::IfNoneMatch,
    FieldId::IfRange,
    FieldId::IfUnmodifiedSince,
    FieldId::Range,
];

/// An entity tag (RFC 9110 §8.8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntityTag<'a> {
    pub(super) weak: bool,
    /// With its quotes.
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// The tag that a whole text is; the prefix of weak ones has one spelling.
    pub(super) fn of(text: &'a [u8]) -> Option<Self> {
        let (weak, opaque) = match text.strip_prefix(b"W/") {
            Some(opaque) => (true, opaque),
            None => (false, text),
        };
        let inner = opaque.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let is_tag_byte = |b: &u8| matches!(b, 0x21 | 0x23..=0x7e | 0x80..);
        inner.iter().all(is_tag_byte).then_some(Self { weak, opaque })
    }

    /// Strong comparison (RFC 9110 §8.8.3.2).
    pub(super) fn is_strongly(self, other: EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison (RFC 9110 §8.8.3.2).
    pub(super) fn is_weakly(self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// Judges the preconditions of a request by the stored answer chosen for it, in the order of RFC 9110 §13.2.2.
///
/// If-Match and If-Unmodified-Since are judged too, although a cache may leave them to the origin (RFC 9110 §13.1.1):
/// whoever may be answered from the store at all is answered by what is there. A status outside of 2xx has no
/// preconditions (§13.2.1). `response_ms` = when the answer arrived, Unix epoch, milliseconds.
pub fn evaluate(request: &RequestHead, status: u16, fields: &StoredFields, response_ms: u64) -> Verdict {
    let asked = Asked::of(request);
    if !(200..300).contains(&status) || !asked.anything {
        return Verdict::Send;
    }
    let is_read = matches!(request.method, Method::Get | Method::Head);
    let own = fields.find(FieldId::Etag).and_then(EntityTag::of);
    let modified_s = || fields.find(FieldId::LastModified).and_then(date_s);
    let lost = if asked.if_match {
        !is_listed(request, FieldId::IfMatch, own, |theirs, own| theirs.is_strongly(own))
    } else {
        match (asked.unmodified_since(request), asked.if_unmodified_since.then(modified_s).flatten()) {
            (Some(given), Some(modified)) => modified > given,
            // RFC 9110 §13.1.4: no date on either side, no condition.
            _ => false,
        }
    };
    if lost {
        return Verdict::PreconditionFailed;
    }
    if asked.if_none_match {
        return match (is_listed(request, FieldId::IfNoneMatch, own, |theirs, own| theirs.is_weakly(own)), is_read) {
            (false, _) => Verdict::Send,
            (true, true) => Verdict::NotModified,
            (true, false) => Verdict::PreconditionFailed,
        };
    }
    match asked.modified_since(request) {
        Some(given) if is_read => {
            // RFC 9111 §4.3.2: without Last-Modified by Date, without that by the arrival.
            let dated_s = || fields.find(FieldId::Date).and_then(date_s).unwrap_or(response_ms / 1_000);
            if modified_s().unwrap_or_else(dated_s) <= given { Verdict::NotModified } else { Verdict::Send }
        }
        _ => Verdict::Send,
    }
}

/// Which preconditions a request has.
#[derive(Default)]
struct Asked {
    anything: bool,
    if_match: bool,
    if_none_match: bool,
    if_unmodified_since: bool,
    if_modified_since: bool,
}

impl Asked {
    /// One pass over the index of the fields, none over their bytes.
    fn of(request: &RequestHead) -> Self {
        let mut asked = Self::default();
        for field in &request.fields {
            match field.id {
                FieldId::IfMatch => asked.if_match = true,
                FieldId::IfNoneMatch => asked.if_none_match = true,
                FieldId::IfUnmodifiedSince => asked.if_unmodified_since = true,
                FieldId::IfModifiedSince => asked.if_modified_since = true,
                _ => continue,
            }
            asked.anything = true;
        }
        asked
    }

    fn unmodified_since(&self, request: &RequestHead) -> Option<u64> {
        if self.if_unmodified_since { only_date_s(request, FieldId::IfUnmodifiedSince) } else { None }
    }

    fn modified_since(&self, request: &RequestHead) -> Option<u64> {
        if self.if_modified_since { only_date_s(request, FieldId::IfModifiedSince) } else { None }
    }
}

/// The date of a field that has one line and a valid date; any other is ignored (RFC 9110 §13.1.3, §13.1.4).
fn only_date_s(request: &RequestHead, id: FieldId) -> Option<u64> {
    only_line(request, id).and_then(date_s)
}

/// The value of a field that has exactly one line.
pub(super) fn only_line(request: &RequestHead, id: FieldId) -> Option<&[u8]> {
    let mut lines = request.fields().filter(|f| f.id == id);
    let line = lines.next()?;
    lines.next().is_none().then_some(line.value)
}

/// Whether a list of tags, on however many lines, is `*` or has one equal to the stored one.
fn is_listed(
    request: &RequestHead,
    id: FieldId,
    own: Option<EntityTag<'_>>,
    equal: impl Fn(EntityTag<'_>, EntityTag<'_>) -> bool,
) -> bool {
    if only_line(request, id) == Some(b"*") {
        return true;
    }
    let Some(own) = own else { return false };
    let mut lines = request.fields().filter(|f| f.id == id);
    lines.any(|line| tags(line.value).filter_map(EntityTag::of).any(|tag| equal(tag, own)))
}

/// The members of a list of entity tags: unlike in other quoted strings, a backslash is a byte of the tag like any other
/// (RFC 9110 §8.8.3).
fn tags(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    value
        .split(move |byte| {
            quoted ^= *byte == b'"';
            *byte == b',' && !quoted
        })
        .map(trim)
}

/// Appends the validators of a stored answer as the conditions of the request that asks for its confirmation
/// (RFC 9111 §4.3.1). `false` = it has none, nothing was written.
pub fn write_validators(out: &mut Vec<u8>, fields: &StoredFields) -> bool {
    let tag = fields.find(FieldId::Etag).filter(|tag| !tag.is_empty());
    let modified = fields.find(FieldId::LastModified).filter(|date| date_s(date).is_some());
    if let Some(tag) = tag {
        write_field(out, b"If-None-Match", tag);
    }
    if let Some(date) = modified {
        write_field(out, b"If-Modified-Since", date);
    }
    tag.is_some() || modified.is_some()
}

/// Whether a 304 carries the field (RFC 9110 §15.4.5): what steers caches and clients, nothing else of the
/// representation; Last-Modified only where there is no entity tag (`tagged`).
pub fn belongs_to_304(field: &FieldRef<'_>, tagged: bool) -> bool {
    match field.id {
        FieldId::CacheControl
        | FieldId::ContentLocation
        | FieldId::Date
        | FieldId::Etag
        | FieldId::Expires
        | FieldId::Vary => true,
        FieldId::LastModified => !tagged,
        // Targeted forms of Cache-Control (RFC 9213), of whatever target. And a script that sets If-None-Match itself gets
        // the 304 to see: browsers hold it back where it does not permit the script's origin.
        _ => {
            ends_with_ignore_case(field.name, b"-cache-control")
                || starts_with_ignore_case(field.name, b"access-control-")
        }
    }
}

fn starts_with_ignore_case(name: &[u8], start: &[u8]) -> bool {
    name.get(..start.len()).is_some_and(|front| front.eq_ignore_ascii_case(start))
}

fn ends_with_ignore_case(name: &[u8], end: &[u8]) -> bool {
    name.len().checked_sub(end.len()).and_then(|at| name.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fields::testing::{request, stored};
    use super::Verdict::{NotModified, PreconditionFailed, Send};
    use super::*;

    const EARLY: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const DAY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATE: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const DAY_MS: u64 = 784_111_777_000;

    #[test]
    fn entity_tags_have_one_syntax() {
        let of = |text: &'static str| EntityTag::of(text.as_bytes()).map(|tag| tag.weak);
        assert_eq!((of("\"\""), of("\"a,b\""), of("W/\"a\"")), (Some(false), Some(false), Some(true)));
        for text in ["", "a", "\"", "\"a", "a\"", "w/\"a\"", "W/a", "W/ \"a\"", "\"a\"b\"", "\"a b\"", "\"a\" ", "*"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn verdicts_follow_the_order_of_rfc_9110() {
        let tag = "ETag: \"a\"\r\n";
        let weak = "ETag: W/\"a\"\r\n";
        let modified = format!("Last-Modified: {DAY}\r\n");
        let dated = format!("Date: {DAY}\r\n");
        let both = format!("{tag}{modified}");
        // stored fields; request fields; verdict for GET
        let rows: &[(&str, String, Verdict)] = &[
            (tag, String::new(), Send),
            // §13.1.1 If-Match, strong comparison.
            (tag, "If-Match: \"a\"\r\n".into(), Send),
            (tag, "If-Match: \"b\"\r\nIf-Match: \"c,d\", \"a\"\r\n".into(), Send),
            (tag, "If-Match: \"b\"\r\n".into(), PreconditionFailed),
            (tag, "If-Match: W/\"a\"\r\n".into(), PreconditionFailed),
            (weak, "If-Match: W/\"a\"\r\n".into(), PreconditionFailed),
            (tag, "If-Match: *\r\n".into(), Send),
            ("", "If-Match: *\r\n".into(), Send),
            ("", "If-Match: \"a\"\r\n".into(), PreconditionFailed),
            // §13.1.4 If-Unmodified-Since, only without If-Match.
            (&modified, format!("If-Unmodified-Since: {DAY}\r\n"), Send),
            (&modified, format!("If-Unmodified-Since: {EARLY}\r\n"), PreconditionFailed),
            (&modified, "If-Unmodified-Since: yesterday\r\n".into(), Send),
            (&modified, format!("If-Unmodified-Since: {EARLY}\r\nIf-Unmodified-Since: {EARLY}\r\n"), Send),
            (tag, format!("If-Unmodified-Since: {EARLY}\r\n"), Send),
            (&both, format!("If-Match: \"a\"\r\nIf-Unmodified-Since: {EARLY}\r\n"), Send),
            // §13.1.2 If-None-Match, weak comparison.
            (tag, "If-None-Match: \"a\"\r\n".into(), NotModified),
            (tag, "If-None-Match: W/\"a\"\r\n".into(), NotModified),
            (weak, "If-None-Match: \"b\", W/\"a\"\r\n".into(), NotModified),
            (weak, "If-None-Match: \"b\"\r\nIf-None-Match: \"a\"\r\n".into(), NotModified),
            (tag, "If-None-Match: \"x,\"a\"\r\n".into(), Send),
            (tag, "If-None-Match: a\r\n".into(), Send),
            (tag, "If-None-Match: w/\"a\"\r\n".into(), Send),
            ("ETag: \"a,b\"\r\n", "If-None-Match: \"a,b\"\r\n".into(), NotModified),
            ("", "If-None-Match: *\r\n".into(), NotModified),
            (tag, "If-None-Match: \"*\"\r\n".into(), Send),
            ("ETag: a\r\n", "If-None-Match: \"a\"\r\n".into(), Send),
            // §13.1.3 If-Modified-Since, only without If-None-Match.
            (&modified, format!("If-Modified-Since: {DAY}\r\n"), NotModified),
            (&modified, format!("If-Modified-Since: {LATE}\r\n"), NotModified),
            (&modified, format!("If-Modified-Since: {EARLY}\r\n"), Send),
            (&modified, "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n".into(), NotModified),
            (&modified, "If-Modified-Since: 0\r\n".into(), Send),
            (&modified, format!("If-Modified-Since: {DAY}\r\nIf-Modified-Since: {DAY}\r\n"), Send),
            (&both, format!("If-None-Match: \"b\"\r\nIf-Modified-Since: {LATE}\r\n"), Send),
            (&both, format!("If-None-Match: \"a\"\r\nIf-Modified-Since: {EARLY}\r\n"), NotModified),
            // RFC 9111 §4.3.2: Date, then the arrival, where there is no Last-Modified.
            (&dated, format!("If-Modified-Since: {DAY}\r\n"), NotModified),
            (&dated, format!("If-Modified-Since: {EARLY}\r\n"), Send),
            ("", format!("If-Modified-Since: {DAY}\r\n"), NotModified),
            ("", format!("If-Modified-Since: {EARLY}\r\n"), Send),
            // §13.2.2: what fails first, counts.
            (
                &both,
                format!("If-Match: \"b\"\r\nIf-None-Match: \"a\"\r\nIf-Modified-Since: {LATE}\r\n"),
                PreconditionFailed,
            ),
            (&both, "If-Match: \"a\"\r\nIf-None-Match: \"a\"\r\n".into(), NotModified),
        ];
        for (fields, lines, verdict) in rows {
            assert_eq!(evaluate(&request("GET", lines), 200, &stored(fields), DAY_MS), *verdict, "{fields}{lines}");
            assert_eq!(evaluate(&request("HEAD", lines), 203, &stored(fields), DAY_MS), *verdict, "{fields}{lines}");
            assert_eq!(evaluate(&request("GET", lines), 404, &stored(fields), DAY_MS), Send, "{fields}{lines}");
        }
    }

    #[test]
    fn other_methods_are_never_answered_by_304() {
        let fields = stored(&format!("ETag: \"a\"\r\nLast-Modified: {DAY}\r\n"));
        let of = |lines: &str| evaluate(&request("POST", lines), 200, &fields, DAY_MS);
        assert_eq!(of("If-None-Match: \"a\"\r\n"), PreconditionFailed);
        assert_eq!(of("If-None-Match: \"b\"\r\n"), Send);
        assert_eq!(of(&format!("If-Modified-Since: {LATE}\r\n")), Send);
    }

    #[test]
    fn a_confirmation_is_asked_for_with_what_there_is() {
        let modified = format!("Last-Modified: {DAY}\r\n");
        let rows: &[(String, String)] = &[
            (String::new(), String::new()),
            ("ETag:\r\nLast-Modified: never\r\n".into(), String::new()),
            ("etag: W/\"a\"\r\n".into(), "If-None-Match: W/\"a\"\r\n".into()),
            (modified.clone(), format!("If-Modified-Since: {DAY}\r\n")),
            (format!("{modified}ETag: odd\r\n"), format!("If-None-Match: odd\r\nIf-Modified-Since: {DAY}\r\n")),
        ];
        for (fields, conditions) in rows {
            let mut out = Vec::new();
            assert_eq!(write_validators(&mut out, &stored(fields)), !conditions.is_empty());
            assert_eq!(String::from_utf8(out).unwrap(), *conditions);
        }
    }

    #[test]
    fn a_304_carries_what_guides_caches() {
        let of = |lines: &str| {
            let (mut out, fields) = (Vec::new(), stored(lines));
            let tagged = fields.find(FieldId::Etag).is_some();
            for field in fields.iter().filter(|field| belongs_to_304(field, tagged)) {
                write_field(&mut out, field.name, field.value);
            }
            String::from_utf8(out).unwrap()
        };
        let kept = "Cache-Control: max-age=1\r\nCache-Control: public\r\nContent-Location: /a\r\nDate: x\r\nETag: \"a\"\r\n\
                    Expires: 0\r\nVary: foo\r\nCDN-Cache-Control: max-age=2\r\nAccess-Control-Allow-Origin: *\r\n";
        let dropped = "Content-Type: a/b\r\nContent-Encoding: gzip\r\nLast-Modified: x\r\nServer: x\r\nX: y\r\n";
        assert_eq!(of(&format!("{kept}{dropped}")), kept);
        assert_eq!(of("Content-Type: a/b\r\nLast-Modified: x\r\n"), "Last-Modified: x\r\n");
    }

    proptest! {
        #[test]
        fn what_is_stored_is_not_modified_for_whoever_has_it(tag in "(W/)?\"[!#-~]{0,10}\"", other in "[ -~]{0,20}") {
            let fields = stored(&format!("ETag: {tag}\r\n"));
            let lines = format!("If-None-Match: \"zzzzzzzzzzzz\" , {tag}\r\n");
            prop_assert_eq!(evaluate(&request("GET", &lines), 200, &fields, 0), NotModified);
            let lines = format!("If-None-Match: {other}\r\nIf-Match: {other}\r\nIf-Modified-Since: {other}\r\n");
            evaluate(&request("GET", &lines), 200, &fields, 0);
        }
    }
}
