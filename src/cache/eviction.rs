//! Which object goes when room is needed: S3-FIFO (Yang et al., SOSP 2023) over bytes.
//!
//! New objects enter a small queue; those that are used there move to the main one, the others leave and are remembered
//! in the ghost, from where a second arrival enters the main queue at once. Unlike in the article the small queue has no
//! fixed share: an object that comes back soon after it left the small queue makes it larger, one that comes back soon
//! after it left the main queue makes it smaller. Nor has the ghost a fixed reach: where almost nothing that enters the
//! main queue leaves it again, objects that come back later enter it, too. Takes no lock, never waits, and does a bounded
//! number of steps. Does not know the table: it returns who has to go.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;

use super::ghost::{From, Ghost};
use super::key::KeyHash;
use super::life::State;
use super::object::Object;

/// Share of the small queue in the bytes of both, at first, at least and at most, in billionths.
const SMALL_SHARE_FIRST: u64 = 100_000_000;
const SMALL_SHARE_MIN: u64 = 10_000_000;
const SMALL_SHARE_MAX: u64 = 700_000_000;
const BILLION: u64 = 1_000_000_000;
/// Objects that came back are promoted where, since they left, no more were evicted from the small queue than the ghost's
/// reach: at least the cache's objects by this divisor, at most so many times as many.
const REACH_DIVISOR: u64 = 2;
const REACH_FACTOR: u64 = 5;
/// An eviction from the small queue makes the reach larger by one, one from the main queue smaller by this: it settles
/// where one object in so many leaves by the main queue.
const REACH_LOSS: u64 = 80;
/// They are taken for a sign that their queue is too small where no more were evicted than by this divisor.
const SIGN_DIVISOR: u64 = 10;
/// Objects that are looked at before one goes, whatever its uses.
const LOOKS_MAX: usize = 256;
/// Bytes of capacity per remembered key.
const BYTES_PER_GHOST: u64 = 512;

/// An object in a queue.
#[derive(Debug)]
pub struct Entry {
    pub hash: KeyHash,
    pub object: Arc<Object>,
    /// Bytes it was charged when it entered.
    pub weight: u64,
}

/// A first-in first-out queue that knows its bytes. Its length is that of the table: an object enters once.
#[derive(Debug, Default)]
struct Queue {
    entries: SegQueue<Entry>,
    bytes: CachePadded<AtomicU64>,
}

impl Queue {
    fn push(&self, entry: Entry) {
        self.bytes.fetch_add(entry.weight, Relaxed);
        self.entries.push(entry);
    }

    fn pop(&self) -> Option<Entry> {
        let entry = self.entries.pop()?;
        self.bytes.fetch_sub(entry.weight, Relaxed);
        Some(entry)
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

/// What looking at one entry came to.
enum Look {
    Evicted(Entry),
    /// It stays, or was dead already.
    Next,
    Empty,
}

/// The queues. 40 bytes per object and 8 per remembered key, of which there are two per KiB of capacity.
#[derive(Debug)]
pub struct Eviction {
    small: Queue,
    main: Queue,
    ghost: Ghost,
    /// Billionths of the bytes that are the small queue's.
    small_share: AtomicU64,
    /// How many evictions from the small queue ago an object may have left to be promoted; its bounds are those of use.
    reach: AtomicU64,
    ghost_hits: AtomicU64,
}

impl Eviction {
    /// Empty queues for a cache of `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        let keys = usize::try_from(capacity / BYTES_PER_GHOST).unwrap_or(usize::MAX).clamp(1 << 10, 1 << 24);
        Self {
            small: Queue::default(),
            main: Queue::default(),
            ghost: Ghost::new(keys),
            small_share: AtomicU64::new(SMALL_SHARE_FIRST),
            reach: AtomicU64::new(0),
            ghost_hits: AtomicU64::new(0),
        }
    }

    /// A complete object enters.
    pub fn admit(&self, entry: Entry) {
        if self.is_promoted(entry.hash) {
            self.main.push(entry);
        } else {
            self.small.push(entry);
        }
    }

    /// One that was to go stays: it is behind all others of the main queue.
    pub fn put_back(&self, entry: Entry) {
        self.main.push(entry);
    }

    /// Whether a new object has been here lately; learns from it how large the small queue should be.
    fn is_promoted(&self, hash: KeyHash) -> bool {
        let Some(back) = self.ghost.take(hash) else { return false };
        let objects = self.len().max(1) as u64;
        let is_sign = back.age <= objects / SIGN_DIVISOR;
        let step = (BILLION / objects).max(1);
        let share = self.small_share.load(Relaxed);
        // Two cores at once may lose a step: nobody counts them.
        match back.from {
            From::Small if is_sign => self.small_share.store((share + step).min(SMALL_SHARE_MAX), Relaxed),
            From::Main if is_sign => {
                self.small_share.store(share.saturating_sub(step + step / 4).max(SMALL_SHARE_MIN), Relaxed);
            }
            _ => {}
        }
        let reach = bounded(self.reach.load(Relaxed), objects);
        let is_promoted = is_sign || (back.from == From::Small && back.age <= reach);
        self.ghost_hits.fetch_add(u64::from(is_promoted), Relaxed);
        is_promoted
    }

    /// The next one to go, taken out of its queue; `None` = nothing is left in the queues.
    pub fn evict(&self) -> Option<Entry> {
        for look in 0..2 * LOOKS_MAX {
            let forced = look >= LOOKS_MAX;
            let (small, main) = (self.small.bytes(), self.main.bytes());
            let is_full = self.is_small_full(small, main);
            let first = if is_full { self.look_at_small(forced) } else { self.look_at_main(forced) };
            let look = match first {
                Look::Empty if is_full => self.look_at_main(forced),
                Look::Empty => self.look_at_small(forced),
                other => other,
            };
            match look {
                Look::Evicted(entry) => return Some(entry),
                Look::Next => {}
                Look::Empty => return None,
            }
        }
        None
    }

    fn is_small_full(&self, small: u64, main: u64) -> bool {
        let share = u128::from(self.small_share.load(Relaxed));
        u128::from(small) * u128::from(BILLION) >= (u128::from(small) + u128::from(main)) * share
    }

    fn look_at_small(&self, forced: bool) -> Look {
        let Some(entry) = self.small.pop() else { return Look::Empty };
        if entry.object.life.state() == State::Dead {
            return Look::Next;
        }
        if entry.object.uses.load(Relaxed) > 0 && !forced {
            entry.object.uses.store(0, Relaxed);
            self.main.push(entry);
            return Look::Next;
        }
        self.ghost.insert(entry.hash, From::Small);
        self.extend(1, 0);
        Look::Evicted(entry)
    }

    fn look_at_main(&self, forced: bool) -> Look {
        let Some(entry) = self.main.pop() else { return Look::Empty };
        if entry.object.life.state() == State::Dead {
            return Look::Next;
        }
        let uses = entry.object.uses.load(Relaxed);
        if uses > 0 && !forced {
            entry.object.uses.store(uses - 1, Relaxed);
            self.main.push(entry);
            return Look::Next;
        }
        self.ghost.insert(entry.hash, From::Main);
        self.extend(0, REACH_LOSS);
        Look::Evicted(entry)
    }

    /// Makes the ghost's reach larger or smaller by so many evictions. Two cores at once may lose one of them.
    fn extend(&self, gain: u64, loss: u64) {
        let reach = self.reach.load(Relaxed);
        self.reach.store(bounded((reach + gain).saturating_sub(loss), self.len() as u64), Relaxed);
    }

    /// Takes dead objects out: passes `entries` entries of both queues from the front to the back, in their order.
    pub fn turn(&self, entries: usize) -> usize {
        let mut dropped = 0;
        for queue in [&self.small, &self.main] {
            for _ in 0..entries.min(queue.entries.len()) {
                match queue.pop() {
                    Some(entry) if entry.object.life.state() == State::Dead => dropped += 1,
                    Some(entry) => queue.push(entry),
                    None => break,
                }
            }
        }
        dropped
    }

    /// Entries of both queues.
    pub fn len(&self) -> usize {
        self.small.entries.len() + self.main.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in the small queue and in the main one, as they were when the objects entered.
    pub fn bytes(&self) -> (u64, u64) {
        (self.small.bytes(), self.main.bytes())
    }

    /// Billionths of the bytes that are the small queue's.
    pub fn small_share(&self) -> u64 {
        self.small_share.load(Relaxed)
    }

    /// Evictions from the small queue within which an object comes back to be promoted.
    pub fn reach(&self) -> u64 {
        bounded(self.reach.load(Relaxed), self.len() as u64)
    }

    /// Objects that came back soon after they were evicted.
    pub fn ghost_hits(&self) -> u64 {
        self.ghost_hits.load(Relaxed)
    }
}

/// The ghost's reach within its bounds, for a cache of so many objects.
fn bounded(reach: u64, objects: u64) -> u64 {
    reach.clamp(objects / REACH_DIVISOR, objects * REACH_FACTOR)
}

#[cfg(test)]
mod tests {
    use super::super::account::Account;
    use super::super::object::{Content, Origin};
    use super::*;
    use crate::http::Method;

    /// A cache of 100 objects with nothing around it.
    struct Hundred {
        account: Arc<Account>,
        eviction: Eviction,
        objects: Vec<Entry>,
    }

    impl Hundred {
        fn new() -> Self {
            Self { account: Account::new(u64::MAX), eviction: Eviction::new(1 << 20), objects: Vec::new() }
        }

        /// Stores an object under a number, evicts where there are more than 100, and returns it.
        fn store(&mut self, number: u64) -> Arc<Object> {
            let charge = self.account.charge(1).expect("room");
            let origin = Origin { key: Box::default(), method: Method::Get, birth: 0, url: 0 };
            let object = Object::complete(origin, Content::HitForMiss { until_ms: 0 }, charge);
            let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let hash = KeyHash(u128::from(mixed) << 64 | u128::from(mixed.rotate_left(32)));
            while self.eviction.len() >= 100 {
                self.objects.push(self.eviction.evict().expect("somebody because there are 100"));
            }
            self.eviction.admit(Entry { hash, object: Arc::clone(&object), weight: 1 });
            object
        }
    }

    #[test]
    fn what_comes_once_leaves_in_its_order_and_what_was_used_stays() {
        let mut cache = Hundred::new();
        let used: Vec<_> = (0..50).map(|number| cache.store(number)).collect();
        used.iter().for_each(|object| object.touch());
        (1_000..2_000).for_each(|number| drop(cache.store(number)));
        assert_eq!(cache.eviction.len(), 100);
        assert!(cache.objects.iter().all(|gone| used.iter().all(|object| !Arc::ptr_eq(object, &gone.object))));
    }

    #[test]
    fn the_reach_grows_where_nothing_leaves_the_main_queue_and_falls_where_much_does() {
        let mut cache = Hundred::new();
        assert_eq!(cache.eviction.reach(), 0);
        for number in 0..1_000 {
            cache.store(number);
        }
        assert!(cache.eviction.reach() >= 99 * REACH_FACTOR, "everything left by the small queue");
        let before = cache.eviction.ghost_hits();
        cache.store(700);
        assert_eq!(cache.eviction.ghost_hits(), before + 1, "it left 200 evictions ago");
        for number in 10_000..10_400 {
            cache.store(number).touch();
        }
        assert!(cache.eviction.reach() <= 100 / REACH_DIVISOR, "everything leaves by the main queue");
        cache.store(950);
        assert_eq!(cache.eviction.ghost_hits(), before + 1);
    }
}
