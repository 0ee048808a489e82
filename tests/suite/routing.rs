//! Which upstream a request goes to, and what a route does to it on its way.

use super::harness::*;

/// An origin that says its name and what it was asked.
fn named(name: &'static str) -> Serving {
    Origin::new().serve(move |request| ok(format!("{name} {} {}", request.method, request.target)))
}

/// Tables of an upstream and a route to it.
fn route(name: &str, origin: &Serving, lines: &str) -> String {
    format!(
        "[[upstream]]\nname = \"{name}\"\nendpoints = [\"{}\"]\n[[route]]\nname = \"to-{name}\"\nupstream = \"{name}\"\n{lines}\n",
        origin.url()
    )
}

/// The body of the answer to a request with these parts.
fn ask(client: &mut Connection, method: &str, target: &str, host: &str, fields: &str) -> String {
    client.send(format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n"));
    client.read_response().text()
}

/// The longest prefix wins, and a prefix ends at a segment.
#[test]
fn the_longest_prefix_wins() {
    let (base, v1, models) = (named("base"), named("v1"), named("models"));
    let config =
        Config::to(&base).more(&route("v1", &v1, "path = \"/v1\"")).more(&route("m", &models, "path = \"/v1/models\""));
    let gateway = config.start();
    let mut client = gateway.client();
    for (target, wanted) in [
        ("/", "base"),
        ("/v1", "v1"),
        ("/v1/", "v1"),
        ("/v1/chat", "v1"),
        ("/v1?x=/v1/models", "v1"),
        ("/v1beta", "base"),
        ("/v1/models", "models"),
        ("/v1/models/a", "models"),
        ("/v1/modelsx", "v1"),
        ("/V1", "base"),
        ("/a/v1", "base"),
    ] {
        assert_eq!(ask(&mut client, "GET", target, "t", ""), format!("{wanted} GET {target}"));
    }
}

/// A path that ends in a slash is a plain prefix.
#[test]
fn a_path_with_a_slash_is_a_plain_prefix() {
    let (base, files) = (named("base"), named("files"));
    let gateway = Config::to(&base).more(&route("f", &files, "path = \"/files/\"")).start();
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, "GET", "/files/a", "t", ""), "files GET /files/a");
    assert_eq!(ask(&mut client, "GET", "/files", "t", ""), "base GET /files");
}

/// An exact path wins over any prefix and takes nothing below it.
#[test]
fn an_exact_path_takes_itself_only() {
    let (base, exact) = (named("base"), named("exact"));
    let gateway = Config::to(&base).more(&route("e", &exact, "exact = \"/health\"")).start();
    let mut client = gateway.client();
    for (target, wanted) in [("/health", "exact"), ("/health?a", "exact"), ("/health/", "base"), ("/healthy", "base")] {
        assert_eq!(ask(&mut client, "GET", target, "t", ""), format!("{wanted} GET {target}"));
    }
}

/// Routes of a host win over those of any host; a wildcard takes subdomains; ports and case do not matter.
#[test]
fn hosts_choose() {
    let (any, one, wild) = (named("any"), named("one"), named("wild"));
    let config = Config::to(&any).more(&route("o", &one, "host = \"one.test\"\npath = \"/\"")).more(&route(
        "w",
        &wild,
        "host = \"*.wild.test\"\npath = \"/\"",
    ));
    let gateway = config.start();
    let mut client = gateway.client();
    for (host, wanted) in [
        ("one.test", "one"),
        ("ONE.test:8080", "one"),
        ("two.test", "any"),
        ("a.wild.test", "wild"),
        ("wild.test", "any"),
        ("xone.test", "any"),
    ] {
        assert_eq!(ask(&mut client, "GET", "/", host, ""), format!("{wanted} GET /"), "{host}");
    }
    assert_eq!(ask(&mut client, "GET", "http://one.test/x", "one.test", ""), "one GET /x", "absolute form");
}

/// A route may be for some methods only.
#[test]
fn methods_choose() {
    let (base, posts) = (named("base"), named("posts"));
    let gateway = Config::to(&base).more(&route("p", &posts, "path = \"/v1\"\nmethods = [\"POST\", \"PUT\"]")).start();
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, "POST", "/v1", "t", "content-length: 0\r\n"), "posts POST /v1");
    assert_eq!(ask(&mut client, "GET", "/v1", "t", ""), "base GET /v1");
}

/// A route may ask for header values, all of them.
#[test]
fn headers_choose() {
    let (base, blue) = (named("base"), named("blue"));
    // Of two routes that fit equally the first is taken.
    let lines = "headers = { \"x-env\" = \"blue\", \"X-Tier\" = \"1\" }";
    let gateway = Config::to(&blue).route(lines).more(&route("b", &base, "path = \"/\"")).start();
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, "GET", "/", "t", "x-env: blue\r\nx-tier: 1\r\n"), "blue GET /");
    assert_eq!(ask(&mut client, "GET", "/", "t", "x-env: blue\r\n"), "base GET /");
    assert_eq!(ask(&mut client, "GET", "/", "t", "x-env: green\r\nx-tier: 1\r\n"), "base GET /");
}

/// Where no route fits the answer is 404 and no origin is asked.
#[test]
fn no_route_is_404() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).path("path = \"/v1\"").start();
    let mut client = gateway.client();
    client.send(get("/v2"));
    let response = client.read_response();
    response.assert_failure(404);
    assert!(!response.says_close());
    client.send(post("/v2", "a body that nobody wants"));
    client.read_response().assert_failure(404);
    origin.expect_no_connection();
}

/// A prefix is stripped, and replaced, with the query kept.
#[test]
fn prefixes_are_stripped_and_replaced() {
    let (base, strip, replace) = (named("base"), named("s"), named("r"));
    let config = Config::to(&base).more(&route("s", &strip, "path = \"/api\"\nstrip_prefix = \"/api\"")).more(&route(
        "r",
        &replace,
        "path = \"/old\"\nstrip_prefix = \"/old\"\nreplace_prefix = \"/new\"",
    ));
    let gateway = config.start();
    let mut client = gateway.client();
    for (target, wanted) in [
        ("/api/x?y=1", "s GET /x?y=1"),
        ("/api", "s GET /"),
        ("/api?q", "s GET /?q"),
        ("/api/", "s GET /"),
        ("/old/a/b", "r GET /new/a/b"),
        ("/old", "r GET /new"),
        ("/old/api", "r GET /new/api"),
    ] {
        assert_eq!(ask(&mut client, "GET", target, "t", ""), wanted, "{target}");
    }
}

/// Nothing of a path is decoded or folded on its way.
#[test]
fn paths_pass_as_they_are() {
    let origin = named("o");
    let gateway = Config::to(&origin).start();
    let mut client = gateway.client();
    for target in ["/a//b", "/.../x", "/a;b=c", "/a%2fb", "/?", "/a?b?c=/d&e=%00", "/~user/:x@y"] {
        assert_eq!(ask(&mut client, "GET", target, "t", ""), format!("o GET {target}"));
    }
}

/// A path with dot segments, encoded or not, is refused: readers differ in what it names, and a prefix could be left.
#[test]
fn dot_segments_are_refused() {
    let origin = Origin::new().serve(|_| ok("x"));
    let gateway = Config::to(&origin).start();
    for target in ["/a/../b", "/..", "/a/.", "/./a", "/a/%2e%2E/b", "/a/.%2e", "/%2e"] {
        gateway.get(target).assert_failure(400);
    }
    assert_eq!(gateway.get("/a?x=../..").status, 200, "a query is no path");
    assert_eq!(origin.take_requests().len(), 1);
}

/// A route sets, adds and removes fields of the request.
#[test]
fn request_fields_are_edited() {
    let origin = Origin::new().serve(|_| ok("x"));
    let lines = "[route.request]\nset = { \"x-set\" = \"new\", host = \"set.test\" }\nadd = { \"x-add\" = \"more\" }\nremove = [\"x-gone\", \"cookie\"]";
    let gateway = Config::to(&origin).route(lines).start();
    let mut client = gateway.client();
    ask(
        &mut client,
        "GET",
        "/",
        "t",
        "x-set: old\r\nX-Set: older\r\nx-add: one\r\nx-gone: 1\r\nCookie: a=b\r\nx-stays: 1\r\n",
    );
    let seen = origin.take_requests().remove(0);
    assert_eq!(seen.field("x-set"), Some("new"));
    assert_eq!(seen.field("host"), Some("set.test"));
    assert_eq!(seen.head.all("x-add").join(","), "one,more");
    assert_eq!((seen.field("x-gone"), seen.field("cookie"), seen.field("x-stays")), (None, None, Some("1")));
}

/// A route sets, adds and removes fields of the answer.
#[test]
fn response_fields_are_edited() {
    let origin = Origin::new();
    let lines = "[route.response]\nset = { \"x-set\" = \"new\" }\nadd = { \"x-add\" = \"more\" }\nremove = [\"server\", \"x-gone\"]";
    let gateway = Config::to(&origin).route(lines).start();
    let mut client = gateway.client();
    client.send(get("/"));
    let (mut peer, _) = origin.accept_request();
    peer.send("HTTP/1.1 200 OK\r\nServer: s\r\nX-Set: old\r\nX-Add: one\r\nX-Gone: 1\r\nContent-Length: 0\r\n\r\n");
    let response = client.read_response();
    assert_eq!(response.field("x-set"), Some("new"));
    assert_eq!(response.head.all("x-add").join(","), "one,more");
    assert_eq!((response.field("server"), response.field("x-gone")), (None, None));
}

/// A secret for a field comes from the environment or from a file, never from the configuration itself.
#[test]
fn secrets_come_from_elsewhere() {
    let origin = Origin::new().serve(|_| ok("x"));
    let dir = tempfile::TempDir::new().expect("a scratch folder");
    let file = dir.path().join("key.txt");
    std::fs::write(&file, "Bearer from-a-file\n").expect("a file in the scratch folder");
    let lines = format!(
        "[route.request]\nset = {{ authorization = {:?}, \"x-path\" = \"env:PATH\" }}",
        format!("file:{}", text(&file))
    );
    let gateway = Config::to(&origin).route(&lines).start_in(dir);
    let mut client = gateway.client();
    ask(&mut client, "GET", "/", "t", "authorization: Bearer of-the-client\r\n");
    let seen = origin.take_requests().remove(0);
    assert_eq!(seen.field("authorization"), Some("Bearer from-a-file"));
    assert_eq!(seen.field("x-path").map(str::to_owned), std::env::var("PATH").ok());
}

/// A thousand routes choose as well as one.
#[test]
fn a_thousand_routes_choose() {
    let (base, many) = (named("base"), named("many"));
    let mut config =
        Config::to(&base).more(&format!("[[upstream]]\nname = \"many\"\nendpoints = [\"{}\"]", many.url()));
    for number in 0..1_000 {
        let table = format!("[[route]]\nname = \"r{number}\"\npath = \"/r{number}\"\nupstream = \"many\"");
        config = config.more(&table);
    }
    let gateway = config.start();
    let mut client = gateway.client();
    for (target, wanted) in [("/r0", "many"), ("/r999/x", "many"), ("/r1000", "base"), ("/r12", "many"), ("/r", "base")]
    {
        assert_eq!(ask(&mut client, "GET", target, "t", ""), format!("{wanted} GET {target}"));
    }
}

/// `OPTIONS *` goes to the route for everything, as it is.
#[test]
fn options_for_the_whole_server_passes() {
    let origin = named("o");
    let gateway = Config::to(&origin).start();
    assert_eq!(ask(&mut gateway.client(), "OPTIONS", "*", "t", ""), "o OPTIONS *");
}
