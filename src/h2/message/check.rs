//! What a field line of a peer may look like (RFC 9113 §8.2), the same for requests, responses and trailers.
//!
//! Judges single lines; what lines mean together is judged where the message is built. Values are looked at eight bytes
//! at a time: each line of each message comes by here.

use super::Malformed;
use crate::http::{FieldId, syntax};

/// For each byte whether it may stand in a field name: a token byte that is no upper-case letter (RFC 9113 §8.2.1).
const NAME: [bool; 256] = name_table();

/// Judges a regular field name; `id` is the number of the name in any case.
#[inline]
pub(super) fn name(id: FieldId, name: &[u8]) -> Result<(), Malformed> {
    let right = match id {
        FieldId::Other => !name.is_empty() && name.iter().all(|b| NAME[usize::from(*b)]),
        id => name == id.name(),
    };
    if right { Ok(()) } else { Err(bad_name(name)) }
}

/// Judges a field value (RFC 9113 §8.2.1).
#[inline]
pub(super) fn value(value: &[u8]) -> Result<(), Malformed> {
    let blank_ends = matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t']);
    if blank_ends || !is_value(value) { Err(Malformed::ValueBad) } else { Ok(()) }
}

/// Whether every byte may stand in a field value (RFC 9110 §5.5).
#[inline]
pub(super) fn is_value(text: &[u8]) -> bool {
    // HTAB, which is rare, is among the suspects and no fault.
    all_words(text, |word| has_below(word, 0x20) | has_byte(word, 0x7f))
        || text.iter().all(|b| syntax::is_value_byte(*b))
}

/// Whether every byte is visible ASCII, as in a request target and an authority of HTTP/1.1.
#[inline]
pub(super) fn is_visible(text: &[u8]) -> bool {
    all_words(text, |word| has_below(word, 0x21) | has_byte(word, 0x7f) | (word & HIGHS != 0))
}

/// Whether a field belongs to one connection of HTTP/1.1 (RFC 9113 §8.2.2).
#[inline]
pub(super) fn is_of_connection(id: FieldId) -> bool {
    matches!(
        id,
        FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::TransferEncoding
            | FieldId::Upgrade
    )
}

/// Judges what has a meaning between two neighbours only (RFC 9113 §8.2.2).
#[inline]
pub(super) fn hop(id: FieldId, value: &[u8]) -> Result<(), Malformed> {
    if is_of_connection(id) {
        return Err(Malformed::ConnectionField);
    }
    if id == FieldId::Te && !value.eq_ignore_ascii_case(b"trailers") {
        return Err(Malformed::TeBad);
    }
    Ok(())
}

/// A Content-Length: 1 to 19 digits and nothing else, so that it always fits 64 bits.
pub(super) fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}

#[cold]
fn bad_name(name: &[u8]) -> Malformed {
    if name.iter().any(u8::is_ascii_uppercase) { Malformed::NameUpperCase } else { Malformed::NameBad }
}

const LOWS: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Whether no eight bytes of the text are suspicious. A text of less than eight is filled up with `0`.
#[inline(always)]
fn all_words(text: &[u8], suspicious: impl Fn(u64) -> bool) -> bool {
    let (words, _) = text.as_chunks::<8>();
    if let Some(last) = text.last_chunk::<8>() {
        // The last word overlaps the one before it.
        let any = words
            .iter()
            .fold(suspicious(u64::from_le_bytes(*last)), |any, word| any | suspicious(u64::from_le_bytes(*word)));
        return !any;
    }
    !suspicious(text.iter().fold(u64::from_le_bytes(*b"00000000"), |word, byte| word << 8 | u64::from(*byte)))
}

/// Whether one of eight bytes is below `bound`, which is at most 128. Exact: a borrow only comes out of such a byte.
#[inline(always)]
const fn has_below(word: u64, bound: u8) -> bool {
    word.wrapping_sub(LOWS * bound as u64) & !word & HIGHS != 0
}

#[inline(always)]
const fn has_byte(word: u64, byte: u8) -> bool {
    has_below(word ^ (LOWS * byte as u64), 1)
}

const fn name_table() -> [bool; 256] {
    let mut table = syntax::TOKEN;
    let mut byte = b'A';
    while byte <= b'Z' {
        table[byte as usize] = false;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_judged_as_the_tables_say() {
        for len in 1..20 {
            for at in 0..len {
                for byte in 0..=255 {
                    let mut text = vec![b'a'; len];
                    text[at] = byte;
                    assert_eq!(is_value(&text), syntax::is_value_byte(byte), "{byte:#x} at {at} of {len}");
                    assert_eq!(is_visible(&text), byte.is_ascii_graphic(), "{byte:#x} at {at} of {len}");
                    let lower = syntax::is_token_byte(byte) && !byte.is_ascii_uppercase();
                    assert_eq!(name(FieldId::of(&text), &text).is_ok(), lower, "{byte:#x} at {at} of {len}");
                    text[(at + 3) % len] = b'\t';
                    let value = text.iter().all(|b| syntax::is_value_byte(*b));
                    assert_eq!(is_value(&text), value, "{byte:#x} and HTAB at {at} of {len}");
                }
            }
        }
        assert!(is_value(b"") && is_visible(b""));
    }

    #[test]
    fn names_are_judged_whether_known_or_not() {
        for (id, known) in crate::http::field::KNOWN {
            assert_eq!(name(*id, known.as_bytes()), Ok(()));
            assert_eq!(name(*id, known.to_uppercase().as_bytes()), Err(Malformed::NameUpperCase));
        }
        assert_eq!(name(FieldId::Other, b""), Err(Malformed::NameBad));
        assert_eq!(name(FieldId::Other, b"a b"), Err(Malformed::NameBad));
        assert_eq!(name(FieldId::Other, b"a:b"), Err(Malformed::NameBad));
        assert_eq!(name(FieldId::Other, b"\xc3\xa9"), Err(Malformed::NameBad));
        assert_eq!(name(FieldId::Other, b"x-A"), Err(Malformed::NameUpperCase));
    }
}
