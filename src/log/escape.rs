//! Bytes of strangers made harmless: inside a JSON string, inside a quoted field of a text line, inside an event.
//!
//! Pure. Each function appends to `out` and never writes a line feed.

use std::io::Write;

/// The inside of a JSON string (RFC 8259 §7). Valid UTF-8 stays, apart from controls; a byte that is not part of
/// valid UTF-8 becomes `\u00XX`, so that nothing is lost and the line stays valid.
pub fn json(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.iter().all(|&b| plain(b)) {
        return out.extend_from_slice(bytes);
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            json_char(c, out);
        }
        for &byte in chunk.invalid() {
            push(out, format_args!("\\u{byte:04x}"));
        }
    }
}

fn json_char(c: char, out: &mut Vec<u8>) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        // C0, DEL and C1: a terminal acts on them. The two separators end a line in JavaScript.
        c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => push(out, format_args!("\\u{:04x}", c as u32)),
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// The inside of a quoted field of a text line: `"`, `\`, controls and everything beyond ASCII as `\xXX`.
pub fn quoted(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        if plain(byte) { out.push(byte) } else { hex(byte, out) }
    }
}

/// A field of a text line without quotes around it: as [`quoted`], spaces and brackets too.
pub fn word(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        if plain(byte) && !matches!(byte, b' ' | b'[' | b']') { out.push(byte) } else { hex(byte, out) }
    }
}

/// A message on a line of its own: only controls are escaped.
pub fn line(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut buffer = [0; 4];
            let encoded = c.encode_utf8(&mut buffer).as_bytes();
            if c.is_control() {
                encoded.iter().for_each(|&byte| hex(byte, out))
            } else {
                out.extend_from_slice(encoded)
            }
        }
        chunk.invalid().iter().for_each(|&byte| hex(byte, out));
    }
}

/// Printable ASCII that needs no escape in any format.
fn plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

fn hex(byte: u8, out: &mut Vec<u8>) {
    push(out, format_args!("\\x{byte:02x}"));
}

/// Appends formatted text.
pub fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into a Vec cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(escape: fn(&[u8], &mut Vec<u8>), bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_place_has_its_escapes() {
        let bytes = b"a \"b\"\\\r\n\x00\x7f\xff \xc3\xa9[";
        assert_eq!(run(json, bytes), "a \\\"b\\\"\\\\\\u000d\\u000a\\u0000\\u007f\\u00ff \u{e9}[");
        assert_eq!(run(quoted, bytes), "a \\x22b\\x22\\x5c\\x0d\\x0a\\x00\\x7f\\xff \\xc3\\xa9[");
        assert_eq!(run(word, b"a [b]"), "a\\x20\\x5bb\\x5d");
        assert_eq!(run(line, b"a \"b\"\n\xff\xc3\xa9"), "a \"b\"\\x0a\\xff\u{e9}");
        assert_eq!(run(json, "\u{9b}\u{2028}".as_bytes()), "\\u009b\\u2028");
    }

    proptest! {
        #[test]
        fn json_of_any_bytes_is_a_string_without_controls(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let escaped = run(json, &bytes);
            prop_assert!(!escaped.chars().any(char::is_control));
            let parsed: String = serde_json::from_str(&format!("\"{escaped}\"")).unwrap();
            if let Ok(text) = std::str::from_utf8(&bytes) {
                prop_assert_eq!(parsed, text);
            }
        }

        #[test]
        fn text_of_any_bytes_is_printable_ascii_without_quotes(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let escaped = run(quoted, &bytes);
            prop_assert!(escaped.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'"'));
            prop_assert!(!run(word, &bytes).contains([' ', '[', ']', '"']));
            prop_assert!(!run(line, &bytes).chars().any(char::is_control));
        }
    }
}
