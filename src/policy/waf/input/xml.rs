//! XML bodies: their text and the values of their attributes.
//!
//! A small reader, not a parser of XML 1.0: no namespaces, no validation. Of entities only the five predefined ones and
//! character references mean something; a document type is passed over, so nothing expands and nothing is fetched.
//! `XML:/*` is all text of the document in one, as ModSecurity gives it; `XML://@*` an entry per attribute.

use super::super::model::Variable;
use super::arena::{Arena, Copied};
use super::{ARGS_MAX, DEPTH_MAX, Entry, Fault, Input};

/// Gives the text and the attributes of a body that is in the arena as `copy`.
///
/// # Errors
/// What ended the reading; what was before it was given.
pub(super) fn read(input: &mut Input, body: &[u8], copy: Copied) -> Result<(), Fault> {
    // Attributes are decoded into the arena while the text is gathered: the text is made in a second walk.
    let mut walk = Walk { body, at: 0, open: Vec::new() };
    let verdict = walk.document(&mut |piece| attribute(input, body, copy, piece));
    let start = input.arena.end();
    let mut walk = Walk { body, at: 0, open: Vec::new() };
    let arena = &mut input.arena;
    // The same walk: it fails where the first one did, if that was not for the number of attributes.
    let _ = walk.document(&mut |piece| text(arena, body, piece));
    let text = input.arena.since(start);
    input.singles.set(Variable::XmlText, text);
    verdict
}

/// What a document consists of, as ranges of the body.
#[derive(Clone, Copy)]
enum Piece {
    Text(usize, usize),
    /// The content of a CDATA section: nothing in it means anything.
    Verbatim(usize, usize),
    Attribute {
        name: (usize, usize),
        value: (usize, usize),
    },
}

fn text(arena: &mut Arena, body: &[u8], piece: Piece) -> Result<(), Fault> {
    match piece {
        Piece::Text(from, to) => unescape(arena, body.get(from..to).unwrap_or_default()),
        Piece::Verbatim(from, to) => {
            arena.push(body.get(from..to).unwrap_or_default());
        }
        Piece::Attribute { .. } => {}
    }
    Ok(())
}

fn attribute(input: &mut Input, body: &[u8], copy: Copied, piece: Piece) -> Result<(), Fault> {
    let Piece::Attribute { name, value } = piece else { return Ok(()) };
    if input.xml_attributes.len() >= ARGS_MAX {
        return Err(Fault::TooManyArgs);
    }
    let raw = body.get(value.0..value.1).unwrap_or_default();
    let value = if memchr::memchr(b'&', raw).is_some() {
        let start = input.arena.end();
        unescape(&mut input.arena, raw);
        input.arena.since(start)
    } else {
        copy.span(value.0, value.1)
    };
    input.xml_attributes.push(Entry { name: copy.span(name.0, name.1), value });
    Ok(())
}

struct Walk<'a> {
    body: &'a [u8],
    /// Invariant: `at <= body.len()`.
    at: usize,
    /// The names of the elements that are open.
    open: Vec<&'a [u8]>,
}

impl<'a> Walk<'a> {
    fn document(&mut self, give: &mut dyn FnMut(Piece) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut has_root = false;
        loop {
            let start = self.at;
            let rest = self.rest();
            let Some(len) = memchr::memchr(b'<', rest) else {
                self.at = self.body.len();
                give(Piece::Text(start, self.at))?;
                let is_blank = rest.iter().all(u8::is_ascii_whitespace);
                return match (self.open.is_empty(), has_root && is_blank) {
                    (true, true) => Ok(()),
                    (true, false) => Err(Fault::XmlSyntax),
                    (false, _) => Err(Fault::Incomplete),
                };
            };
            self.at += len;
            if len > 0 {
                give(Piece::Text(start, self.at))?;
            }
            let rest = self.rest();
            if let Some(inner) = rest.strip_prefix(b"<![CDATA[") {
                let from = self.at + 9;
                let to = memchr::memmem::find(inner, b"]]>").map_or(self.body.len(), |end| from + end);
                give(Piece::Verbatim(from, to))?;
                self.at = from;
                self.pass(b"]]>")?;
            } else if rest.starts_with(b"<!--") {
                self.at += 4;
                self.pass(b"-->")?;
            } else if rest.starts_with(b"<?") {
                self.pass(b"?>")?;
            } else if rest.starts_with(b"<!") {
                self.document_type()?;
            } else if rest.starts_with(b"</") {
                self.end_tag()?;
            } else {
                has_root = true;
                self.start_tag(give)?;
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    /// Goes behind the next `end`.
    fn pass(&mut self, end: &[u8]) -> Result<(), Fault> {
        let len = memchr::memmem::find(self.rest(), end).ok_or(Fault::Incomplete)?;
        self.at += len + end.len();
        Ok(())
    }

    /// Goes behind a document type, brackets and quotes in it heeded.
    fn document_type(&mut self) -> Result<(), Fault> {
        let (mut brackets, mut quote) = (0usize, None);
        for (len, byte) in self.rest().iter().enumerate() {
            match (quote, byte) {
                (Some(open), byte) if open == *byte => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(*byte),
                (None, b'[') => brackets += 1,
                (None, b']') => brackets = brackets.saturating_sub(1),
                (None, b'>') if brackets == 0 => {
                    self.at += len + 1;
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(Fault::Incomplete)
    }

    fn name(&mut self) -> Result<(usize, usize), Fault> {
        let start = self.at;
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/' | b'=' | b'<' | b'"' | b'\'');
        self.at += self.rest().iter().take_while(|byte| !is_end(byte)).count();
        match self.at > start {
            true => Ok((start, self.at)),
            false if self.at == self.body.len() => Err(Fault::Incomplete),
            false => Err(Fault::XmlSyntax),
        }
    }

    fn start_tag(&mut self, give: &mut dyn FnMut(Piece) -> Result<(), Fault>) -> Result<(), Fault> {
        self.at += 1;
        let (from, to) = self.name()?;
        let element = self.body.get(from..to).unwrap_or_default();
        loop {
            self.skip_blanks();
            match self.rest() {
                [b'>', ..] => {
                    self.at += 1;
                    if self.open.len() >= DEPTH_MAX {
                        return Err(Fault::TooDeep);
                    }
                    self.open.push(element);
                    return Ok(());
                }
                [b'/', b'>', ..] => {
                    self.at += 2;
                    return Ok(());
                }
                [] | [b'/'] => return Err(Fault::Incomplete),
                _ => self.attribute(give)?,
            }
        }
    }

    fn attribute(&mut self, give: &mut dyn FnMut(Piece) -> Result<(), Fault>) -> Result<(), Fault> {
        let name = self.name()?;
        self.skip_blanks();
        match self.rest().first() {
            Some(b'=') => self.at += 1,
            None => return Err(Fault::Incomplete),
            Some(_) => return Err(Fault::XmlSyntax),
        }
        self.skip_blanks();
        let quote = match self.rest().first() {
            Some(quote @ (b'"' | b'\'')) => *quote,
            None => return Err(Fault::Incomplete),
            Some(_) => return Err(Fault::XmlSyntax),
        };
        self.at += 1;
        let start = self.at;
        let len = memchr::memchr(quote, self.rest());
        self.at = len.map_or(self.body.len(), |len| start + len);
        give(Piece::Attribute { name, value: (start, self.at) })?;
        len.ok_or(Fault::Incomplete)?;
        self.at += 1;
        Ok(())
    }

    fn end_tag(&mut self) -> Result<(), Fault> {
        self.at += 2;
        let (from, to) = self.name()?;
        self.skip_blanks();
        match self.rest().first() {
            Some(b'>') => self.at += 1,
            None => return Err(Fault::Incomplete),
            Some(_) => return Err(Fault::XmlSyntax),
        }
        match self.open.pop() {
            Some(element) if Some(element) == self.body.get(from..to) => Ok(()),
            _ => Err(Fault::XmlSyntax),
        }
    }
}

/// Appends a text with its references replaced; what is none, or is not known, stays as it is.
fn unescape(arena: &mut Arena, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        let (plain, found) = rest.split_at(at);
        arena.push(plain);
        // The longest reference to a character: `&#x10FFFF;`, leading zeros beside.
        let near = found.get(..32).unwrap_or(found);
        let reference = memchr::memchr(b';', near).and_then(|end| {
            let name = found.get(1..end)?;
            Some((character(name)?, found.get(end + 1..)?))
        });
        rest = match reference {
            Some((character, after)) => {
                arena.push(character.encode_utf8(&mut [0; 4]).as_bytes());
                after
            }
            None => {
                arena.push_byte(b'&');
                found.get(1..).unwrap_or_default()
            }
        };
    }
    arena.push(rest);
}

/// What a reference means (XML 1.0 §4.1, §4.6).
fn character(name: &[u8]) -> Option<char> {
    match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => None,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<char> {
    if !digits.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)
}
