//! Hits on busy connections: answers of every kind one after the other, edits of the route, readers of what is gone.

use super::*;

/// A storable answer with an entity tag.
fn answer(body: &[u8]) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"e\"\r\nServer: secret/1\r\n";
    let mut bytes = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Answers of every kind keep their order and their borders on one connection, however they are sent.
#[test]
fn pipelined_answers_of_every_kind() {
    let origin = Origin::new().serve(|request: &Request| match request.method.as_str() {
        "GET" if request.target == "/a" => answer(b"0123456789"),
        _ => ok(request.brief()),
    });
    let gateway = Config::to(&origin).cache("").start();
    gateway.get("/a");
    let with = |method: &str, fields: &str| format!("{method} /a HTTP/1.1\r\nhost: t\r\n{fields}\r\n");
    let kinds = [
        (with("GET", ""), 200, "0123456789"),
        (with("HEAD", ""), 200, ""),
        (with("GET", "if-none-match: \"e\"\r\n"), 304, ""),
        (with("GET", "range: bytes=2-4\r\n"), 206, "234"),
        (with("GET", "range: bytes=20-\r\n"), 416, ""),
        (with("GET", "if-match: \"f\"\r\n"), 412, ""),
        (get("/b"), 200, "GET /b"),
        (post("/c", "x"), 200, "POST /c x"),
        (with("GET", "cache-control: only-if-cached\r\n"), 200, "0123456789"),
        ("GET /d HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\nGET".to_owned(), 200, "GET /d GET"),
    ];
    let mut client = gateway.client();
    let all: String = kinds.iter().map(|(request, ..)| request.as_str()).collect::<String>().repeat(5);
    client.send(all);
    for (request, status, text) in std::iter::repeat_n(&kinds, 5).flatten() {
        let head = client.read_response_head();
        let response = client.finish_response(head, request.starts_with("HEAD"));
        assert_eq!(response.status, *status, "{request:?}");
        if *status < 400 {
            assert_eq!(response.text(), *text, "{request:?}");
        }
    }
    assert_eq!(client.pending(), b"");
}

/// Many hits in one write come back in order, with nothing between them.
#[test]
fn many_hits_in_one_write() {
    let origin = Origin::new().serve(|request: &Request| answer(request.target.as_bytes()));
    let gateway = Config::to(&origin).cache("").start();
    let paths: Vec<String> = (0..10).map(|number| format!("/{number}")).collect();
    for path in &paths {
        gateway.get(path);
    }
    let mut client = gateway.client();
    let requests: String = (0..1_000).map(|number| get(&paths[number % 10])).collect();
    let mut sending = client.tcp().try_clone().expect("a second handle");
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        sending.write_all(requests.as_bytes()).expect("the gateway reads");
    });
    for number in 0..1_000 {
        let response = client.read_response();
        assert!(is_hit(&response) && response.text() == paths[number % 10]);
    }
    writer.join().expect("all was sent");
    assert_eq!(origin.take_requests().len(), 10);
}

/// A hit on a connection that is to be closed closes it, and HTTP/1.0 is served as it asks.
#[test]
fn hits_end_connections_as_asked() {
    let origin = Origin::new().serve(|_| answer(b"abc"));
    let gateway = Config::to(&origin).cache("").start();
    gateway.get("/a");
    for request in ["GET /a HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n", "GET /a HTTP/1.0\r\nhost: t\r\n\r\n"] {
        let mut client = gateway.client();
        client.send(request);
        let response = client.read_response();
        assert!(is_hit(&response) && response.says_close(), "{:?}", response.head);
        client.expect_closed();
    }
    let mut client = gateway.client();
    for _ in 0..3 {
        client.send("GET /a HTTP/1.0\r\nhost: t\r\nconnection: keep-alive\r\n\r\n");
        assert!(is_hit(&client.read_response()));
    }
}

/// Edits of the route are made to every answer, stored ones included, and do not decide what is stored.
#[test]
fn edits_are_made_to_hits() {
    let origin = Origin::new().serve(|_| answer(b"abc"));
    let edits = "[route.response]\nset = { cache-control = \"no-store\" }\nadd = { x-served-by = \"me\" }\nremove = [\"server\"]";
    let gateway = Config::to(&origin).route(edits).cache("").start();
    for turn in 0..3 {
        let response = gateway.get("/a");
        assert_eq!(is_hit(&response), turn > 0);
        assert_eq!(response.field("cache-control"), Some("no-store"));
        assert_eq!(response.field("x-served-by"), Some("me"));
        assert_eq!(response.field("server"), None);
    }
    // Other edits hold at once, for what is stored too.
    let other = edits.replace("\"me\"", "\"you\"").replace("remove = [\"server\"]", "");
    assert!(gateway.reload(&Config::to(&origin).route(&other).cache("").toml()).0);
    let response = gateway.get("/a");
    assert!(is_hit(&response));
    assert_eq!((response.field("x-served-by"), response.field("server")), (Some("you"), Some("secret/1")));
}

/// A credential that the route sets is not the caller's: everybody shares the answer.
#[test]
fn credentials_of_the_route_are_nobodys() {
    let origin = counting("");
    let route = "[route.request]\nset = { authorization = \"Bearer of-the-route\" }";
    let gateway = Config::to(&origin).route(route).cache("").start();
    let first = gateway.get("/a");
    let again = gateway.get("/a");
    assert!(is_hit(&again) && again.text() == first.text());
    assert_eq!(origin.take_requests()[0].field("authorization"), Some("Bearer of-the-route"));
}

/// Who reads an answer reads it to its end, even when it was purged and its place taken meanwhile.
#[test]
fn readers_of_what_is_gone() {
    let mut chance = Chance(99);
    let body: Vec<u8> = (0..3_000_000).map(|_| chance.below(256) as u8).collect();
    let large = body.clone();
    let origin =
        Origin::new().serve(
            move |request: &Request| {
                if request.target == "/large" { answer(&large) } else { answer(&[b'x'; 100_000]) }
            },
        );
    let cache = "[cache]\nmemory = \"16MiB\"";
    let gateway = Config::to(&origin).cache("object_max = \"4MiB\"").more(cache).start();
    assert!(gateway.get("/large").body.bytes == body);
    let mut readers: Vec<Connection> = (0..4).map(|_| gateway.client()).collect();
    let heads: Vec<Response> = readers
        .iter_mut()
        .map(|reader| {
            reader.send(get("/large"));
            let head = reader.read_response_head();
            assert!(is_hit(&head));
            head
        })
        .collect();
    gateway.admin_post("/cache/purge", "{\"all\":true}");
    for number in 0..200 {
        gateway.get(&format!("/{number}"));
    }
    assert!(gateway.metric("ringway_cache_bytes", &[]) <= 16.0 * 1024.0 * 1024.0);
    for (reader, head) in readers.iter_mut().zip(heads) {
        assert!(reader.finish_response(head, false).body.bytes == body);
    }
}

/// Many clients that read one large answer slowly cost no copy of it each.
#[test]
fn slow_readers_share_the_body() {
    let body = vec![b'y'; 4_000_000];
    let origin = Origin::new().serve(move |_: &Request| answer(&body));
    let gateway = Config::to(&origin).cache("").start();
    gateway.get("/large");
    let resident = || -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("the child is alive");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("KiB")
    };
    let before = resident();
    let mut readers: Vec<Connection> = (0..40).map(|_| gateway.client()).collect();
    for reader in &mut readers {
        reader.send(get("/large"));
        assert!(is_hit(&reader.read_response_head()));
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB for 40 readers of 4 MB");
}

/// More objects than a core keeps at hand are all found, each with its own body.
#[test]
fn many_objects_are_told_apart() {
    let origin = Origin::new().serve(|request: &Request| answer(request.target.as_bytes()));
    let gateway = Config::to(&origin).cache("").start();
    let mut client = gateway.client();
    for batch in 0..90 {
        client.send((0..100).map(|number| get(&format!("/{batch}/{number}"))).collect::<String>());
        for number in 0..100 {
            assert_eq!(client.read_response().text(), format!("/{batch}/{number}"));
        }
    }
    for number in [7, 7, 99] {
        client.send((0..90).map(|batch| get(&format!("/{batch}/{number}"))).collect::<String>());
        for batch in 0..90 {
            let response = client.read_response();
            assert!(is_hit(&response) && response.text() == format!("/{batch}/{number}"));
        }
    }
}
