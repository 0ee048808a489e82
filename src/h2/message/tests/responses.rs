//! Response blocks and trailer blocks into text: RFC 9113 §8.1, §8.2, §8.3.2, RFC 8441 §5.
//!
//! Tables of what is taken and what is refused, by section; the reader of HTTP/1.1 judges the text.

use super::*;
use crate::bounds;
use crate::h1::{self, BodyLength, HeadLimits, Parsed};
use crate::http::ResponseHead;

const MORE: ResponseEnd<'static> = ResponseEnd { end_stream: false, is_head: false, accept: None };
const LAST: ResponseEnd<'static> = ResponseEnd { end_stream: true, ..MORE };
const HEAD: ResponseEnd<'static> = ResponseEnd { end_stream: true, is_head: true, accept: None };

fn response(text: &[&str], end: ResponseEnd<'_>) -> Result<(ResponseHeadShape, String), Malformed> {
    let mut out = b"before".to_vec();
    let mut builder = ResponseBuilder::new(&mut out, 16_384, 100);
    lines(text).iter().for_each(|line| builder.line(field_line(line)));
    match builder.finish(end) {
        Ok(shape) => {
            let text = String::from_utf8_lossy(out.strip_prefix(b"before").expect("it is appended")).into_owned();
            assert_eq!(read(&text).status, shape.status);
            Ok((shape, text))
        }
        Err(malformed) => {
            assert_eq!(out, b"before");
            Err(malformed)
        }
    }
}

fn read(text: &str) -> ResponseHead {
    let mut head = ResponseHead::default();
    let verdict = h1::parse_response(text.as_bytes(), &HeadLimits::default(), &mut head);
    assert_eq!(verdict, Ok(Parsed::Complete { head_bytes: text.len() }), "{text:?}");
    head
}

fn refused(text: &[&str], end: ResponseEnd<'_>, expected: Malformed) {
    assert_eq!(response(text, end).map(|_| ()), Err(expected), "{text:?}");
}

#[test]
fn a_head_is_written_with_the_framing_of_its_body() {
    // RFC 9112 §6.
    let of = |text: &[&str], end| {
        let (shape, text) = response(text, end).unwrap();
        let judged = h1::response_framing(&read(&text), end.is_head).unwrap().body;
        let expected = match shape.body {
            TextBody::None if judged == BodyLength::Length(0) => BodyLength::Length(0),
            TextBody::None => BodyLength::None,
            TextBody::Length(length) => BodyLength::Length(length),
            TextBody::Chunked => BodyLength::Chunked,
            TextBody::UntilClose => BodyLength::UntilClose,
        };
        assert_eq!(judged, expected, "{text:?}");
        (text, shape.body, shape.content_length)
    };
    let plain = |text: &str, body, length| (text.to_owned(), body, length);
    assert_eq!(
        of(&[":status: 200", "x: y"], MORE),
        plain("HTTP/1.1 200 \r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n", TextBody::Chunked, None)
    );
    assert_eq!(
        of(&[":status: 200", "x: y"], LAST),
        plain("HTTP/1.1 200 \r\nx: y\r\ncontent-length: 0\r\n\r\n", TextBody::None, Some(0))
    );
    assert_eq!(
        of(&[":status: 404", "content-length: 5", "x: "], MORE),
        plain("HTTP/1.1 404 \r\ncontent-length: 5\r\nx: \r\n\r\n", TextBody::Length(5), Some(5))
    );
    for end in [MORE, LAST] {
        let zero = plain("HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n", TextBody::None, Some(0));
        assert_eq!(of(&[":status: 200", "content-length: 0"], end), zero);
        assert_eq!(of(&[":status: 204"], end), plain("HTTP/1.1 204 \r\n\r\n", TextBody::None, Some(0)));
        assert_eq!(of(&[":status: 304"], end), plain("HTTP/1.1 304 \r\n\r\n", TextBody::None, Some(0)));
        let length = plain("HTTP/1.1 304 \r\ncontent-length: 5\r\n\r\n", TextBody::None, Some(0));
        assert_eq!(of(&[":status: 304", "content-length: 5"], end), length);
    }
    assert_eq!(of(&[":status: 200"], HEAD), plain("HTTP/1.1 200 \r\n\r\n", TextBody::None, Some(0)));
    let length = plain("HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\n", TextBody::None, Some(0));
    assert_eq!(of(&[":status: 200", "content-length: 5"], HEAD), length);
    assert_eq!(of(&[":status: 200", "content-length: 5"], ResponseEnd { end_stream: false, ..HEAD }), length);
}

#[test]
fn a_length_that_nothing_follows_is_malformed() {
    // RFC 9113 §8.1.1.
    refused(&[":status: 200", "content-length: 5"], LAST, Malformed::LengthDisagrees);
    refused(&[":status: 204", "content-length: 5"], LAST, Malformed::LengthDisagrees);
    for bad in ["", "-1", "1, 1", "1x", "99999999999999999999"] {
        refused(&[":status: 200", &format!("content-length: {bad}")], MORE, Malformed::LengthBad);
    }
    refused(&[":status: 200", "content-length: 5", "content-length: 5"], MORE, Malformed::LengthDuplicate);
}

#[test]
fn interim_responses_are_followed_by_others() {
    // RFC 9113 §8.1.
    let (shape, text) = response(&[":status: 103", "link: </a>"], MORE).unwrap();
    assert_eq!(text, "HTTP/1.1 103 \r\nlink: </a>\r\n\r\n");
    assert!(shape.is_interim && shape.body == TextBody::None && shape.content_length.is_none());
    assert_eq!(response(&[":status: 100", "content-length: 3"], MORE).unwrap().1, "HTTP/1.1 100 \r\n\r\n");
    refused(&[":status: 100"], LAST, Malformed::EarlyEnd);
    refused(&[":status: 101"], MORE, Malformed::StatusBad);
}

#[test]
fn there_is_one_status_and_it_comes_first() {
    // RFC 9113 §8.3.2.
    for bad in ["", "20", "2000", "099", "600", "2x0", " 200", "200 ", "200 OK", "+20", "2\r\n"] {
        refused(&[&format!(":status: {bad}")], MORE, Malformed::StatusBad);
    }
    refused(&[], MORE, Malformed::PseudoMissing);
    refused(&["x: y"], MORE, Malformed::PseudoMissing);
    refused(&["x: y", ":status: 200"], MORE, Malformed::PseudoMissing);
    refused(&[":status: 200", ":status: 200"], MORE, Malformed::PseudoDuplicate);
    refused(&[":status: 200", "x: y", ":status: 200"], MORE, Malformed::PseudoDuplicate);
    refused(&[":status: 200", ":path: /"], MORE, Malformed::PseudoForbidden);
    refused(&[":method: GET"], MORE, Malformed::PseudoForbidden);
}

#[test]
fn lines_are_judged_as_those_of_requests() {
    // RFC 9113 §8.2.1, §8.2.2, §10.3.
    for (bad, why) in [
        ("X: y", Malformed::NameUpperCase),
        ("x y: z", Malformed::NameBad),
        ("x: a\r\nset-cookie: b", Malformed::ValueBad),
        ("x: a\0", Malformed::ValueBad),
        ("x:  a", Malformed::ValueBad),
        ("x: a ", Malformed::ValueBad),
        ("connection: close", Malformed::ConnectionField),
        ("keep-alive: a", Malformed::ConnectionField),
        ("proxy-connection: a", Malformed::ConnectionField),
        ("transfer-encoding: chunked", Malformed::ConnectionField),
        ("upgrade: h2c", Malformed::ConnectionField),
    ] {
        refused(&[":status: 200", bad], MORE, why);
        assert_eq!(trailers(&lines(&[bad])), Err(why), "{bad:?}");
    }
}

#[test]
fn bounds_hold_to_the_byte_and_the_field() {
    let verdict = |bytes, fields| {
        let mut out = Vec::new();
        let mut builder = ResponseBuilder::new(&mut out, bytes, fields);
        lines(&[":status: 200", "x: y", "content-length: 3"]).iter().for_each(|line| builder.line(field_line(line)));
        builder.finish(MORE).map(|_| ())
    };
    let bytes = "HTTP/1.1 200 \r\nx: y\r\ncontent-length: 3\r\n\r\n".len();
    assert_eq!(verdict(bytes, 2), Ok(()));
    assert_eq!(verdict(bytes - 1, 2), Err(Malformed::TooLarge));
    assert_eq!(verdict(bytes, 1), Err(Malformed::TooLarge));
    assert_eq!(verdict(0, 0), Err(Malformed::TooLarge));
}

#[test]
fn an_accepted_extended_connect_is_101() {
    // RFC 8441 §5.
    let accept = WebSocketAccept::of_key(b"dGhlIHNhbXBsZSBub25jZQ==");
    let end = ResponseEnd { accept: Some(&accept), ..MORE };
    let text = [":status: 200", "content-length: 7", "sec-websocket-accept: x", "sec-websocket-protocol: chat"];
    let (shape, text) = response(&text, end).unwrap();
    assert_eq!(
        text,
        "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-protocol: chat\r\nupgrade: websocket\r\n\
         connection: upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    assert!(shape.switched && shape.status == 101 && shape.body == TextBody::UntilClose);
    assert_eq!(shape.content_length, None);
    let (shape, _) = response(&[":status: 403", "content-length: 7"], end).unwrap();
    assert!(!shape.switched && shape.body == TextBody::Length(7));
    assert!(response(&[":status: 100"], end).unwrap().0.is_interim);
}

fn trailers(all: &[(Vec<u8>, Vec<u8>)]) -> Result<String, Malformed> {
    let mut out = b"before".to_vec();
    let mut builder = TrailerBuilder::new(&mut out);
    all.iter().for_each(|line| builder.line(field_line(line)));
    let verdict = builder.finish();
    let text = String::from_utf8_lossy(out.strip_prefix(b"before").expect("it is appended")).into_owned();
    assert!(verdict.is_ok() || text.is_empty());
    verdict.map(|()| text)
}

#[test]
fn trailers_are_fields_and_nothing_else() {
    // RFC 9113 §8.1.
    assert_eq!(trailers(&[]), Ok(String::new()));
    assert_eq!(trailers(&lines(&["grpc-status: 0", "x: "])), Ok("grpc-status: 0\r\nx: \r\n".to_owned()));
    for pseudo in [":status: 200", ":path: /", ":x: y"] {
        assert_eq!(trailers(&lines(&["x: y", pseudo])), Err(Malformed::PseudoForbidden));
    }
    let with_value = |bytes| trailers(&[(b"x".to_vec(), vec![b'a'; bytes])]).map(|text| text.len());
    let most = bounds::TRAILER_BYTES_MAX - 2;
    assert_eq!(with_value(most - 5), Ok(most));
    assert_eq!(with_value(most - 4), Err(Malformed::TooLarge));
}
