//! Seeded randomness (xorshift64*, Vigna 2016) for identifiers, jitter and balancing. Never for secrets.

use std::cell::Cell;

/// A generator of one core. 8 bytes.
pub struct Random {
    state: Cell<u64>,
}

impl Random {
    /// A generator that repeats its sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self { state: Cell::new(seed | 1) }
    }

    /// A generator seeded by the operating system.
    pub fn from_os() -> Self {
        use std::hash::{BuildHasher, Hasher};
        // RandomState is seeded from the system's entropy: a safe way to it without another dependency.
        Self::seeded(std::collections::hash_map::RandomState::new().build_hasher().finish())
    }

    /// The next 64 bits.
    pub fn next_u64(&self) -> u64 {
        let mut x = self.state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.state.set(x);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_sequence() {
        let (a, b) = (Random::seeded(7), Random::seeded(7));
        let first: Vec<u64> = (0..8).map(|_| a.next_u64()).collect();
        let second: Vec<u64> = (0..8).map(|_| b.next_u64()).collect();
        assert_eq!(first, second);
        assert_ne!(first[0], first[1]);
        assert_eq!(a.below(0), 0);
        assert!((0..100).all(|_| a.below(3) < 3));
    }
}
