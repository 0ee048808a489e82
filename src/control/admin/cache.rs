//! The cache as the admin listener works on it: what routes make of URLs, versions that are raised, numbers, and the
//! sweep that follows a purge. A purge is in effect when it returns; the sweep only brings its memory back.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::AdminState;
use super::refusal::{Refusal, guard, parameters, refuse_pages, whole};
use super::signature::Hooks;
use crate::cache::counters::RouteCounters;
use crate::cache::policy::KeyPolicy;
use crate::cache::store::Cache;
use crate::control::config::KeptRoute;
use crate::plan::{Plan, PurgeHook};
use crate::policy::limit::Limit;
use crate::policy::waf::guard::Guard;
use crate::stats::{CacheOutcome, NotStored, Pass};

/// Objects that one step of a sweep looks at; between two steps the listener answers.
const SWEEP_STEP: usize = 4_096;
/// Ways of making keys beyond which those of former plans are forgotten.
const KEYS_MAX: usize = 256;

/// The sweep rests; it runs; it runs and begins again when it is through.
const RESTS: u8 = 0;
const RUNS: u8 = 1;
const RUNS_AGAIN: u8 = 2;

/// What the admin listener knows of the cache.
pub struct CacheAdmin {
    pub(super) cache: Arc<Cache>,
    pub(super) sight: ArcSwap<Sight>,
    pub(super) hooks: Hooks,
    sweep: AtomicU8,
}

/// What the plan in force says about the cache.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// How its routes make keys; one of a kind is enough.
    pub keys: Vec<KeyPolicy>,
    /// Routes that cache, or did in a former plan.
    pub routes: Vec<CachedRoute>,
    /// `None` = webhooks are off.
    pub hook: Option<PurgeHook>,
    /// The firewalls of the routes, each once.
    pub guards: Vec<Arc<Guard>>,
    /// `None` = there are no keys of callers.
    pub callers: Option<PathBuf>,
    /// What the requests of its routes have to pass, by name.
    pub limits: Vec<Arc<Limit>>,
}

/// What is counted and raised of a route.
#[derive(Clone, Debug)]
pub struct CachedRoute {
    pub name: Arc<str>,
    /// Part of every key of the route.
    pub bumps: Arc<AtomicU64>,
    pub counters: Arc<RouteCounters>,
}

impl Sight {
    /// What a plan says, and what is kept of routes over reloads.
    pub fn of(plan: &Plan, routes: Vec<KeptRoute>) -> Self {
        let policies = plan.service.router.routes().filter_map(|route| route.cache.as_ref());
        let kept = |(name, bumps, counters)| CachedRoute { name, bumps, counters };
        Self {
            keys: policies.map(|policy| policy.key.clone()).collect(),
            routes: routes.into_iter().map(kept).collect(),
            hook: plan.purge_hook.clone(),
            guards: guards(plan),
            callers: plan.callers_store.clone(),
            limits: limits(plan),
        }
    }
}

/// The firewalls of a plan, by name, each once.
fn guards(plan: &Plan) -> Vec<Arc<Guard>> {
    let mut guards: Vec<_> = plan.service.router.routes().filter_map(|route| route.screen.waf.clone()).collect();
    guards.sort_by(|one, other| one.name.cmp(&other.name));
    guards.dedup_by(|one, other| one.name == other.name);
    guards
}

/// All limits of a plan, each once.
fn limits(plan: &Plan) -> Vec<Arc<Limit>> {
    let of_routes = plan.service.router.routes().flat_map(|route| route.screen.limits.iter());
    let at_listeners = plan.listeners.iter().filter_map(|listener| listener.arrivals.as_ref());
    let of_keys = plan.service.callers.limits();
    let mut limits: Vec<Arc<Limit>> = of_routes.chain(at_listeners).chain(of_keys).map(Arc::clone).collect();
    // By state too: a listener's limit may have the name of another one.
    limits.sort_by(|one, other| (&one.name, one.state.number).cmp(&(&other.name, other.state.number)));
    limits.dedup_by(|one, other| Arc::ptr_eq(&one.state, &other.state));
    limits
}

impl CacheAdmin {
    /// Nothing is known of any route until a plan is taken up.
    pub fn new(cache: Arc<Cache>) -> Self {
        Self { cache, sight: ArcSwap::default(), hooks: Hooks::default(), sweep: AtomicU8::new(RESTS) }
    }

    /// Works by another plan from now on.
    pub fn take_up(&self, sight: Sight) {
        let former = self.sight.load();
        let mut keys = Vec::new();
        sight.keys.iter().for_each(|policy| remember(&mut keys, policy));
        // Objects of a former plan are there for a while, and asked for again where it comes back.
        for policy in &former.keys {
            if keys.len() < KEYS_MAX {
                remember(&mut keys, policy);
            }
        }
        self.sight.store(Arc::new(Sight { keys, ..sight }));
    }

    /// Looks through the cache, in steps, beside everything else: after a purge, and now and then. Needs a tokio runtime
    /// around it; one sweep is under way at a time.
    pub fn sweep_soon(self: &Arc<Self>) {
        if self.sweep.swap(RUNS_AGAIN, Ordering::AcqRel) != RESTS {
            return;
        }
        let admin = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                // A purge from here on may concern what this pass has looked at already.
                admin.sweep.store(RUNS, Ordering::Release);
                while !admin.cache.sweep(SWEEP_STEP).is_done {
                    tokio::task::yield_now().await;
                }
                if admin.sweep.compare_exchange(RUNS, RESTS, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                    return;
                }
            }
        });
    }

    fn raise_version(&self, route: &str) -> Result<Value, Refusal> {
        let sight = self.sight.load();
        let Some(found) = sight.routes.iter().find(|r| &*r.name == route) else {
            let names: Vec<&str> = sight.routes.iter().map(|r| &*r.name).collect();
            let names = if names.is_empty() { "none caches".to_owned() } else { names.join(", ") };
            return Err(Refusal::not_found(format!("no route {route:?} caches; routes that do: {names}")));
        };
        let old = found.bumps.fetch_add(1, Ordering::AcqRel);
        Ok(json!({ "route": route, "old": old, "new": old + 1 }))
    }

    fn numbers(&self) -> Value {
        let figures = self.cache.figures();
        let routes: Vec<Value> = self.sight.load().routes.iter().map(route_numbers).collect();
        json!({
            "objects": figures.objects, "bytes": figures.bytes, "capacity": figures.capacity,
            "evicted": figures.evicted, "purged": figures.purged, "sequence": self.cache.sequence(),
            "routes": routes,
        })
    }
}

/// Adds a way of making keys, unless another one makes the same of every URL.
fn remember(keys: &mut Vec<KeyPolicy>, policy: &KeyPolicy) {
    let is_same = |k: &KeyPolicy| k.host == policy.host && k.path == policy.path && k.query == policy.query;
    if !keys.iter().any(is_same) {
        keys.push(policy.clone());
    }
}

fn route_numbers(route: &CachedRoute) -> Value {
    let counters = &route.counters;
    let outcomes: Map<String, Value> =
        CacheOutcome::ALL.iter().map(|o| (o.name().to_owned(), counters.outcome_value(*o).into())).collect();
    let passes = Pass::ALL.iter().map(|reason| (reason.name(), counters.pass_value(*reason)));
    let not_stored = NotStored::ALL.iter().map(|reason| (reason.name(), counters.not_stored_value(*reason)));
    json!({
        "route": &*route.name, "version": route.bumps.load(Ordering::Acquire),
        "outcomes": outcomes, "passes": occurred(passes), "not_stored": occurred(not_stored),
    })
}

/// Those reasons that occurred.
fn occurred<'a>(reasons: impl Iterator<Item = (&'a str, u64)>) -> Map<String, Value> {
    reasons.filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count.into())).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionBody {
    route: String,
}

/// `POST /cache/version`
pub(super) async fn version(
    State(state): State<Arc<AdminState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    guard(&headers)?;
    parameters(&query.unwrap_or_default(), [])?;
    let body: VersionBody = serde_json::from_slice(&whole(body)?)
        .map_err(|e| Refusal::bad_request(format!("{e}; send {{\"route\": \"NAME\"}}")))?;
    Ok(Json(state.cache.raise_version(&body.route)?).into_response())
}

/// `GET /cache/stats`
pub(super) async fn stats(
    State(state): State<Arc<AdminState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    refuse_pages(&headers)?;
    parameters(&query.unwrap_or_default(), [])?;
    Ok(Json(state.cache.numbers()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::policy::QueryKey;

    #[test]
    fn keys_of_former_plans_are_remembered_once() {
        let admin = CacheAdmin::new(Cache::new(1 << 20, [0; 32]));
        let sorted = KeyPolicy { query: QueryKey::Sorted, ..KeyPolicy::default() };
        admin.take_up(Sight { keys: vec![KeyPolicy::default(), KeyPolicy::default()], ..Sight::default() });
        let by_caller = KeyPolicy { caller: false, ..sorted.clone() };
        admin.take_up(Sight { keys: vec![sorted.clone(), by_caller], ..Sight::default() });
        assert_eq!(admin.sight.load().keys, [sorted, KeyPolicy::default()]);
        // However many there are, none of the plan in force is forgotten.
        let only =
            |n: usize| KeyPolicy { query: QueryKey::Only([n.to_string().into()].into()), ..KeyPolicy::default() };
        admin.take_up(Sight { keys: (0..KEYS_MAX + 5).map(only).collect(), ..Sight::default() });
        admin.take_up(Sight { keys: vec![only(9_999)], ..Sight::default() });
        let keys = &admin.sight.load().keys;
        assert!(keys.len() == KEYS_MAX && keys[0] == only(9_999) && keys[1] == only(0));
    }
}
