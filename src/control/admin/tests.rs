//! The admin listener, asked over real connections.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::base::clock;
use crate::base::secret::Secret;
use crate::cache::answer::{Answer, AnswerHead, Body, Terms};
use crate::cache::counters::RouteCounters;
use crate::cache::fields::StoredFields;
use crate::cache::key::{self, KeyHash, KeyRequest};
use crate::cache::ledger::{tag_mark, url_mark};
use crate::cache::object::Origin;
use crate::cache::policy::{KeyPolicy, QueryKey};
use crate::cache::store::Cache;
use crate::cache::{CachePolicy, Content, Object};
use crate::h1::testing::request_head as head;
use crate::http::{RequestHead, Version};
use crate::plan::PurgeHook;
use crate::stats::{CacheOutcome, Counter, NotStored, Pass};

const SALT: [u8; 32] = [7; 32];
const SECRET: &[u8] = b"a secret of the hook";

fn state() -> Arc<AdminState> {
    let cache = CacheAdmin::new(Cache::new(1 << 20, SALT));
    let (bumps, counters) = (Arc::new(AtomicU64::new(3)), RouteCounters::new(2));
    let route = CachedRoute { name: "api".into(), bumps, counters };
    let sorted = KeyPolicy { query: QueryKey::Sorted, ..KeyPolicy::default() };
    let hook = Some(PurgeHook { secret: Secret::new(SECRET), window_ms: 300_000 });
    cache.take_up(Sight { keys: vec![KeyPolicy::default(), sorted], routes: vec![route], hook, ..Sight::default() });
    Arc::new(AdminState {
        cores: vec![CoreStats::new(), CoreStats::new()],
        process: ProcessInfo { version: "9.9.9".to_owned(), ..ProcessInfo::default() },
        ready: Arc::default(),
        draining: Arc::default(),
        cache: Arc::new(cache),
    })
}

/// Where the answer to a request would be stored.
fn place(state: &AdminState, method: &str, url: &str, key: KeyPolicy) -> (KeyHash, Vec<u8>, RequestHead) {
    let (host, target) = url.split_once('/').unwrap();
    let head = head(&format!("{method} /{target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer sk-hidden\r\n\r\n"));
    let route = &state.cache.sight.load().routes[0];
    let plain = CachePolicy::plain(Arc::clone(&route.name), Arc::clone(&route.bumps), Arc::clone(&route.counters));
    let policy = CachePolicy { key, ..plain };
    let mut bytes = Vec::new();
    key::write(
        &mut bytes,
        &policy,
        &KeyRequest { head: &head, scheme: "https", trusted: false, body: b"", salt: &SALT },
    );
    (key::hash(&SALT, &bytes, b""), bytes, head)
}

/// Stores an answer as a core would.
fn store(state: &AdminState, method: &str, url: &str, key: KeyPolicy, tags: &[&str]) -> (KeyHash, Vec<u8>) {
    let cache = &state.cache.cache;
    let (hash, bytes, head) = place(state, method, url, key);
    let origin = Origin {
        key: bytes.clone().into(),
        method: head.method,
        birth: cache.sequence(),
        url: url_mark(key::identity(&bytes)),
    };
    let terms = Terms { response_ms: clock::unix_ms() - 5_000, lifetime_ms: 60_000, ..Terms::default() };
    let head = AnswerHead {
        status: 203,
        version: Version::Http11,
        reason: Box::default(),
        fields: StoredFields::default(),
        terms,
        vary: None,
        tags: tags.iter().map(|tag| tag_mark(tag.as_bytes())).collect(),
        length: Some(5),
    };
    let charge = || cache.charge(100).expect("room");
    let body = Body::new(vec!["12345".into()], charge());
    let answer = Content::Answer(Answer { head: Arc::new(head), body, charge: charge() });
    let object = Object::complete(origin, answer, charge());
    cache.place(hash, &object).expect("nobody stands there");
    cache.admit(hash, &object);
    (hash, bytes)
}

/// What a core would make of a stored answer.
fn fate(state: &AdminState, (hash, bytes): &(KeyHash, Vec<u8>)) -> &'static str {
    match state.cache.cache.find(*hash, bytes) {
        None => "gone",
        Some(object) if object.life.is_soft() => "stale",
        Some(_) => "there",
    }
}

/// Sends a request and reads until the peer closes: status line with fields, and body.
async fn send(address: SocketAddr, method: &str, path: &str, fields: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    send(address, method, path, "", "").await
}

/// A POST as a program makes it: status and answer.
async fn post(address: SocketAddr, path: &str, fields: &str, body: &str) -> (u16, Value) {
    let (head, body) = send(address, "POST", path, fields, body).await;
    (head[9..12].parse().unwrap(), serde_json::from_str(&body).unwrap())
}

async fn post_json(address: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    post(address, path, JSON, &body.to_string()).await
}

const JSON: &str = "Content-Type: application/json; charset=utf-8\r\n";

/// Runs a test against a served state, then shuts down and waits for the end of the server.
fn with_server<F: Future<Output = ()>>(state: &Arc<AdminState>, test: impl FnOnce(SocketAddr) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(listener, Arc::clone(state), stopped));
        test(address).await;
        stop.send(true).unwrap();
        server.await.unwrap().unwrap();
    });
}

#[test]
fn health_is_told_while_the_process_lives_and_head_has_no_body() {
    with_server(&state(), |address| async move {
        let (head, body) = ask(address, "GET", "/health").await;
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("application/json"), "{head}");
        assert_eq!(body, "{\"status\":\"ok\"}");
        let (head, body) = ask(address, "HEAD", "/health").await;
        assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{head}");
    });
}

#[test]
fn readiness_says_why_not() {
    let state = state();
    with_server(&state, async |address| {
        let (head, body) = ask(address, "GET", "/ready").await;
        assert!(head.starts_with("HTTP/1.1 503 ") && body == "{\"status\":\"starting\"}", "{head} {body}");
        state.ready.store(true, Ordering::Release);
        let (head, body) = ask(address, "GET", "/ready").await;
        assert!(head.starts_with("HTTP/1.1 200 ") && body == "{\"status\":\"ready\"}", "{head} {body}");
        state.draining.store(true, Ordering::Release);
        let (head, body) = ask(address, "GET", "/ready").await;
        assert!(head.starts_with("HTTP/1.1 503 ") && body == "{\"status\":\"draining\"}", "{head} {body}");
    });
}

#[test]
fn metrics_are_the_sum_of_the_cores_at_that_moment() {
    let state = state();
    with_server(&state, async |address| {
        state.cores[0].add(Counter::Requests, 2);
        state.cores[1].add(Counter::Requests, 3);
        let (head, body) = ask(address, "GET", "/metrics").await;
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        assert!(body.contains("\nringway_requests_total 5\n"));
        assert!(body.contains("ringway_build_info{version=\"9.9.9\"} 1\n"));
        state.cores[1].inc(Counter::Requests);
        assert!(ask(address, "GET", "/metrics").await.1.contains("\nringway_requests_total 6\n"));
    });
}

#[test]
fn other_paths_and_methods_are_refused_in_json() {
    with_server(&state(), |address| async move {
        for (method, path, status, kind) in
            [("GET", "/", "404", "not_found"), ("POST", "/metrics", "405", "method_not_allowed")]
        {
            let (head, body) = ask(address, method, path).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["error"]["type"], kind);
        }
    });
}

#[test]
fn a_connection_that_never_ends_does_not_hold_up_the_shutdown() {
    // The half-sent request stays open beyond the end of the server.
    let mut held = None;
    with_server(&state(), async |address| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nHo").await.unwrap();
        held = Some(stream);
        // Answered after the other connection was accepted.
        ask(address, "GET", "/health").await;
    });
    assert!(held.is_some());
}

#[test]
fn each_kind_of_purge_drops_what_it_names_and_nothing_else() {
    let sorted = || KeyPolicy { query: QueryKey::Sorted, ..KeyPolicy::default() };
    for (body, dropped) in [
        (json!({ "url": "https://Example.com:443/a?y=2&x=1" }), "get sorted post"),
        (json!({ "url": "http://example.com/a?y=2&x=1", "method": "HEAD" }), "get sorted"),
        (json!({ "url": "https://example.com/a?y=2&x=1", "method": "POST" }), "post"),
        (json!({ "url": "https://example.com/a" }), ""),
        (json!({ "prefix": "example.com/a" }), "get sorted post"),
        (json!({ "prefix": "https://EXAMPLE.com/a?y" }), "get sorted post"),
        (json!({ "prefix": "example.com/" }), "get sorted post other"),
        (json!({ "prefix": "example.com:8443/" }), ""),
        (json!({ "tag": "news" }), "get other"),
        (json!({ "tags": ["news", "sports"] }), "get sorted other"),
        (json!({ "all": true }), "get sorted post other"),
    ] {
        for soft in [false, true] {
            let state = state();
            let stored = [
                ("get", store(&state, "GET", "example.com/a?y=2&x=1", KeyPolicy::default(), &["news"])),
                ("sorted", store(&state, "GET", "example.com/a?y=2&x=1", sorted(), &["sports"])),
                ("post", store(&state, "POST", "example.com/a?y=2&x=1", KeyPolicy::default(), &[])),
                ("other", store(&state, "GET", "example.com/b", KeyPolicy::default(), &["news"])),
            ];
            let before = state.cache.cache.sequence();
            with_server(&state, async |address| {
                let mut asked = body.clone();
                asked["soft"] = soft.into();
                let (status, answer) = post_json(address, "/cache/purge", &asked).await;
                assert_eq!((status, &answer["purged"], &answer["soft"]), (200, &body, &json!(soft)), "{answer}");
                assert!(answer["sequence"].as_u64().unwrap() > before);
                for (name, place) in &stored {
                    let is_meant = dropped.split(' ').any(|d| d == *name);
                    let fate_wanted = if !is_meant {
                        "there"
                    } else if soft {
                        "stale"
                    } else {
                        "gone"
                    };
                    assert_eq!(fate(&state, place), fate_wanted, "{name} after {asked}");
                }
            });
        }
    }
}

#[test]
fn a_key_that_the_listing_shows_can_be_purged_and_memory_comes_back() {
    let state = state();
    let stored = store(&state, "GET", "example.com/a?api_key=sk-secret", KeyPolicy::default(), &[]);
    let used = state.cache.cache.figures().bytes;
    with_server(&state, async |address| {
        let (_, listing) = ask(address, "GET", "/cache/keys?route=api").await;
        assert!(
            !listing.contains("sk-secret") && !listing.contains("sk-hidden") && !listing.contains("12345"),
            "{listing}"
        );
        let listing: Value = serde_json::from_str(&listing).unwrap();
        let row = &listing["keys"][0];
        assert_eq!((&row["status"], &row["bytes"], &row["state"]), (&json!(203), &json!(5), &json!("complete")));
        assert_eq!(
            (&row["age"], &row["parts"]["route"], &row["parts"]["method"]),
            (&json!(5), &json!("api"), &json!("GET"))
        );
        assert!([54, 55].contains(&row["ttl"].as_i64().unwrap()), "{row}");
        let (status, _) = post_json(address, "/cache/purge", &json!({ "key": row["key"], "soft": true })).await;
        assert_eq!((status, fate(&state, &stored)), (200, "stale"));
        let (_, listing) = ask(address, "GET", "/cache/keys").await;
        assert!(listing.contains("\"state\":\"soft\""), "{listing}");
        let (status, _) = post_json(address, "/cache/purge", &json!({ "key": row["key"] })).await;
        assert_eq!((status, fate(&state, &stored)), (200, "gone"));
        // Each answer gives the sweep its turn.
        while state.cache.cache.figures().objects > 0 {
            ask(address, "GET", "/health").await;
        }
        assert!(state.cache.cache.figures().bytes < used);
        let (_, listing) = ask(address, "GET", "/cache/keys").await;
        assert_eq!(listing, "{\"keys\":[],\"more\":false}");
    });
}

#[test]
fn the_listing_is_filtered_and_bounded() {
    let state = state();
    for n in 0..4 {
        store(&state, "GET", &format!("example.com/list/{n}"), KeyPolicy::default(), &[]);
    }
    store(&state, "GET", "example.com/else", KeyPolicy::default(), &[]);
    with_server(&state, async |address| {
        for (query, count, more) in [
            ("", 5, false),
            ("?limit=4", 4, true),
            ("?limit=5", 5, false),
            ("?prefix=example.com%2Flist", 4, false),
            ("?prefix=example.com/list/&limit=2", 2, true),
            ("?route=api", 5, false),
            ("?route=ap", 0, false),
        ] {
            let (_, listing) = ask(address, "GET", &format!("/cache/keys{query}")).await;
            let listing: Value = serde_json::from_str(&listing).unwrap();
            assert_eq!((listing["keys"].as_array().unwrap().len(), &listing["more"]), (count, &json!(more)), "{query}");
        }
        for query in ["limit=0", "limit=1001", "limit=x", "limits=1"] {
            let (head, body) = ask(address, "GET", &format!("/cache/keys?{query}")).await;
            assert!(head.starts_with("HTTP/1.1 400 ") && body.contains("limit"), "{head} {body}");
        }
    });
}

#[test]
fn a_version_is_raised_and_shown() {
    let state = state();
    with_server(&state, async |address| {
        let (status, answer) = post_json(address, "/cache/version", &json!({ "route": "api" })).await;
        assert_eq!((status, answer), (200, json!({ "route": "api", "old": 3, "new": 4 })));
        let (status, answer) = post_json(address, "/cache/version", &json!({ "route": "apo" })).await;
        let message = "no route \"apo\" caches; routes that do: api";
        assert_eq!((status, &answer["error"]["message"]), (404, &json!(message)));
        let (status, answer) = post_json(address, "/cache/version", &json!({ "routes": "api" })).await;
        assert!(status == 400 && answer["error"]["message"].as_str().unwrap().contains("`routes`"), "{answer}");
        let (_, stats) = ask(address, "GET", "/cache/stats").await;
        let stats: Value = serde_json::from_str(&stats).unwrap();
        assert_eq!(stats["routes"][0]["version"], 4);
    });
}

#[test]
fn numbers_of_routes_are_in_the_statistics_and_in_the_scrape() {
    let state = state();
    let counters = Arc::clone(&state.cache.sight.load().routes[0].counters);
    counters.outcome(0, CacheOutcome::Hit);
    counters.outcome(1, CacheOutcome::Hit);
    counters.pass(0, Pass::Range);
    counters.not_stored(1, NotStored::Private);
    with_server(&state, async |address| {
        let (_, stats) = ask(address, "GET", "/cache/stats").await;
        let stats: Value = serde_json::from_str(&stats).unwrap();
        assert_eq!((&stats["capacity"], &stats["objects"]), (&json!(1 << 20), &json!(0)));
        let route = &stats["routes"][0];
        assert_eq!((&route["route"], &route["outcomes"]["hit"]), (&json!("api"), &json!(2)));
        assert_eq!(route["outcomes"].as_object().unwrap().len(), CacheOutcome::COUNT);
        assert_eq!((&route["passes"], &route["not_stored"]), (&json!({ "range": 1 }), &json!({ "private": 1 })));
        let (_, scrape) = ask(address, "GET", "/metrics").await;
        for line in [
            "ringway_cache_requests_total{route=\"api\",outcome=\"hit\"} 2",
            "ringway_cache_pass_total{route=\"api\",reason=\"range\"} 1",
            "ringway_cache_not_stored_total{route=\"api\",reason=\"private\"} 1",
            "ringway_cache_capacity_bytes 1048576",
            "ringway_purge_hooks_total{outcome=\"replayed\"} 0",
        ] {
            assert!(scrape.lines().any(|l| l == line), "{line}");
        }
        assert!(!scrape.contains("reason=\"no_store\""));
    });
}

#[test]
fn what_is_not_meant_is_refused_and_says_why() {
    let state = state();
    let stored = store(&state, "GET", "example.com/a", KeyPolicy::default(), &["news"]);
    with_server(&state, async |address| {
        for (body, said) in [
            ("", "EOF"),
            ("[]x", "trailing"),
            ("{}", "exactly one of url, key, prefix, tag, tags, all"),
            ("{\"all\":true,\"tag\":\"a\"}", "exactly one of"),
            ("{\"all\":false}", "all is true or absent"),
            ("{\"al\":true}", "unknown field `al`"),
            ("{\"tag\":\"news\",\"tag\":\"b\"}", "duplicate field `tag`"),
            ("{\"tag\":\"\"}", "at least one character"),
            ("{\"tags\":[]}", "at least one tag"),
            ("{\"tag\":\"news\",\"method\":\"GET\"}", "method goes with url only"),
            ("{\"tag\":\"news\",\"soft\":\"yes\"}", "expected a boolean"),
            ("{\"url\":\"https://example.com/a\",\"method\":\"get\"}", "method is GET, HEAD or POST"),
            ("{\"url\":\"example.com/a\"}", "neither http:// nor https://"),
            ("{\"url\":\"https:///a\"}", "names no host"),
            ("{\"url\":\"https://u:p@example.com/a\"}", "names no host"),
            ("{\"url\":\"https://example.com/a#b\"}", "has '#'"),
            ("{\"url\":\"https://example.com/a b\"}", "has ' '"),
            ("{\"prefix\":\"/a\"}", "names no host"),
            ("{\"prefix\":\"example.com\"}", "end the host with a slash"),
            ("{\"key\":\"12\"}", "32 hexadecimal digits"),
        ] {
            let (status, answer) = post(address, "/cache/purge", JSON, body).await;
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(status == 400 && message.contains(said), "{body}: {status} {message}");
        }
        let all = "{\"all\":true}";
        let origin = format!("{JSON}Origin: http://evil.example\r\n");
        let large = " ".repeat(64 * 1024) + all;
        for (path, fields, body, status, kind) in [
            ("/cache/purge", "", all, 415, "unsupported_media_type"),
            ("/cache/purge", "Content-Type: text/plain\r\n", all, 415, "unsupported_media_type"),
            ("/cache/purge", origin.as_str(), all, 403, "forbidden"),
            ("/cache/version", origin.as_str(), "{\"route\":\"api\"}", 403, "forbidden"),
            ("/cache/purge?all=true", JSON, all, 400, "bad_request"),
            ("/cache/purge", JSON, large.as_str(), 413, "body_too_large"),
            ("/cache/stats", JSON, all, 405, "method_not_allowed"),
        ] {
            let (code, answer) = post(address, path, fields, body).await;
            assert_eq!((code, &answer["error"]["type"]), (status, &json!(kind)), "{path} {fields}");
        }
        let (head, body) = ask(address, "GET", "/cache/purge").await;
        assert!(head.starts_with("HTTP/1.1 405 ") && body.contains("use POST"), "{head} {body}");
        assert_eq!((fate(&state, &stored), state.cache.cache.sequence()), ("there", 0));
    });
}

/// Fields of a webhook signed at this time.
fn signed(secret: &[u8], timestamp: u64, body: &str) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let tag = aws_lc_rs::hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("X-Ringway-Timestamp: {timestamp}\r\nX-Ringway-Signature: sha256={hex}\r\n")
}

#[test]
fn a_webhook_purges_when_it_is_signed_fresh_and_new() {
    let state = state();
    let stored = store(&state, "GET", "example.com/a", KeyPolicy::default(), &["news"]);
    let (now, body) = (clock::unix_ms() / 1_000, "{\"tag\":\"news\"}");
    with_server(&state, async |address| {
        let good = signed(SECRET, now, body);
        for (fields, kind) in [
            (String::new(), "missing"),
            (good.lines().next().unwrap().to_owned() + "\r\n", "missing"),
            (good.replace(&now.to_string(), "now"), "missing"),
            (signed(b"another secret of it", now, body), "bad_signature"),
            (good.replace("sha256=", "sha1="), "bad_signature"),
            (signed(SECRET, now, "{}"), "bad_signature"),
            (signed(SECRET, now - 310, body), "stale"),
            (signed(SECRET, now + 310, body), "stale"),
        ] {
            let (status, answer) = post(address, "/hooks/purge", &fields, body).await;
            assert_eq!((status, &answer["error"]["type"]), (401, &json!(kind)), "{fields}");
        }
        assert_eq!(fate(&state, &stored), "there");
        let (status, answer) = post(address, "/hooks/purge", &good, body).await;
        assert_eq!((status, &answer["purged"], fate(&state, &stored)), (200, &json!({ "tag": "news" }), "gone"));
        let (status, answer) = post(address, "/hooks/purge", &good, body).await;
        assert_eq!((status, &answer["error"]["type"]), (401, &json!("replayed")));
        // Signed, but nonsense.
        let (status, _) = post(address, "/hooks/purge", &signed(SECRET, now, "{}"), "{}").await;
        assert_eq!(status, 400);
        let (_, scrape) = ask(address, "GET", "/metrics").await;
        for (outcome, count) in [("accepted", 2), ("missing", 3), ("bad_signature", 3), ("stale", 2), ("replayed", 1)] {
            let line = format!("ringway_purge_hooks_total{{outcome=\"{outcome}\"}} {count}");
            assert!(scrape.lines().any(|l| l == line), "{line}");
        }
    });
}

#[test]
fn without_a_secret_there_are_no_webhooks() {
    let state = state();
    state.cache.take_up(Sight::default());
    with_server(&state, async |address| {
        let body = "{\"all\":true}";
        let (status, answer) = post(address, "/hooks/purge", &signed(b"", clock::unix_ms() / 1_000, body), body).await;
        assert!(status == 404 && answer["error"]["message"].as_str().unwrap().contains("hook_secret"), "{answer}");
    });
}

#[test]
fn the_command_makes_the_call_and_tells_a_line() {
    use crate::control::purge_command::{PurgeOptions, run};
    let state = state();
    let stored = store(&state, "GET", "example.com/a", KeyPolicy::default(), &["news"]);
    with_server(&state, async |address| {
        let admin = format!("http://{address}");
        let options = PurgeOptions { admin: admin.clone(), tag: vec!["news".to_owned()], ..PurgeOptions::default() };
        assert_eq!(run(&options).await.unwrap(), "purged tag news: is gone (purge 1)");
        assert_eq!(fate(&state, &stored), "gone");
        let options = PurgeOptions { admin, version_of: Some("nope".to_owned()), ..PurgeOptions::default() };
        let error = run(&options).await.unwrap_err();
        assert!(error.starts_with(&format!("purge: http://{address} refused (404): no route \"nope\"")), "{error}");
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = |admin: &str| PurgeOptions { admin: admin.to_owned(), all: true, ..PurgeOptions::default() };
    let error = runtime.block_on(run(&options("127.0.0.1:9901"))).unwrap_err();
    assert!(error.contains("write http://HOST:PORT"), "{error}");
}
