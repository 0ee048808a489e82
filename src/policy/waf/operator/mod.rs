//! What a value is asked: operators of SecLang, compiled once and asked often.
//!
//! Pure: a value in, yes or no out, and what was captured. Matching takes time linear in the value for every operator.
//! A pattern is never run by backtracking; what cannot be had that way is an [`OperatorError`].

mod captures;
mod check;
mod injection;
mod pattern;
mod phrases;
mod rx;
mod text;

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;

pub use captures::{Captures, GROUPS};
pub use pattern::Class;
pub use text::number;

use super::model::{Operator, Text};
use phrases::Phrases;
use rx::Rx;
use text::{Compare, Comparison};

/// Why an operator cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorError {
    what: String,
}

impl OperatorError {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

impl fmt::Display for OperatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for OperatorError {}

/// A compiled operator. A clone has scratch memory of its own: a core that asks a clone of its own shares nothing.
#[derive(Clone, Debug)]
pub struct Matcher {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Rx(Rx),
    Compare(Compare),
    Phrases(Phrases),
    IpMatch(Arc<[IpNet]>),
    Sqli,
    Xss,
    ByteRange(Box<[u64; 4]>),
    UrlEncoding,
    Utf8Encoding,
    Always,
    Never,
}

/// Compiles `operator`.
///
/// # Errors
///
/// What of the operator cannot be taken, and why.
pub fn compile(operator: &Operator) -> Result<Matcher, OperatorError> {
    let compare = |comparison, text: &Text| Kind::Compare(Compare::new(comparison, text));
    let kind = match operator {
        Operator::Rx(pattern) => Kind::Rx(Rx::new(pattern).map_err(OperatorError::new)?),
        Operator::Contains(text) => compare(Comparison::Contains, text),
        Operator::ContainsWord(text) => compare(Comparison::ContainsWord, text),
        Operator::BeginsWith(text) => compare(Comparison::BeginsWith, text),
        Operator::EndsWith(text) => compare(Comparison::EndsWith, text),
        Operator::StrEq(text) => compare(Comparison::StrEq, text),
        Operator::Within(text) => compare(Comparison::Within, text),
        Operator::Eq(text) => compare(Comparison::Eq, text),
        Operator::Ge(text) => compare(Comparison::Ge, text),
        Operator::Gt(text) => compare(Comparison::Gt, text),
        Operator::Le(text) => compare(Comparison::Le, text),
        Operator::Lt(text) => compare(Comparison::Lt, text),
        Operator::Pm(phrases) => Kind::Phrases(Phrases::new(phrases).map_err(OperatorError::new)?),
        Operator::IpMatch(networks) => Kind::IpMatch(Arc::clone(networks)),
        Operator::DetectSqli => Kind::Sqli,
        Operator::DetectXss => Kind::Xss,
        Operator::ValidateByteRange(allowed) => Kind::ByteRange(allowed.clone()),
        Operator::ValidateUrlEncoding => Kind::UrlEncoding,
        Operator::ValidateUtf8Encoding => Kind::Utf8Encoding,
        Operator::UnconditionalMatch => Kind::Always,
        Operator::NoMatch => Kind::Never,
    };
    Ok(Matcher { kind })
}

impl Matcher {
    /// The operand to be expanded before asking, where it holds macros.
    pub fn operand(&self) -> Option<&Text> {
        match &self.kind {
            Kind::Rx(rx) => rx.operand(),
            Kind::Compare(compare) => compare.operand(),
            _ => None,
        }
    }

    /// Whether `value` matches. `operand` is the expansion of [`Matcher::operand`], else unread. `captures` is cleared, and
    /// filled where the value matches and the operator has something to give: the groups of a pattern, the phrase found,
    /// the fingerprint of an SQL injection.
    pub fn matches(&self, value: &[u8], operand: &[u8], mut captures: Option<&mut Captures>) -> bool {
        if let Some(captures) = &mut captures {
            captures.clear();
        }
        match &self.kind {
            Kind::Rx(rx) => rx.matches(value, operand, captures),
            Kind::Compare(compare) => compare.matches(value, operand),
            Kind::Phrases(phrases) => phrases.matches(value, captures),
            Kind::IpMatch(networks) => check::is_in(value, networks),
            Kind::Sqli => injection::is_sqli(value, captures),
            Kind::Xss => injection::is_xss(value),
            Kind::ByteRange(allowed) => check::has_byte_outside(value, allowed),
            Kind::UrlEncoding => check::is_url_encoding_wrong(value),
            Kind::Utf8Encoding => check::is_utf8_wrong(value),
            Kind::Always => true,
            Kind::Never => false,
        }
    }

    /// Literals, in lower case, of which at least one is in every value that matches, compared without regard to ASCII
    /// case; none of them empty. `None`: nothing can be said, the operator must always be asked.
    pub fn literals(&self) -> Option<Vec<Box<[u8]>>> {
        match &self.kind {
            Kind::Rx(rx) => rx.required().literals.clone(),
            Kind::Compare(compare) => compare.literal().map(|(literal, _)| vec![literal]),
            Kind::Phrases(phrases) if !phrases.literals().is_empty() => Some(phrases.literals().to_vec()),
            Kind::Xss => Some(injection::XSS_NEEDS.map(|byte| [byte].into()).to_vec()),
            _ => None,
        }
    }

    /// Whether a value that holds one of the literals matches, without further question (but for captures).
    pub fn is_its_literals(&self) -> bool {
        match &self.kind {
            Kind::Rx(rx) => rx.required().is_all,
            Kind::Compare(compare) => compare.literal().is_some_and(|(_, whole)| whole),
            Kind::Phrases(phrases) => !phrases.literals().is_empty(),
            _ => false,
        }
    }

    /// Sets of bytes: a value that matches has at least one byte of each. Weaker than the literals and cheaper to look
    /// at, where the set of a value's bytes is known. Empty: nothing can be said.
    pub fn bytes(&self) -> &[Class] {
        match &self.kind {
            Kind::Rx(rx) => &rx.required().bytes,
            _ => &[],
        }
    }

    /// How much a byte of a value costs, roughly, in what a byte costs that is only scanned.
    pub fn work(&self) -> u64 {
        match &self.kind {
            Kind::Sqli | Kind::Xss => 16,
            Kind::Rx(rx) => rx.work(),
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests;
