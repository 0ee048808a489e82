//! Tables of routes of several sizes, and the request that is asked of them.

use ringway::h1::{HeadLimits, RequestParser};
use ringway::http::RequestHead;
use ringway::proxy::route::{Edits, Matcher, PathMatch, Route, Router};

pub const SIZES: [usize; 4] = [1, 100, 1_000, 10_000];
const HOSTS: usize = 10;
/// The host that is asked, and the prefix with most segments on it.
pub const HOST: &str = "api-0.example.com";
pub const DEEP: &str = "/v1/teams/search/tools/deep";
/// Below `DEEP`, and with it as many segments below nothing but the root.
pub const BELOW_DEEP: &str = "/v1/teams/search/tools/deep/completions";
pub const BELOW_ROOT: &str = "/v2/chat/completions/of/another/kind";

fn route(host: &str, path: &str) -> (Matcher, Route) {
    let matcher = Matcher { host: Some(host.into()), path: PathMatch::Prefix(path.into()), ..Matcher::default() };
    let route = Route {
        name: path.into(),
        upstream: 0,
        rewrite: None,
        request: Edits::default(),
        response: Edits::default(),
        body_bytes_max: 0,
        connect_ms: 0,
        read_ms: 0,
        cache: None,
        screen: Default::default(),
    };
    (matcher, route)
}

/// Host and prefix of route `index`: 2 to 5 segments, as long in every table.
pub fn filler(index: usize) -> (String, String) {
    let tail = ["", "/tools", "/tools/a", "/tools/a/b"][(index / HOSTS) % 4];
    (format!("api-{}.example.com", index % HOSTS), format!("/v1/team-{index:05}{tail}"))
}

/// `asked` and as many others as make `size` routes.
pub fn table(asked: Option<&str>, size: usize) -> Router {
    let mut routes: Vec<(Matcher, Route)> = asked.iter().map(|path| route(HOST, path)).collect();
    let others = (routes.len()..size).map(filler);
    routes.extend(others.map(|(host, path)| route(&host, &path)));
    assert_eq!(routes.len(), size);
    Router::compile(routes)
}

pub fn head() -> RequestHead {
    let mut head = RequestHead::default();
    let text = format!("GET {BELOW_DEEP} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let verdict = RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head);
    assert!(verdict.is_ok());
    head
}

/// Name, prefix of the route that is asked (if there is one), path that is asked.
pub const QUESTIONS: [(&str, Option<&str>, &str); 3] =
    [("hit deep", Some(DEEP), BELOW_DEEP), ("hit root", Some("/"), BELOW_ROOT), ("miss", None, BELOW_ROOT)];
