//! Phase 2: who reads a body, and what is said of it as a whole.
//!
//! REQUEST_BODY is there for every body but multipart ones that can be read, JSON and XML included: rules that look for words in a JSON
//! body look there. (ModSecurity fills it for forms only, unless it is forced to.)

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
        Some(BodyProcessor::Json) => json::read(input, body, copy, json::Into::Args),
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
    if matches!(processor, None | Some(BodyProcessor::UrlEncoded)) && looks_like_json(body) {
        // Clients post JSON under any name, and servers read it all the same: `JSON:path` must see it.
        let _ = json::read(input, body, copy, json::Into::JsonOnly);
    }
    input.state_fault();
    input.state_args_size();
}

fn looks_like_json(body: &[u8]) -> bool {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
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
    let end = content_type.iter().position(|byte| matches!(byte, b';' | b',')).unwrap_or(content_type.len());
    let essence = content_type.get(..end).unwrap_or_default().trim_ascii();
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
