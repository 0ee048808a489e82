//! Host names of endpoints → addresses, by the system's resolver (getaddrinfo). Blocks: control side only.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use super::endpoint::split_authority;
use super::problems::Problems;
use super::raw::RawConfig;
use super::resolve::items;
use crate::plan::Plan;
use crate::proxy::service::Service;
use crate::upstream::{EndpointOptions, UpstreamOptions};

/// Names looked up at the same time, a thread each.
const LOOKUPS_AT_ONCE: usize = 16;
/// Addresses kept of one name.
const ADDRESSES_MAX: usize = 32;

/// A host name and a port.
type Name = (String, u16);
/// What was found; a name without an entry, or without addresses, does not resolve.
type Found = BTreeMap<Name, Vec<SocketAddr>>;
/// Looks one name up. A value, so that tests need no resolver.
type Lookup<'l> = &'l (dyn Fn(&str, u16) -> Vec<SocketAddr> + Sync);

/// Fills in the addresses of all names of a new plan and returns the names. One that does not resolve is a warning:
/// its endpoint has no addresses until [`resolve_again`] finds some.
pub(super) fn resolve_names(plan: &mut Plan, raw: &RawConfig, problems: &Problems) -> Vec<String> {
    let names = names_of(&plan.service.upstreams);
    let found = look_up_all(&names, &system);
    if let Some(upstreams) = with_addresses(&plan.service.upstreams, &found) {
        plan.service = Arc::new(with_upstreams(&plan.service, upstreams));
    }
    for endpoint in raw.upstreams.iter().flat_map(|u| items(&u.endpoints)) {
        let name = (endpoint.host.clone(), endpoint.port);
        if names.contains(&name) && found.get(&name).is_none_or(Vec::is_empty) {
            let what = format!("the name {} does not resolve at the moment", endpoint.host);
            problems.warn(&endpoint.place, what, "requests to it are answered 503 until it does");
        }
    }
    let hosts: BTreeSet<String> = names.into_iter().map(|(host, _)| host).collect();
    hosts.into_iter().collect()
}

/// Looks all names of a plan up again: a new plan if the addresses of any changed, else `None`. A name that does not
/// resolve any more keeps the addresses it had. Blocks for as long as the system's resolver does.
pub fn resolve_again(plan: &Plan) -> Option<Plan> {
    again(plan, &system)
}

fn again(plan: &Plan, lookup: Lookup<'_>) -> Option<Plan> {
    let found = look_up_all(&names_of(&plan.service.upstreams), lookup);
    let upstreams = with_addresses(&plan.service.upstreams, &found)?;
    Some(Plan { service: Arc::new(with_upstreams(&plan.service, upstreams)), ..plan.clone() })
}

fn with_upstreams(service: &Service, upstreams: Vec<UpstreamOptions>) -> Service {
    let mut service = service.clone();
    service.upstreams = upstreams;
    service
}

fn names_of(upstreams: &[UpstreamOptions]) -> BTreeSet<Name> {
    upstreams.iter().flat_map(|upstream| &upstream.endpoints).filter_map(name_of).collect()
}

/// The name behind an endpoint; `None` when it is an address.
fn name_of(endpoint: &EndpointOptions) -> Option<Name> {
    let default_port = if endpoint.tls.is_some() { 443 } else { 80 };
    let (host, port) = split_authority(&endpoint.authority).ok()?;
    host.parse::<IpAddr>().is_err().then(|| (host, port.unwrap_or(default_port)))
}

/// The upstreams with what was found, or `None` when nothing changed. The order of addresses alone is no change:
/// resolvers rotate it.
fn with_addresses(upstreams: &[UpstreamOptions], found: &Found) -> Option<Vec<UpstreamOptions>> {
    let mut upstreams = upstreams.to_vec();
    let mut changed = false;
    for endpoint in upstreams.iter_mut().flat_map(|upstream| &mut upstream.endpoints) {
        let Some(new) = name_of(endpoint).and_then(|name| found.get(&name)).filter(|new| !new.is_empty()) else {
            continue;
        };
        let sorted = |list: &[SocketAddr]| list.iter().copied().collect::<BTreeSet<_>>();
        if sorted(&endpoint.addresses) != sorted(new) {
            endpoint.addresses.clone_from(new);
            changed = true;
        }
    }
    changed.then_some(upstreams)
}

fn look_up_all(names: &BTreeSet<Name>, lookup: Lookup<'_>) -> Found {
    let names: Vec<&Name> = names.iter().collect();
    let mut found = Found::new();
    for batch in names.chunks(LOOKUPS_AT_ONCE) {
        std::thread::scope(|scope| {
            let threads: Vec<_> = batch.iter().map(|name| (*name, scope.spawn(|| lookup(&name.0, name.1)))).collect();
            for (name, thread) in threads {
                found.insert(name.clone(), thread.join().unwrap_or_default());
            }
        });
    }
    found
}

/// Asks the system. Errors are an empty list: why a name does not resolve is the same to all who use it.
#[expect(clippy::disallowed_methods, reason = "the control side is where names are resolved; no core waits for it")]
fn system(host: &str, port: u16) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    let addresses = (host, port).to_socket_addrs().into_iter().flatten();
    addresses.filter(|address| seen.insert(*address)).take(ADDRESSES_MAX).collect()
}
