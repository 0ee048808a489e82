//! Bodies between text and DATA: every cut, every room, and the end together with the last payload.
//!
//! The framing under test is what the pipeline and `write_chunk` put on.

use super::*;
use crate::bounds;
use crate::h1::{BodyDecoder, BodyLength};
use proptest::prelude::*;

/// Takes the framing off in one go.
fn whole(body: TextBody, text: &[u8]) -> Result<(Vec<u8>, bool, Vec<u8>), BadText> {
    let mut decoder = BodyText::new(body);
    let (mut payload, mut at) = (Vec::new(), 0);
    loop {
        let piece = decoder.next(&text[at..], usize::MAX)?;
        payload.extend_from_slice(piece.data);
        at += piece.consumed;
        if piece.consumed == 0 || piece.end {
            decoder.next(&text[at..], usize::MAX)?;
            return Ok((payload, decoder.is_done(), decoder.take_trailers()));
        }
    }
}

#[test]
fn the_end_comes_with_the_last_payload() {
    let mut body = BodyText::new(TextBody::Chunked);
    let text = b"5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(body.next(text, 100), Ok(Unframed { consumed: text.len(), data: b"hello", end: true }));
    assert!(body.is_done() && body.may_end() && body.take_trailers().is_empty());
    assert_eq!(body.next(b"", 100), Ok(Unframed { consumed: 0, data: b"", end: true }));
    assert_eq!(body.next(b"x", 100), Err(BadText::Surplus));
    let mut body = BodyText::new(TextBody::Length(5));
    assert_eq!(body.next(b"hello world", 4), Ok(Unframed { consumed: 4, data: b"hell", end: false }));
    assert_eq!(body.next(b"o world", 4), Ok(Unframed { consumed: 1, data: b"o", end: true }));
}

#[test]
fn framing_is_taken_without_room_for_payload() {
    let mut body = BodyText::new(TextBody::Chunked);
    assert_eq!(body.next(b"1\r\na", 0), Ok(Unframed { consumed: 3, data: b"", end: false }));
    assert_eq!(body.next(b"a\r\n2", 1), Ok(Unframed { consumed: 4, data: b"a", end: false }));
    assert_eq!(body.next(b"\r\nbc\r\n", 1), Ok(Unframed { consumed: 3, data: b"b", end: false }));
    assert_eq!(body.next(b"c\r\n", 1), Ok(Unframed { consumed: 3, data: b"c", end: false }));
    assert!(!body.may_end());
    assert_eq!(body.next(b"0\r\nX: y\r\n\r\nmore", 0), Ok(Unframed { consumed: 11, data: b"", end: true }));
    assert_eq!(body.take_trailers(), b"X: y\r\n");
}

#[test]
fn bodies_without_framing_and_without_bytes() {
    for body in [TextBody::None, TextBody::Length(0)] {
        let mut none = BodyText::new(body);
        assert!(none.is_done());
        assert_eq!(none.next(b"", 0), Ok(Unframed { consumed: 0, data: b"", end: true }));
        assert_eq!(none.next(b"a", 9), Err(BadText::Surplus));
    }
    let mut open = BodyText::new(TextBody::UntilClose);
    assert_eq!(open.next(b"abc", 2), Ok(Unframed { consumed: 2, data: b"ab", end: false }));
    assert!(open.may_end() && !open.is_done());
}

#[test]
fn text_that_this_house_does_not_write_is_refused() {
    for bad in ["\r\n", "x\r\n", "5;a=b\r\n", " 5\r\n", "5\n", "5\r\r\n", "-1\r\n", "00000000000000000\r\n", "1\r\nab"]
    {
        assert_eq!(whole(TextBody::Chunked, bad.as_bytes()).map(|_| ()), Err(BadText::Chunk), "{bad:?}");
    }
    for bad in ["1\r\na\n", "1\r\na\rb", "1\r\na0\r\n"] {
        assert_eq!(whole(TextBody::Chunked, bad.as_bytes()).map(|_| ()), Err(BadText::Chunk), "{bad:?}");
    }
    assert_eq!(whole(TextBody::Chunked, b"0\r\n\r\n0\r\n").map(|_| ()), Err(BadText::Surplus));
    assert_eq!(whole(TextBody::Length(1), b"ab").map(|_| ()), Err(BadText::Surplus));
    let most = 2 * bounds::TRAILER_BYTES_MAX;
    let with_trailers = |bytes: usize| whole(TextBody::Chunked, format!("0\r\n{}", "a".repeat(bytes)).as_bytes());
    assert!(with_trailers(most).is_ok());
    assert_eq!(with_trailers(most + 1), Err(BadText::TrailersTooLarge));
}

#[test]
fn empty_data_does_not_end_a_body() {
    let mut out = Vec::new();
    write_chunk(&mut out, b"");
    assert!(out.is_empty());
    write_chunk(&mut out, &[b'a'; 0x1f0]);
    assert!(out.starts_with(b"1f0\r\na") && out.ends_with(b"a\r\n"));
    out.clear();
    write_last_chunk(&mut out, b"x: y\r\n");
    assert_eq!(out, b"0\r\nx: y\r\n\r\n");
}

/// A chunked body: its pieces, its trailer lines and its text.
fn chunked() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>, Vec<u8>)> {
    let pieces = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8);
    (pieces, "([a-z]{1,8}: [a-z0-9]{1,20}\r\n){0,4}").prop_map(|(pieces, trailers)| {
        let mut text = Vec::new();
        pieces.iter().for_each(|piece| write_chunk(&mut text, piece));
        write_last_chunk(&mut text, trailers.as_bytes());
        (pieces, trailers.into_bytes(), text)
    })
}

proptest! {
    #[test]
    fn any_cut_and_any_room_give_the_payload(
        (pieces, trailers, text) in chunked(),
        cuts in prop::collection::vec((0usize..30, 0usize..20), 1..40),
    ) {
        let mut body = BodyText::new(TextBody::Chunked);
        let (mut payload, mut at, mut cut, mut held) = (Vec::new(), 0, cuts.iter().cycle(), 0);
        // What is not taken comes again with more behind it; the last turns bring room, however small the others were.
        for turn in 0.. {
            let (more, room) = cut.next().copied().unwrap_or_default();
            held = (held + more + usize::from(turn > 100)).min(text.len() - at);
            let room = room + usize::from(turn > 100);
            let piece = body.next(&text[at..at + held], room).unwrap();
            prop_assert!(piece.data.len() <= room && piece.consumed <= held);
            payload.extend_from_slice(piece.data);
            at += piece.consumed;
            held -= piece.consumed;
            if piece.end {
                break;
            }
            prop_assert!(turn < 10_000);
        }
        prop_assert_eq!(at, text.len());
        prop_assert_eq!(payload, pieces.concat());
        prop_assert_eq!(body.take_trailers(), trailers);
    }

    #[test]
    fn the_last_piece_of_a_whole_text_says_that_it_is_the_last((pieces, _, text) in chunked()) {
        let mut body = BodyText::new(TextBody::Chunked);
        let (mut at, mut calls) = (0, 0);
        while !body.is_done() {
            at += body.next(&text[at..], usize::MAX).unwrap().consumed;
            calls += 1;
        }
        prop_assert_eq!(calls, pieces.iter().filter(|piece| !piece.is_empty()).count().max(1));
    }

    #[test]
    fn the_reader_of_http_1_takes_the_same_payload_off((pieces, _, mut text) in chunked()) {
        let mut decoder = BodyDecoder::new(BodyLength::Chunked);
        let decoded = decoder.decode(&mut text).unwrap();
        prop_assert!(decoded.done);
        prop_assert_eq!(&text[..decoded.payload], pieces.concat());
    }

    #[test]
    fn no_text_makes_it_panic_or_hold_payload(text in "[0-9a-f\r\n x:;]{0,60}", room in 0usize..9) {
        for body in [TextBody::Chunked, TextBody::Length(7), TextBody::UntilClose, TextBody::None] {
            let mut body = BodyText::new(body);
            let mut rest = text.as_bytes();
            while let Ok(piece) = body.next(rest, room) {
                if piece.consumed == 0 || piece.end {
                    break;
                }
                rest = &rest[piece.consumed..];
            }
            prop_assert!(body.take_trailers().len() <= text.len());
        }
    }
}
