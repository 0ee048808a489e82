//! Values of one request, each transformed at most once by each chain, and each result sieved at most once.
//!
//! A value is looked up by where it lies in the input, so that the same bytes under two variables are one value. A variant
//! is a value behind a chain of transformations; a transformation that changes nothing gives the variant it was given.
//! Everything lies in vectors that keep their memory: a warm store allocates nothing. Holds no decision.

use super::super::compile::{Node, Sieve};
use super::super::input::{Input, Span};
use super::super::model::Transform;
use super::super::transform;

/// Chains of the table that finds values by their place.
const HEADS: usize = 256;
const NONE: u32 = u32::MAX;
/// Bytes of transformed values from which on all are forgotten before the next rule: they are made again when asked for.
pub const OWN_BYTES_RECYCLED: usize = 16 * 1024 * 1024;
/// Bytes of memory that `clear` keeps.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// The values of one request.
#[derive(Debug)]
pub struct Store {
    values: Vec<Value>,
    variants: Vec<Variant>,
    /// `value * nodes + node`: the variant, or [`NONE`].
    memo: Vec<u32>,
    nodes: usize,
    /// Bytes that are not in the input.
    own: Vec<u8>,
    /// Rows of the sieve: bits of the gates seen.
    rows: Vec<u64>,
    row_words: usize,
    heads: Box<[u32; HEADS]>,
    hasher: ahash::RandomState,
    scratch: Vec<u8>,
    /// Bytes that were looked at, weighed; only ever grows.
    pub work: u64,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    span: Span,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Variant {
    at: At,
    /// The variant with the same letters but for their case: the sieve finds the same in it.
    sieved_as: u32,
    /// Where its row begins, once it was sieved.
    row: u32,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Input(Span),
    Own(u32, u32),
}

impl Default for Store {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            variants: Vec::new(),
            memo: Vec::new(),
            nodes: 1,
            own: Vec::new(),
            rows: Vec::new(),
            row_words: 0,
            heads: Box::new([NONE; HEADS]),
            hasher: ahash::RandomState::with_seeds(1, 2, 3, 4),
            scratch: Vec::new(),
            work: 0,
        }
    }
}

impl Store {
    /// Forgets all values; keeps the memory up to a bound.
    pub fn clear(&mut self, nodes: usize, row_words: usize) {
        if self.own.capacity() + self.scratch.capacity() > KEPT_BYTES_MAX {
            (self.own, self.scratch) = (Vec::new(), Vec::new());
        }
        self.values.clear();
        self.variants.clear();
        self.memo.clear();
        self.own.clear();
        self.rows.clear();
        self.heads.fill(NONE);
        self.nodes = nodes;
        self.row_words = row_words;
    }

    /// Whether so much was transformed that it is better forgotten.
    pub fn is_full(&self) -> bool {
        self.own.len() > OWN_BYTES_RECYCLED
    }

    /// The value at a place of the input.
    pub fn of_input(&mut self, span: Span) -> usize {
        let head = self.hasher.hash_one(span) as usize % HEADS;
        let mut at = self.heads.get(head).copied().unwrap_or(NONE);
        while let Some(value) = self.values.get(at as usize) {
            if value.span == span {
                return at as usize;
            }
            at = value.next;
        }
        let next = self.heads.get(head).copied().unwrap_or(NONE);
        let variant = self.add_variant(At::Input(span), None);
        let value = self.add_value(span, next, variant);
        if let Some(slot) = self.heads.get_mut(head) {
            *slot = value as u32;
        }
        value
    }

    /// A value of its own, not of the input.
    pub fn of_bytes(&mut self, bytes: &[u8]) -> usize {
        let start = self.own.len() as u32;
        self.own.extend_from_slice(bytes);
        let variant = self.add_variant(At::Own(start, self.own.len() as u32), None);
        self.add_value(Span::default(), NONE, variant)
    }

    /// A variant as a value of its own, to be transformed further.
    pub fn of_variant(&mut self, variant: u32) -> usize {
        self.add_value(Span::default(), NONE, variant)
    }

    fn add_value(&mut self, span: Span, next: u32, variant: u32) -> usize {
        let value = self.values.len();
        self.values.push(Value { span, next });
        self.memo.resize(self.memo.len() + self.nodes, NONE);
        if let Some(root) = self.memo.get_mut(value * self.nodes) {
            *root = variant;
        }
        value
    }

    fn add_variant(&mut self, at: At, sieved_as: Option<u32>) -> u32 {
        let id = self.variants.len() as u32;
        self.variants.push(Variant { at, sieved_as: sieved_as.unwrap_or(id), row: NONE });
        id
    }

    /// A value behind the transformations up to `node`.
    #[inline]
    pub fn variant(&mut self, nodes: &[Node], input: &Input, value: usize, node: usize) -> u32 {
        match self.memo.get(value * self.nodes + node) {
            Some(&variant) if variant != NONE => variant,
            _ => self.transformed(nodes, input, value, node),
        }
    }

    #[inline(never)]
    fn transformed(&mut self, nodes: &[Node], input: &Input, value: usize, node: usize) -> u32 {
        let Some(&Node { parent, transform }) = nodes.get(node) else { return 0 };
        let before = self.variant(nodes, input, value, parent);
        let Some(&Variant { at, sieved_as, .. }) = self.variants.get(before as usize) else { return 0 };
        let bytes = match at {
            At::Input(span) => input.bytes(span),
            At::Own(start, end) => self.own.get(start as usize..end as usize).unwrap_or_default(),
        };
        self.work += bytes.len() as u64;
        self.scratch.clear();
        let changed = transform::apply(transform, bytes, &mut self.scratch);
        let after = if changed {
            let start = self.own.len() as u32;
            self.own.extend_from_slice(&self.scratch);
            let same_letters = matches!(transform, Transform::Lowercase | Transform::Uppercase);
            self.add_variant(At::Own(start, self.own.len() as u32), same_letters.then_some(sieved_as))
        } else {
            before
        };
        if let Some(slot) = self.memo.get_mut(value * self.nodes + node) {
            *slot = after;
        }
        after
    }

    /// The bytes of a variant.
    #[inline]
    pub fn bytes<'a>(&'a self, input: &'a Input, variant: u32) -> &'a [u8] {
        match self.variants.get(variant as usize).map(|variant| variant.at) {
            Some(At::Input(span)) => input.bytes(span),
            Some(At::Own(start, end)) => self.own.get(start as usize..end as usize).unwrap_or_default(),
            None => b"",
        }
    }

    /// The bits of the gates of which a literal is in a variant.
    #[inline]
    pub fn row(&mut self, sieve: &Sieve, input: &Input, variant: u32) -> &[u64] {
        let sieved = self.variants.get(variant as usize).map_or(variant, |variant| variant.sieved_as);
        let mut row = self.variants.get(sieved as usize).map_or(NONE, |variant| variant.row);
        if row == NONE {
            row = self.sieved(sieve, input, sieved);
        }
        self.rows.get(row as usize..row as usize + self.row_words).unwrap_or_default()
    }

    fn sieved(&mut self, sieve: &Sieve, input: &Input, variant: u32) -> u32 {
        let row = self.rows.len();
        self.rows.resize(row + self.row_words, 0);
        let bytes = match self.variants.get(variant as usize).map(|variant| variant.at) {
            Some(At::Input(span)) => input.bytes(span),
            Some(At::Own(start, end)) => self.own.get(start as usize..end as usize).unwrap_or_default(),
            None => b"",
        };
        self.work += bytes.len() as u64;
        sieve.scan(bytes, self.rows.get_mut(row..).unwrap_or_default());
        if let Some(variant) = self.variants.get_mut(variant as usize) {
            variant.row = row as u32;
        }
        row as u32
    }
}
