//! Which keys were evicted lately, and from which queue: fingerprints with the number of their eviction in a fixed array.
//!
//! Takes no lock; two evictions into one bucket at once may lose one of them, which costs a guess and nothing else.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::key::KeyHash;

/// The queue that a key was evicted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Small,
    Main,
}

/// A key that was evicted, and how many were since, from the same queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    pub from: From,
    pub age: u64,
}

/// Slots of a bucket: one cache line.
const WAYS: usize = 8;
/// The number of the eviction: the lower half of a slot.
const NUMBER: u64 = 0xFFFF_FFFF;
/// Where the bit that tells the queue stands.
const MAIN: u64 = 1 << 63;
/// Those evicted from the main queue are of use for so many times shorter.
const MAIN_AGES: u64 = 5;

/// Evicted keys. 8 bytes per slot. A fingerprint has 30 bits: in one lookup of 10⁸ a key is taken for another.
#[derive(Debug)]
pub struct Ghost {
    /// Queue and fingerprint in the upper half, number of the eviction in the lower half; 0 = free.
    slots: Box<[AtomicU64]>,
    evicted_small: AtomicU64,
    evicted_main: AtomicU64,
}

impl Ghost {
    /// Room for at least so many keys.
    pub fn new(keys: usize) -> Self {
        let slots = keys.next_multiple_of(WAYS).max(WAYS);
        Self {
            slots: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            evicted_small: AtomicU64::new(0),
            evicted_main: AtomicU64::new(0),
        }
    }

    /// Remembers an evicted key, in the place of the oldest of its bucket.
    pub fn insert(&self, hash: KeyHash, from: From) {
        let number = self.evicted(from).fetch_add(1, Relaxed) & NUMBER;
        let bit = if from == From::Main { MAIN } else { 0 };
        let age = |slot: &&AtomicU64| match slot.load(Relaxed) {
            0 => u64::MAX,
            kept if from_of(kept) == From::Main => self.age(kept) * MAIN_AGES,
            kept => self.age(kept),
        };
        if let Some(oldest) = self.bucket(hash).iter().max_by_key(age) {
            oldest.store(bit | fingerprint(hash) | number, Relaxed);
        }
    }

    /// What is remembered of a key; it is forgotten.
    pub fn take(&self, hash: KeyHash) -> Option<Return> {
        let print = fingerprint(hash);
        let slot = self.bucket(hash).iter().find(|slot| slot.load(Relaxed) & !MAIN & !NUMBER == print)?;
        let kept = slot.swap(0, Relaxed);
        (kept != 0).then(|| Return { from: from_of(kept), age: self.age(kept) })
    }

    fn age(&self, kept: u64) -> u64 {
        self.evicted(from_of(kept)).load(Relaxed).wrapping_sub(kept) & NUMBER
    }

    fn evicted(&self, from: From) -> &AtomicU64 {
        match from {
            From::Small => &self.evicted_small,
            From::Main => &self.evicted_main,
        }
    }

    fn bucket(&self, hash: KeyHash) -> &[AtomicU64] {
        let buckets = (self.slots.len() / WAYS) as u64;
        let bucket = (u64::from((hash.0 >> 64) as u32) * buckets) >> 32;
        let start = usize::try_from(bucket).unwrap_or(0) * WAYS;
        self.slots.get(start..start + WAYS).unwrap_or_default()
    }
}

fn from_of(kept: u64) -> From {
    if kept & MAIN != 0 { From::Main } else { From::Small }
}

/// Bits 32 to 62 of a slot; never zero.
fn fingerprint(hash: KeyHash) -> u64 {
    ((hash.0 as u64) & !NUMBER & !MAIN) | 1 << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u64) -> KeyHash {
        let mixed = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        KeyHash(u128::from(mixed) << 64 | u128::from(mixed.wrapping_mul(0xD134_2543_DE82_EF95)))
    }

    #[test]
    fn a_key_is_remembered_once_with_its_age_and_queue() {
        let ghost = Ghost::new(1_024);
        for n in 0..10 {
            ghost.insert(hash(n), if n == 3 { From::Main } else { From::Small });
        }
        assert_eq!(ghost.take(hash(2)), Some(Return { from: From::Small, age: 8 - 1 }));
        assert_eq!(ghost.take(hash(3)), Some(Return { from: From::Main, age: 1 }));
        assert_eq!((ghost.take(hash(2)), ghost.take(hash(11))), (None, None));
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let ghost = Ghost::new(1_024);
        for n in 0..10_000 {
            ghost.insert(hash(n), From::Small);
        }
        let kept = |range: std::ops::Range<u64>| range.filter(|n| ghost.take(hash(*n)).is_some()).count();
        assert!(kept(9_700..10_000) > 290);
        assert!(kept(0..7_000) < 10);
    }
}
