//! Counters of one core: written by that core alone, read by the control plane.
//!
//! Writing is a load and a store without a lock prefix, so two writers would lose counts: nobody but the core that
//! owns a [`CoreStats`] may write it. Reading is free of tearing for each number, not across numbers: a scrape may see
//! a request whose response is not counted yet. Nothing here allocates after start, reads a clock or blocks, except
//! [`render`], which is for the control plane.

mod buckets;
mod process;
mod render;
mod vocabulary;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

pub(crate) use render::{Label, family};
pub use render::{ProcessInfo, render};
pub use vocabulary::{CacheOutcome, Counter, Gauge, Histogram, NotStored, Pass, Reason};

/// Status codes that have a counter of their own; the rest share one.
const STATUS_FIRST: u16 = 100;
const STATUS_LAST: u16 = 599;
const STATUS_OTHER: usize = (STATUS_LAST - STATUS_FIRST + 1) as usize;

/// The numbers of one core. About 6 KiB; starts a cache line of its own (two lines: some CPUs prefetch pairs).
#[repr(align(128))]
pub struct CoreStats {
    counters: [AtomicU64; Counter::COUNT],
    gauges: [AtomicI64; Gauge::COUNT],
    reasons: [AtomicU64; Reason::COUNT],
    histograms: [Durations; Histogram::COUNT],
    statuses: [AtomicU64; STATUS_OTHER + 1],
}

/// One histogram. The number of observations is the sum of the buckets.
struct Durations {
    buckets: [AtomicU64; buckets::COUNT],
    sum_micros: AtomicU64,
}

/// One more in a gauge, see [`CoreStats::hold`].
pub struct Held<'a> {
    stats: &'a CoreStats,
    gauge: Gauge,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.stats.gauge(self.gauge, -1);
    }
}

impl CoreStats {
    /// All numbers at zero.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            counters: [const { AtomicU64::new(0) }; Counter::COUNT],
            gauges: [const { AtomicI64::new(0) }; Gauge::COUNT],
            reasons: [const { AtomicU64::new(0) }; Reason::COUNT],
            histograms: [const {
                Durations { buckets: [const { AtomicU64::new(0) }; buckets::COUNT], sum_micros: AtomicU64::new(0) }
            }; Histogram::COUNT],
            statuses: [const { AtomicU64::new(0) }; STATUS_OTHER + 1],
        })
    }

    /// Adds to a counter. Only for the core that owns these numbers.
    pub fn add(&self, counter: Counter, amount: u64) {
        bump(&self.counters[counter as usize], amount);
    }

    /// Adds one to a counter.
    pub fn inc(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Moves a gauge up or down.
    pub fn gauge(&self, gauge: Gauge, delta: i64) {
        let cell = &self.gauges[gauge as usize];
        cell.store(cell.load(Relaxed).wrapping_add(delta), Relaxed);
    }

    /// Raises a gauge by one until the guard is dropped, however that comes about.
    pub fn hold(&self, gauge: Gauge) -> Held<'_> {
        self.gauge(gauge, 1);
        Held { stats: self, gauge }
    }

    /// Notes a duration in microseconds.
    pub fn observe(&self, histogram: Histogram, micros: u64) {
        let durations = &self.histograms[histogram as usize];
        bump(&durations.buckets[buckets::index(micros)], 1);
        bump(&durations.sum_micros, micros);
    }

    /// Counts a response by its status code (RFC 9110 §15).
    pub fn status(&self, code: u16) {
        bump(&self.statuses[status_index(code)], 1);
    }

    /// Counts a negative outcome.
    pub fn reason(&self, reason: Reason) {
        bump(&self.reasons[reason as usize], 1);
    }

    /// The value of a counter.
    pub fn counter_value(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Relaxed)
    }

    /// The value of a gauge.
    pub fn gauge_value(&self, gauge: Gauge) -> i64 {
        self.gauges[gauge as usize].load(Relaxed)
    }

    /// How often a negative outcome was counted.
    pub fn reason_value(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize].load(Relaxed)
    }

    /// How many responses had this status code; codes outside 100–599 share one number.
    pub fn status_value(&self, code: u16) -> u64 {
        self.statuses[status_index(code)].load(Relaxed)
    }

    /// Observations of a histogram and their sum in microseconds.
    pub fn histogram_value(&self, histogram: Histogram) -> (u64, u64) {
        let durations = &self.histograms[histogram as usize];
        (durations.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum(), durations.sum_micros.load(Relaxed))
    }
}

/// Adds without a lock prefix: there is one writer.
fn bump(cell: &AtomicU64, amount: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(amount), Relaxed);
}

fn status_index(code: u16) -> usize {
    match code {
        STATUS_FIRST..=STATUS_LAST => (code - STATUS_FIRST) as usize,
        _ => STATUS_OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let stats = CoreStats::new();
        stats.inc(Counter::Requests);
        stats.add(Counter::Requests, 4);
        stats.gauge(Gauge::ConnectionsOpen, 3);
        stats.gauge(Gauge::ConnectionsOpen, -5);
        stats.observe(Histogram::ExchangeTotal, 100);
        stats.observe(Histogram::ExchangeTotal, 7_000_000);
        for code in [200, 599, 999, 0, 99] {
            stats.status(code);
        }
        stats.reason(Reason::NoRoute);
        assert_eq!(stats.counter_value(Counter::Requests), 5);
        assert_eq!(stats.gauge_value(Gauge::ConnectionsOpen), -2);
        assert_eq!(stats.histogram_value(Histogram::ExchangeTotal), (2, 7_000_100));
        assert_eq!((stats.status_value(200), stats.status_value(599), stats.status_value(600)), (1, 1, 3));
        assert_eq!(stats.reason_value(Reason::NoRoute), 1);
        assert_eq!(stats.counter_value(Counter::Panics), 0);
    }

    #[test]
    fn the_cost_in_the_doc_is_true() {
        assert!(size_of::<CoreStats>() < 6 * 1024 + 512, "{}", size_of::<CoreStats>());
        assert_eq!(align_of::<CoreStats>(), 128);
    }
}
