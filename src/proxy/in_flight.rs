//! Bytes of request bodies that the gateway holds: one bound for the whole process, so that clients who send slowly
//! cannot fill its memory together.
//!
//! Counted: bodies read as a whole before they are judged or keyed, and the buffers of uploads under way. Each core
//! keeps a little in hand, so that the number all cores share is written only now and then; the bound itself is exact,
//! what is in hand counts as held.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::core::Core;
use super::failure::Failure;
use crate::bounds;
use crate::stats::{CoreStats, Gauge, Reason};

/// The bound of the process and what is taken of it.
#[derive(Debug)]
pub struct InFlight {
    bytes_max: u64,
    /// Invariant: taken <= bytes_max.
    taken: AtomicU64,
}

/// One core's share: what it has taken and not given to a body yet.
pub struct Purse {
    shared: Arc<InFlight>,
    stats: Arc<CoreStats>,
    /// Invariant: in_hand <= 2 * IN_FLIGHT_STEP_BYTES between two calls.
    in_hand: Cell<u64>,
}

/// What one exchange holds; given back when it is dropped. 16 bytes.
#[derive(Default)]
pub struct HeldBytes {
    bytes: Cell<u64>,
    purse: OnceCell<Rc<Purse>>,
}

impl InFlight {
    /// A bound of so many bytes.
    pub fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, taken: AtomicU64::new(0) })
    }

    fn take(&self, bytes: u64) -> bool {
        let more = |taken: u64| taken.checked_add(bytes).filter(|taken| *taken <= self.bytes_max);
        self.taken.fetch_update(Relaxed, Relaxed, more).is_ok()
    }
}

impl Purse {
    /// An empty one.
    pub fn new(shared: Arc<InFlight>, stats: Arc<CoreStats>) -> Rc<Self> {
        Rc::new(Self { shared, stats, in_hand: Cell::new(0) })
    }

    fn take(&self, bytes: u64) -> bool {
        if bytes > self.in_hand.get() {
            let missing = bytes - self.in_hand.get();
            let step = missing.max(bounds::IN_FLIGHT_STEP_BYTES);
            let got = [step, missing].into_iter().find(|amount| self.shared.take(*amount));
            let Some(got) = got else { return false };
            self.in_hand.set(self.in_hand.get() + got);
        }
        self.in_hand.set(self.in_hand.get() - bytes);
        self.stats.gauge(Gauge::InFlightBytes, i64::try_from(bytes).unwrap_or(i64::MAX));
        true
    }

    fn give(&self, bytes: u64) {
        self.stats.gauge(Gauge::InFlightBytes, -i64::try_from(bytes).unwrap_or(i64::MAX));
        let mut in_hand = self.in_hand.get() + bytes;
        if in_hand > 2 * bounds::IN_FLIGHT_STEP_BYTES {
            self.shared.taken.fetch_sub(in_hand - bounds::IN_FLIGHT_STEP_BYTES, Relaxed);
            in_hand = bounds::IN_FLIGHT_STEP_BYTES;
        }
        self.in_hand.set(in_hand);
    }
}

impl Drop for Purse {
    fn drop(&mut self) {
        self.shared.taken.fetch_sub(self.in_hand.get(), Relaxed);
    }
}

impl HeldBytes {
    /// Raises what the exchange holds to at least so many bytes.
    ///
    /// # Errors
    /// The gateway would hold more than it may.
    pub fn reach(&self, core: &Core, bytes: u64) -> Result<(), Failure> {
        self.reach_with(&core.purse, bytes).then_some(()).ok_or(Reason::InFlightBytes.into())
    }

    fn reach_with(&self, purse: &Rc<Purse>, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes.get());
        if more > 0 {
            if !self.purse.get_or_init(|| Rc::clone(purse)).take(more) {
                return false;
            }
            self.bytes.set(bytes);
        }
        true
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        if let Some(purse) = self.purse.get() {
            purse.give(self.bytes.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEP: u64 = bounds::IN_FLIGHT_STEP_BYTES;

    #[test]
    fn a_body_that_would_go_over_is_refused_and_what_is_given_back_can_be_had() {
        let shared = InFlight::new(10 * STEP);
        let purses = [0, 1].map(|_| Purse::new(Arc::clone(&shared), CoreStats::new()));
        let large = HeldBytes::default();
        assert!(large.reach_with(&purses[0], 9 * STEP) && large.reach_with(&purses[0], 5));
        let other = HeldBytes::default();
        assert!(!other.reach_with(&purses[1], STEP + 1) && other.reach_with(&purses[1], STEP));
        assert!(!HeldBytes::default().reach_with(&purses[0], 1));
        assert_eq!(purses[0].stats.gauge_value(Gauge::InFlightBytes), 9 * STEP as i64);
        drop(large);
        assert_eq!(purses[0].stats.gauge_value(Gauge::InFlightBytes), 0);
        assert!(HeldBytes::default().reach_with(&purses[1], 8 * STEP));
        drop((other, purses));
        assert_eq!(shared.taken.load(Relaxed), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn the_bound_holds_and_nothing_is_lost(
            steps in proptest::collection::vec((0_usize..2, 0_usize..6, 0_u64..6 * STEP, any::<bool>()), 1..60),
        ) {
            let shared = InFlight::new(8 * STEP);
            let purses = [0, 1].map(|_| Purse::new(Arc::clone(&shared), CoreStats::new()));
            let mut held: Vec<(usize, HeldBytes)> = Vec::new();
            for (core, index, bytes, ends) in steps {
                if ends && !held.is_empty() {
                    held.swap_remove(index % held.len());
                } else {
                    let body = HeldBytes::default();
                    if body.reach_with(&purses[core], bytes) {
                        held.push((core, body));
                    }
                }
                let sum: u64 = held.iter().map(|(_, body)| body.bytes.get()).sum();
                let in_hand: u64 = purses.iter().map(|purse| purse.in_hand.get()).sum();
                prop_assert!(sum <= 8 * STEP && in_hand <= 4 * STEP);
                prop_assert_eq!(shared.taken.load(Relaxed), sum + in_hand);
            }
            drop((held, purses));
            prop_assert_eq!(shared.taken.load(Relaxed), 0);
        }
    }
}
