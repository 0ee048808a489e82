//! What was purged, by number: each purge leaves a mark, and an object whose request was sent before it is concerned.
//!
//! A purge writes its mark first and raises the sequence after, so whoever sees the new number finds the mark. Nothing
//! is searched: objects are looked at when they are wanted, and by the sweep. Takes no lock and reads no clock.

use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, fence};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;

use super::key::{self, KeyHash};
use super::object::Object;
use crate::http::Method;

/// What a purge concerns.
#[derive(Clone, Copy, Debug)]
pub enum Purge<'a> {
    /// One key.
    Key(KeyHash),
    /// All answers of one identity (first part of the key).
    Url(&'a [u8]),
    /// Those of one method.
    UrlMethod(&'a [u8], Method),
    /// All whose identity begins like this.
    Prefix(&'a [u8]),
    /// All answers with this tag.
    Tag(&'a [u8]),
    All,
}

/// What the ledger says about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Good,
    /// Purged softly: stale at once.
    Soft,
    /// Not to be used again.
    Purged,
}

/// Prefixes kept apart; past that, a new one is put together with the one that it is most like.
pub const PREFIXES_MAX: usize = 64;
/// Marks that are kept without need. About 60 bytes each.
pub const MARKS_KEPT: usize = 10_000;
/// Marks beyond which purges by URL and tag concern a coarse class of names instead: more is purged than was asked for.
pub const MARKS_MAX: usize = 200_000;
/// Classes of names.
const CLASSES: usize = 4_096;

/// Numbers of the last purges of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Numbers {
    hard: u64,
    soft: u64,
}

impl Numbers {
    fn raised(self, number: u64, soft: bool) -> Self {
        if soft { Self { soft: self.soft.max(number), ..self } } else { Self { hard: self.hard.max(number), ..self } }
    }

    fn last(self) -> u64 {
        self.hard.max(self.soft)
    }
}

/// The same, for what is never taken out.
#[derive(Debug, Default)]
struct Latest {
    hard: AtomicU64,
    soft: AtomicU64,
}

impl Latest {
    fn raise(&self, number: u64, soft: bool) {
        if soft { &self.soft } else { &self.hard }.fetch_max(number, SeqCst);
    }

    fn numbers(&self) -> Numbers {
        Numbers { hard: self.hard.load(SeqCst), soft: self.soft.load(SeqCst) }
    }
}

#[derive(Clone, Debug)]
struct Prefix {
    bytes: Arc<[u8]>,
    numbers: Numbers,
}

/// The purges so far.
#[derive(Debug)]
pub struct Ledger {
    /// Number of the last purge. Read on every hit: alone in its cache line.
    sequence: CachePadded<AtomicU64>,
    marks: papaya::HashMap<u64, Numbers, ahash::RandomState>,
    prefixes: ArcSwap<Vec<Prefix>>,
    all: Latest,
    classes: Box<[Latest]>,
    /// An object that is put into the table from now on and was born before this is purged: its marks may be gone.
    gate: AtomicU64,
}

impl Ledger {
    /// Nothing is purged. About 64 KiB.
    pub fn new() -> Self {
        Self {
            sequence: CachePadded::new(AtomicU64::new(0)),
            marks: papaya::HashMap::with_hasher(ahash::RandomState::new()),
            prefixes: ArcSwap::default(),
            all: Latest::default(),
            classes: (0..CLASSES).map(|_| Latest::default()).collect(),
            gate: AtomicU64::new(0),
        }
    }

    /// Number of the last purge.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Acquire)
    }

    /// Marks kept.
    pub fn marks(&self) -> usize {
        self.marks.len()
    }

    /// Enters a purge and returns its number: all that is born before it is concerned from now on.
    pub fn enter(&self, purge: &Purge<'_>, soft: bool) -> u64 {
        let mut last = self.sequence.load(SeqCst);
        loop {
            let number = last + 1;
            match purge {
                Purge::Key(hash) => self.mark(key_mark(*hash), number, soft),
                Purge::Url(identity) => self.mark(url_mark(identity), number, soft),
                Purge::UrlMethod(identity, method) => {
                    self.mark(method_mark(url_mark(identity), *method), number, soft);
                }
                Purge::Tag(tag) => self.mark(tag_mark(tag), number, soft),
                Purge::Prefix(prefix) => self.add_prefix(prefix, number, soft),
                Purge::All => self.all.raise(number, soft),
            }
            // Who comes second takes a higher number and marks again: numbers become visible in their order, each
            // with all marks below it.
            match self.sequence.compare_exchange(last, number, SeqCst, SeqCst) {
                Ok(_) => return number,
                Err(other) => last = other,
            }
        }
    }

    fn mark(&self, mark: u64, number: u64, soft: bool) {
        let marks = self.marks.pin();
        if self.marks.len() >= MARKS_MAX && !marks.contains_key(&mark) {
            if let Some(class) = self.classes.get(class_of(mark)) {
                class.raise(number, soft);
            }
            return;
        }
        marks.update_or_insert(mark, |n| n.raised(number, soft), Numbers::default().raised(number, soft));
    }

    fn add_prefix(&self, prefix: &[u8], number: u64, soft: bool) {
        self.prefixes.rcu(|old| {
            let mut prefixes = Vec::clone(old);
            let like = |p: &Prefix| p.bytes.iter().zip(prefix).take_while(|(a, b)| a == b).count();
            if let Some(same) = prefixes.iter_mut().find(|p| *p.bytes == *prefix) {
                same.numbers = same.numbers.raised(number, soft);
            } else if prefixes.len() < PREFIXES_MAX {
                let numbers = Numbers::default().raised(number, soft);
                prefixes.push(Prefix { bytes: prefix.into(), numbers });
            } else if let Some(nearest) = prefixes.iter_mut().max_by_key(|p| like(p)) {
                nearest.bytes = nearest.bytes.get(..like(nearest)).unwrap_or_default().into();
                nearest.numbers = nearest.numbers.raised(number, soft);
            }
            prefixes
        });
    }

    /// What is said about an object with these tags; `hash` where the caller knows it.
    pub fn standing(&self, object: &Object, tags: &[u64], hash: Option<KeyHash>) -> Standing {
        if object.birth >= self.sequence() {
            return Standing::Good;
        }
        let mut worst = Standing::Good;
        let mut look = |numbers: Numbers| {
            if numbers.hard > object.birth {
                worst = Standing::Purged;
            } else if numbers.soft > object.birth {
                worst = worst.max(Standing::Soft);
            }
        };
        look(self.all.numbers());
        let marks = self.marks.pin();
        let own = [object.url, method_mark(object.url, object.method)];
        for mark in own.iter().chain(tags).copied().chain(hash.map(key_mark)) {
            if let Some(numbers) = marks.get(&mark) {
                look(*numbers);
            }
            if let Some(class) = self.classes.get(class_of(mark)) {
                look(class.numbers());
            }
        }
        let identity = key::identity(&object.key);
        for prefix in self.prefixes.load().iter().filter(|p| identity.starts_with(&p.bytes)) {
            look(prefix.numbers);
        }
        worst
    }

    /// Whether an object that was just put into the table comes too late for the marks that would concern it.
    pub fn is_too_late(&self, object: &Object) -> bool {
        // The sweep raises the gate and then looks into the table; this object stands there already.
        fence(SeqCst);
        object.birth < self.gate.load(SeqCst)
    }

    /// Raises the gate in front of a sweep, where marks are so many that they should go after it. Returns the number
    /// up to which the sweep that begins now sees everything.
    pub fn begin_sweep(&self) -> u64 {
        let number = self.sequence.load(SeqCst);
        if self.marks.len() > MARKS_KEPT {
            self.gate.fetch_max(number, SeqCst);
        }
        fence(SeqCst);
        number
    }

    /// Forgets purges up to `number`: a sweep has looked at every object that they may concern, behind the gate.
    pub fn prune(&self, number: u64) {
        let number = number.min(self.gate.load(Relaxed));
        if self.marks.len() <= MARKS_KEPT {
            return;
        }
        self.marks.pin().retain(|_, numbers| numbers.last() > number);
        self.prefixes.rcu(|old| old.iter().filter(|p| p.numbers.last() > number).cloned().collect::<Vec<_>>());
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

fn class_of(mark: u64) -> usize {
    (mark >> 32) as usize % CLASSES
}

/// The mark of an identity (first part of a key). Unlike in every process but one that has its salt.
pub fn url_mark(identity: &[u8]) -> u64 {
    seed().hash_one((1u8, identity))
}

/// The mark of a tag. Unlike in every process but one that has its salt.
pub fn tag_mark(tag: &[u8]) -> u64 {
    seed().hash_one((2u8, tag))
}

fn key_mark(hash: KeyHash) -> u64 {
    seed().hash_one((3u8, hash.0))
}

fn method_mark(url: u64, method: Method) -> u64 {
    seed().hash_one((4u8, url, method))
}

static SEED: OnceLock<ahash::RandomState> = OnceLock::new();

/// Makes the marks of this process from a salt, where none were made yet. A snapshot brings the salt of its process, and
/// with it the meaning of the marks that its answers hold.
pub fn seed_marks(salt: &[u8; 32]) {
    SEED.get_or_init(|| {
        let (words, _) = salt.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let mut word = || words.next().unwrap_or_default();
        ahash::RandomState::with_seeds(word(), word(), word(), word())
    });
}

fn seed() -> &'static ahash::RandomState {
    SEED.get_or_init(ahash::RandomState::new)
}
