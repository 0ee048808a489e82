//! What an operator found: the groups that a rule with `capture` reads as TX.0 to TX.9.
//!
//! Reused from question to question; holds positions and never borrows the value it was found in.

/// Groups that are kept: TX.0 to TX.9.
pub const GROUPS: usize = 10;

/// The parts of a value that matched, or a text that the operator made (a fingerprint of libinjection).
#[derive(Clone, Debug, Default)]
pub struct Captures {
    groups: [Option<(u32, u32)>; GROUPS],
    /// Groups up to the last one that is set; ≤ [`GROUPS`].
    len: usize,
    /// Group 0 where it is not a part of the value.
    own: Option<([u8; OWN_BYTES], u8)>,
}

/// A fingerprint has at most 5 bytes; room for a word more.
const OWN_BYTES: usize = 8;

impl Captures {
    /// Group `n` of the match; `value` is the one that was asked about.
    pub fn get<'a>(&'a self, n: usize, value: &'a [u8]) -> Option<&'a [u8]> {
        if let Some((bytes, len)) = &self.own {
            return if n == 0 { bytes.get(..usize::from(*len)) } else { None };
        }
        let (start, end) = (*self.groups.get(n)?)?;
        value.get(start as usize..end as usize)
    }

    /// How many groups there are, counted up to the last that took part.
    pub fn len(&self) -> usize {
        if self.own.is_some() { 1 } else { self.len }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what was found.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Sets group `n`; groups from [`GROUPS`] on are left out, and so is what lies beyond 4 GiB.
    pub(super) fn set(&mut self, n: usize, start: usize, end: usize) {
        let (Some(group), Ok(start), Ok(end)) = (self.groups.get_mut(n), u32::try_from(start), u32::try_from(end))
        else {
            return;
        };
        *group = Some((start, end));
        self.len = self.len.max(n + 1);
    }

    /// Sets group 0 to a text of the operator's own; what is beyond 8 bytes is cut.
    pub(super) fn set_own(&mut self, text: &[u8]) {
        let mut bytes = [0; OWN_BYTES];
        let len = text.len().min(OWN_BYTES);
        for (to, from) in bytes.iter_mut().zip(text) {
            *to = *from;
        }
        self.own = Some((bytes, u8::try_from(len).unwrap_or(0)));
    }
}
