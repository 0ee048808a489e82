//! A stored answer: head, terms, body. Immutable; a confirmation by the upstream makes a new head over the same body.

use std::sync::Arc;

use bytes::Bytes;

use super::account::Charge;
use super::fields::StoredFields;
use crate::http::Version;

/// What was agreed when the answer was stored (RFC 9111 §4.2). Times are milliseconds; moments count from the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// When the response head arrived.
    pub response_ms: u64,
    /// Corrected initial age (RFC 9111 §4.2.3).
    pub initial_age_ms: u64,
    /// Freshness lifetime (RFC 9111 §4.2.1), jitter taken off.
    pub lifetime_ms: u64,
    /// The answer is never used without asking the upstream (`no-cache`).
    pub no_cache: bool,
    /// Never served stale: must-revalidate, proxy-revalidate or s-maxage (RFC 9111 §4.2.4).
    pub must_revalidate: bool,
    pub stale_while_revalidate_ms: u64,
    pub stale_if_error_ms: u64,
}

impl Terms {
    /// Current age (RFC 9111 §4.2.3).
    pub fn age_ms(&self, now_ms: u64) -> u64 {
        self.initial_age_ms.saturating_add(now_ms.saturating_sub(self.response_ms))
    }

    /// Milliseconds of freshness left; negative = stale for so long.
    pub fn fresh_for_ms(&self, now_ms: u64) -> i64 {
        let (lifetime, age) = (self.lifetime_ms, self.age_ms(now_ms));
        i64::try_from(lifetime).unwrap_or(i64::MAX).saturating_sub(i64::try_from(age).unwrap_or(i64::MAX))
    }
}

/// Which request fields the answer was chosen by, and their values in the request that fetched it (RFC 9111 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaryValues {
    /// Lower-case names, sorted.
    pub names: Box<[Box<str>]>,
    /// Normalised values, length-prefixed, in the order of the names.
    pub values: Box<[u8]>,
}

/// Everything of an answer but its body.
#[derive(Debug)]
pub struct AnswerHead {
    pub status: u16,
    /// The protocol version it came in, for Via.
    pub version: Version,
    pub reason: Box<[u8]>,
    pub fields: StoredFields,
    pub terms: Terms,
    pub vary: Option<Box<VaryValues>>,
    /// Marks of its tags, see `ledger`.
    pub tags: Box<[u64]>,
    /// Bytes of the body where the head says so.
    pub length: Option<u64>,
}

/// A whole body.
#[derive(Debug)]
pub struct Body {
    chunks: Chunks,
    length: u64,
    charge: Charge,
}

#[derive(Debug)]
enum Chunks {
    One(Bytes),
    Many(Box<[Bytes]>),
}

impl Body {
    /// A body made of these chunks, none of them empty.
    pub fn new(mut chunks: Vec<Bytes>, charge: Charge) -> Arc<Self> {
        let length = chunks.iter().map(|c| c.len() as u64).sum();
        let chunks = match chunks.len() {
            0 => Chunks::Many(Box::default()),
            1 => Chunks::One(chunks.swap_remove(0)),
            _ => Chunks::Many(chunks.into()),
        };
        Arc::new(Self { chunks, length, charge })
    }

    /// Its bytes in order.
    pub fn chunks(&self) -> &[Bytes] {
        match &self.chunks {
            Chunks::One(bytes) => std::slice::from_ref(bytes),
            Chunks::Many(chunks) => chunks,
        }
    }

    /// Bytes in all.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Counts it among the dying, see `account`.
    pub fn let_go(&self) {
        self.charge.let_go();
    }

    /// It is stored again: it is not dying.
    pub fn keep(&self) {
        self.charge.keep();
    }

    /// Bytes charged for it.
    pub fn charged_bytes(&self) -> u64 {
        self.charge.bytes()
    }
}

/// Head and body, each shared: a confirmation makes a new object of a new head and the same body.
#[derive(Debug)]
pub struct Answer {
    pub head: Arc<AnswerHead>,
    pub body: Arc<Body>,
    pub charge: Charge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_from_the_response_and_freshness_runs_out() {
        let terms = Terms { response_ms: 10_000, initial_age_ms: 2_000, lifetime_ms: 5_000, ..Terms::default() };
        assert_eq!((terms.age_ms(10_000), terms.age_ms(11_500)), (2_000, 3_500));
        assert_eq!((terms.fresh_for_ms(10_000), terms.fresh_for_ms(14_000)), (3_000, -1_000));
        // A clock that was set back makes no answer younger than it came.
        assert_eq!(terms.age_ms(0), 2_000);
    }
}
