//! How often and how many at once: rates (GCRA), requests in flight, by key. See docs/limits.md.
//!
//! Owns the arithmetic, the process-wide table of keys and a core's leases from it. Reads no clock, waits for nothing.

mod applied;
mod capacity;
mod charge;
mod counters;
mod fields;
mod key;
mod leases;
mod rate;
mod table;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use applied::Applied;
pub use capacity::{Capacity, Crowd, Member};
pub use charge::{Cause, Desk, KeptSeats, Receipt, Refused, Seats, Verdict, charge};
pub use counters::{Counters, Outcome};
pub use fields::{seconds_up, write_lines};
pub use key::{Asker, KeyPart, Prefixes};
pub use leases::{Leases, Spent};
pub use rate::{Rate, Taken, WINDOW_NS_MAX};
pub use table::{BUCKET_BYTES, Seat, Table};

/// A limit as the plan states it. Immutable; what changes is in `state`.
#[derive(Debug)]
pub struct Limit {
    /// Letters, digits and signs without quotes: it is shown to clients and in metrics.
    pub name: Arc<str>,
    /// What its requests are told apart by; never empty.
    pub key: Box<[KeyPart]>,
    pub prefixes: Prefixes,
    pub rate: Option<Rate>,
    /// Requests of one key in flight at once.
    pub in_flight: Option<u64>,
    /// Requests that may wait for their time, where the rate lets any wait.
    pub waiting: Capacity,
    /// It only counts what it would refuse.
    pub dry_run: bool,
    /// Status of a refusal: 429 or 503.
    pub status: u16,
    /// Responses that pass say what is left.
    pub headers: bool,
    pub state: Arc<LimitState>,
}

/// What of a limit outlives a plan.
#[derive(Debug)]
pub struct LimitState {
    /// Keeps its keys apart from those of others: a number that no other state ever had.
    pub number: u64,
    pub table: Arc<Table>,
    pub counters: Counters,
    /// Those that wait.
    pub crowd: Arc<Crowd>,
}
