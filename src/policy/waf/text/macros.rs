//! Macros: texts with `%{variable}` and `%{collection.member}` in them.

use super::names;
use super::{Fault, unsupported};
use crate::policy::waf::model::{Part, Text};

/// What becomes of a macro that names no known variable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It stays text: in messages, which change no verdict.
    Stays,
    Refused,
}

/// Reads a text.
///
/// # Errors
/// A macro of an unknown variable, where these are refused.
pub(super) fn text(written: &str, unknown: Unknown) -> Result<Text, Fault> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = written;
    while let Some(at) = rest.find("%{") {
        let (before, from) = rest.split_at(at);
        let Some(end) = from.find('}') else { break };
        let inner = from.get(2..end).unwrap_or_default();
        plain.push_str(before);
        match (part(inner), unknown) {
            (Some(part), _) => {
                if !plain.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut plain).into()));
                }
                parts.push(part);
            }
            (None, Unknown::Stays) => plain.push_str(from.get(..=end).unwrap_or_default()),
            (None, Unknown::Refused) => {
                let hint = "docs/waf.md lists the variables that there are";
                return Err(unsupported(
                    format!("%{{{inner}}}"),
                    "is a macro of a variable that there is none of",
                    hint,
                ));
            }
        }
        rest = from.get(end + 1..).unwrap_or_default();
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Literal(plain.into()));
    }
    Ok(Text { parts: parts.into() })
}

/// `variable` or `collection.member`.
fn part(inner: &str) -> Option<Part> {
    let inner = inner.trim();
    let (name, member) = match inner.find(['.', ':']) {
        Some(at) => (inner.get(..at)?, inner.get(at + 1..)),
        None => (inner, None),
    };
    let (variable, _) = names::variable(name)?;
    Some(Part::Macro(variable, member.map(|member| member.to_ascii_lowercase().into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::waf::model::Variable;

    #[test]
    fn macros_are_found_between_plain_text() {
        let read = text("a %{TX.Foo_%} b%{remote_addr}", Unknown::Refused).unwrap();
        let wanted = [
            Part::Literal("a ".into()),
            Part::Macro(Variable::Tx, Some("foo_%".into())),
            Part::Literal(" b".into()),
            Part::Macro(Variable::RemoteAddr, None),
        ];
        assert_eq!(*read.parts, wanted);
        assert_eq!(text("100%{", Unknown::Refused).unwrap(), Text::literal("100%{"));
        assert_eq!(text("", Unknown::Refused).unwrap(), Text::default());
    }

    #[test]
    fn unknown_macros_stay_in_messages_only() {
        assert_eq!(text("x %{geo.country} y", Unknown::Stays).unwrap(), Text::literal("x %{geo.country} y"));
        assert_eq!(text("%{geo.country}", Unknown::Refused).unwrap_err().construct, "%{geo.country}");
    }
}
