//! Which bytes RFC 9110 §5.6.2 and §5.5 allow in tokens and in field values.
//!
//! Tables only; whoever needs them faster has them as vectors in `h1::scan`, compared with these by a test.

/// For each byte whether it may stand in a token (RFC 9110 §5.6.2).
pub const TOKEN: [bool; 256] = token_table();
/// For each byte whether it may stand in a field value: visible ASCII, SP, HTAB and obs-text (RFC 9110 §5.5).
pub const VALUE: [bool; 256] = value_table();

/// Whether the byte may stand in a token.
#[inline]
pub const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether the byte may stand in a field value.
#[inline]
pub const fn is_value_byte(byte: u8) -> bool {
    VALUE[byte as usize]
}

/// Whether the text is a token: at least one byte, each of them a token byte. Methods and field names are tokens.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is_token_byte(*b))
}

/// Whether the text can be sent as a field value: no control byte but HTAB, no white space at its ends.
pub fn is_value(text: &[u8]) -> bool {
    text.iter().all(|b| is_value_byte(*b)) && trim(text).len() == text.len()
}

/// The text without SP and HTAB at its ends (OWS, RFC 9110 §5.6.3).
#[inline]
pub fn trim(text: &[u8]) -> &[u8] {
    let mut text = text;
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

const fn token_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
}

const fn value_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte == b'\t' as usize || (byte >= 0x20 && byte != 0x7f);
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_values_are_those_of_the_grammar() {
        assert_eq!((0..=255).filter(|b| is_token_byte(*b)).count(), 62 + 15);
        assert!(
            is_token(b"x-request-id") && !is_token(b"") && !is_token(b"a b") && !is_token(b"a:") && !is_token(b"\xc3")
        );
        assert!(
            is_value(b"") && is_value(b"a\tb \xc3\xa9") && !is_value(b" a") && !is_value(b"a\r") && !is_value(b"\x7f")
        );
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t "), b"");
    }
}
