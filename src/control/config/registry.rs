//! What each route's cache keeps over reloads: its bumped version and its counters, by the name of the route.
//!
//! Never forgets a name: a route that left the plan may come back, and its exchanges may still be running.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cache::counters::RouteCounters;
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
}

impl Registry {
    /// Empty; counters are made for as many cores as the process may run on.
    pub fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self { cores, routes: Mutex::default(), rules: Mutex::default() })
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
