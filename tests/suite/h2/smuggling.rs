//! What could be understood differently behind the gateway: bytes in names, values and pseudo-fields that HTTP/1.1 would
//! read as something else (RFC 9113 §10.3), and framing that belongs to HTTP/1.1. None of it reaches the origin.

#[rustfmt::skip] // a row stays a line
mod table;

use super::*;
use table::*;

/// A request whose fields stand as they are.
type Block = Vec<(Vec<u8>, Vec<u8>)>;

/// The pseudo-fields of a GET with one of them replaced.
fn with_pseudo(name: &str, value: &[u8]) -> Block {
    let front = [(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "/a")];
    front
        .iter()
        .map(|(n, v)| (n.as_bytes().to_vec(), if *n == name { value.to_vec() } else { v.as_bytes().to_vec() }))
        .collect()
}

/// A GET with one more field.
fn with_field(name: &[u8], value: &[u8]) -> Block {
    let mut block = with_pseudo("", b"");
    block.push((name.to_vec(), value.to_vec()));
    block
}

/// A GET with several more fields.
fn with_fields(fields: &[(&str, &str)]) -> Block {
    let mut block = with_pseudo("", b"");
    block.extend(fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())));
    block
}

/// Every row with its name.
fn rows() -> Vec<(String, Block)> {
    let pseudo = [(":path", PATHS), (":method", METHODS), (":authority", AUTHORITIES), (":scheme", SCHEMES)];
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let mut rows: Vec<(String, Block)> = Vec::new();
    for (name, values) in pseudo {
        rows.extend(values.iter().map(|value| (format!("{name} {}", shown(value)), with_pseudo(name, value))));
    }
    rows.extend(NAMES.iter().map(|name| (format!("name {}", shown(name)), with_field(name, b"0"))));
    rows.extend(VALUES.iter().map(|value| (format!("value {}", shown(value)), with_field(b"x", value))));
    rows.extend(
        LENGTHS.iter().map(|value| (format!("content-length {}", shown(value)), with_field(b"content-length", value))),
    );
    rows.extend(TOGETHER.iter().map(|fields| (format!("{fields:?}"), with_fields(fields))));
    rows
}

/// How a row is sent: one after the other, each is refused for its own sake.
#[derive(Clone, Copy, Debug)]
enum Sent {
    /// As literals, the request ended by its head.
    Ended,
    /// Its strings put into the table, the head followed by content.
    WithContent,
}

fn play(sent: Sent) {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let mut wrong = Vec::new();
    let rows = rows();
    assert!(rows.len() > 130, "{} rows", rows.len());
    for (name, fields) in &rows {
        let mut client = H2::connect(&gateway);
        match sent {
            Sent::Ended => client.headers(1, fields, true),
            Sent::WithContent => {
                let block: Vec<u8> =
                    fields.iter().flat_map(|(name, value)| fields::indexed_literal(name, value)).collect();
                client.send_all(&[
                    Frame::headers(1, block, false),
                    Frame::data(1, "GET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n", true),
                ]);
            }
        }
        let answer = client.message(1);
        let refused = match answer.ending {
            Ending::Reset(code) => code == PROTOCOL_ERROR,
            Ending::Whole => matches!(answer.status(), 400..=499 | 501),
            Ending::GoAway(_) | Ending::Cut(_) => false,
        };
        if !refused {
            wrong.push(format!("{name}: {answer:?}"));
            continue;
        }
        client.get(3, "/fence");
        let fence = client.message(3);
        let seen: Vec<String> = origin.take_requests().iter().map(|request| request.brief()).collect();
        if fence.status() != 200 || seen != ["GET /fence"] {
            wrong.push(format!("{name}: behind it {fence:?}; the origin saw {seen:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows, {sent:?}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// Each row is refused on its stream, and the origin sees nothing of it.
#[test]
fn nothing_odd_reaches_the_origin() {
    play(Sent::Ended);
}

/// The same with content behind it, and with the strings in the table.
#[test]
fn nothing_odd_reaches_the_origin_with_content() {
    play(Sent::WithContent);
}

/// Content that looks like a chunk, a last chunk or a request is content.
#[test]
fn content_stays_content() {
    let origin = Origin::new().serve(|request: &Request| ok(&request.body.bytes));
    let gateway = Config::to(&origin).start();
    let mut client = H2::connect(&gateway);
    let odd = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let length = odd.len().to_string();
    for (stream, fields) in [(1, vec![]), (3, vec![("content-length", length.as_str())])] {
        client.request(stream, "POST", "/content", &fields, false);
        odd.as_bytes().chunks(7).for_each(|piece| client.data(stream, piece, false));
        client.data(stream, "", true);
        assert_eq!(client.message(stream).text(), odd);
        let seen = origin.take_requests();
        assert_eq!((seen.len(), seen[0].target.as_str()), (1, "/content"));
    }
}

/// Trailers never become fields of a request, and never end it differently.
#[test]
fn trailers_stay_trailers() {
    let rows: &[&[(&str, &str)]] = &[
        &[("x", "a\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n")],
        &[("x\r\n", "a")],
        &[("x: y", "a")],
        &[("X", "a")],
        &[(":path", "/smuggled")],
        &[("transfer-encoding", "chunked")],
        &[("connection", "close")],
    ];
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    for trailers in rows {
        let mut client = H2::connect(&gateway);
        client.request(1, "POST", "/a", &[], false);
        client.data(1, "x", false);
        client.headers(1, trailers, true);
        let answer = client.message(1);
        let refused = matches!(answer.ending, Ending::Reset(PROTOCOL_ERROR)) || (400..500).contains(&answer.status());
        assert!(refused, "{trailers:?}: {answer:?}");
        client.get(3, "/fence");
        assert_eq!(client.message(3).whole().0, 200, "{trailers:?}");
        let seen: Vec<String> = origin.take_requests().iter().map(|request| request.brief()).collect();
        assert_eq!(seen, ["GET /fence"], "{trailers:?}");
    }
}

/// What the origin says never becomes a field or an answer that it is not.
#[test]
fn nothing_odd_comes_back() {
    let rows = [
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n:status: 201\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX y: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    ];
    for reply in rows {
        let origin = Origin::new();
        let gateway = Config::to(&origin).start();
        let mut client = H2::connect(&gateway);
        client.get(1, "/");
        let (mut peer, _) = origin.accept_request();
        peer.send(reply);
        drop(peer);
        // The reader of the harness refuses what may not stand in HTTP/2; a refusal of the gateway's is as good.
        let answer = client.message(1);
        assert!(
            answer.status() == 502 || matches!(answer.ending, Ending::Reset(_)) || answer.status() == 200,
            "{answer:?}"
        );
        assert!(answer.field("x").is_none_or(|value| !value.contains(['\0', '\r', '\n'])), "{answer:?}");
        client.ping();
    }
}

/// Whatever is changed in good requests, the origin sees what a strict reader sees, one request for each at most.
#[test]
fn changed_requests_stay_one_request() {
    let origin = Origin::new().serve(echo);
    let gateway = Config::to(&origin).start();
    let mut chance = Chance(0x5eed);
    let more: [(&[u8], &[u8]); 5] =
        [(b"x", b"y"), (b"cookie", b"a=b"), (b"content-length", b"3"), (b"te", b"trailers"), (b"host", b"t")];
    for round in 0..30 {
        let mut client = H2::connect(&gateway);
        for number in 0..12 {
            let mut block = with_pseudo("", b"");
            block.extend(
                (0..chance.below(3)).map(|_| more[chance.below(more.len())]).map(|(n, v)| (n.to_vec(), v.to_vec())),
            );
            let at = chance.below(block.len());
            let odd = b"\r\n \t:;,0aA\0\x7f\xff/\"";
            let part = if chance.below(2) == 0 { &mut block[at].0 } else { &mut block[at].1 };
            for _ in 0..chance.below(3) {
                let (place, byte) = (chance.below(part.len() + 1), odd[chance.below(odd.len())]);
                match part.get_mut(place) {
                    Some(old) if chance.below(2) == 0 => *old = byte,
                    _ => part.insert(place, byte),
                }
            }
            let stream = 1 + 2 * number;
            client.send_all(&[Frame::headers(stream, fields::block(&block), false), Frame::data(stream, "abc", true)]);
            let answer = client.message(stream);
            let context = format!("round {round}, {block:?}, {answer:?}");
            let seen = origin.take_requests();
            match (answer.ending, answer.status()) {
                (Ending::Whole, 200) => {
                    assert_eq!(seen.len(), 1, "{context}");
                    assert!(seen[0].method != "AMBIGUOUS" && seen[0].body.bytes == b"abc", "{context}");
                    assert!(block.iter().any(|(n, v)| n == b":path" && v == seen[0].target.as_bytes()), "{context}");
                }
                (Ending::Whole, 400..=499 | 501) | (Ending::Reset(PROTOCOL_ERROR), _) => {
                    assert_eq!(seen.len(), 0, "{context}");
                }
                _ => panic!("{context}"),
            }
        }
    }
}
