//! Records of a snapshot as bytes: one object each, without its body, which stands behind it in the file. Pure.
//!
//! Numbers are little-endian, everything of variable length carries its length. Nothing is allocated that is longer than
//! the bytes at hand. Whoever changes a record, or the parts of a key, raises [`FORMAT`].

use aws_lc_rs::digest::{Context, SHA256};

use crate::cache::account::footprint;
use crate::cache::answer::VaryValues;
use crate::cache::fields::StoredFields;
use crate::cache::key::KeyHash;
use crate::cache::object::{OBJECT_BYTES, Object};
use crate::cache::{AnswerHead, Body, Terms};
use crate::http::{FieldId, Method, Version};

/// How a snapshot begins. The end is no text, so that a tool which rewrites line ends does not pass unseen.
pub const MAGIC: &[u8; 8] = b"ringway\x1a";
/// The format that is written and read.
pub const FORMAT: u16 = 1;
/// Bytes of a preface behind magic and format.
pub const PREFACE_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// Bytes of a record without its body. A key with a URL, 32 KiB of fields and the values of Vary stay far below.
pub const HEAD_BYTES_MAX: u32 = 1024 * 1024;
/// Bytes of a frame: kind, length of the head, length of the body.
pub const FRAME_BYTES: usize = 1 + 4 + 8;
/// What a mark is made of to see whether another process makes the same ones.
pub const PROBE: &[u8] = b"snapshot";
/// Bytes of a checksum.
pub const SUM_BYTES: usize = 8;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Answer,
    Variants,
    /// Says how many records came before it.
    End,
}

/// What stands before a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    pub head_bytes: u32,
    pub body_bytes: u64,
}

/// An object without its body.
#[derive(Debug)]
pub struct Entry {
    pub hash: KeyHash,
    pub key: Box<[u8]>,
    pub method: Method,
    pub uses: u8,
    /// Purged softly.
    pub soft: bool,
    pub kept: Kept,
}

/// What the object holds.
#[derive(Debug)]
pub enum Kept {
    Answer(AnswerHead),
    Variants(Box<[Box<str>]>),
}

impl Frame {
    /// As bytes.
    pub fn to_bytes(self) -> [u8; FRAME_BYTES] {
        let mut bytes = [0; FRAME_BYTES];
        let kind = match self.kind {
            Kind::Answer => 1,
            Kind::Variants => 2,
            Kind::End => 3,
        };
        bytes[0] = kind;
        bytes[1..5].copy_from_slice(&self.head_bytes.to_le_bytes());
        bytes[5..].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes
    }

    /// From bytes; `None` = no frame begins so.
    pub fn from_bytes(bytes: &[u8; FRAME_BYTES]) -> Option<Self> {
        let mut cursor = Cursor { rest: bytes };
        let kind = match cursor.u8()? {
            1 => Kind::Answer,
            2 => Kind::Variants,
            3 => Kind::End,
            _ => return None,
        };
        let (head_bytes, body_bytes) = (cursor.u32()?, cursor.u64()?);
        let has_body = kind == Kind::Answer || body_bytes == 0;
        (head_bytes <= HEAD_BYTES_MAX && has_body).then_some(Self { kind, head_bytes, body_bytes })
    }
}

/// A checksum in the making. It is no defence against who may write the file: it tells intact from torn.
pub struct Sum {
    context: Context,
}

impl Sum {
    /// Bound to the file by its salt, and to a place in it by a number.
    pub fn new(salt: &[u8; 32], number: u64) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(salt);
        context.update(&number.to_le_bytes());
        Self { context }
    }

    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// The first bytes of the SHA-256.
    pub fn finish(self) -> [u8; SUM_BYTES] {
        let mut sum = [0; SUM_BYTES];
        sum.iter_mut().zip(self.context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        sum
    }
}

/// Appends what all records begin with. `false` = the object's method is none that is stored.
fn write_object(out: &mut Vec<u8>, hash: KeyHash, object: &Object, soft: bool) -> bool {
    let method = match object.method {
        Method::Get => 1,
        Method::Head => 2,
        Method::Post => 3,
        _ => return false,
    };
    out.extend_from_slice(&hash.0.to_le_bytes());
    out.push(method);
    out.push(object.uses.load(std::sync::atomic::Ordering::Relaxed));
    out.push(u8::from(soft));
    put(out, &object.key);
    true
}

/// Makes `out` the record of an object that holds an answer. `false` = it has no place in a snapshot.
pub fn write_answer(out: &mut Vec<u8>, hash: KeyHash, object: &Object, soft: bool, head: &AnswerHead) -> bool {
    out.clear();
    if !write_object(out, hash, object, soft) {
        return false;
    }
    let Terms { response_ms, initial_age_ms, lifetime_ms, no_cache, must_revalidate, .. } = head.terms;
    out.extend_from_slice(&head.status.to_le_bytes());
    let flags = u8::from(head.version == Version::Http10)
        | u8::from(no_cache) << 1
        | u8::from(must_revalidate) << 2
        | u8::from(head.length.is_some()) << 3
        | u8::from(head.vary.is_some()) << 4;
    out.push(flags);
    let (swr_ms, sie_ms) = (head.terms.stale_while_revalidate_ms, head.terms.stale_if_error_ms);
    for number in [response_ms, initial_age_ms, lifetime_ms, swr_ms, sie_ms, head.length.unwrap_or(0)] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    put(out, &head.reason);
    put(out, head.fields.lines());
    if let Some(vary) = &head.vary {
        put_names(out, &vary.names);
        put(out, &vary.values);
    }
    out.extend_from_slice(&length_of(head.tags.len()));
    head.tags.iter().for_each(|tag| out.extend_from_slice(&tag.to_le_bytes()));
    out.len() <= HEAD_BYTES_MAX as usize
}

/// Makes `out` the record of an object that says which fields choose among answers.
pub fn write_variants(out: &mut Vec<u8>, hash: KeyHash, object: &Object, soft: bool, names: &[Box<str>]) -> bool {
    out.clear();
    if !write_object(out, hash, object, soft) {
        return false;
    }
    put_names(out, names);
    out.len() <= HEAD_BYTES_MAX as usize
}

/// Reads a record without its body; `None` = it is none.
pub fn read(kind: Kind, bytes: &[u8]) -> Option<Entry> {
    let mut cursor = Cursor { rest: bytes };
    let hash = KeyHash(u128::from_le_bytes(cursor.array()?));
    let method = match cursor.u8()? {
        1 => Method::Get,
        2 => Method::Head,
        3 => Method::Post,
        _ => return None,
    };
    let (uses, soft) = (cursor.u8()?, cursor.u8()? != 0);
    let key = cursor.bytes()?.into();
    let kept = match kind {
        Kind::Answer => Kept::Answer(read_head(&mut cursor)?),
        Kind::Variants => Kept::Variants(cursor.names()?),
        Kind::End => return None,
    };
    cursor.rest.is_empty().then_some(Entry { hash, key, method, uses, soft, kept })
}

fn read_head(cursor: &mut Cursor<'_>) -> Option<AnswerHead> {
    let status = u16::from_le_bytes(cursor.array()?);
    let flags = cursor.u8()?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    let terms = Terms {
        response_ms: cursor.u64()?,
        initial_age_ms: cursor.u64()?,
        lifetime_ms: cursor.u64()?,
        stale_while_revalidate_ms: cursor.u64()?,
        stale_if_error_ms: cursor.u64()?,
        no_cache: has(1),
        must_revalidate: has(2),
    };
    let length = cursor.u64()?;
    let reason = cursor.bytes()?.into();
    let fields = StoredFields::of_lines(cursor.bytes()?.to_vec());
    let vary = match has(4) {
        true => Some(Box::new(VaryValues { names: cursor.names()?, values: cursor.bytes()?.into() })),
        false => None,
    };
    let tags = cursor.u32()? as usize;
    let (tags, rest) = cursor.rest.split_at_checked(tags.checked_mul(8)?)?;
    cursor.rest = rest;
    let mark = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
    Some(AnswerHead {
        status,
        version: if has(0) { Version::Http10 } else { Version::Http11 },
        reason,
        fields,
        terms,
        vary,
        tags: tags.chunks_exact(8).map(mark).collect::<Option<_>>()?,
        length: has(3).then_some(length),
    })
}

/// Whether an answer can ever be used again: it is fresh, may be served stale, or can be confirmed by its upstream.
pub fn is_usable(head: &AnswerHead, now_ms: u64) -> bool {
    let terms = &head.terms;
    let until =
        terms.lifetime_ms.saturating_add(terms.stale_while_revalidate_ms).saturating_add(terms.stale_if_error_ms);
    let is_alive = !terms.no_cache && terms.age_ms(now_ms) < until;
    is_alive || head.fields.iter().any(|f| f.id == FieldId::Etag || f.id == FieldId::LastModified)
}

impl Entry {
    /// Bytes that the object takes without its content.
    pub fn object_bytes(&self) -> u64 {
        OBJECT_BYTES + footprint(self.key.len())
    }

    /// Bytes that its content takes, the body's bytes aside.
    pub fn content_bytes(&self) -> u64 {
        let names = |names: &[Box<str>]| names.iter().map(|n| footprint(n.len()) + 16).sum::<u64>();
        let head = match &self.kept {
            Kept::Variants(all) => return names(all),
            Kept::Answer(head) => head,
        };
        let vary = head
            .vary
            .as_ref()
            .map_or(0, |vary| footprint(size_of::<VaryValues>()) + names(&vary.names) + footprint(vary.values.len()));
        let parts = [head.fields.lines().len(), head.reason.len(), head.tags.len() * 8];
        let parts = parts.into_iter().filter(|bytes| *bytes > 0).map(footprint).sum::<u64>();
        footprint(size_of::<AnswerHead>() + 16) + footprint(size_of::<Body>() + 16) + vary + parts
    }
}

/// A length that stands before what it measures. Nothing here is longer than a record's head may be.
fn length_of(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// Appends bytes behind their length.
pub fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&length_of(bytes.len()));
    out.extend_from_slice(bytes);
}

fn put_names(out: &mut Vec<u8>, names: &[Box<str>]) {
    out.extend_from_slice(&length_of(names.len()));
    names.iter().for_each(|name| put(out, name.as_bytes()));
}

/// Takes pieces from the front of a slice; `None` = it is too short.
pub struct Cursor<'a> {
    pub rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number of eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A salt.
    pub fn salt(&mut self) -> Option<[u8; 32]> {
        self.array()
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    /// Text behind its length.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Collected one by one: a number that is too large meets the end of the slice before it costs memory.
    fn names(&mut self) -> Option<Box<[Box<str>]>> {
        let count = self.u32()?;
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(self.text()?.into());
        }
        Some(names.into())
    }
}
