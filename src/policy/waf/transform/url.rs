//! `urlDecode`, `urlDecodeUni`, `urlEncode`.
//!
//! Lenient, as rules expect it: what is not a whole escape is text. Whether the escapes are right is asked by
//! `@validateUrlEncoding`.

use memchr::memchr2;

use super::escape::{hexadecimal, narrow};

/// Percent escapes and `+`; with `unicode`, `%uXXXX` too. What is not a whole escape stays as it is.
pub fn decode(input: &[u8], unicode: bool, out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some(at) = memchr2(b'%', b'+', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let (byte, len) = one(escape, unicode);
        out.push(byte);
        rest = escape.get(len..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// What `escape`, which begins with `%` or `+`, stands for, and its length.
fn one(escape: &[u8], unicode: bool) -> (u8, usize) {
    if escape.first() == Some(&b'+') {
        return (b' ', 1);
    }
    if let Some(value) = escape.get(1..3).and_then(hexadecimal) {
        return (value.to_le_bytes()[0], 3);
    }
    if unicode
        && matches!(escape.get(1), Some(b'u' | b'U'))
        && let Some(value) = escape.get(2..6).and_then(hexadecimal)
    {
        return (narrow(value), 6);
    }
    (b'%', 1)
}

/// Everything but letters, digits and `*` as a percent escape; a space as `+`.
pub fn encode(input: &[u8], out: &mut Vec<u8>) {
    for byte in input {
        match byte {
            b' ' => out.push(b'+'),
            b'*' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(*byte),
            _ => {
                out.push(b'%');
                super::encode::hex_encode(&[*byte], out);
            }
        }
    }
}
