//! Callers and limits by those who mean harm: who is charged for what is refused, what leads to another model.

use super::*;

fn bound(keys: &Keys, origin: &impl Endpoint, limit: &str, route: &str) -> Config {
    keys.config(origin).route(route).more(&format!("[[limit]]\nname = \"one\"\n{limit}\n[limits]\nmemory = \"1MiB\""))
}

/// Stored answers, too, and what is in flight.
#[test]
fn limits_of_a_key_count_hits_and_what_is_in_flight() {
    let answer = "HTTP/1.1 200 OK\r\ncache-control: public, max-age=60\r\ncontent-length: 2\r\n\r\nin";
    let origin = Origin::new().serve(move |_| answer.as_bytes().to_vec());
    let keys = Keys::new();
    let key = keys.create("bound", &["--limit", "one"]);
    let config = bound(&keys, &origin, "key = [\"caller\"]\nrate = \"1/h\"\nburst = 4\nin_flight = 1", "").cache("");
    let gateway = config.start_in(keys.dir);
    let statuses: Vec<u16> = (0..6).map(|_| outcome(&gateway, &get_with("/", &[("x-api-key", &key)])).0).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    assert_eq!(origin.take_requests().len(), 1);
}

/// Who has no key that counts is charged where addresses are told apart, and cannot use up what callers share.
#[test]
fn strangers_are_charged_by_address_alone() {
    let origin = Origin::new().serve(|_| ok("in"));
    let asked = |gateway: &Gateway, key: &str| outcome(gateway, &get_with("/", &[("x-api-key", key)])).0;
    let stranger = Keys::new().create("stranger", &[]);
    for (key, statuses) in [("all", [401, 401, 401, 200]), ("address", [401, 401, 429, 429])] {
        let keys = Keys::new();
        let known = keys.create("known", &[]);
        let limit = format!("key = [{key:?}]\nrate = \"1/h\"\nburst = 1");
        let config = bound(&keys, &origin, &limit, "limits = [\"one\"]");
        let gateway = config.start_in(keys.dir);
        let seen = [&stranger, "rw_nonsense", &stranger, &known].map(|key| asked(&gateway, key));
        assert_eq!(seen, statuses, "{key}");
    }
}

/// A body is not waited for on behalf of a key that is over its rate.
#[test]
fn limits_come_before_the_body_is_read() {
    let origin = Origin::new().serve(|_| ok("in"));
    let keys = Keys::new();
    let key = keys.create("bound", &["--model", "m"]);
    let config = bound(&keys, &origin, "rate = \"1/h\"", "limits = [\"one\"]");
    let gateway = config.start_in(keys.dir);
    assert_eq!(outcome(&gateway, &ask("/", &key, "{\"model\":\"m\"}")).0, 200);
    let unsent = format!("POST / HTTP/1.1\r\nhost: t\r\nx-api-key: {key}\r\ncontent-length: 1000\r\n\r\n");
    assert_eq!(outcome(&gateway, &unsent).0, 429);
}

/// A model by whatever way upstreams may find one in a request.
#[test]
fn no_way_leads_to_another_model() {
    let origin = Origin::new().serve(|_| ok("in"));
    let keys = Keys::new();
    let key = keys.create("bound", &["--model", "mine"]);
    let config = keys.config(&origin);
    let gateway = config.start_in(keys.dir);
    let mine = r#"{"model":"mine"}"#;
    for (path, body) in [
        ("/v1", r#"{"model":"mine","models":["other"]}"#),
        ("/v1", r#"{"model":"mine","mod\u0065l":"other"}"#),
        ("/v1?%6dodel=other", mine),
        ("/v1/tunedModels/other:generateContent", mine),
        ("/v1/models;x/other", mine),
        ("/v1", "{\"model\":\"mine\"}{\"model\":\"other\"}"),
        ("/v1", "\u{feff}{\"model\":\"mine\"}"),
    ] {
        assert_eq!(outcome(&gateway, &ask(path, &key, body)).0, 403, "{path} {body}");
    }
    let form = r#"{"model":"mine","x":"&model=other&"}"#;
    let request =
        ask("/v1", &key, form).replace("application/json", "Application/X-WWW-Form-Urlencoded; charset=utf-8");
    assert_eq!(outcome(&gateway, &request).0, 403);
    let request = ask("/v1", &key, mine).replace("application/json", "application/x-www-form-urlencoded");
    assert_eq!(outcome(&gateway, &request).0, 200, "some clients send JSON so");
    let get =
        format!("GET /v1 HTTP/1.1\r\nhost: t\r\nx-api-key: {key}\r\ncontent-length: 17\r\n\r\n{{\"model\":\"other\"}}");
    assert_eq!(outcome(&gateway, &get).0, 403, "a body of GET counts");
    let utf16: Vec<u8> = mine.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut client = gateway.client();
    let head = format!("POST /v1 HTTP/1.1\r\nhost: t\r\nx-api-key: {key}\r\ncontent-length: {}\r\n\r\n", utf16.len());
    client.send([head.as_bytes(), &utf16].concat());
    assert_eq!(client.read_response().status, 403);
    assert_eq!(origin.take_requests().len(), 1);
}

/// A key goes on to count while the configuration file is being changed, and ends although that has a mistake.
#[test]
fn a_key_is_revoked_whatever_the_configuration_says_meanwhile() {
    let origin = Origin::new().serve(|_| ok("in"));
    let keys = Keys::new();
    let (first, second) = (keys.create("first", &[]), keys.create("second", &[]));
    let config = keys.config(&origin);
    let gateway = config.start_in(keys.dir);
    let asked = |key: &str| outcome(&gateway, &get_with("/", &[("x-api-key", key)])).0;
    assert_eq!((asked(&first), asked(&second)), (200, 200));
    gateway.write_config("[server\n");
    key_command(gateway.dir.path(), "revoke", &["first"]);
    eventually("the key is gone", || asked(&first) == 401);
    assert_eq!(asked(&second), 200);
}
