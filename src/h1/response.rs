//! Heads of responses (RFC 9112 §4–§5): httparse behind a guard of line ends, then an index of spans.
//!
//! The guard finds the end of the head and refuses what httparse lets pass (bare LF, bare CR); httparse judges the rest.

use std::mem::MaybeUninit;

use super::{HeadLimits, Parsed, Reject};
use crate::bounds;
use crate::http::{Field, FieldId, ResponseHead, Span, Version, syntax};

/// Reads the head of a response from the front of `input`.
///
/// On [`Parsed::Complete`] `head.bytes` is a copy of the head and every span points into it.
///
/// # Errors
/// The first violation; the connection cannot be used any more.
pub fn parse_response(input: &[u8], limits: &HeadLimits, head: &mut ResponseHead) -> Result<Parsed, Reject> {
    head.clear();
    let most = limits.head_bytes.min(bounds::HEAD_BYTES_MAX);
    let window = input.get(..most).unwrap_or(input);
    let end = match clean_head_end(window, limits) {
        None => head_end(window, limits)?,
        end => end,
    };
    let Some(head_bytes) = end else {
        return if window.len() == most { Err(Reject::HeadTooLarge) } else { Ok(Parsed::Partial) };
    };
    let bytes = window.get(..head_bytes).unwrap_or_default();
    let mut slots = [const { MaybeUninit::uninit() }; bounds::FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let outcome =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut slots);
    match outcome {
        Ok(httparse::Status::Complete(end)) if end == head_bytes => {}
        Ok(_) => return Err(Reject::BadStatus),
        Err(error) => return Err(refusal(error, bytes)),
    }
    head.status = response.code.filter(|code| (100..=599).contains(code)).ok_or(Reject::BadStatus)?;
    head.version = if response.version == Some(0) { Version::Http10 } else { Version::Http11 };
    head.reason_span = span_in(bytes, response.reason.unwrap_or_default().as_bytes());
    for field in response.headers.iter() {
        let name = field.name.as_bytes();
        let value = syntax::trim(field.value);
        head.fields.push(Field { name: span_in(bytes, name), value: span_in(bytes, value), id: FieldId::of(name) });
    }
    head.bytes.extend_from_slice(bytes);
    Ok(Parsed::Complete { head_bytes })
}

/// End of a complete head without a bare CR or LF and within the bound of lines; nothing for any other.
fn clean_head_end(window: &[u8], limits: &HeadLimits) -> Option<usize> {
    let (mut line, mut lines) = (0, 0);
    for feed in memchr::memchr_iter(b'\n', window) {
        if feed == 0 || window.get(feed - 1) != Some(&b'\r') {
            return None;
        }
        lines += 1;
        if feed == line + 1 {
            let bytes = window.get(..=feed)?;
            let clean = memchr::memchr_iter(b'\r', bytes).count() == lines;
            return (clean && lines > 1 && lines <= fields_max(limits) + 2).then_some(feed + 1);
        }
        line = feed + 1;
    }
    None
}

/// End of the head, found line by line, which gives a violation its name; nothing while it is incomplete.
#[cold]
fn head_end(window: &[u8], limits: &HeadLimits) -> Result<Option<usize>, Reject> {
    let (mut line, mut lines) = (0, 0);
    loop {
        let rest = window.get(line..).unwrap_or_default();
        let Some(length) = memchr::memchr2(b'\r', b'\n', rest) else { return Ok(None) };
        match rest.get(length..) {
            Some([b'\r', b'\n', ..]) => {}
            Some([b'\r']) => return Ok(None),
            Some([b'\n', ..]) => return Err(Reject::BareLf),
            _ => return Err(Reject::BareCr),
        }
        line += length + 2;
        match length {
            0 if lines == 0 => return Err(Reject::BadVersion),
            0 => return Ok(Some(line)),
            _ => lines += 1,
        }
        // The status line is the one line that is not a field.
        if lines > fields_max(limits) + 1 {
            return Err(Reject::TooManyFields);
        }
    }
}

fn fields_max(limits: &HeadLimits) -> usize {
    limits.fields.min(bounds::FIELDS_MAX)
}

/// The name of what httparse refused.
#[cold]
fn refusal(error: httparse::Error, bytes: &[u8]) -> Reject {
    match error {
        httparse::Error::Version => match bytes.get(..8) {
            Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                Reject::VersionUnsupported
            }
            _ => Reject::BadVersion,
        },
        httparse::Error::Status => Reject::BadStatus,
        httparse::Error::HeaderValue => Reject::BadFieldValue,
        httparse::Error::TooManyHeaders => Reject::TooManyFields,
        httparse::Error::HeaderName | httparse::Error::NewLine | httparse::Error::Token => refused_line(bytes),
    }
}

/// Looks again for the line that httparse stopped at.
#[cold]
fn refused_line(bytes: &[u8]) -> Reject {
    for line in bytes.split(|b| *b == b'\n').skip(1) {
        let name_end = line.iter().position(|b| !syntax::is_token_byte(*b)).unwrap_or(line.len());
        match line.get(name_end) {
            Some(b':') if name_end > 0 => {}
            Some(b' ' | b'\t') if name_end == 0 => return Reject::ObsFold,
            Some(b' ' | b'\t') => return Reject::SpaceBeforeColon,
            Some(b'\r') if name_end == 0 => break,
            Some(b'\r') => return Reject::BadFieldName,
            Some(0..0x20 | 0x7f) => return Reject::ControlByte,
            _ => return Reject::BadFieldName,
        }
    }
    Reject::BadStatus
}

/// The span of a part of `bytes`; empty for a slice from elsewhere.
fn span_in(bytes: &[u8], part: &[u8]) -> Span {
    let start = (part.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
    if start > bytes.len() || part.is_empty() {
        return Span::default();
    }
    Span { start: start as u16, len: part.len() as u16 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<ResponseHead, Reject> {
        crate::h1::fuzz::response_head(input);
        let mut head = ResponseHead::default();
        match parse_response(input, &HeadLimits::default(), &mut head)? {
            Parsed::Complete { head_bytes } => assert_eq!(head_bytes, head.bytes.len()),
            Parsed::Partial => panic!("incomplete: {}", input.escape_ascii()),
        }
        Ok(head)
    }

    #[test]
    fn a_head_is_indexed() {
        let head = read(b"HTTP/1.1 404 Not  Found\r\nServer: x\r\nX-A:  b \t\r\nVary:\r\n\r\nbody").unwrap();
        assert_eq!((head.status, head.version, head.reason()), (404, Version::Http11, &b"Not  Found"[..]));
        let fields: Vec<_> = head.fields().map(|f| (f.id, f.name, f.value)).collect();
        assert_eq!(fields[0], (FieldId::Server, &b"Server"[..], &b"x"[..]));
        assert_eq!(fields[1], (FieldId::Other, &b"X-A"[..], &b"b"[..]));
        assert_eq!(fields[2], (FieldId::Vary, &b"Vary"[..], &b""[..]));
        assert!(head.bytes.ends_with(b"\r\n\r\n"));
        assert_eq!(read(b"HTTP/1.0 200 \r\n\r\n").unwrap().version, Version::Http10);
        assert_eq!(read(b"HTTP/1.1 200\r\n\r\n").unwrap().reason(), b"", "a common omission of the space");
    }

    #[test]
    fn violations_have_their_names() {
        let cases: &[(&[u8], Reject)] = &[
            (b"\r\nHTTP/1.1 200 OK\r\n\r\n", Reject::BadVersion),
            (b"HTTP/1.1 200 OK\n\r\n", Reject::BareLf),
            (b"HTTP/1.1 200 OK\r\nA: b\n\r\n", Reject::BareLf),
            (b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", Reject::BareCr),
            (b"HTTP/2.0 200 OK\r\n\r\n", Reject::VersionUnsupported),
            (b"HTTP/1.2 200 OK\r\n\r\n", Reject::VersionUnsupported),
            (b"ICY 200 OK\r\n\r\n", Reject::BadVersion),
            (b"HTTP/1.1 099 OK\r\n\r\n", Reject::BadStatus),
            (b"HTTP/1.1 600 OK\r\n\r\n", Reject::BadStatus),
            (b"HTTP/1.1 20 OK\r\n\r\n", Reject::BadStatus),
            (b"HTTP/1.1 2000 OK\r\n\r\n", Reject::BadStatus),
            (b"HTTP/1.1  200 OK\r\n\r\n", Reject::BadStatus),
            (b"HTTP/1.1 200 O\0K\r\n\r\n", Reject::BadStatus),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Reject::ObsFold),
            (b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", Reject::ObsFold),
            (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Reject::SpaceBeforeColon),
            (b"HTTP/1.1 200 OK\r\nA\r\n\r\n", Reject::BadFieldName),
            (b"HTTP/1.1 200 OK\r\n: b\r\n\r\n", Reject::BadFieldName),
            (b"HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n", Reject::ControlByte),
            (b"HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", Reject::BadFieldValue),
        ];
        for (input, reject) in cases {
            assert_eq!(read(input).map(|_| ()), Err(*reject), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn bounds_hold_to_the_byte() {
        let limits = HeadLimits { head_bytes: 40, request_line_bytes: 0, fields: 2 };
        let verdict = |input: &str| parse_response(input.as_bytes(), &limits, &mut ResponseHead::default());
        let start = "HTTP/1.1 200 OK\r\n";
        let of = |value: usize| format!("{start}a: {}\r\n\r\n", "b".repeat(value));
        assert_eq!(verdict(&of(16)), Ok(Parsed::Complete { head_bytes: 40 }));
        assert_eq!(verdict(&of(17)), Err(Reject::HeadTooLarge));
        assert_eq!(verdict(&of(17)[..39]), Ok(Parsed::Partial));
        assert_eq!(verdict(&format!("{start}a:b\r\nc:d\r\n\r\n")), Ok(Parsed::Complete { head_bytes: 29 }));
        assert_eq!(verdict(&format!("{start}a:b\r\nc:d\r\ne:f\r\n\r\n")), Err(Reject::TooManyFields));
    }
}
