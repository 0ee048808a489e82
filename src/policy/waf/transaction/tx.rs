//! The TX variables of one request: slots for names that rules write, and names that come up while judging.
//!
//! A value knows whether it holds anything that the request brought (`tainted`): such a value is never shown.

use std::collections::HashMap;

use super::super::compile::{CAPTURE_SLOTS, Text};
use super::super::operator::number;

/// Names that may come up while judging (`TX:header_name_%{tx.0}`): more are not kept. They are searched one by one, so there
/// are fewer than there may be arguments; a rule that counts each name counts the first so many.
const MADE_NAMES_MAX: usize = 1_280;
/// Bytes of one value; the rest is cut.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of all values that were ever set by one request; what would be set beyond is empty.
const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of memory that `clear` keeps.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// A value of a TX variable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TxValue {
    #[default]
    Unset,
    Number {
        value: i64,
        tainted: bool,
    },
    /// A text of the rule set, by its number.
    Fixed(usize),
    /// A range of the transaction's own texts.
    Made {
        start: u32,
        end: u32,
        tainted: bool,
    },
}

impl TxValue {
    /// Whether anything of the request is in it.
    pub fn is_tainted(self) -> bool {
        matches!(self, Self::Number { tainted: true, .. } | Self::Made { tainted: true, .. })
    }
}

/// The TX variables of one request.
#[derive(Debug, Default)]
pub struct Tx {
    /// By slot: those of the rule set, then those of `made`.
    values: Vec<TxValue>,
    /// How many slots the rule set has.
    known: usize,
    /// Names that came up, in lower case: a hash, and a range of `texts`.
    made: Vec<(u64, u32, u32)>,
    hasher: ahash::RandomState,
    texts: Vec<u8>,
}

impl Tx {
    /// Unsets all; keeps the memory up to a bound.
    pub fn clear(&mut self, known: usize) {
        if self.texts.capacity() > KEPT_BYTES_MAX {
            self.texts = Vec::new();
        }
        self.values.clear();
        self.values.resize(known, TxValue::Unset);
        self.known = known;
        self.made.clear();
        self.texts.clear();
    }

    /// The value in a slot.
    #[inline]
    pub fn get(&self, slot: usize) -> TxValue {
        self.values.get(slot).copied().unwrap_or_default()
    }

    /// Sets a slot.
    pub fn set(&mut self, slot: usize, value: TxValue) {
        if let Some(held) = self.values.get_mut(slot) {
            *held = value;
        }
    }

    /// Keeps a text, cut at the bound of a value.
    pub fn text(&mut self, bytes: &[u8], tainted: bool) -> TxValue {
        let bytes = bytes.get(..VALUE_BYTES_MAX).unwrap_or(bytes);
        if self.texts.len() + bytes.len() > TEXT_BYTES_MAX {
            return TxValue::Fixed(0);
        }
        let start = self.texts.len() as u32;
        self.texts.extend_from_slice(bytes);
        TxValue::Made { start, end: self.texts.len() as u32, tainted }
    }

    /// Sets a capture.
    pub fn set_capture(&mut self, group: usize, bytes: Option<&[u8]>) {
        let value = bytes.map_or(TxValue::Unset, |bytes| self.text(bytes, true));
        if group < CAPTURE_SLOTS {
            self.set(group, value);
        }
    }

    /// The slot of a name that came up while judging; `None` where it has none and `make` is not asked for, or there is no
    /// room for one.
    pub fn slot(&mut self, slots: &HashMap<Box<[u8]>, usize>, name: &mut [u8], make: bool) -> Option<usize> {
        name.make_ascii_lowercase();
        if let Some(&slot) = slots.get(&*name) {
            return Some(slot);
        }
        let hash = self.hasher.hash_one(&*name);
        let known = |&(held, start, end): &(u64, u32, u32)| {
            held == hash && self.texts.get(start as usize..end as usize) == Some(&*name)
        };
        if let Some(at) = self.made.iter().position(known) {
            return Some(self.known + at);
        }
        if !make || self.made.len() >= MADE_NAMES_MAX || name.len() > VALUE_BYTES_MAX {
            return None;
        }
        let TxValue::Made { start, end, .. } = self.text(name, true) else { return None };
        self.made.push((hash, start, end));
        self.values.push(TxValue::Unset);
        Some(self.values.len() - 1)
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.values.len()
    }

    /// The name of a slot.
    pub fn name<'a>(&'a self, names: &'a [Box<[u8]>], slot: usize) -> &'a [u8] {
        if let Some(name) = names.get(slot) {
            return name;
        }
        let range = slot.checked_sub(self.known).and_then(|at| self.made.get(at));
        range.and_then(|&(_, start, end)| self.texts.get(start as usize..end as usize)).unwrap_or_default()
    }

    /// Writes a value behind `out`; nothing where it is unset.
    pub fn write(&self, texts: &[Text], value: TxValue, out: &mut Vec<u8>) {
        match value {
            TxValue::Unset => {}
            TxValue::Number { value, .. } => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            TxValue::Fixed(text) => out.extend_from_slice(texts.get(text).map_or(b"", |text| &*text.bytes)),
            TxValue::Made { start, end, .. } => {
                out.extend_from_slice(self.texts.get(start as usize..end as usize).unwrap_or_default());
            }
        }
    }

    /// A value as a number.
    pub fn number(&self, texts: &[Text], value: TxValue) -> i64 {
        match value {
            TxValue::Unset => 0,
            TxValue::Number { value, .. } => value,
            TxValue::Fixed(text) => texts.get(text).map_or(0, |text| text.number),
            TxValue::Made { start, end, .. } => {
                number(self.texts.get(start as usize..end as usize).unwrap_or_default())
            }
        }
    }
}
