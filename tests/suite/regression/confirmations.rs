//! What the origin says about a stored answer: that it holds, that it may not be kept, that it fails. Whatever it says,
//! the client gets an answer, and what is stored stays as long as it may bridge a failure.

use super::*;

const A: &str = "200|Cache-Control: max-age=60|ETag: \"e\"|=a";
const OLD: &str = "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|=old";
const OLD_WHILE: &str = "200|Cache-Control: max-age=60, stale-while-revalidate=60|Age: 70|ETag: \"e\"|=old";
const BRIDGED: &str = "200|Cache-Control: max-age=60, stale-if-error=60|ETag: \"e\"|=a";
const NEW: &str = "200|Cache-Control: max-age=60|=new";

/// 304 that may not be stored.
#[rustfmt::skip] // a row stays a line
const LAST: &[Row] = &[
    ("no-store", &[("GET", OLD, "200 -"), ("GET", "304|Cache-Control: no-store|ETag: \"e\"", "200 valid|=old"), ("GET", NEW, "200 miss|=new|>!If-None-Match"), ("GET", "", "200 hit|=new")]),
    ("private", &[("GET", OLD, "200 -"), ("GET", "304|Cache-Control: private|ETag: \"e\"", "200 valid|=old"), ("GET", NEW, "200 miss|=new"), ("GET", "", "200 hit|=new")]),
    ("Vary: *", &[("GET", OLD, "200 -"), ("GET", "304|Cache-Control: max-age=60|Vary: *|ETag: \"e\"", "200 valid|=old"), ("GET", NEW, "200 miss|=new"), ("GET", "", "200 hit|=new")]),
    ("Vary on what was not chosen by", &[("GET", OLD, "200 -"), ("GET", "304|Cache-Control: max-age=60|Vary: X-A|ETag: \"e\"", "200 valid|=old"), ("GET|X-A: 1", NEW, "200 miss|=new")]),
    ("another entity tag", &[("GET", OLD, "200 -"), ("GET", "304|Cache-Control: max-age=60|ETag: \"f\" && 200|Cache-Control: max-age=60|=new", "200 miss|=new|>!If-None-Match"), ("GET", "", "200 hit|=new")]),
    ("another entity tag, and a part is wanted", &[("GET", OLD, "200 -"), ("GET|Range: bytes=1-1", "304|ETag: \"f\" && 200|Cache-Control: max-age=60|=new", "200 pass detail=range|=new|>Range: bytes=1-1")]),
    ("no-store is said to the client too", &[("GET", OLD, "200 -"), ("GET", "304|Cache-Control: no-store|X-New: 1|ETag: \"e\"", "200 valid|=old|Cache-Control: no-store|X-New: 1")]),
    ("no-store, and the client knows it", &[("GET", OLD, "200 -"), ("GET|If-None-Match: \"e\"", "304|Cache-Control: no-store|ETag: \"e\"", "304 -"), ("GET", NEW, "200 miss|=new")]),
    ("no-store, and a part is wanted", &[("GET", OLD, "200 -"), ("GET|Range: bytes=1-1", "304|Cache-Control: no-store|ETag: \"e\"", "206 -|=l"), ("GET", NEW, "200 miss|=new")]),
    ("no-store, and the client insisted", &[("GET", A, "200 miss"), ("GET|Cache-Control: no-cache", "304|Cache-Control: no-store|ETag: \"e\"", "200 -|=a"), ("GET", NEW, "200 miss|=new")]),
];

/// A 304 that may not be stored gives the client the confirmed body, one that confirms something else a fresh one; what
/// was stored is gone. The client had 502, and where other fields choose from now on, what was stored stayed.
#[test]
fn a_last_confirmation_is_an_answer() {
    Stage::new("").play(&Case::all(LAST));
}

/// The same for many who wait for the word of the origin: each has an answer, and not each of them asks again.
#[test]
fn a_last_confirmation_is_an_answer_for_all() {
    // Where it said for whom it is (Vary, private), each asks for itself.
    let kinds = [("Cache-Control: no-store\r\nETag: \"e\"", "old"), ("ETag: \"f\"", "new")];
    for (said, body) in kinds {
        let origin = Origin::new();
        let gateway = Config::to(&origin).cache("").start();
        let (first, mut peer) = being_confirmed(&gateway, &origin);
        let mut all = vec![first];
        for _ in 0..9 {
            let mut client = gateway.client();
            client.send(get("/"));
            all.push(client);
        }
        eventually("all wait", || gateway.metric("ringway_exchanges_active", &[]) >= 10.0);
        peer.send(format!("HTTP/1.1 304 Not Modified\r\n{said}\r\n\r\n"));
        if body == "new" {
            let (fresh, seen) = origin.accept_request_on(&mut peer);
            assert_eq!(seen.field("if-none-match"), None);
            fresh.unwrap_or(peer).send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nnew");
        }
        for client in &mut all {
            let response = client.read_response();
            assert_eq!((response.status, response.text().as_str()), (200, body), "{said}: {:?}", response.head);
        }
        origin.expect_no_connection();
    }
}

/// An origin that fails.
#[rustfmt::skip]
const FAILURES: &[Row] = &[
    ("429 beside a stale answer", &[("GET", OLD_WHILE, "200 -"), ("GET", "429|=no", "200 stale|=old"), ("...GET", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 hit|=old")]),
    ("503 beside a stale answer", &[("GET", OLD_WHILE, "200 -"), ("GET", "503|Retry-After: 9|=no", "200 stale|=old"), ("...GET", "304|Cache-Control: max-age=60|ETag: \"e\"", "200 hit|=old")]),
    ("503 for who insists", &[("GET", A, "200 miss"), ("GET|Cache-Control: no-cache", "503|Retry-After: 7|=down", "503 -|Retry-After: 7|=down"), ("GET", "", "200 hit|=a")]),
    ("503 for who insists, where the answer bridges failures", &[("GET", BRIDGED, "200 miss"), ("GET|Cache-Control: no-cache", "503|Retry-After: 7|=down", "503 -|Retry-After: 7|=down"), ("GET", "", "200 hit|=a")]),
    ("503 for who takes nothing stale", &[("GET", OLD, "200 -"), ("GET", "503|Retry-After: 7|=down", "503 -|Retry-After: 7|=down")]),
];

/// An error of the moment keeps what is stored, and who may not have it gets the origin's own words. They were dropped.
#[test]
fn an_error_of_the_moment_keeps_what_is_stored() {
    Stage::new("").play(&Case::all(FAILURES));
}

/// Conditions, and requests for what is stored only.
#[rustfmt::skip]
const CONDITIONS: &[Row] = &[
    ("If-Match and a stale answer", &[("GET", OLD, "200 -"), ("GET|If-Match: \"e\"", "200|=now", "200 pass detail=precondition|=now|>If-Match: \"e\"|>!If-None-Match")]),
    ("If-Unmodified-Since and a stale answer", &[("GET", OLD, "200 -"), ("GET|If-Unmodified-Since: {-10}", "412|=no", "412 pass detail=precondition|=no|>If-Unmodified-Since: {-10}")]),
    ("only-if-cached under a mark", &[("GET", "200|Cache-Control: no-store|=a", "200 pass detail=no_store"), ("GET|Cache-Control: only-if-cached", "", "504 -"), ("GET", "200|Cache-Control: no-store|=b", "200 pass detail=hit_for_miss|=b")]),
    ("only-if-cached with no-store", &[("GET|Cache-Control: only-if-cached, no-store", "", "504 -"), ("GET", A, "200 miss"), ("GET|Cache-Control: no-store, only-if-cached", "", "504 -")]),
    ("412 is dated", &[("GET", A, "200 miss"), ("GET|If-Match: \"f\"", "", "412 -|Date")]),
    ("412 is dated, where the origin said no date", &[("GET", "200|Cache-Control: max-age=60|Date: {-5}|ETag: \"e\"|=a", "200 miss"), ("GET|If-Match: \"f\"", "", "412 -|Date"), ("HEAD|If-Match: \"f\"", "", "412 -|Date")]),
    ("416 is dated", &[("GET", A, "200 miss"), ("GET|Range: bytes=20-", "", "416 -|Date|Content-Range: bytes */1")]),
];

/// What cannot be judged by what is stored goes to the origin, what must not is 504, and every refusal carries its date.
#[test]
fn conditions_and_marks() {
    Stage::new("").play(&Case::all(CONDITIONS));
}

/// A condition that matches what nobody had stored is 304 for its sender, and the answer arrives to be stored all the same,
/// though its sender has left.
#[test]
fn a_cold_condition_stores_what_it_fetched() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let mut client = gateway.client();
    client.send("GET /cold HTTP/1.1\r\nhost: t\r\nif-none-match: \"e\"\r\n\r\n");
    let (mut peer, seen) = origin.accept_request();
    assert_eq!(seen.field("if-none-match"), None);
    peer.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"e\"\r\nContent-Length: 10\r\n\r\nfirst");
    assert_eq!(client.read_response().status, 304);
    drop(client);
    eventually("it has left", || gateway.metric("ringway_connections_open", &[]) < 1.0);
    peer.send("other");
    let response = gateway.get("/cold");
    assert_eq!((response.status, response.text().as_str()), (200, "firstother"));
    origin.expect_no_connection();
}

/// A purge while an answer is being confirmed: the origin is asked for a fresh one. The purged one was
/// served.
#[test]
fn a_purge_while_it_is_confirmed() {
    for purge in ["{\"url\":\"http://t/\"}", "{\"all\":true}", "{\"tag\":\"x\"}", "{\"prefix\":\"t/\"}"] {
        let origin = Origin::new();
        let gateway = Config::to(&origin).cache("").start();
        let (mut client, mut peer) = being_confirmed(&gateway, &origin);
        gateway.admin_post("/cache/purge", purge);
        peer.send("HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nETag: \"e\"\r\n\r\n");
        let (fresh, seen) = origin.accept_request_on(&mut peer);
        assert_eq!(seen.field("if-none-match"), None, "{purge}");
        fresh.unwrap_or(peer).send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nnew");
        let response = client.read_response();
        assert_eq!((response.status, response.text().as_str()), (200, "new"), "{purge}");
        assert_eq!(gateway.get("/").text(), "new", "{purge}");
    }
}

/// A stale answer with the tag `x` is stored, and a client waits for the word of the origin on it.
#[track_caller]
fn being_confirmed(gateway: &Gateway, origin: &Origin) -> (Connection, Connection) {
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    let old = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nAge: 70\r\nSurrogate-Key: x\r\nETag: \"e\"\r\n";
    peer.send(format!("{old}Content-Length: 3\r\n\r\nold"));
    assert_eq!(client.read_response().text(), "old");
    client.send(get("/"));
    assert_eq!(peer.read_request().field("if-none-match"), Some("\"e\""));
    (client, peer)
}

/// A 304 on a connection that the origin closes ends that connection: the next request has another one. It was pooled, and
/// a POST that may not be sent twice was lost on it.
#[test]
fn a_confirmation_may_close_its_connection() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("").start();
    let (mut client, mut peer) = being_confirmed(&gateway, &origin);
    peer.send("HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nETag: \"e\"\r\nConnection: close\r\n\r\n");
    assert_eq!(client.read_response().text(), "old");
    client.send(post("/", "x"));
    let (mut fresh, seen) = origin.accept_request();
    assert_eq!(seen.brief(), "POST / x");
    fresh.send(ok("done"));
    assert_eq!(client.read_response().text(), "done");
    peer.wait_gone();
}

/// A reload that changes the edits of a route while a stored answer is being confirmed: every later answer carries the new
/// ones. A head rendered by the old rules was kept.
#[test]
fn a_reload_while_it_is_confirmed() {
    let origin = Origin::new();
    let edited = |by: &str| {
        Config::to(&origin).route(&format!("[route.response]\nset = {{ x-served-by = \"{by}\" }}")).cache("")
    };
    let gateway = edited("old rules").start();
    let (mut client, mut peer) = being_confirmed(&gateway, &origin);
    let (taken, line) = gateway.reload(&edited("new rules").toml());
    assert!(taken, "{line}");
    peer.send("HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nETag: \"e\"\r\n\r\n");
    assert_eq!(client.read_response().text(), "old");
    for turn in 0..3 {
        let response = gateway.get("/");
        assert_eq!(
            (response.text().as_str(), response.field("x-served-by")),
            ("old", Some("new rules")),
            "turn {turn}"
        );
    }
    origin.expect_no_connection();
}

/// The tags of a confirmation take the place of the former ones: a purge finds the answer by them.
#[test]
fn a_confirmation_may_bring_tags() {
    let stage = Stage::new("");
    let old = "200|Cache-Control: max-age=60|Age: 70|ETag: \"e\"|Surrogate-Key: before|=a";
    let confirmed = "304|Cache-Control: max-age=60|ETag: \"e\"|Surrogate-Key: behind";
    let steps =
        [["GET /tagged", old, "200 -"], ["GET /tagged", confirmed, "200 valid"], ["GET /tagged", "", "200 hit|=a"]];
    stage.play(&[Case::made("a new tag", &steps)]);
    stage.gateway.admin_post("/cache/purge", "{\"tag\":\"behind\"}");
    stage.play(&[Case::made("is purged by", &[["GET /tagged", NEW, "200 miss|=new"]])]);
}
