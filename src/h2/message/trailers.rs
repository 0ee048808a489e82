//! Trailer sections (RFC 9113 §8.1): lines of text into a block, and the lines of a block into text.
//!
//! What a trailer may mean is not judged here: the reader of chunked bodies filters by name (RFC 9110 §6.5.1). Here only
//! that passes which has one meaning in both versions.

use super::Malformed;
use super::check;
use super::lines::{BadText, Lines};
use crate::bounds;
use crate::h2::hpack::{Encoder, FieldLine};
use crate::http::{FieldId, syntax};

/// Appends the block of a trailer section; `lines` are `Name: value` and CRLF each, without an empty line.
///
/// What would say something about the connection or the framing is left out. The block stays empty when no line is left:
/// then the stream ends with DATA.
///
/// # Errors
/// Lines that are no field lines. The encoder was not touched then.
pub fn encode_trailers(encoder: &mut Encoder, lines: &[u8], block: &mut Vec<u8>) -> Result<(), BadText> {
    let kept = |name: &[u8], id| syntax::is_token(name) && !is_left_out(id);
    let mut any = false;
    let mut survey = Lines { rest: lines };
    while !survey.rest.is_empty() {
        let line = survey.field()?.ok_or(BadText::FieldLine)?;
        any |= kept(line.name, line.id);
    }
    if !any {
        return Ok(());
    }
    encoder.begin(block);
    let mut lines = Lines { rest: lines };
    while !lines.rest.is_empty() {
        let line = lines.field()?.ok_or(BadText::FieldLine)?;
        if kept(line.name, line.id) {
            encoder.field(block, line.id, line.name, line.value);
        }
    }
    Ok(())
}

fn is_left_out(id: FieldId) -> bool {
    check::is_of_connection(id) || matches!(id, FieldId::Te | FieldId::ContentLength | FieldId::Host | FieldId::Trailer)
}

/// Collects the lines of a trailer block as text, `name: value` and CRLF each, appended to a buffer.
#[derive(Debug)]
pub struct TrailerBuilder<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    /// Bytes that may still come.
    bytes_left: usize,
    problem: Option<Malformed>,
}

impl<'o> TrailerBuilder<'o> {
    /// A builder that appends to `out` at most [`bounds::TRAILER_BYTES_MAX`], an empty line behind it included.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start, bytes_left: bounds::TRAILER_BYTES_MAX - 2, problem: None }
    }

    /// Takes the next line. Never fails: the first problem is remembered, and nothing is copied after it.
    pub fn line(&mut self, line: FieldLine<'_>) {
        if self.problem.is_none() {
            self.problem = self.take(line).err();
        }
    }

    /// Ends the section.
    ///
    /// # Errors
    /// The first problem of the lines; the buffer is as it was before.
    pub fn finish(self) -> Result<(), Malformed> {
        match self.problem {
            None => Ok(()),
            Some(problem) => {
                self.out.truncate(self.start);
                Err(problem)
            }
        }
    }

    fn take(&mut self, line: FieldLine<'_>) -> Result<(), Malformed> {
        if line.name.first() == Some(&b':') {
            return Err(Malformed::PseudoForbidden);
        }
        check::name(line.id, line.name)?;
        check::value(line.value)?;
        check::hop(line.id, line.value)?;
        let cost = line.name.len() + line.value.len() + 4;
        self.bytes_left = self.bytes_left.checked_sub(cost).ok_or(Malformed::TooLarge)?;
        for part in [line.name, b": ", line.value, b"\r\n"] {
            self.out.extend_from_slice(part);
        }
        Ok(())
    }
}
