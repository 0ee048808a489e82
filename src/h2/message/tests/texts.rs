//! Text of our own into blocks: responses towards clients, requests towards upstreams, trailers.
//!
//! What the pipeline writes, and what becomes of it; text that it never writes is refused.

use super::*;

fn response(text: &str, is_head: bool) -> Result<(ResponseShape, Vec<String>), BadText> {
    let (mut encoder, mut block) = (Encoder::new(), Vec::new());
    let shape = encode_response(&mut encoder, text.as_bytes(), is_head, &mut block)?;
    Ok((shape, decoded(&mut Decoder::new(4096), &block)))
}

fn request(text: &str) -> Result<(RequestText, Vec<String>), BadText> {
    let (mut encoder, mut block) = (Encoder::new(), Vec::new());
    let shape = encode_request(&mut encoder, text.as_bytes(), b"https", &mut block);
    assert!(shape.is_ok() || block.is_empty(), "the encoder was not touched");
    Ok((shape?, decoded(&mut Decoder::new(4096), &block)))
}

#[test]
fn a_response_loses_what_belongs_to_a_connection() {
    // RFC 9113 §8.2.2.
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nVia:\r\nX-Odd: \t a \t\r\nConnection: close\r\n\
                Keep-Alive: a\r\nProxy-Connection: b\r\nUpgrade: c\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (shape, lines) = response(&format!("{head}5\r\nhello\r\n"), false).unwrap();
    assert_eq!(lines, [":status: 200", "content-type: text/plain", "via: ", "x-odd: a"]);
    assert_eq!(shape, ResponseShape { head_bytes: head.len(), status: 200, body: TextBody::Chunked, switched: false });
}

#[test]
fn what_follows_a_response_head_is_told() {
    let body = |text: &str, is_head| response(&format!("HTTP/1.1 {text}\r\n\r\nrest"), is_head).map(|r| r.0.body);
    assert_eq!(body("200 OK", false), Ok(TextBody::UntilClose));
    assert_eq!(body("200 OK\r\nContent-Length: 5", false), Ok(TextBody::Length(5)));
    assert_eq!(body("200 OK\r\nContent-Length: 0", false), Ok(TextBody::None));
    assert_eq!(body("200 OK\r\nTransfer-Encoding: chunked", false), Ok(TextBody::Chunked));
    for bodiless in ["204 No Content", "304 Not Modified\r\nContent-Length: 5", "103 ", "100 Continue"] {
        assert_eq!(body(bodiless, false), Ok(TextBody::None), "{bodiless}");
    }
    assert_eq!(body("200 OK\r\nContent-Length: 5", true), Ok(TextBody::None));
    assert_eq!(body("200 OK\r\nTransfer-Encoding: chunked", true), Ok(TextBody::None));
    let (shape, lines) = response("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", false).unwrap();
    assert_eq!((shape.status, lines), (304, vec![":status: 304".into(), "content-length: 5".into()]));
}

#[test]
fn a_switch_of_protocols_is_a_success() {
    // RFC 8441 §5.
    let text = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\
                Upgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let (shape, lines) = response(text, false).unwrap();
    assert_eq!(lines, [":status: 200", "sec-websocket-protocol: chat"]);
    assert!(shape.switched && shape.status == 101 && shape.body == TextBody::UntilClose);
    assert_eq!(status_of(text.as_bytes()), Some(101));
    assert_eq!(status_of(b"HTTP/1.1 20"), None);
    assert_eq!(status_of(b"HTTP/1.1 2000 "), None);
}

#[test]
fn a_response_that_this_house_does_not_write_is_refused() {
    for (text, fault) in [
        ("HTTP/1.1 200 OK\r\nA: b\r\n", BadText::Incomplete),
        ("HTTP/1.1 200 OK\r\nA: b\r\n\r", BadText::Incomplete),
        ("HTTP/1.1 200 OK", BadText::Incomplete),
        ("", BadText::StartLine),
        ("HTTP/1.0 200 OK\r\n\r\n", BadText::StartLine),
        ("HTTP/1.1 099 OK\r\n\r\n", BadText::StartLine),
        ("HTTP/1.1 600 OK\r\n\r\n", BadText::StartLine),
        ("HTTP/1.1 20x OK\r\n\r\n", BadText::StartLine),
        ("HTTP/1.1 200 OK\r\nA: b\n\r\n", BadText::FieldLine),
        ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", BadText::FieldLine),
        ("HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", BadText::FieldLine),
        ("HTTP/1.1 200 OK\r\nA\r\n\r\n", BadText::FieldLine),
        ("HTTP/1.1 200 OK\r\n: b\r\n\r\n", BadText::FieldLine),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", BadText::Framing),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", BadText::Framing),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", BadText::Framing),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", BadText::Framing),
    ] {
        assert_eq!(response(text, false).map(|_| ()), Err(fault), "{text:?}");
    }
}

#[test]
fn a_request_begins_with_its_pseudo_fields() {
    // RFC 9113 §8.3.1, §8.2.2.
    let head = "POST /a?b HTTP/1.1\r\nAccept: */*\r\nHost: h:1\r\nCookie: a; b\r\nContent-Length: 5\r\n\
                TE: trailers\r\nConnection: TE\r\nVia: 1.1 x\r\n\r\n";
    let (shape, lines) = request(&format!("{head}hello")).unwrap();
    assert_eq!(
        lines,
        [
            ":method: POST",
            ":scheme: https",
            ":authority: h:1",
            ":path: /a?b",
            "accept: */*",
            "cookie: a; b",
            "content-length: 5",
            "te: trailers",
            "via: 1.1 x",
        ]
    );
    assert_eq!((shape.head_bytes, shape.is_head, shape.body), (head.len(), false, TextBody::Length(5)));
    assert_eq!(shape.websocket, None);
    let (shape, lines) = request("HEAD * HTTP/1.1\r\nTE: gzip\r\n\r\n").unwrap();
    assert_eq!((shape.is_head, shape.body), (true, TextBody::None));
    assert_eq!(lines, [":method: HEAD", ":scheme: https", ":path: *"], "a route may have removed Host");
    let body = |line: &str| request(&format!("PUT / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n")).map(|r| r.0.body);
    assert_eq!(body("Transfer-Encoding: chunked"), Ok(TextBody::Chunked));
    assert_eq!(body("Content-Length: 0"), Ok(TextBody::None));
}

#[test]
fn an_upgrade_to_websocket_is_an_extended_connect() {
    // RFC 8441 §4, §5.
    let ask = |method: &str, more: &str| {
        request(&format!("{method} /c HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Version: 13\r\n{more}\r\n")).unwrap()
    };
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let upgrade = "Upgrade: websocket\r\nConnection: upgrade\r\n";
    let (shape, lines) = ask("GET", &format!("{key}{upgrade}"));
    assert_eq!(
        lines,
        [
            ":method: CONNECT",
            ":protocol: websocket",
            ":scheme: https",
            ":authority: h",
            ":path: /c",
            "sec-websocket-version: 13",
        ]
    );
    assert_eq!(shape.body, TextBody::UntilClose);
    assert_eq!(shape.websocket.unwrap().as_bytes(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let plain = [":method: GET", ":scheme: https", ":authority: h", ":path: /c", "sec-websocket-version: 13"];
    let (shape, lines) = ask("GET", upgrade);
    assert_eq!((shape.websocket, lines), (None, plain.map(str::to_owned).to_vec()));
    assert_eq!(ask("GET", key).0.websocket, None);
    assert_eq!(ask("POST", &format!("{key}{upgrade}")).0.websocket, None);
}

#[test]
fn a_request_that_this_house_does_not_write_is_refused() {
    for (text, fault) in [
        ("GET / HTTP/1.1\r\nA: b\r\n", BadText::Incomplete),
        ("GET / HTTP/1.1", BadText::Incomplete),
        ("GET / HTTP/1.0\r\n\r\n", BadText::StartLine),
        ("GET / HTTP/1.1\n\r\n", BadText::StartLine),
        ("GET /\r\n\r\n", BadText::StartLine),
        ("GET  HTTP/1.1\r\n\r\n", BadText::StartLine),
        (" / HTTP/1.1\r\n\r\n", BadText::StartLine),
        ("GET /a b HTTP/1.1\r\n\r\n", BadText::StartLine),
        ("GET /a\r HTTP/1.1\r\n\r\n", BadText::StartLine),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", BadText::FieldLine),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", BadText::FieldLine),
        ("GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", BadText::Framing),
    ] {
        assert_eq!(request(text).map(|_| ()), Err(fault), "{text:?}");
    }
}

#[test]
fn trailers_lose_what_steers_a_connection() {
    // RFC 9113 §8.1, RFC 9110 §6.5.1.
    let of = |text: &str| {
        let (mut encoder, mut block) = (Encoder::new(), Vec::new());
        let verdict = encode_trailers(&mut encoder, text.as_bytes(), &mut block);
        verdict.map(|()| (block.is_empty(), decoded(&mut Decoder::new(4096), &block)))
    };
    let steering = "Connection: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\nTE: trailers\r\nHost: a\r\n\
                    Trailer: b\r\nKeep-Alive: c\r\nUpgrade: d\r\nProxy-Connection: e\r\na b: c\r\n";
    assert_eq!(
        of(&format!("Grpc-Status: 0\r\n{steering}X:\r\n")),
        Ok((false, vec!["grpc-status: 0".into(), "x: ".into()]))
    );
    assert_eq!(of(steering), Ok((true, vec![])));
    assert_eq!(of(""), Ok((true, vec![])));
    assert_eq!(of(":status: 200\r\n"), Err(BadText::FieldLine));
    assert_eq!(of("a: b\r\n\r\n"), Err(BadText::FieldLine));
    assert_eq!(of("a: b"), Err(BadText::Incomplete));
}
