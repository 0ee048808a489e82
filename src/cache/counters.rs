//! Counters of one route's cache: a cell per core, written by that core alone, read by the control plane.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

use crate::stats::{CacheOutcome, NotStored, Pass};

/// Numbers of one core.
struct Cell {
    outcomes: [AtomicU64; CacheOutcome::COUNT],
    passes: [AtomicU64; Pass::COUNT],
    not_stored: [AtomicU64; NotStored::COUNT],
}

/// Numbers of all cores. About 350 bytes per core.
pub struct RouteCounters {
    cells: Box<[CachePadded<Cell>]>,
}

impl std::fmt::Debug for RouteCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RouteCounters {{ cores: {} }}", self.cells.len())
    }
}

impl RouteCounters {
    /// All at zero, for cores `0..cores`.
    pub fn new(cores: usize) -> Arc<Self> {
        let zero = |_| {
            CachePadded::new(Cell {
                outcomes: [const { AtomicU64::new(0) }; CacheOutcome::COUNT],
                passes: [const { AtomicU64::new(0) }; Pass::COUNT],
                not_stored: [const { AtomicU64::new(0) }; NotStored::COUNT],
            })
        };
        Arc::new(Self { cells: (0..cores.max(1)).map(zero).collect() })
    }

    /// The cell of a core: each has its own as long as there are as many as announced.
    fn cell(&self, core: usize) -> &Cell {
        let index = core % self.cells.len();
        &self.cells[index]
    }

    /// Counts how a request was answered.
    pub fn outcome(&self, core: usize, outcome: CacheOutcome) {
        bump(&self.cell(core).outcomes[outcome as usize]);
    }

    /// Counts why a request went past the cache.
    pub fn pass(&self, core: usize, reason: Pass) {
        bump(&self.cell(core).passes[reason as usize]);
    }

    /// Counts why an answer was not stored.
    pub fn not_stored(&self, core: usize, reason: NotStored) {
        bump(&self.cell(core).not_stored[reason as usize]);
    }

    /// Sum over the cores.
    pub fn outcome_value(&self, outcome: CacheOutcome) -> u64 {
        self.cells.iter().map(|c| c.outcomes[outcome as usize].load(Relaxed)).sum()
    }

    /// Sum over the cores.
    pub fn pass_value(&self, reason: Pass) -> u64 {
        self.cells.iter().map(|c| c.passes[reason as usize].load(Relaxed)).sum()
    }

    /// Sum over the cores.
    pub fn not_stored_value(&self, reason: NotStored) -> u64 {
        self.cells.iter().map(|c| c.not_stored[reason as usize].load(Relaxed)).sum()
    }
}

/// Adds without a lock prefix: there is one writer.
fn bump(cell: &AtomicU64) {
    cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_core_counts_apart_and_the_sum_is_shown() {
        let counters = RouteCounters::new(2);
        counters.outcome(0, CacheOutcome::Hit);
        counters.outcome(1, CacheOutcome::Hit);
        counters.pass(1, Pass::Range);
        counters.not_stored(0, NotStored::Private);
        assert_eq!(counters.outcome_value(CacheOutcome::Hit), 2);
        assert_eq!((counters.pass_value(Pass::Range), counters.pass_value(Pass::Upgrade)), (1, 0));
        assert_eq!(counters.not_stored_value(NotStored::Private), 1);
    }
}
