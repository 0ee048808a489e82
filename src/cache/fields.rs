//! The fields of a stored answer: one block of lines, end-to-end fields only. Framing and Age are never among them.
//!
//! What of a response head is kept is decided once, here (RFC 9111 §3.1); sending copies the lines as they are.

use std::time::{Duration, UNIX_EPOCH};

use crate::bounds;
use crate::h1::connection_tokens;
use crate::http::head::FieldRef;
use crate::http::syntax::trim;
use crate::http::{FieldId, ResponseHead};
use crate::stats::NotStored;

/// Field lines, each `name: value` CRLF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredFields {
    lines: Box<[u8]>,
}

/// What of a response head is kept, beyond what RFC 9111 §3.1 says.
#[derive(Clone, Copy, Debug, Default)]
pub struct FieldRules<'a> {
    /// When the head arrived, Unix epoch, milliseconds: its Date where the origin sent none (RFC 9110 §6.6.1).
    pub response_ms: u64,
    /// Set-Cookie is left out.
    pub strip_cookies: bool,
    /// Lower-case names left out: those that `no-cache="…"` and `private="…"` list (RFC 9111 §5.2.2.4, §5.2.2.7).
    pub without: &'a [Box<str>],
}

impl StoredFields {
    /// Lines as they will be sent, each with its CRLF.
    pub fn of_lines(lines: Vec<u8>) -> Self {
        Self { lines: lines.into_boxed_slice() }
    }

    /// What is kept of a response head (RFC 9111 §3.1). The lines are sized exactly.
    ///
    /// # Errors
    /// [`NotStored::FieldsTooLarge`] above [`bounds::STORED_FIELDS_BYTES_MAX`].
    pub fn of_response(response: &ResponseHead, rules: &FieldRules<'_>) -> Result<Self, NotStored> {
        let mut lines = Vec::with_capacity(response.bytes.len());
        let mut dated = false;
        for field in kept(response, rules) {
            dated |= field.id == FieldId::Date;
            write_field(&mut lines, field.name, field.value);
        }
        if !dated {
            write_date(&mut lines, rules.response_ms);
        }
        Self::bounded(lines)
    }

    /// Lines within the bound of stored ones.
    pub(super) fn bounded(lines: Vec<u8>) -> Result<Self, NotStored> {
        if lines.len() > bounds::STORED_FIELDS_BYTES_MAX {
            return Err(NotStored::FieldsTooLarge);
        }
        Ok(Self::of_lines(lines))
    }

    /// The lines themselves.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = FieldRef<'_>> + Clone {
        field_lines(&self.lines)
    }

    /// The first value of a known field.
    pub fn find(&self, id: FieldId) -> Option<&[u8]> {
        self.iter().find(|f| f.id == id).map(|f| f.value)
    }
}

/// The fields of a response that are stored, in order (RFC 9111 §3.1).
pub(super) fn kept<'a>(
    response: &'a ResponseHead,
    rules: &FieldRules<'_>,
) -> impl Iterator<Item = FieldRef<'a>> + Clone {
    response.fields().filter(move |field| {
        let dropped = is_of_this_hop(field.id)
            || (field.id == FieldId::SetCookie && rules.strip_cookies)
            // A 206 is stored only where its part is the whole: as the whole, its range is history.
            || (field.id == FieldId::ContentRange && response.status == 206)
            || rules.without.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(field.name))
            || is_named_by_connection(response, field.name);
        !dropped
    })
}

/// Fields of one connection or one message (RFC 9110 §7.6.1, RFC 9111 §3.1), and those that are told anew each time.
fn is_of_this_hop(id: FieldId) -> bool {
    use FieldId as F;
    matches!(
        id,
        F::Connection
            | F::KeepAlive
            | F::ProxyConnection
            | F::TransferEncoding
            | F::Upgrade
            | F::Te
            | F::Trailer
            | F::ProxyAuthenticate
            | F::ProxyAuthenticationInfo
            | F::ProxyAuthorization
            | F::ContentLength
            | F::Age
            | F::XRequestId
    )
}

fn is_named_by_connection(response: &ResponseHead, name: &[u8]) -> bool {
    response
        .fields()
        .filter(|f| f.id == FieldId::Connection)
        .any(|f| connection_tokens(f.value).any(|token| token.eq_ignore_ascii_case(name)))
}

/// Appends one line.
pub(super) fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a Date line for a moment (Unix epoch, milliseconds).
pub(super) fn write_date(out: &mut Vec<u8>, unix_ms: u64) {
    /// 9999-12-31T23:59:59Z: an IMF-fixdate has four digits for the year.
    const LAST_SECOND: u64 = 253_402_300_799;
    let time = UNIX_EPOCH + Duration::from_secs((unix_ms / 1_000).min(LAST_SECOND));
    write_field(out, b"Date", httpdate::fmt_http_date(time).as_bytes());
}

/// Seconds since the Unix epoch of an HTTP-date in any of its three forms (RFC 9110 §5.6.7).
pub(super) fn date_s(value: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// The parts of a value between separators that stand outside of quoted strings, trimmed, empty ones too. A quote that
/// is never closed takes the rest.
pub(super) fn members(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = separator_in(text, separator);
        rest = end.and_then(|end| text.get(end + 1..));
        text.get(..end.unwrap_or(text.len())).map(trim)
    })
}

fn separator_in(text: &[u8], separator: u8) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.iter().position(|byte| {
        match (*byte, quoted, escaped) {
            (_, true, true) => escaped = false,
            (b'\\', true, false) => escaped = true,
            (b'"', ..) => quoted = !quoted,
            (byte, false, _) => return byte == separator,
            _ => {}
        }
        false
    })
}

/// The fields of a block of lines.
pub fn field_lines(lines: &[u8]) -> impl Iterator<Item = FieldRef<'_>> + Clone {
    lines.split(|b| *b == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r")?;
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at(colon);
        Some(FieldRef { id: FieldId::of(name), name, value: trim(value.get(1..)?) })
    })
}

/// The lines that [`StoredFields::of_response`] leaves out for the sake of others: who asked gets them all the same.
pub fn private_lines(response: &ResponseHead, rules: &FieldRules<'_>) -> Vec<u8> {
    let mut lines = Vec::new();
    let everything = FieldRules { strip_cookies: false, without: &[], ..*rules };
    for field in kept(response, &everything) {
        let listed = rules.without.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(field.name));
        if listed || (rules.strip_cookies && field.id == FieldId::SetCookie) {
            write_field(&mut lines, field.name, field.value);
        }
    }
    lines
}

#[cfg(test)]
pub(super) mod testing {
    //! Heads from lines, as a parser would fill them.

    use super::*;
    use crate::h1::{HeadLimits, Parsed, RequestParser, parse_response};
    use crate::http::RequestHead;

    /// A request with these field lines, each with its end.
    pub(in crate::cache) fn request(method: &str, lines: &str) -> RequestHead {
        let text = format!("{method} /a HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n");
        let mut head = RequestHead::default();
        let parsed = RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head);
        assert!(matches!(parsed, Ok(Parsed::Complete { .. })), "{text}");
        head
    }

    /// A response with these field lines, each with its end.
    pub(in crate::cache) fn response(status: u16, lines: &str) -> ResponseHead {
        let text = format!("HTTP/1.1 {status} X\r\n{lines}\r\n");
        let limits = HeadLimits { head_bytes: bounds::HEAD_BYTES_MAX, ..HeadLimits::default() };
        let mut head = ResponseHead::default();
        let parsed = parse_response(text.as_bytes(), &limits, &mut head);
        assert!(matches!(parsed, Ok(Parsed::Complete { .. })), "{text}");
        head
    }

    /// Stored fields with these lines.
    pub(in crate::cache) fn stored(lines: &str) -> StoredFields {
        StoredFields::of_lines(lines.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::testing::response;
    use super::*;

    fn kept_of(status: u16, lines: &str, rules: &FieldRules<'_>) -> String {
        let fields = StoredFields::of_response(&response(status, lines), rules).unwrap();
        String::from_utf8(fields.lines().to_vec()).unwrap()
    }

    const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

    #[test]
    fn end_to_end_fields_are_kept_as_they_came() {
        let kept = [
            "Content-Type: text/plain\r\n",
            "ETag: \"a\"\r\n",
            "Via: 1.1 b\r\n",
            "Cache-Status: b; hit\r\n",
            "x-ODD: \r\n",
            "Set-Cookie: a=b\r\n",
            "Surrogate-Key: a b\r\n",
        ];
        for line in kept {
            assert_eq!(kept_of(200, &format!("{DATE}{line}"), &FieldRules::default()), format!("{DATE}{line}"));
        }
    }

    #[test]
    fn fields_of_the_hop_are_not_kept() {
        let dropped = [
            "Connection: close\r\n",
            "Connection: x-hop, close\r\nX-Hop: 1\r\n",
            "X-Hop: 1\r\nConnection: close\r\nConnection: X-HOP\r\n",
            "Keep-Alive: timeout=5\r\n",
            "Proxy-Connection: close\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Upgrade: x\r\n",
            "TE: trailers\r\n",
            "Trailer: X\r\n",
            "Proxy-Authenticate: Basic\r\n",
            "Proxy-Authentication-Info: a=b\r\n",
            "Content-Length: 0\r\n",
            "Age: 4\r\n",
            "X-Request-Id: 1\r\n",
        ];
        for lines in dropped {
            assert_eq!(kept_of(200, &format!("{DATE}{lines}"), &FieldRules::default()), DATE, "{lines}");
        }
        assert_eq!(kept_of(206, &format!("{DATE}Content-Range: bytes 0-1/2\r\n"), &FieldRules::default()), DATE);
    }

    #[test]
    fn rules_leave_fields_out_and_date_the_undated() {
        let without: [Box<str>; 1] = ["x-secret".into()];
        let rules = FieldRules { response_ms: 784_111_777_999, strip_cookies: true, without: &without };
        assert_eq!(kept_of(200, "Set-Cookie: a=b\r\nX-Secret: 1\r\n", &rules), DATE);
        // A Date that a Connection field takes away is given again.
        assert_eq!(kept_of(200, "Connection: date\r\nDate: x\r\n", &rules), DATE);
        let far = FieldRules { response_ms: u64::MAX, ..FieldRules::default() };
        assert_eq!(kept_of(200, "", &far), "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n");
    }

    #[test]
    fn the_bound_counts_whole_lines() {
        let room = bounds::STORED_FIELDS_BYTES_MAX - DATE.len() - "X: \r\n".len();
        let of = |bytes: usize| {
            let head = response(200, &format!("{DATE}X: {}\r\n", "a".repeat(bytes)));
            StoredFields::of_response(&head, &FieldRules::default()).map(|f| f.lines().len())
        };
        assert_eq!(of(room), Ok(bounds::STORED_FIELDS_BYTES_MAX));
        assert_eq!(of(room + 1), Err(NotStored::FieldsTooLarge));
    }

    #[test]
    fn dates_are_read_in_three_forms() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(date_s(text.as_bytes()), Some(784_111_777));
        }
        for text in [&b"0"[..], b"", b"-1", b"\xff", b"Sun, 06 Nov 1994 08:49:37", b"Sun, 36 Nov 1994 08:49:37 GMT"] {
            assert_eq!(date_s(text), None);
        }
    }

    #[test]
    fn members_end_at_separators_outside_of_quotes() {
        let of = |text: &'static str| -> Vec<&[u8]> { members(text.as_bytes(), b',').collect() };
        assert_eq!(of(r#" "a,b" , W/"c\",", d"#), [&br#""a,b""#[..], br#"W/"c\",""#, b"d"]);
        assert_eq!(of(""), [b""]);
        assert_eq!(of("a,,b,"), [&b"a"[..], b"", b"b", b""]);
        assert_eq!(of("\"a,b"), [b"\"a,b"]);
    }
}
