//! The fields of a stored answer: one block of lines, end-to-end fields only. Framing and Age are never among them.

use crate::http::FieldId;
use crate::http::head::FieldRef;

/// Field lines, each `name: value` CRLF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredFields {
    lines: Box<[u8]>,
}

impl StoredFields {
    /// Lines as they will be sent, each with its CRLF.
    pub fn of_lines(lines: Vec<u8>) -> Self {
        Self { lines: lines.into_boxed_slice() }
    }

    /// The lines themselves.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = FieldRef<'_>> + Clone {
        self.lines.split(|b| *b == b'\n').filter_map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let colon = memchr::memchr(b':', line)?;
            let (name, value) = line.split_at(colon);
            Some(FieldRef { id: FieldId::of(name), name, value: crate::http::syntax::trim(value.get(1..)?) })
        })
    }

    /// The first value of a known field.
    pub fn find(&self, id: FieldId) -> Option<&[u8]> {
        self.iter().find(|f| f.id == id).map(|f| f.value)
    }
}
