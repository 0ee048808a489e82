//! `application/x-www-form-urlencoded`: arguments of queries and of forms.
//!
//! As ModSecurity reads them: divided by `&`, `%XX` and `+` decoded once, a broken `%` left as it is and noted in
//! URLENCODED_ERROR.

use super::super::model::Variable;
use super::arena::{Arena, Copied};
use super::{ARGS_MAX, Fault, Input, Span};

/// Adds the arguments of a text that is in the arena as `copy`.
pub(super) fn read(input: &mut Input, text: &[u8], copy: Copied) {
    let mut at = 0;
    let mut is_broken = false;
    while at < text.len() && input.args.len() < ARGS_MAX {
        let rest = text.get(at..).unwrap_or_default();
        let is_last = input.args.len() + 1 == ARGS_MAX;
        let divided = memchr::memchr(b'&', rest).unwrap_or(rest.len());
        if is_last && divided < rest.len() {
            input.fail(Fault::TooManyArgs);
        }
        let len = if is_last { rest.len() } else { divided };
        let pair = rest.get(..len).unwrap_or_default();
        if !pair.is_empty() {
            let equals = memchr::memchr(b'=', pair);
            let name_len = equals.unwrap_or(len);
            let value_at = equals.map_or(len, |equals| equals + 1);
            let name = decode(&mut input.arena, pair.get(..name_len), copy.span(at, at + name_len), &mut is_broken);
            let value =
                decode(&mut input.arena, pair.get(value_at..), copy.span(at + value_at, at + len), &mut is_broken);
            input.args.push(name, value);
        }
        at += len + 1;
    }
    let was_broken = input.singles.entries(Variable::UrlencodedError).first();
    let was_broken = was_broken.is_some_and(|entry| input.bytes(entry.value) == b"1");
    let flag = input.arena.push(if is_broken || was_broken { b"1" } else { b"0" });
    input.singles.set(Variable::UrlencodedError, flag);
}

/// The decoded text: where nothing is encoded, the bytes that are there already.
fn decode(arena: &mut Arena, text: Option<&[u8]>, there: Span, is_broken: &mut bool) -> Span {
    let text = text.unwrap_or_default();
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return there;
    }
    percent_decode(arena, text, true, is_broken)
}

/// Appends the text with `%XX` decoded, and `+` where it means a blank.
pub(super) fn percent_decode(arena: &mut Arena, text: &[u8], plus: bool, is_broken: &mut bool) -> Span {
    let start = arena.end();
    arena.reserve(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'+', _) if plus => arena.push_byte(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                arena.push_byte(nibble(*high) << 4 | nibble(*low));
                rest = after;
            }
            (byte, _) => {
                *is_broken |= *byte == b'%';
                arena.push_byte(*byte);
            }
        }
    }
    arena.since(start)
}

/// The value of a hexadecimal digit; 0 of anything else.
pub(super) fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}
