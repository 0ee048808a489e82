//! Overload: a core whose turns come too late refuses new work, the costly first, until it is in time again.
//!
//! A core measures how late its own letter to itself arrives: sent by the clockwork, it waits behind everything else
//! that is ready. The least delay of 100 ms counts, as in CoDel (RFC 8289 §4.2): a burst that is worked off passes, a
//! queue that stands does not. Above the target, requests that need the upstream are refused; above four times the
//! target, stored answers too. What has begun goes on. A request costs one load.

use std::cell::Cell;

use crate::proxy::core::Core;
use crate::proxy::exchange::{Exchange, Refusal};
use crate::proxy::failure::Failure;
use crate::proxy::route::Route;
use crate::stats::{CoreStats, Gauge, Histogram, Reason};

/// Over so many microseconds the least delay is taken.
const WINDOW_US: u64 = 100_000;
/// Letters that a window has at least: one that was held up by a single long turn, or by a machine that gave the core no
/// time, says nothing of a queue.
const LETTERS_MIN: u32 = 3;
/// A delay of so many targets refuses what costs little, too.
const DROWNED_TARGETS: u64 = 4;
/// Refused clients are told to come again after 1 to this many seconds, each after another time.
const RETRY_AFTER_S_MAX: u64 = 3;

/// How late a core is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lateness {
    #[default]
    InTime,
    /// What needs the upstream is refused.
    Late,
    /// Everything is refused.
    Drowned,
}

/// The judgement of one core on itself. 32 bytes.
#[derive(Debug)]
pub struct Overload {
    lateness: Cell<Lateness>,
    window_end_us: Cell<u64>,
    /// Least delay since the window began.
    least_us: Cell<u64>,
    /// Letters since then.
    letters: Cell<u32>,
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            lateness: Cell::default(),
            window_end_us: Cell::new(0),
            least_us: Cell::new(u64::MAX),
            letters: Cell::new(0),
        }
    }
}

impl Overload {
    /// How late the core is, as of the last window.
    pub fn lateness(&self) -> Lateness {
        self.lateness.get()
    }

    /// Takes in how late a letter was. `target_ms`: `None` = nothing is ever refused.
    pub fn note(&self, delay_us: u64, now_us: u64, target_ms: Option<u64>, stats: &CoreStats) {
        stats.observe(Histogram::QueueDelay, delay_us);
        let least_us = self.least_us.get().min(delay_us);
        let letters = self.letters.get() + 1;
        if now_us < self.window_end_us.get() || letters < LETTERS_MIN {
            self.letters.set(letters);
            return self.least_us.set(least_us);
        }
        self.letters.set(0);
        self.window_end_us.set(now_us.saturating_add(WINDOW_US));
        self.least_us.set(u64::MAX);
        let target_us = target_ms.map_or(u64::MAX, |ms| ms.saturating_mul(1_000));
        let lateness = match least_us {
            least_us if least_us <= target_us => Lateness::InTime,
            least_us if least_us <= target_us.saturating_mul(DROWNED_TARGETS) => Lateness::Late,
            _ => Lateness::Drowned,
        };
        let former = self.lateness.replace(lateness);
        let refuses = |lateness| i64::from(lateness > Lateness::InTime);
        stats.gauge(Gauge::CoresShedding, refuses(lateness) - refuses(former));
    }
}

/// Whether a request may begin: behind its head, before anything was done for it.
///
/// # Errors
/// The core is too late for what the request may need.
pub fn may_begin(core: &Core, route: &Route, exchange: &mut Exchange<'_>) -> Result<(), Failure> {
    match core.overload.lateness() {
        Lateness::InTime => Ok(()),
        // A stored answer may be there.
        Lateness::Late if route.cache.is_some() => Ok(()),
        Lateness::Late | Lateness::Drowned => Err(refused(core, exchange)),
    }
}

/// Whether the upstream may be asked for a request.
///
/// # Errors
/// The core is late.
pub fn may_ask(core: &Core, exchange: &mut Exchange<'_>) -> Result<(), Failure> {
    if core.overload.lateness() == Lateness::InTime { Ok(()) } else { Err(refused(core, exchange)) }
}

fn refused(core: &Core, exchange: &mut Exchange<'_>) -> Failure {
    let retry_after_s = Some(1 + core.random.below(RETRY_AFTER_S_MAX));
    exchange.refusal = Some(Box::new(Refusal { retry_after_s, ..Refusal::default() }));
    Reason::Overload.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delays in milliseconds, a letter every 25 ms; what the core thinks after each.
    fn judged(delays_ms: &[u64], target_ms: Option<u64>) -> (Vec<Lateness>, i64) {
        let (overload, stats) = (Overload::default(), CoreStats::new());
        let mut now_us = 1_000_000;
        let judged = delays_ms.iter().map(|delay_ms| {
            now_us += 25_000.max(delay_ms * 1_000);
            overload.note(delay_ms * 1_000, now_us, target_ms, &stats);
            overload.lateness()
        });
        let judged = judged.collect();
        (judged, stats.gauge_value(Gauge::CoresShedding))
    }

    #[test]
    fn a_burst_passes_and_a_standing_queue_does_not() {
        use Lateness::{Drowned, InTime, Late};
        // A punctual letter in every window, and one long turn.
        let (burst, _) = judged(&[1, 60, 60, 1, 60, 60, 1, 60, 60, 1, 900, 1, 1, 1], Some(50));
        assert!(burst.iter().all(|lateness| *lateness == InTime), "{burst:?}");
        let (standing, gauge) = judged(&[1, 1, 1, 60, 60, 60], Some(50));
        assert_eq!((standing.last(), gauge), (Some(&Late), 1));
        let (drowned, gauge) = judged(&[300, 300, 300], Some(50));
        assert_eq!((drowned.last(), gauge), (Some(&Drowned), 1));
        let (recovered, gauge) = judged(&[300, 300, 300, 1, 1, 1, 1, 1], Some(50));
        assert_eq!((recovered.last(), gauge), (Some(&InTime), 0));
    }

    #[test]
    fn without_a_target_nothing_is_refused() {
        assert!(judged(&[10_000; 20], None).0.iter().all(|lateness| *lateness == Lateness::InTime));
    }
}
