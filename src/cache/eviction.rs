//! Which object goes when room is needed: S3-FIFO (Yang et al., SOSP 2023) over bytes.
//!
//! New objects enter a small queue; those that are used there move to the main one, the others leave and are remembered
//! in the ghost, from where a second arrival enters the main queue at once. Takes no lock, never waits, and does a
//! bounded number of steps. Does not know the table: it returns who has to go.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;

use super::ghost::Ghost;
use super::key::KeyHash;
use super::life::State;
use super::object::Object;

/// Share of the small queue in the bytes of both, per cent.
const SMALL_PERCENT: u64 = 10;
/// Objects that are looked at before one goes, whatever its uses.
const LOOKS_MAX: usize = 256;
/// Bytes of capacity per remembered key.
const BYTES_PER_GHOST: u64 = 1024;

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

/// The queues. 40 bytes per object and 8 per remembered key, of which there is one per KiB of capacity.
#[derive(Debug)]
pub struct Eviction {
    small: Queue,
    main: Queue,
    ghost: Ghost,
    ghost_hits: AtomicU64,
}

impl Eviction {
    /// Empty queues for a cache of `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        let keys = usize::try_from(capacity / BYTES_PER_GHOST).unwrap_or(usize::MAX).clamp(1 << 10, 1 << 24);
        Self { small: Queue::default(), main: Queue::default(), ghost: Ghost::new(keys), ghost_hits: AtomicU64::new(0) }
    }

    /// A complete object enters.
    pub fn admit(&self, entry: Entry) {
        let window = (self.main.entries.len() + self.small.entries.len()) as u64;
        if self.ghost.take(entry.hash, window.max(16)) {
            self.ghost_hits.fetch_add(1, Relaxed);
            self.main.push(entry);
        } else {
            self.small.push(entry);
        }
    }

    /// The next one to go, taken out of its queue; `None` = nothing is left in the queues.
    pub fn evict(&self) -> Option<Entry> {
        for look in 0..2 * LOOKS_MAX {
            let forced = look >= LOOKS_MAX;
            let (small, main) = (self.small.bytes(), self.main.bytes());
            let first = if small * 100 >= (small + main) * SMALL_PERCENT {
                self.look_at_small(forced)
            } else {
                self.look_at_main(forced)
            };
            let look = match first {
                Look::Empty if small > 0 => self.look_at_small(forced),
                Look::Empty => self.look_at_main(forced),
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
        self.ghost.insert(entry.hash);
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

    /// Objects that came back soon after they were evicted.
    pub fn ghost_hits(&self) -> u64 {
        self.ghost_hits.load(Relaxed)
    }
}
