//! Messages between HTTP/2 and HTTP/1.1 (RFC 9113 §8): what the origin gets of a request, what the client gets of an answer.

use super::*;

/// A request as the origin got it, and the answer as the client got it. The request goes out on stream 1 with these
/// fields behind the pseudo-fields of a GET for `t`.
#[track_caller]
fn exchange(config: &Config, origin: &Origin, fields: &[(&str, &str)], reply: &str) -> (Request, Message) {
    let gateway = config.start();
    let mut client = H2::connect(&gateway);
    client.request(1, "GET", "/v1/a?b=c%20&d", fields, true);
    let (mut peer, seen) = origin.accept_request();
    peer.send(reply);
    drop(peer);
    (seen, client.message(1))
}

const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Method, target and fields arrive as HTTP/1.1, and nothing of HTTP/2 with them.
#[test]
fn the_origin_gets_a_request_of_http_1_1() {
    let origin = Origin::new();
    let fields = [("accept", "*/*"), ("x-custom", "a b, c"), ("user-agent", "t/1"), ("priority", "u=1")];
    let (seen, answer) = exchange(&Config::to(&origin), &origin, &fields, PLAIN);
    assert_eq!(seen.head.start, "GET /v1/a?b=c%20&d HTTP/1.1");
    for (name, value) in fields {
        assert_eq!(seen.field(name), Some(value));
    }
    assert_eq!(seen.field("host"), Some(origin.address().to_string().as_str()));
    assert_eq!(seen.field("via"), Some("2.0 ringway"));
    for gone in ["te", "upgrade", "http2-settings", "transfer-encoding", "content-length", "expect"] {
        assert_eq!(seen.field(gone), None, "{:?}", seen.head);
    }
    assert!(!seen.head.has_token("connection", "close"), "{:?}", seen.head);
    assert_eq!(answer.whole(), (200, "ok".to_owned()));
}

/// Host comes from :authority, and from host where there is none; X-Forwarded-Host says it.
#[test]
fn authority_becomes_host() {
    let origin = Origin::new();
    let config = Config::to(&origin).route("host = \"shop.example\"");
    let gateway = config.start();
    let front = [(":method", "GET"), (":scheme", "http"), (":path", "/")];
    let rows: [&[(&str, &str)]; 4] = [
        &[(":authority", "shop.example:8080")],
        &[("host", "shop.example:8080")],
        &[(":authority", "shop.example:8080"), ("host", "shop.example:8080")],
        &[(":authority", "SHOP.example:8080"), ("host", "shop.EXAMPLE:8080")],
    ];
    for fields in rows {
        let mut client = H2::connect(&gateway);
        client.headers(1, &[&front, fields].concat(), true);
        let (mut peer, seen) = origin.accept_request();
        let host = seen.field("x-forwarded-host").map(str::to_ascii_lowercase);
        assert_eq!(host.as_deref(), Some("shop.example:8080"), "{fields:?}");
        peer.send(PLAIN);
        assert_eq!(client.message(1).whole().0, 200);
    }
    let mut client = H2::connect(&gateway);
    client.get(1, "/");
    client.message(1).assert_failure(404);
}

/// Cookies that came in crumbs arrive in one line, in order (§8.2.3).
#[test]
fn cookies_are_joined() {
    let origin = Origin::new();
    let fields = [("cookie", "a=1"), ("x-between", "y"), ("cookie", "b=2; c=3"), ("cookie", "d=4")];
    let (seen, _) = exchange(&Config::to(&origin), &origin, &fields, PLAIN);
    assert_eq!(seen.head.all("cookie"), ["a=1; b=2; c=3; d=4"]);
}

/// Fields that stand on several lines keep their order both ways; Set-Cookie is never joined.
#[test]
fn repeated_fields_keep_their_order() {
    let origin = Origin::new();
    let reply = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-List: 1\r\nSet-Cookie: b=2, c\r\nX-List: 2\r\nContent-Length: 0\r\n\r\n";
    let (seen, answer) =
        exchange(&Config::to(&origin), &origin, &[("x-list", "a"), ("x-o", "o"), ("x-list", "b")], reply);
    assert_eq!(seen.head.all("x-list").join(", "), "a, b");
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2, c"]);
    assert_eq!(answer.all("x-list").join(", "), "1, 2");
}

/// Names of an answer come in lower case, and what belongs to the connection behind the gateway stays there (§8.2.2).
#[test]
fn an_answer_is_one_of_http_2() {
    let origin = Origin::new();
    let reply = "HTTP/1.1 201 Made\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
                 Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\nX-UPPER-Case: Value\r\n\
                 Content-Type: text/plain\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let (_, answer) = exchange(&Config::to(&origin), &origin, &[], reply);
    assert_eq!(answer.whole(), (201, "ok".to_owned()));
    assert_eq!(answer.fields[0], (":status".to_owned(), "201".to_owned()));
    assert_eq!((answer.field("x-upper-case"), answer.field("content-type")), (Some("Value"), Some("text/plain")));
    for gone in ["connection", "x-mine", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"] {
        assert_eq!(answer.field(gone), None, "{:?}", answer.fields);
    }
    assert!(answer.field("via").is_some_and(|via| via.ends_with("ringway")), "{:?}", answer.fields);
    assert!(answer.field("x-request-id").is_some(), "{:?}", answer.fields);
}

/// `connection: close` of the origin ends its own connection and no other: the client's goes on.
#[test]
fn close_of_the_origin_stays_there() {
    let origin = Origin::new().serve(|_| Reply {
        bytes: b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        close: true,
    });
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    for stream in [1, 3, 5] {
        let answer = client.fetch(stream, "/");
        assert_eq!((answer.text().as_str(), answer.field("connection")), ("ok", None));
    }
    client.ping();
}

/// Values pass byte by byte, beyond ASCII too, in both directions.
#[test]
fn values_pass_unchanged() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    let odd = b"\xe9\xc3\xa9 \"q\\\" \t end";
    let block = [fields::request("GET", "/", &[]), fields::literal("x-bytes", odd)].concat();
    client.send(Frame::headers(1, block, true));
    let (mut peer, seen) = origin.accept_request();
    assert!(seen.head.raw.windows(odd.len()).any(|w| w == odd), "{:?}", String::from_utf8_lossy(&seen.head.raw));
    peer.send([&b"HTTP/1.1 200 OK\r\nX-Bytes: "[..], odd, b"\r\nContent-Length: 0\r\n\r\n"].concat());
    let wanted: String = odd.iter().map(|&b| char::from(b)).collect();
    assert_eq!(client.message(1).field("x-bytes"), Some(wanted.as_str()));
}

/// Statuses pass as they came.
#[test]
fn statuses_pass() {
    for status in ["200", "226", "299", "301", "404", "418", "500", "503", "599"] {
        let origin = Origin::new();
        let reply = format!("HTTP/1.1 {status} \r\nContent-Length: 2\r\n\r\nok");
        let (_, answer) = exchange(&Config::to(&origin), &origin, &[], &reply);
        assert_eq!(answer.field(":status"), Some(status));
    }
}

/// Answers to HEAD, 204 and 304 end with their head whatever their fields say.
#[test]
fn bodiless_answers_end_with_their_head() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    let mut peer: Option<Connection> = None;
    let rows = [
        ("HEAD", "200", "Content-Length: 1234\r\n", Some("1234")),
        ("HEAD", "200", "Transfer-Encoding: chunked\r\n", None),
        ("HEAD", "404", "Content-Length: 9\r\n", Some("9")),
        ("GET", "204", "", None),
        ("GET", "304", "Content-Length: 77\r\nETag: \"a\"\r\n", Some("77")),
        ("GET", "304", "ETag: \"a\"\r\n", None),
        ("GET", "200", "Content-Length: 0\r\n", Some("0")),
        ("POST", "200", "Content-Length: 0\r\n", Some("0")),
    ];
    for (number, (method, status, fields, length)) in rows.into_iter().enumerate() {
        let stream = 1 + 2 * number as u32;
        client.request(stream, method, "/", &[], true);
        let mut on = match peer.take() {
            None => origin.accept_request().0,
            Some(mut kept) => {
                let (fresh, _) = origin.accept_request_on(&mut kept);
                fresh.unwrap_or(kept)
            }
        };
        on.send(format!("HTTP/1.1 {status} Said\r\n{fields}\r\n"));
        let answer = client.message(stream);
        assert_eq!(answer.whole(), (status.parse().expect("digits"), String::new()), "{method} {status} {fields}");
        assert!(answer.pieces.len() <= 1 && answer.trailers.is_none(), "{answer:?}");
        assert_eq!(answer.field("content-length"), length, "{method} {status} {fields}");
        peer = Some(on);
    }
}

/// A failure of the gateway's own has its shape over HTTP/2, and none of its body for HEAD.
#[test]
fn failures_have_their_shape() {
    let port = ReservedPort::new();
    let gateway = Config::to(&format!("http://{}", port.address)).start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/");
    client.message(1).assert_failure(502);
    client.request(3, "HEAD", "/", &[], true);
    assert_eq!(client.message(3).whole(), (502, String::new()));
    client.request(5, "POST", "/", &[("content-length", "3")], false);
    client.data(5, "abc", true);
    client.message(5).assert_failure(502);
    client.ping();
}

/// Interim answers are passed on as they come, the final one follows (§8.1).
#[test]
fn interim_answers_are_passed_on() {
    let origin = Origin::new();
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    client.get(1, "/");
    let (mut peer, _) = origin.accept_request();
    for number in 0..3 {
        peer.send(format!("HTTP/1.1 103 Early Hints\r\nLink: </{number}>; rel=preload\r\n\r\n"));
        let early = client.head(1);
        let link = format!("</{number}>; rel=preload");
        assert_eq!((fields::one(&early, ":status"), fields::one(&early, "link")), (Some("103"), Some(link.as_str())));
    }
    peer.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nend");
    let answer = client.message(1);
    assert_eq!((answer.interim_statuses(), answer.text().as_str()), (vec![103], "end"));
}

/// An answer of HTTP/1.0 without a length ends the stream where its connection ends, and a cut one never does.
#[test]
fn answers_end_as_they_should() {
    let origin = Origin::new();
    let rows = [
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", true),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nuntil the end", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nuntil the end", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nuntil the end\r\n", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nuntil the end\r\n0\r\n", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nuntil the end\r\nxx\r\n", false),
    ];
    for (reply, whole) in rows {
        let (_, answer) = exchange(&Config::to(&origin), &origin, &[], reply);
        match answer.ending {
            // What is broken before anything has gone out may become a failure.
            Ending::Whole if answer.status() == 502 => assert!(!whole, "{reply:?} {answer:?}"),
            Ending::Whole => assert!(whole && answer.text() == "until the end", "{reply:?} {answer:?}"),
            Ending::Reset(code) => assert!(!whole && code != NO_ERROR, "{reply:?} {answer:?}"),
            _ => panic!("{reply:?} {answer:?}"),
        }
    }
}

/// A broken head of the origin is 502 on this stream alone.
#[test]
fn a_broken_answer_is_502() {
    let rows = [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nX : 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "nonsense\r\n\r\n",
    ];
    for reply in rows {
        let origin = Origin::new();
        let (_, answer) = exchange(&Config::to(&origin), &origin, &[], reply);
        answer.assert_failure(502);
    }
}

/// `te: trailers` is passed on as HTTP/1.1 wants it said.
#[test]
fn te_trailers_is_kept() {
    let origin = Origin::new();
    let (seen, _) = exchange(&Config::to(&origin), &origin, &[("te", "trailers")], PLAIN);
    assert_eq!(seen.field("te"), Some("trailers"), "{:?}", seen.head);
    assert!(seen.head.has_token("connection", "te"), "RFC 9110 §10.1.4: {:?}", seen.head);
}

/// A head of many fields, of long ones, and one whose table changes all the time, arrive and come back as they were.
#[test]
fn heads_come_back_as_they_were() {
    let origin = Origin::new().serve(|request: &Request| {
        let own = request.head.fields.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("x-own-"));
        let lines: String = own.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n").into_bytes()
    });
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    let mut chance = Chance(11);
    for number in 0..150_u32 {
        let count = chance.below(12);
        let own: Vec<(String, String)> = (0..count)
            .map(|_| {
                let length = [0, 1, 20, 700][chance.below(4)];
                (format!("x-own-{}", chance.below(30)), "v".repeat(length) + &chance.below(9).to_string())
            })
            .collect();
        let mut block = Vec::new();
        if chance.below(9) == 0 {
            block.extend(fields::table_size([0, 300, 4_096][chance.below(3)]));
        }
        block.extend(fields::request("GET", "/", &[]));
        for (name, value) in &own {
            let indexed = chance.below(2) == 0;
            block.extend(if indexed { fields::indexed_literal(name, value) } else { fields::literal(name, value) });
        }
        let stream = 1 + 2 * number;
        let cut = chance.below(block.len());
        let (first, rest) = block.split_at(cut);
        client.send_all(&[Frame::headers_begun(stream, first, true), Frame::continuation(stream, rest, true)]);
        let answer = client.message(stream);
        assert_eq!(answer.whole().0, 200);
        let back: Vec<(String, String)> = answer.fields.into_iter().filter(|(n, _)| n.starts_with("x-own-")).collect();
        assert_eq!(back, own, "request {number}");
    }
}

/// A client that keeps no table of fields gets blocks that need none (§6.5.2, RFC 7541 §4.2).
#[test]
fn a_client_without_a_table_is_served() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    for bytes in [0, 64, 1_000_000] {
        let mut client = H2::connect_with(&gateway, &[(HEADER_TABLE_SIZE, bytes)]);
        for stream in [1, 3, 5, 7] {
            assert_eq!(client.fetch(stream, "/a").text(), "GET /a");
        }
    }
    let mut client = H2::connect(&gateway);
    for (number, bytes) in [4_096, 0, 100, 4_096, 0].into_iter().enumerate() {
        client.settings(&[(HEADER_TABLE_SIZE, bytes)]);
        assert_eq!(client.fetch(1 + 2 * number as u32, "/a").text(), "GET /a");
    }
}

/// A head that is larger than it may be is 431 or a reset on this stream alone, and the table is right behind it.
#[test]
fn a_head_that_is_too_large_is_refused() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).limits("head = \"4KiB\"\nfields = 20").start();
    let mut client = H2::connect(&gateway);
    let value = "v".repeat(5_000);
    let many: Vec<(String, String)> = (0..40).map(|number| (format!("x-{number}"), "v".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let rows = [
        ("a large value", fields::request("GET", "/", &[("x", &value)])),
        ("many fields", fields::request("GET", "/", &many)),
        ("a long path", fields::request("GET", &format!("/{value}"), &[])),
    ];
    for (number, (name, block)) in rows.into_iter().enumerate() {
        let stream = 1 + 4 * number as u32;
        let block = [block, fields::indexed_literal("x-kept", "1")].concat();
        client.send(Frame::headers(stream, block, true));
        let answer = client.message(stream);
        let refused = match answer.ending {
            Ending::Whole => matches!(answer.status(), 431 | 414),
            Ending::Reset(_) => true,
            _ => false,
        };
        assert!(refused, "{name}: {answer:?}");
        let block = [fields::request("GET", "/after", &[]), fields::indexed(62)].concat();
        client.send(Frame::headers(stream + 2, block, true));
        assert_eq!(client.message(stream + 2).whole().0, 200, "{name}");
    }
    let seen: Vec<String> = origin.take_requests().iter().map(|request| request.brief()).collect();
    assert_eq!(seen, ["GET /after"; 3]);
}

/// A path that is longer than a request line may be is refused as in HTTP/1.1.
#[test]
fn a_path_that_is_too_long_is_refused() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).limits("request_line = \"512B\"").start();
    let mut client = H2::connect(&gateway);
    assert_eq!(client.fetch(1, &format!("/{}", "a".repeat(400))).status(), 200);
    client.get(3, &format!("/{}", "a".repeat(600)));
    client.message(3).assert_failure(414);
    assert_eq!(client.fetch(5, "/after").status(), 200);
    assert_eq!(origin.take_requests().len(), 2);
}

/// The access log tells the version, and the metrics count the requests.
#[test]
fn the_log_tells_the_version() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).log("access = \"stdout\"").log("format = \"json\"").start();
    let mut client = H2::connect(&gateway);
    client.fetch(1, "/logged");
    let line = gateway.access_of("/logged");
    assert!(line["version"].as_str().is_some_and(|version| version.starts_with("HTTP/2")), "{line}");
    assert_eq!(line["status"], 200, "{line}");
}
