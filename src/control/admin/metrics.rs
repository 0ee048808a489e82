//! The part of a scrape that routes have, of the cache and of the firewall, in the Prometheus text format 0.0.4, behind the part of the cores.
//!
//! An outcome has a sample from the start, a reason once it has occurred: routes times reasons would be many zeros.

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use super::cache::{CacheAdmin, CachedRoute};
use super::signature::Hooked;
use crate::policy::limit::{Limit, Outcome};
use crate::policy::waf::guard::Guard;
use crate::stats::{CacheOutcome, Label, NotStored, Pass, family};

/// The cache's metrics.
pub fn render(admin: &CacheAdmin) -> String {
    let mut out = String::with_capacity(8 * 1024);
    // Writing into a String cannot fail, so neither can this.
    let _ = render_all(&mut out, admin);
    out
}

fn render_all(out: &mut String, admin: &CacheAdmin) -> fmt::Result {
    let (figures, sight) = (admin.cache.figures(), admin.sight.load());
    render_routes(out, &sight.routes)?;
    render_guards(out, &sight.guards)?;
    render_limits(out, &sight.limits)?;
    one(out, "ringway_cache_evicted_total", "Stored answers that made room for others", "counter", figures.evicted)?;
    one(out, "ringway_cache_purged_total", "Stored answers that a purge dropped", "counter", figures.purged)?;
    one(out, "ringway_cache_objects", "Objects in the cache", "gauge", figures.objects)?;
    one(out, "ringway_cache_bytes", "Memory of the cache in use", "gauge", figures.bytes)?;
    one(out, "ringway_cache_capacity_bytes", "Memory that the cache may use", "gauge", figures.capacity)?;
    let name = "ringway_purge_hooks_total";
    family(out, name, "Purge webhooks, by what became of them", "counter")?;
    for outcome in Hooked::ALL {
        writeln!(out, "{name}{{outcome=\"{}\"}} {}", outcome.name(), admin.hooks.count(outcome))?;
    }
    Ok(())
}

fn render_routes(out: &mut String, routes: &[CachedRoute]) -> fmt::Result {
    let name = "ringway_cache_requests_total";
    family(out, name, "Requests on routes that cache, by how they were answered", "counter")?;
    for route in routes {
        for &outcome in CacheOutcome::ALL {
            let count = route.counters.outcome_value(outcome);
            writeln!(out, "{name}{{route=\"{}\",outcome=\"{}\"}} {count}", Label(&route.name), outcome.name())?;
        }
    }
    let name = "ringway_cache_pass_total";
    family(out, name, "Requests that went past the cache, by reason", "counter")?;
    for route in routes {
        for &reason in Pass::ALL {
            occurred(out, name, &route.name, reason.name(), route.counters.pass_value(reason))?;
        }
    }
    let name = "ringway_cache_not_stored_total";
    family(out, name, "Fetched answers that were not stored, by reason", "counter")?;
    for route in routes {
        for &reason in NotStored::ALL {
            occurred(out, name, &route.name, reason.name(), route.counters.not_stored_value(reason))?;
        }
    }
    Ok(())
}

/// Rules that never matched have no sample: rule sets are large.
fn render_guards(out: &mut String, guards: &[Arc<Guard>]) -> fmt::Result {
    let name = "ringway_waf_matches_total";
    family(out, name, "Rules of the firewall that matched, by what came of it", "counter")?;
    for guard in guards {
        for (rule, consequence, count) in guard.counters.occurred() {
            let waf = Label(&guard.name);
            writeln!(out, "{name}{{waf=\"{waf}\",rule=\"{rule}\",consequence=\"{}\"}} {count}", consequence.name())?;
        }
    }
    Ok(())
}

fn render_limits(out: &mut String, limits: &[Arc<Limit>]) -> fmt::Result {
    let name = "ringway_limit_requests_total";
    family(out, name, "Requests and connections under a limit, by what it did", "counter")?;
    for limit in limits {
        for outcome in Outcome::ALL {
            let count = limit.state.counters.value(outcome);
            writeln!(out, "{name}{{limit=\"{}\",outcome=\"{}\"}} {count}", Label(&limit.name), outcome.name())?;
        }
    }
    Ok(())
}

fn occurred(out: &mut String, name: &str, route: &str, reason: &str, count: u64) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    writeln!(out, "{name}{{route=\"{}\",reason=\"{reason}\"}} {count}", Label(route))
}

fn one(out: &mut String, name: &str, help: &str, kind: &str, value: impl Display) -> fmt::Result {
    family(out, name, help, kind)?;
    writeln!(out, "{name} {value}")
}
