//! The cache's keys: what is said about each mistake, what the defaults are, what an accepted table means.

use std::sync::atomic::{AtomicU64, Ordering};

use super::errors::check_all;
use super::*;
use crate::bounds;
use crate::cache::CachePolicy;
use crate::cache::counters::RouteCounters;
use crate::cache::policy::{Authorization, BodyKey, Origin, QueryKey, SetCookie, Unwanted};
use crate::http::RequestHead;
use crate::plan::CacheStart;

/// The policy of the only route, whose `[route.cache]` has these lines.
fn policy(lines: &str) -> Arc<CachePolicy> {
    policy_of(&load_text(&with("route", &format!("[route.cache]\n{lines}"))).unwrap_or_else(|e| panic!("{e}")))
}

fn policy_of(loaded: &Loaded) -> Arc<CachePolicy> {
    let route = loaded.plan.service.router.find(b"h", b"/", &RequestHead::default()).unwrap();
    route.cache.clone().unwrap()
}

fn warnings(section: &str, extra: &str) -> Vec<String> {
    load_text(&with(section, extra)).unwrap_or_else(|e| panic!("{e}")).warnings
}

#[test]
fn the_process_wide_table() {
    check_all(&[
        ("server", "[cache]\nmemory = \"64KiB\"", &["3:10: cache.memory: is too small; write at least 1MiB"]),
        ("server", "[cache]\nmemroy = 1", &["3:1: cache.memroy: is not a known key; did you mean `memory`?"]),
        ("server", "[[cache]]", &["2:1: cache: is a list, but must be a table; write [cache], with single brackets"]),
        ("server", "[cache]\nsnapshot = \"\"", &["3:12: cache.snapshot: is empty; write the path of a file"]),
        (
            "server",
            "[cache]\nsnapshot_interval = \"10ms\"",
            &["3:21: cache.snapshot_interval: is too short; write at least 1s"],
        ),
        ("server", "[cache]\nsnapshot_interval = 5", &["3:21: cache.snapshot_interval: is a whole number, but must"]),
        (
            "server",
            "[cache]\nhook_secret = \"short\"",
            &["3:15: cache.hook_secret: is shorter than 16 bytes; make one with: openssl rand -hex 32"],
        ),
        (
            "server",
            "[cache]\nhook_secret = \"env:NOPE\"",
            &["3:15: cache.hook_secret: the environment variable \"NOPE\" is not set; set it before the start"],
        ),
        ("server", "[cache]\nhook_secret = \"env:KEY\"", &["3:15: cache.hook_secret: is shorter than 16 bytes; "]),
        ("server", "[cache]\nhook_secret = \"file:no\"", &["3:15: cache.hook_secret: cannot read no: No such file"]),
        ("server", "[cache]\nhook_window = \"25h\"", &["3:15: cache.hook_window: is too long; write at most 1d"]),
        ("server", "[cache]\nhook_window = \"0s\"", &["3:15: cache.hook_window: is too short; write at least 1s"]),
    ]);
}

#[test]
fn parts_of_the_key() {
    check_all(&[
        (
            "route",
            "cache = true",
            &["12:9: route[0].cache: is true or false, but must be a table; write [route.cache]"],
        ),
        ("route", "[route.cache]\nkey = []", &["13:7: route[0].cache.key: is empty; leave it out for scheme, host"]),
        (
            "route",
            "[route.cache]\nkey = [\"caller\", \"hots\", \"header:x-api-key\"]\nquery = \"sorted\"",
            &[
                "13:18: route[0].cache.key[1]: \"hots\" is not a part of a key; did you mean `host`?",
                "13:26: route[0].cache.key[2]: \"x-api-key\" holds a secret of the caller; write \"caller\"",
            ],
        ),
        (
            "route",
            "[route.cache]\nkey = [\"caller\", \"path\", \"header:A\", \"path\", \"header:a\"]",
            &[
                "13:38: route[0].cache.key[3]: is listed twice; name each part once",
                "13:46: route[0].cache.key[4]: is listed twice; name each part once",
            ],
        ),
        (
            "route",
            "[route.cache]\npost = true\nkey = [\"caller\", \"body\", \"body-json\"]",
            &["14:26: route[0].cache.key[2]: \"body\" is there too; keep one of \"body\" and \"body-json\""],
        ),
        (
            "route",
            "[route.cache]\npost = true\nkey = [\"path\", \"caller\"]",
            &["14:7: route[0].cache.key: a POST is told apart by its body; add \"body-json\" or \"body\" to key"],
        ),
        (
            "route",
            "[route.cache]\nauthorization = \"shared\"\nkey = [\"path\", \"caller\"]",
            &[
                "14:16: route[0].cache.key[1]: authorization = \"shared\" gives every caller the same answer; remove \"caller\"",
            ],
        ),
        (
            "route",
            "[route.cache]\nauthorization = \"own\"\nkey = [\"path\"]",
            &["14:7: route[0].cache.key: authorization = \"own\" tells callers apart, but this key does not; add"],
        ),
    ]);
}

#[test]
fn query_and_body() {
    check_all(&[
        (
            "route",
            "[route.cache]\nquery_only = [\"a\"]\nquery_except = [\"b\"]",
            &["14:16: route[0].cache.query_except: `query_only` is there too; keep one of them"],
        ),
        (
            "route",
            "[route.cache]\nquery = \"whole\"\nquery_only = [\"a\"]",
            &["13:9: route[0].cache.query: the whole query is never looked at beside `query_only` or `query_except`; "],
        ),
        (
            "route",
            "[route.cache]\nquery = \"sort\"",
            &["13:9: route[0].cache.query: \"sort\" is not a known value; did"],
        ),
        (
            "route",
            "[route.cache]\nkey = [\"path\", \"caller\"]\nquery = \"sorted\"\nquery_except = [\"b\"]",
            &[
                "14:9: route[0].cache.query: the key has no query; add \"query\" to key, or remove this",
                "15:16: route[0].cache.query_except: the key has no query; add \"query\" to key, or remove this",
            ],
        ),
        (
            "route",
            "[route.cache]\nquery_only = []",
            &["13:14: route[0].cache.query_only: is empty; leave \"query\" out of key"],
        ),
        (
            "route",
            "[route.cache]\nquery_except = [\"a=1\"]",
            &["13:17: route[0].cache.query_except[0]: \"a=1\" is not the name of a query parameter; write"],
        ),
        (
            "route",
            "[route.cache]\nbody_except = [\"user\"]",
            &["13:15: route[0].cache.body_except: members are left out of a body that is read as JSON only; add"],
        ),
        (
            "route",
            "[route.cache]\npost = true\nkey = [\"caller\", \"body\"]\nbody_except = [\"\"]",
            &[
                "15:15: route[0].cache.body_except: members are left out of a body that is read as JSON only; add",
                "15:16: route[0].cache.body_except[0]: is empty; write the name of a member of the body",
            ],
        ),
        ("route", "[route.cache]\nbody_max = \"65MiB\"", &["13:12: route[0].cache.body_max: is too large; write at"]),
        ("route", "[route.cache]\npost = \"yes\"", &["13:8: route[0].cache.post: is a string, but must be true or"]),
    ]);
}

#[test]
fn lifetimes_and_sizes() {
    check_all(&[
        (
            "route",
            "[route.cache]\norigin = \"override\"",
            &[
                "13:10: route[0].cache.origin: overrides what the origin says, but nothing says how long answers live; add",
            ],
        ),
        (
            "route",
            "[route.cache]\norigin = \"override\"\n[route.cache.ttl]\n206 = \"1s\"\n700 = \"1s\"\n200 = \"5\"\nany = 5\n404 = \"3651d\"",
            &[
                "15:1: route[0].cache.ttl.206: an answer with status 206 is never stored by itself; leave it out",
                "16:1: route[0].cache.ttl.700: \"700\" is not a status; write a status from 200 to 599, or any",
                "17:7: route[0].cache.ttl.200: \"5\" is not a duration: it has no unit; write",
                "18:7: route[0].cache.ttl.any: is a whole number, but must be a string; write it in quotes",
                "19:7: route[0].cache.ttl.404: is too long; write at most 3650d",
            ],
        ),
        ("route", "[route.cache]\nttl = \"1h\"", &["13:7: route[0].cache.ttl: is a string, but must be a table of"]),
        ("route", "[route.cache]\njitter = 100", &["13:10: route[0].cache.jitter: 100 is out of range; write a whole"]),
        (
            "route",
            "[route.cache]\nobject_max = \"65MiB\"",
            &[
                "13:14: route[0].cache.object_max: is more than a quarter of the cache's memory (256MiB); write at most 64MiB",
            ],
        ),
        (
            "route",
            "[route.cache]\nobject_max = \"300KiB\"\n[cache]\nmemory = \"1MiB\"",
            &[
                "13:14: route[0].cache.object_max: is more than a quarter of the cache's memory (1MiB); write at most 256KiB",
            ],
        ),
        ("route", "[route.cache]\nmin_uses = 0", &["13:12: route[0].cache.min_uses: 0 is out of range; write a whole"]),
        ("route", "[route.cache]\nmin_uses = 256", &["13:12: route[0].cache.min_uses: 256 is out of range; write"]),
        ("route", "[route.cache]\nrefresh_ahead = 91", &["13:17: route[0].cache.refresh_ahead: 91 is out of range; "]),
        ("route", "[route.cache]\nwaiters = 0", &["13:11: route[0].cache.waiters: 0 is out of range; write a whole"]),
        (
            "route",
            "[route.cache]\nwait = \"0s\"",
            &["13:8: route[0].cache.wait: is zero; a time-out cannot be switched"],
        ),
        ("route", "[route.cache]\nhit_for_miss = \"0s\"", &["13:16: route[0].cache.hit_for_miss: is too short; write"]),
        (
            "route",
            "[route.cache]\nstale_if_error = \"1\"\nstale_while_revalidate = \"4000d\"",
            &[
                "13:18: route[0].cache.stale_if_error: \"1\" is not a duration: it has no unit; write",
                "14:26: route[0].cache.stale_while_revalidate: is too long; write at most 3650d",
            ],
        ),
    ]);
}

#[test]
fn words_and_names() {
    check_all(&[
        ("route", "[route.cache]\nkeys = []", &["13:1: route[0].cache.keys: is not a known key; did you mean `key`?"]),
        (
            "route",
            "[route.cache]\norigin = \"ignore\"",
            &["13:10: route[0].cache.origin: \"ignore\" is not a known value"],
        ),
        ("route", "[route.cache]\nauthorization = \"all\"", &["13:17: route[0].cache.authorization: \"all\" is not a"]),
        (
            "route",
            "[route.cache]\nset_cookie = \"store\"",
            &["13:14: route[0].cache.set_cookie: \"store\" is not a known"],
        ),
        (
            "route",
            "[route.cache]\nunwanted = \"go\"",
            &["13:12: route[0].cache.unwanted: \"go\" is not a known value; "],
        ),
        (
            "route",
            "[route.cache]\nbypass_headers = [\"a b\"]\nbypass_query = [\"\"]",
            &[
                "13:19: route[0].cache.bypass_headers[0]: \"a b\" is not a header name; write letters",
                "14:17: route[0].cache.bypass_query[0]: \"\" is not the name of a query parameter; ",
            ],
        ),
        (
            "route",
            "[route.cache]\nignore_client_no_cache = \" \"\nversion = \"a b\"",
            &[
                "13:26: route[0].cache.ignore_client_no_cache: is empty; write why, such as",
                "14:11: route[0].cache.version: \"a b\" is not a name; write 1 to 64 letters",
            ],
        ),
        (
            "route",
            "[route.cache]\nignore_client_no_cache = true",
            &["13:26: route[0].cache.ignore_client_no_cache: is true"],
        ),
        (
            "route",
            "methods = [\"GET\"]\n[route.cache]\n[[route]]\nupstream = \"api\"\n[route.cache]\n[[route]]\nname = \"/\"\nhost = \"a\"\n\
             upstream = \"api\"\n[route.cache]",
            &[
                "16:1: route[1].cache: another route with a cache has the name \"/\", which is a part of keys; give each",
                "21:1: route[2].cache: another route with a cache has the name \"/\", which is a part of keys; give each",
            ],
        ),
    ]);
}

#[test]
fn what_is_odd_but_works_is_a_warning() {
    for (section, extra, expected) in [
        ("server", "[cache]", "c.toml:2:1: cache: has no effect: no route has a cache; add [route.cache]"),
        (
            "route",
            "[route.cache]\n[cache]\nsnapshot_interval = \"1h\"",
            "c.toml:14:21: cache.snapshot_interval: has no effect: there is no `snapshot`",
        ),
        (
            "route",
            "[route.cache]\n[cache]\nhook_window = \"1h\"",
            "c.toml:14:15: cache.hook_window: has no effect: there is no `hook_secret`",
        ),
        (
            "route",
            "methods = [\"POST\", \"PUT\"]\n[route.cache]",
            "c.toml:13:1: route[0].cache: is never used: the route's `methods` have none that is cached; add post = true",
        ),
        (
            "route",
            "methods = [\"PUT\"]\n[route.cache]\npost = true",
            "c.toml:13:1: route[0].cache: is never used: the route's `methods` have none that is cached; add GET",
        ),
        (
            "route",
            "[route.cache]\nauthorization = \"shared\"",
            "c.toml:13:17: route[0].cache.authorization: an answer to one caller is given to all callers, whatever",
        ),
        ("route", "[route.cache]\nkey = [\"path\"]", "c.toml:13:7: route[0].cache.key: the key has no \"caller\""),
        (
            "route",
            "[route.cache]\nkey = [\"caller\", \"body\"]",
            "c.toml:13:18: route[0].cache.key[1]: counts for GET with a body only: POST goes past the cache",
        ),
        (
            "route",
            "[route.cache]\nbody_max = 9",
            "c.toml:13:12: route[0].cache.body_max: has no effect: the key has no",
        ),
    ] {
        let shown = warnings(section, extra);
        assert_eq!(shown.len(), 1, "{extra}: {shown:?}");
        assert!(shown[0].starts_with(expected), "{extra}: {shown:?}");
    }
    let off = "admin = \"off\"\n[cache]\nhook_secret = \"0123456789abcdef\"";
    assert!(warnings("server", off)[1].contains("cache.hook_secret: has no effect: POST /hooks/purge is served by"));
    assert!(warnings("route", "methods = [\"POST\"]\n[route.cache]\npost = true").is_empty());
    assert!(warnings("route", "[route.cache]").is_empty());
}

#[test]
fn without_the_table_nothing_is_cached_and_an_empty_one_is_plain() {
    let loaded = load_text(&with("", "")).unwrap();
    let route = loaded.plan.service.router.find(b"h", b"/", &RequestHead::default()).unwrap();
    assert!(route.cache.is_none() && loaded.plan.purge_hook.is_none());
    assert_eq!(loaded.plan.start.cache, CacheStart::default());
    assert_eq!((CacheStart::default().memory_bytes, CacheStart::default().snapshot_interval_ms), (256 << 20, 300_000));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let plain = CachePolicy::plain("/".into(), Arc::new(AtomicU64::new(0)), RouteCounters::new(cores));
    let empty = policy("");
    assert_ne!(empty.ground, 0);
    assert_eq!(format!("{empty:?}"), format!("{:?}", CachePolicy { ground: empty.ground, ..plain }));
}

#[test]
fn the_process_wide_part_is_taken_over_and_its_secret_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hook"), "open sesame open sesame\n").unwrap();
    let text = with(
        "route",
        "[route.cache]\n[cache]\nmemory = \"1GiB\"\nsnapshot = \"a/b\"\nsnapshot_interval = \"off\"\n\
         hook_secret = \"file:hook\"\nhook_window = \"1m\"",
    );
    let loaded = load_in(folder.path(), &text).unwrap();
    let start = &loaded.plan.start.cache;
    assert_eq!((start.memory_bytes, start.snapshot_interval_ms), (1 << 30, 0));
    assert_eq!(start.snapshot, Some(folder.path().join("a/b")));
    let hook = loaded.plan.purge_hook.unwrap();
    assert_eq!((hook.secret.expose(), hook.window_ms), (&b"open sesame open sesame"[..], 60_000));
    assert!(!format!("{hook:?}").contains("sesame") && format!("{hook:?}").contains("60000"));
    assert_eq!(loaded.files, [folder.path().join("hook")], "a new secret in the file is taken up");
}

#[test]
fn a_policy_is_taken_over() {
    let policy = policy(
        "key = [\"scheme\", \"path\", \"caller\", \"header:Accept-Language\", \"body\", \"method\", \"version\"]\npost = true\n\
         body_max = \"2MiB\"\norigin = \"override\"\njitter = 10\nobject_max = \"1MiB\"\nmin_uses = 2\n\
         bypass_headers = [\"X-Debug\"]\nbypass_query = [\"nocache\"]\nignore_client_no_cache = \"it always does\"\n\
         authorization = \"own\"\nset_cookie = \"strip\"\nmerge = false\nwaiters = 5\nwait = \"1s\"\nunwanted = \"finish\"\n\
         hit_for_miss = \"2s\"\nstale_while_revalidate = \"3s\"\nstale_if_error = \"1h\"\nrefresh_ahead = 90\n\
         strip_tags = true\nversion = \"7\"\nttl = { any = \"5s\", 200 = \"10m\", 404 = \"0s\" }",
    );
    let key = &policy.key;
    assert_eq!((key.scheme, key.host, key.path, key.caller), (true, false, true, true));
    assert_eq!((&key.query, &key.body, key.body_bytes_max), (&QueryKey::None, &BodyKey::Raw, 2 << 20));
    assert_eq!(*key.headers, ["accept-language".into()]);
    assert_eq!((&*policy.route, &*policy.version, policy.post), ("/", "7", true));
    assert_eq!((policy.origin, policy.authorization), (Origin::Override, Authorization::Own));
    assert_eq!([200, 404, 500].map(|status| policy.ttl_ms(status)), [Some(600_000), Some(0), Some(5_000)]);
    assert_eq!((policy.jitter_percent, policy.object_bytes_max, policy.min_uses), (10, 1 << 20, 2));
    assert_eq!((&*policy.bypass_headers, &*policy.bypass_query), (&["x-debug".into()][..], &["nocache".into()][..]));
    assert_eq!(policy.ignore_client_no_cache.as_deref(), Some("it always does"));
    assert_eq!((policy.set_cookie, policy.unwanted), (SetCookie::Strip, Unwanted::Finish));
    assert_eq!((policy.merge, policy.waiters_max, policy.wait_ms), (false, 5, 1_000));
    assert_eq!((policy.hit_for_miss_ms, policy.stale_while_revalidate_ms), (2_000, 3_000));
    assert_eq!((policy.stale_if_error_ms, policy.refresh_ahead_percent, policy.strip_tags), (3_600_000, 90, true));
}

#[test]
fn keys_follow_from_what_else_is_written() {
    let json = |except: &[&str]| BodyKey::Json { except: except.iter().map(|name| (*name).into()).collect() };
    assert_eq!(policy("post = true").key.body, json(&[]));
    assert_eq!(policy("post = true\nbody_except = [\"user\"]").key.body, json(&["user"]));
    assert!(policy("post = true").key.caller && !policy("authorization = \"shared\"").key.caller);
    assert!(!policy("authorization = \"shared\"\nkey = [\"path\"]").key.caller);
    for (lines, query) in [
        ("query = \"sorted\"", QueryKey::Sorted),
        ("query_only = [\"q\"]", QueryKey::Only(["q".into()].into())),
        ("query = \"sorted\"\nquery_except = [\"u\"]", QueryKey::Except(["u".into()].into())),
        ("key = [\"query\", \"caller\"]", QueryKey::Whole),
        ("key = [\"path\", \"caller\"]", QueryKey::None),
    ] {
        assert_eq!(policy(lines).key.query, query, "{lines}");
    }
    // What is left of a small cache is a quarter of it.
    let small = with("route", "[route.cache]\n[cache]\nmemory = \"2MiB\"");
    assert_eq!(policy_of(&load_text(&small).unwrap()).object_bytes_max, 512 << 10);
}

#[test]
fn versions_and_counters_outlast_a_reload() {
    let keep = Keep::new().unwrap();
    let load = |text: &str| parse(text, Path::new("c.toml"), &keep, &|_| None);
    let cached = with("route", "name = \"a\"\n[route.cache]");
    let first = load(&cached).unwrap();
    let [(name, bumps, counters)] = &keep.routes()[..] else { panic!("one route") };
    assert_eq!(&**name, "a");
    bumps.fetch_add(1, Ordering::AcqRel);
    let (before, after) = (policy_of(&first), policy_of(&load(&cached).unwrap()));
    assert_eq!((before.bumped(), after.bumped()), (1, 1));
    assert!(Arc::ptr_eq(&before.counters, &after.counters) && Arc::ptr_eq(counters, &after.counters));
    assert!(load(&with("route", "name = \"b\"\nx = 1\n[route.cache]")).is_err());
    assert_eq!(keep.routes().len(), 1, "a plan that was refused leaves nothing");
    keep.restore_version("c", 3);
    let other = with("route", "name = \"c\"\n[route.cache]");
    assert_eq!(policy_of(&load(&other).unwrap()).bumped(), 3);
}

#[test]
fn the_proxy_command_has_a_plain_cache_if_it_is_asked_for() {
    let keep = Keep::new().unwrap();
    let arguments = ProxyArguments { to: "http://127.0.0.1:9000".to_owned(), ..ProxyArguments::default() };
    let bare = proxy_plan(&arguments, &keep).unwrap();
    assert!(bare.plan.service.router.find(b"h", b"/", &RequestHead::default()).unwrap().cache.is_none());
    let arguments = ProxyArguments { cache: true, cache_memory: Some(bounds::CACHE_BYTES_MIN), ..arguments };
    let loaded = proxy_plan(&arguments, &keep).unwrap();
    assert_eq!((loaded.plan.start.cache.memory_bytes, loaded.warnings.len()), (bounds::CACHE_BYTES_MIN, 0));
    let policy = policy_of(&loaded);
    let plain = CachePolicy::plain("all".into(), policy.bumps.clone(), policy.counters.clone());
    let plain = CachePolicy { object_bytes_max: bounds::CACHE_BYTES_MIN / 4, ground: policy.ground, ..plain };
    assert_eq!(format!("{policy:?}"), format!("{plain:?}"));
    assert_eq!(parse_cache_memory("64MiB"), Ok(64 << 20));
    for text in ["1KiB", "64MB2", "", "-1"] {
        assert!(parse_cache_memory(text).is_err(), "{text}");
    }
}
