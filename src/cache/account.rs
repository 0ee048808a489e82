//! The cache's memory, counted: who holds bytes holds a charge, and gives it back by dropping it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// Bytes in use against a capacity, exceeded only by what is dying, by a thirty-second part at most.
#[derive(Debug)]
pub struct Account {
    used: CachePadded<AtomicU64>,
    /// Bytes of what was evicted and is still held by somebody, a front or a reader.
    dying: AtomicU64,
    capacity: u64,
}

/// Bytes of an account that belong to somebody.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    bytes: u64,
    /// It is counted among the dying.
    dying: AtomicBool,
}

/// What is dying may be overlooked up to this part of the capacity: it is about to go.
const SLACK_PART: u64 = 32;

impl Account {
    /// An account with nothing used.
    pub fn new(capacity: u64) -> Arc<Self> {
        let (used, dying) = (CachePadded::new(AtomicU64::new(0)), AtomicU64::new(0));
        Arc::new(Self { used, dying, capacity })
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that may be in use.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// A charge of nothing, for what is used once and held by its user.
    pub fn nothing(self: &Arc<Self>) -> Charge {
        Charge { account: Arc::clone(self), bytes: 0, dying: AtomicBool::new(false) }
    }

    /// Bytes that would have to go before so many could be charged.
    pub fn missing(&self, bytes: u64) -> u64 {
        (self.used() + bytes).saturating_sub(self.allowed())
    }

    /// Whether so many bytes will be free as soon as nobody holds what is dying.
    pub fn is_coming(&self, bytes: u64) -> bool {
        self.dying.load(Ordering::Relaxed) >= (self.used() + bytes).saturating_sub(self.capacity)
    }

    fn allowed(&self) -> u64 {
        self.capacity + self.dying.load(Ordering::Relaxed).min(self.capacity / SLACK_PART)
    }

    /// Takes so many bytes, where they are free.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        let take = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.allowed());
        self.used.fetch_update(Ordering::AcqRel, Ordering::Relaxed, take).ok()?;
        Some(Charge { account: Arc::clone(self), bytes, dying: AtomicBool::new(false) })
    }
}

impl Charge {
    /// Bytes of this charge.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts these bytes among the dying: what they are charged for was evicted, and goes as soon as nobody holds it.
    pub fn let_go(&self) {
        if !self.dying.swap(true, Ordering::AcqRel) {
            self.account.dying.fetch_add(self.bytes, Ordering::AcqRel);
        }
    }

    /// These bytes are wanted again.
    pub fn keep(&self) {
        if self.dying.swap(false, Ordering::AcqRel) {
            self.account.dying.fetch_sub(self.bytes, Ordering::AcqRel);
        }
    }

    /// Puts another charge of the same account into this one. Neither is dying.
    pub fn absorb(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.bytes, Ordering::AcqRel);
        if *self.dying.get_mut() {
            self.account.dying.fetch_sub(self.bytes, Ordering::AcqRel);
        }
    }
}

/// Bytes that the allocator takes for a block of `bytes`: its size classes are an eighth of a power of two apart.
pub fn footprint(bytes: usize) -> u64 {
    let bytes = bytes.max(16);
    let step = (bytes.next_power_of_two() / 16).max(8);
    bytes.next_multiple_of(step) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_is_given_back_and_the_capacity_holds() {
        let account = Account::new(100);
        let mut a = account.charge(60).expect("room");
        assert!(account.charge(41).is_none());
        a.absorb(account.charge(40).expect("room"));
        assert_eq!((a.bytes(), account.used()), (100, 100));
        drop(a);
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn what_is_dying_is_overlooked_up_to_a_bound() {
        let account = Account::new(3_200);
        let (a, b) = (account.charge(60).expect("room"), account.charge(3_140).expect("room"));
        assert_eq!(account.missing(10), 10);
        a.let_go();
        a.let_go();
        assert_eq!((account.missing(10), account.missing(61)), (0, 1));
        assert!(account.is_coming(60) && !account.is_coming(61));
        b.let_go();
        assert_eq!(account.missing(101), 1, "a thirty-second part at most");
        drop((a, b));
        assert_eq!((account.used(), account.missing(3_200), account.missing(3_201)), (0, 0, 1));
    }

    #[test]
    fn a_footprint_is_never_below_the_bytes_and_at_most_an_eighth_above() {
        for bytes in (64..70_000).step_by(7) {
            let footprint = footprint(bytes);
            assert!(footprint >= bytes as u64 && footprint <= bytes as u64 + bytes as u64 / 8 + 8, "{bytes}");
        }
    }
}
