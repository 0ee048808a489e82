//! Purging over the admin listener: what goes, what stays, and who may ask for it.

use aws_lc_rs::hmac;

use super::*;

const SECRET: &str = "a secret of the hook, long enough";

/// A gateway with an origin whose answers carry the tags that their query names.
fn tagged(cache: &str) -> (Serving, Gateway) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let origin = Origin::new().serve(move |request: &Request| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let body = format!("answer {number}");
        let tags = request.target.split_once("tags=").map(|(_, tags)| tags.replace('+', " ")).unwrap_or_default();
        let fields =
            format!("Cache-Control: max-age=60\r\nETag: \"{number}\"\r\nSurrogate-Key: {tags}\r\nCache-Tag: x-{tags}");
        format!("HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    });
    let gateway = Config::to(&origin).cache(cache).start();
    (origin, gateway)
}

/// Fetches these paths, purges, and returns which of them are still there.
#[track_caller]
fn left_after(gateway: &Gateway, paths: &[&str], purge: &str) -> Vec<String> {
    for path in paths {
        gateway.get(path);
        assert!(is_hit(&gateway.get(path)), "{path} is stored");
    }
    gateway.admin_post("/cache/purge", purge);
    let left = paths.iter().filter(|path| {
        let mut client = gateway.client();
        client.send(get(path).replace("\r\n\r\n", "\r\ncache-control: only-if-cached\r\n\r\n"));
        client.read_response().status == 200
    });
    left.map(|path| (*path).to_owned()).collect()
}

/// One URL goes, with its query; its neighbours stay.
#[test]
fn by_url() {
    let (_origin, gateway) = tagged("");
    let paths = ["/a", "/a?x=1", "/a/b", "/ab"];
    assert_eq!(left_after(&gateway, &paths, "{\"url\":\"http://t/a\"}"), ["/a?x=1", "/a/b", "/ab"]);
    assert_eq!(left_after(&gateway, &paths, "{\"url\":\"http://T:80/a?x=1\"}"), ["/a", "/a/b", "/ab"]);
    assert_eq!(left_after(&gateway, &paths, "{\"url\":\"http://u/a\"}"), paths);
    assert_eq!(left_after(&gateway, &paths, "{\"url\":\"http://t/a\",\"method\":\"GET\"}"), ["/a?x=1", "/a/b", "/ab"]);
}

/// By URL: every caller's answer and every variant goes.
#[test]
fn by_url_for_every_caller() {
    let (_origin, gateway) = tagged("authorization = \"own\"");
    let mut client = gateway.client();
    let mut ask = |caller: &str| {
        client.send(format!("GET /a HTTP/1.1\r\nhost: t\r\nauthorization: {caller}\r\n\r\n"));
        is_hit(&client.read_response())
    };
    assert_eq!([ask("a"), ask("b"), ask("a"), ask("b")], [false, false, true, true]);
    gateway.admin_post("/cache/purge", "{\"url\":\"http://t/a\"}");
    assert_eq!([ask("a"), ask("b")], [false, false]);
}

/// By prefix of the URL.
#[test]
fn by_prefix() {
    let (_origin, gateway) = tagged("");
    let paths = ["/img/1", "/img/2?x", "/im", "/other"];
    assert_eq!(left_after(&gateway, &paths, "{\"prefix\":\"t/img/\"}"), ["/im", "/other"]);
    assert_eq!(left_after(&gateway, &paths, "{\"prefix\":\"http://t/img\"}"), ["/im", "/other"]);
    assert_eq!(left_after(&gateway, &paths, "{\"prefix\":\"u/\"}"), paths);
}

/// By tag, of either field; several tags at once.
#[test]
fn by_tag() {
    let (_origin, gateway) = tagged("");
    let paths = ["/1?tags=red", "/2?tags=red+big", "/3?tags=big", "/4?tags=reddish", "/5"];
    let [one, two, three, four, five] = paths;
    assert_eq!(left_after(&gateway, &paths, "{\"tag\":\"red\"}"), [three, four, five]);
    assert_eq!(left_after(&gateway, &paths, "{\"tags\":[\"reddish\",\"big\"]}"), [one, five]);
    assert_eq!(left_after(&gateway, &paths, "{\"tag\":\"x-red\"}"), [two, three, four, five]);
    assert_eq!(left_after(&gateway, &paths, "{\"tag\":\"RED\"}"), paths);
}

/// All of it.
#[test]
fn all() {
    let (_origin, gateway) = tagged("");
    assert!(left_after(&gateway, &["/a", "/b?x", "/c?tags=x"], "{\"all\":true}").is_empty());
    eventually("the memory is given back", || gateway.metric("ringway_cache_objects", &[]) < 1.0);
    assert!(gateway.metric("ringway_cache_purged_total", &[]) >= 3.0);
}

/// By the key that the list of keys shows.
#[test]
fn by_key() {
    let (_origin, gateway) = tagged("");
    gateway.get("/a");
    let listed: serde_json::Value = serde_json::from_slice(&gateway.admin("/cache/keys").body.bytes).expect("JSON");
    let hash = find_hash(&listed).unwrap_or_else(|| panic!("a hash of 32 digits in {listed}"));
    assert!(left_after(&gateway, &["/a"], &format!("{{\"key\":\"{hash}\"}}")).is_empty());
    assert_eq!(left_after(&gateway, &["/a"], &format!("{{\"key\":\"{}\"}}", "0".repeat(32))), ["/a"]);
}

/// The first text of 32 hexadecimal digits.
fn find_hash(json: &serde_json::Value) -> Option<String> {
    match json {
        serde_json::Value::String(text) => {
            (text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.clone())
        }
        serde_json::Value::Array(all) => all.iter().find_map(find_hash),
        serde_json::Value::Object(all) => all.values().find_map(find_hash),
        _ => None,
    }
}

/// A soft purge makes stale: the origin is asked with the validator, and its word counts; stale-while-revalidate bridges.
#[test]
fn softly() {
    let stage = Stage::new("");
    let soft = |path: &str| {
        let url = format!("{{\"url\":\"http://t{path}\",\"soft\":true}}");
        stage.gateway.admin_post("/cache/purge", &url);
    };
    let plain = "200|Cache-Control: max-age=60|ETag: \"e\"|=a";
    stage.play(&[Case::made("before", &[["GET /soft", plain, "200 miss"], ["GET /soft", "", "200 hit"]])]);
    soft("/soft");
    stage.play(&[Case::made(
        "soft",
        &[
            ["GET /soft", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 valid|=a|>If-None-Match: \"e\""],
            ["GET /soft", "", "200 hit|=a"],
        ],
    )]);
    let bridged = "200|Cache-Control: max-age=60, stale-while-revalidate=60, stale-if-error=60|ETag: \"e\"|=a";
    stage.play(&[Case::made("before", &[["GET /bridged", bridged, "200 miss"]])]);
    soft("/bridged");
    stage.play(&[Case::made(
        "bridged",
        &[["GET /bridged", "200|Cache-Control: max-age=60|=b", "200 -|=a"], ["...GET /bridged", "", "200 hit|=b"]],
    )]);
}

/// A version of a route is raised: nothing of it is found any more, other routes keep theirs.
#[test]
fn by_version() {
    let origin = counting("");
    let more = "[[route]]\nname = \"other\"\npath = \"/other\"\nupstream = \"origin\"\n[route.cache]";
    let gateway = Config::to(&origin).cache("").more(more).start();
    for path in ["/a", "/b", "/other"] {
        gateway.get(path);
        assert!(is_hit(&gateway.get(path)));
    }
    gateway.admin_post("/cache/version", "{\"route\":\"all\"}");
    assert_eq!(
        [is_hit(&gateway.get("/a")), is_hit(&gateway.get("/b")), is_hit(&gateway.get("/other"))],
        [false, false, true]
    );
    assert!(is_hit(&gateway.get("/a")));
    assert!(gateway.reload(&Config::to(&origin).cache("").more(more).toml()).0);
    assert!(is_hit(&gateway.get("/a")), "a reload keeps the version");
    let refused = gateway.admin_post_with("/cache/version", "", "{\"route\":\"nobody\"}");
    assert!((400..500).contains(&refused.status), "{}", refused.text());
}

/// A purge has reached every core when its answer is there.
#[test]
fn on_every_core() {
    let origin = counting("");
    let gateway = Gateway::start_on_cores(&Config::to(&origin).cache("").toml(), 2);
    let mut all: Vec<Connection> = (0..16).map(|_| gateway.client()).collect();
    for _ in 0..30 {
        let before: Vec<String> = all.iter_mut().map(|client| ask(client, "/hot")).collect();
        assert!(before.iter().all(|text| *text == before[0]), "{before:?}");
        gateway.admin_post("/cache/purge", "{\"url\":\"http://t/hot\"}");
        let after: Vec<String> = all.iter_mut().map(|client| ask(client, "/hot")).collect();
        assert!(after.iter().all(|text| *text == after[0] && *text != before[0]), "{before:?} {after:?}");
    }
}

fn ask(client: &mut Connection, path: &str) -> String {
    client.send(get(path));
    client.read_response().text()
}

/// Requests that are wrong are refused and named; nothing is purged.
#[test]
fn wrong_requests_are_refused() {
    let (_origin, gateway) = tagged("");
    gateway.get("/a");
    for json in [
        "",
        "{}",
        "[]",
        "{\"url\":\"http://t/a\",\"all\":true}",
        "{\"all\":false}",
        "{\"urls\":\"http://t/a\"}",
        "{\"key\":\"xyz\"}",
        "{\"url\":5}",
        "{\"soft\":true}",
    ] {
        let response = gateway.admin_post_with("/cache/purge", "", json);
        assert_eq!(response.status, 400, "{json}: {}", response.text());
        assert!(response.text().contains("message"), "{json}: {}", response.text());
    }
    assert_eq!(gateway.admin("/cache/purge?all=true").status, 405);
    // No page in a browser can purge.
    let json = "{\"all\":true}";
    assert_eq!(gateway.admin_post_with("/cache/purge", "origin: http://evil.test\r\n", json).status, 403);
    let mut client = connect(gateway.ready.admin.expect("an admin listener"));
    client.send(format!(
        "POST /cache/purge HTTP/1.1\r\nhost: admin\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{json}",
        json.len()
    ));
    let response = client.read_response();
    assert!((400..500).contains(&response.status), "{}", response.status);
    assert!(is_hit(&gateway.get("/a")));
}

/// The fields of a hook's request.
fn signed(secret: &str, unix_s: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{unix_s}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x-ringway-timestamp: {unix_s}\r\nx-ringway-signature: sha256={hex}\r\n")
}

/// A signed hook purges; unsigned, wrongly signed, old and repeated ones do not.
#[test]
fn by_a_signed_hook() {
    let origin = counting("");
    let gateway = Config::to(&origin).cache("").more(&format!("[cache]\nhook_secret = {SECRET:?}")).start();
    let body = "{\"url\":\"http://t/a\"}";
    let now = unix_ms() / 1_000;
    let stored = || {
        gateway.get("/a");
        assert!(is_hit(&gateway.get("/a")));
    };
    stored();
    let good = signed(SECRET, now, body);
    let refused = [
        ("unsigned", String::new(), body),
        ("another secret", signed("another secret, as long as that", now, body), body),
        ("another body", good.clone(), "{\"all\":true}"),
        ("old", signed(SECRET, now - 400, body), body),
        ("of the future", signed(SECRET, now + 400, body), body),
        ("another time", good.replace(&now.to_string(), &(now + 1).to_string()), body),
        ("half a signature", good[..good.len() - 12].to_owned() + "\r\n", body),
    ];
    for (name, fields, body) in &refused {
        assert_eq!(gateway.admin_post_with("/hooks/purge", fields, body).status, 401, "{name}");
    }
    assert!(is_hit(&gateway.get("/a")), "none of them purged");
    assert_eq!(gateway.admin_post_with("/hooks/purge", &good, body).status, 200);
    assert!(!is_hit(&gateway.get("/a")));
    stored();
    let repeated = gateway.admin_post_with("/hooks/purge", &good, body);
    assert_eq!(repeated.status, 401, "{}", repeated.text());
    assert!(is_hit(&gateway.get("/a")));
    let everything = gateway.err.all().join("\n") + &gateway.admin("/metrics").text() + &repeated.text();
    assert!(!everything.contains(SECRET));
}

/// Without a secret there is no hook, and the answer says how to have one.
#[test]
fn a_hook_needs_a_secret() {
    let (_origin, gateway) = tagged("");
    let response = gateway.admin_post_with("/hooks/purge", &signed("x", unix_ms() / 1_000, "{}"), "{}");
    assert_eq!(response.status, 404);
    assert!(response.text().contains("hook_secret"), "{}", response.text());
}

/// `ringway purge` does the same from a shell; when it cannot, it says what and exits with 1.
#[test]
fn by_the_command() {
    let (_origin, gateway) = tagged("");
    let admin = format!("http://{}", gateway.ready.admin.expect("an admin listener"));
    for (path, arguments) in [
        ("/a", vec!["--url", "http://t/a"]),
        ("/b", vec!["--prefix", "t/b"]),
        ("/c?tags=red", vec!["--tag", "red"]),
        ("/d", vec!["--all"]),
        ("/e", vec!["--version-of", "all"]),
    ] {
        gateway.get(path);
        assert!(is_hit(&gateway.get(path)));
        let ended = run(&[&["purge", "--admin", &admin], arguments.as_slice()].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        assert!(!is_hit(&gateway.get(path)), "{arguments:?}");
    }
    let port = ReservedPort::new();
    let ended = run(&["purge", "--admin", &format!("http://{}", port.address), "--all"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("error:") && ended.err.contains(&port.address.to_string()), "{ended:?}");
}
