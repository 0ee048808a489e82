//! White space, comments, command lines.
//!
//! What attackers put between the words that matter. Works on bytes; characters of UTF-8 are left whole.
//! Quick looks that say nothing will change live here, too, beside what they speak for.

use memchr::{memchr_iter, memmem};

/// White space as C has it.
pub fn is_space(byte: u8) -> bool {
    (byte.wrapping_sub(9) < 5) | (byte == b' ')
}

pub fn is_space_at(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| is_space(*byte))
}

pub fn trim_left(input: &[u8]) -> &[u8] {
    let len = input.iter().take_while(|byte| is_space(**byte)).count();
    input.get(len..).unwrap_or_default()
}

pub fn trim_right(input: &[u8]) -> &[u8] {
    let len = input.iter().rev().take_while(|byte| is_space(**byte)).count();
    input.get(..input.len() - len).unwrap_or_default()
}

/// Whether the byte stands twice in a row.
pub fn has_two(input: &[u8], byte: u8) -> bool {
    let behind = input.get(1..).unwrap_or_default();
    input.chunks(128).zip(behind.chunks(128)).any(|(first, second)| {
        first.iter().zip(second).fold(false, |found, (one, next)| found | (*one == byte && *next == byte))
    })
}

/// The length of the white space at the start of `text`, which stands behind `before`. A no-break space counts: as a byte
/// of its own and as the two of UTF-8. Within other characters of UTF-8 the byte is a part of them (ModSecurity takes it
/// for a space there, too, and so breaks every 你).
fn space_len(before: Option<u8>, text: &[u8]) -> usize {
    match text {
        [byte, ..] if is_space(*byte) => 1,
        [0xc2, 0xa0, ..] => 2,
        [0xa0, ..] if before.is_none_or(|byte| byte < 0x80) => 1,
        _ => 0,
    }
}

/// Whether a no-break space is somewhere in `input`: see [`space_len`].
pub fn has_no_break(input: &[u8]) -> bool {
    memchr_iter(0xa0, input).any(|at| match at.checked_sub(1).and_then(|before| input.get(before)) {
        None => true,
        Some(byte) => *byte < 0x80 || *byte == 0xc2,
    })
}

/// Copies `input`, and calls `space` for each white space on the way.
fn at_spaces(input: &[u8], out: &mut Vec<u8>, mut space: impl FnMut(&mut Vec<u8>)) {
    let mut rest = input;
    let mut before = None;
    while let Some(first) = rest.first() {
        let len = space_len(before, rest);
        before = if len == 0 { Some(*first) } else { None };
        if len == 0 {
            out.push(*first);
        } else {
            space(out);
        }
        rest = rest.get(len.max(1)..).unwrap_or_default();
    }
}

/// Without white space.
pub fn remove_whitespace(input: &[u8], out: &mut Vec<u8>) {
    if has_no_break(input) {
        out.reserve(input.len());
        return at_spaces(input, out, |_| {});
    }
    // Each byte is written, and written over by the next one where it is white space: no branch to be guessed wrong.
    out.resize(input.len(), 0);
    let mut len = 0;
    for byte in input {
        if let Some(place) = out.get_mut(len) {
            *place = *byte;
        }
        len += usize::from(!is_space(*byte));
    }
    out.truncate(len);
}

/// One space for each row of white space.
pub fn compress_whitespace(input: &[u8], out: &mut Vec<u8>) {
    out.reserve(input.len());
    at_spaces(input, out, |out| {
        if out.last() != Some(&b' ') {
            out.push(b' ');
        }
    });
}

/// As a shell would hardly notice: quotes, backslashes and carets are dropped, commas, semicolons and white space become
/// one space, none in front of `/` and `(`, all in lower case.
pub fn command_line(input: &[u8], out: &mut Vec<u8>) {
    out.reserve(input.len());
    for byte in input {
        match byte {
            b'"' | b'\'' | b'\\' | b'^' => {}
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if out.last() != Some(&b' ') {
                    out.push(b' ');
                }
            }
            b'/' | b'(' => {
                if out.last() == Some(&b' ') {
                    out.pop();
                }
                out.push(*byte);
            }
            _ => out.push(byte.to_ascii_lowercase()),
        }
    }
}

/// One space for each comment of C, for one without an end, too.
pub fn replace_comments(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some(start) = memmem::find(rest, b"/*") {
        let (plain, comment) = rest.split_at(start);
        out.extend_from_slice(plain);
        out.push(b' ');
        rest = behind(comment, 2, b"*/");
    }
    out.extend_from_slice(rest);
}

/// What is behind the first `end` in `text` that begins at `from` or later; nothing where there is none.
fn behind<'a>(text: &'a [u8], from: usize, end: &[u8]) -> &'a [u8] {
    let text = text.get(from..).unwrap_or_default();
    memmem::find(text, end).and_then(|at| text.get(at + end.len()..)).unwrap_or_default()
}

/// Without comments of C and of HTML; from `--` or `#` on nothing is left. A comment without an end leaves a space.
pub fn remove_comments(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some(first) = rest.first() {
        let end: &[u8] = if rest.starts_with(b"/*") {
            b"*/"
        } else if rest.starts_with(b"<!--") {
            b"-->"
        } else if *first == b'#' || rest.starts_with(b"--") {
            return;
        } else {
            out.push(*first);
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        let from = if end == b"*/" { 2 } else { 4 };
        if memmem::find(rest.get(from..).unwrap_or_default(), end).is_none() {
            out.push(b' ');
            return;
        }
        rest = behind(rest, from, end);
    }
}

/// Without the marks of comments: `/*`, `*/`, `<!--`, `-->`, `--`, `#`.
pub fn remove_comment_marks(input: &[u8], out: &mut Vec<u8>) {
    const MARKS: [&[u8]; 6] = [b"/*", b"*/", b"<!--", b"-->", b"--", b"#"];
    out.reserve(input.len());
    let mut rest = input;
    while let Some(first) = rest.first() {
        let mark = if matches!(first, b'/' | b'*' | b'<' | b'-' | b'#') {
            MARKS.iter().find(|mark| rest.starts_with(mark)).map_or(0, |mark| mark.len())
        } else {
            0
        };
        if mark == 0 {
            out.push(*first);
        }
        rest = rest.get(mark.max(1)..).unwrap_or_default();
    }
}
