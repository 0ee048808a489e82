//! A request taken apart into what rules look at: the variables of SecLang as ranges of one arena.
//!
//! Owns a copy of the head and of the inspected part of the body; everything that needs no decoding is a range of these.
//! Decides nothing and never fails: what cannot be read sets REQBODY_ERROR, and the raw bytes stay in REQUEST_BODY. Any
//! bytes are safe input. `clear` keeps the memory, so a warm core takes requests apart without allocating.

mod arena;
mod body;
mod fault;
mod head;
mod json;
mod json_path;
mod multipart;
mod names;
mod urlencoded;
mod xml;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use arena::{Arena, Collection, Singles};
use fault::Fault;
pub use json_path::json_path_matches;
pub use names::variable_name;

use super::model::{BodyProcessor, Variable};
use crate::http::RequestHead;

/// Arguments of one request, query and body together; requests with many tools come to thousands. More are not taken apart. What is behind the last one stands in it
/// undivided, so that nothing goes unseen, and REQBODY_ERROR is 1.
pub const ARGS_MAX: usize = 4_000;
/// Cookies of one request; the last one holds the rest undivided.
pub const COOKIES_MAX: usize = 256;
/// How deep JSON and XML may be nested: twice what generated schemas come to, and no recursion depends on it.
pub const DEPTH_MAX: usize = 128;
/// Bytes of the name of a JSON field, its path included: names repeat the path, so that they could outgrow the body.
/// The deepest arrays fit.
pub const JSON_NAME_BYTES_MAX: usize = 1_280;
/// Elements of JSON arrays that are numbers, `true`, `false` or `null` and become arguments: prompts of token ids have
/// thousands, which no rule has a question about. Those behind stand in REQUEST_BODY only.
pub const JSON_SCALARS_MAX: usize = 256;
/// Parts of a multipart body.
pub const PARTS_MAX: usize = 512;
/// Bytes of memory that `clear` keeps: a core that has seen one large body does not hold it for ever.
pub const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// The head of a request and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct HeadView<'a> {
    pub head: &'a RequestHead,
    /// Who asks, as far as the gateway believes it.
    pub client: SocketAddr,
    /// Where it was asked.
    pub server: Option<SocketAddr>,
    /// Milliseconds since the epoch.
    pub unix_ms: u64,
    pub request_id: &'a [u8],
}

/// A range of an [`Input`]'s bytes.
///
/// Invariant: `start <= end`, and both lie within the arena of the input that gave it, until its next `clear`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// How many bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there are no bytes.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A value and the name under which it stands in its variable: `prompt` of `ARGS:prompt`; empty for single values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub name: Span,
    pub value: Span,
}

/// A request taken apart. About 1 KiB, and the arena: head, inspected body, decoded values.
#[derive(Debug, Default)]
pub struct Input {
    arena: Arena,
    singles: Singles,
    /// Those of the query first, `args_get` of them.
    args: Collection,
    args_get: usize,
    headers: Collection,
    cookies: Collection,
    /// Value = name of the file.
    files: Vec<Entry>,
    /// Value = name of the field.
    file_names: Vec<Entry>,
    file_sizes: Vec<Entry>,
    part_headers: Vec<Entry>,
    json: Vec<Entry>,
    xml_attributes: Vec<Entry>,
    content_type: Span,
    fault: Option<Fault>,
    json_scratch: json::Scratch,
}

impl Input {
    /// Forgets the request; keeps the memory up to [`KEPT_BYTES_MAX`].
    pub fn clear(&mut self) {
        if self.arena.memory_bytes() > KEPT_BYTES_MAX {
            *self = Self::default();
            return;
        }
        self.arena.clear();
        self.singles.clear();
        self.args.clear();
        self.args_get = 0;
        self.headers.clear();
        self.cookies.clear();
        for list in [
            &mut self.files,
            &mut self.file_names,
            &mut self.file_sizes,
            &mut self.part_headers,
            &mut self.json,
            &mut self.xml_attributes,
        ] {
            list.clear();
        }
        self.content_type = Span::default();
        self.fault = None;
    }

    /// Takes the head apart: phase 1. Call `clear` before.
    pub fn read_head(&mut self, view: &HeadView<'_>) {
        head::read(self, view);
    }

    /// Takes the body apart: phase 2, once per request, after `read_head`; an empty body is one, too.
    ///
    /// `processor`: what reads it, where a rule says so; else its Content-Type does. `whole`: false when `body` is only the
    /// beginning; then what could be read is given, and the cut itself is no error. `force_body_variable`: REQUEST_BODY
    /// for multipart bodies, too, which have none otherwise.
    pub fn read_body(&mut self, body: &[u8], processor: Option<BodyProcessor>, whole: bool, force_body_variable: bool) {
        body::read(self, body, processor, whole, force_body_variable);
    }

    /// All entries of a variable: of a single value one with an empty name, of what is not there none.
    ///
    /// What belongs to the judging of rules (TX, MATCHED_*, RULE, DURATION) is not here: none.
    #[inline]
    pub fn entries(&self, variable: Variable) -> &[Entry] {
        let (args, names) = (&self.args.values, &self.args.names);
        match variable {
            Variable::Args => args,
            Variable::ArgsGet => args.get(..self.args_get).unwrap_or_default(),
            Variable::ArgsPost => args.get(self.args_get..).unwrap_or_default(),
            Variable::ArgsNames => names,
            Variable::ArgsGetNames => names.get(..self.args_get).unwrap_or_default(),
            Variable::ArgsPostNames => names.get(self.args_get..).unwrap_or_default(),
            Variable::RequestHeaders => &self.headers.values,
            Variable::RequestHeadersNames => &self.headers.names,
            Variable::RequestCookies => &self.cookies.values,
            Variable::RequestCookiesNames => &self.cookies.names,
            Variable::Files => &self.files,
            Variable::FilesNames => &self.file_names,
            Variable::FilesSizes => &self.file_sizes,
            Variable::MultipartPartHeaders => &self.part_headers,
            Variable::Json => &self.json,
            Variable::XmlAttributes => &self.xml_attributes,
            single => self.singles.entries(single),
        }
    }

    /// The bytes of a span of this input.
    #[inline]
    pub fn bytes(&self, span: Span) -> &[u8] {
        self.arena.bytes(span)
    }

    /// Notes why a body cannot be read; the first reason stays.
    fn fail(&mut self, fault: Fault) {
        if self.fault.is_none() {
            self.fault = Some(fault);
        }
    }

    /// Writes REQBODY_ERROR and what goes with it.
    fn state_fault(&mut self) {
        let flag: &[u8] = if self.fault.is_some() { b"1" } else { b"0" };
        let span = self.arena.push(flag);
        self.singles.set(Variable::ReqbodyError, span);
        if let Some(fault) = self.fault {
            let text = self.arena.push(fault.text().as_bytes());
            self.singles.set(Variable::ReqbodyErrorMsg, text);
        }
    }

    /// Writes ARGS_COMBINED_SIZE: bytes of all names and values.
    fn state_args_size(&mut self) {
        let bytes: usize = self.args.values.iter().map(|arg| arg.name.len() + arg.value.len()).sum();
        let span = self.arena.push_number(bytes as u64);
        self.singles.set(Variable::ArgsCombinedSize, span);
    }
}
