//! Memory of a request that was taken apart: one run of bytes, lists of entries, and a slot per single value.
//!
//! Hands out spans and never moves what they mean: bytes are only appended until the next `clear`.

use super::super::model::Variable;
use super::{Entry, Span};

/// More is never put into an arena: spans are 32 bits wide. Far above what is inspected of a body.
const ARENA_BYTES_MAX: usize = 1 << 30;

/// The bytes that spans point into.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
}

impl Arena {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The bytes of a span; empty where it lies outside.
    #[inline]
    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Where the next byte goes.
    #[inline]
    pub(super) fn end(&self) -> u32 {
        self.bytes.len() as u32
    }

    /// The span of everything since `start`, which [`end`](Self::end) gave.
    #[inline]
    pub(super) fn since(&self, start: u32) -> Span {
        Span { start: start.min(self.end()), end: self.end() }
    }

    /// Appends bytes, as many as there is room for.
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) -> Span {
        let start = self.end();
        let room = ARENA_BYTES_MAX - self.bytes.len();
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.since(start)
    }

    /// Makes room for bytes to come.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Appends one byte.
    #[inline]
    pub(super) fn push_byte(&mut self, byte: u8) {
        if self.bytes.len() < ARENA_BYTES_MAX {
            self.bytes.push(byte);
        }
    }

    /// Appends a number in decimal.
    pub(super) fn push_number(&mut self, number: u64) -> Span {
        self.push(itoa::Buffer::new().format(number).as_bytes())
    }

    /// Appends what a value displays as.
    pub(super) fn push_display(&mut self, value: impl std::fmt::Display) -> Span {
        use std::io::Write;
        let start = self.end();
        // Writing to memory does not fail; what a display refuses to say is left out.
        let _ = write!(self.bytes, "{value}");
        self.since(start)
    }
}

/// A part of a text that is in the arena already, found again by its offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    start: u32,
    len: u32,
}

impl Copied {
    pub(super) fn new(whole: Span) -> Self {
        Self { start: whole.start, len: whole.end - whole.start }
    }

    /// The span of `from..to` of the text; cut to what was copied.
    #[inline]
    pub(super) fn span(self, from: usize, to: usize) -> Span {
        let to = to.min(self.len as usize);
        let from = from.min(to);
        Span { start: self.start + from as u32, end: self.start + to as u32 }
    }
}

/// A variable of many members, and that of their names: entry for entry.
#[derive(Debug, Default)]
pub(super) struct Collection {
    pub(super) values: Vec<Entry>,
    pub(super) names: Vec<Entry>,
}

impl Collection {
    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.names.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    #[inline]
    pub(super) fn push(&mut self, name: Span, value: Span) {
        self.values.push(Entry { name, value });
        self.names.push(Entry { name, value: name });
    }
}

/// Single values: variables that are there once or not at all.
#[derive(Debug)]
pub(super) struct Singles {
    /// Nothing = not there. Kept as slices of one, to be lent as such.
    slots: [Option<[Entry; 1]>; SINGLES],
}

impl Default for Singles {
    fn default() -> Self {
        Self { slots: [None; SINGLES] }
    }
}

impl Singles {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn set(&mut self, variable: Variable, value: Span) {
        if let Some(slot) = slot(variable).and_then(|slot| self.slots.get_mut(slot)) {
            *slot = Some([Entry { name: Span::default(), value }]);
        }
    }

    #[inline]
    pub(super) fn entries(&self, variable: Variable) -> &[Entry] {
        match slot(variable).and_then(|slot| self.slots.get(slot)) {
            Some(Some(entry)) => entry,
            _ => &[],
        }
    }
}

/// How many variables [`slot`] knows.
const SINGLES: usize = 26;

/// Where a single value stands; nothing for collections and for what others own.
fn slot(variable: Variable) -> Option<usize> {
    Some(match variable {
        Variable::ArgsCombinedSize => 0,
        Variable::FilesCombinedSize => 1,
        Variable::MultipartStrictError => 2,
        Variable::MultipartUnmatchedBoundary => 3,
        Variable::QueryString => 4,
        Variable::RemoteAddr => 5,
        Variable::RemotePort => 6,
        Variable::ReqbodyError => 7,
        Variable::ReqbodyErrorMsg => 8,
        Variable::ReqbodyProcessor => 9,
        Variable::RequestBasename => 10,
        Variable::RequestBody => 11,
        Variable::RequestBodyLength => 12,
        Variable::RequestFilename => 13,
        Variable::RequestLine => 14,
        Variable::RequestMethod => 15,
        Variable::RequestProtocol => 16,
        Variable::RequestUri => 17,
        Variable::RequestUriRaw => 18,
        Variable::ServerAddr => 19,
        Variable::ServerName => 20,
        Variable::ServerPort => 21,
        Variable::TimeEpoch => 22,
        Variable::UniqueId => 23,
        Variable::UrlencodedError => 24,
        Variable::XmlText => 25,
        _ => return None,
    })
}
