//! Trailer sections of chunked bodies (RFC 9112 §7.1.2): collected, checked as field lines, filtered.
//!
//! Fields that say how a message is framed, routed, authenticated or understood are dropped (RFC 9110 §6.5.1): whoever
//! merges trailers into a head must not be led by them.

use super::Reject;
use crate::bounds;
use crate::http::{FieldId, syntax};

/// A trailer section in the making. 40 bytes and what it holds, at most [`bounds::TRAILER_BYTES_MAX`].
#[derive(Clone, Debug, Default)]
pub(super) struct Trailers {
    /// Finished lines, then the current one from `line` on. `line <= bytes.len()`.
    bytes: Vec<u8>,
    line: usize,
    /// Bytes of the section so far, dropped ones included.
    taken: usize,
}

impl Trailers {
    /// Takes bytes of the section from the front of `input`: how many, and whether the section ended with them.
    pub(super) fn take(&mut self, input: &[u8]) -> Result<(usize, bool), Reject> {
        // Nearly every body ends without trailers: the empty line alone takes no memory.
        if self.taken == 0 && input.starts_with(b"\r\n") {
            return Ok((2, true));
        }
        let mut used = 0;
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            let line_end = memchr::memchr(b'\n', rest);
            let part = line_end.and_then(|end| rest.get(..=end)).unwrap_or(rest);
            self.taken = self.taken.saturating_add(part.len());
            if self.taken > bounds::TRAILER_BYTES_MAX {
                return Err(Reject::TrailerTooLarge);
            }
            self.bytes.extend_from_slice(part);
            used += part.len();
            if line_end.is_some() && self.finish_line()? {
                return Ok((used, true));
            }
        }
        Ok((used, false))
    }

    /// The finished lines, each `Name: value` and CRLF.
    pub(super) fn into_lines(mut self) -> Vec<u8> {
        self.bytes.truncate(self.line);
        self.bytes
    }

    /// Judges the current line; whether it was the empty one.
    fn finish_line(&mut self) -> Result<bool, Reject> {
        let line = self.bytes.split_off(self.line);
        let [text @ .., b'\r', b'\n'] = line.as_slice() else { return Err(Reject::BareLf) };
        if text.is_empty() {
            return Ok(true);
        }
        if text.contains(&b'\r') {
            return Err(Reject::BareCr);
        }
        let colon = memchr::memchr(b':', text).ok_or(Reject::TrailerBad)?;
        let (name, value) = text.split_at(colon);
        let value = syntax::trim(value.get(1..).unwrap_or_default());
        if !syntax::is_token(name) || !syntax::is_value(value) {
            return Err(Reject::TrailerBad);
        }
        if is_allowed(name) {
            for part in [name, b": ", value, b"\r\n"] {
                self.bytes.extend_from_slice(part);
            }
        }
        self.line = self.bytes.len();
        Ok(false)
    }
}

/// Whether a field may come in a trailer section.
fn is_allowed(name: &[u8]) -> bool {
    match FieldId::of(name) {
        // RFC 9110 §8.8.3 allows it explicitly.
        FieldId::Etag => true,
        FieldId::Other => {
            !REFUSED.iter().any(|refused| refused.eq_ignore_ascii_case(name)) && !has_content_prefix(name)
        }
        // All known names are known because they steer something.
        _ => false,
    }
}

/// Names that must not come in a trailer section and have no number.
const REFUSED: &[&[u8]] = &[
    b"authentication-info",
    b"if-unmodified-since",
    b"max-forwards",
    b"pragma",
    b"proxy-authentication-info",
    b"set-cookie2",
    b"strict-transport-security",
    b"warning",
    b"www-authenticate",
];

/// `content-*` describes the representation, which must be known before it; but a digest of it is made at its end
/// (RFC 9530 §2).
fn has_content_prefix(name: &[u8]) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
        && !name.eq_ignore_ascii_case(b"content-digest")
}
