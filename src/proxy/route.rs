//! Routes: which upstream a request goes to and how its head is changed on the way.
//!
//! Compiled once from the configuration. A look-up costs one hash of the host and one per path segment down from the
//! deepest prefix configured, whatever the number of routes. Pure: no I/O, no clock.

use ahash::AHashMap;
use std::sync::Arc;

use super::screen::Screen;
use crate::base::secret::Secret;
use crate::cache::policy::{CachePolicy, KeyPolicy};
use crate::http::{FieldId, RequestHead};

/// What a request must look like to take a route.
#[derive(Clone, Default)]
pub struct Matcher {
    /// Lower-case host without port; `*.example.com` matches one or more labels in front; `None` = any host.
    pub host: Option<Box<str>>,
    pub path: PathMatch,
    /// Empty = any method.
    pub methods: Vec<Box<str>>,
    /// All must be present with exactly this value; names in lower case. Values may come from the environment.
    pub fields: Vec<(Box<str>, Secret)>,
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
    /// `None` = nothing on this route is looked up or stored.
    pub cache: Option<Arc<CachePolicy>>,
    pub screen: Screen,
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
    pub set: Vec<(Box<str>, Secret)>,
    /// One more value.
    pub add: Vec<(Box<str>, Secret)>,
    /// Lower-case names; the names in `set` are removed implicitly.
    pub remove: Vec<Box<str>>,
}

/// Names only: values may be secrets.
fn names_of(fields: &[(Box<str>, Secret)]) -> Vec<&str> {
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
    pub fn brings(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.set.iter().chain(&self.add).map(|(n, v)| (&**n, v))
    }
}

impl Rewrite {
    /// The path after replacing, written to `out`. A path outside of the prefix stays as it is; the result begins with
    /// exactly one `/` (two would make it look like an authority, RFC 3986 §4.2).
    pub fn apply(&self, path: &[u8], out: &mut Vec<u8>) {
        let Some(rest) = path.strip_prefix(self.strip.as_bytes()) else {
            out.extend_from_slice(path);
            return;
        };
        let replace = self.replace.strip_suffix('/').unwrap_or(&self.replace);
        let slashes = rest.iter().take_while(|b| **b == b'/').count();
        // Where the replacement is nothing, the rest's own slashes would lead; else they are the client's business.
        let rest = rest.get(if replace.is_empty() { slashes } else { slashes.min(1) }..).unwrap_or_default();
        out.extend_from_slice(replace.as_bytes());
        let ends_in_slash = slashes > 0 || self.replace.ends_with('/') || self.strip.ends_with('/');
        if !rest.is_empty() || ends_in_slash || replace.is_empty() {
            out.push(b'/');
        }
        out.extend_from_slice(rest);
    }
}

/// All routes, compiled.
#[derive(Clone, Debug, Default)]
pub struct Router {
    routes: Vec<(Matcher, Arc<Route>)>,
    hosts: AHashMap<Box<[u8]>, Paths>,
    /// Keyed by the suffix with its dot: `.example.com`.
    wildcards: AHashMap<Box<[u8]>, Paths>,
    any_host: Paths,
    /// What makes the keys of the cached routes, each once.
    key_policies: Vec<KeyPolicy>,
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
        for policy in routes.iter().filter_map(|(_, route)| route.cache.as_deref()) {
            if !router.key_policies.contains(&policy.key) {
                router.key_policies.push(policy.key.clone());
            }
        }
        router.routes = routes.into_iter().map(|(matcher, route)| (matcher, Arc::new(route))).collect();
        router
    }

    /// What makes the keys of the cached routes, each once; empty = nothing is cached.
    pub fn key_policies(&self) -> &[KeyPolicy] {
        &self.key_policies
    }

    /// All routes, in the order written.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter().map(|(_, route)| route)
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
    pub fn find(&self, authority: &[u8], path: &[u8], head: &RequestHead) -> Option<&Arc<Route>> {
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

    fn in_paths(&self, paths: &Paths, path: &[u8], head: &RequestHead) -> Option<&Arc<Route>> {
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

    fn first(&self, list: &[usize], head: &RequestHead) -> Option<&Arc<Route>> {
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

fn has_field(head: &RequestHead, name: &str, value: &Secret) -> bool {
    let id = FieldId::of(name.as_bytes());
    head.fields().any(|f| {
        f.id == id && (id != FieldId::Other || f.name.eq_ignore_ascii_case(name.as_bytes())) && value.is(f.value)
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

/// Whether a path has a `.` or `..` segment, plain or percent-encoded, also between encoded slashes or backslashes or
/// before a `;`: it could mean another resource to the origin than to the router, so it is refused (clients resolve dot
/// segments themselves, RFC 3986 §5.2.4).
pub fn has_dot_segment(path: &[u8]) -> bool {
    // Nearly every path has neither a dot behind a slash nor anything that could stand for one.
    let suspicious = memchr::memchr2(b'%', b'\\', path).is_some() || memchr::memmem::find(path, b"/.").is_some();
    suspicious && decoded(path).split(|b| *b == b'/').any(is_dot_segment)
}

fn is_dot_segment(segment: &[u8]) -> bool {
    let name = segment.split(|b| *b == b';').next().unwrap_or_default();
    matches!(name, b"." | b"..")
}

/// The path as a careless reader sees it: dots and slashes decoded, backslashes turned.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    loop {
        rest = match rest {
            [] => return out,
            [b'%', b'2', b'e' | b'E', tail @ ..] => push(&mut out, b'.', tail),
            [b'%', b'2', b'f' | b'F', tail @ ..] | [b'%', b'5', b'c' | b'C', tail @ ..] | [b'\\', tail @ ..] => {
                push(&mut out, b'/', tail)
            }
            [byte, tail @ ..] => push(&mut out, *byte, tail),
        };
    }
}

fn push<'a>(out: &mut Vec<u8>, byte: u8, tail: &'a [u8]) -> &'a [u8] {
    out.push(byte);
    tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::testing::request_head as head;

    fn route(name: &str) -> Route {
        Route {
            name: name.into(),
            upstream: 0,
            rewrite: None,
            request: Edits::default(),
            response: Edits::default(),
            body_bytes_max: 0,
            connect_ms: 0,
            read_ms: 0,
            cache: None,
            screen: Screen::default(),
        }
    }

    fn prefix(host: Option<&str>, path: &str, name: &str) -> (Matcher, Route) {
        let path = PathMatch::Prefix(path.into());
        (Matcher { host: host.map(Into::into), path, ..Matcher::default() }, route(name))
    }

    fn found(router: &Router, host: &str, path: &str) -> Option<String> {
        let head = head("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        router.find(host.as_bytes(), path.as_bytes(), &head).map(|r| r.name.to_string())
    }

    #[test]
    fn the_longest_prefix_on_a_segment_boundary_wins() {
        let router = Router::compile(vec![
            prefix(None, "/", "root"),
            prefix(None, "/v1", "v1"),
            prefix(None, "/v1/chat/completions", "chat"),
            prefix(None, "/files/", "files"),
            (Matcher { path: PathMatch::Exact("/v1/models".into()), ..Matcher::default() }, route("models")),
        ]);
        for (path, name) in [
            ("/", "root"),
            ("/v1", "v1"),
            ("/v1/", "v1"),
            ("/v1beta", "root"),
            ("/v1/chat", "v1"),
            ("/v1/chat/completions", "chat"),
            ("/v1/chat/completions/x/y/z", "chat"),
            ("/v1/chat/completionsx", "v1"),
            ("/v1/models", "models"),
            ("/v1/models/x", "v1"),
            ("/files", "root"),
            ("/files/", "files"),
            ("/files/a", "files"),
        ] {
            assert_eq!(found(&router, "h", path).as_deref(), Some(name), "{path}");
        }
    }

    #[test]
    fn a_named_host_goes_before_a_wildcard_and_that_before_any() {
        let router = Router::compile(vec![
            prefix(Some("*.example.com"), "/", "wild"),
            prefix(Some("*.b.example.com"), "/", "deeper"),
            prefix(Some("a.example.com"), "/only", "named"),
            prefix(None, "/any", "any"),
        ]);
        for (host, path, name) in [
            ("a.example.com", "/only/x", Some("named")),
            ("A.Example.Com:8080", "/only", Some("named")),
            ("a.example.com.", "/only", Some("named")),
            ("a.example.com", "/else", Some("wild")),
            ("x.y.example.com", "/", Some("wild")),
            ("x.b.example.com", "/", Some("deeper")),
            ("example.com", "/", None),
            ("other", "/any", Some("any")),
            ("[::1]:80", "/any", Some("any")),
        ] {
            assert_eq!(found(&router, host, path).as_deref(), name, "{host}{path}");
        }
    }

    #[test]
    fn a_route_that_refuses_the_method_or_a_field_leaves_the_request_to_a_less_specific_one() {
        let mut picky = prefix(None, "/v1", "picky");
        picky.0.methods = vec!["POST".into()];
        picky.0.fields = vec![("x-env".into(), "blue".into())];
        let router = Router::compile(vec![picky, prefix(None, "/", "root")]);
        let name = |text: &str| router.find(b"h", b"/v1/x", &head(text)).map(|r| r.name.to_string());
        assert_eq!(name("POST / HTTP/1.1\r\nX-Env: blue\r\n\r\n").as_deref(), Some("picky"));
        assert_eq!(name("GET / HTTP/1.1\r\nX-Env: blue\r\n\r\n").as_deref(), Some("root"));
        assert_eq!(name("POST / HTTP/1.1\r\nX-Env: green\r\n\r\n").as_deref(), Some("root"));
    }

    #[test]
    fn rewriting_keeps_exactly_one_leading_slash() {
        for (strip, replace, path, expected) in [
            ("/v1", "/v2", "/v1/models", "/v2/models"),
            ("/v1", "/v2", "/v1", "/v2"),
            ("/v1", "", "/v1/models", "/models"),
            ("/v1", "", "/v1", "/"),
            ("/v1", "/", "/v1/models", "/models"),
            ("/v1/", "/", "/v1/models", "/models"),
            ("/v1", "/v2/", "/v1/models", "/v2/models"),
            ("/v1", "", "/v1//evil/x", "/evil/x"),
            ("/v1", "/v2", "/other", "/other"),
        ] {
            let mut out = Vec::new();
            Rewrite { strip: strip.into(), replace: replace.into() }.apply(path.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{strip} -> {replace}: {path}");
        }
    }

    #[test]
    fn dot_segments_are_found_in_every_disguise_and_plain_names_are_not() {
        for path in [
            "/a/..",
            "/../a",
            "/a/./b",
            "/%2e%2E/a",
            "/v1/..%2fadmin",
            "/v1/..;/x",
            "/v1/..;a=b/x",
            "/a\\..\\b",
            "/a/.%2e",
        ] {
            assert!(has_dot_segment(path.as_bytes()), "{path}");
        }
        for path in ["/", "/a.b/c", "/...", "/a..b", "/.well-known/x", "/a%2Fb", "/%2e%2e%2e"] {
            assert!(!has_dot_segment(path.as_bytes()), "{path}");
        }
    }
}
