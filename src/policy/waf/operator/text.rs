//! Operators that compare a value with a text: `@streq`, `@contains`, `@within`, `@eq` and their kin.
//!
//! A text without macros is prepared when it is compiled; one with macros comes expanded with each question. An empty text
//! is in every value, and an empty value within every text.

use std::cmp::Ordering;

use memchr::memmem::Finder;

use super::super::model::Text;
use super::pattern::Class;

/// How a value and a text are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Contains,
    ContainsWord,
    BeginsWith,
    EndsWith,
    StrEq,
    Within,
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
}

/// A comparison with a text that may hold macros.
#[derive(Clone, Debug)]
pub struct Compare {
    comparison: Comparison,
    operand: Text,
    /// Of an operand without macros: its bytes, its number, and a search for it.
    known: Option<Box<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    finder: Finder<'static>,
    number: i64,
}

impl Compare {
    pub fn new(comparison: Comparison, operand: &Text) -> Self {
        let known = operand.as_literal().map(|text| {
            Box::new(Known { finder: Finder::new(text.as_bytes()).into_owned(), number: number(text.as_bytes()) })
        });
        Self { comparison, operand: operand.clone(), known }
    }

    /// The operand where it holds macros.
    pub fn operand(&self) -> Option<&Text> {
        if self.known.is_some() { None } else { Some(&self.operand) }
    }

    /// Whether the comparison holds. `expanded` counts where the operand holds macros.
    pub fn matches(&self, value: &[u8], expanded: &[u8]) -> bool {
        let text = self.known.as_ref().map_or(expanded, |known| known.finder.needle());
        let against = || number(value).cmp(&self.known.as_ref().map_or_else(|| number(expanded), |known| known.number));
        match self.comparison {
            Comparison::Contains => match &self.known {
                Some(known) => known.finder.find(value).is_some(),
                None => memchr::memmem::find(value, text).is_some(),
            },
            Comparison::ContainsWord => contains_word(value, text),
            Comparison::BeginsWith => value.starts_with(text),
            Comparison::EndsWith => value.ends_with(text),
            Comparison::StrEq => value == text,
            Comparison::Within => memchr::memmem::find(text, value).is_some(),
            Comparison::Eq => against() == Ordering::Equal,
            Comparison::Ge => against() != Ordering::Less,
            Comparison::Gt => against() == Ordering::Greater,
            Comparison::Le => against() != Ordering::Greater,
            Comparison::Lt => against() == Ordering::Less,
        }
    }

    /// The literal that every match contains, in lower case, and whether whoever contains it matches.
    pub fn literal(&self) -> Option<(Box<[u8]>, bool)> {
        let text = self.operand.as_literal()?.as_bytes();
        let in_value = match self.comparison {
            Comparison::Contains
            | Comparison::ContainsWord
            | Comparison::BeginsWith
            | Comparison::EndsWith
            | Comparison::StrEq => true,
            Comparison::Within | Comparison::Eq | Comparison::Ge | Comparison::Gt | Comparison::Le | Comparison::Lt => {
                false
            }
        };
        if !in_value || text.is_empty() {
            return None;
        }
        let whole = self.comparison == Comparison::Contains && !text.iter().any(u8::is_ascii_alphabetic);
        Some((text.to_ascii_lowercase().into_boxed_slice(), whole))
    }
}

/// The text as a word of its own: no letter, digit or underscore beside it. An empty text is in every value.
fn contains_word(value: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return true;
    }
    let word = Class::word();
    let mut from = 0;
    while let Some(found) = value.get(from..).and_then(|rest| memchr::memmem::find(rest, text)) {
        let start = from + found;
        let before = start.checked_sub(1).and_then(|at| value.get(at));
        let after = value.get(start + text.len());
        if !before.is_some_and(|byte| word.contains(*byte)) && !after.is_some_and(|byte| word.contains(*byte)) {
            return true;
        }
        from = start + 1;
    }
    false
}

/// The number that a text begins with, as `atoi` reads it: white space, a sign, digits; 0 where there is none. Numbers
/// beyond 64 bits are the largest there are.
pub fn number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let mut number = 0i64;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        number = number.saturating_mul(10);
        number = if negative { number.saturating_sub(digit) } else { number.saturating_add(digit) };
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_atoi_does() {
        let table: [(&str, i64); 9] = [
            ("42", 42),
            (" \t-7x", -7),
            ("+3", 3),
            ("", 0),
            ("abc", 0),
            ("0x10", 0),
            ("99999999999999999999", i64::MAX),
            ("-99999999999999999999", i64::MIN),
            ("--1", 0),
        ];
        for (text, expected) in table {
            assert_eq!(number(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn words_stand_alone() {
        assert!(contains_word(b"drop table x", b"table"));
        assert!(!contains_word(b"tablespace", b"table"));
        assert!(contains_word(b"tables, table", b"table"));
        assert!(!contains_word(b"a_table", b"table"));
        assert!(!contains_word(b"", b"a"));
    }
}
