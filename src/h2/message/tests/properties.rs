//! Properties over arbitrary lines: nothing panics, nothing accepted can mean something else in HTTP/1.1.
//!
//! The reader of HTTP/1.1 and the coder of blocks are the referees.

use super::*;
use crate::h1::{self, HeadLimits, Parsed, RequestParser};
use crate::http::{ResponseHead, syntax};
use proptest::prelude::*;

type Lines = Vec<(Vec<u8>, Vec<u8>)>;

fn name() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "cookie",
        "host",
        "content-length",
        "te",
        "accept",
        "content-type",
        "x-a",
        "expect",
        "connection",
        "Upgrade",
        "transfer-encoding",
        "trailer",
        "sec-websocket-key",
        ":method",
        ":path",
        ":scheme",
        ":authority",
        ":protocol",
        ":status",
        "set-cookie",
    ]);
    prop_oneof![
        12 => known.prop_map(|name| name.as_bytes().to_vec()),
        6 => "[a-z][a-z0-9-]{0,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec!["trailers", "h", "5", "0", "websocket", "GET", "/", "*", "https", "200", ""]);
    prop_oneof![
        6 => known.prop_map(|value| value.as_bytes().to_vec()),
        6 => "[!-~]{1,30}".prop_map(String::into_bytes),
        2 => "[ \t!-~é]{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

/// Mostly lines that nobody minds, so that most messages reach their end.
fn line() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let calm = prop::sample::select(vec![
        "cookie: a=1",
        "cookie: b",
        "cookie: ",
        "accept: */*",
        "te: trailers",
        "expect: 100-continue",
        "x-a: b\tc",
        "x-b: é",
        "content-type: text/plain",
        "sec-websocket-key: x",
        "set-cookie: a",
    ]);
    prop_oneof![
        8 => calm.prop_map(|line| lines(&[line]).remove(0)),
        4 => ("x-[a-z0-9-]{0,20}", "[!-~]{1,30}").prop_map(|(name, value)| (name.into_bytes(), value.into_bytes())),
        1 => (name(), value()),
    ]
}

fn with_front(front: &[&str], more: Lines) -> Lines {
    let mut all = lines(front);
    all.extend(more);
    all
}

/// Lines behind a start that is mostly right.
fn request_lines() -> impl Strategy<Value = Lines> {
    let front = prop::sample::select(vec![
        &[":method: GET", ":scheme: https", ":path: /a?b", ":authority: h"][..],
        &[":authority: h:1", ":path: /", ":scheme: http", ":method: POST"],
        &[":method: OPTIONS", ":scheme: https", ":path: *"],
        &[":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /c", ":authority: h"],
        &[":method: GET", ":scheme: https"],
        &[],
    ]);
    (front, prop::collection::vec(line(), 0..8)).prop_map(|(front, more)| with_front(front, more))
}

fn response_lines() -> impl Strategy<Value = Lines> {
    let front = prop::sample::select(vec![
        &[":status: 200"][..],
        &[":status: 204"],
        &[":status: 304"],
        &[":status: 103"],
        &[":status: 500"],
        &[],
    ]);
    (front, prop::collection::vec(line(), 0..8)).prop_map(|(front, more)| with_front(front, more))
}

fn all_fields(head: &RequestHead) -> Vec<(FieldId, Vec<u8>, Vec<u8>)> {
    head.fields().map(|f| (f.id, f.name.to_vec(), f.value.to_vec())).collect()
}

fn text_of(head: &RequestHead) -> Vec<u8> {
    let mut text = [head.method_text(), b" ", head.target(), b" HTTP/1.1\r\n"].concat();
    for field in head.fields() {
        text.extend_from_slice(&[field.name, b": ", field.value, b"\r\n"].concat());
    }
    text.extend_from_slice(b"\r\n");
    text
}

proptest! {
    #[test]
    fn what_is_accepted_means_the_same_in_http_1(all in request_lines(), bytes in 0usize..900, fields in 0usize..16) {
        let (verdict, head) = build(&all, bytes + 100, fields);
        for span in head.fields.iter().flat_map(|f| [f.name, f.value]).chain([head.method_span, head.target_span]) {
            prop_assert!(usize::from(span.start) + usize::from(span.len) <= head.bytes.len());
        }
        let Ok(shape) = verdict else { return Ok(()) };
        let text = text_of(&head);
        prop_assert!(shape.websocket || (text.len() <= bytes + 100 && head.fields.len() <= fields));
        let mut referee = RequestHead::default();
        let parsed = RequestParser::default().parse(&text, &HeadLimits::default(), &mut referee);
        prop_assert_eq!(parsed, Ok(Parsed::Complete { head_bytes: text.len() }));
        prop_assert_eq!(all_fields(&referee), all_fields(&head));
        prop_assert_eq!((referee.method, referee.method_text()), (head.method, head.method_text()));
        prop_assert_eq!(referee.target(), head.target());
        prop_assert_eq!(h1::request_framing(&referee), h1::request_framing(&head));
        for field in head.fields() {
            prop_assert!(syntax::is_token(field.name) && !field.name.iter().any(u8::is_ascii_uppercase));
            prop_assert!(syntax::is_value(field.value));
        }
        prop_assert!(head.fields().filter(|f| f.id == FieldId::Cookie).count() <= 1);
    }

    #[test]
    fn a_request_comes_back_from_its_block(all in request_lines()) {
        let (Ok(shape), head) = build(&all, 16_384, 100) else { return Ok(()) };
        if h1::request_framing(&head).is_err() {
            return Ok(());
        }
        let text = text_of(&head);
        let (mut encoder, mut block) = (Encoder::new(), Vec::new());
        let sent = encode_request(&mut encoder, &text, b"https", &mut block).unwrap();
        prop_assert_eq!((sent.head_bytes, sent.websocket.is_some()), (text.len(), shape.websocket));
        let mut again = RequestHead::default();
        let mut builder = RequestBuilder::new(&mut again, 16_384, 100, NONCE);
        Decoder::new(4096).decode(&block, |line| builder.line(line)).unwrap();
        let back = builder.finish().unwrap();
        prop_assert_eq!(back, shape);
        prop_assert_eq!((again.method_text(), again.target()), (head.method_text(), head.target()));
        let sorted = |head| {
            let mut all = all_fields(head);
            all.sort();
            all
        };
        prop_assert_eq!(sorted(&again), sorted(&head));
    }

    #[test]
    fn an_accepted_response_is_read_as_it_came(
        all in response_lines(),
        end_stream in any::<bool>(),
        is_head in any::<bool>(),
        tunnel in any::<bool>(),
    ) {
        let accept = WebSocketAccept::of_key(b"");
        let end = ResponseEnd { end_stream, is_head, accept: tunnel.then_some(&accept) };
        let mut out = Vec::new();
        let mut builder = ResponseBuilder::new(&mut out, 16_384, 100);
        all.iter().for_each(|line| builder.line(field_line(line)));
        let Ok(shape) = builder.finish(end) else {
            prop_assert!(out.is_empty());
            return Ok(());
        };
        let mut head = ResponseHead::default();
        let parsed = h1::parse_response(&out, &HeadLimits::default(), &mut head);
        prop_assert_eq!(parsed, Ok(Parsed::Complete { head_bytes: out.len() }));
        prop_assert_eq!(head.status, shape.status);
        // Two Host lines in a response are judged with the framing, in both versions.
        let framed = h1::response_framing(&head, is_head).map(|_| ());
        prop_assert!(framed.is_ok() || framed == Err(h1::Reject::HostDuplicate));
        for field in head.fields() {
            prop_assert!(!field.name.iter().any(u8::is_ascii_uppercase) && syntax::is_value(field.value));
        }
        // And on to a client of HTTP/2.
        let (mut encoder, mut block) = (Encoder::new(), Vec::new());
        let sent = encode_response(&mut encoder, &out, is_head, &mut block).unwrap();
        prop_assert_eq!((sent.head_bytes, sent.status, sent.switched), (out.len(), shape.status, shape.switched));
        prop_assert_eq!(sent.body, shape.body);
        let mut again = Vec::new();
        let mut builder = ResponseBuilder::new(&mut again, 16_384, 100);
        Decoder::new(4096).decode(&block, |line| builder.line(line)).unwrap();
        let taken = builder.finish(ResponseEnd { end_stream: false, ..end });
        prop_assert!(taken.is_ok());
    }

    #[test]
    fn no_text_makes_an_encoder_panic(
        text in "(HTTP/1.1 200 OK\r\n|GET / HTTP/1.1\r\n)?([A-Za-z-]{0,9}(: ?|:)?[ -~é]{0,9}(\r\n|\n|\r)){0,6}(\r\n)?",
        is_head in any::<bool>(),
    ) {
        let (mut encoder, mut block) = (Encoder::new(), Vec::new());
        let text = text.as_bytes();
        let _ = encode_response(&mut encoder, text, is_head, &mut block);
        let _ = encode_request(&mut encoder, text, b"http", &mut block);
        let _ = encode_trailers(&mut encoder, text, &mut block);
    }

    #[test]
    fn accepted_trailers_are_lines_of_http_1(all in prop::collection::vec(line(), 0..6)) {
        let mut out = Vec::new();
        let mut builder = TrailerBuilder::new(&mut out);
        all.iter().for_each(|line| builder.line(field_line(line)));
        if builder.finish().is_err() {
            prop_assert!(out.is_empty());
            return Ok(());
        }
        let expected: Vec<u8> = all.iter().flat_map(|(n, v)| [n, &b": "[..], v, b"\r\n"].concat()).collect();
        prop_assert_eq!(&out, &expected);
        let mut text = Vec::new();
        write_last_chunk(&mut text, &out);
        let mut decoder = h1::BodyDecoder::new(h1::BodyLength::Chunked);
        prop_assert!(decoder.decode(&mut text).is_ok_and(|decoded| decoded.done));
    }
}
