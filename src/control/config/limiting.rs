//! Limits: from keys to rates and tables, and which of them the requests of a route have to pass.
//!
//! What a limit remembers outlives a reload where its name is the same and so is what its buckets mean.

use std::cell::RefCell;
use std::sync::Arc;

use super::problems::{At, Place, Problems};
use super::raw::{RawConfig, RawListener, RawRoute};
use super::raw_limits::{Often, RawLimit};
use super::reader::did_you_mean;
use super::resolve::{Context, items, or, refuse_twice};
use super::values::quoted;
use crate::bounds;
use crate::policy::limit::{Capacity, KeyPart, Limit, Prefixes, Rate, Table};

/// `address_bits_v4` and `address_bits_v6`: a host, and what a home or a machine is given of IPv6.
const PREFIXES: Prefixes = Prefixes { v4: 32, v6: 64 };
/// What a refusal is answered with.
const STATUS: u16 = 429;

/// The limits of a configuration.
pub(super) struct Limiting<'r> {
    known: Vec<Known<'r>>,
    every_route: &'r [At<String>],
    /// There is a store, whose keys may have limits.
    has_keys: bool,
    memory_bytes: u64,
}

struct Known<'r> {
    name: &'r At<String>,
    /// `None` = it has a problem, which is noted.
    limit: Option<Arc<Limit>>,
    used: RefCell<bool>,
}

/// All limits, in the order written.
pub(super) fn resolve<'r>(raw: &'r RawConfig, context: &Context<'_>) -> Limiting<'r> {
    let problems = context.problems;
    let names = raw.limits.iter().filter_map(|limit| limit.name.as_ref()).map(|name| (name.as_str(), &name.place));
    refuse_twice("limit", names, problems);
    let mut limiting = Limiting {
        known: Vec::new(),
        every_route: items(&raw.limit_table.every_route),
        has_keys: raw.callers.is_some(),
        memory_bytes: or(&raw.limit_table.memory, bounds::LIMITS_BYTES_DEFAULT),
    };
    let known = raw.limits.iter().filter_map(|raw| {
        let limit = limiting.limit(raw, context);
        Some(Known { name: raw.name.as_ref()?, limit, used: RefCell::new(false) })
    });
    limiting.known = known.collect();
    let at_listeners = raw.listeners.iter().any(|listener| listener.new_connections.is_some());
    if let Some(memory) = raw.limit_table.memory.as_ref().filter(|_| raw.limits.is_empty() && !at_listeners) {
        problems.warn(&memory.place, "has no effect: there is no limit", "add [[limit]] with name and rate");
    }
    limiting
}

impl Limiting<'_> {
    /// The table of all limits, made when the first limit needs it.
    fn table(&self, context: &Context<'_>) -> Arc<Table> {
        // Where nothing outside may be touched, as for fuzzing, there are no requests to count either.
        let reads = context.ticketer.is_some();
        context.registry.table(if reads { self.memory_bytes } else { bounds::LIMITS_BYTES_MIN })
    }

    fn limit(&self, raw: &RawLimit, context: &Context<'_>) -> Option<Arc<Limit>> {
        let problems = context.problems;
        warn_without_effect(raw, problems);
        let key = key(raw, problems);
        let refused = |key: &str| problems.any_under(&format!("{}.{key}", raw.place.path));
        if raw.rate.is_none() && raw.in_flight.is_none() && !refused("rate") && !refused("in_flight") {
            problems.error(&raw.place, "limits nothing", "add rate = \"100/s\" or in_flight = 20");
        }
        let delay_ns = or(&raw.delay, 0) * 1_000_000;
        let rate = raw.rate.as_ref().and_then(|often| rate(often, or(&raw.burst, 0), delay_ns, problems));
        let bits = |written: &Option<At<u64>>, default: u8| {
            written.as_ref().and_then(|at| u8::try_from(at.value).ok()).unwrap_or(default)
        };
        let prefixes =
            Prefixes { v4: bits(&raw.address_bits_v4, PREFIXES.v4), v6: bits(&raw.address_bits_v6, PREFIXES.v6) };
        let status = raw.status.as_ref().and_then(|at| u16::try_from(at.value).ok()).unwrap_or(STATUS);
        let in_flight = raw.in_flight.as_ref().map(|at| at.value);
        let terms = format!("{key:?} {prefixes:?} {rate:?} {in_flight:?}");
        let name: Arc<str> = raw.name.as_ref()?.as_str().into();
        let state = context.registry.limit(&name, &terms, self.table(context));
        let waiting = Capacity { most: or(&raw.waiting, bounds::WAITING_DEFAULT), crowd: Arc::clone(&state.crowd) };
        Some(Arc::new(Limit {
            name,
            key,
            prefixes,
            rate,
            in_flight,
            waiting,
            dry_run: or(&raw.dry_run, false),
            status,
            headers: or(&raw.headers, false),
            state,
        }))
    }

    /// What the requests of a route have to pass: the limits of every route, then its own.
    pub fn of_route(&self, raw: &RawRoute, context: &Context<'_>) -> Box<[Arc<Limit>]> {
        let mut limits: Vec<Arc<Limit>> = Vec::new();
        for name in self.every_route.iter().chain(items(&raw.limits)) {
            let Some(limit) = self.find(name, context.problems) else { continue };
            // Said for every route and said here: it is the same limit, and is charged once.
            if !limits.iter().any(|other| Arc::ptr_eq(other, &limit)) {
                limits.push(limit);
            }
        }
        let counting = limits.iter().filter(|limit| limit.in_flight.is_some()).count();
        let most = [
            (limits.len(), bounds::LIMITS_PER_ROUTE_MAX, "limits"),
            (counting, bounds::IN_FLIGHT_LIMITS_MAX, "limits with `in_flight`"),
        ];
        for (_, most, what) in most.iter().filter(|(count, most, _)| count > most) {
            let place = raw.limits.as_ref().map_or(&raw.place, |list| &list.place);
            context.problems.error(place, format!("has more than {most} {what}"), "merge some of them");
        }
        limits.into()
    }

    fn find(&self, name: &At<String>, problems: &Problems) -> Option<Arc<Limit>> {
        match self.known.iter().find(|known| *known.name.value == **name) {
            Some(known) => {
                known.used.replace(true);
                known.limit.clone()
            }
            None => {
                let names: Vec<&str> = self.known.iter().map(|known| known.name.as_str()).collect();
                let hint = match names.is_empty() {
                    true => "add [[limit]] with this name".to_owned(),
                    false => did_you_mean(name, &names),
                };
                problems.error(&name.place, format!("there is no limit {}", quoted(name)), hint);
                None
            }
        }
    }

    /// The limit of this name, for whoever else has it; `None` too where it has a problem, which is noted.
    pub fn named(&self, name: &str) -> Option<Arc<Limit>> {
        let known = self.known.iter().find(|known| known.name.as_str() == name)?;
        known.used.replace(true);
        known.limit.clone()
    }

    /// Whether there is a limit of this name.
    pub fn is_known(&self, name: &str) -> bool {
        self.known.iter().any(|known| known.name.as_str() == name)
    }

    /// Limits that nothing has to pass.
    pub fn warn_unused(&self, problems: &Problems) {
        for known in self.known.iter().filter(|known| !*known.used.borrow()) {
            let who = if self.has_keys { "no route and no key has" } else { "no route has" };
            let what = format!("{who} the limit {:?}", known.name.value);
            problems.warn(&known.name.place, what, "name it in `limits` of a route or in `every_route` of [limits]");
        }
    }

    /// `new_connections` of a listener.
    pub fn arrivals(&self, raw: &RawListener, context: &Context<'_>) -> Option<Arc<Limit>> {
        let Some(often) = &raw.new_connections else {
            if let Some(burst) = &raw.new_connections_burst {
                let what = "has no effect: there is no `new_connections`";
                context.problems.warn(&burst.place, what, "add new_connections = \"50/s\"");
            }
            return None;
        };
        let rate = rate(often, or(&raw.new_connections_burst, 0), 0, context.problems)?;
        let name: Arc<str> = format!("connections to {}", raw.address.as_ref()?.value).into();
        let state = context.registry.limit(&name, &format!("{rate:?}"), self.table(context));
        let waiting = Capacity { most: 0, crowd: Arc::clone(&state.crowd) };
        Some(Arc::new(Limit {
            name,
            key: Box::new([KeyPart::Address]),
            prefixes: PREFIXES,
            rate: Some(rate),
            in_flight: None,
            waiting,
            dry_run: false,
            status: STATUS,
            headers: false,
            state,
        }))
    }
}

fn rate(often: &At<Often>, burst: u64, delay_ns: u64, problems: &Problems) -> Option<Rate> {
    let rate = Rate::new(often.count, often.period_ns, burst, delay_ns);
    if rate.is_none() {
        problems.error(&often.place, "takes more than 36 years to give such a burst back", "make `burst` smaller");
    }
    rate
}

/// The parts of the key; the client's address where nothing is written.
fn key(raw: &RawLimit, problems: &Problems) -> Box<[KeyPart]> {
    let Some(written) = &raw.key else { return Box::new([KeyPart::Address]) };
    if written.is_empty() && !problems.any_under(&written.place.path) {
        problems.error(&written.place, "is empty", "leave it out for the address, or write [\"all\"]");
    }
    let mut parts: Vec<&At<KeyPart>> = Vec::new();
    for part in written.iter() {
        if parts.iter().any(|other| other.value == part.value) {
            problems.error(&part.place, "is listed twice", "name each part once");
        }
        if part.value == KeyPart::All && written.len() > 1 {
            problems.error(&part.place, "says nothing beside other parts", "write [\"all\"] alone, or leave it out");
        }
        parts.push(part);
    }
    parts.into_iter().map(|part| part.value.clone()).collect()
}

/// Keys that say something about others that are not there.
fn warn_without_effect(raw: &RawLimit, problems: &Problems) {
    let place = |at: Option<&Place>, missing: bool, of: &str, hint: &str| {
        if let Some(place) = at.filter(|_| missing) {
            problems.warn(place, format!("has no effect: there is no `{of}`"), hint);
        }
    };
    let no_rate = raw.rate.is_none() && !problems.any_under(&format!("{}.rate", raw.place.path));
    let no_delay = raw.delay.is_none() && !problems.any_under(&format!("{}.delay", raw.place.path));
    place(raw.burst.as_ref().map(|at| &at.place), no_rate, "rate", "add rate = \"100/s\", or remove it");
    place(raw.delay.as_ref().map(|at| &at.place), no_rate, "rate", "add rate = \"100/s\", or remove it");
    place(raw.waiting.as_ref().map(|at| &at.place), no_delay, "delay", "add delay = \"2s\", or remove it");
}
