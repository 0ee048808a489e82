//! What each route's cache keeps over reloads: its bumped version and its counters, by the name of the route.
//!
//! Never forgets a name: a route that left the plan may come back, and its exchanges may still be running.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cache::counters::RouteCounters;

/// A route's name, its bumped version, its counters.
pub type KeptRoute = (Arc<str>, Arc<AtomicU64>, Arc<RouteCounters>);

/// All routes that ever had a cache in this process. Control and its admin side look here; cores never do.
#[derive(Debug)]
pub(super) struct Registry {
    cores: usize,
    routes: Mutex<BTreeMap<Arc<str>, (Arc<AtomicU64>, Arc<RouteCounters>)>>,
}

impl Registry {
    /// Empty; counters are made for as many cores as the process may run on.
    pub fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self { cores, routes: Mutex::default() })
    }

    /// Version and counters of a route; new ones where the name was never heard.
    pub fn of(&self, route: &Arc<str>) -> (Arc<AtomicU64>, Arc<RouteCounters>) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let (bumps, counters) =
            routes.entry(Arc::clone(route)).or_insert_with(|| (Arc::default(), RouteCounters::new(self.cores)));
        (Arc::clone(bumps), Arc::clone(counters))
    }

    /// All of them, sorted by name.
    pub fn all(&self) -> Vec<KeptRoute> {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.iter().map(|(name, (b, c))| (Arc::clone(name), Arc::clone(b), Arc::clone(c))).collect()
    }
}
