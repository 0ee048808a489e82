//! Rank 0: only the atomics.

#[path = "../../../src/base/sync.rs"]
pub mod sync;
