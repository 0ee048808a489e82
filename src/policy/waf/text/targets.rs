//! Targets: `ARGS|!ARGS:/^x/|&REQUEST_HEADERS:Host|JSON:messages.*.content` and the like.

use super::macros::{self, Unknown};
use super::names::{self, Shape};
use super::{Fault, fault, unsupported};
use crate::policy::waf::model::{How, Selector, Target, Variable};

/// Variables that can only be known behind a request.
const RESPONSE: &[&str] = &["RESPONSE_", "STATUS", "OUTBOUND_"];

/// All targets of a list. `separators`: `|` in a rule; updates of rules take commas, too.
///
/// # Errors
/// The first variable that there is none of, or that cannot be selected from in the way written.
pub(super) fn targets(list: &str, separators: &[char]) -> Result<Vec<Target>, Fault> {
    let mut targets = Vec::new();
    let mut rest = list.trim();
    if rest.is_empty() {
        return Err(fault("variables", "there are none", "write what is looked at, such as ARGS"));
    }
    loop {
        let (target, behind) = one(rest, separators)?;
        targets.push(target);
        match behind.trim_start().strip_prefix(separators) {
            Some(next) => rest = next.trim_start(),
            None => return Ok(targets),
        }
    }
}

/// The target of `ctl:ruleRemoveTarget…`, which is meant to be left out.
///
/// # Errors
/// As [`targets`].
pub(super) fn single(written: &str) -> Result<Target, Fault> {
    let written = written.trim();
    let (target, _) = one(written.strip_prefix('!').unwrap_or(written), &[])?;
    Ok(target)
}

/// One target, and what is behind it (nothing, or something that begins with a separator).
fn one<'t>(text: &'t str, separators: &[char]) -> Result<(Target, &'t str), Fault> {
    let (how, text) = match text.chars().next() {
        Some('!') => (How::Excluded, text.get(1..).unwrap_or_default()),
        Some('&') => (How::Count, text.get(1..).unwrap_or_default()),
        _ => (How::Values, text),
    };
    let end = text.find(|c: char| c == ':' || separators.contains(&c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let name = name.trim();
    let Some(selected) = rest.strip_prefix(':') else {
        let (variable, _) = variable(name)?;
        return Ok((Target { variable, selector: Selector::All, how }, rest));
    };
    if name.eq_ignore_ascii_case("XML") {
        let (path, behind) = split(selected, separators);
        return Ok((Target { variable: xml(path)?, selector: Selector::All, how }, behind));
    }
    let (variable, shape) = variable(name)?;
    if shape == Shape::Single {
        return Err(fault(format!("{name}:"), "has no members to select from", format!("write {name}")));
    }
    let (selector, behind) = selector(selected, separators)?;
    Ok((Target { variable, selector, how }, behind))
}

fn variable(name: &str) -> Result<(Variable, Shape), Fault> {
    if name.eq_ignore_ascii_case("XML") {
        return Err(fault("XML", "needs a path", "write XML:/* for all text, or XML://@* for all attributes"));
    }
    names::variable(name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Fault {
    let upper = name.to_ascii_uppercase();
    if names::is_persistent(name) {
        let what = "is a collection that outlives a request, which there is none of";
        return unsupported(name, what, "count requests with a limit of the route instead");
    }
    if upper == "GEO" {
        return unsupported(name, "needs a database of places", "remove the rule, or use @ipMatchFromFile");
    }
    if RESPONSE.iter().any(|start| upper.starts_with(start)) {
        return unsupported(name, "belongs to the response, which is not judged", "judge the request instead");
    }
    let hint = match names::all_variables().find(|known| is_close(known, &upper)) {
        Some(known) => format!("did you mean {known}?"),
        None => "docs/waf.md lists the variables that there are".to_owned(),
    };
    unsupported(name, "is not a variable that there is", hint)
}

/// Whether two names differ by one letter or two: missing, added or exchanged.
fn is_close(known: &str, written: &str) -> bool {
    strsim::damerau_levenshtein(known, written) <= 2
}

/// `/*` = all text; `//@*` = all values of attributes.
fn xml(path: &str) -> Result<Variable, Fault> {
    match path.trim() {
        "/*" => Ok(Variable::XmlText),
        "//@*" => Ok(Variable::XmlAttributes),
        path => Err(unsupported(format!("XML:{path}"), "is a path of XML other than /* and //@*", "take one of these")),
    }
}

/// What stands in front of the next separator, and the rest from it on.
fn split<'t>(text: &'t str, separators: &[char]) -> (&'t str, &'t str) {
    text.split_at(text.find(separators).unwrap_or(text.len()))
}

/// `name`, `/pattern/`, or either in single quotes.
fn selector<'t>(text: &'t str, separators: &[char]) -> Result<(Selector, &'t str), Fault> {
    if let Some(inner) = text.strip_prefix('\'') {
        let end =
            closing(inner, '\'').ok_or_else(|| fault("'", "the quote of a selector is not closed", "close it"))?;
        let (inner, behind) = (inner.get(..end).unwrap_or_default(), inner.get(end + 1..).unwrap_or_default());
        let selector = match inner.strip_prefix('/').and_then(|pattern| pattern.strip_suffix('/')) {
            Some(pattern) => Selector::Pattern(pattern.into()),
            None => Selector::Name(macros::text(inner, Unknown::Refused)?),
        };
        return Ok((selector, behind));
    }
    if let Some(inner) = text.strip_prefix('/') {
        let end = pattern_end(inner, separators)
            .ok_or_else(|| fault("/", "the pattern of a selector is not closed", "close it with another /"))?;
        let (pattern, behind) = (inner.get(..end).unwrap_or_default(), inner.get(end + 1..).unwrap_or_default());
        return Ok((Selector::Pattern(pattern.into()), behind));
    }
    let (name, behind) = split(text, separators);
    if name.trim().is_empty() {
        return Err(fault(":", "nothing is selected", "write a name behind the colon, or leave it out"));
    }
    Ok((Selector::Name(macros::text(name.trim(), Unknown::Refused)?), behind))
}

/// Where an unescaped character stands.
fn closing(text: &str, wanted: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices()
        .find(|(_, c)| {
            let found = *c == wanted && !escaped;
            escaped = *c == '\\' && !escaped;
            found
        })
        .map(|(at, _)| at)
}

/// Where the slash is that ends a pattern: the first one that nothing or a separator follows.
fn pattern_end(text: &str, separators: &[char]) -> Option<usize> {
    text.match_indices('/').map(|(at, _)| at).find(|at| {
        let behind = text.get(at + 1..).unwrap_or_default();
        let escaped = text.get(..*at).is_some_and(|before| before.ends_with('\\'));
        !escaped && (behind.is_empty() || behind.starts_with(separators))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::waf::model::{Part, Text};

    fn of(list: &str) -> Vec<Target> {
        targets(list, &['|']).unwrap_or_else(|e| panic!("{list}: {e:?}"))
    }

    fn target(variable: Variable, selector: Selector, how: How) -> Target {
        Target { variable, selector, how }
    }

    fn name(text: &str) -> Selector {
        Selector::Name(Text::literal(text))
    }

    #[test]
    fn lists_as_rule_sets_write_them() {
        use How::{Count, Excluded, Values};
        use Selector::{All, Pattern};
        let read = of("REQUEST_COOKIES|!REQUEST_COOKIES:/__utm/|ARGS_NAMES|&args:Foo|XML:/*|XML://@*|TX:'/^A b|c/'");
        let wanted = [
            target(Variable::RequestCookies, All, Values),
            target(Variable::RequestCookies, Pattern("__utm".into()), Excluded),
            target(Variable::ArgsNames, All, Values),
            target(Variable::Args, name("Foo"), Count),
            target(Variable::XmlText, All, Values),
            target(Variable::XmlAttributes, All, Values),
            target(Variable::Tx, Pattern("^A b|c".into()), Values),
        ];
        assert_eq!(read, wanted);
        assert_eq!(of("JSON:messages.*.content"), [target(Variable::Json, name("messages.*.content"), Values)]);
        assert_eq!(of("ARGS:/a|b/|ARGS:/c\\/d/").len(), 2);
        let macros = of("TX:paramcounter_%{MATCHED_VAR_NAME}");
        let Selector::Name(text) = &macros[0].selector else { panic!("{macros:?}") };
        assert_eq!(text.parts[1], Part::Macro(Variable::MatchedVarName, None));
        assert_eq!(targets("!ARGS:a,!ARGS:b|ARGS:c", &['|', ',']).unwrap().len(), 3);
        assert_eq!(single("ARGS:a|b").unwrap(), target(Variable::Args, name("a|b"), Values));
    }

    #[test]
    fn what_cannot_be_looked_at_is_named() {
        for (list, construct, hint) in [
            ("IP:DOS_BLOCK", "IP", "limit"),
            ("RESPONSE_BODY", "RESPONSE_BODY", "request"),
            ("ARGS|REQUEST_HEADER", "REQUEST_HEADER", "did you mean REQUEST_HEADERS?"),
            ("GEO:COUNTRY_CODE", "GEO", "@ipMatchFromFile"),
            ("HIGHEST_SEVERITY", "HIGHEST_SEVERITY", "docs/waf.md"),
            ("XML:/a/b", "XML:/a/b", "take one"),
            ("XML", "XML", "write XML:/*"),
            ("REQUEST_URI:x", "REQUEST_URI:", "write REQUEST_URI"),
            ("ARGS:", ":", "behind the colon"),
            ("ARGS:/x", "/", "close"),
            ("ARGS:'x", "'", "close"),
            ("", "variables", "ARGS"),
        ] {
            let fault = targets(list, &['|']).unwrap_err();
            assert_eq!(fault.construct, construct, "{list}");
            assert!(fault.hint.contains(hint), "{list}: {}", fault.hint);
        }
    }
}
