//! Which keys were evicted lately: fingerprints with the number of their eviction in a fixed array.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::key::KeyHash;

/// Slots of a bucket: one cache line.
const WAYS: usize = 8;
const NUMBER: u64 = 0xFFFF_FFFF;

/// Evicted keys. 8 bytes per slot. A fingerprint has 32 bits: one key in half a thousand million is taken for another.
#[derive(Debug)]
pub struct Ghost {
    /// Fingerprint in the upper half, number of the eviction in the lower half; 0 = free.
    slots: Box<[AtomicU64]>,
    evictions: AtomicU64,
}

impl Ghost {
    /// Room for at least so many keys.
    pub fn new(keys: usize) -> Self {
        let slots = keys.next_power_of_two().max(WAYS);
        Self { slots: (0..slots).map(|_| AtomicU64::new(0)).collect(), evictions: AtomicU64::new(1) }
    }

    /// Keys that find room.
    pub fn room(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Remembers an evicted key, in the place of the oldest of its bucket.
    pub fn insert(&self, hash: KeyHash) {
        let now = self.evictions.fetch_add(1, Relaxed);
        let age = |slot: &&AtomicU64| match slot.load(Relaxed) {
            0 => u64::MAX,
            kept => now.wrapping_sub(kept) & NUMBER,
        };
        if let Some(oldest) = self.bucket(hash).iter().max_by_key(age) {
            oldest.store(fingerprint(hash) | (now & NUMBER), Relaxed);
        }
    }

    /// Whether a key is among the last `window` evicted ones; it is forgotten.
    pub fn take(&self, hash: KeyHash, window: u64) -> bool {
        let now = self.evictions.load(Relaxed);
        let print = fingerprint(hash);
        let is_it = |kept: u64| kept & !NUMBER == print && now.wrapping_sub(kept) & NUMBER <= window;
        let slot = self.bucket(hash).iter().find(|slot| is_it(slot.load(Relaxed)));
        slot.inspect(|slot| slot.store(0, Relaxed)).is_some()
    }

    fn bucket(&self, hash: KeyHash) -> &[AtomicU64] {
        let bucket = (hash.0 >> 64) as usize & (self.slots.len() / WAYS - 1);
        self.slots.chunks_exact(WAYS).nth(bucket).unwrap_or_default()
    }
}

/// The upper half of a slot; never zero.
fn fingerprint(hash: KeyHash) -> u64 {
    ((hash.0 as u64) & !NUMBER) | 1 << 32
}
