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
    first(plan, raw, problems, &system)
}

fn first(plan: &mut Plan, raw: &RawConfig, problems: &Problems, lookup: Lookup<'_>) -> Vec<String> {
    let names = names_of(&plan.service.upstreams);
    let found = look_up_all(&names, lookup);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config::{Keep, parse};

    fn plan() -> Plan {
        let text = "[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\nupstream = \"api\"\n[[upstream]]\nname = \"api\"\n\
                    endpoints = [\"http://a.example:81\", \"http://10.0.0.9\", \"http://A.example:81/\", \"http://b.example\"]\n";
        parse(text, std::path::Path::new("c.toml"), &Keep::new().unwrap(), &|_| None).unwrap().plan
    }

    fn addresses(plan: &Plan) -> Vec<String> {
        let endpoints = plan.service.upstreams[0].endpoints.iter();
        endpoints.map(|e| e.addresses.iter().map(|a| a.to_string()).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn a_new_plan_comes_only_when_addresses_changed() {
        let answer = |list: &'static [&'static str]| {
            move |host: &str, port: u16| match host {
                "a.example" => list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect(),
                _ => Vec::new(),
            }
        };
        let plan = plan();
        assert_eq!(addresses(&plan), ["", "10.0.0.9:80", "", ""]);
        let first = again(&plan, &answer(&["10.0.0.1", "10.0.0.2"])).unwrap();
        let both = "10.0.0.1:81 10.0.0.2:81";
        assert_eq!(addresses(&first), [both, "10.0.0.9:80", both, ""]);
        assert_eq!(addresses(&plan), ["", "10.0.0.9:80", "", ""], "a plan never changes");
        assert!(again(&first, &answer(&["10.0.0.2", "10.0.0.1"])).is_none(), "the order alone is no change");
        assert!(again(&first, &answer(&[])).is_none(), "a name that is gone keeps its addresses");
        assert_eq!(addresses(&again(&first, &answer(&["::1"])).unwrap())[0], "[::1]:81");
    }

    #[test]
    fn a_name_that_does_not_resolve_is_a_warning_at_its_place() {
        let text = "[[upstream]]\nendpoints = [\"http://a.example\", \"http://b.example\", \"http://10.0.0.9\"]";
        let raw = super::super::read_raw(text, &Problems::default()).unwrap();
        let (mut plan, problems) = (plan(), Problems::default());
        let endpoint =
            |authority: &str| EndpointOptions { authority: authority.into(), addresses: Vec::new(), tls: None };
        let mut upstreams = plan.service.upstreams.clone();
        upstreams[0].endpoints = vec![endpoint("a.example"), endpoint("b.example")];
        plan.service = Arc::new(with_upstreams(&plan.service, upstreams));
        let only_a = |host: &str, port| match host {
            "a.example" => vec![SocketAddr::from(([10, 0, 0, 1], port))],
            _ => Vec::new(),
        };
        assert_eq!(first(&mut plan, &raw, &problems, &only_a), ["a.example", "b.example"]);
        assert_eq!(addresses(&plan), ["10.0.0.1:80", ""]);
        let warnings = problems.finish(std::path::Path::new("c.toml"), text).unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("c.toml:2:34: upstream[0].endpoints[1]: the name b.example does not resolve"));
    }

    #[test]
    fn the_system_resolves_the_loopback_name() {
        assert!(system("localhost", 7).iter().all(|a| a.ip().is_loopback() && a.port() == 7));
        assert!(!system("localhost", 7).is_empty());
        assert!(system("", 7).is_empty());
    }
}
