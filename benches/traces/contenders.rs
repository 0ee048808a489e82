//! Caches that are asked the same: the gateway's, LRU (crate `lru`, bounded in bytes here), moka, quick_cache.
//!
//! Each is deterministic: hashes have fixed seeds, and moka does its upkeep after every request instead of by the clock.

use ahash::RandomState;
use quick_cache::OptionsBuilder;
use quick_cache::unsync::{Cache as Quick, DefaultLifecycle};

use super::stored::{HTTP_BYTES, Store};
use super::{Ask, payload_bytes};

/// What an entry weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Key and body bytes, for everybody: compares ways of eviction alone.
    Payload,
    /// What an entry takes that holds the same answer: key and field lines as the gateway has them, the body, what the
    /// crate adds by `cache_memory`; the gateway's cache: what it charges.
    Memory,
}

/// A cache in which something is asked for, and stored where it is not there.
pub trait Contender {
    /// `true` = it was there.
    fn ask(&mut self, ask: Ask) -> bool;
}

/// Bytes that an entry takes beyond key and body in lru, moka and quick_cache (`String` keys, `Bytes` bodies).
pub const OVERHEADS: [u64; 3] = [120, 327, 87];

/// Names of the contenders, in the order of [`make`].
pub const NAMES: [&str; 4] = ["LRU", "moka", "quick_cache", "ringway"];

/// The contender of a number, empty.
pub fn make(index: usize, capacity: u64, weights: Weights) -> Box<dyn Contender> {
    let overhead = match weights {
        Weights::Payload => 0,
        Weights::Memory => OVERHEADS.get(index).copied().unwrap_or_default() + HTTP_BYTES,
    };
    match index {
        0 => Box::new(Lru::new(capacity, overhead)),
        1 => Box::new(Moka::new(capacity, overhead)),
        2 => Box::new(QuickCache::new(capacity, overhead)),
        _ => Box::new(Ringway { store: Store::new(capacity), weights }),
    }
}

fn seeded() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}

struct Lru {
    entries: lru::LruCache<u64, u64, RandomState>,
    used: u64,
    capacity: u64,
    overhead: u64,
}

impl Lru {
    fn new(capacity: u64, overhead: u64) -> Self {
        Self { entries: lru::LruCache::unbounded_with_hasher(seeded()), used: 0, capacity, overhead }
    }
}

impl Contender for Lru {
    fn ask(&mut self, ask: Ask) -> bool {
        if self.entries.get(&ask.key).is_some() {
            return true;
        }
        let weight = payload_bytes(ask) + self.overhead;
        while self.used + weight > self.capacity {
            let Some((_, gone)) = self.entries.pop_lru() else { return false };
            self.used -= gone;
        }
        self.entries.put(ask.key, weight);
        self.used += weight;
        false
    }
}

struct Moka {
    cache: moka::sync::Cache<u64, u32, RandomState>,
    overhead: u64,
}

impl Moka {
    fn new(capacity: u64, overhead: u64) -> Self {
        let builder = moka::sync::Cache::builder().max_capacity(capacity).weigher(|_: &u64, weight: &u32| *weight);
        Self { cache: builder.build_with_hasher(seeded()), overhead }
    }
}

impl Contender for Moka {
    fn ask(&mut self, ask: Ask) -> bool {
        let found = self.cache.get(&ask.key).is_some();
        if !found {
            let weight = payload_bytes(ask) + self.overhead;
            self.cache.insert(ask.key, u32::try_from(weight).unwrap_or(u32::MAX));
        }
        self.cache.run_pending_tasks();
        found
    }
}

#[derive(Clone)]
struct Kept;

impl quick_cache::Weighter<u64, u64> for Kept {
    fn weight(&self, _: &u64, weight: &u64) -> u64 {
        *weight
    }
}

struct QuickCache {
    cache: Quick<u64, u64, Kept, RandomState>,
    overhead: u64,
}

impl QuickCache {
    fn new(capacity: u64, overhead: u64) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(capacity / 1_024).unwrap_or(1).max(1))
            .weight_capacity(capacity)
            .shards(1)
            .build()
            .expect("options because both capacities are given");
        Self { cache: Quick::with_options(options, Kept, seeded(), DefaultLifecycle::default()), overhead }
    }
}

impl Contender for QuickCache {
    fn ask(&mut self, ask: Ask) -> bool {
        let found = self.cache.get(&ask.key).is_some();
        if !found {
            self.cache.insert(ask.key, payload_bytes(ask) + self.overhead);
        }
        found
    }
}

struct Ringway {
    store: Store,
    weights: Weights,
}

impl Contender for Ringway {
    fn ask(&mut self, ask: Ask) -> bool {
        let found = self.store.get(ask.key);
        if !found {
            match self.weights {
                Weights::Payload => self.store.put_weight(ask.key, payload_bytes(ask)),
                Weights::Memory => self.store.put(ask.key, ask.bytes as usize),
            };
        }
        found
    }
}
