//! How often keys were asked for that are not stored: a count-min sketch in fixed memory that forgets by itself.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};

use super::key::KeyHash;

const CELLS: usize = 1 << 16;
/// Cells that are halved at once.
const STRIPE: usize = 64;
/// Counts between two halvings of a stripe: each cell is halved after eight times as many counts as there are cells.
const COUNTS_PER_STRIPE: u64 = 8 * STRIPE as u64;

/// Counts of keys, never too low until they are halved, seldom too high. 64 KiB.
#[derive(Debug)]
pub struct UseCount {
    cells: Box<[AtomicU8]>,
    counts: AtomicU64,
}

impl UseCount {
    /// Nothing counted.
    pub fn new() -> Self {
        Self { cells: (0..CELLS).map(|_| AtomicU8::new(0)).collect(), counts: AtomicU64::new(0) }
    }

    /// Counts a use and returns how many there were with it, 1–255.
    pub fn count(&self, hash: KeyHash) -> u8 {
        self.age();
        let cells = self.cells_of(hash);
        let now = cells.map(|c| c.load(Relaxed)).into_iter().min().unwrap_or(0).saturating_add(1);
        for cell in cells {
            // Only who is below is raised: the others count for somebody else.
            if cell.load(Relaxed) < now {
                cell.store(now, Relaxed);
            }
        }
        now
    }

    fn cells_of(&self, hash: KeyHash) -> [&AtomicU8; 2] {
        let first = (hash.0 >> 32) as usize % CELLS;
        let second = (hash.0 >> 80) as usize % CELLS;
        [&self.cells[first], &self.cells[second]]
    }

    fn age(&self) {
        let counts = self.counts.fetch_add(1, Relaxed);
        if !counts.is_multiple_of(COUNTS_PER_STRIPE) {
            return;
        }
        let stripe = (counts / COUNTS_PER_STRIPE) as usize % (CELLS / STRIPE);
        for cell in self.cells.iter().skip(stripe * STRIPE).take(STRIPE) {
            cell.store(cell.load(Relaxed) / 2, Relaxed);
        }
    }
}

impl Default for UseCount {
    fn default() -> Self {
        Self::new()
    }
}
