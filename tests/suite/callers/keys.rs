//! Who may pass: keys in every place where clients put them, routes, models, ends.

use super::*;
use base64::Engine as _;

/// A key opens the route wherever a client puts it; the origin gets the house's credential and nothing of the key.
#[test]
fn a_key_opens_the_route_wherever_it_stands() {
    let origin = Origin::new().serve(|_| ok("in"));
    let keys = Keys::new();
    let key = keys.create("ci", &[]);
    let config = keys.config(&origin);
    let gateway = config.start_in(keys.dir);
    let basic = |text: String| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
    let bearer = format!("Bearer {key}");
    for (name, value) in [
        ("Authorization", bearer.as_str()),
        ("x-api-key", &key),
        ("api-key", &key),
        ("X-Goog-Api-Key", &key),
        ("Authorization", &basic(format!("user:{key}"))),
        ("Authorization", &basic(format!("{key}:"))),
    ] {
        assert_eq!(outcome(&gateway, &get_with("/", &[(name, value)])), (200, "in".to_owned()), "{name}");
        let request = origin.take_requests().remove(0);
        assert_eq!(request.field("authorization"), Some("Bearer of-the-house"));
    }
    let line = gateway.access_of("/");
    assert_eq!(line["caller"], "ci");
}

/// Without a key, with an unknown one and with a wrong secret: 401, with a challenge, and the origin is not asked.
#[test]
fn nobody_passes_without_a_key_that_counts() {
    let origin = Origin::new().serve(|_| ok("in"));
    let keys = Keys::new();
    let key = keys.create("ci", &[]);
    let wrong = format!("{}{}", &key[..58], if key.ends_with('A') { 'B' } else { 'A' });
    let stranger = Keys::new().create("other", &[]);
    let config = keys.config(&origin);
    let gateway = config.start_in(keys.dir);
    let mut client = gateway.client();
    client.send(get("/"));
    let response = client.read_response();
    response.assert_failure(401);
    assert_eq!(response.field("www-authenticate"), Some("Bearer"));
    assert!(response.text().contains("authentication_error"));
    for value in [&wrong, &stranger, "sk-of-the-vendor", "rw_", ""] {
        client.send(get_with("/", &[("authorization", &format!("Bearer {value}"))]));
        let response = client.read_response();
        response.assert_failure(401);
        assert_eq!(response.field("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{value}");
        assert!(!response.text().contains("rw_"));
    }
    assert!(origin.take_requests().is_empty());
    gateway.expect_metric("ringway_failures_total", &["caller_unknown"], 5.0);
}

/// A key that is bound to routes opens those and no other; one that has ended opens none.
#[test]
fn a_key_is_bound_to_its_routes_and_its_time() {
    let origin = Origin::new().serve(|_| ok("in"));
    let keys = Keys::new();
    let bound = keys.create("bound", &["--route", "chat"]);
    let ended = keys.create("ended", &["--expires", "1ms"]);
    let chat = "[[route]]\nname = \"chat\"\npath = \"/chat\"\nupstream = \"origin\"\ncallers = \"required\"";
    let config = keys.config(&origin).more(chat);
    let gateway = config.start_in(keys.dir);
    let asked = |path: &str, key: &str| outcome(&gateway, &get_with(path, &[("x-api-key", key)]));
    assert_eq!(asked("/chat", &bound).0, 200);
    let (status, text) = asked("/", &bound);
    assert!(status == 403 && text.contains("route_not_allowed") && text.contains("permission_error"), "{text}");
    let (status, text) = asked("/chat", &ended);
    assert!(status == 401 && text.contains("key_expired"), "{text}");
}

/// A key that is bound to models asks those, whichever way a request names one, and the body arrives whole.
#[test]
fn a_key_is_bound_to_its_models() {
    let origin = Origin::new().serve(|request| ok(&request.body.bytes));
    let keys = Keys::new();
    let key = keys.create("bound", &["--model", "gpt-4o*", "--model", "claude"]);
    let config = keys.config(&origin);
    let gateway = config.start_in(keys.dir);
    let body = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"say \"model\""}]}"#;
    assert_eq!(outcome(&gateway, &ask("/v1/chat/completions", &key, body)), (200, body.to_owned()));
    let chunked = format!(
        "POST /v1/c HTTP/1.1\r\nhost: t\r\nx-api-key: {key}\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        body.bytes().map(|byte| format!("1\r\n{}\r\n", char::from(byte))).collect::<String>()
    );
    assert_eq!(outcome(&gateway, &chunked), (200, body.to_owned()));
    for (path, body, detail) in [
        ("/v1/c", r#"{"model":"gpt-3"}"#, "model_not_allowed"),
        ("/v1/c", r#"{"model":"claude","model":"gpt-3"}"#, "model_ambiguous"),
        ("/v1/c", r#"{"messages":[]}"#, "model_missing"),
        ("/v1/c", "model=claude", "model_unknown_body_is_not_json"),
        ("/v1/c", "", "model_missing"),
        ("/v1/models/gemini:generateContent", "{}", "model_not_allowed"),
        ("/v1/models/claude:generateContent", r#"{"model":"gpt-3"}"#, "model_not_allowed"),
    ] {
        let (status, text) = outcome(&gateway, &ask(path, &key, body));
        assert!(status == 403 && text.contains(detail), "{path} {body}: {status} {text}");
    }
    assert_eq!(outcome(&gateway, &ask("/v1/models/claude:generateContent", &key, "{}")).0, 200);
    assert_eq!(outcome(&gateway, &get_with("/v1/models", &[("x-api-key", &key)])).0, 200);
    assert_eq!(outcome(&gateway, &get_with("/v1/models/gpt-3", &[("x-api-key", &key)])).0, 403);
    let large = format!("{{\"model\":\"claude\",\"x\":\"{}\"}}", "y".repeat(9 << 20));
    let announced =
        format!("POST / HTTP/1.1\r\nhost: t\r\nx-api-key: {key}\r\ncontent-length: {}\r\n\r\n", large.len());
    let (status, text) = outcome(&gateway, &announced);
    assert!(status == 403 && text.contains("too_large"), "{text}");
}

/// An open route passes the client's own credential unchanged; one over an upstream with a credential replaces it.
#[test]
fn an_open_route_passes_or_replaces() {
    let origin = Origin::new().serve(|_| ok("in"));
    let own = "Bearer sk-own";
    let gateway = Config::to(&origin).start();
    assert_eq!(outcome(&gateway, &get_with("/", &[("authorization", own)])).0, 200);
    assert_eq!(origin.take_requests()[0].field("authorization"), Some(own));
    let lent = Config::to(&origin).upstream("credential = { header = { name = \"x-house\", value = \"house\" } }");
    let gateway = lent.start();
    let fields = [("authorization", own), ("X-House", "mine"), ("x_house", "mine"), ("x_api_key", "mine")];
    assert_eq!(outcome(&gateway, &get_with("/", &fields)).0, 200);
    let request = origin.take_requests().remove(0);
    assert_eq!((request.field("authorization"), request.field("x-house")), (None, Some("house")));
    assert_eq!((request.field("x_house"), request.field("x_api_key")), (None, None));
    assert!(gateway.err.all().iter().any(|line| line.contains("everybody who reaches the route")));
}
