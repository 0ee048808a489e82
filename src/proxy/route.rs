//! Routes: which upstream a request goes to and how its head is changed on the way.
//!
//! Compiled once from the configuration. A look-up costs one hash of the host and one per path segment down from the
//! deepest prefix configured, whatever the number of routes. Pure: no I/O, no clock.

use ahash::AHashMap;
use std::sync::Arc;

use crate::http::{FieldId, RequestHead};

/// What a request must look like to take a route.
#[derive(Clone, Default)]
pub struct Matcher {
    /// Lower-case host without port; `*.example.com` matches one or more labels in front; `None` = any host.
    pub host: Option<Box<str>>,
    pub path: PathMatch,
    /// Empty = any method.
    pub methods: Vec<Box<str>>,
    /// All must be present with exactly this value; names in lower case.
    pub fields: Vec<(Box<str>, Box<str>)>,
}

/// The path part of a matcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// Exactly this path.
    Exact(Box<str>),
    /// This prefix: `/v1` covers `/v1` and `/v1/x` but not `/v1beta`; `/v1/` covers everything that begins so.
    Prefix(Box<str>),
}

impl Default for PathMatch {
    fn default() -> Self {
        Self::Prefix("/".into())
    }
}

/// Where a request goes and what happens to its head.
#[derive(Clone, Debug)]
pub struct Route {
    /// Name in logs and metrics.
    pub name: Arc<str>,
    /// Index into the service's upstreams.
    pub upstream: usize,
    pub rewrite: Option<Rewrite>,
    pub request: Edits,
    pub response: Edits,
    /// Bytes of a request body before 413.
    pub body_bytes_max: u64,
    /// Time-outs in milliseconds, already resolved from route or upstream.
    pub connect_ms: u64,
    pub read_ms: u64,
}

/// Replaces a prefix of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    pub strip: Box<str>,
    pub replace: Box<str>,
}

/// Changes of a head. Removal comes first, then `set`, then `add`.
#[derive(Clone, Default)]
pub struct Edits {
    /// The only value this field will have.
    pub set: Vec<(Box<str>, Box<str>)>,
    /// One more value.
    pub add: Vec<(Box<str>, Box<str>)>,
    /// Lower-case names; the names in `set` are removed implicitly.
    pub remove: Vec<Box<str>>,
}

/// Names only: values may be secrets.
fn names_of(fields: &[(Box<str>, Box<str>)]) -> Vec<&str> {
    fields.iter().map(|(name, _)| &**name).collect()
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, path, methods, fields } = self;
        let fields = names_of(fields);
        write!(f, "Matcher {{ host: {host:?}, path: {path:?}, methods: {methods:?}, fields: {fields:?} }}")
    }
}

impl std::fmt::Debug for Edits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { set, add, remove } = self;
        write!(f, "Edits {{ set: {:?}, add: {:?}, remove: {remove:?} }}", names_of(set), names_of(add))
    }
}

impl Edits {
    /// Whether a field of the incoming head is dropped by these edits.
    pub fn drops(&self, name: &[u8]) -> bool {
        self.remove.iter().any(|n| n.as_bytes().eq_ignore_ascii_case(name))
            || self.set.iter().any(|(n, _)| n.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether `set` gives this field a value of its own.
    pub fn sets(&self, name: &[u8]) -> bool {
        self.set.iter().any(|(n, _)| n.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The fields that these edits bring in.
    pub fn brings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.iter().chain(&self.add).map(|(n, v)| (&**n, &**v))
    }
}

impl Rewrite {
    /// The path after replacing, written to `out`. A path outside of the prefix stays as it is; the result begins with `/`.
    pub fn apply(&self, path: &[u8], out: &mut Vec<u8>) {
        let Some(rest) = path.strip_prefix(self.strip.as_bytes()) else {
            out.extend_from_slice(path);
            return;
        };
        let start = out.len();
        out.extend_from_slice(self.replace.as_bytes());
        let slashes = (out.len() > start && out.ends_with(b"/"), rest.starts_with(b"/"));
        match slashes {
            (true, true) => out.extend_from_slice(&rest[1..]),
            (false, false) if !rest.is_empty() || out.len() == start => {
                out.push(b'/');
                out.extend_from_slice(rest);
            }
            _ => out.extend_from_slice(rest),
        }
    }
}

/// All routes, compiled.
#[derive(Clone, Debug, Default)]
pub struct Router {
    routes: Vec<(Matcher, Route)>,
    hosts: AHashMap<Box<[u8]>, Paths>,
    /// Keyed by the suffix with its dot: `.example.com`.
    wildcards: AHashMap<Box<[u8]>, Paths>,
    any_host: Paths,
}

/// Routes of one host: path → indices in the order written.
#[derive(Clone, Debug, Default)]
struct Paths {
    exact: AHashMap<Box<[u8]>, Vec<usize>>,
    prefix: AHashMap<Box<[u8]>, Vec<usize>>,
    /// Bytes of the longest prefix: nothing longer is looked up.
    prefix_bytes_max: usize,
    /// Slashes in the prefix that has the most: bounds the look-ups per request.
    prefix_slashes_max: usize,
}

impl Router {
    /// Compiles routes. Where two match equally, the one written first wins.
    pub fn compile(routes: Vec<(Matcher, Route)>) -> Self {
        let mut router = Self::default();
        for (index, (matcher, _)) in routes.iter().enumerate() {
            let paths = match matcher.host.as_deref() {
                None => &mut router.any_host,
                Some(host) => match host.strip_prefix('*') {
                    Some(suffix) => router.wildcards.entry(suffix.as_bytes().into()).or_default(),
                    None => router.hosts.entry(host.as_bytes().into()).or_default(),
                },
            };
            paths.insert(&matcher.path, index);
        }
        router.routes = routes;
        router
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there is no route at all.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The route of a request. A named host goes before a wildcard (longest suffix first), that before any host;
    /// within a host an exact path goes before prefixes, the longest prefix before shorter ones. Where the most
    /// specific routes refuse the method or a field, less specific ones are asked.
    ///
    /// `authority` may carry a port; `path` has no query.
    pub fn find(&self, authority: &[u8], path: &[u8], head: &RequestHead) -> Option<&Route> {
        let mut lower = [0u8; 256];
        let host = host_lower(authority, &mut lower);
        if let Some(route) = self.hosts.get(host).and_then(|p| self.in_paths(p, path, head)) {
            return Some(route);
        }
        if !self.wildcards.is_empty() {
            for dot in memchr::memchr_iter(b'.', host) {
                let paths = host.get(dot..).and_then(|suffix| self.wildcards.get(suffix));
                if let Some(route) = paths.and_then(|p| self.in_paths(p, path, head)) {
                    return Some(route);
                }
            }
        }
        self.in_paths(&self.any_host, path, head)
    }

    fn in_paths(&self, paths: &Paths, path: &[u8], head: &RequestHead) -> Option<&Route> {
        if let Some(route) = paths.exact.get(path).and_then(|list| self.first(list, head)) {
            return Some(route);
        }
        if paths.prefix.is_empty() {
            return None;
        }
        // Boundaries are collected shallow to deep, then asked deep to shallow. 64 levels are more than any API has.
        let mut ends = [0usize; 64];
        let mut count = 0;
        let scan = &path[..path.len().min(paths.prefix_bytes_max + 1)];
        for slash in memchr::memchr_iter(b'/', scan).take(paths.prefix_slashes_max + 1) {
            for end in [slash, slash + 1] {
                if end > 0 && count < ends.len() {
                    ends[count] = end;
                    count += 1;
                }
            }
        }
        let whole = path.len() <= paths.prefix_bytes_max;
        let candidates = whole.then_some(path.len()).into_iter().chain(ends[..count].iter().rev().copied());
        for end in candidates {
            let found = path.get(..end).and_then(|p| paths.prefix.get(p));
            if let Some(route) = found.and_then(|list| self.first(list, head)) {
                return Some(route);
            }
        }
        None
    }

    fn first(&self, list: &[usize], head: &RequestHead) -> Option<&Route> {
        list.iter().filter_map(|i| self.routes.get(*i)).find(|(m, _)| m.accepts(head)).map(|(_, r)| r)
    }
}

impl Paths {
    fn insert(&mut self, path: &PathMatch, index: usize) {
        match path {
            PathMatch::Exact(path) => self.exact.entry(path.as_bytes().into()).or_default().push(index),
            PathMatch::Prefix(path) => {
                let bytes = path.as_bytes();
                self.prefix_bytes_max = self.prefix_bytes_max.max(bytes.len());
                let slashes = memchr::memchr_iter(b'/', bytes).count();
                self.prefix_slashes_max = self.prefix_slashes_max.max(slashes);
                self.prefix.entry(bytes.into()).or_default().push(index);
            }
        }
    }
}

impl Matcher {
    /// Whether method and fields fit; host and path were looked up already.
    fn accepts(&self, head: &RequestHead) -> bool {
        let method_fits = self.methods.is_empty() || self.methods.iter().any(|m| m.as_bytes() == head.method_text());
        method_fits && self.fields.iter().all(|(name, value)| has_field(head, name, value))
    }
}

fn has_field(head: &RequestHead, name: &str, value: &str) -> bool {
    let id = FieldId::of(name.as_bytes());
    head.fields().any(|f| {
        f.id == id
            && (id != FieldId::Other || f.name.eq_ignore_ascii_case(name.as_bytes()))
            && f.value == value.as_bytes()
    })
}

/// The host of an authority in lower case, without port and without the final dot; empty when longer than `lower`.
fn host_lower<'a>(authority: &[u8], lower: &'a mut [u8; 256]) -> &'a [u8] {
    let end = match authority.first() {
        Some(b'[') => memchr::memchr(b']', authority).map_or(authority.len(), |i| i + 1),
        _ => memchr::memchr(b':', authority).unwrap_or(authority.len()),
    };
    let host = &authority[..end];
    let host = host.strip_suffix(b".").unwrap_or(host);
    let Some(out) = lower.get_mut(..host.len()) else { return &[] };
    out.copy_from_slice(host);
    out.make_ascii_lowercase();
    out
}

/// Whether a path has a `.` or `..` segment, plain or percent-encoded: it would mean another resource to the origin
/// than to the router, so it is refused (clients resolve dot segments themselves, RFC 3986 §5.2.4).
pub fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(is_dot_segment)
}

fn is_dot_segment(segment: &[u8]) -> bool {
    // Cheap refusal first: nearly every segment is longer than `%2e%2e`, or begins with neither byte.
    if segment.len() > 6 || !matches!(segment.first(), Some(b'.' | b'%')) {
        return false;
    }
    let mut rest = segment;
    let mut dots = 0;
    while !rest.is_empty() {
        rest = match rest {
            [b'.', tail @ ..] | [b'%', b'2', b'e' | b'E', tail @ ..] => tail,
            _ => return false,
        };
        dots += 1;
    }
    dots <= 2
}
