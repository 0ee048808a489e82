//! Speed of finding the route of a request among 1, 100, 1,000 and 10,000 routes.
//!
//! Goal: to show that the number of routes does not matter, only the depth of the prefixes. Tables are prefixes of 2 to
//! 5 segments over ten hosts. Asked are a deep prefix, a root that is reached after everything deeper has missed, a
//! path without a route, and every route of the table in turn: that last one pays for what leaves the caches, too.
//!
//! Non-goal: methods and fields of a matcher, compiling a table, a cold process.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use ringway::h1::{HeadLimits, RequestParser};
use ringway::http::RequestHead;
use ringway::proxy::route::{Edits, Matcher, PathMatch, Route, Router};

const SIZES: [usize; 4] = [1, 100, 1_000, 10_000];
const HOSTS: usize = 10;
/// The host that is asked, and the prefix with most segments on it.
const HOST: &str = "api-0.example.com";
const DEEP: &str = "/v1/teams/search/tools/deep";
/// Below `DEEP`, and with it as many segments below nothing but the root.
const BELOW_DEEP: &str = "/v1/teams/search/tools/deep/completions";
const BELOW_ROOT: &str = "/v2/chat/completions/of/another/kind";

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
    };
    (matcher, route)
}

/// Host and prefix of route `index`: 2 to 5 segments.
fn filler(index: usize) -> (String, String) {
    let tail = ["", "/tools", "/tools/a", "/tools/a/b"][(index / HOSTS) % 4];
    (format!("api-{}.example.com", index % HOSTS), format!("/v1/team-{index}{tail}"))
}

/// `asked` and as many others as make `size` routes.
fn table(asked: Option<&str>, size: usize) -> Router {
    let mut routes: Vec<(Matcher, Route)> = asked.iter().map(|path| route(HOST, path)).collect();
    let others = (routes.len()..size).map(filler);
    routes.extend(others.map(|(host, path)| route(&host, &path)));
    assert_eq!(routes.len(), size);
    Router::compile(routes)
}

fn head() -> RequestHead {
    let mut head = RequestHead::default();
    let text = format!("GET {BELOW_DEEP} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let verdict = RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head);
    assert!(verdict.is_ok());
    head
}

fn routing(criterion: &mut Criterion) {
    let head = head();
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("{size} routes"));
        for (name, asked, path, found) in [
            ("hit deep", Some(DEEP), BELOW_DEEP, Some(DEEP)),
            ("hit root", Some("/"), BELOW_ROOT, Some("/")),
            ("miss", None, BELOW_ROOT, None),
        ] {
            let router = table(asked, size);
            let name_found = router.find(HOST.as_bytes(), path.as_bytes(), &head).map(|r| &*r.name);
            assert_eq!(name_found, found, "{name}");
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let found = router.find(black_box(HOST.as_bytes()), black_box(path.as_bytes()), &head);
                    black_box(found.is_some())
                });
            });
        }
        let router = table(None, size);
        let asked: Vec<(String, String)> = (0..size).map(filler).collect();
        group.bench_function("all in turn", |bencher| {
            let mut turn = asked.iter().cycle();
            bencher.iter(|| {
                let (host, path) = turn.next().expect("one more, because the cycle has no end");
                black_box(router.find(host.as_bytes(), path.as_bytes(), &head).is_some())
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = routing
}
criterion_main!(benches);
