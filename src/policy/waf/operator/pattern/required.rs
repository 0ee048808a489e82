//! What every match of a pattern must contain: literals, and sets of bytes.
//!
//! This decides how often a pattern is run at all: one search over all literals of all rules says which patterns a value
//! can match. Literals are found in lower case and looked for without regard to case. Of the sets of literals that are each
//! necessary, the one is taken that is the least likely to be in ordinary text. What is said here holds for every match;
//! where nothing holds, nothing is said.

use std::collections::HashSet;

use super::{Class, Node};

/// Strings that a set may hold while sets are multiplied with each other.
const PRODUCT_MAX: usize = 128;
/// Strings that a set may hold while sets are united.
const UNION_MAX: usize = 1024;
/// Literals of one pattern.
pub const LITERALS_MAX: usize = 512;
/// Bytes of one literal.
const LITERAL_BYTES_MAX: usize = 32;
/// A class of more bytes (of lower case) is not spelled out.
const CLASS_BYTES_MAX: usize = 16;
/// Sets of bytes of one pattern.
const BYTE_SETS_MAX: usize = 4;

/// What every match contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Required {
    /// At least one of these, in lower case, without regard to ASCII case; none is empty. `None`: nothing can be said.
    pub literals: Option<Vec<Box<[u8]>>>,
    /// A value that contains one of the literals matches.
    pub is_all: bool,
    /// At least one byte of each of these.
    pub bytes: Vec<Class>,
}

/// Looks for what every match of `node` contains.
pub fn required(node: &Node) -> Required {
    let facts = facts(node);
    let bytes = byte_sets(node);
    if facts.bare
        && let Some(exact) = facts.exact.as_ref().map(minimal)
        && exact.len() <= LITERALS_MAX
        && usable(&exact)
    {
        return Required { literals: Some(boxed(exact)), is_all: true, bytes };
    }
    let best = facts.best().map(|set| minimal(&set)).filter(|set| set.len() <= LITERALS_MAX && usable(set));
    Required { literals: best.map(boxed), is_all: false, bytes }
}

type Set = Vec<Vec<u8>>;

/// What is known about the strings that a part of a pattern matches, in lower case.
struct Facts {
    /// Each of them is one of these.
    exact: Option<Set>,
    /// Each begins, each ends with one of these (which may be empty).
    prefix: Set,
    suffix: Set,
    /// Each contains one of these.
    inner: Option<Set>,
    /// `exact` is all of it in either case, and no condition of place is with it.
    bare: bool,
}

impl Facts {
    fn nothing() -> Self {
        Self { exact: None, prefix: empty(), suffix: empty(), inner: None, bare: false }
    }

    fn exactly(set: Set, bare: bool) -> Self {
        Self { prefix: set.clone(), suffix: set.clone(), inner: None, exact: Some(set), bare }
    }

    /// The set, of those that are necessary, that is the least likely in ordinary text.
    fn best(&self) -> Option<Set> {
        let mut best = None;
        for set in
            [self.exact.as_ref(), Some(&self.prefix), Some(&self.suffix), self.inner.as_ref()].into_iter().flatten()
        {
            better(&mut best, set);
        }
        best
    }
}

/// The set of the empty string.
fn empty() -> Set {
    vec![Vec::new()]
}

fn usable(set: &Set) -> bool {
    !set.is_empty() && set.iter().all(|literal| !literal.is_empty())
}

fn boxed(set: Set) -> Vec<Box<[u8]>> {
    set.into_iter().map(Vec::into_boxed_slice).collect()
}

fn better(best: &mut Option<Set>, set: &Set) {
    if usable(set) && best.as_ref().is_none_or(|best| likelihood(set) < likelihood(best)) {
        *best = Some(set.clone());
    }
}

/// How likely it is that one of the literals begins at a given place of ordinary text.
fn likelihood(set: &Set) -> f64 {
    set.iter().map(|literal| literal.iter().map(|byte| frequency(*byte)).product::<f64>()).sum()
}

/// A rough share of a byte, taken in lower case, in requests and prompts.
fn frequency(byte: u8) -> f64 {
    match byte {
        b' ' => 0.15,
        b'e' => 0.1,
        b'a' | b'i' | b'n' | b'o' | b's' | b't' | b'r' => 0.06,
        b'c' | b'd' | b'h' | b'l' | b'm' | b'p' | b'u' => 0.03,
        b'a'..=b'z' => 0.012,
        b'0'..=b'9' | b'"' | b',' | b'.' | b'-' | b'/' | b'\n' => 0.015,
        0x80.. => 0.02,
        b'!'..=b'~' => 0.005,
        _ => 0.001,
    }
}

fn facts(node: &Node) -> Facts {
    match node {
        Node::Empty => Facts::exactly(empty(), true),
        Node::At(_) | Node::Around { .. } => Facts::exactly(empty(), false),
        Node::Byte(class) => of_class(class),
        Node::Group(_, node) => facts(node),
        Node::Concat(nodes) => of_concat(nodes),
        Node::Alternation(nodes) => of_alternation(nodes),
        Node::Repeat { min, max, node, .. } => of_repeat(facts(node), *min, *max),
    }
}

fn of_class(class: &Class) -> Facts {
    let lower = Class::by(|byte| {
        !byte.is_ascii_uppercase() && (class.contains(byte) || class.contains(byte.to_ascii_uppercase()))
    });
    if lower.count() > CLASS_BYTES_MAX {
        return Facts::nothing();
    }
    Facts::exactly(lower.bytes().map(|byte| vec![byte]).collect(), class.folded() == *class)
}

fn of_concat(nodes: &[Node]) -> Facts {
    let mut whole = Facts::exactly(empty(), true);
    for node in nodes {
        whole = joined(whole, facts(node));
    }
    whole
}

/// What is known of a string of the first kind with one of the second behind it.
fn joined(first: Facts, second: Facts) -> Facts {
    let exact = match (&first.exact, &second.exact) {
        (Some(first), Some(second)) => product(first, second),
        _ => None,
    };
    let bare = first.bare && second.bare && exact.is_some();
    let mut inner = None;
    for set in
        [first.inner.as_ref(), second.inner.as_ref(), Some(&first.suffix), Some(&second.prefix)].into_iter().flatten()
    {
        better(&mut inner, set);
    }
    if exact.is_none()
        && let Some(across) = product(&first.suffix, &second.prefix)
    {
        better(&mut inner, &across);
    }
    let prefix = match &first.exact {
        Some(exact) => product(exact, &second.prefix).unwrap_or(first.prefix),
        None => first.prefix,
    };
    let suffix = match &second.exact {
        Some(exact) => product(&first.suffix, exact).unwrap_or(second.suffix),
        None => second.suffix,
    };
    Facts { exact, prefix, suffix, inner, bare }
}

fn of_alternation(nodes: &[Node]) -> Facts {
    let mut exact = Some(Set::new());
    let (mut prefix, mut suffix) = (Some(Set::new()), Some(Set::new()));
    let mut inner = Some(Set::new());
    let mut bare = true;
    for node in nodes {
        let facts = facts(node);
        bare &= facts.bare;
        inner = united(inner, facts.best());
        exact = united(exact, facts.exact);
        prefix = united(prefix, Some(facts.prefix));
        suffix = united(suffix, Some(facts.suffix));
    }
    bare &= exact.is_some();
    Facts { exact, prefix: prefix.unwrap_or_else(empty), suffix: suffix.unwrap_or_else(empty), inner, bare }
}

fn of_repeat(once: Facts, min: u32, max: Option<u32>) -> Facts {
    if (min, max) == (1, Some(1)) {
        return once;
    }
    if min == 0 {
        return match (once.exact, max) {
            (Some(exact), Some(1)) => match united(Some(exact), Some(empty())) {
                Some(set) => Facts::exactly(set, once.bare),
                None => Facts::nothing(),
            },
            _ => Facts::nothing(),
        };
    }
    let Some(exact) = once.exact else { return once };
    let mut all = exact.clone();
    let mut times = 1;
    while times < min
        && let Some(more) = product(&all, &exact)
    {
        all = more;
        times += 1;
    }
    if times == min && max == Some(min) {
        return Facts::exactly(all, once.bare);
    }
    Facts { exact: None, prefix: all.clone(), suffix: all, inner: None, bare: false }
}

/// Each of the first with each of the second behind it; `None` where that is too much.
fn product(first: &Set, second: &Set) -> Option<Set> {
    if first.len().saturating_mul(second.len()) > PRODUCT_MAX.max(first.len()).max(second.len()) {
        return None;
    }
    let mut set = Set::new();
    for first in first {
        for second in second {
            let both = [first.as_slice(), second].concat();
            if both.len() > LITERAL_BYTES_MAX {
                return None;
            }
            set.push(both);
        }
    }
    Some(set)
}

fn united(first: Option<Set>, second: Option<Set>) -> Option<Set> {
    let (mut first, second) = (first?, second?);
    first.extend(second);
    first.sort_unstable();
    first.dedup();
    if first.len() > UNION_MAX { None } else { Some(first) }
}

/// Without those that contain another one: whoever finds the longer has found the shorter.
fn minimal(set: &Set) -> Set {
    let all: HashSet<&[u8]> = set.iter().map(Vec::as_slice).collect();
    let contains_another =
        |literal: &[u8]| (1..literal.len()).any(|len| literal.windows(len).any(|part| all.contains(part)));
    let mut kept: Set = set.iter().filter(|literal| !contains_another(literal)).cloned().collect();
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// Sets of bytes of which each match has at least one of each, the rarest first.
fn byte_sets(node: &Node) -> Vec<Class> {
    let mut sets = match node {
        Node::Empty | Node::At(_) | Node::Around { .. } | Node::Repeat { min: 0, .. } => Vec::new(),
        Node::Byte(class) => vec![*class],
        Node::Group(_, node) | Node::Repeat { node, .. } => byte_sets(node),
        Node::Concat(nodes) => nodes.iter().flat_map(byte_sets).collect(),
        Node::Alternation(nodes) => {
            let mut whole = Class::default();
            for node in nodes {
                match byte_sets(node).first() {
                    Some(rarest) => whole.unite(rarest),
                    None => return Vec::new(),
                }
            }
            vec![whole]
        }
    };
    sets.retain(|set| weight(set) < 0.5);
    sets.sort_by(|a, b| weight(a).total_cmp(&weight(b)));
    sets.dedup();
    sets.truncate(BYTE_SETS_MAX);
    sets
}

fn weight(set: &Class) -> f64 {
    set.bytes().map(|byte| frequency(byte.to_ascii_lowercase())).sum()
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn found(pattern: &str) -> (Vec<String>, bool) {
        let required = required(&parse(pattern.as_bytes()).unwrap());
        let literals = required.literals.unwrap_or_default();
        (literals.iter().map(|literal| String::from_utf8_lossy(literal).into_owned()).collect(), required.is_all)
    }

    fn owned(literals: &[&str]) -> Vec<String> {
        literals.iter().map(|literal| (*literal).to_owned()).collect()
    }

    #[test]
    fn literals_of_alternatives_are_taken_together() {
        assert_eq!(found("(?i)ignore previous|jailbreak"), (owned(&["ignore previous", "jailbreak"]), true));
        assert_eq!(found("union.*?select.*?from"), (owned(&["select"]), false));
        assert_eq!(found(r"(?i)\b(?:sleep|benchmark)\s*\("), (owned(&["benchmark", "sleep"]), false));
    }

    #[test]
    fn the_whole_is_claimed_only_where_case_and_place_do_not_matter() {
        assert_eq!(found("[\\n\\r]"), (owned(&["\n", "\r"]), true));
        assert_eq!(found("abc"), (owned(&["abc"]), false));
        assert_eq!(found("(?i)^abc"), (owned(&["abc"]), false));
        assert_eq!(found("暴力|(?i:bomb)"), (owned(&["bomb", "暴力"]), true));
        assert_eq!(found("(?i)ab{2}c?"), (owned(&["abb"]), true));
    }

    #[test]
    fn nothing_is_said_where_nothing_holds() {
        for pattern in ["", "a?", ".", "a|.*", "(?:abc|)", "^$", "[^a]+"] {
            assert_eq!(found(pattern), (Vec::new(), false), "{pattern}");
        }
    }

    #[test]
    fn bytes_that_must_be_there_are_found() {
        let sets = required(&parse(br"[\s/]on[a-z]+\s*=").unwrap()).bytes;
        assert_eq!(sets.first(), Some(&Class::of(b'=')));
        assert!(required(&parse(b"a?").unwrap()).bytes.is_empty());
    }
}
