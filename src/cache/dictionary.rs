//! Dictionaries of structured fields (RFC 8941 §3.2), as far as targeted cache control needs them (RFC 9213).
//!
//! Checks the whole syntax, hands out each member's name and bare value, drops parameters. Allocates nothing.

use super::directives::{Argument, closing_quote};
use crate::http::syntax;

/// Digits of an integer, and of the part of a decimal before its point (RFC 8941 §3.3.1–2).
const INTEGER_DIGITS_MAX: usize = 15;
const DECIMAL_DIGITS_MAX: usize = 12;

/// Shows each member of one field line in order and returns how many there are; `None` where the syntax is broken,
/// and what was shown is void.
pub(super) fn members<'a>(line: &'a [u8], mut visit: impl FnMut(&'a [u8], Argument<'a>)) -> Option<usize> {
    let mut parser = Parser { rest: syntax::trim(line) };
    let mut count = 0;
    while !parser.rest.is_empty() {
        let name = parser.key()?;
        let argument = if parser.take(b'=') { parser.member_value()? } else { Argument::Absent };
        parser.parameters()?;
        visit(name, argument);
        count += 1;
        parser.skip_blank();
        if parser.rest.is_empty() {
            break;
        }
        if !parser.take(b',') {
            return None;
        }
        parser.skip_blank();
        if parser.rest.is_empty() {
            return None;
        }
    }
    Some(count)
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_blank(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Bytes from here as long as they fit.
    fn span(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|b| !fits(*b)).unwrap_or(self.rest.len());
        let (span, rest) = self.rest.split_at(end);
        self.rest = rest;
        span
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.span(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.' | b'*'));
        key.first().filter(|b| b.is_ascii_lowercase() || **b == b'*').map(|_| key)
    }

    fn member_value(&mut self) -> Option<Argument<'a>> {
        if self.take(b'(') { self.inner_list() } else { self.bare_item() }
    }

    fn inner_list(&mut self) -> Option<Argument<'a>> {
        let all = self.rest;
        loop {
            self.span(|b| b == b' ');
            let inside = all.len() - self.rest.len();
            if self.take(b')') {
                return all.get(..inside).map(Argument::List);
            }
            self.bare_item()?;
            self.parameters()?;
            if !matches!(self.rest.first(), Some(b' ' | b')')) {
                return None;
            }
        }
    }

    fn parameters(&mut self) -> Option<()> {
        while self.take(b';') {
            self.span(|b| b == b' ');
            self.key()?;
            if self.take(b'=') {
                self.bare_item()?;
            }
        }
        Some(())
    }

    fn bare_item(&mut self) -> Option<Argument<'a>> {
        match self.rest.first()? {
            b'"' => self.string(),
            b'?' => {
                self.take(b'?');
                let value = if self.take(b'1') { Argument::Absent } else { Argument::False };
                (value == Argument::Absent || self.take(b'0')).then_some(value)
            }
            b':' => {
                self.take(b':');
                self.span(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
                self.take(b':').then_some(Argument::Malformed)
            }
            b'-' | b'0'..=b'9' => self.number(),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                Some(Argument::Text(self.span(|b| syntax::is_token_byte(b) || matches!(b, b':' | b'/'))))
            }
            _ => None,
        }
    }

    fn string(&mut self) -> Option<Argument<'a>> {
        let text = self.rest.get(1..)?;
        let inside = text.get(..closing_quote(text)?)?;
        self.rest = text.get(inside.len() + 1..)?;
        let mut bytes = inside.iter();
        while let Some(byte) = bytes.next() {
            let escape_is_known = *byte != b'\\' || matches!(bytes.next(), Some(b'"' | b'\\'));
            if !escape_is_known || !(0x20..0x7f).contains(byte) {
                return None;
            }
        }
        Some(Argument::Quoted(inside))
    }

    fn number(&mut self) -> Option<Argument<'a>> {
        let all = self.rest;
        self.take(b'-');
        let digits = self.span(|b| b.is_ascii_digit()).len();
        let is_decimal = self.take(b'.');
        let most = if is_decimal { DECIMAL_DIGITS_MAX } else { INTEGER_DIGITS_MAX };
        if !(1..=most).contains(&digits) {
            return None;
        }
        if is_decimal && !(1..=3).contains(&self.span(|b| b.is_ascii_digit()).len()) {
            return None;
        }
        all.get(..all.len() - self.rest.len()).map(Argument::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_with_their_bare_values_and_broken_ones_void_the_line() {
        let shown = |line: &'static str| {
            let mut out = Vec::new();
            members(line.as_bytes(), |name, argument| out.push((name, argument))).map(|count| (count, out))
        };
        let (count, all) =
            shown("max-age=60;a=b;c, no-store, x=(\"a\" b;q=1);z ,\ty=?0, z=:YQ==:, s=\"a\\\"b\", d=-1.5")
                .expect("a valid dictionary");
        assert_eq!(count, 7);
        assert_eq!(all[0], (&b"max-age"[..], Argument::Text(b"60")));
        assert_eq!(all[1], (&b"no-store"[..], Argument::Absent));
        assert_eq!(all[2], (&b"x"[..], Argument::List(b"\"a\" b;q=1")));
        assert_eq!(all[3].1, Argument::False);
        assert_eq!(all[4].1, Argument::Malformed);
        assert_eq!(all[5].1, Argument::Quoted(b"a\\\"b"));
        assert_eq!(all[6].1, Argument::Text(b"-1.5"));
        assert_eq!(shown(""), Some((0, Vec::new())));
        let broken = [
            "a,",
            "a,,b",
            "Max-Age=1",
            "a=",
            "a=\"x",
            "a=\"\\x\"",
            "a=1 b",
            "a=1.",
            "a=1.2345",
            "a=?2",
            "a=(1",
            "a=(1\"x\")",
            "a=1234567890123456",
            "a;B",
            "a = 1",
            "=1",
            ",a",
            "a=\"\u{e9}\"",
            "a=:*:",
        ];
        for line in broken {
            assert_eq!(shown(line), None, "{line}");
        }
    }
}
