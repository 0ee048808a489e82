//! Which request fields an answer was chosen by, and whether another request has the same values (RFC 9111 §4.1).
//!
//! Values are compared in one normal form. Two requests that mean the same may differ in it, which costs a fetch; two
//! that mean different things never agree, as far as the syntax of a field can be known.

use super::answer::VaryValues;
use super::fields::members;
use crate::http::head::FieldRef;
use crate::http::{FieldId, RequestHead, ResponseHead};

/// What the Vary fields of a response say (RFC 9110 §12.5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vary {
    /// It was chosen by nothing but the URI.
    Nothing,
    /// By more than fields: no other request gets it.
    Star,
    /// By these fields: lower-case names, sorted, each once.
    Names(Vec<Box<str>>),
}

impl Vary {
    /// All lines and members count. A member that is no field name counts as `*`: nobody knows what it stands for.
    pub fn of(response: &ResponseHead) -> Self {
        let mut names: Vec<Box<str>> = Vec::new();
        for line in response.fields().filter(|f| f.id == FieldId::Vary) {
            for member in line.value.split(|b| *b == b',').map(crate::http::syntax::trim).filter(|m| !m.is_empty()) {
                // `*` is a token too.
                match std::str::from_utf8(member) {
                    Ok(name) if name != "*" && crate::http::syntax::is_token(member) => {
                        names.push(name.to_ascii_lowercase().into());
                    }
                    _ => return Self::Star,
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        if names.is_empty() { Self::Nothing } else { Self::Names(names) }
    }
}

/// Length of the value of a field that is absent; no present one is so long.
const ABSENT: u32 = u32::MAX;

/// The values of these fields in a request, in the order of the names: each its length (32 bits, little-endian) and the
/// normal form; an absent field differs from an empty one.
pub fn values(names: &[Box<str>], request: &RequestHead) -> Box<[u8]> {
    let mut out = Vec::new();
    write_values(&mut out, names, request);
    out.into()
}

/// As [`values`], appended to `out`.
pub fn write_values(out: &mut Vec<u8>, names: &[Box<str>], request: &RequestHead) {
    for name in names {
        let at = out.len();
        out.extend_from_slice(&ABSENT.to_le_bytes());
        let present = normalise(name, request, &mut |piece, fold| match fold {
            true => out.extend(piece.iter().map(u8::to_ascii_lowercase)),
            false => out.extend_from_slice(piece),
        });
        if present {
            let length = u32::try_from(out.len() - at - size_of::<u32>()).unwrap_or(ABSENT - 1);
            if let Some(prefix) = out.get_mut(at..at + size_of::<u32>()) {
                prefix.copy_from_slice(&length.to_le_bytes());
            }
        }
    }
}

/// Whether a request has the same values. Allocates nothing.
pub fn matches(stored: &VaryValues, request: &RequestHead) -> bool {
    let mut rest: &[u8] = &stored.values;
    for name in &stored.names {
        let Some((prefix, behind)) = rest.split_first_chunk() else { return false };
        let length = u32::from_le_bytes(*prefix);
        if length == ABSENT {
            rest = behind;
            if normalise(name, request, &mut |_, _| {}) {
                return false;
            }
            continue;
        }
        let Some((value, behind)) = behind.split_at_checked(length as usize) else { return false };
        rest = behind;
        let mut left = Some(value);
        let present = normalise(name, request, &mut |piece, fold| {
            left = left.and_then(|left| {
                let (front, left) = left.split_at_checked(piece.len())?;
                let equal = if fold {
                    piece.iter().map(u8::to_ascii_lowercase).eq(front.iter().copied())
                } else {
                    piece == front
                };
                equal.then_some(left)
            });
        });
        if !present || left != Some(&[]) {
            return false;
        }
    }
    rest.is_empty()
}

/// The names of both lists, sorted, each once.
pub fn union(a: &[Box<str>], b: &[Box<str>]) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = a.iter().chain(b).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// How much is known of a field's syntax.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One value: commas and white space are part of it.
    Single,
    /// Taken for a list: white space around its members does not count.
    List,
    /// A list whose members begin with a name in any case, parameters behind it (RFC 9110 §12.5).
    Negotiation,
}

fn form_of(id: FieldId) -> Form {
    use FieldId as F;
    match id {
        F::Accept | F::AcceptEncoding | F::AcceptLanguage => Form::Negotiation,
        F::Authorization | F::ProxyAuthorization | F::Cookie | F::Host | F::Referer | F::UserAgent | F::XApiKey => {
            Form::Single
        }
        _ => Form::List,
    }
}

/// Hands the normal form of a field's combined lines to `write`, piece by piece, each with whether its letters are
/// folded to lower case. `false` = the request has no such field.
fn normalise(name: &str, request: &RequestHead, write: &mut impl FnMut(&[u8], bool)) -> bool {
    let id = FieldId::of(name.as_bytes());
    let is_meant = |field: &FieldRef<'_>| {
        field.id == id && (id != FieldId::Other || field.name.eq_ignore_ascii_case(name.as_bytes()))
    };
    let (mut present, form) = (false, form_of(id));
    let mut first = true;
    for line in request.fields().filter(is_meant) {
        if form == Form::Single {
            if present {
                write(b", ", false);
            }
            write(line.value, false);
            present = true;
            continue;
        }
        present = true;
        for member in members(line.value, b',') {
            if member.is_empty() && form == Form::Negotiation {
                continue;
            }
            if !std::mem::take(&mut first) {
                write(b",", false);
            }
            match form {
                Form::Negotiation => write_member(member, write),
                _ => write(member, false),
            }
        }
    }
    present
}

/// A member of a negotiation field: its name folded, its parameters without white space around `;`.
fn write_member(member: &[u8], write: &mut impl FnMut(&[u8], bool)) {
    for (at, part) in members(member, b';').enumerate() {
        if at > 0 {
            write(b";", false);
        }
        write(part, at == 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fields::testing::{request, response};
    use super::*;

    fn names(list: &[&str]) -> Vec<Box<str>> {
        list.iter().map(|name| Box::from(*name)).collect()
    }

    fn stored(list: &[&str], head: &RequestHead) -> VaryValues {
        let names = names(list);
        VaryValues { values: values(&names, head), names: names.into() }
    }

    #[test]
    fn all_lines_and_members_of_vary_count() {
        let rows: &[(&str, Vary)] = &[
            ("", Vary::Nothing),
            ("Vary:\r\nVary: ,\r\n", Vary::Nothing),
            ("Vary: *\r\n", Vary::Star),
            ("Vary: Accept, *\r\n", Vary::Star),
            ("Vary: Accept\r\nVary: a b\r\n", Vary::Star),
            ("Vary: Cookie ,accept\r\nvary: ACCEPT,, Foo\r\n", Vary::Names(names(&["accept", "cookie", "foo"]))),
        ];
        for (lines, vary) in rows {
            assert_eq!(Vary::of(&response(200, lines)), *vary, "{lines}");
        }
    }

    #[test]
    fn values_agree_where_they_mean_the_same() {
        // names; lines of the request that was stored; lines of the one that comes; whether it matches
        let rows: &[(&[&str], &str, &str, bool)] = &[
            (&["foo"], "Foo: 1\r\n", "foo: 1\r\n", true),
            (&["foo"], "Foo: 1\r\n", "Foo: 2\r\n", false),
            (&["foo"], "Foo: 1\r\n", "Foo: 12\r\n", false),
            (&["foo"], "Foo: 12\r\n", "Foo: 1\r\n", false),
            (&["foo"], "Foo: a\r\n", "Foo: A\r\n", false),
            (&["foo"], "", "", true),
            (&["foo"], "", "Foo:\r\n", false),
            (&["foo"], "Foo:\r\n", "", false),
            (&["foo"], "Foo:\r\n", "Foo:\r\n", true),
            (&["foo"], "Foo: 1, 2\r\n", "Foo: 1\r\nFoo: 2\r\n", true),
            (&["foo"], "Foo: 1,2\r\n", "Foo: 1 ,\t2\r\n", true),
            (&["foo"], "Foo: 1,2\r\n", "Foo: 2,1\r\n", false),
            (&["foo"], "Foo: \"a, b\"\r\n", "Foo: \"a,b\"\r\n", false),
            (&["bar", "foo"], "Bar: 1\r\nFoo: 2\r\n", "Foo: 2\r\nBar: 1\r\n", true),
            (&["bar", "foo"], "Bar: 1\r\nFoo: 2\r\n", "Foo: 1\r\nBar: 2\r\n", false),
            (&["bar", "foo"], "Bar: 1\r\n", "Foo: 1\r\n", false),
            (&["accept-encoding"], "Accept-Encoding: gzip, br\r\n", "accept-encoding: GZIP,BR\r\n", true),
            (&["accept-encoding"], "Accept-Encoding: gzip;q=0.5\r\n", "Accept-Encoding: gzip ; q=0.5,\r\n", true),
            (&["accept-encoding"], "Accept-Encoding: gzip;q=0.5\r\n", "Accept-Encoding: gzip;q=0.6\r\n", false),
            (
                &["accept-encoding"],
                "Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n",
                "Accept-Encoding: gzip\r\n",
                false,
            ),
            (&["accept-encoding"], "Accept-Encoding:\r\n", "", false),
            (&["accept-language"], "Accept-Language: de-DE, en\r\n", "Accept-Language: de-de,en\r\n", true),
            (&["accept"], "Accept: text/HTML;a=\"B, c\"\r\n", "Accept: text/html; a=\"B, c\"\r\n", true),
            (&["accept"], "Accept: text/html;a=\"B\"\r\n", "Accept: text/html;a=\"b\"\r\n", false),
            (&["user-agent"], "User-Agent: a (b, c)\r\n", "User-Agent: a (b,c)\r\n", false),
            (&["user-agent"], "User-Agent: a (b, c)\r\n", "User-Agent: a (b, c)\r\n", true),
        ];
        for (list, before, now, same) in rows {
            assert_eq!(matches(&stored(list, &request("GET", before)), &request("GET", now)), *same, "{before}{now}");
        }
    }

    #[test]
    fn damaged_values_match_nothing() {
        let head = request("GET", "Foo: 1\r\n");
        let good = stored(&["foo"], &head);
        for end in 0..good.values.len() {
            let cut = VaryValues { names: good.names.clone(), values: good.values[..end].into() };
            assert!(!matches(&cut, &head));
        }
    }

    #[test]
    fn lists_of_names_unite() {
        assert_eq!(union(&names(&["b", "d"]), &names(&["a", "b"])), names(&["a", "b", "d"]));
    }

    proptest! {
        #[test]
        fn matching_is_equality_of_values(
            a in "[aA\", ;=q\\\\]{0,12}", b in "[aA\", ;=q\\\\]{0,12}", name in "(foo|accept|user-agent)"
        ) {
            let head = |value: &str| request("GET", &format!("{name}: {value}\r\n"));
            let (a, b) = (head(&a), head(&b));
            let (one, other) = (stored(&[&name], &a), stored(&[&name], &b));
            prop_assert!(matches(&one, &a) && matches(&other, &b));
            prop_assert_eq!(matches(&one, &b), one == other);
        }
    }
}
