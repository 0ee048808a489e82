//! What became of the requests under a limit: a cell per core, written by that core alone, read by the control plane.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

/// What a limit did: label of `ringway_limit_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It let the request pass at once.
    Passed,
    /// It let the request pass after a wait.
    Delayed,
    /// It refused the request.
    Refused,
    /// It would have refused the request, but only counts.
    DryRun,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Passed, Self::Delayed, Self::Refused, Self::DryRun];

    /// The name outside the program.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Delayed => "delayed",
            Self::Refused => "refused",
            Self::DryRun => "dry_run",
        }
    }
}

/// Numbers of all cores; 128 bytes per core.
pub struct Counters {
    cells: Box<[CachePadded<[AtomicU64; Outcome::ALL.len()]>]>,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Counters {{ cores: {} }}", self.cells.len())
    }
}

impl Counters {
    /// All at zero, for cores `0..cores`.
    pub fn new(cores: usize) -> Self {
        Self { cells: (0..cores.max(1)).map(|_| CachePadded::default()).collect() }
    }

    /// Counts what became of a request. Only for the core with this index.
    pub fn count(&self, core: usize, outcome: Outcome) {
        let cell = &self.cells[core % self.cells.len()][outcome as usize];
        // Without a lock prefix: there is one writer.
        cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Sum over the cores.
    pub fn value(&self, outcome: Outcome) -> u64 {
        self.cells.iter().map(|cell| cell[outcome as usize].load(Relaxed)).sum()
    }
}
