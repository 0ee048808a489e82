//! Escapes of languages: `jsDecode`, `cssDecode`, `escapeSeqDecode`, `htmlEntityDecode`.
//!
//! Characters beyond a byte become their low byte, full-width forms the ASCII they stand for: as ModSecurity has it, and as
//! rules expect it.

use memchr::memchr;

/// The value of a text of hexadecimal digits (at most 8 count); `None`: something else is in it, or nothing.
pub fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let mut value = 0u32;
    for digit in digits {
        value = value << 4 | char::from(*digit).to_digit(16)?;
    }
    if digits.is_empty() { None } else { Some(value) }
}

/// The byte that stands for a character: full-width forms (U+FF01 to U+FF5E) are ASCII, others are cut.
pub fn narrow(character: u32) -> u8 {
    let low = character.to_le_bytes()[0];
    if (0xff01..=0xff5e).contains(&character) { low.wrapping_add(0x20) } else { low }
}

/// Copies `input`, but hands what begins with `mark` to `one`, which pushes what it stands for and says how long it is.
fn decode(input: &[u8], mark: u8, out: &mut Vec<u8>, one: impl Fn(&[u8], &mut Vec<u8>) -> usize) {
    let mut rest = input;
    while let Some(at) = memchr(mark, rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let len = one(escape, out).max(1);
        rest = escape.get(len..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// How many bytes at the start of `text` are octal digits, at most three.
fn octal_len(text: &[u8]) -> usize {
    text.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count()
}

fn octal(digits: &[u8]) -> u8 {
    digits.iter().fold(0u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit & 7))
}

/// What a letter behind a backslash stands for in C and JavaScript.
fn control(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        _ => return None,
    })
}

/// `\uHHHH`, `\xHH`, `\OOO`, `\n` and its kin; any other escaped byte is itself.
pub fn javascript(input: &[u8], out: &mut Vec<u8>) {
    decode(input, b'\\', out, |escape, out| {
        let Some(letter) = escape.get(1).copied() else {
            out.push(b'\\');
            return 1;
        };
        let digits = |len: usize| escape.get(2..2 + len).and_then(hexadecimal);
        if letter == b'u'
            && let Some(value) = digits(4)
        {
            out.push(narrow(value));
            return 6;
        }
        if letter == b'x'
            && let Some(value) = digits(2)
        {
            out.push(narrow(value));
            return 4;
        }
        let behind = escape.get(1..).unwrap_or_default();
        // Three digits only where they are a byte.
        let len = if letter > b'3' { octal_len(behind).min(2) } else { octal_len(behind) };
        if len > 0 {
            out.push(octal(behind.get(..len).unwrap_or_default()));
            return 1 + len;
        }
        out.push(control(letter).unwrap_or(letter));
        2
    });
}

/// `\n` and its kin, `\xHH`, `\OOO`; any other escaped byte is itself.
pub fn ansi_c(input: &[u8], out: &mut Vec<u8>) {
    decode(input, b'\\', out, |escape, out| {
        let Some(letter) = escape.get(1).copied() else {
            out.push(b'\\');
            return 1;
        };
        if let Some(byte) = control(letter) {
            out.push(byte);
            return 2;
        }
        if matches!(letter, b'x' | b'X')
            && let Some(value) = escape.get(2..4).and_then(hexadecimal)
        {
            out.push(narrow(value));
            return 4;
        }
        let behind = escape.get(1..).unwrap_or_default();
        let len = octal_len(behind);
        if len > 0 {
            out.push(octal(behind.get(..len).unwrap_or_default()));
            return 1 + len;
        }
        out.push(letter);
        2
    });
}

/// A backslash and one to six hexadecimal digits, with one white space behind them; an escaped newline is nothing, any
/// other escaped byte is itself; a backslash at the end is nothing.
pub fn css(input: &[u8], out: &mut Vec<u8>) {
    decode(input, b'\\', out, |escape, out| {
        let behind = escape.get(1..).unwrap_or_default();
        let len = behind.iter().take(6).take_while(|byte| byte.is_ascii_hexdigit()).count();
        if let Some(value) = behind.get(..len).and_then(hexadecimal) {
            out.push(narrow(value));
            let space = matches!(behind.get(len), Some(0x09..=0x0d | b' '));
            return 1 + len + usize::from(space);
        }
        match behind.first() {
            Some(b'\n') => 2,
            Some(byte) => {
                out.push(*byte);
                2
            }
            None => 1,
        }
    });
}

/// Characters by number (`&#65;`, `&#x41;`) and by the few names that matter, the semicolon left out or not.
pub fn html(input: &[u8], out: &mut Vec<u8>) {
    decode(input, b'&', out, |entity, out| {
        let (byte, len) = entity_at(entity.get(1..).unwrap_or_default()).unwrap_or((b'&', 0));
        out.push(byte);
        1 + len + usize::from(len > 0 && entity.get(1 + len) == Some(&b';'))
    });
}

/// The names are read without regard to case; `nbsp` is the byte 0xa0.
const ENTITIES: [(&[u8], u8); 5] = [(b"quot", b'"'), (b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"nbsp", 0xa0)];

/// What `text`, behind an ampersand, stands for, and how long it is without a semicolon.
fn entity_at(text: &[u8]) -> Option<(u8, usize)> {
    if let Some(number) = text.strip_prefix(b"#") {
        let (digits, radix, before) = match number.split_first() {
            Some((b'x' | b'X', digits)) => (digits, 16, 2),
            _ => (number, 10, 1),
        };
        let len = digits.iter().take_while(|byte| char::from(**byte).is_digit(radix)).count();
        if len == 0 {
            return None;
        }
        let value = digits.iter().take(len).fold(0u32, |value, digit| {
            value.wrapping_mul(radix).wrapping_add(char::from(*digit).to_digit(radix).unwrap_or(0))
        });
        return Some((value.to_le_bytes()[0], before + len));
    }
    let len = text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let name = text.get(..len)?;
    ENTITIES.iter().find(|(entity, _)| name.eq_ignore_ascii_case(entity)).map(|(_, byte)| (*byte, len))
}
