//! What an operator sees: access log, metrics, health. Secrets are seen nowhere.

use super::harness::*;

fn logged(origin: &impl config::Endpoint) -> Config {
    Config::to(origin).log("access = \"stdout\"").log("format = \"json\"")
}

/// The ready line tells addresses, cores, driver and version.
#[test]
fn the_ready_line_tells_what_runs() {
    let gateway = logged(&"http://127.0.0.1:9").start();
    let part = |name| gateway.ready.part(name).unwrap_or_else(|| panic!("{name} in {}", gateway.ready.line));
    assert_eq!(part("driver"), driver());
    assert_eq!(part("version"), env!("CARGO_PKG_VERSION"));
    assert!(!part("cores").is_empty() && !part("flags").is_empty());
    assert_eq!(gateway.ready.schemes, ["http"]);
    assert!(gateway.ready.admin.is_some());
}

/// One line per exchange says who asked what, what came back, from where, and how long it took.
#[test]
fn an_exchange_is_logged_once() {
    let origin = Origin::new().serve(|_| ok("hello"));
    let gateway = logged(&origin).start();
    let mut client = gateway.client();
    client.send("POST /logged HTTP/1.1\r\nhost: shop.test\r\nuser-agent: me/1\r\ncontent-length: 3\r\n\r\nabc");
    let id = client.read_response().field("x-request-id").expect("an id").to_owned();
    let line = gateway.access_of("/logged");
    for (name, value) in
        [("method", "POST"), ("host", "shop.test"), ("client", "127.0.0.1"), ("route", "all"), ("upstream", "origin")]
    {
        assert_eq!(line[name].as_str(), Some(value), "{name} in {line}");
    }
    assert_eq!(line["status"].as_u64(), Some(200));
    assert_eq!(line["request_id"].as_str(), Some(id.as_str()));
    assert_eq!(line["endpoint"].as_str(), Some(origin.address().to_string().as_str()));
    assert!(line["bytes_sent"].as_u64() >= Some(5) && line["bytes_received"].as_u64() >= Some(3), "{line}");
    assert!(line["duration_ms"].as_f64() >= line["upstream_ms"].as_f64(), "{line}");
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 24), "{line}");
    gateway.stop();
}

/// Failures are logged with their reason.
#[test]
fn failures_are_logged_with_their_reason() {
    let port = ReservedPort::new();
    let gateway = logged(&format!("http://{}", port.address)).path("path = \"/a\"").start();
    assert_eq!((gateway.get("/a/502").status, gateway.get("/b/404").status), (502, 404));
    for (path, status) in [("/a/502", 502), ("/b/404", 404)] {
        let line = gateway.access_of(path);
        assert_eq!(line["status"].as_u64(), Some(status));
        assert!(line["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{line}");
    }
}

/// A client that leaves before its answer is logged as 499.
#[test]
fn a_client_that_left_is_logged_as_499() {
    let origin = Origin::new();
    let gateway = logged(&origin).start();
    let mut client = gateway.client();
    client.send(get("/left"));
    let (mut peer, _) = origin.accept_request();
    drop(client);
    peer.wait_gone();
    assert_eq!(gateway.access_of("/left")["status"].as_u64(), Some(499));
}

/// A malformed request is logged too, as what could be read of it.
#[test]
fn a_malformed_request_is_logged() {
    let origin = Origin::new();
    let gateway = logged(&origin).start();
    let mut client = gateway.client();
    client.send("GET /bad HTTP/1.1\r\nhost : t\r\n\r\n");
    client.read_response().assert_failure(400);
    gateway.out.wait("400");
    assert!(gateway.metric("ringway_failures_total", &[]) >= 1.0);
}

/// Secrets of a request are in no line of output, in none of the formats, and not in the metrics.
#[test]
fn secrets_are_seen_nowhere() {
    for format in ["json", "sanitized", "combined"] {
        let origin = Origin::new().serve(|_| ok("x"));
        let gateway = Config::to(&origin).log("access = \"stdout\"").log(&format!("format = \"{format}\"")).start();
        let mut client = gateway.client();
        client.send(
            "GET /secret?api_key=SEKRET1&x=1&token=SEKRET2&sig=sk-SEKRET3 HTTP/1.1\r\nhost: t\r\nauthorization: Bearer SEKRET4\r\n\
             x-api-key: SEKRET5\r\ncookie: session=SEKRET6\r\nproxy-authorization: Basic U0VLUkVUNw==\r\n\
             referer: http://u:SEKRET8@t/?password=SEKRET9\r\n\r\n",
        );
        assert_eq!(client.read_response().status, 200);
        gateway.out.wait("/secret");
        let metrics = gateway.admin("/metrics").text();
        let everything = format!("{}{}{metrics}", gateway.out.all().join("\n"), gateway.err.all().join("\n"));
        for secret in ["SEKRET", "U0VLUkVUNw"] {
            assert!(!everything.contains(secret), "{format}: {everything}");
        }
        // The origin still gets all of it, but for the proxy's own credential.
        let seen = origin.take_requests().remove(0);
        assert_eq!(seen.field("authorization"), Some("Bearer SEKRET4"));
        assert!(seen.target.contains("api_key=SEKRET1"));
    }
}

/// Nothing that a client sends can start a line of its own in the log.
#[test]
fn log_lines_cannot_be_forged() {
    for format in ["json", "sanitized", "combined"] {
        let origin = Origin::new().serve(|_| ok("x"));
        let gateway = Config::to(&origin).log("access = \"stdout\"").log(&format!("format = \"{format}\"")).start();
        let mut client = gateway.client();
        client.send(
            b"GET /a\"b%0Aforged HTTP/1.1\r\nhost: t\r\nuser-agent: x\" 200 \xff\\\t\"y\r\nreferer: \"quoted\"\r\n\r\n",
        );
        assert_eq!(client.read_response().status, 200);
        gateway.out.wait("forged");
        let lines = gateway.out.all();
        assert_eq!(lines.len(), 2, "the ready line and one access line: {lines:#?}");
        if format == "json" {
            assert_eq!(gateway.access().len(), 1, "valid JSON: {lines:#?}");
        }
    }
}

/// The log may be off, and may be a file.
#[test]
fn the_log_may_be_off_or_a_file() {
    let origin = Origin::new().serve(|_| ok("x"));
    let mut off = Config::to(&origin).log("access = \"off\"").start();
    assert_eq!(off.get("/off").status, 200);
    off.signal(rustix::process::Signal::TERM);
    assert_eq!(off.wait_exit(), Some(0));
    assert_eq!(off.out.whole().lines().count(), 1, "the ready line alone");
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let file = dir.path().join("access.log");
    let gateway = Config::to(&origin).log(&format!("access = {:?}", text(&file))).start_in(dir);
    assert_eq!(gateway.get("/in-a-file").status, 200);
    eventually("the line is in the file", || {
        std::fs::read_to_string(&file).is_ok_and(|log| log.contains("/in-a-file"))
    });
    assert_eq!(gateway.out.all().len(), 1);
}

/// SIGUSR1 makes a moved log file anew under its name; no line is lost on the way.
#[test]
fn a_moved_log_is_opened_again() {
    let origin = Origin::new().serve(|_| ok("x"));
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let (file, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    let gateway = Config::to(&origin).log(&format!("access = {:?}", text(&file))).start();
    let has = |file: &std::path::Path, path: &str| {
        std::fs::read_to_string(file).is_ok_and(|log| log.contains(&format!("{path}\"")))
    };
    assert_eq!(gateway.get("/before").status, 200);
    eventually("the line is in the file", || has(&file, "/before"));
    std::fs::rename(&file, &moved).expect("a file of the test");
    assert_eq!(gateway.get("/between").status, 200);
    eventually("a moved file is written on", || has(&moved, "/between"));
    gateway.signal(rustix::process::Signal::USR1);
    let mut asked = 0;
    eventually("lines go to a file of the old name", || {
        assert_eq!(gateway.get(&format!("/after/{asked}")).status, 200);
        asked += 1;
        std::fs::read_to_string(&file).is_ok_and(|log| log.contains("/after/"))
    });
    gateway.stop();
    assert!(!has(&file, "/before") && !has(&file, "/between"));
    (0..asked).for_each(|number| {
        let path = format!("/after/{number}");
        assert!(has(&moved, &path) != has(&file, &path), "{path} stands in one of the files");
    });
}

/// Metrics count requests, answers by status, failures by reason, connections and upstream connections.
#[test]
fn metrics_count() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).path("path = \"/a\"").start();
    let mut client = gateway.client();
    for target in ["/a", "/a", "/a", "/nowhere"] {
        client.send(get(target));
        client.read_response();
    }
    // An exchange is counted after its answer went out.
    eventually("the last exchange is counted", || {
        gateway.metric("ringway_failures_total", &["reason=\"no_route\""]) == 1.0
    });
    assert_eq!(gateway.metric("ringway_requests_total", &[]), 4.0);
    assert_eq!(gateway.metric("ringway_responses_total", &["code=\"200\""]), 3.0);
    assert_eq!(gateway.metric("ringway_responses_total", &["code=\"404\""]), 1.0);
    assert_eq!(gateway.metric("ringway_upstream_connects_total", &[]), 1.0);
    assert_eq!(gateway.metric("ringway_upstream_reuses_total", &[]), 2.0);
    assert_eq!(gateway.metric("ringway_connections_open", &[]), 1.0);
    drop(client);
    eventually("the connection is counted out", || gateway.metric("ringway_connections_open", &[]) == 0.0);
}

/// The metrics page is Prometheus text: every sample has its type, every histogram its sum, count and growing buckets.
#[test]
fn metrics_are_prometheus_text() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).start();
    assert_eq!(gateway.get("/").status, 200);
    let page = gateway.admin("/metrics");
    assert!(page.field("content-type").is_some_and(|t| t.starts_with("text/plain; version=0.0.4")), "{:?}", page.head);
    let text = page.text();
    let types: std::collections::HashMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert!(types.values().any(|kind| *kind == "histogram"), "{text}");
    let mut last_bucket: (String, f64) = Default::default();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (series, value) = line.rsplit_once(' ').expect("name and value");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let name = series.split('{').next().unwrap_or_default();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(types.contains_key(name) || types.get(base) == Some(&"histogram"), "{name} has no type");
        assert!(name.starts_with("ringway_") || name.starts_with("process_"), "{name}");
        if name.ends_with("_bucket") {
            assert!(last_bucket.0 != base || value >= last_bucket.1, "buckets grow: {line}");
            last_bucket = (base.to_owned(), value);
        }
    }
}

/// Health, readiness and unknown paths of the admin listener.
#[test]
fn the_admin_listener_answers() {
    let gateway = Config::to(&"http://127.0.0.1:9").start();
    assert_eq!((gateway.admin("/health").status, gateway.admin("/ready").status), (200, 200));
    assert_eq!(gateway.admin("/nowhere").status, 404);
    assert_eq!(gateway.get("/health").status, 502, "the data listener passes /health on like any path");
}

/// The admin listener may be off.
#[test]
fn the_admin_listener_may_be_off() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).server("admin = \"off\"").start();
    assert_eq!(gateway.ready.admin, None);
    assert_eq!(gateway.get("/").status, 200);
    gateway.stop();
}

/// The cache shows its numbers, and `ringway purge` reaches it by way of the admin listener; a page in a browser does not.
#[test]
fn the_cache_is_looked_at_and_purged() {
    let gateway = Config::to(&"http://127.0.0.1:9").start();
    let admin = gateway.ready.admin.expect("an admin listener");
    let stats: serde_json::Value = serde_json::from_str(&gateway.admin("/cache/stats").text()).expect("JSON");
    assert_eq!((&stats["objects"], &stats["sequence"]), (&0.into(), &0.into()), "{stats}");
    assert!(stats["capacity"].as_u64().is_some_and(|bytes| bytes > 0), "{stats}");
    assert_eq!(gateway.admin("/cache/keys").text(), "{\"keys\":[],\"more\":false}");
    let done = run(&["purge", "--admin", &format!("http://{admin}"), "--tag", "news", "--soft"]);
    assert_eq!((done.code, done.out.trim()), (Some(0), "purged tag news: is stale now (purge 1)"), "{}", done.err);
    let done = run(&["purge", "--admin", &format!("http://{admin}"), "--prefix", "example.com"]);
    assert_eq!((done.code, done.out.as_str()), (Some(1), ""));
    assert!(done.err.starts_with("error: purge: ") && done.err.contains("end the host with a slash"), "{}", done.err);
    let mut page = connect(admin);
    page.send("POST /cache/purge HTTP/1.1\r\nhost: a\r\norigin: http://a\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{\"all\":true}");
    assert_eq!(page.read_response().status, 403);
    assert_eq!(gateway.admin("/hooks/purge").status, 405);
}

/// A route that caches is counted and its version can be raised; a signed webhook purges once; a reload takes it away.
#[test]
fn the_plan_in_force_decides_on_versions_and_webhooks() {
    let config = Config::to(&"http://127.0.0.1:9").route("cache = { query = \"sorted\" }");
    let hooked = config.clone().more("[cache]\nhook_secret = \"sixteen bytes and more\"\nmemory = \"40MiB\"");
    let gateway = hooked.start();
    let admin = gateway.ready.admin.expect("an admin listener");
    assert_eq!(gateway.metric("ringway_cache_requests_total", &["route=\"all\"", "outcome=\"hit\""]), 0.0);
    assert_eq!(gateway.metric("ringway_cache_capacity_bytes", &[]), f64::from((40 << 20) - (40 << 20) / 24));
    let raise = ["purge", "--admin", &format!("http://{admin}"), "--version-of", "all"];
    assert_eq!(run(&raise).out.trim(), "purged route all: version 0 is now 1");
    let body = "{\"prefix\":\"a.example/\"}";
    let stamp = ringway::base::clock::unix_ms() / 1_000;
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"sixteen bytes and more");
    let tag = aws_lc_rs::hmac::sign(&key, format!("{stamp}.{body}").as_bytes());
    let digest: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let call = || {
        let mut client = connect(admin);
        client.send(format!(
            "POST /hooks/purge HTTP/1.1\r\nhost: a\r\nx-ringway-timestamp: {stamp}\r\nx-ringway-signature: \
             sha256={digest}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
        client.read_response().status
    };
    assert_eq!((call(), call()), (200, 401));
    assert_eq!(gateway.metric("ringway_purge_hooks_total", &["replayed"]), 1.0);
    assert!(gateway.reload(&config.toml()).0);
    assert_eq!(call(), 404);
    assert_eq!(run(&raise).out.trim(), "purged route all: version 1 is now 2");
}
