//! Request blocks into heads: RFC 9113 §8.2, §8.3.1 and §8.5, RFC 8441, RFC 9110.
//!
//! Tables of what is taken and what is refused, by section.

use super::*;
use crate::h1::{self, BodyLength, Reject};
use crate::http::{Method, Version};

const BASE: &[&str] = &[":method: GET", ":scheme: https", ":path: /a?b", ":authority: h:1"];

fn request(text: &[&str]) -> Result<(RequestShape, RequestHead), Malformed> {
    match build(&lines(text), 16_384, 100) {
        (Ok(shape), head) => Ok((shape, head)),
        (Err(RequestError::Malformed(malformed)), _) => Err(malformed),
        (Err(RequestError::TooLarge), _) => panic!("within the bounds"),
    }
}

/// The verdict on a GET with these lines behind the pseudo-fields.
fn with(more: &[&str]) -> Result<(RequestShape, RequestHead), Malformed> {
    request(&[BASE, more].concat())
}

fn refused(text: &[&str], expected: Malformed) {
    assert_eq!(request(text).map(|_| ()), Err(expected), "{text:?}");
}

fn refused_with(more: &[&str], expected: Malformed) {
    refused(&[BASE, more].concat(), expected);
}

#[test]
fn a_head_is_indexed_with_host_first() {
    let (shape, head) = with(&["accept: */*", "x-odd: a  b", "empty: ", "content-length: 042"]).unwrap();
    assert_eq!(shape, RequestShape { content_length: Some(42), websocket: false });
    assert_eq!((head.method, head.version), (Method::Get, Version::Http2));
    assert_eq!((head.method_text(), head.target()), (&b"GET"[..], &b"/a?b"[..]));
    assert_eq!(fields(&head), ["host: h:1", "accept: */*", "x-odd: a  b", "empty: ", "content-length: 042"]);
    let ids: Vec<_> = head.fields.iter().map(|f| f.id).collect();
    assert_eq!(ids, [FieldId::Host, FieldId::Accept, FieldId::Other, FieldId::Other, FieldId::ContentLength]);
    let framing = h1::request_framing(&head).unwrap();
    assert_eq!((framing.body, framing.keep_alive), (BodyLength::Length(42), true));
    assert_eq!((h1::target_parts(&head).path, h1::authority(&head)), (&b"/a"[..], &b"h:1"[..]));
}

#[test]
fn a_used_head_starts_anew() {
    let (_, mut head) = with(&["cookie: a", "x: y"]).unwrap();
    let builder = RequestBuilder::new(&mut head, 16_384, 100, NONCE);
    assert_eq!(builder.finish(), Err(RequestError::Malformed(Malformed::PseudoMissing)));
    assert!(head.bytes.is_empty() && head.fields.is_empty() && head.target().is_empty());
}

#[test]
fn pseudo_fields_come_in_any_order_once_and_first() {
    // RFC 9113 §8.3.
    let turned: Vec<_> = BASE.iter().rev().copied().collect();
    let (_, head) = request(&turned).unwrap();
    assert_eq!(
        (head.method_text(), head.target(), fields(&head)),
        (&b"GET"[..], &b"/a?b"[..], vec!["host: h:1".into()])
    );
    for again in BASE {
        refused(&[BASE, &[again]].concat(), Malformed::PseudoDuplicate);
        refused(&[BASE, &["a: b", again]].concat(), Malformed::PseudoLate);
    }
    for missing in 0..3 {
        let mut text = BASE.to_vec();
        text.remove(missing);
        refused(&text, Malformed::PseudoMissing);
    }
    for forbidden in [":status: 200", ":version: HTTP/1.1", ":Method: GET", ":: a", ":host: a", ":protocol: websocket"]
    {
        refused(&[BASE, &[forbidden]].concat(), Malformed::PseudoForbidden);
    }
}

#[test]
fn names_are_lower_case_tokens() {
    // RFC 9113 §8.2.1.
    for good in ["x: y", "x-a_b.c!#$%&'*+^`|~9: y"] {
        assert!(with(&[good]).is_ok(), "{good}");
    }
    for bad in ["X: y", "xY: y", "Host: h:1", "Content-Length: 1", "Transfer-Encoding: chunked", "Cookie: a"] {
        refused_with(&[bad], Malformed::NameUpperCase);
    }
    for bad in ["x y: z", "x\r: y", "x\n: y", "x\0: y", "x\u{7f}: y", "\u{e9}: y", "x(: y", " x: y", "x\t: y"] {
        refused_with(&[bad], Malformed::NameBad);
    }
    for name in [&b""[..], b"a:b", b"\xff", b"transfer-encoding:", b"host "] {
        let mut all = lines(BASE);
        all.push((name.to_vec(), b"c".to_vec()));
        assert_eq!(build(&all, 16_384, 100).0, Err(RequestError::Malformed(Malformed::NameBad)), "{name:?}");
    }
}

#[test]
fn values_hold_no_control_bytes_and_no_white_space_at_their_ends() {
    // RFC 9113 §8.2.1, §10.3: what would end a line of HTTP/1.1 is never passed on.
    for good in ["x: ", "x: a b", "x: a\tb", "x: \u{e9}", "x: a: b"] {
        assert!(with(&[good]).is_ok(), "{good:?}");
    }
    let bad = [
        "a\r\nb: c",
        "a\rb",
        "a\nb",
        "a\0b",
        "\0",
        "\r",
        "\n",
        " a",
        "a ",
        "\ta",
        "a\t",
        " ",
        "a\u{7f}",
        "a\u{1}",
        "a value that is longer than one word\n",
    ];
    for bad in bad {
        for name in ["x", "cookie", "content-type", "host", "te"] {
            refused_with(&[&format!("{name}: {bad}")], Malformed::ValueBad);
        }
    }
}

#[test]
fn fields_of_a_connection_are_refused() {
    // RFC 9113 §8.2.2.
    for bad in [
        "connection: close",
        "connection: x",
        "proxy-connection: keep-alive",
        "keep-alive: timeout=5",
        "transfer-encoding: chunked",
        "transfer-encoding: gzip",
        "upgrade: websocket",
        "upgrade: h2c",
    ] {
        refused_with(&[bad], Malformed::ConnectionField);
    }
    assert_eq!(fields(&with(&["te: trailers"]).unwrap().1), ["host: h:1", "te: trailers"]);
    for bad in ["te: gzip", "te: trailers, gzip", "te: ", "te: trailers;q=1"] {
        refused_with(&[bad], Malformed::TeBad);
    }
}

#[test]
fn methods_and_schemes_are_what_they_may_be() {
    // RFC 9113 §8.3.1, RFC 9110 §9.1.
    let method = |method: &str| request(&[&format!(":method: {method}"), BASE[1], BASE[2], BASE[3]]);
    assert_eq!(method("M-SEARCH").unwrap().1.method, Method::Other);
    assert_eq!(method("get").unwrap().1.method, Method::Other);
    assert_eq!(method("POST").unwrap().1.method, Method::Post);
    for bad in ["", "G T", "GET\r", "GET /", "G\u{e9}T", "GET\0", " GET"] {
        assert_eq!(method(bad).map(|_| ()), Err(Malformed::MethodBad), "{bad:?}");
    }
    let scheme = |scheme: &str| request(&[BASE[0], &format!(":scheme: {scheme}"), BASE[2], BASE[3]]).map(|_| ());
    assert_eq!((scheme("http"), scheme("https")), (Ok(()), Ok(())));
    for bad in ["", "HTTPS", "ftp", "http ", "https://a", "h"] {
        assert_eq!(scheme(bad), Err(Malformed::SchemeBad), "{bad:?}");
    }
}

#[test]
fn paths_are_what_a_target_of_http_1_may_be() {
    // RFC 9113 §8.3.1, RFC 9112 §3.2.1.
    let path = |method: &str, path: &str| {
        request(&[&format!(":method: {method}"), BASE[1], &format!(":path: {path}"), BASE[3]]).map(|_| ())
    };
    for good in ["/", "/a%2f?b?c", "//a//b/..", "/|^{}\"<>\\", "/*"] {
        assert_eq!(path("GET", good), Ok(()), "{good}");
    }
    assert_eq!(path("OPTIONS", "*"), Ok(()));
    for bad in [
        "",
        "*",
        "a",
        "?x",
        "http://a/",
        "h:1",
        "/a b",
        "/a\tb",
        "/\r\nx: y",
        "/\0",
        "/\u{7f}",
        "/\u{e9}",
        "/a#b",
        "*a",
        " /",
        "/ HTTP/1.1",
    ] {
        assert_eq!(path("GET", bad), Err(Malformed::PathBad), "{bad:?}");
    }
    for bad in ["**", "*?a", "#", ""] {
        assert_eq!(path("OPTIONS", bad), Err(Malformed::PathBad), "{bad:?}");
    }
}

#[test]
fn authority_and_host_agree() {
    // RFC 9113 §8.3.1.
    let bare = &BASE[..3];
    let of = |more: &[&str]| request(&[bare, more].concat()).map(|(_, head)| fields(&head));
    assert_eq!(of(&[":authority: A.b:1", "x: y", "host: a.B:1"]), Ok(vec!["host: A.b:1".into(), "x: y".into()]));
    assert_eq!(of(&["x: y", "host: a"]), Ok(vec!["x: y".into(), "host: a".into()]));
    assert_eq!(of(&["x: y"]), Err(Malformed::HostMissing));
    assert_eq!(of(&[":authority: a", "host: b"]), Err(Malformed::HostDisagrees));
    assert_eq!(of(&[":authority: a", "host: a:443"]), Err(Malformed::HostDisagrees));
    assert_eq!(of(&[":authority: a", "host: "]), Err(Malformed::HostDisagrees));
    assert_eq!(of(&[":authority: a", "host: a", "host: a"]), Err(Malformed::HostDuplicate));
    assert_eq!(of(&["host: a", "host: a"]), Err(Malformed::HostDuplicate));
    for bad in ["", "u@a", "u:p@a", "a b", "a\r\nb", "\u{e9}", "a\0"] {
        assert_eq!(of(&[&format!(":authority: {bad}")]), Err(Malformed::AuthorityBad), "{bad:?}");
    }
    assert_eq!(of(&["host: "]), Err(Malformed::AuthorityBad));
    assert_eq!(of(&["host: u@a"]), Err(Malformed::AuthorityBad));
    // The rest of what an authority may be is judged with the framing, as in HTTP/1.1.
    for odd in ["a/b", "a,b", "::1", "a:65536", "[x]", "a%41"] {
        let (_, head) = request(&[bare, &[&format!(":authority: {odd}")]].concat()).unwrap();
        assert_eq!(h1::request_framing(&head), Err(Reject::HostBad), "{odd}");
    }
}

#[test]
fn lengths_are_one_plain_number() {
    // RFC 9110 §8.6.
    for bad in ["", "+5", "-5", "5,5", "5, 5", "0x5", "5 5", "5;", "18446744073709551616", "\u{665}"] {
        refused_with(&[&format!("content-length: {bad}")], Malformed::LengthBad);
    }
    refused_with(&["content-length: 5", "content-length: 5"], Malformed::LengthDuplicate);
    refused_with(&["content-length: 5", "content-length: 6"], Malformed::LengthDuplicate);
    let most = 9_999_999_999_999_999_999;
    assert_eq!(with(&[&format!("content-length: {most}")]).unwrap().0.content_length, Some(most));
}

#[test]
fn crumbs_become_one_cookie() {
    // RFC 9113 §8.2.3.
    let cookies = |more: &[&str]| fields(&with(more).unwrap().1)[1..].to_vec();
    assert_eq!(cookies(&["cookie: a=1", "cookie: b=2", "x: y", "z: "]), ["cookie: a=1; b=2", "x: y", "z: "]);
    assert_eq!(
        cookies(&["x: y", "cookie: a=1", "v: w", "cookie: b=2", "cookie: c=3", "z: ", "cookie: d"]),
        ["x: y", "cookie: a=1; b=2; c=3; d", "v: w", "z: "]
    );
    assert_eq!(
        cookies(&["cookie: ", "cookie: a", "cookie: ", "x: y", "cookie: ", "cookie: b"]),
        ["cookie: a; b", "x: y"]
    );
    assert_eq!(cookies(&["cookie: "]), ["cookie: "]);
    let (_, head) = with(&["cookie: a=1", "v: w", "cookie: b=2"]).unwrap();
    assert_eq!((head.method_text(), head.target()), (&b"GET"[..], &b"/a?b"[..]));
    assert_eq!(head.bytes.len(), "GET/a?bhosth:1cookiea=1; b=2vw".len(), "nothing is left of the first writing");
}

#[test]
fn bounds_hold_to_the_byte_and_the_field() {
    // RFC 6585 §5. The bytes are those of the text in HTTP/1.1.
    let all = lines(&[BASE, &["x: y", "cookie: a", "cookie: b"]].concat());
    let text = "GET /a?b HTTP/1.1\r\nhost: h:1\r\nx: y\r\ncookie: a; b\r\n\r\n";
    assert!(build(&all, text.len(), 3).0.is_ok());
    assert_eq!(build(&all, text.len() - 1, 3).0, Err(RequestError::TooLarge));
    let (verdict, head) = build(&all, text.len(), 2);
    assert_eq!((verdict, fields(&head)), (Err(RequestError::TooLarge), vec!["host: h:1".into(), "x: y".into()]));
    assert_eq!((head.method_text(), head.target()), (&b"GET"[..], &b"/a?b"[..]), "for the log");
    assert_eq!(build(&all, 0, 0).0, Err(RequestError::TooLarge));
    let mut long = all.clone();
    long.extend((0..20_000).map(|_| (b"cookie".to_vec(), Vec::new())));
    assert_eq!(build(&long, 16_384, 100).0, Err(RequestError::TooLarge), "empty crumbs do not come for nothing");
    long[4].1 = vec![b'a'; 70_000];
    assert_eq!(build(&long, usize::MAX, usize::MAX).0, Err(RequestError::TooLarge), "whatever the bounds say");
}

#[test]
fn the_first_problem_is_the_one_that_counts() {
    refused_with(&["x: a\rb", ":status: 200", "X: y"], Malformed::ValueBad);
    refused(&["X: y"], Malformed::NameUpperCase);
}

#[test]
fn connect_is_left_to_be_refused() {
    // RFC 9113 §8.5.
    let (shape, head) = request(&[":method: CONNECT", ":authority: a:443", "x: y"]).unwrap();
    assert!(!shape.websocket);
    assert_eq!((head.method, head.target()), (Method::Connect, &b"a:443"[..]));
    assert_eq!(h1::request_framing(&head), Err(Reject::ConnectRefused));
    refused(&[":method: CONNECT", "host: a:443"], Malformed::PseudoMissing);
    refused(&[":method: CONNECT", ":authority: a:443", ":path: /"], Malformed::PseudoForbidden);
    refused(&[":method: CONNECT", ":authority: a:443", ":scheme: https"], Malformed::PseudoForbidden);
    // RFC 8441 §4: other protocols.
    let other = [":method: CONNECT", ":protocol: connect-udp", ":scheme: https", ":path: /", ":authority: a"];
    assert_eq!(h1::request_framing(&request(&other).unwrap().1), Err(Reject::ConnectRefused));
}

#[test]
fn an_extended_connect_for_websocket_is_an_upgrade() {
    // RFC 8441 §4, §5.
    let ask = [":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /chat?a", ":authority: h"];
    let more = ["sec-websocket-version: 13", "sec-websocket-key: bad", "cookie: a", "origin: https://h", "cookie: b"];
    let (shape, head) = request(&[&ask[..], &more].concat()).unwrap();
    assert_eq!(shape, RequestShape { content_length: None, websocket: true });
    assert_eq!((head.method, head.method_text(), head.target()), (Method::Get, &b"GET"[..], &b"/chat?a"[..]));
    assert_eq!(
        fields(&head),
        [
            "host: h",
            "sec-websocket-version: 13",
            "cookie: a; b",
            "origin: https://h",
            "upgrade: websocket",
            "connection: Upgrade",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
    );
    assert!(h1::request_framing(&head).unwrap().upgrade);
    for missing in 2..5 {
        let mut text = ask.to_vec();
        text.remove(missing);
        refused(&text, Malformed::PseudoMissing);
    }
    refused(&[&ask[..], &["content-length: 0"]].concat(), Malformed::LengthDisagrees);
    refused(&[&ask[..], &["upgrade: websocket"]].concat(), Malformed::ConnectionField);
    refused(&[ask[0], ask[1], ask[2], ":path: *", ask[4]], Malformed::PathBad);
    refused(&[ask[0], ":protocol: web socket", ask[2], ask[3], ask[4]], Malformed::ValueBad);
    let bounded = lines(&ask);
    let bytes = "CONNECT /chat?a HTTP/1.1\r\nhost: h\r\n\r\n".len();
    assert!(build(&bounded, bytes, 1).0.is_ok(), "what is ours does not count");
}

#[test]
fn a_body_of_unknown_length_is_declared() {
    let (_, mut head) = with(&["x: y"]).unwrap();
    declare_chunked(&mut head);
    assert_eq!(fields(&head).last().map(String::as_str), Some("transfer-encoding: chunked"));
    assert_eq!(h1::request_framing(&head).unwrap().body, BodyLength::Chunked);
}
