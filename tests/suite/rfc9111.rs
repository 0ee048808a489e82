//! The cache against RFC 9111, clause by clause: rows of request, origin's answer, what the client must see.
//!
//! The language of the rows is described in `harness/script.rs`. Rows stand in the files beside this one; those that only
//! differ in a number are made here. Time is never waited for: an origin says how old its answer is.

#[rustfmt::skip] // a row stays a line
mod condition;
#[rustfmt::skip]
mod fresh;
#[rustfmt::skip]
mod invalidate;
#[rustfmt::skip]
mod key;
#[rustfmt::skip]
mod message;
#[rustfmt::skip]
mod range;
#[rustfmt::skip]
mod request;
#[rustfmt::skip]
mod stale;
#[rustfmt::skip]
mod store;
#[rustfmt::skip]
mod vary;

use super::harness::message::Request;
use super::harness::*;

#[track_caller]
fn play(rows: &[Row]) {
    Stage::new("").play(&Case::all(rows));
}

/// RFC 9111 §3: what may be stored.
#[test]
fn what_may_be_stored() {
    play(store::DIRECTIVES);
}

/// RFC 9111 §3.5: answers to requests with credentials, and whose they are.
#[test]
fn credentials_are_respected() {
    play(store::CREDENTIALS);
}

/// RFC 9111 §5.2, RFC 9110 §5.6.1: directives are a list, in any case, on any number of lines.
#[test]
fn directives_are_a_list() {
    play(store::LISTS);
}

/// RFC 9213: a field for this kind of cache goes before the others.
#[test]
fn targeted_fields_go_first() {
    play(store::TARGETED);
}

/// RFC 9111 §4.2: lifetime and age.
#[test]
fn freshness_is_counted() {
    play(fresh::LIFETIME);
    play(fresh::AGE);
}

/// RFC 9111 §5.2.1: what a request may ask of a cache.
#[test]
fn requests_are_obeyed() {
    play(request::DIRECTIVES);
}

/// RFC 9111 §4.3: confirmation by the origin.
#[test]
fn the_origin_confirms() {
    play(stale::CONFIRMED);
}

/// RFC 9111 §4.2.4, RFC 5861: what may be served stale.
#[test]
fn stale_answers_bridge_failures() {
    play(stale::SERVED);
}

/// RFC 9111 §4.1: Vary.
#[test]
fn variants_are_told_apart() {
    play(vary::ROWS);
}

/// RFC 9110 §13: preconditions, judged by what is stored.
#[test]
fn preconditions_are_judged() {
    play(condition::ROWS);
}

/// RFC 9110 §14: ranges of what is stored.
#[test]
fn ranges_are_cut() {
    play(range::ROWS);
}

/// RFC 9111 §4.4: unsafe methods invalidate.
#[test]
fn unsafe_methods_invalidate() {
    play(invalidate::ROWS);
}

/// RFC 9111 §2: what makes requests the same.
#[test]
fn keys_tell_requests_apart() {
    play(key::ROWS);
}

/// RFC 9111 §3.1, §3.3, §5.1, RFC 9211: fields and bodies of what is stored.
#[test]
fn messages_are_kept_whole() {
    play(message::FIELDS);
    play(message::BODIES);
}

/// RFC 9211: what the gateway did is told.
#[test]
fn the_status_is_told() {
    play(message::STATUS);
}

/// RFC 9110 §15.1: statuses that may be stored by a guess at their lifetime, and those that may not.
#[test]
fn statuses_are_cacheable_or_not() {
    let guessed = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];
    let others = [201, 302, 303, 307, 400, 401, 403, 406, 409, 418, 429, 500, 502, 503, 504];
    let mut cases = Vec::new();
    for status in guessed.iter().chain(&others) {
        let guess = guessed.contains(status);
        let first = if guess { "miss" } else { "pass|!Age" };
        let again = if guess { "" } else { &format!("{status}") };
        let origin = format!("{status}|Last-Modified: {{-100000}}");
        let answers = [format!("{status} {first}"), format!("{status} {}", if guess { "hit" } else { "-" })];
        let steps = [["GET", &origin, &answers[0]], ["GET", again, &answers[1]]];
        cases.push(Case::made(format!("§4.2.2 {status} without a lifetime"), &steps));
    }
    for status in guessed.iter().chain(&others).chain(&[299, 499, 599]) {
        let origin = format!("{status}|Cache-Control: max-age=60");
        let answers = [format!("{status} miss"), format!("{status} hit")];
        cases.push(Case::made(
            format!("§3 {status} with a lifetime"),
            &[["GET", &origin, &answers[0]], ["GET", "", &answers[1]]],
        ));
    }
    Stage::new("").play(&cases);
}

/// RFC 9111 §9.3.2 to §9.3.8 of RFC 9110: answers to other methods are not stored, and stored ones do not answer them.
#[test]
fn other_methods_go_past_the_cache() {
    let cases: Vec<Case> = ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"]
        .iter()
        .map(|method| {
            let (request, asked) = (format!("{method}|=x"), format!(">method: {method}"));
            let unsafe_method = *method != "OPTIONS";
            let first = format!("200 pass fwd=method detail=method_unsafe|=1|{asked}");
            let second = format!("200 pass|=2|{asked}");
            let (origin, last) = if unsafe_method { ("200|=4", "200 -|=4") } else { ("", "200 hit|=3") };
            Case::made(
                format!("{method} is neither stored nor answered"),
                &[
                    [&request, "200|Cache-Control: max-age=60|=1", &first],
                    ["GET", "200|Cache-Control: max-age=60|=3", "200 -|=3"],
                    [&request, "200|Cache-Control: max-age=60|=2", &second],
                    ["GET", origin, last],
                ],
            )
        })
        .collect();
    Stage::new("").play(&cases);
}

/// RFC 9111 §4.2.2, §4: negative answers live as long as the route says, where the origin does not say.
#[test]
fn negative_answers_are_stored_by_the_route() {
    Stage::new("ttl = { 404 = \"1m\", 503 = \"1m\", 200 = \"0s\" }").play(&Case::all(stale::NEGATIVE));
}

/// RFC 9110 §14.6: several ranges come as parts, each with its own place and the type of the whole.
#[test]
fn several_ranges_come_in_parts() {
    let body: String = ('a'..='z').cycle().take(1_000).collect();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/plain\r\nETag: \"e\"\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let origin = Origin::new().serve(move |_| answer.clone().into_bytes());
    let gateway = Config::to(&origin).cache("").start();
    let mut client = gateway.client();
    client.send(get("/"));
    assert_eq!(client.read_response().text(), body);
    client.send("GET / HTTP/1.1\r\nHost: t\r\nRange: bytes=0-1, 500-504 ,-3\r\n\r\n");
    let parts = client.read_response();
    assert_eq!(parts.status, 206);
    assert_eq!(parts.field("content-range"), None, "RFC 9110 §15.3.7.2");
    let kind = parts.field("content-type").expect("a type").to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("a boundary").trim_matches('"');
    let text = parts.text();
    let pieces: Vec<&str> = text.split(&format!("--{boundary}")).collect();
    assert_eq!(pieces.len(), 5, "an empty start, three parts, an end: {text:?}");
    assert_eq!((pieces[0].trim(), pieces[4].trim()), ("", "--"));
    for (piece, (first, last)) in pieces[1..4].iter().zip([(0, 1), (500, 504), (997, 999)]) {
        let (head, content) = piece.split_once("\r\n\r\n").expect("head and content");
        let head = head.to_ascii_lowercase();
        assert!(head.contains(&format!("content-range: bytes {first}-{last}/1000")), "{head}");
        assert!(head.contains("content-type: text/plain"), "{head}");
        assert_eq!(content.strip_suffix("\r\n"), Some(&body[first..=last]));
    }
    assert_eq!(origin.take_requests().len(), 1);
}

/// RFC 9111 §3.3: a large body comes back byte by byte as it was, by any framing.
#[test]
fn large_bodies_come_back_as_they_were() {
    let mut chance = Chance(7);
    let body: Vec<u8> = (0..1_500_000).map(|_| chance.below(256) as u8).collect();
    let sent = body.clone();
    let origin = Origin::new().serve(move |request: &Request| {
        let mut bytes = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n".to_vec();
        if request.target == "/length" {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", sent.len()).as_bytes());
            bytes.extend_from_slice(&sent);
        } else {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            sent.chunks(70_001).for_each(|piece| bytes.extend_from_slice(&chunk(piece)));
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
        bytes
    });
    let gateway = Config::to(&origin).cache("").start();
    for path in ["/length", "/chunked"] {
        for turn in 0..3 {
            let response = gateway.get(path);
            assert_eq!((response.status, response.body.cut), (200, None));
            assert!(response.body.bytes == body, "{path}, turn {turn}");
        }
        assert_eq!(origin.take_requests().len(), 1, "{path}");
    }
}
