//! Which object goes when room is needed: S3-FIFO (Yang et al., SOSP 2023) over bytes.
//!
//! New objects enter a small queue; those that are used there move to the main one, the others leave and are remembered
//! in the ghost, from where a second arrival enters the main queue at once. Unlike in the article the small queue has no
//! fixed share: an object that comes back soon after it left the small queue makes it larger, one that comes back soon
//! after it left the main queue makes it smaller. Takes no lock, never waits, and does a bounded number of steps. Does
//! not know the table: it returns who has to go.

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
/// Objects that came back are promoted where, since they left, no more were evicted from the small queue than the
/// cache's objects by this divisor.
const GHOST_DIVISOR: u64 = 2;
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
        let is_promoted = is_sign || (back.from == From::Small && back.age <= objects / GHOST_DIVISOR);
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
        Look::Evicted(entry)
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

    /// Objects that came back soon after they were evicted.
    pub fn ghost_hits(&self) -> u64 {
        self.ghost_hits.load(Relaxed)
    }
}
