//! Phase 2: who reads a body, and what is said of it as a whole.
//!
//! REQUEST_BODY is there for every body but multipart ones that can be read, JSON and XML included: rules that look for words in a JSON
//! body look there. (ModSecurity fills it for forms only, unless it is forced to.)
//!
//! The Content-Type is the client's word, and many servers read JSON whatever it says: what looks like JSON is read as
//! such, too, also in UTF-16 and UTF-32, which json.loads of Python takes.

use super::super::model::{BodyProcessor, Variable};
use super::arena::Copied;
use super::{Fault, Input, json, multipart, urlencoded, xml};

/// See [`Input::read_body`].
pub(super) fn read(
    input: &mut Input,
    body: &[u8],
    forced: Option<BodyProcessor>,
    whole: bool,
    force_body_variable: bool,
) {
    let processor = name_processor(input, forced);
    let length = input.arena.push_number(body.len() as u64);
    input.singles.set(Variable::RequestBodyLength, length);
    if body.is_empty() {
        return;
    }
    let span = input.arena.push(body);
    let copy = Copied::new(span);
    if processor != Some(BodyProcessor::Multipart) || force_body_variable {
        input.singles.set(Variable::RequestBody, span);
    }
    let verdict = match processor {
        Some(BodyProcessor::UrlEncoded) => {
            urlencoded::read(input, body, copy);
            Ok(())
        }
        Some(BodyProcessor::Multipart) => multipart::read(input, body, copy),
        Some(BodyProcessor::Json) => as_json(input, body, copy, json::Into::Args),
        Some(BodyProcessor::Xml) => xml::read(input, body, copy),
        None => Ok(()),
    };
    match verdict {
        Err(Fault::Incomplete) if !whole => {}
        Err(fault) => {
            // Of what could not be divided the whole is shown, so that nothing goes unseen.
            input.singles.set(Variable::RequestBody, span);
            input.fail(fault);
        }
        Ok(()) => {}
    }
    if processor != Some(BodyProcessor::Json) && looks_like_json(body) {
        // That it is none is no fault: nobody said that it is.
        let _ = as_json(input, body, copy, json::Into::Args);
    } else if processor.is_none() && body.trim_ascii_start().starts_with(b"<") {
        let _ = xml::read(input, body, copy);
    }
    input.state_fault();
    input.state_args_size();
}

fn as_json(input: &mut Input, body: &[u8], copy: Copied, into: json::Into) -> Result<(), Fault> {
    let Some(wide) = Wide::of(body) else { return json::read(input, body, copy, into) };
    let text = wide.to_utf8(body);
    let copy = Copied::new(input.arena.push(&text));
    json::read(input, &text, copy, into)
}

/// UTF-16 or UTF-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wide {
    /// 2 or 4.
    unit_bytes: usize,
    big_endian: bool,
}

impl Wide {
    /// The encoding of a JSON text, by its mark or by where its first two characters, which are ASCII, have zeros
    /// (RFC 4627 §3). `None`: UTF-8.
    fn of(body: &[u8]) -> Option<Self> {
        let (unit_bytes, big_endian) = match body {
            [0xff, 0xfe, 0, 0, ..] => (4, false),
            [0, 0, 0xfe, 0xff, ..] => (4, true),
            [0xff, 0xfe, ..] => (2, false),
            [0xfe, 0xff, ..] => (2, true),
            [0, 0, 0, _, ..] => (4, true),
            [first, 0, 0, 0, ..] if *first != 0 => (4, false),
            [0, second, ..] if *second != 0 => (2, true),
            [first, 0, ..] if *first != 0 => (2, false),
            _ => return None,
        };
        Some(Self { unit_bytes, big_endian })
    }

    /// The text without its mark; what is no character is U+FFFD.
    fn to_utf8(self, body: &[u8]) -> Vec<u8> {
        let unit = |bytes: &[u8]| {
            let add = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
            if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
        };
        let units = body.chunks_exact(self.unit_bytes).map(unit);
        let units =
            units.skip(usize::from(matches!(body, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff, ..])));
        let text: String = if self.unit_bytes == 4 {
            units.map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        } else {
            let units = units.map(|unit| u16::try_from(unit).unwrap_or_default());
            char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        };
        text.into_bytes()
    }
}

fn looks_like_json(body: &[u8]) -> bool {
    let rest = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // Marks and zeros: UTF-16 and UTF-32.
    let first = rest.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0 | 0xfe | 0xff));
    matches!(first, Some(b'{' | b'['))
}

/// Writes REQBODY_PROCESSOR: what a rule forces, else what the Content-Type says.
pub(super) fn name_processor(input: &mut Input, forced: Option<BodyProcessor>) -> Option<BodyProcessor> {
    let processor = forced.or_else(|| of_type(input.bytes(input.content_type)));
    let name: &[u8] = match processor {
        Some(BodyProcessor::UrlEncoded) => b"URLENCODED",
        Some(BodyProcessor::Multipart) => b"MULTIPART",
        Some(BodyProcessor::Json) => b"JSON",
        Some(BodyProcessor::Xml) => b"XML",
        None => b"",
    };
    let span = input.arena.push(name);
    input.singles.set(Variable::ReqbodyProcessor, span);
    processor
}

/// Who reads a media type (RFC 9110 §8.3.1; `+json` and `+xml`: RFC 6839).
fn of_type(content_type: &[u8]) -> Option<BodyProcessor> {
    // Some servers end the type at a blank, too.
    let is_end = |byte: &u8| matches!(byte, b';' | b',' | b' ' | b'\t');
    let content_type = content_type.trim_ascii();
    let end = content_type.iter().position(is_end).unwrap_or(content_type.len());
    let essence = content_type.get(..end).unwrap_or_default();
    let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
    let ends = |suffix: &str| {
        let at = essence.len().checked_sub(suffix.len());
        at.and_then(|at| essence.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
    };
    if is("application/json") || is("text/json") || ends("+json") {
        Some(BodyProcessor::Json)
    } else if is("application/x-www-form-urlencoded") {
        Some(BodyProcessor::UrlEncoded)
    } else if is("multipart/form-data") {
        Some(BodyProcessor::Multipart)
    } else if is("application/xml") || is("text/xml") || ends("+xml") {
        Some(BodyProcessor::Xml)
    } else {
        None
    }
}
