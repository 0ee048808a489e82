//! Properties that hold for all bytes, as functions that fuzzers and the bounded smoke on stable both call.
//!
//! Each panics where its property breaks. Not part of the public surface.

use super::scan::{Scalar, Scan};
use super::{BodyDecoder, BodyLength, HeadLimits, Parsed, Reject, RequestParser, parse_response};
use crate::http::{RequestHead, ResponseHead, Version, syntax};

/// Bounds small enough for a fuzzer to reach them.
const TIGHT: HeadLimits = HeadLimits { head_bytes: 150, request_line_bytes: 40, fields: 3 };

/// Byte by byte, whole, scalar and vector reading of a request head agree; whatever is accepted, httparse reads alike.
pub fn request_head(data: &[u8]) {
    let data = data.get(..4096).unwrap_or(data);
    for limits in [HeadLimits::default(), TIGHT] {
        let (verdict, head) = read_request(data, &limits);
        let (scalar_verdict, scalar) = read_request_by(Scalar, data, &limits);
        assert_eq!((scalar_verdict, &scalar.bytes, &scalar.fields), (verdict, &head.bytes, &head.fields), "scalar");
        assert_eq!(read_request_bytewise(data, &limits), verdict, "byte by byte");
        if let Ok(Parsed::Complete { head_bytes }) = verdict {
            assert_eq!(head.bytes, data[..head_bytes]);
            agrees_with_httparse(data, &head);
            // Judging the framing must not panic; the targets' parts exist.
            if super::request_framing(&head).is_ok() {
                let parts = super::target_parts(&head);
                assert!(parts.path.first() == Some(&b'/') || parts.path == b"*");
                assert!(super::target::is_authority(super::authority(&head)) || head.version == Version::Http10);
            }
        }
    }
}

/// Any cut gives the same verdict on a response head, and what is accepted is clean.
pub fn response_head(data: &[u8]) {
    let data = data.get(..4096).unwrap_or(data);
    for limits in [HeadLimits::default(), TIGHT] {
        let mut head = ResponseHead::default();
        let verdict = parse_response(data, &limits, &mut head);
        let mut pieces = ResponseHead::default();
        let mut bytewise = Ok(Parsed::Partial);
        for end in 0..=data.len() {
            bytewise = parse_response(&data[..end], &limits, &mut pieces);
            if bytewise != Ok(Parsed::Partial) {
                break;
            }
        }
        assert_eq!(bytewise, verdict, "byte by byte");
        if let Ok(Parsed::Complete { head_bytes }) = verdict {
            assert_eq!(head.bytes, data[..head_bytes]);
            assert!((100..=599).contains(&head.status));
            assert!(head.fields().all(|f| syntax::is_token(f.name) && syntax::is_value(f.value)));
            assert!(head.fields.len() <= limits.fields && head_bytes <= limits.head_bytes);
            for request_was_head in [false, true] {
                let _ = super::response_framing(&head, request_was_head);
            }
        }
    }
}

/// A chunked body read whole and read in pieces (cut by the first byte) gives the same payload, end and trailers.
pub fn chunked(data: &[u8]) {
    let Some((seed, body)) = data.split_first() else { return };
    let whole = read_chunked(body, body.len().max(1));
    assert_eq!(read_chunked(body, 1), whole, "byte by byte");
    assert_eq!(read_chunked(body, usize::from(*seed).max(1)), whole, "in pieces");
}

/// What a body came to: payload, bytes consumed, whether it ended, trailers.
type ReadBody = Result<(Vec<u8>, usize, bool, Vec<u8>), Reject>;

fn read_chunked(body: &[u8], piece: usize) -> ReadBody {
    let mut decoder = BodyDecoder::new(BodyLength::Chunked);
    let (mut payload, mut consumed) = (Vec::new(), 0);
    for bytes in body.chunks(piece) {
        let mut buf = bytes.to_vec();
        let decoded = decoder.decode(&mut buf)?;
        assert!(decoded.payload <= decoded.consumed && decoded.consumed <= buf.len());
        assert!(decoded.done || decoded.consumed == buf.len(), "all is consumed until the end");
        assert_eq!(&buf[decoded.consumed..], &bytes[decoded.consumed..], "what follows is not touched");
        payload.extend_from_slice(&buf[..decoded.payload]);
        consumed += decoded.consumed;
        if decoded.done {
            break;
        }
    }
    Ok((payload, consumed, decoder.is_done(), decoder.take_trailers()))
}

fn read_request(data: &[u8], limits: &HeadLimits) -> (Result<Parsed, Reject>, RequestHead) {
    let mut head = RequestHead::default();
    (RequestParser::default().parse(data, limits, &mut head), head)
}

fn read_request_by(scan: impl Scan, data: &[u8], limits: &HeadLimits) -> (Result<Parsed, Reject>, RequestHead) {
    let mut head = RequestHead::default();
    (RequestParser::default().parse_by(scan, data, limits, &mut head), head)
}

fn read_request_bytewise(data: &[u8], limits: &HeadLimits) -> Result<Parsed, Reject> {
    let (mut parser, mut head) = (RequestParser::default(), RequestHead::default());
    for end in 0..=data.len() {
        match parser.parse(&data[..end], limits, &mut head) {
            Ok(Parsed::Partial) => {}
            verdict => return verdict,
        }
    }
    Ok(Parsed::Partial)
}

fn agrees_with_httparse(data: &[u8], head: &RequestHead) {
    let mut slots = [httparse::EMPTY_HEADER; 128];
    let mut theirs = httparse::Request::new(&mut slots);
    match theirs.parse(data) {
        Ok(status) => assert_eq!(status, httparse::Status::Complete(head.bytes.len())),
        // A minor version above 1 is read as 1 here and refused there.
        Err(httparse::Error::Version) => return,
        Err(error) => unreachable!("accepted here, refused by httparse: {error}"),
    }
    assert_eq!(theirs.method.map(str::as_bytes), Some(head.method_text()));
    assert_eq!(theirs.path.map(str::as_bytes), Some(head.target()));
    assert_eq!(theirs.version, Some(u8::from(head.version == Version::Http11)));
    assert_eq!(theirs.headers.len(), head.fields.len());
    for (theirs, ours) in theirs.headers.iter().zip(head.fields()) {
        assert_eq!((theirs.name.as_bytes(), theirs.value), (ours.name, ours.value));
    }
}
