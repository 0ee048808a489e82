//! Whose answer is whose: what tells requests apart reaches the origin as it was compared, and what is one caller's alone
//! reaches nobody else.

use super::*;

const A: &str = "200|Cache-Control: max-age=60|=a";
const B: &str = "200|Cache-Control: max-age=60|=b";
const TRUST: &str = "trusted_peers = [\"127.0.0.0/8\"]";
const POSTS: &str = "post = true\nkey = [\"host\", \"path\", \"body-json\"]";

/// Connection names what the key or Vary is made of.
#[rustfmt::skip] // a row stays a line
const NAMED: &[Row] = &[
    ("a field of the key", &[("GET|X-Mode: 1|Connection: X-Mode", A, "200 pass detail=connection_fields|=a|>!X-Mode"), ("GET|X-Mode: 1", B, "200 miss|=b|>X-Mode: 1"), ("GET|X-Mode: 1|Connection: keep-alive, x-mode", A, "200 pass detail=connection_fields|=a"), ("GET|X-Mode: 1", "", "200 hit|=b")]),
    ("a field of Vary", &[("GET|X-A: 1|Connection: X-A", "200|Cache-Control: max-age=60|Vary: X-A|=without", "200 pass detail=connection_fields|=without|>!X-A"), ("GET|X-A: 1", "200|Cache-Control: max-age=60|Vary: X-A|=with", "200 miss|=with|>X-A: 1"), ("GET|X-A: 1", "", "200 hit|=with")]),
    ("a credential", &[("GET|Authorization: Bearer a|Connection: authorization", "200|Cache-Control: public, max-age=60|=nobody", "200 pass detail=connection_fields|=nobody"), ("GET|Authorization: Bearer a", "200|Cache-Control: public, max-age=60|=his", "200 miss|=his")]),
    ("a field that stands twice", &[("GET|X-Mode: 1|Connection: keep-alive|Connection: X-Mode", A, "200 pass detail=connection_fields"), ("GET|X-Mode: 1", B, "200 miss|=b")]),
    ("nothing but what is of the connection", &[("GET|Connection: keep-alive", A, "200 miss"), ("GET|Connection: TE|TE: trailers", "", "200 hit|=a")]),
];

/// A request whose Connection takes a field away goes past the cache: its answer is not that of who sends the field. It was
/// stored for them.
#[test]
fn connection_poisons_nobody() {
    Stage::new("key = [\"host\", \"path\", \"query\", \"caller\", \"header:x-mode\"]").play(&Case::all(NAMED));
}

/// Answers that vary on what the gateway writes itself are not stored: no two requests can be compared by it.
#[test]
fn vary_on_what_the_gateway_writes() {
    let names = [
        "X-Forwarded-For",
        "Forwarded",
        "Via",
        "X-Request-Id",
        "X-Forwarded-Proto",
        "X-Real-IP",
        "x-forwarded-port",
        "Accept, Via",
    ];
    let rows = names.map(|name| {
        let [one, two] = ["=a", "=b"].map(|body| format!("200|Cache-Control: max-age=60|Vary: {name}|{body}"));
        let field = format!("GET|{}: 1", name.trim_start_matches("Accept, "));
        let steps = [[&*field, &*one, "200 pass detail=vary_star|=a"], ["GET", &*two, "200 pass|=b"]];
        Case::made(format!("Vary: {name}"), &steps)
    });
    Stage::new("").play(&rows);
}

/// What a trusted peer says.
#[rustfmt::skip]
const SAID: &[Row] = &[
    ("X-Forwarded-Proto", &[("GET|X-Forwarded-Proto: https", A, "200 miss|=a|>X-Forwarded-Proto: https"), ("GET|X-Forwarded-Proto: http", B, "200 miss|=b"), ("GET|X-Forwarded-Proto: https", "", "200 hit|=a"), ("GET|X-Forwarded-Proto: http", "", "200 hit|=b")]),
    ("X-Forwarded-Proto and none", &[("GET", A, "200 miss|=a"), ("GET|X-Forwarded-Proto: https", B, "200 miss|=b"), ("GET", "", "200 hit|=a")]),
    ("X-Forwarded-Host", &[("GET|X-Forwarded-Host: one", A, "200 miss|=a|>X-Forwarded-Host: one"), ("GET|X-Forwarded-Host: two", B, "200 miss|=b"), ("GET|X-Forwarded-Host: one", "", "200 hit|=a")]),
    ("X-Forwarded-Port", &[("GET|X-Forwarded-Port: 80", A, "200 miss|=a|>X-Forwarded-Port: 80"), ("GET|X-Forwarded-Port: 81", B, "200 miss|=b"), ("GET|X-Forwarded-Port: 80", "", "200 hit|=a")]),
    ("X-Forwarded-Prefix", &[("GET|X-Forwarded-Prefix: /a", A, "200 miss|=a|>X-Forwarded-Prefix: /a"), ("GET|X-Forwarded-Prefix: /b", B, "200 miss|=b")]),
    ("Forwarded", &[("GET|Forwarded: for=1.1.1.1;host=one;proto=https", A, "200 miss|=a"), ("GET|Forwarded: for=1.1.1.1;host=two;proto=https", B, "200 miss|=b"), ("GET|Forwarded: for=2.2.2.2;host=one;proto=https", "", "200 hit|=a")]),
    ("the address of the client is no part", &[("GET|X-Forwarded-For: 1.1.1.1", A, "200 miss|=a"), ("GET|X-Forwarded-For: 2.2.2.2", "", "200 hit|=a")]),
];

/// What a trusted peer says of the request that it passes on keeps answers apart: the origin makes redirects of it.
#[test]
fn the_word_of_trusted_peers_keeps_answers_apart() {
    Stage::with(|config| config.server(TRUST).cache("")).play(&Case::all(SAID));
}

/// What a stranger says of it.
#[rustfmt::skip]
const LIED: &[Row] = &[
    ("to be stored", &[("GET|X-Forwarded-Port: 99|X-Forwarded-Prefix: /evil|X-Forwarded-Host: evil|X-FORWARDED-SSL: on", A, "200 miss|=a|>!X-Forwarded-Port|>!X-Forwarded-Prefix|>!X-Forwarded-Ssl|>X-Forwarded-Host: t"), ("GET|X-Forwarded-Port: 98", "", "200 hit|=a")]),
    ("past the cache", &[("POST|X-Forwarded-Port: 99|X-Forwarded-Prefix: /evil|=x", "200|=a", "200 pass|>!X-Forwarded-Port|>!X-Forwarded-Prefix")]),
];

/// The X-Forwarded fields of a stranger reach no origin, the lesser known of them neither. They did, and poisoned what is
/// stored.
#[test]
fn strangers_have_no_say() {
    Stage::new("").play(&Case::all(LIED));
}

/// Spellings of a host.
#[rustfmt::skip]
const HOSTS: &[Row] = &[
    ("capitals, a dot, the port", &[("GET|Host: T.Example.:80", A, "200 miss|>X-Forwarded-Host: t.example"), ("GET|Host: t.example", "", "200 hit|=a"), ("GET|Host: T.EXAMPLE:80", "", "200 hit|=a"), ("GET|Host: t.example.", "", "200 hit|=a")]),
    ("the port with zeros", &[("GET|Host: t.example:080", A, "200 miss|>X-Forwarded-Host: t.example"), ("GET|Host: t.example:", "", "200 hit|=a")]),
    ("another port stays", &[("GET|Host: T:8080", A, "200 miss|>X-Forwarded-Host: t:8080"), ("GET|Host: t:8080", "", "200 hit|=a"), ("GET|Host: t", B, "200 miss|=b")]),
];

/// Hosts that are one are one answer, and the origin is told the spelling of the key. It was told the first caller's.
#[test]
fn hosts_have_one_spelling() {
    Stage::new("").play(&Case::all(HOSTS));
}

/// A parameter that sends past the cache is known in any spelling.
#[test]
fn a_bypass_has_any_spelling() {
    let steps = [
        ["GET @?a=1", A, "200 miss"],
        ["GET @?a=1&%74oken=x", B, "200 pass fwd=bypass detail=bypass|=b|>target: @?a=1&%74oken=x"],
        ["GET @?t%6Fk%65n", A, "200 pass detail=bypass|=a"],
        ["GET @?%2574oken", B, "200 miss|=b"],
    ];
    Stage::new("bypass_query = [\"token\"]").play(&[Case::made("%74oken", &steps)]);
}

/// What is the first caller's alone.
#[rustfmt::skip]
const PRIVATE: &[Row] = &[
    ("Set-Cookie", &[("GET", "200|Cache-Control: max-age=60|Set-Cookie: a=1|Set-Cookie: b=2|=a", "200 miss|Set-Cookie: a=1, b=2|=a"), ("GET", "", "200 hit|!Set-Cookie|=a"), ("HEAD", "", "200 hit|!Set-Cookie")]),
    ("fields that private names", &[("GET", "200|Cache-Control: max-age=60, private=\"x-mine, X-His\"|X-Mine: 1|X-His: 2|X-All: 3|=a", "200 miss|X-Mine: 1|X-His: 2|X-All: 3"), ("GET", "", "200 hit|!X-Mine|!X-His|X-All: 3")]),
];

/// Fields that are not stored reach who asked first, and nobody behind.
#[test]
fn what_is_not_stored_is_the_first_callers() {
    Stage::new("set_cookie = \"strip\"").play(&Case::all(PRIVATE));
}

/// Nor do they reach who waits for the same answer or joins while it arrives.
#[test]
fn what_is_not_stored_is_nobodys_who_waits() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).cache("set_cookie = \"strip\"").start();
    let mut first = gateway.client();
    first.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    let mut waiting = gateway.client();
    waiting.send(get("/"));
    eventually("both wait", || gateway.metric("ringway_exchanges_active", &[]) >= 2.0);
    let private = "Set-Cookie: s=1\r\nX-Mine: 2\r\n";
    peer.send(format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60, private=\"x-mine\"\r\n{private}Content-Length: 4\r\n\r\nab"
    ));
    let head = first.read_response_head();
    assert_eq!((head.field("set-cookie"), head.field("x-mine")), (Some("s=1"), Some("2")));
    let mut late = gateway.client();
    late.send(get("/"));
    for client in [&mut waiting, &mut late] {
        let head = client.read_response_head();
        assert_eq!((head.field("set-cookie"), head.field("x-mine")), (None, None), "{:?}", head.head);
    }
    peer.send("cd");
    for client in [&mut first, &mut waiting, &mut late] {
        client.expect_bytes("abcd");
    }
    origin.expect_no_connection();
}

/// Tags that are not for clients.
#[rustfmt::skip]
const TAGGED: &[Row] = &[
    ("past the cache", &[("PUT|=x", "200|Surrogate-Key: a|Cache-Tag: b|X-A: 1|=a", "200 pass|!Surrogate-Key|!Cache-Tag|X-A: 1")]),
    ("what may not be stored", &[("GET", "200|Cache-Control: no-store|Surrogate-Key: a|=a", "200 pass|!Surrogate-Key"), ("GET", "200|Cache-Control: no-store|Surrogate-Key: a|=a", "200 pass detail=hit_for_miss|!Surrogate-Key")]),
    ("what the request keeps out", &[("GET|Cache-Control: no-store", "200|Cache-Tag: a|=a", "200 pass detail=request_no_store|!Cache-Tag")]),
    ("HEAD", &[("HEAD", "200|Cache-Control: max-age=60|Surrogate-Key: a|=a", "200 pass detail=head_miss|!Surrogate-Key")]),
    ("a failure", &[("GET", "500|Surrogate-Key: a|=a", "500 -|!Surrogate-Key")]),
];

/// Where tags are not for clients, they are not for those either whose answer goes past the cache.
#[test]
fn tags_are_stripped_everywhere() {
    Stage::new("strip_tags = true").play(&Case::all(TAGGED));
}

/// POST that could not be stored.
#[rustfmt::skip]
const MARKED: &[Row] = &[
    ("the mark of a POST ends", &[("POST|={\"a\":1}", "200|Cache-Control: no-store|=a", "200 pass detail=no_store|=a"), ("POST|={\"a\":1}", A, "200 pass detail=hit_for_miss|=a"), ("POST|={\"a\":1}", B, "200 miss|=b"), ("POST|={ \"a\" : 1 }", "", "200 hit|=b")]),
    ("the mark of a GET ends", &[("GET", "200|Cache-Control: no-store|=a", "200 pass|=a"), ("GET", A, "200 pass detail=hit_for_miss|=a"), ("GET", B, "200 miss|=b"), ("GET", "", "200 hit|=b")]),
];

/// The time in which requests go side by side ends with an answer that may be stored, whatever the method.
#[test]
fn a_mark_ends_with_what_may_be_stored() {
    Stage::new(POSTS).play(&Case::all(MARKED));
}

/// A chunked body beyond that of the route is 413 where it is part of the key too, and where it is too large for the key.
#[test]
fn chunked_bodies_have_the_bound_of_the_route() {
    for key_max in ["body_max = \"1KiB\"", "body_max = \"64KiB\""] {
        let origin = Origin::new().serve(|request: &message::Request| ok(request.body.bytes.len().to_string()));
        let gateway = Config::to(&origin).cache(POSTS).cache(key_max).route("body_max = \"4KiB\"").start();
        for (bytes, status) in [(4_000, 200), (5_000, 413), (20_000, 413)] {
            let mut client = gateway.client();
            client.send("POST /v1 HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
            // The gateway may refuse before it has all of it.
            let body = vec![b'1'; bytes];
            let all = body.chunks(1_000).flat_map(chunk).chain(*b"0\r\n\r\n").collect::<Vec<u8>>();
            let sent = client.try_send(&all);
            let response = client.read_response();
            assert_eq!(response.status, status, "{bytes} bytes, {key_max}: {sent:?} {}", response.text());
        }
        assert!(origin.take_requests().iter().all(|request| request.body.bytes.len() <= 4_096));
    }
}

/// The list of keys does not tell by a prefix what it hides in its rows.
#[test]
fn a_prefix_finds_out_no_secret() {
    let origin =
        Origin::new().serve(|_| b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 0\r\n\r\n".to_vec());
    let gateway = Config::to(&origin).cache("").start();
    gateway.get("/a?token=SEKRET&b=1");
    let found = |prefix: &str| {
        let listed = gateway.admin(&format!("/cache/keys?prefix={prefix}"));
        assert_eq!(listed.status, 200, "{}", listed.text());
        assert!(!listed.text().contains("SEKRET"), "{}", listed.text());
        let json: serde_json::Value = serde_json::from_slice(&listed.body.bytes).expect("JSON");
        json["keys"].as_array().expect("a list").len()
    };
    assert_eq!([found("t/a"), found("t/a%3Ftoken%3D"), found("t/a%3Ftoken%3D***")], [1, 1, 1]);
    for guess in ["S", "SEKRET", "SEKRET%26b%3D1", "X"] {
        assert_eq!(found(&format!("t/a%3Ftoken%3D{guess}")), 0, "{guess}");
    }
}
