//! The process-wide cache: one facade over the table, the account of its bytes, eviction, the ledger of purges.
//!
//! Keeps one promise towards all of them: an object that leaves the table is dead. Takes no lock, does no I/O, reads no
//! clock; every call does a bounded amount of work, but for `for_each`.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, fence};

use crossbeam_queue::ArrayQueue;

use super::account::{Account, Charge};
use super::eviction::{Entry, Eviction};
use super::key::KeyHash;
use super::ledger::{self, Ledger};
pub use super::ledger::{Purge, Standing};
use super::life::State;
use super::object::{Content, Object};
use super::table::{PARTS, Table};
use super::use_count::UseCount;

/// Times that eviction may meet nothing but dead objects, or such as are held, for one charge.
const VAIN_MAX: usize = 64;
/// Who holds an object that is stored: the table, and the queue that it was just taken from.
const HOLDERS: usize = 2;
/// Where enough was evicted and is still held, only one charge in so many evicts more of what is held.
const PUT_OFF_MAX: u64 = 16;
/// The queues are turned where one object in so many is dead.
const DEAD_SHARE: usize = 16;

/// The cache of a process.
#[derive(Debug)]
pub struct Cache {
    salt: [u8; 32],
    account: Arc<Account>,
    table: Table,
    eviction: Eviction,
    ledger: Ledger,
    use_count: UseCount,
    /// The sweep that is under way; empty while somebody carries it on.
    sweep: ArrayQueue<Sweep>,
    evicted: AtomicU64,
    purged: AtomicU64,
    /// Charges that met no room.
    put_off: AtomicU64,
}

/// How far a sweep is.
#[derive(Clone, Copy, Debug, Default)]
struct Sweep {
    part: usize,
    /// Purges up to this number are seen by it.
    number: u64,
    /// Complete objects met so far.
    complete: usize,
    /// Entries of the queues still to be passed.
    turn: usize,
}

/// What a step of sweeping did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Objects looked at.
    pub visited: usize,
    /// Objects that a purge concerned: dead now.
    pub purged: usize,
    /// Dead objects taken out of the table.
    pub removed: usize,
    /// Dead objects taken out of the queues.
    pub dropped: usize,
    /// Every object has been looked at since the sweep began.
    pub is_done: bool,
}

/// Numbers of the cache, each of a moment of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Objects in the table, filling or complete; dead ones until they are swept.
    pub objects: u64,
    /// Bytes charged.
    pub bytes: u64,
    pub capacity: u64,
    /// Bytes of the small queue and of the main one.
    pub small_bytes: u64,
    pub main_bytes: u64,
    /// The share of the small queue that is aimed at, in billionths.
    pub small_share: u64,
    /// Objects evicted, ever.
    pub evicted: u64,
    /// Objects found purged, ever.
    pub purged: u64,
    /// Objects that came back soon after they were evicted, ever.
    pub ghost_hits: u64,
    /// Number of the last purge.
    pub sequence: u64,
    /// Purges that are remembered apart.
    pub marks: u64,
}

impl Cache {
    /// An empty cache of `capacity` bytes. `salt` keys the hashes of keys. Takes about 200 KiB and 1.6 % of the
    /// capacity besides.
    pub fn new(capacity: u64, salt: [u8; 32]) -> Arc<Self> {
        ledger::seed_marks(&salt);
        let sweep = ArrayQueue::new(1);
        // There is room: it is new.
        let _ = sweep.push(Sweep { part: PARTS, ..Sweep::default() });
        Arc::new(Self {
            salt,
            account: Account::new(capacity),
            table: Table::new(capacity),
            eviction: Eviction::new(capacity),
            ledger: Ledger::new(),
            use_count: UseCount::new(),
            sweep,
            evicted: AtomicU64::new(0),
            purged: AtomicU64::new(0),
            put_off: AtomicU64::new(1),
        })
    }

    /// The key of the keys' hash.
    pub fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    /// The account that everything is charged to.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Room for so many bytes, where needed by evicting. `None` = there is none: more than the capacity, or what was
    /// evicted is still being read.
    pub fn charge(&self, bytes: u64) -> Option<Charge> {
        if let Some(charge) = self.account.charge(bytes) {
            return Some(charge);
        }
        if bytes > self.account.capacity() {
            return None;
        }
        // What is missing and little more: other cores may be quicker to take what was freed.
        let most = self.account.missing(bytes).max(bytes.saturating_mul(2));
        let mut presses = self.put_off.fetch_add(1, Relaxed).is_multiple_of(PUT_OFF_MAX);
        let (mut evicted, mut vain) = (0, 0);
        while evicted < most {
            match self.evict(!presses && self.account.is_coming(bytes)) {
                Some(weight) => (evicted, presses) = (evicted + weight, false),
                // It met dead objects, or such as are held.
                None if vain < VAIN_MAX && !self.eviction.is_empty() => vain += 1,
                None => break,
            }
            if let Some(charge) = self.account.charge(bytes) {
                return Some(charge);
            }
        }
        self.table.flush();
        self.account.charge(bytes)
    }

    /// Evicts one object and returns its bytes. One that fronts or readers hold makes no room until they let it go:
    /// it stays where `only_free`.
    fn evict(&self, only_free: bool) -> Option<u64> {
        let entry = self.eviction.evict()?;
        if only_free && Arc::strong_count(&entry.object) > HOLDERS {
            self.eviction.put_back(entry);
            return None;
        }
        let Entry { hash, object, weight } = entry;
        object.let_go();
        self.table.remove(hash, &object);
        if object.kill() {
            self.evicted.fetch_add(1, Relaxed);
        }
        Some(weight)
    }

    /// The object under a key, filling or complete, as far as purges let it. Counts a use.
    pub fn find(&self, hash: KeyHash, key: &[u8]) -> Option<Arc<Object>> {
        let object = self.table.get(hash)?;
        if object.life.state() == State::Dead || *object.key != *key {
            return None;
        }
        if !self.withstands(hash, &object) {
            return None;
        }
        object.touch();
        Some(object)
    }

    /// Applies purges to an object of the table; `false` = it is dead now.
    fn withstands(&self, hash: KeyHash, object: &Arc<Object>) -> bool {
        if object.birth >= self.ledger.sequence() {
            return true;
        }
        match self.standing_under(object, Some(hash)) {
            Standing::Good => true,
            Standing::Soft => {
                object.life.soften();
                true
            }
            Standing::Purged => {
                self.end(hash, object);
                false
            }
        }
    }

    fn standing_under(&self, object: &Object, hash: Option<KeyHash>) -> Standing {
        if let Some(content) = object.content() {
            let tags = if let Content::Answer(answer) = &*content { &*answer.head.tags } else { &[] };
            return self.ledger.standing(object, tags, hash);
        }
        let fill = object.fill();
        let tags = fill.as_ref().and_then(|f| f.head()).map_or(&[][..], |head| &head.tags);
        self.ledger.standing(object, tags, hash)
    }

    /// Takes a purged object out and kills it.
    fn end(&self, hash: KeyHash, object: &Arc<Object>) {
        self.table.remove(hash, object);
        if object.kill() {
            self.purged.fetch_add(1, Relaxed);
        }
    }

    /// Puts an object where nothing alive stands. One that a purge concerns already is dead when this returns.
    ///
    /// # Errors
    /// Who stands there, alive, whatever its key.
    pub fn place(&self, hash: KeyHash, object: &Arc<Object>) -> Result<(), Arc<Object>> {
        self.table.place(hash, object)?;
        self.check_placed(hash, object);
        Ok(())
    }

    /// Puts an object; whoever stood there is dead. One that a purge concerns already is dead when this returns.
    pub fn replace(&self, hash: KeyHash, object: &Arc<Object>) {
        if let Some(old) = self.table.replace(hash, object)
            && !Arc::ptr_eq(&old, object)
        {
            old.kill();
        }
        self.check_placed(hash, object);
    }

    fn check_placed(&self, hash: KeyHash, object: &Arc<Object>) {
        // A purge of this key raises the sequence and then looks who stands here: one of the two sees the other.
        fence(SeqCst);
        if self.ledger.is_too_late(object) {
            self.end(hash, object);
        } else {
            self.withstands(hash, object);
        }
    }

    /// A complete object, placed before, enters the eviction queues. Called once per object.
    pub fn admit(&self, hash: KeyHash, object: &Arc<Object>) {
        if object.life.state() != State::Dead {
            let weight = object.bytes();
            self.eviction.admit(Entry { hash, object: Arc::clone(object), weight });
        }
    }

    /// Takes an object out and kills it, where it is this very one that stands there.
    pub fn remove(&self, hash: KeyHash, object: &Arc<Object>) -> bool {
        let removed = self.table.remove(hash, object);
        if removed {
            object.kill();
        }
        removed
    }

    /// Number of the last purge: the birth of an object whose request is sent now.
    pub fn sequence(&self) -> u64 {
        self.ledger.sequence()
    }

    /// What purges say about an object with these tags. Read [`Cache::sequence`] before this: what it says holds for
    /// purges up to there. A purge of the object's key alone is not told here: it kills.
    pub fn standing(&self, object: &Object, tags: &[u64]) -> Standing {
        self.ledger.standing(object, tags, None)
    }

    /// Purges. When this returns its number, no core finds what it concerns any more (`soft`: finds it stale).
    pub fn purge(&self, purge: &Purge<'_>, soft: bool) -> u64 {
        let number = self.ledger.enter(purge, soft);
        if let Purge::Key(hash) = purge {
            fence(SeqCst);
            // Those who hold the object do not know its key's mark: it is told at once.
            if let Some(object) = self.table.get(*hash) {
                self.withstands(*hash, &object);
            }
        }
        number
    }

    /// Counts a use of a key that is not stored and returns how many there were lately with it, 1–255.
    pub fn asked(&self, hash: KeyHash) -> u8 {
        self.use_count.count(hash)
    }

    /// A step of sweeping, about `budget` objects: kills what purges concern, takes dead objects out of table and
    /// queues, and forgets purges that no object can be concerned by. Called by one thread, over and over.
    pub fn sweep(&self, budget: usize) -> Swept {
        let mut swept = Swept::default();
        let Some(mut sweep) = self.sweep.pop() else { return swept };
        if sweep.part >= PARTS && sweep.turn == 0 {
            sweep = Sweep { number: self.ledger.begin_sweep(), ..Sweep::default() };
        }
        while sweep.part < PARTS && swept.visited < budget {
            self.sweep_part(&mut sweep, &mut swept);
            sweep.part += 1;
            if sweep.part == PARTS {
                self.ledger.prune(sweep.number);
                let dead = self.eviction.len().saturating_sub(sweep.complete);
                sweep.turn = if dead * DEAD_SHARE > sweep.complete { self.eviction.len() } else { 0 };
                swept.is_done = sweep.turn == 0;
            }
        }
        if sweep.part == PARTS && sweep.turn > 0 && swept.visited < budget {
            let turned = sweep.turn.min(budget - swept.visited);
            swept.dropped += self.eviction.turn(turned);
            swept.visited += turned;
            sweep.turn -= turned;
            swept.is_done = sweep.turn == 0;
        }
        self.table.flush();
        let _ = self.sweep.push(sweep);
        swept
    }

    fn sweep_part(&self, sweep: &mut Sweep, swept: &mut Swept) {
        self.table.visit(sweep.part, |hash, object| {
            swept.visited += 1;
            if object.life.state() == State::Dead {
                swept.removed += usize::from(self.table.remove(hash, object));
                return;
            }
            if !self.withstands(hash, object) {
                swept.purged += 1;
            } else if object.life.state() == State::Complete {
                sweep.complete += 1;
            } else if object.fill().is_none_or(|f| f.head().is_none()) {
                // Its tags are not known: purges after its birth are kept for it.
                sweep.number = sweep.number.min(object.birth);
            }
        });
    }

    /// Shows every object that is alive. Works through the whole table.
    pub fn for_each(&self, mut visit: impl FnMut(KeyHash, &Arc<Object>)) {
        for part in 0..PARTS {
            self.table.visit(part, |hash, object| {
                if object.life.state() != State::Dead {
                    visit(hash, object);
                }
            });
        }
    }

    /// Numbers of this moment.
    pub fn figures(&self) -> Figures {
        let (small_bytes, main_bytes) = self.eviction.bytes();
        Figures {
            objects: self.table.len() as u64,
            bytes: self.account.used(),
            capacity: self.account.capacity(),
            small_bytes,
            main_bytes,
            small_share: self.eviction.small_share(),
            evicted: self.evicted.load(Relaxed),
            purged: self.purged.load(Relaxed),
            ghost_hits: self.eviction.ghost_hits(),
            sequence: self.ledger.sequence(),
            marks: self.ledger.marks() as u64,
        }
    }
}

#[cfg(test)]
mod tests;
