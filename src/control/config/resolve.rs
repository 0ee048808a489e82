//! From what was written to what it means: raw → `Plan`. Checks what only several keys together can get wrong.
//!
//! Reads certificates, keys and secrets, unless told to touch nothing outside. Names are resolved afterwards, by
//! `names.rs`, and only for a configuration without errors.

use rustls::server::ProducesTickets;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::firewall::Guards;
use super::problems::{At, Place, Problems};
use super::raw::{RawConfig, RawLimits};
use super::registry::Registry;
use super::{Environment, caching, calling, defaults, limiting, listeners, logging, routes, upstreams};
use crate::bounds;
use crate::h1::HeadLimits;
use crate::plan::{Cores, Plan, Start};
use crate::proxy::route::Router;
use crate::proxy::service::Service;

/// What resolving may use.
pub(super) struct Context<'a> {
    pub problems: &'a Problems,
    /// Relative paths count from here.
    pub base_dir: &'a Path,
    pub env: Environment<'a>,
    /// `None`: no file is read, so there is no TLS in the result either. For fuzzing.
    pub ticketer: Option<Arc<dyn ProducesTickets>>,
    /// Versions and counters of caches that outlast a plan.
    pub registry: &'a Registry,
    /// Every file that was read.
    pub files: RefCell<BTreeSet<PathBuf>>,
    /// What `check` says of each firewall, a line each.
    pub reports: RefCell<Vec<String>>,
}

impl Context<'_> {
    /// A path as it was written, from the folder of the configuration.
    pub fn path(&self, written: &str) -> PathBuf {
        self.base_dir.join(written)
    }

    /// Whether files may be read; notes the file as one that the plan depends on.
    pub fn reads(&self, path: &Path) -> bool {
        let reads = self.ticketer.is_some();
        if reads {
            self.files.borrow_mut().insert(path.to_owned());
        }
        reads
    }
}

/// The plan of a configuration, without the addresses of names. Problems are in the context; where there are any, the
/// result is not to be used.
pub(super) fn resolve(raw: &RawConfig, context: &Context<'_>) -> Plan {
    let limits = limits(&raw.server.limits, context.problems);
    let body_bytes = or(&raw.server.limits.body, bounds::BODY_BYTES_DEFAULT);
    let start = start(raw, context);
    let limiting = limiting::resolve(raw, context);
    let listeners = listeners::resolve(&raw.listeners, &start, &limiting, context);
    let upstreams = upstreams::resolve(&raw.upstreams, context);
    let (house, bytes) = (calling::house(&raw.server.access, context), (body_bytes, start.cache.memory_bytes));
    let guards = Guards::resolve(raw, context);
    let terms = routes::Terms { house: &house, limiting: &limiting, guards: &guards, bytes };
    let routes = routes::resolve(&raw.routes, &raw.upstreams, &upstreams, &terms, context);
    let (callers, callers_store) = calling::callers(raw, &limiting, context);
    calling::check(raw, &upstreams, &routes, context);
    limiting.warn_unused(context.problems);
    let server = &raw.server;
    let service = Service {
        router: Router::compile(routes),
        upstreams,
        limits,
        trusted_peers: items(&server.trusted_peers).iter().map(|net| net.value).collect(),
        forwarded: or(&server.forwarded, Default::default()),
        expect: or(&server.expect, Default::default()),
        client_address: or(&server.client_address, Default::default()),
        callers,
        overload_target_ms: or(&server.overload.target, Some(bounds::OVERLOAD_TARGET_MS_DEFAULT)),
        via: server.via.as_ref().map_or(defaults::VIA, |via| via.as_str()).into(),
    };
    let purge_hook = caching::hook(&raw.cache, start.admin, context);
    caching::warn_unused(raw, context.problems);
    let drain_ms = or(&server.drain, defaults::DRAIN_MS);
    Plan { service: Arc::new(service), listeners, drain_ms, purge_hook, callers_store, start }
}

/// The value written, or the default.
pub(super) fn or<T: Copy>(written: &Option<At<T>>, default: T) -> T {
    written.as_ref().map_or(default, |at| at.value)
}

/// The members of a list, none when it was not written.
pub(super) fn items<T>(list: &Option<At<Vec<At<T>>>>) -> &[At<T>] {
    list.as_ref().map_or(&[], |at| at.value.as_slice())
}

/// Notes every repetition of a name. `noun` is what has it.
pub(super) fn refuse_twice<'n>(noun: &str, names: impl Iterator<Item = (&'n str, &'n Place)>, problems: &Problems) {
    let mut seen = BTreeSet::new();
    for (name, place) in names {
        if !seen.insert(name) {
            problems.error(place, format!("another {noun} has the name {name:?}"), "give each its own");
        }
    }
}

fn limits(raw: &RawLimits, problems: &Problems) -> HeadLimits {
    let bytes = |written: &Option<At<u64>>, default: usize| {
        written.as_ref().and_then(|at| usize::try_from(at.value).ok()).unwrap_or(default)
    };
    let head_bytes = bytes(&raw.head, bounds::HEAD_BYTES_DEFAULT);
    let default_line = bounds::REQUEST_LINE_BYTES_DEFAULT.min(head_bytes);
    let request_line_bytes = bytes(&raw.request_line, default_line);
    if let Some(line) = raw.request_line.as_ref().filter(|_| request_line_bytes > head_bytes) {
        let what = format!("is larger than the whole head may be ({head_bytes} bytes)");
        problems.error(&line.place, what, "make it smaller or raise `head`");
    }
    HeadLimits { head_bytes, request_line_bytes, fields: bytes(&raw.fields, bounds::FIELDS_DEFAULT) }
}

fn start(raw: &RawConfig, context: &Context<'_>) -> Start {
    let (server, log) = (&raw.server, &raw.log);
    let admin = or(&server.admin, Some(defaults::ADMIN));
    if let (Some(at), Some(address)) = (&server.admin, admin)
        && !address.ip().is_loopback()
    {
        let what = "the admin listener is reachable from other machines and asks nobody for a password";
        context.problems.warn(&at.place, what, "use 127.0.0.1 unless the network in front of it is closed");
    }
    Start {
        cores: server.cores.as_ref().map_or(Cores::All, |at| at.value.clone()),
        driver: or(&server.driver, Default::default()),
        admin,
        connections_max: server.connections_max.as_ref().and_then(|at| usize::try_from(at.value).ok()),
        in_flight_bytes: or(&server.in_flight_bytes, bounds::IN_FLIGHT_BYTES_DEFAULT),
        access_log: logging::access(log, context),
        log: logging::options(log, context),
        hidden_names: logging::hidden(log),
        cache: caching::start(&raw.cache, context),
    }
}
