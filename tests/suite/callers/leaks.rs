//! Planted keys: nothing that the origin receives and nothing that the gateway writes holds one, whatever way a request
//! takes.

use super::super::h2_upstream::origin::{Answer, H2Origin};
use super::*;
use base64::Engine as _;

/// All fields in which a key may stand, each with the key, and twins of them.
fn planted(key: &str) -> String {
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{key}:"));
    format!(
        "authorization: Bearer {key}\r\nauthorization: Basic {basic}\r\nx-api-key: {key}\r\napi-key: {key}\r\n\
         x-goog-api-key: {key}\r\nproxy-authorization: Bearer {key}\r\nx_api_key: {key}\r\napi_key: {key}\r\n\
         X_Goog_Api_Key: {key}\r\n"
    )
}

#[track_caller]
fn assert_clean(what: &str, text: &str, key: &str) {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{key}:"));
    assert!(!text.contains(&key[16..]) && !text.contains(&encoded), "the key is in {what}: {text}");
    assert!(!text.contains("of-the-house") || what == "a request", "the credential is in {what}: {text}");
}

/// Pass, flight, revalidation, retry and large bodies: the origin sees the house's credential alone, and the gateway's own
/// words hold neither.
#[test]
fn no_way_through_the_gateway_shows_a_key() {
    let origin = Origin::new().serve(|request| match request.target.as_str() {
        "/drop" => super::super::harness::origin::Reply { bytes: Vec::new(), close: true },
        "/stale" if request.field("if-none-match").is_some() => {
            b"HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\ncache-control: public, max-age=0\r\n\r\n".to_vec().into()
        }
        "/stale" => b"HTTP/1.1 200 OK\r\netag: \"1\"\r\ncache-control: public, max-age=0\r\ncontent-length: 1\r\n\r\ns"
            .to_vec()
            .into(),
        "/kept" => {
            b"HTTP/1.1 200 OK\r\ncache-control: public, max-age=60\r\ncontent-length: 1\r\n\r\nk".to_vec().into()
        }
        _ => ok("passed").into(),
    });
    let keys = Keys::new();
    let key = keys.create("ci", &[]);
    let config = keys.config(&origin).cache("");
    let gateway = config.start_in(keys.dir);
    let fields = planted(&key);
    let request =
        |method: &str, path: &str, more: &str| format!("{method} {path} HTTP/1.1\r\nhost: t\r\n{fields}{more}\r\n");
    let large = "x".repeat(300_000);
    let body = format!("content-length: {}\r\n", large.len());
    let mut asked = vec![
        request("GET", "/kept", ""),
        request("GET", "/kept", ""),
        request("GET", "/stale", ""),
        request("GET", "/stale", ""),
        request("GET", "/pass", "cache-control: no-store\r\n"),
        request("GET", "/named", "connection: authorization, x-api-key\r\n"),
        request("DELETE", "/delete", ""),
        request("GET", "/drop", ""),
        request("POST", "/large", &body) + &large,
    ];
    asked.push(request("POST", "/chunked", "transfer-encoding: chunked\r\n") + "1\r\nx\r\n0\r\n\r\n");
    for request in &asked {
        let (_, text) = outcome(&gateway, request);
        assert_clean("an answer", &text, &key);
    }
    let received = origin.take_requests();
    let ways: Vec<String> = received.iter().map(|r| format!("{} {}", r.method, r.target)).collect();
    assert!(ways.len() >= 9 && ways.iter().filter(|way| *way == "GET /drop").count() > 1, "{ways:?}");
    assert_eq!(ways.iter().filter(|way| *way == "GET /kept").count(), 1, "{ways:?}");
    assert!(received.iter().any(|r| r.field("if-none-match").is_some()), "{ways:?}");
    for request in &received {
        assert_clean("a request", &String::from_utf8_lossy(&request.head.raw), &key);
        assert_eq!(request.head.all("authorization"), ["Bearer of-the-house"], "{}", request.target);
        for name in ["x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "x_api_key", "api_key"] {
            assert!(request.head.all(name).is_empty(), "{name} {}", request.target);
        }
    }
    gateway.access_of("/chunked");
    for (what, text) in [
        ("the log", gateway.out.all().join("\n")),
        ("stderr", gateway.err.all().join("\n")),
        ("metrics", gateway.admin("/metrics").text()),
        ("the cache's keys", gateway.admin("/cache/keys").text()),
        ("the list of callers", gateway.admin("/callers").text()),
    ] {
        assert_clean(what, &text, &key);
    }
}

/// The upgrade of a connection and HTTP/2 towards the upstream write their heads elsewhere: nothing there either.
#[test]
fn upgrades_and_http2_show_no_key() {
    let keys = Keys::new();
    let key = keys.create("ci", &[]);
    let origin = Origin::new();
    let config = keys.config(&origin);
    let gateway = config.start_in(keys.dir);
    let mut client = gateway.client();
    client.send(format!(
        "GET /ws HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: websocket\r\n{}\r\n",
        planted(&key)
    ));
    let (_peer, request) = origin.accept_request();
    assert_clean("a request", &String::from_utf8_lossy(&request.head.raw), &key);
    assert_eq!(request.head.all("authorization"), ["Bearer of-the-house"]);

    let keys = Keys::new();
    let key = keys.create("ci", &[]);
    let origin = H2Origin::clear().serve(|_| Answer::ok("h2"));
    let config = origin
        .config()
        .route("callers = \"required\"")
        .upstream("credential = { header = { name = \"X-Api-Key\", value = \"of-the-house\" } }")
        .more("[callers]\nstore = \"callers.json\"");
    let gateway = config.start_in(keys.dir);
    assert_eq!(outcome(&gateway, &format!("GET / HTTP/1.1\r\nhost: t\r\n{}\r\n", planted(&key))).0, 200);
    for request in origin.take_requests() {
        let fields = format!("{:?}", request.fields);
        assert_clean("a request", &fields, &key);
        assert_eq!(request.field("x-api-key"), Some("of-the-house"), "{fields}");
        assert!(request.field("authorization").is_none());
    }
}

/// Two keys share no stored answer unless the route says so; a revoked key gets none.
#[test]
fn keys_share_stored_answers_only_where_the_route_says_so() {
    for (lines, asked) in [("", 2), ("authorization = \"shared\"", 1)] {
        let reply = "HTTP/1.1 200 OK\r\ncache-control: public, max-age=60\r\ncontent-length: 1\r\n\r\nk";
        let origin = Origin::new().serve(move |_| reply.as_bytes().to_vec());
        let keys = Keys::new();
        let (one, two) = (keys.create("one", &[]), keys.create("two", &[]));
        let config = keys.config(&origin).cache(lines);
        let gateway = config.start_in(keys.dir);
        for key in [&one, &two, &one, &two] {
            assert_eq!(outcome(&gateway, &get_with("/", &[("x-api-key", key)])).0, 200);
        }
        assert_eq!(origin.take_requests().len(), asked, "{lines}");
        assert_eq!(outcome(&gateway, &get("/")).0, 401, "a stored answer needs a key too");
        key_command(gateway.dir.path(), "revoke", &["one"]);
        let status = |key: &str| outcome(&gateway, &get_with("/", &[("x-api-key", key)])).0;
        eventually("the revoked key gets no stored answer", || status(&one) == 401);
        assert_eq!(status(&two), 200);
    }
}
