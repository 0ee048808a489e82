//! Heads of requests (RFC 9112 §2–§5), read incrementally by hand: the hot path.
//!
//! A verdict depends only on the bytes, never on how they were cut into reads: whatever is refused is refused at the
//! first byte that makes it wrong, and bounds are applied before the bytes beyond them are looked at. Framing (Host,
//! lengths, target forms) is judged afterwards, in `framing`.

use super::scan::{self, Marks, Scan};
use super::{HeadLimits, Parsed, Reject};
use crate::bounds;
use crate::http::{Field, Method, RequestHead, Span, Version, syntax};

/// Empty lines before a request line that are skipped (RFC 9112 §2.2 asks for at least one).
pub const EMPTY_LINES_MAX: usize = 2;
/// Bytes copied at a time: most heads are one block, and little of a body behind them is copied for nothing.
const COPY_BYTES: usize = 2048;
/// Zeros behind the bytes that are read, so that every run ends before them. At least what [`Scan`] asks for.
const PADDING: usize = scan::PADDING;

/// Progress through one head: finished lines are never read again.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestParser {
    /// Where the current line starts; `line <= input.len()` of every later call.
    line: usize,
    empty_lines: usize,
    in_fields: bool,
}

impl RequestParser {
    /// A parser for a request before which the connection has passed over `lines` empty lines already.
    pub fn after_empty_lines(lines: usize) -> Self {
        Self { empty_lines: lines, ..Self::default() }
    }

    /// Makes ready for the next request.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Reads as much of a head as there is.
    ///
    /// `input` starts at the first byte of the request (empty lines before it included) and is, from call to call, the
    /// same bytes plus more. On [`Parsed::Complete`] `head.bytes` is a copy of the head and every span points into it;
    /// before that the head is unfinished and must be handed in again as it is. After `Complete` or an error,
    /// [`reset`](Self::reset) comes first.
    ///
    /// # Errors
    /// The first violation in the order of the bytes; the connection can only be answered and closed.
    pub fn parse(&mut self, input: &[u8], limits: &HeadLimits, head: &mut RequestHead) -> Result<Parsed, Reject> {
        scan::parse_fastest(self, input, limits, head)
    }

    /// [`parse`](Self::parse) with a chosen way of scanning.
    ///
    /// The head is copied in blocks and read where it was copied to, with padding behind it: scanners may look a
    /// vector's width beyond the bytes that came.
    #[inline(always)]
    pub(super) fn parse_by<S: Scan>(
        &mut self,
        scan: S,
        input: &[u8],
        limits: &HeadLimits,
        head: &mut RequestHead,
    ) -> Result<Parsed, Reject> {
        if self.line == 0 {
            head.clear();
        }
        let most = limits.head_bytes.min(bounds::HEAD_BYTES_MAX);
        let window = input.get(..most).unwrap_or(input);
        loop {
            let have = head.bytes.len();
            let end = window.len().min(have + COPY_BYTES);
            head.bytes.reserve(end - have + PADDING);
            head.bytes.extend_from_slice(window.get(have..end).unwrap_or_default());
            head.bytes.extend_from_slice(&[0; PADDING]);
            let verdict = self.read_lines(scan, window.get(..end).unwrap_or_default(), limits, head);
            match verdict {
                Ok(Parsed::Complete { head_bytes }) => {
                    head.bytes.truncate(head_bytes);
                    return verdict;
                }
                Ok(Parsed::Partial) => head.bytes.truncate(end),
                Err(_) => {
                    // No padding and nothing behind the fault stays to be taken for a part of the head.
                    head.bytes.truncate(end);
                    return verdict;
                }
            }
            if end == window.len() {
                return if end == most { Err(Reject::HeadTooLarge) } else { verdict };
            }
        }
    }

    /// Reads the lines of `input`, from the first unfinished one on; `head.bytes` holds the same and padding.
    #[inline(always)]
    fn read_lines<S: Scan>(
        &mut self,
        scan: S,
        input: &[u8],
        limits: &HeadLimits,
        head: &mut RequestHead,
    ) -> Result<Parsed, Reject> {
        let end = input.len();
        if !self.in_fields {
            let Some(start) = self.skip_empty_lines(input) else { return Ok(Parsed::Partial) };
            let most = start + limits.request_line_bytes;
            // Not from the copy: it was just written, and a load across two stores waits for both.
            let bytes = input.get(..most).unwrap_or(input);
            match request_line(scan, bytes, start, head)? {
                Some(next) => self.line = next,
                None if end >= most => return Err(line_too_long(bytes.get(start..).unwrap_or_default())),
                None => return Ok(Parsed::Partial),
            }
            self.in_fields = true;
        }
        let RequestHead { bytes, fields, .. } = head;
        let (mut scan, mut line) = (scan, self.line);
        loop {
            match field_line(&mut scan, bytes, line, end, fields, limits.fields)? {
                Line::Partial => {
                    self.line = line;
                    return Ok(Parsed::Partial);
                }
                Line::Empty { next } => return Ok(Parsed::Complete { head_bytes: next }),
                Line::Field { next } => line = next,
            }
        }
    }

    /// Start of the request line, or nothing while it cannot be known.
    #[inline(always)]
    fn skip_empty_lines(&mut self, window: &[u8]) -> Option<usize> {
        while self.empty_lines < EMPTY_LINES_MAX {
            match window.get(self.line..) {
                Some([b'\r', b'\n', ..]) => {
                    self.line += 2;
                    self.empty_lines += 1;
                }
                Some([] | [b'\r']) => return None,
                _ => break,
            }
        }
        Some(self.line)
    }
}

/// Reads the request line that starts at `start`; the start of the next line when it is complete.
#[inline(always)]
fn request_line<S: Scan>(scan: S, bytes: &[u8], start: usize, head: &mut RequestHead) -> Result<Option<usize>, Reject> {
    let (method, method_end) = match bytes.get(start..).and_then(|rest| rest.first_chunk::<4>()) {
        Some(text) if *text == *b"GET " => (Method::Get, start + 3),
        Some(text) if *text == *b"POST" && bytes.get(start + 4) == Some(&b' ') => (Method::Post, start + 4),
        _ => {
            let method_end = scan.token_end(bytes, start);
            (Method::of(bytes.get(start..method_end).unwrap_or_default()), method_end)
        }
    };
    match bytes.get(method_end) {
        None => return Ok(None),
        Some(b' ') if method_end > start => {}
        Some(_) => return refuse_method(bytes.get(method_end..).unwrap_or_default()),
    }
    let target_start = method_end + 1;
    let target_end = scan.target_end(bytes, target_start);
    match bytes.get(target_end) {
        None => return Ok(None),
        Some(b' ') if target_end > target_start => {}
        Some(byte) => return Err(refuse_target(*byte, target_end == target_start)),
    }
    let Some((version, next)) = version(bytes, target_end + 1)? else { return Ok(None) };
    head.method_span = span(start, method_end);
    head.method = method;
    head.target_span = span(target_start, target_end);
    head.version = version;
    Ok(Some(next))
}

/// Reads `HTTP/1.x` and CRLF; the version and the start of the next line.
#[inline(always)]
fn version(bytes: &[u8], start: usize) -> Result<Option<(Version, usize)>, Reject> {
    // Compared as arrays, which takes two steps; a slice pattern takes ten.
    match bytes.get(start..).and_then(|rest| rest.first_chunk::<10>()) {
        Some(text) if *text == *b"HTTP/1.1\r\n" => Ok(Some((Version::Http11, start + 10))),
        _ => version_slow(bytes, start),
    }
}

#[cold]
fn version_slow(window: &[u8], start: usize) -> Result<Option<(Version, usize)>, Reject> {
    let mut version = Version::Http11;
    for (index, want) in b"HTTP/1.1\r\n".iter().enumerate() {
        let Some(byte) = window.get(start + index) else { return Ok(None) };
        match (index, byte) {
            (5, b'0' | b'2'..=b'9') => return Err(Reject::VersionUnsupported),
            (7, b'0') => version = Version::Http10,
            // A higher minor number is read as the highest one known (RFC 9110 §2.5).
            (7, b'2'..=b'9') => {}
            (8, b'\n') => return Err(Reject::BareLf),
            (9, byte) if byte != want => return Err(Reject::BareCr),
            (_, byte) if byte != want => return Err(Reject::BadVersion),
            _ => {}
        }
    }
    Ok(Some((version, start + 10)))
}

/// What stands where a line may start behind the request line; `next` is the first byte behind it.
enum Line {
    Partial,
    /// The empty line that ends the head.
    Empty {
        next: usize,
    },
    Field {
        next: usize,
    },
}

/// Reads one field line within `bytes[start..end]` into `fields`.
#[inline(always)]
fn field_line<S: Scan>(
    scan: &mut S,
    bytes: &[u8],
    start: usize,
    end: usize,
    fields: &mut Vec<Field>,
    fields_max: usize,
) -> Result<Line, Reject> {
    if pair(bytes, start) == Some(*b"\r\n") && start + 2 <= end {
        return Ok(Line::Empty { next: start + 2 });
    }
    let Marks { name_end, line_end, id } = scan.line(bytes, start);
    if bytes.get(name_end) != Some(&b':') || name_end == start {
        return no_field(bytes.get(start..end).unwrap_or_default(), name_end - start);
    }
    if pair(bytes, line_end) != Some(*b"\r\n") || line_end + 2 > end {
        return no_line_end(bytes.get(line_end..end).unwrap_or_default());
    }
    let (mut value_start, mut value_end) = (name_end + 1, line_end);
    // Most values follow one space.
    value_start += usize::from(bytes.get(value_start) == Some(&b' '));
    if is_blank(bytes, value_start) || is_blank(bytes, value_end - 1) {
        (value_start, value_end) = trimmed(bytes, value_start, value_end);
    }
    if fields.len() >= fields_max {
        return Err(Reject::TooManyFields);
    }
    // Pushed here and not by the caller: a field that travels through the verdict is written in parts and read as a
    // whole, which stalls the core for longer than the rest of the line takes.
    fields.push(Field { name: span(start, name_end), value: span(value_start, value_end), id });
    Ok(Line::Field { next: line_end + 2 })
}

/// What a line is whose name of `name_bytes` is not followed by a colon: unfinished or refused.
#[cold]
fn no_field(rest: &[u8], name_bytes: usize) -> Result<Line, Reject> {
    match rest {
        [] | [b'\r'] => Ok(Line::Partial),
        [b'\r', ..] => Err(Reject::BareCr),
        _ => match rest.get(name_bytes) {
            None => Ok(Line::Partial),
            Some(byte) => Err(refuse_name(*byte, name_bytes == 0)),
        },
    }
}

/// What a value is that is not followed by CRLF: unfinished or refused.
#[cold]
fn no_line_end(rest: &[u8]) -> Result<Line, Reject> {
    match rest {
        [] | [b'\r'] => Ok(Line::Partial),
        [b'\r', ..] => Err(Reject::BareCr),
        [b'\n', ..] => Err(Reject::BareLf),
        _ => Err(Reject::BadFieldValue),
    }
}

/// Whether a byte of a line is SP or HTAB; neither ends a value, and most values have neither at their ends.
#[inline(always)]
fn is_blank(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\t'))
}

/// The range without SP and HTAB at its ends.
#[cold]
fn trimmed(bytes: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    while start < end && is_blank(bytes, start) {
        start += 1;
    }
    while start < end && is_blank(bytes, end - 1) {
        end -= 1;
    }
    (start, end)
}

#[inline(always)]
fn pair(bytes: &[u8], at: usize) -> Option<[u8; 2]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The range as a span. Heads are at most [`bounds::HEAD_BYTES_MAX`] long, so that nothing is cut off.
#[inline(always)]
fn span(start: usize, end: usize) -> Span {
    debug_assert!(start <= end && end <= bounds::HEAD_BYTES_MAX);
    Span { start: start as u16, len: (end - start) as u16 }
}

/// Why a method ends at the first of these bytes; undecided after CR while the next byte is missing.
#[cold]
fn refuse_method(rest: &[u8]) -> Result<Option<usize>, Reject> {
    match rest {
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Err(Reject::BadMethod),
        [b'\r', ..] => Err(Reject::BareCr),
        [b'\n', ..] => Err(Reject::BareLf),
        [0..0x20 | 0x7f, ..] => Err(Reject::ControlByte),
        _ => Err(Reject::BadMethod),
    }
}

#[cold]
fn refuse_target(byte: u8, empty: bool) -> Reject {
    match byte {
        // A request line without a version is HTTP/0.9, which is not served.
        b'\r' if !empty => Reject::BadVersion,
        b'\n' => Reject::BareLf,
        b'\r' => Reject::BadTarget,
        0..0x20 | 0x7f => Reject::ControlByte,
        // Space where the target should start; or bytes beyond ASCII, which RFC 3986 knows only percent-encoded:
        // readers differ in how they decode them.
        _ => Reject::BadTarget,
    }
}

#[cold]
fn refuse_name(byte: u8, empty: bool) -> Reject {
    match byte {
        b' ' | b'\t' if empty => Reject::ObsFold,
        b' ' | b'\t' => Reject::SpaceBeforeColon,
        b'\n' => Reject::BareLf,
        b'\r' | b':' => Reject::BadFieldName,
        0..0x20 | 0x7f => Reject::ControlByte,
        _ => Reject::BadFieldName,
    }
}

/// The name of a request line beyond its bound: the target's when there is one.
#[cold]
fn line_too_long(line: &[u8]) -> Reject {
    let method_end = line.iter().position(|b| !syntax::is_token_byte(*b));
    if method_end.and_then(|end| line.get(end)) == Some(&b' ') { Reject::TargetTooLong } else { Reject::BadMethod }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::FieldId;

    fn read(input: &[u8]) -> Result<RequestHead, Reject> {
        crate::h1::fuzz::request_head(input);
        let mut head = RequestHead::default();
        match RequestParser::default().parse(input, &HeadLimits::default(), &mut head)? {
            Parsed::Complete { head_bytes } => assert_eq!(head_bytes, head.bytes.len()),
            Parsed::Partial => panic!("incomplete: {:?}", String::from_utf8_lossy(input)),
        }
        Ok(head)
    }

    #[test]
    fn a_head_is_indexed() {
        let head = read(
            b"POST /v1/chat?x=1 HTTP/1.1\r\nHost: a.example\r\nX-Odd:\t a  b \t\r\nEmpty:\r\ncookie: \r\n\r\nrest",
        )
        .unwrap();
        assert_eq!((head.method, head.version), (Method::Post, Version::Http11));
        assert_eq!((head.method_text(), head.target()), (&b"POST"[..], &b"/v1/chat?x=1"[..]));
        let fields: Vec<_> = head.fields().map(|f| (f.id, f.name, f.value)).collect();
        assert_eq!(
            fields,
            [
                (FieldId::Host, &b"Host"[..], &b"a.example"[..]),
                (FieldId::Other, b"X-Odd", b"a  b"),
                (FieldId::Other, b"Empty", b""),
                (FieldId::Cookie, b"cookie", b""),
            ]
        );
        assert!(head.bytes.ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn up_to_two_empty_lines_come_before_a_request() {
        assert_eq!(read(b"\r\n\r\nGET / HTTP/1.0\r\n\r\n").unwrap().target(), b"/");
        assert_eq!(read(b"\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n").unwrap_err(), Reject::BadMethod);
        assert_eq!(read(b"\nGET / HTTP/1.1\r\n\r\n").unwrap_err(), Reject::BareLf);
        assert_eq!(read(b"\rGET / HTTP/1.1\r\n\r\n").unwrap_err(), Reject::BareCr);
    }

    #[test]
    fn higher_minor_versions_are_read_as_the_highest_known() {
        assert_eq!(read(b"GET / HTTP/1.7\r\n\r\n").unwrap().version, Version::Http11);
        assert_eq!(read(b"GET / HTTP/1.0\r\n\r\n").unwrap().version, Version::Http10);
    }

    #[test]
    fn violations_have_their_names() {
        let cases: &[(&[u8], Reject)] = &[
            (b" GET / HTTP/1.1\r\n\r\n", Reject::BadMethod),
            (b"G\xc3T / HTTP/1.1\r\n\r\n", Reject::BadMethod),
            (b"\x16\x03\x01\x02\x00", Reject::ControlByte),
            (b"GET\r\n\r\n", Reject::BadMethod),
            (b"GET  / HTTP/1.1\r\n\r\n", Reject::BadTarget),
            (b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n", Reject::BadTarget),
            (b"GET /a\tb HTTP/1.1\r\n\r\n", Reject::ControlByte),
            (b"GET /a b HTTP/1.1\r\n\r\n", Reject::BadVersion),
            (b"GET /\r\n", Reject::BadVersion),
            (b"GET /\n", Reject::BareLf),
            (b"GET / HTTP/1.1 \r\n\r\n", Reject::BadVersion),
            (b"GET / HTTP/1.1\n\r\n", Reject::BareLf),
            (b"GET / HTTP/1.1\rX: y\r\n\r\n", Reject::BareCr),
            (b"GET / http/1.1\r\n\r\n", Reject::BadVersion),
            (b"GET / HTTP/11\r\n\r\n", Reject::BadVersion),
            (b"GET / HTTP/0.9\r\n\r\n", Reject::VersionUnsupported),
            (b"PRI * HTTP/2.0\r\n\r\n", Reject::VersionUnsupported),
            (b"GET / HTTP/1.1\r\n A: b\r\n\r\n", Reject::ObsFold),
            (b"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", Reject::ObsFold),
            (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", Reject::SpaceBeforeColon),
            (b"GET / HTTP/1.1\r\nA\t: b\r\n\r\n", Reject::SpaceBeforeColon),
            (b"GET / HTTP/1.1\r\n: b\r\n\r\n", Reject::BadFieldName),
            (b"GET / HTTP/1.1\r\nA\xe9: b\r\n\r\n", Reject::BadFieldName),
            (b"GET / HTTP/1.1\r\nA\r\n\r\n", Reject::BadFieldName),
            (b"GET / HTTP/1.1\r\nA(b): c\r\n\r\n", Reject::BadFieldName),
            (b"GET / HTTP/1.1\r\nA\0: b\r\n\r\n", Reject::ControlByte),
            (b"GET / HTTP/1.1\r\nA: b\0\r\n\r\n", Reject::BadFieldValue),
            (b"GET / HTTP/1.1\r\nA: b\x7fc\r\n\r\n", Reject::BadFieldValue),
            (b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", Reject::BareLf),
            (b"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", Reject::BareCr),
            (b"GET / HTTP/1.1\r\nA: b\r\n\n", Reject::BareLf),
            (b"GET / HTTP/1.1\r\nA: b\r\n\rX", Reject::BareCr),
            (b"GET / HTTP/1.1\r\nA: b\r\r\n\r\n", Reject::BareCr),
        ];
        for (input, reject) in cases {
            assert_eq!(read(input).map(|_| ()), Err(*reject), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn bounds_hold_to_the_byte() {
        let limits = HeadLimits { head_bytes: 60, request_line_bytes: 30, fields: 2 };
        let verdict = |input: &str| {
            let mut head = RequestHead::default();
            RequestParser::default().parse(input.as_bytes(), &limits, &mut head)
        };
        let line = |target: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(target - 1));
        assert_eq!(line(15).len(), 30);
        assert_eq!(verdict(&(line(15) + "\r\n")), Ok(Parsed::Complete { head_bytes: 32 }));
        assert_eq!(verdict(&line(16)), Err(Reject::TargetTooLong));
        assert_eq!(verdict(&"G".repeat(30)), Err(Reject::BadMethod));
        let fields = |value: usize| line(15) + &format!("a: {}\r\n\r\n", "b".repeat(value));
        assert_eq!(verdict(&fields(23)), Ok(Parsed::Complete { head_bytes: 60 }));
        assert_eq!(verdict(&fields(24)), Err(Reject::HeadTooLarge));
        assert_eq!(verdict(&fields(24)[..59]), Ok(Parsed::Partial));
        assert_eq!(verdict("GET / HTTP/1.1\r\na:b\r\nc:d\r\n\r\n"), Ok(Parsed::Complete { head_bytes: 28 }));
        assert_eq!(verdict("GET / HTTP/1.1\r\na:b\r\nc:d\r\ne:f\r\n\r\n"), Err(Reject::TooManyFields));
    }

    #[test]
    fn every_byte_at_every_place_reads_alike_with_and_without_vectors() {
        let line =
            "x-name-of-a-field-longer-than-a-vector: a value that is longer than a block of vectors, all of it\t.\r\n";
        let text = format!("GET /target/longer/than/one/vector/of/the/scanner HTTP/1.1\r\nHost: a\r\n{line}\r\n");
        let limits = HeadLimits::default();
        let (mut ours, mut referee) = (RequestHead::default(), RequestHead::default());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            for byte in 0..=255 {
                bytes[at] = byte;
                let verdict = RequestParser::default().parse(&bytes, &limits, &mut ours);
                let expected = RequestParser::default().parse_by(scan::Scalar, &bytes, &limits, &mut referee);
                assert_eq!(verdict, expected, "{byte:#x} at {at}");
                if verdict.is_ok() {
                    assert_eq!((&ours.bytes, &ours.fields), (&referee.bytes, &referee.fields), "{byte:#x} at {at}");
                }
            }
        }
    }

    #[test]
    fn known_names_are_numbered_in_any_case_and_place() {
        for (id, name) in crate::http::field::KNOWN {
            for name in [(*name).to_owned(), name.to_uppercase(), format!("{name}x"), name[1..].to_owned()] {
                let head = read(format!("GET / HTTP/1.1\r\n{name}: a\r\n\r\n").as_bytes()).unwrap();
                let expected = if name.eq_ignore_ascii_case(std::str::from_utf8(id.name()).unwrap()) {
                    *id
                } else {
                    FieldId::of(name.as_bytes())
                };
                assert_eq!(head.fields[0].id, expected, "{name}");
            }
        }
    }

    #[test]
    fn the_beginning_of_a_known_name_is_not_that_name() {
        for (_, name) in crate::http::field::KNOWN {
            for len in 1..name.len() {
                let part = &name[..len];
                let head = read(format!("GET / HTTP/1.1\r\n{part}: a\r\n\r\n").as_bytes()).unwrap();
                assert_eq!(head.fields[0].id, FieldId::of(part.as_bytes()), "{part}");
            }
        }
    }

    #[test]
    fn a_used_head_and_parser_start_anew() {
        let (mut parser, mut head) = (RequestParser::default(), RequestHead::default());
        for input in [&b"GET /a HTTP/1.1\r\nA: b\r\n\r\n"[..], b"PUT /b HTTP/1.0\r\nC: d\r\n\r\n"] {
            parser.reset();
            assert_eq!(
                parser.parse(input, &HeadLimits::default(), &mut head),
                Ok(Parsed::Complete { head_bytes: input.len() })
            );
            assert_eq!((head.bytes.as_slice(), head.fields.len()), (input, 1));
        }
    }
}
