//! Heads of requests and responses: one owned buffer and an index of ranges into it.
//!
//! A head is reusable: `clear` keeps the memory, so a warm connection parses without allocating.

use super::{FieldId, Method, Version};

/// A range inside the bytes of one head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    pub start: u16,
    pub len: u16,
}

impl Span {
    /// The bytes of this range; empty where the range lies outside of `bytes`.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        let start = usize::from(self.start);
        bytes.get(start..start + usize::from(self.len)).unwrap_or_default()
    }
}

/// One field line: known number, name and value. 10 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Field {
    pub name: Span,
    pub value: Span,
    pub id: FieldId,
}

/// Head of a request. `bytes` holds the head as it came, request line to empty line.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    pub bytes: Vec<u8>,
    pub method: Method,
    pub method_span: Span,
    /// The request target as it came (RFC 9112 §3.2), any of the four forms.
    pub target_span: Span,
    pub version: Version,
    pub fields: Vec<Field>,
}

/// Head of a response. `bytes` holds the head as it came, status line to empty line.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    pub bytes: Vec<u8>,
    pub status: u16,
    pub reason_span: Span,
    pub version: Version,
    pub fields: Vec<Field>,
}

/// A field resolved against its head.
#[derive(Clone, Copy, Debug)]
pub struct FieldRef<'a> {
    pub id: FieldId,
    pub name: &'a [u8],
    pub value: &'a [u8],
}

fn resolve<'a>(bytes: &'a [u8], fields: &'a [Field]) -> impl DoubleEndedIterator<Item = FieldRef<'a>> + Clone {
    fields.iter().map(move |f| FieldRef { id: f.id, name: f.name.of(bytes), value: f.value.of(bytes) })
}

fn find<'a>(bytes: &'a [u8], fields: &[Field], id: FieldId) -> Option<&'a [u8]> {
    fields.iter().find(|f| f.id == id).map(|f| f.value.of(bytes))
}

impl RequestHead {
    /// Forgets the content, all of it, and keeps the memory.
    pub fn clear(&mut self) {
        let (mut bytes, mut fields) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.fields));
        bytes.clear();
        fields.clear();
        *self = Self { bytes, fields, ..Self::default() };
    }

    /// The method's own text.
    pub fn method_text(&self) -> &[u8] {
        self.method_span.of(&self.bytes)
    }

    /// The request target as it came.
    pub fn target(&self) -> &[u8] {
        self.target_span.of(&self.bytes)
    }

    /// All fields in the order they came.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = FieldRef<'_>> + Clone {
        resolve(&self.bytes, &self.fields)
    }

    /// The first value of a known field.
    pub fn find(&self, id: FieldId) -> Option<&[u8]> {
        find(&self.bytes, &self.fields, id)
    }
}

impl ResponseHead {
    /// Forgets the content, all of it, and keeps the memory.
    pub fn clear(&mut self) {
        let (mut bytes, mut fields) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.fields));
        bytes.clear();
        fields.clear();
        *self = Self { bytes, fields, ..Self::default() };
    }

    /// The reason phrase as it came; may be empty.
    pub fn reason(&self) -> &[u8] {
        self.reason_span.of(&self.bytes)
    }

    /// All fields in the order they came.
    pub fn fields(&self) -> impl Iterator<Item = FieldRef<'_>> + Clone {
        resolve(&self.bytes, &self.fields)
    }

    /// The first value of a known field.
    pub fn find(&self, id: FieldId) -> Option<&[u8]> {
        find(&self.bytes, &self.fields, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_outside_of_its_head_is_empty() {
        assert_eq!(Span { start: 1, len: 2 }.of(b"abc"), b"bc");
        assert_eq!(Span { start: 2, len: 2 }.of(b"abc"), b"");
        assert_eq!(Span { start: 900, len: 2 }.of(b"abc"), b"");
    }
}
