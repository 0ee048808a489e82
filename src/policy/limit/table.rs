//! The cells of all keys of all limits: one table for the whole process, of a size that is fixed when it is made.
//!
//! A bucket is two cache lines: eight tags and eight words. The word of a rate is its TAT, the word of a count is the
//! number of requests in flight; the low bits of the tag say which, and how long the rate's window is. A full bucket
//! gives up the cell that says least: one whose TAT is in the past says nothing, a count above zero is never given up,
//! and of the others the one goes that is filled least in proportion to its window. So whoever comes with a million
//! addresses evicts such keys as have hardly been used, his own among them.
//!
//! No lock. Every change of a word is a compare-and-swap from what was seen under the tag, also the one that gives the
//! cell to another key. What can happen to a rate: two cores that meet a new key at once give it two cells, one of which
//! is forgotten; a cell that got another key in between, and by chance the same TAT, is charged in that one's stead.
//! Either costs at most one lease. A count is taken back where its cell got another key in between, and where a new key
//! has got two cells both are counted, so no more are in flight than may.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release, SeqCst};
use std::sync::atomic::fence;

use super::key::{Asker, Key, KeyPart, Prefixes, Seed};
use super::rate::{Rate, Taken};

/// Cells of a bucket.
const WAYS: usize = 8;
/// Bits of a tag that are no part of the hash.
const CLASS_BITS: u64 = 0x3f;
/// Class of a count; those of rates are below.
const CLASS_COUNT: u8 = 62;
/// A cell that was never used: its class, 0, is nobody's.
const EMPTY: u64 = 0;
/// A cell that is being given to another key: its class, 63, is nobody's.
const CLAIMED: u64 = u64::MAX;

/// Bytes of a bucket.
pub const BUCKET_BYTES: u64 = 128;

/// Eight cells. Two cache lines, of which a look-up reads the first and writes to the second.
#[repr(align(128))]
struct Bucket {
    tags: [AtomicU64; WAYS],
    words: [AtomicU64; WAYS],
}

/// The table. 16 bytes per cell, all of it taken when it is made.
pub struct Table {
    buckets: Box<[Bucket]>,
    seed: Seed,
    /// Cores that lease from it.
    cores: u64,
    bytes: u64,
}

impl std::fmt::Debug for Table {
    /// Without the seed of its hashes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table {{ bytes: {}, cores: {} }}", self.bytes, self.cores)
    }
}

/// One request in a count; leaves it when dropped, however its exchange ends.
#[derive(Debug)]
pub struct Seat<'t> {
    table: &'t Arc<Table>,
    /// Number among all cells.
    cell: usize,
}

/// A [`Seat`] that needs nothing but the table to live.
#[derive(Debug)]
pub struct KeptSeat {
    table: Arc<Table>,
    cell: usize,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.table.leave(self.cell);
    }
}

impl Seat<'_> {
    /// The same seat, for longer than the plan may last.
    pub(super) fn keep(mut self) -> KeptSeat {
        // It is left once, by what it has become: no table has the cell that is put in its place.
        let cell = std::mem::replace(&mut self.cell, usize::MAX);
        KeptSeat { table: Arc::clone(self.table), cell }
    }
}

impl Drop for KeptSeat {
    fn drop(&mut self) {
        self.table.leave(self.cell);
    }
}

/// What a count says about a request.
#[derive(Debug)]
pub enum Counted<'t> {
    Seated(Seat<'t>),
    /// All cells of the bucket hold counts of others: the request is not counted.
    Untracked,
    Refused,
}

/// How giving a cell to a key went.
enum Claim<'t> {
    Done(&'t AtomicU64),
    /// Another core was quicker.
    Lost,
    /// There is none to give.
    Full,
}

impl Table {
    /// A table of at most `bytes` (at least one bucket), for so many cores.
    pub fn new(bytes: u64, cores: usize) -> Arc<Self> {
        let count = (bytes / BUCKET_BYTES).max(1);
        let bucket =
            |_| Bucket { tags: [const { AtomicU64::new(EMPTY) }; WAYS], words: [const { AtomicU64::new(0) }; WAYS] };
        let buckets = (0..count).map(bucket).collect();
        Arc::new(Self { buckets, seed: Seed::new(), cores: cores.max(1) as u64, bytes })
    }

    /// The memory it was made for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The key of a request under the limit with this number.
    pub fn key(&self, limit: u64, parts: &[KeyPart], prefixes: Prefixes, asker: &Asker<'_>) -> Key {
        self.seed.key(limit, parts, prefixes, asker)
    }

    fn bucket(&self, key: Key) -> &Bucket {
        &self.buckets[self.bucket_index(key)]
    }

    fn bucket_index(&self, key: Key) -> usize {
        // As good as a remainder, and a multiplication is cheaper; below the length, because `place` is below 2^64.
        ((u128::from(key.place) * self.buckets.len() as u128) >> 64) as usize
    }

    /// Lowers a count.
    fn leave(&self, cell: usize) {
        let word = self.buckets.get(cell / WAYS).and_then(|bucket| bucket.words.get(cell % WAYS));
        // A count above zero stays with its key, so this is the cell that was raised.
        if let Some(word) = word {
            word.fetch_sub(1, Release);
        }
    }

    /// Takes up to `wanted` tokens of a key.
    pub(super) fn take(&self, key: Key, rate: &Rate, now_ns: u64, wanted: u64) -> Taken {
        let (bucket, tag, sharers) = (self.bucket(key), key.tag(rate.class()), 2 * self.cores);
        loop {
            match bucket.word(tag) {
                Some((word, seen)) => match rate.take(seen, now_ns, wanted, sharers) {
                    Taken::Tokens { tat_ns, .. } if word.compare_exchange(seen, tat_ns, AcqRel, Acquire).is_err() => {}
                    taken => return taken,
                },
                None => {
                    let taken = rate.take(0, now_ns, wanted, sharers);
                    let Taken::Tokens { tat_ns, .. } = taken else { return taken };
                    if !matches!(bucket.claim(tag, tat_ns, now_ns), Claim::Lost) {
                        return taken;
                    }
                }
            }
        }
    }

    /// Gives tokens back that were taken and not used; where the key has lost its cell there is nobody to give them to.
    pub(super) fn give_back(&self, place: u64, tag: u64, span_ns: u64) {
        let bucket = self.bucket(Key { place, print: tag });
        while let Some((word, seen)) = bucket.word(tag) {
            let Some(less) = seen.checked_sub(span_ns) else { return };
            if word.compare_exchange(seen, less, AcqRel, Acquire).is_ok() {
                return;
            }
        }
    }

    /// Requests of a key that would pass now.
    pub(super) fn remaining(&self, key: Key, rate: &Rate, now_ns: u64) -> u64 {
        let seen = self.bucket(key).word(key.tag(rate.class())).map_or(0, |(_, seen)| seen);
        rate.remaining(seen, now_ns)
    }

    /// Takes a place among the `most` requests of a key that may be in flight.
    pub(super) fn enter(self: &Arc<Self>, key: Key, most: u64, now_ns: u64) -> Counted<'_> {
        let (bucket, tag) = (self.bucket(key), key.tag(CLASS_COUNT));
        let seat = |word| Seat { table: self, cell: self.bucket_index(key) * WAYS + bucket.way(word) };
        loop {
            let Some((word, seen)) = bucket.word(tag) else {
                match bucket.claim(tag, 1, now_ns) {
                    Claim::Done(word) => {
                        let seat = seat(word);
                        // Of two cores that give a new key a cell each, at least one sees both, and begins again.
                        fence(SeqCst);
                        if bucket.others(tag, word).is_none() {
                            return Counted::Seated(seat);
                        }
                    }
                    Claim::Full => return Counted::Untracked,
                    Claim::Lost => {}
                }
                continue;
            };
            // Only the first cell of a key is raised: what a second one says can have become less, never more.
            if seen + bucket.others(tag, word).unwrap_or(0) >= most {
                return Counted::Refused;
            }
            if word.compare_exchange(seen, seen + 1, AcqRel, Acquire).is_ok() {
                let seat = seat(word);
                // The cell may have got another key, and lost all its requests, since we looked: from here on it stays.
                if bucket.holds(tag, word) {
                    return Counted::Seated(seat);
                }
            }
        }
    }
}

impl Key {
    /// The tag of the key's cell in this class.
    pub(super) fn tag(self, class: u8) -> u64 {
        (self.print & !CLASS_BITS) | u64::from(class)
    }
}

impl Bucket {
    /// The word under a tag and what it says.
    fn word(&self, tag: u64) -> Option<(&AtomicU64, u64)> {
        self.tags.iter().zip(&self.words).find_map(|(at, word)| {
            if at.load(Acquire) != tag {
                return None;
            }
            let seen = word.load(Acquire);
            // The cell may have got another key in between; from here on that would change the word.
            (at.load(Acquire) == tag).then_some((word, seen))
        })
    }

    /// What cells beside this one say under a tag; `None` = there is none.
    fn others(&self, tag: u64, beside: &AtomicU64) -> Option<u64> {
        let cells = self.tags.iter().zip(&self.words);
        let others = cells.filter(|(at, word)| !std::ptr::eq(*word, beside) && at.load(Acquire) == tag);
        others.map(|(_, word)| word.load(Acquire)).reduce(|sum, count| sum + count)
    }

    /// Which of the cells has this word.
    fn way(&self, word: &AtomicU64) -> usize {
        self.words.iter().position(|other| std::ptr::eq(other, word)).unwrap_or(0)
    }

    /// Whether this word is that of a tag.
    fn holds(&self, tag: u64, word: &AtomicU64) -> bool {
        self.tags.get(self.way(word)).is_some_and(|at| at.load(Acquire) == tag)
    }

    /// Gives the cell that says least to a key.
    fn claim(&self, tag: u64, value: u64, now_ns: u64) -> Claim<'_> {
        let mut least = (u64::MAX, None);
        for (at, word) in self.tags.iter().zip(&self.words) {
            let (was, seen) = (at.load(Acquire), word.load(Acquire));
            let weight = weight(was, seen, now_ns);
            if weight < least.0 {
                least = (weight, Some((at, was, word, seen)));
            }
            if weight == 0 {
                break;
            }
        }
        let Some((at, was, word, seen)) = least.1 else { return Claim::Full };
        if at.compare_exchange(was, CLAIMED, AcqRel, Acquire).is_err() {
            return Claim::Lost;
        }
        let is_ours = word.compare_exchange(seen, value, AcqRel, Acquire).is_ok();
        at.store(if is_ours { tag } else { was }, Release);
        if is_ours { Claim::Done(word) } else { Claim::Lost }
    }
}

/// How much a cell says: 0 = nothing, up to 2^22 = a rate that is used up, `u64::MAX` = it is not to be given up.
fn weight(tag: u64, word: u64, now_ns: u64) -> u64 {
    const SCALE: u32 = 20;
    match (tag & CLASS_BITS) as u32 {
        _ if tag == CLAIMED => u64::MAX,
        class if class == u32::from(CLASS_COUNT) => {
            if word == 0 {
                0
            } else {
                u64::MAX
            }
        }
        class => match word.saturating_sub(now_ns) {
            0 => 0,
            // What is ahead is at most twice the power of two that the class stands for.
            ahead if class >= SCALE => (ahead >> (class - SCALE)) + 1,
            ahead => (ahead.min(1 << 21) << (SCALE - class)) + 1,
        },
    }
}
