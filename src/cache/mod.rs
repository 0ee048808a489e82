//! The cache: stored answers, merged calls and live streams as one structure (RFC 9111, RFC 9211, RFC 5861).
//!
//! Two floors over one kind of thing: a front per core ([`front`]), a process-wide table ([`table`]); both hold objects
//! that are filling, then complete, then dead ([`object`]). Arithmetic is pure and reads no clock; nothing here does I/O, waits, or takes a lock: whoever
//! reads an object that is still filling is told by its own core when more is there.

pub mod account;
pub mod answer;
pub mod cache_status;
pub mod canonical_json;
pub mod conditional;
pub mod counters;
mod dictionary;
pub mod directives;
pub mod event_stream;
pub mod eviction;
pub mod fields;
pub mod fill;
pub mod freshen;
pub mod front;
pub mod ghost;
pub mod invalidation;
pub mod judge;
pub mod key;
pub mod ledger;
pub mod life;
pub mod lifetime;
pub mod object;
pub mod policy;
pub mod query;
pub mod range;
#[cfg(test)]
mod rfc9111_tests;
pub mod storable;
pub mod store;
pub mod table;
pub mod tags;
pub mod use_count;
pub mod vary;

pub use answer::{Answer, AnswerHead, Body, Terms};
pub use fill::{Ending, Fill, Follower, Step};
pub use object::{Content, Object};
pub use policy::CachePolicy;
pub use store::{Cache, Purge, Standing};
