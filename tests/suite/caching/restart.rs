//! Restarts: what the next process finds of what this one had stored, and what it must not find.

use tempfile::TempDir;

use super::*;

/// An origin whose answers follow from path, query, body and the field X-A.
fn telling() -> Serving {
    Origin::new().serve(|request: &Request| {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let fields = match path {
            "/vary" => "Vary: X-A\r\n",
            "/cookie" => {
                "Cache-Control: private=\"x-mine\"\r\nSet-Cookie: s=SEKRET1\r\nX-Mine: SEKRET2\r\nX-All: 1\r\n"
            }
            "/mark" => "Cache-Control: no-store\r\n",
            "/moved" => "Location: /elsewhere\r\n",
            _ => "Surrogate-Key: all\r\n",
        };
        let body = match path {
            "/large" => "0123456789".repeat(30_000),
            "/nothing" => String::new(),
            _ => format!("{path} {query} {} {}", request.field("x-a").unwrap_or("-"), request.body.bytes.len()),
        };
        let status = if path == "/moved" { "301 Moved" } else { "200 OK" };
        let control = "Cache-Control: max-age=600\r\nAge: 5\r\nETag: \"e\"\r\n";
        if request.field("if-none-match") == Some("\"e\"") {
            return format!("HTTP/1.1 304 Not Modified\r\n{control}\r\n").into_bytes();
        }
        format!("HTTP/1.1 {status}\r\n{control}{fields}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    })
}

const RULES: &str = "post = true\nset_cookie = \"strip\"";

fn with_snapshot(origin: &Serving, folder: &TempDir) -> Config {
    let file = folder.path().join("cache.snapshot");
    Config::to(origin).cache(RULES).more(&format!("[cache]\nsnapshot = {:?}", text(&file)))
}

fn ask(gateway: &Gateway, request: &str) -> Response {
    let mut client = gateway.client();
    client.send(request);
    client.read_response()
}

fn with_field(path: &str, field: &str) -> String {
    get(path).replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"))
}

/// Answers of every kind are the same after a restart, their age goes on, and what was the first caller's alone is not in
/// the file.
#[test]
fn answers_of_every_kind_outlast_the_process() {
    let (origin, folder) = (telling(), TempDir::new().expect("a folder of its own"));
    let config = with_snapshot(&origin, &folder);
    let gateway = config.start();
    let requests = [
        get("/plain"),
        get("/plain?b=2&a=1"),
        get("/nothing"),
        get("/large"),
        get("/moved"),
        get("/cookie"),
        with_field("/vary", "X-A: 1"),
        with_field("/vary", "X-A: 2"),
        get("/vary"),
        post("/posted", "{\"a\":1}"),
        post("/posted", "{\"a\":11}"),
        with_field("/plain", "Host: u").replacen("host: t\r\n", "", 1),
    ];
    requests.iter().for_each(|request| drop(ask(&gateway, request)));
    let before: Vec<Response> = requests.iter().map(|request| ask(&gateway, request)).collect();
    assert!(before.iter().all(is_hit), "all of it is stored");
    gateway.stop();
    let bytes = std::fs::read(folder.path().join("cache.snapshot")).expect("the file was written");
    assert!(!String::from_utf8_lossy(&bytes).contains("SEKRET"));
    origin.take_requests();
    let gateway = config.start();
    gateway.err.wait("the cache starts with");
    for (request, before) in requests.iter().zip(&before) {
        let response = ask(&gateway, request);
        assert!(is_hit(&response) && response.status == before.status, "{request:?}: {:?}", response.head);
        assert!(response.body.bytes == before.body.bytes, "{request:?}");
        let age = response.field("age").and_then(|age| age.parse::<u64>().ok());
        assert!(age >= Some(5), "{request:?}: {:?}", response.head);
        assert_eq!((response.field("set-cookie"), response.field("x-mine")), (None, None));
        let lasting = |response: &Response| -> Vec<(String, String)> {
            let own = ["age", "x-request-id", "cache-status", "connection"];
            let fields = response.head.fields.iter();
            fields.filter(|(name, _)| !own.contains(&name.to_ascii_lowercase().as_str())).cloned().collect()
        };
        assert_eq!(lasting(&response), lasting(before), "{request:?}");
    }
    // Ranges and conditions are judged by what was read back.
    let part = ask(&gateway, &with_field("/large", "Range: bytes=299995-"));
    assert_eq!((part.status, part.text().as_str()), (206, "56789"));
    assert_eq!(ask(&gateway, &with_field("/plain", "If-None-Match: \"e\"")).status, 304);
    assert!(origin.take_requests().is_empty(), "the origin is not asked");
    // What was read back is purged as before.
    gateway.admin_post("/cache/purge", "{\"url\":\"http://t/plain\"}");
    assert!(!is_hit(&gateway.get("/plain")) && is_hit(&gateway.get("/plain?b=2&a=1")));
    gateway.admin_post("/cache/purge", "{\"tag\":\"all\"}");
    assert!(!is_hit(&gateway.get("/plain?b=2&a=1")) && is_hit(&gateway.get("/moved")));
}

/// What was purged, what could not be stored, and what has a secret in its URL is not there after a restart; what was purged
/// softly is asked for.
#[test]
fn what_is_gone_stays_gone() {
    let (origin, folder) = (telling(), TempDir::new().expect("a folder of its own"));
    let config = with_snapshot(&origin, &folder);
    let gateway = config.start();
    let paths = ["/hard", "/soft", "/mark", "/secret?access_token=SEKRET3", "/stays"];
    paths.iter().for_each(|path| drop(gateway.get(path)));
    gateway.admin_post("/cache/purge", "{\"url\":\"http://t/hard\"}");
    gateway.admin_post("/cache/purge", "{\"url\":\"http://t/soft\",\"soft\":true}");
    gateway.stop();
    let bytes = std::fs::read(folder.path().join("cache.snapshot")).expect("the file was written");
    assert!(!String::from_utf8_lossy(&bytes).contains("SEKRET"));
    origin.take_requests();
    let gateway = config.start();
    let status = |path: &str| gateway.get(path).head.all("cache-status").join(", ");
    assert!(is_hit(&gateway.get("/stays")));
    assert!(status("/hard").contains("fwd=uri-miss; stored"));
    assert!(status("/soft").contains("fwd-status=304"));
    assert!(status("/mark").contains("detail=no_store"), "no mark is left");
    assert!(status("/secret?access_token=SEKRET3").contains("fwd=uri-miss"));
    let asked: Vec<String> = origin.take_requests().iter().map(Request::brief).collect();
    assert_eq!(asked, ["GET /hard", "GET /soft", "GET /mark", "GET /secret?access_token=SEKRET3"]);
}

/// Other rules for the key, or an upstream of another host, find nothing of what was stored under the former ones; changes
/// that do not concern what an answer is find all of it.
#[test]
fn another_ground_finds_nothing() {
    let (origin, other, folder) = (telling(), telling(), TempDir::new().expect("a folder of its own"));
    let config = with_snapshot(&origin, &folder);
    let gateway = config.start();
    gateway.get("/plain");
    gateway.stop();
    let changes: [(&str, Config, bool); 5] = [
        ("nothing", config.clone(), true),
        ("the jitter", config.clone().cache("jitter = 5"), true),
        ("the key", config.clone().cache("query = \"sorted\""), false),
        ("where the upstream stands", with_snapshot(&other, &folder), true),
        ("what the upstream serves", config.clone().upstream("host = \"other.test\""), false),
    ];
    for (name, changed, found) in changes {
        let gateway = changed.start();
        let response = ask(&gateway, &with_field("/plain", "cache-control: only-if-cached"));
        assert_eq!(response.status == 200, found, "{name}: {:?}", response.head);
        // The file is to stay as it is for the next one.
        drop(gateway);
    }
}

/// A purge outlasts a kill: the file that held the answer is soon one that does not.
#[test]
fn a_purge_outlasts_a_kill() {
    let (origin, folder) = (telling(), TempDir::new().expect("a folder of its own"));
    let config = with_snapshot(&origin, &folder).more("snapshot_interval = \"1s\"");
    let gateway = config.start();
    gateway.get("/large");
    let file = folder.path().join("cache.snapshot");
    let held = || std::fs::metadata(&file).is_ok_and(|file| file.len() > 300_000);
    eventually("the snapshot holds the answer", held);
    gateway.admin_post("/cache/purge", "{\"all\":true}");
    eventually("the snapshot holds it no more", || !held());
    // Killed.
    drop(gateway);
    let gateway = config.start();
    assert!(!is_hit(&gateway.get("/large")));
}
