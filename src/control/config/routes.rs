//! Routes: from keys to matchers, rewrites and edits, with the upstream found by its name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::caching;
use super::calling::{self, House};
use super::fields::{self, Change, Side, Source};
use super::firewall::Guards;
use super::limiting::Limiting;
use super::problems::{At, Fault, Place};
use super::raw::{Pair, RawEdits, RawRoute, RawUpstream};
use super::reader::did_you_mean;
use super::resolve::{Context, items, or, refuse_twice};
use super::values::quoted;
use crate::base::secret::Secret;
use crate::proxy::route::{Edits, Matcher, PathMatch, Rewrite, Route};
use crate::proxy::screen::Screen;
use crate::upstream::UpstreamOptions;

/// What holds for all routes.
pub(super) struct Terms<'a> {
    /// What `[server]` says of addresses and callers.
    pub house: &'a House,
    pub limiting: &'a Limiting<'a>,
    pub guards: &'a Guards,
    /// Bytes of a body, and of the cache.
    pub bytes: (u64, u64),
}

/// All routes in the order written. A route with a problem may be left out or be wrong; the problem is noted.
pub(super) fn resolve(
    raw: &[RawRoute],
    raw_upstreams: &[RawUpstream],
    upstreams: &[UpstreamOptions],
    terms: &Terms<'_>,
    context: &Context<'_>,
) -> Vec<(Matcher, Route)> {
    let (body_bytes, cache_bytes) = terms.bytes;
    let names = raw.iter().filter_map(|r| r.name.as_ref()).map(|name| (name.as_str(), &name.place));
    refuse_twice("route", names, context.problems);
    let mut used = vec![false; upstreams.len()];
    let mut routes = Vec::with_capacity(raw.len());
    let mut cached = Vec::new();
    for route in raw {
        let matcher = matcher(route, context);
        let rewrite = rewrite(route, &matcher.path, context);
        let request = edits(&route.request, Side::Request, context);
        let response = edits(&route.response, Side::Response, context);
        let name = name(route, &matcher);
        let cache = route.cache.as_ref().map(|raw| caching::policy(raw, route, &name, cache_bytes, context));
        cached.extend(route.cache.as_ref().map(|raw| (route, &raw.place, Arc::clone(&name))));
        let limits = terms.limiting.of_route(route, context);
        let Some(index) = upstream(route, upstreams, context) else { continue };
        let Some(options) = upstreams.get(index) else { continue };
        if let Some(used) = used.get_mut(index) {
            *used = true;
        }
        let source = format!("{} {:?} {:?}", options.name, options.host, rewrite);
        let compiled = Route {
            name,
            upstream: index,
            rewrite,
            request,
            response,
            body_bytes_max: or(&route.body_max, body_bytes),
            connect_ms: or(&route.connect_timeout, options.connect_ms),
            read_ms: or(&route.read_timeout, options.read_ms),
            cache: cache.map(|policy| Arc::new(policy.stands_on(&source))),
            screen: Screen {
                limits,
                waf: terms.guards.of(route, context),
                ..calling::screen(route, terms.house, context)
            },
        };
        routes.push((matcher, compiled));
    }
    caching::refuse_same_name(cached, context.problems);
    warn_unused(raw_upstreams, &used, context);
    warn_unreachable(raw, context);
    routes
}

/// The name written, or one made of host and path.
fn name(raw: &RawRoute, matcher: &Matcher) -> Arc<str> {
    let path = match &matcher.path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) => path,
    };
    match &raw.name {
        Some(name) => name.as_str().into(),
        None => format!("{}{path}", matcher.host.as_deref().unwrap_or_default()).into(),
    }
}

fn upstream(raw: &RawRoute, upstreams: &[UpstreamOptions], context: &Context<'_>) -> Option<usize> {
    let wanted = raw.upstream.as_ref()?;
    let found = upstreams.iter().position(|u| *u.name == **wanted);
    // A nameless upstream is an error of its own; it may be the one that is meant.
    if found.is_none() && upstreams.iter().all(|u| !u.name.is_empty()) {
        let known: Vec<&str> = upstreams.iter().map(|u| &*u.name).collect();
        let what = format!("there is no upstream {}", quoted(wanted));
        context.problems.error(&wanted.place, what, did_you_mean(wanted, &known));
    }
    found
}

fn matcher(raw: &RawRoute, context: &Context<'_>) -> Matcher {
    if let (Some(_), Some(exact)) = (&raw.path, &raw.exact) {
        context.problems.error(&exact.place, "`path` is there too", "write `path` (a prefix) or `exact`, not both");
    }
    if let Some(methods) = raw.methods.as_ref().filter(|m| m.is_empty() && !context.problems.any_under(&m.place.path)) {
        context.problems.error(&methods.place, "is empty", "leave it out to serve any method");
    }
    let path = match (&raw.exact, &raw.path) {
        (Some(exact), _) => PathMatch::Exact(exact.as_str().into()),
        (None, Some(path)) => PathMatch::Prefix(path.as_str().into()),
        (None, None) => PathMatch::default(),
    };
    let fields = pairs(&raw.headers, context).into_iter().map(|(name, value)| (lower(&name), value)).collect();
    Matcher {
        host: raw.host.as_ref().map(|host| host.as_str().into()),
        path,
        methods: items(&raw.methods).iter().map(|method| method.as_str().into()).collect(),
        fields,
    }
}

fn rewrite(raw: &RawRoute, path: &PathMatch, context: &Context<'_>) -> Option<Rewrite> {
    if raw.strip_prefix.is_none() && raw.replace_prefix.is_none() {
        return None;
    }
    let (PathMatch::Exact(matched) | PathMatch::Prefix(matched)) = path;
    let strip = match &raw.strip_prefix {
        None => matched,
        Some(strip) => {
            let refused = |key| context.problems.any_under(&format!("{}.{key}", raw.place.path));
            if !covers(strip, matched) && !refused("path") && !refused("exact") {
                let what = format!("is not a prefix of the route's path {}", quoted(matched));
                context.problems.error(&strip.place, what, "write the route's path or whole segments of its beginning");
            }
            strip.as_str()
        }
    };
    let replace = raw.replace_prefix.as_ref().map_or("", |replace| replace.as_str());
    Some(Rewrite { strip: strip.into(), replace: replace.into() })
}

/// Whether `prefix` is made of whole segments from the beginning of `path`.
fn covers(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

fn edits(raw: &RawEdits, side: Side, context: &Context<'_>) -> Edits {
    for (list, change) in [(&raw.set, Change::Set), (&raw.add, Change::Add)] {
        for (name, _) in list {
            context.problems.keep(&name.place, fields::may_edit(name, side, change));
        }
    }
    let mut remove = Vec::new();
    for name in items(&raw.remove) {
        let checked = fields::field_name(name).and_then(|()| fields::may_edit(name, side, Change::Remove));
        remove.extend(context.problems.keep(&name.place, checked).map(|()| lower(name)));
    }
    Edits { set: pairs(&raw.set, context), add: pairs(&raw.add, context), remove }
}

fn lower(name: &str) -> Box<str> {
    name.to_ascii_lowercase().into()
}

/// Names and resolved values of a table of fields; a name that differs from another one by case only is refused.
fn pairs(raw: &[Pair], context: &Context<'_>) -> Vec<(Box<str>, Secret)> {
    let mut seen: BTreeMap<Box<str>, ()> = BTreeMap::new();
    let mut pairs = Vec::with_capacity(raw.len());
    for (name, value) in raw {
        context.problems.keep(&name.place, fields::field_name(name));
        if seen.insert(lower(name), ()).is_some() {
            context.problems.error(&name.place, "is listed twice", "names of headers are equal in any case");
        }
        let value = context.problems.keep(&value.place, reveal(value, context));
        pairs.extend(value.map(|value| (name.as_str().into(), value)));
    }
    pairs
}

/// The value of a header, wherever it stands.
fn reveal(value: &At<Secret>, context: &Context<'_>) -> Result<Secret, Fault> {
    let value = resolved(value, context)?;
    fields::field_value(&value).map(|()| value)
}

/// The value itself, wherever it stands; empty where it stands in a file and none may be read.
pub(super) fn resolved(value: &At<Secret>, context: &Context<'_>) -> Result<Secret, Fault> {
    let value = match fields::source(value, context.base_dir) {
        Source::Literal(value) => value.clone(),
        Source::Environment(name) => fields::from_environment(name, context.env)?,
        Source::File(path) if context.reads(&path) => fields::from_file(&path)?,
        Source::File(_) => Secret::default(),
    };
    Ok(value)
}

fn warn_unused(raw: &[RawUpstream], used: &[bool], context: &Context<'_>) {
    let unused = raw.iter().zip(used).filter(|(_, used)| !**used).filter_map(|(upstream, _)| upstream.name.as_ref());
    for name in unused {
        context.problems.warn(&name.place, format!("no route leads to the upstream {:?}", name.value), "");
    }
}

/// The headers that a route asks for.
type Headers<'r> = Vec<(Box<str>, &'r Secret)>;

/// Of two routes that match alike, the second is never taken.
fn warn_unreachable(raw: &[RawRoute], context: &Context<'_>) {
    let mut seen: BTreeMap<String, Vec<(Headers<'_>, &Place)>> = BTreeMap::new();
    for route in raw {
        let mut methods: Vec<&str> = items(&route.methods).iter().map(|m| m.as_str()).collect();
        methods.sort_unstable();
        let mut headers: Headers<'_> = route.headers.iter().map(|(n, v)| (lower(n), &v.value)).collect();
        headers.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
        let path = text(&route.path).or_else(|| route.exact.is_none().then(|| "/".to_owned()));
        let key = format!("{:?}", (text(&route.host), path, text(&route.exact), methods));
        let alike = seen.entry(key).or_default();
        if let Some((_, first)) = alike.iter().find(|(other, _)| *other == headers) {
            let what = format!("is never taken: {} matches the same requests and comes first", first.path);
            context.problems.warn(&route.place, what, "remove one of them");
            continue;
        }
        alike.push((headers, &route.place));
    }
}
