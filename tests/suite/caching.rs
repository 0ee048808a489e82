//! The cache as an operator has it: rules of a route, purges, restarts, and what is told about it.
//!
//! Here: what the cache tells, and how it lives with reloads and restarts. The files beside this one: each key of
//! `[route.cache]` (`policy`), purging (`purge`), hits on busy connections (`hits`), restarts (`restart`), all at once (`storm`).

mod hits;
#[rustfmt::skip] // a row stays a line
mod policy;
mod purge;
mod restart;
mod storm;

use rustix::process::Signal;

use super::harness::message::Request;
use super::harness::*;

/// An origin whose every answer differs from the one before and may be stored for a minute.
fn counting(fields: &str) -> Serving {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let fields = fields.to_owned();
    Origin::new().serve(move |_: &Request| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let body = format!("answer {number}");
        let head = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{fields}Content-Length: {}", body.len());
        format!("{head}\r\n\r\n{body}").into_bytes()
    })
}

/// Whether Cache-Status says that it came from the cache.
fn is_hit(response: &Response) -> bool {
    response.head.all("cache-status").join(", ").contains("ringway; hit")
}

/// Every key of `[route.cache]`, each on a gateway of its own.
#[test]
fn every_rule_of_a_route_holds() {
    let mut failed = Vec::new();
    for (name, cache, steps) in policy::ROWS {
        let played = std::panic::catch_unwind(|| Stage::new(cache).play(&Case::all(&[(name, steps)])));
        failed.extend(played.is_err().then_some(*name));
    }
    assert!(failed.is_empty(), "see above: {failed:#?}");
}

/// Lifetimes are shortened by chance, each by its own, within the bounds that are said.
#[test]
fn jitter_shortens_lifetimes() {
    let origin = Origin::new()
        .serve(|_| b"HTTP/1.1 200 OK\r\nCache-Control: max-age=1000\r\nContent-Length: 0\r\n\r\n".to_vec());
    let gateway = Config::to(&origin).cache("jitter = 50").start();
    let ttl = |number: usize| -> i64 {
        let path = format!("/{number}");
        gateway.get(&path);
        let status = gateway.get(&path).head.all("cache-status").join(", ");
        let ttl = status.split("ttl=").nth(1).and_then(|ttl| ttl.split(';').next()?.trim().parse().ok());
        ttl.unwrap_or_else(|| panic!("a ttl in {status:?}"))
    };
    let ttls: Vec<i64> = (0..20).map(ttl).collect();
    assert!(ttls.iter().all(|ttl| (495..=1_000).contains(ttl)), "{ttls:?}");
    assert!(ttls.iter().any(|ttl| *ttl != ttls[0]) && ttls.iter().any(|ttl| *ttl < 950), "{ttls:?}");
}

/// The access line says how the cache answered.
#[test]
fn the_log_says_how_it_was_answered() {
    let origin = counting("");
    let gateway = Config::to(&origin).cache("").log("access = \"stdout\"").log("format = \"json\"").start();
    for (path, outcome) in [("/a", "miss"), ("/a?2", "miss"), ("/a", "hit")] {
        gateway.get(path);
        let lines = || gateway.access().iter().filter(|line| line["cache"] == outcome).count();
        eventually("the line is written", || lines() > 0);
    }
    let mut client = gateway.client();
    client.send(post("/posted", "x"));
    client.read_response();
    assert_eq!(gateway.access_of("/posted")["cache"], "pass");
    client.send("GET /nothing HTTP/1.1\r\nhost: t\r\ncache-control: only-if-cached\r\n\r\n");
    assert_eq!(client.read_response().status, 504);
    assert_eq!(gateway.access_of("/nothing")["cache"], "failed");
}

/// A hit is served without an upstream: the log names none.
#[test]
fn the_log_of_a_hit_names_no_endpoint() {
    let origin = counting("");
    let gateway = Config::to(&origin).cache("").log("access = \"stdout\"").log("format = \"json\"").start();
    gateway.get("/a");
    gateway.get("/a");
    eventually("both lines are written", || gateway.access().len() == 2);
    let hit = gateway.access().into_iter().find(|line| line["cache"] == "hit").expect("a hit");
    assert!(hit["endpoint"].as_str().is_none_or(str::is_empty), "{hit}");
    assert_eq!(hit["bytes_sent"].as_u64(), Some(8));
}

/// Metrics count outcomes and reasons by route, and the memory in use.
#[test]
fn metrics_count_the_cache() {
    let origin = counting("");
    let gateway = Config::to(&origin).cache("").more("[cache]\nmemory = \"64MiB\"").start();
    gateway.get("/a");
    gateway.get("/a");
    gateway.get("/a");
    let mut client = gateway.client();
    client.send(post("/a", "x"));
    client.read_response();
    let of = |name: &str, part: &str, number: f64| gateway.expect_metric(name, &[part, "route=\"all\""], number);
    of("ringway_cache_requests_total", "outcome=\"miss\"", 1.0);
    of("ringway_cache_requests_total", "outcome=\"hit\"", 2.0);
    of("ringway_cache_requests_total", "outcome=\"pass\"", 1.0);
    of("ringway_cache_pass_total", "reason=\"method_unsafe\"", 1.0);
    assert_eq!(gateway.metric("ringway_cache_capacity_bytes", &[]), f64::from((64 << 20) - (64 << 20) / 24));
    let used = gateway.metric("ringway_cache_bytes", &[]);
    assert!(used < 1024.0 * 1024.0, "{used}");
    gateway.get("/b");
    gateway.expect_metric("ringway_cache_objects", &[], 2.0);
    assert!(gateway.metric("ringway_cache_bytes", &[]) > 0.0);
}

/// Reasons of what was not stored are counted.
#[test]
fn metrics_count_what_was_not_stored() {
    let origin = Origin::new().serve(|request: &Request| {
        let field = match request.target.as_str() {
            "/no-store" => "Cache-Control: no-store",
            "/private" => "Cache-Control: private",
            "/star" => "Cache-Control: max-age=60\r\nVary: *",
            "/cookie" => "Cache-Control: max-age=60\r\nSet-Cookie: a=1",
            _ => "X: y",
        };
        format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    });
    let gateway = Config::to(&origin).cache("").start();
    for (path, reason) in [
        ("/no-store", "no_store"),
        ("/private", "private"),
        ("/star", "vary_star"),
        ("/cookie", "set_cookie"),
        ("/nothing", "no_freshness"),
    ] {
        gateway.get(path);
        let reason = format!("reason=\"{reason}\"");
        gateway.expect_metric("ringway_cache_not_stored_total", &[&reason], 1.0);
    }
}

/// The admin listener shows what is stored and how it goes, and no secret of it.
#[test]
fn the_admin_listener_shows_shape_and_no_secret() {
    let origin = counting("");
    let cache = "key = [\"host\", \"path\", \"query\", \"caller\", \"header:x-mode\"]\nauthorization = \"own\"";
    let gateway = Config::to(&origin).cache(cache).start();
    let mut client = gateway.client();
    client.send(
        "GET /shown?q=1&api_key=SEKRET1 HTTP/1.1\r\nhost: t\r\nauthorization: Bearer SEKRET2\r\nx-mode: SEKRET3\r\n\
         cookie: s=SEKRET4\r\nx-api-key: SEKRET5\r\n\r\n",
    );
    assert_eq!(client.read_response().status, 200);
    let keys = gateway.admin("/cache/keys");
    assert_eq!(keys.status, 200);
    assert!(keys.text().contains("/shown"), "{}", keys.text());
    let stats = gateway.admin("/cache/stats");
    assert_eq!(stats.status, 200);
    let everything = keys.text() + &stats.text() + &gateway.admin("/metrics").text();
    assert!(!everything.contains("SEKRET"), "{everything}");
    // Counted behind the answer.
    eventually("the miss is counted", || gateway.admin("/cache/stats").text().replace(' ', "").contains("\"miss\":1"));
}

/// A reload keeps what is stored, and a new version of a route starts anew; the old one is found again.
#[test]
fn a_reload_keeps_the_cache() {
    let origin = counting("");
    let config = Config::to(&origin).cache("");
    let gateway = config.start();
    let first = gateway.get("/a").text();
    assert!(gateway.reload(&config.clone().cache("jitter = 1").toml()).0);
    let again = gateway.get("/a");
    assert!(is_hit(&again) && again.text() == first);
    assert!(gateway.reload(&config.clone().cache("version = \"2\"").toml()).0);
    let second = gateway.get("/a");
    assert!(!is_hit(&second) && second.text() != first);
    assert!(gateway.reload(&config.toml()).0);
    let back = gateway.get("/a");
    assert!(is_hit(&back) && back.text() == first);
}

/// A route that loses its cache table serves nothing from the cache any more.
#[test]
fn a_reload_can_switch_the_cache_off() {
    let origin = counting("");
    let gateway = Config::to(&origin).cache("").start();
    let first = gateway.get("/a").text();
    assert!(gateway.reload(&Config::to(&origin).toml()).0);
    let response = gateway.get("/a");
    assert!(response.text() != first && response.field("age").is_none() && response.field("cache-status").is_none());
}

/// A route without the table is as it was: no field of the cache, no answer from it.
#[test]
fn routes_without_the_table_know_no_cache() {
    let origin = counting("");
    let gateway = Config::to(&origin).start();
    let (one, two) = (gateway.get("/a"), gateway.get("/a"));
    assert_ne!(one.text(), two.text());
    assert!(two.field("age").is_none() && two.field("cache-status").is_none());
}

/// Two routes never share an answer, whatever their keys are.
#[test]
fn routes_never_share() {
    let origin = counting("");
    let more = "[[route]]\nname = \"other\"\npath = \"/\"\nhost = \"other.test\"\nupstream = \"origin\"\n[route.cache]\nkey = [\"path\"]";
    let gateway = Config::to(&origin).cache("key = [\"path\"]").more(more).start();
    let mut client = gateway.client();
    let mut ask = |host: &str| {
        client.send(format!("GET /a HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        client.read_response().text()
    };
    let (one, two) = (ask("t"), ask("other.test"));
    assert_ne!(one, two);
    assert_eq!((ask("u"), ask("other.test")), (one, two));
}

/// Answers over plain HTTP and over TLS are not the same.
#[test]
fn schemes_are_told_apart() {
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let authority = Authority::new();
    let (cert, key) = authority.pair(&["t.test"]).write(dir.path(), "t");
    let tls = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n[[listener.tls]]\ncert = {:?}\nkey = {:?}",
        text(&cert),
        text(&key)
    );
    let origin = counting("");
    let gateway = Config::to(&origin).cache("").more(&tls).start_in(dir);
    let request = "GET /a HTTP/1.1\r\nhost: t.test\r\n\r\n";
    let mut plain = gateway.client();
    plain.send(request);
    let over_plain = plain.read_response().text();
    let mut secret =
        tls::connect(gateway.ready.listen[1], "t.test", &std::sync::Arc::new(authority.client())).expect("a handshake");
    secret.send(request);
    assert_ne!(secret.read_response().text(), over_plain);
    secret.send(request);
    assert!(is_hit(&secret.read_response()));
}

/// The memory is never exceeded: what is too much is evicted, and the gateway goes on.
#[test]
fn the_memory_is_kept() {
    let body = "x".repeat(20_000);
    let origin = Origin::new().serve(move |_: &Request| {
        let head = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n", body.len());
        (head + &body).into_bytes()
    });
    let gateway = Config::to(&origin).cache("object_max = \"256KiB\"").more("[cache]\nmemory = \"1MiB\"").start();
    let mut client = gateway.client();
    for number in 0..300 {
        client.send(get(&format!("/{number}")));
        assert_eq!(client.read_response().body.bytes.len(), 20_000);
        if number % 50 == 49 {
            assert!(gateway.metric("ringway_cache_bytes", &[]) <= 1024.0 * 1024.0 * 33.0 / 32.0);
        }
    }
    assert!(gateway.metric("ringway_cache_evicted_total", &[]) >= 200.0);
    let hits = (0..300).rev().take(40).filter(|number| {
        client.send(get(&format!("/{number}")));
        is_hit(&client.read_response())
    });
    assert!(hits.count() >= 5, "what came last is mostly there");
}

/// What is stored survives a restart in order; secrets are not in the file; a file that is torn is ignored with one line.
#[test]
fn a_restart_keeps_the_answers() {
    let folder = tempfile::TempDir::new().expect("a folder of its own");
    let file = folder.path().join("cache.snapshot");
    let origin = counting("ETag: \"e\"\r\n");
    let config =
        Config::to(&origin).cache("authorization = \"own\"").more(&format!("[cache]\nsnapshot = {:?}", text(&file)));
    let gateway = config.start();
    let ask = |gateway: &Gateway, path: &str| {
        let mut client = gateway.client();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer SEKRET\r\n\r\n"));
        client.read_response()
    };
    let before: Vec<String> = (0..50).map(|number| ask(&gateway, &format!("/{number}")).text()).collect();
    gateway.stop();
    let bytes = std::fs::read(&file).expect("the file was written");
    assert!(!String::from_utf8_lossy(&bytes).contains("SEKRET"));
    let gateway = config.start();
    origin.take_requests();
    for (number, text) in before.iter().enumerate() {
        let response = ask(&gateway, &format!("/{number}"));
        assert!(is_hit(&response) && response.text() == *text, "/{number}: {:?}", response.head);
    }
    assert!(origin.take_requests().is_empty());
    // Another caller is another caller after a restart too.
    assert!(!is_hit(&gateway.get("/1")));
    gateway.stop();
    let bytes = std::fs::read(&file).expect("the file was written");
    std::fs::write(&file, &bytes[..bytes.len() / 2]).expect("the file is torn");
    let gateway = config.start();
    gateway.err.wait("cache.snapshot");
    for (number, text) in before.iter().enumerate() {
        let response = ask(&gateway, &format!("/{number}"));
        assert!(!is_hit(&response) || response.text() == *text, "/{number}: intact or not there");
    }
    gateway.stop();
    std::fs::write(&file, "not of ours").expect("a foreign file");
    let gateway = config.start();
    gateway.err.wait("cache.snapshot");
    assert!(!is_hit(&ask(&gateway, "/60")));
}

/// A gateway that is killed loses at most what came since the last snapshot.
#[test]
fn a_kill_loses_at_most_the_interval() {
    let folder = tempfile::TempDir::new().expect("a folder of its own");
    let file = folder.path().join("cache.snapshot");
    let origin = counting("");
    let snapshot = format!("[cache]\nsnapshot = {:?}\nsnapshot_interval = \"1s\"", text(&file));
    let config = Config::to(&origin).cache("").more(&snapshot);
    let mut gateway = config.start();
    let first = gateway.get("/a").text();
    eventually("the snapshot holds an answer", || {
        std::fs::read(&file).is_ok_and(|bytes| bytes.windows(8).any(|window| window == first.as_bytes()))
    });
    gateway.signal(Signal::KILL);
    gateway.wait_exit();
    let gateway = config.start();
    let response = gateway.get("/a");
    assert!(is_hit(&response) && response.text() == first);
}

/// A version that was raised stays raised over a restart.
#[test]
fn a_restart_keeps_the_version() {
    let folder = tempfile::TempDir::new().expect("a folder of its own");
    let file = folder.path().join("cache.snapshot");
    let origin = counting("");
    let config = Config::to(&origin).cache("").more(&format!("[cache]\nsnapshot = {:?}", text(&file)));
    let gateway = config.start();
    let old = gateway.get("/a").text();
    gateway.admin_post("/cache/version", "{\"route\":\"all\"}");
    let new = gateway.get("/a").text();
    assert_ne!(old, new);
    gateway.stop();
    let gateway = config.start();
    assert_eq!(gateway.get("/a").text(), new);
}

/// `ringway proxy --cache` caches by RFC 9111 with nothing configured.
#[test]
fn the_proxy_command_caches() {
    let origin = counting("");
    let gateway =
        Gateway::proxy(&["--to", &origin.url(), "--listen", "127.0.0.1:0", "--cache", "--cache-memory", "64MiB"]);
    let first = gateway.get("/a").text();
    let again = gateway.get("/a");
    assert!(is_hit(&again) && again.text() == first);
    assert_eq!(gateway.metric("ringway_cache_capacity_bytes", &[]), f64::from((64 << 20) - (64 << 20) / 24));
}

/// Configurations of the cache that are wrong are refused at the start, all of it at once, by name.
#[test]
fn wrong_configurations_are_refused() {
    let lines = [
        ("jitter = 100", "jitter"),
        ("min_uses = 0", "min_uses"),
        ("key = [\"hots\"]", "host"),
        ("key = [\"body\", \"body-json\"]", "body-json"),
        ("key = [\"path\"]\nquery = \"sorted\"", "query"),
        ("origin = \"override\"", "ttl"),
        ("post = true\nkey = [\"path\"]", "body-json"),
        ("ttl = { 206 = \"1m\" }", "206"),
        ("ignore_client_no_cache = \"\"", "ignore_client_no_cache"),
        ("object_max = \"1GiB\"", "object_max"),
        ("authorization = \"shared\"\nkey = [\"path\", \"caller\"]", "caller"),
        ("surprise = 1", "surprise"),
    ];
    for (line, named) in lines {
        let dir = tempfile::TempDir::new().expect("a scratch folder");
        let file = dir.path().join("gateway.toml");
        let config = Config::to(&"http://127.0.0.1:9").cache(line).cache("wait = 5").toml();
        std::fs::write(&file, config).expect("a file in the scratch folder");
        let failed = run(&["check", "--config", text(&file)]);
        assert_ne!(failed.code, Some(0), "{line}");
        assert!(failed.err.contains(named) && failed.err.contains("wait"), "{line}: {}", failed.err);
    }
}
