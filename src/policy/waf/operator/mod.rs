//! What a value is asked: operators of SecLang, compiled once and asked often.
//!
//! Pure: a value in, yes or no out, and what was captured. Matching takes time linear in the value for every operator.
//! A pattern is never run by backtracking; what cannot be had that way is an [`OperatorError`].

mod captures;

use std::fmt;

pub use captures::{Captures, GROUPS};

use super::model::{Operator, Text};

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
pub struct Matcher {}

/// Compiles `operator`.
///
/// # Errors
///
/// What of the operator cannot be taken, and why.
pub fn compile(_operator: &Operator) -> Result<Matcher, OperatorError> {
    Err(OperatorError::new("not yet"))
}

impl Matcher {
    /// The operand to be expanded before asking, where it holds macros.
    pub fn operand(&self) -> Option<&Text> {
        None
    }

    /// Whether `value` matches. `operand` is the expansion of [`Matcher::operand`], else unread. `captures` is cleared, and
    /// filled where the value matches and the operator has something to give.
    pub fn matches(&self, _value: &[u8], _operand: &[u8], captures: Option<&mut Captures>) -> bool {
        if let Some(captures) = captures {
            captures.clear();
        }
        false
    }

    /// Literals, in lower case, of which at least one is in every value that matches, compared without regard to ASCII
    /// case; none of them empty. `None`: nothing can be said, the operator must always be asked.
    pub fn literals(&self) -> Option<Vec<Box<[u8]>>> {
        None
    }

    /// Whether a value that holds one of the literals matches, without further question.
    pub fn is_its_literals(&self) -> bool {
        false
    }

    /// A rough class of cost: 0 compare, 1 scan, 2 regex, 3 libinjection.
    pub fn cost(&self) -> u8 {
        0
    }
}
