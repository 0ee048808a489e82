//! What is kept over reloads: of each route's cache its bumped version and its counters, by the name of the route; of
//! limits their table, buckets and counters; of upstreams how many requests are in flight.
//!
//! Never forgets the name of a route: one that left the plan may come back, and its exchanges may still be running. A
//! limit or an upstream is forgotten when no plan and no exchange has it any more.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::cache::counters::RouteCounters;
use crate::policy::limit::{Counters, Crowd, LimitState, Table};
use crate::policy::waf::guard::RuleCounters;

/// A route's name, its bumped version, its counters.
pub type KeptRoute = (Arc<str>, Arc<AtomicU64>, Arc<RouteCounters>);

type Routes = BTreeMap<Arc<str>, (Arc<AtomicU64>, Arc<RouteCounters>)>;

/// All routes that ever had a cache in this process. Control and its admin side look here; cores never do.
#[derive(Debug)]
pub(super) struct Registry {
    cores: usize,
    routes: Mutex<Routes>,
    rules: Mutex<BTreeMap<Arc<str>, Arc<RuleCounters>>>,
    limits: Mutex<Limits>,
}

/// What plans have of limits.
#[derive(Debug, Default)]
struct Limits {
    table: Weak<Table>,
    /// By name and terms.
    states: BTreeMap<(Arc<str>, String), Weak<LimitState>>,
    /// By the name of the upstream.
    crowds: BTreeMap<String, Weak<Crowd>>,
    /// How many states were ever made: the number of the next one.
    made: u64,
}

impl Registry {
    /// Empty; counters are made for as many cores as the process may run on.
    pub fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self { cores, routes: Mutex::default(), rules: Mutex::default(), limits: Mutex::default() })
    }

    /// How many cores there may be.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Counters of a firewall's rules; those of rules that it had before go on.
    pub fn rules(&self, waf: &Arc<str>, ids: impl IntoIterator<Item = u64>) -> Arc<RuleCounters> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = RuleCounters::new(ids, self.cores, rules.get(waf).map(|former| &**former));
        rules.insert(Arc::clone(waf), Arc::clone(&counters));
        counters
    }

    /// Version and counters of a route; new ones where the name was never heard.
    pub fn of(&self, route: &Arc<str>) -> (Arc<AtomicU64>, Arc<RouteCounters>) {
        let mut routes = self.lock();
        let (bumps, counters) =
            routes.entry(Arc::clone(route)).or_insert_with(|| (Arc::default(), RouteCounters::new(self.cores)));
        (Arc::clone(bumps), Arc::clone(counters))
    }

    /// Sorted by name. Left out is what nobody else holds and no version keeps alive: routes of plans that were refused
    /// or have ended.
    pub fn all(&self) -> Vec<KeptRoute> {
        let routes = self.lock();
        let known = routes.iter().filter(|(_, (bumps, _))| Arc::strong_count(bumps) > 1 || bumps.load(Acquire) > 0);
        known.map(|(name, (bumps, counters))| (Arc::clone(name), Arc::clone(bumps), Arc::clone(counters))).collect()
    }

    /// Makes a route's version at least this.
    pub fn raise(&self, route: &str, version: u64) {
        let (bumps, _) = self.of(&route.into());
        bumps.fetch_max(version, AcqRel);
    }

    /// The table of all limits: the one in use where it has this size.
    pub fn table(&self, bytes: u64) -> Arc<Table> {
        let mut limits = self.lock_limits();
        if let Some(table) = limits.table.upgrade().filter(|table| table.bytes() == bytes) {
            return table;
        }
        let table = Table::new(bytes, self.cores);
        limits.table = Arc::downgrade(&table);
        table
    }

    /// What a limit of this name and these terms keeps in this table; nothing yet where there was none.
    pub fn limit(&self, name: &Arc<str>, terms: &str, table: Arc<Table>) -> Arc<LimitState> {
        let mut limits = self.lock_limits();
        limits.states.retain(|_, state| state.strong_count() > 0);
        let key = (Arc::clone(name), terms.to_owned());
        let known = limits.states.get(&key).and_then(Weak::upgrade);
        if let Some(state) = known.filter(|state| Arc::ptr_eq(&state.table, &table)) {
            return state;
        }
        limits.made += 1;
        let (number, crowd) = (limits.made, Arc::default());
        let state = Arc::new(LimitState { number, table, counters: Counters::new(self.cores), crowd });
        limits.states.insert(key, Arc::downgrade(&state));
        state
    }

    /// The requests in flight to the upstream of this name.
    pub fn crowd(&self, upstream: &str) -> Arc<Crowd> {
        let mut limits = self.lock_limits();
        limits.crowds.retain(|_, crowd| crowd.strong_count() > 0);
        let crowd = limits.crowds.get(upstream).and_then(Weak::upgrade).unwrap_or_default();
        limits.crowds.insert(upstream.to_owned(), Arc::downgrade(&crowd));
        crowd
    }

    fn lock_limits(&self) -> MutexGuard<'_, Limits> {
        // As below.
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Routes> {
        // Nothing panics while it is held, and a map is whole between any two calls.
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::CacheOutcome;

    fn names(registry: &Registry) -> Vec<String> {
        registry.all().iter().map(|(name, ..)| name.to_string()).collect()
    }

    #[test]
    fn a_name_always_has_the_same_version_and_counters() {
        let registry = Registry::new();
        let (bumps, counters) = registry.of(&"b".into());
        counters.outcome(0, CacheOutcome::Hit);
        drop((bumps, counters));
        let (bumps, counters) = registry.of(&"b".into());
        assert_eq!((bumps.load(Acquire), counters.outcome_value(CacheOutcome::Hit)), (0, 1));
        let held = registry.of(&"a".into());
        assert_eq!(names(&registry), ["a", "b"]);
        drop((held, bumps, counters));
        assert!(names(&registry).is_empty(), "no plan has them any more");
    }

    #[test]
    fn a_raised_version_is_never_forgotten_and_never_falls() {
        let registry = Registry::new();
        registry.raise("gone", 7);
        registry.raise("gone", 3);
        assert_eq!(registry.of(&"gone".into()).0.load(Acquire), 7);
        assert_eq!(names(&registry), ["gone"]);
    }
}
