//! Base64, hexadecimal, and UTF-8 to `%uXXXX`.
//!
//! Decoders are lenient: they give what can be read up to what cannot, and never fail.
//! Encoders are exact.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Up to the first byte that is none of the alphabet's; with `lenient` those are left out instead. Padding is not asked for.
pub fn base64_decode(input: &[u8], lenient: bool, out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in input {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ if lenient => continue,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count).to_le_bytes()[0]);
        }
    }
}

pub fn base64_encode(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(STANDARD.encode(input).as_bytes());
}

/// Pairs of digits, up to the first that is none.
pub fn hex_decode(input: &[u8], out: &mut Vec<u8>) {
    for pair in input.chunks_exact(2) {
        let Some(value) = super::escape::hexadecimal(pair) else { return };
        out.push(value.to_le_bytes()[0]);
    }
}

/// Two digits in lower case for each byte.
pub fn hex_encode(input: &[u8], out: &mut Vec<u8>) {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    for byte in input {
        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

/// Each character beyond ASCII as `%u` and at least four digits in lower case; what is not UTF-8 stays as it is.
pub fn utf8_to_unicode(input: &[u8], out: &mut Vec<u8>) {
    for chunk in input.utf8_chunks() {
        for character in chunk.valid().chars() {
            match u8::try_from(character) {
                Ok(byte) if byte.is_ascii() => out.push(byte),
                _ => {
                    let [_, high, middle, low] = u32::from(character).to_be_bytes();
                    out.extend_from_slice(b"%u");
                    let from = out.len();
                    hex_encode(&[high, middle, low], out);
                    // Six digits were written: two more than four, left out while they are zeros.
                    let zeros = out.iter().skip(from).take(2).take_while(|digit| **digit == b'0').count();
                    out.drain(from..from + zeros);
                }
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
}
