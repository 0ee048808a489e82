//! One core's leases: tokens that it has taken from the table and may spend without asking anybody.
//!
//! A small direct-mapped array, 56 bytes per slot. A key's lease begins with one token and grows while it is used up
//! quickly; what is left of it goes back to the table when it is old, or when another key needs the slot. Near the edge
//! of its rate a key gets single tokens, so it is exact there. A refusal is remembered until the moment at which
//! there may be a token again, so a flood of requests that are refused touches nothing that other cores use.
//!
//! The error, all of it: over any time a key may be let through `cores × (lease − 1)` times more than its rate says,
//! and as often be refused while such tokens lie unused, where `lease` is [`Rate::lease_max`], and never more than half
//! of the quota. Belongs to one thread.

use std::cell::{Cell, OnceCell};

use super::key::Key;
use super::rate::{Rate, Taken};
use super::table::Table;

/// Slots of a core; 56 KiB, made at the first use.
const SLOTS: usize = 1 << 10;
/// A lease that lasts shorter than this was too small.
const RENEW_NS: u64 = 2_000_000;
/// After this what is left of a lease is given back.
const LEASE_NS: u64 = 20_000_000;

#[derive(Clone, Copy, Default)]
struct Lease {
    /// Of the key's cell in the table; 0 = the slot is free.
    tag: u64,
    place: u64,
    interval_ns: u64,
    taken_ns: u64,
    /// Before this the table has no token.
    closed_ns: u64,
    /// Left to be spent; below [`super::rate::LEASE_MAX`] but for those given back.
    tokens: u32,
    /// Asked for last time.
    size: u32,
}

/// The leases of a core.
#[derive(Default)]
pub struct Leases {
    slots: OnceCell<Box<[Cell<Lease>]>>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It may go on, after a wait.
    Passed { wait_ns: u64 },
    /// It may not; it could after so long.
    Refused { ready_in_ns: u64 },
}

impl Lease {
    fn give_up(&self, table: &Table) {
        if self.tokens > 0 {
            table.give_back(self.place, self.tag, u64::from(self.tokens) * self.interval_ns);
        }
    }

    /// How many tokens to ask for, by how long the last ones have lasted.
    fn next_size(&self, now_ns: u64) -> u32 {
        match now_ns.saturating_sub(self.taken_ns) {
            lasted if lasted < RENEW_NS => (self.size.max(1) * 2).min(super::rate::LEASE_MAX as u32),
            lasted if lasted > LEASE_NS => 1,
            _ => self.size.max(1),
        }
    }
}

impl Leases {
    fn slot(&self, key: Key) -> &Cell<Lease> {
        let slots = self.slots.get_or_init(|| (0..SLOTS).map(|_| Cell::default()).collect());
        // The low bits of the print are no part of tags, but as good as the others here.
        &slots[key.print as usize % SLOTS]
    }

    /// Spends a token of a key.
    pub fn spend(&self, table: &Table, key: Key, rate: &Rate, now_ns: u64) -> Spent {
        let (slot, tag) = (self.slot(key), key.tag(rate.class()));
        let mut lease = slot.get();
        if lease.tag == tag {
            if lease.tokens > 0 && now_ns < lease.taken_ns + LEASE_NS {
                lease.tokens -= 1;
                slot.set(lease);
                return Spent::Passed { wait_ns: 0 };
            }
            if now_ns < lease.closed_ns {
                return Spent::Refused { ready_in_ns: lease.closed_ns - now_ns };
            }
        }
        lease.give_up(table);
        let size = if lease.tag == tag { lease.next_size(now_ns) } else { 1 };
        let fresh =
            Lease { tag, place: key.place, interval_ns: rate.interval_ns(), taken_ns: now_ns, ..Lease::default() };
        match table.take(key, rate, now_ns, u64::from(size)) {
            Taken::Tokens { tokens, wait_ns, .. } => {
                // As many as were given: near the edge a lease must not go on to grow.
                let given = u32::try_from(tokens).unwrap_or(1);
                slot.set(Lease { tokens: given.saturating_sub(1), size: size.min(given), ..fresh });
                Spent::Passed { wait_ns }
            }
            Taken::Refused { ready_in_ns } => {
                slot.set(Lease { closed_ns: now_ns + ready_in_ns, ..fresh });
                Spent::Refused { ready_in_ns }
            }
        }
    }

    /// Takes a token back that was spent without a wait: its request is refused for another reason.
    pub fn give_back(&self, table: &Table, key: Key, rate: &Rate) {
        let (slot, tag) = (self.slot(key), key.tag(rate.class()));
        let lease = slot.get();
        if lease.tag == tag {
            slot.set(Lease { tokens: lease.tokens + 1, ..lease });
        } else {
            self.give_back_shared(table, key, rate);
        }
    }

    /// Takes a token back that came with a wait: it is nobody's lease.
    pub fn give_back_shared(&self, table: &Table, key: Key, rate: &Rate) {
        let (slot, tag) = (self.slot(key), key.tag(rate.class()));
        table.give_back(key.place, tag, rate.interval_ns());
        let lease = slot.get();
        if lease.tag == tag {
            slot.set(Lease { closed_ns: 0, ..lease });
        }
    }
}
