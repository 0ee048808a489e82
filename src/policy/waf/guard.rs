//! Guard: a rule set with the terms under which a route is judged by it, and the counts of its rules.
//!
//! Immutable but for the counts, of which each core writes its own. Knows no request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::compile::RuleSet;
use super::model::Mode;

/// What a route is judged by.
pub struct Guard {
    /// The `name` of its `[[waf]]`.
    pub name: Arc<str>,
    /// A copy for each core: patterns keep notes while they match, which cores would have to share.
    rules: Box<[RuleSet]>,
    pub terms: Terms,
    pub counters: Arc<RuleCounters>,
}

/// How much of a body is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Bytes of a body that are looked at, decoded ones where it is decoded.
    pub inspect_bytes: u64,
    /// What becomes of a longer body.
    pub over: Over,
    /// Bodies in gzip or deflate are judged by what is in them.
    pub decompress: bool,
}

impl Guard {
    /// A guard for cores `0..cores`.
    pub fn new(name: Arc<str>, rules: &RuleSet, cores: usize, terms: Terms, counters: Arc<RuleCounters>) -> Self {
        Self { name, rules: (0..cores.max(1)).map(|_| rules.clone()).collect(), terms, counters }
    }

    /// The rules, as this core has them.
    pub fn rules(&self, core: usize) -> &RuleSet {
        &self.rules[core % self.rules.len()]
    }

    /// Whether the rules block.
    pub fn mode(&self) -> Mode {
        self.rules(0).mode()
    }
}

/// What becomes of a body that is longer than what is inspected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// It passes unseen; the head is judged.
    Allow,
    /// 413.
    Deny,
    /// Its beginning is judged.
    #[default]
    Partial,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard {{ name: {:?}, rules: {} }}", self.name, self.rules(0).len())
    }
}

/// What a match led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The request was denied.
    Denied,
    /// It would have been, but the rules are in detection mode.
    Detected,
    /// The rule only notes, or scores.
    Noted,
}

impl Consequence {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Denied, Self::Detected, Self::Noted];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Detected => "detected",
            Self::Noted => "noted",
        }
    }
}

/// How often each rule matched: 24 bytes per rule and core.
pub struct RuleCounters {
    /// Place of each rule's cells.
    places: BTreeMap<u64, usize>,
    cores: Box<[Box<[AtomicU64]>]>,
}

impl fmt::Debug for RuleCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuleCounters {{ rules: {} }}", self.places.len())
    }
}

impl RuleCounters {
    /// For cores `0..cores`: at zero, or at what `former` has counted of the same rules.
    pub fn new(ids: impl IntoIterator<Item = u64>, cores: usize, former: Option<&Self>) -> Arc<Self> {
        let mut places = BTreeMap::new();
        for id in ids {
            let place = places.len();
            places.entry(id).or_insert(place);
        }
        let cells = places.len() * Consequence::ALL.len();
        let zeros = |_| (0..cells).map(|_| AtomicU64::new(0)).collect();
        let made = Self { places, cores: (0..cores.max(1)).map(zeros).collect() };
        for (id, consequence, sum) in former.into_iter().flat_map(Self::occurred) {
            if let Some(cell) = made.cell(0, id, consequence) {
                cell.store(sum, Relaxed);
            }
        }
        Arc::new(made)
    }

    fn cell(&self, core: usize, id: u64, consequence: Consequence) -> Option<&AtomicU64> {
        let place = self.places.get(&id)?;
        self.cores.get(core % self.cores.len())?.get(place * Consequence::ALL.len() + consequence as usize)
    }

    /// Counts a match; each core has cells of its own.
    pub fn count(&self, core: usize, id: u64, consequence: Consequence) {
        if let Some(cell) = self.cell(core, id, consequence) {
            // One writer: no lock prefix is needed.
            cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
        }
    }

    /// What has occurred: rule, consequence, how often.
    pub fn occurred(&self) -> impl Iterator<Item = (u64, Consequence, u64)> {
        self.places.iter().flat_map(move |(id, place)| {
            Consequence::ALL.into_iter().filter_map(move |consequence| {
                let index = place * Consequence::ALL.len() + consequence as usize;
                let sum: u64 =
                    self.cores.iter().filter_map(|cells| cells.get(index)).map(|cell| cell.load(Relaxed)).sum();
                (sum > 0).then_some((*id, consequence, sum))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_and_consequence_is_counted_apart_over_all_cores() {
        let counters = RuleCounters::new([1001, 7, 1001], 2, None);
        counters.count(0, 1001, Consequence::Denied);
        counters.count(1, 1001, Consequence::Denied);
        counters.count(1, 7, Consequence::Detected);
        counters.count(0, 8, Consequence::Noted);
        let seen: Vec<_> = counters.occurred().collect();
        assert_eq!(seen, [(7, Consequence::Detected, 1), (1001, Consequence::Denied, 2)]);
        let later = RuleCounters::new([1001, 9], 2, Some(&*counters));
        later.count(1, 1001, Consequence::Denied);
        assert_eq!(later.occurred().collect::<Vec<_>>(), [(1001, Consequence::Denied, 3)], "a count never falls");
    }
}
