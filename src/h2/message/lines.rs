//! Text of HTTP/1.1 that this process wrote itself, taken apart: start line, field lines, empty line.
//!
//! Not a reader for what peers send. What does not look as `proxy` writes it is a fault of this house and ends the
//! stream; nothing is repaired.

use super::check;
use crate::http::{FieldId, syntax};

/// What is wrong with text that this process wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadText {
    /// The head goes on beyond the text.
    Incomplete,
    /// The first line is no status line, or no request line.
    StartLine,
    /// A line is no field line.
    FieldLine,
    /// Content-Length is no number, there are two, or chunked stands beside it or is not alone.
    Framing,
    /// Chunk framing that is not as it is written here.
    Chunk,
    /// A trailer section beyond its bound.
    TrailersTooLarge,
    /// Text behind the end of the message.
    Surplus,
}

impl BadText {
    /// The name under which the fault is logged.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "text_incomplete",
            Self::StartLine => "text_start_line",
            Self::FieldLine => "text_field_line",
            Self::Framing => "text_framing",
            Self::Chunk => "text_chunk",
            Self::TrailersTooLarge => "text_trailers_too_large",
            Self::Surplus => "text_surplus",
        }
    }
}

impl std::fmt::Display for BadText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for BadText {}

/// One field line of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'t> {
    pub id: FieldId,
    /// In any case.
    pub name: &'t [u8],
    pub value: &'t [u8],
}

/// The lines of a text from some line on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'t> {
    /// What was not taken yet; starts at a line.
    pub rest: &'t [u8],
}

impl<'t> Lines<'t> {
    /// Takes the next line, without its CRLF.
    #[inline]
    pub fn start_line(&mut self) -> Result<&'t [u8], BadText> {
        let feed = memchr::memchr(b'\n', self.rest).ok_or(BadText::Incomplete)?;
        let (line, rest) = self.rest.split_at(feed);
        self.rest = rest.get(1..).unwrap_or_default();
        line.strip_suffix(b"\r").ok_or(BadText::FieldLine)
    }

    /// Takes the next field line; nothing where it was the empty one.
    #[inline]
    pub fn field(&mut self) -> Result<Option<Line<'t>>, BadText> {
        let line = self.start_line()?;
        if line.is_empty() {
            return Ok(None);
        }
        let colon = memchr::memchr(b':', line).ok_or(BadText::FieldLine)?;
        let (name, value) = line.split_at(colon);
        let mut value = value.get(1..).unwrap_or_default();
        // Nearly all values follow one space.
        if let [b' ', rest @ ..] = value {
            value = rest;
        }
        if matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t']) {
            value = syntax::trim(value);
        }
        // What came from elsewhere was judged when it came; a stray CR would be read by others as the end of a line.
        if name.is_empty() || !check::is_value(value) {
            return Err(BadText::FieldLine);
        }
        Ok(Some(Line { id: FieldId::of(name), name, value }))
    }
}

/// What the fields of a text say about the body behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Framing {
    pub length: Option<u64>,
    pub chunked: bool,
}

impl Framing {
    /// Takes note of Content-Length or Transfer-Encoding.
    pub fn take(&mut self, line: &Line<'_>) -> Result<(), BadText> {
        match line.id {
            FieldId::ContentLength if self.length.is_none() && !self.chunked => {
                self.length = Some(check::length(line.value).ok_or(BadText::Framing)?);
                Ok(())
            }
            FieldId::TransferEncoding
                if self.length.is_none() && !self.chunked && line.value.eq_ignore_ascii_case(b"chunked") =>
            {
                self.chunked = true;
                Ok(())
            }
            FieldId::ContentLength | FieldId::TransferEncoding => Err(BadText::Framing),
            _ => Ok(()),
        }
    }
}
