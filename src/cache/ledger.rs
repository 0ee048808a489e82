//! Placeholder of the ledger: what stands of an object after the purges. Replaced at the merge.

/// What the purges say about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Good,
    Soft,
    Purged,
}
