//! What of a query becomes part of a key: all of it, nothing, or its parameters by name and in order.
//!
//! Pure. Values are never decoded: two spellings of a value may mean two things to an origin. Names are compared after
//! percent-decoding and written in one spelling (RFC 3986 §6.2.2), so that nobody gets past a rule by writing `%61` for
//! `a`; no two queries that an origin may tell apart are made one unless the rule drops what differs.

use super::policy::QueryKey;

/// Parameters by which APIs know their callers (RFC 6750 §2.3; `key` is Google's).
const CALLER_NAMES: [&str; 5] = ["access_token", "api-key", "api_key", "key", "subscription-key"];

/// Appends what `how` takes of a query (without its `?`).
///
/// Parameters stand between `&`; in the sorted forms empty ones are dropped, the order is that of the decoded names,
/// and equal names keep the order they came in. The whole query is copied as it is.
pub fn write(out: &mut Vec<u8>, query: &[u8], how: &QueryKey) {
    match how {
        QueryKey::Whole => out.extend_from_slice(query),
        QueryKey::None => {}
        QueryKey::Sorted => write_sorted(out, query, |_| true),
        QueryKey::Only(names) => write_sorted(out, query, |name| is_among(name, names)),
        QueryKey::Except(names) => write_sorted(out, query, |name| !is_among(name, names)),
    }
}

/// Whether a query (without its `?`) has a parameter of one of these names, compared after percent-decoding.
pub fn has_any(query: &[u8], names: &[Box<str>]) -> bool {
    !names.is_empty() && parameters(query).any(|(name, _)| is_among(name, names))
}

/// Parameters by which a caller is known and which `how` leaves out without naming them: name, and the rest from the
/// `=` on. Who drops one by its name in [`QueryKey::Except`] means it.
pub fn callers<'a>(query: &'a [u8], how: &QueryKey) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let kept: Option<&[Box<str>]> = match how {
        QueryKey::Whole | QueryKey::Sorted | QueryKey::Except(_) => None,
        QueryKey::None => Some(&[]),
        QueryKey::Only(names) => Some(names),
    };
    let query = if kept.is_some() { query } else { b"" };
    parameters(query).filter(move |(name, _)| {
        CALLER_NAMES.iter().any(|n| decode(name).eq(n.bytes())) && !is_among(name, kept.unwrap_or_default())
    })
}

fn write_sorted(out: &mut Vec<u8>, query: &[u8], is_kept: impl Fn(&[u8]) -> bool) {
    let mut kept: Vec<_> = parameters(query).filter(|(name, _)| is_kept(name)).collect();
    kept.sort_by(|(one, _), (two, _)| decode(one).cmp(decode(two)));
    for (index, (name, rest)) in kept.into_iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        write_name(out, name);
        out.extend_from_slice(rest);
    }
}

/// Each parameter that is not empty: its name, and the rest of it from the `=` on.
fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query
        .split(|b| *b == b'&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_at(memchr::memchr(b'=', part).unwrap_or(part.len())))
}

fn is_among(name: &[u8], names: &[Box<str>]) -> bool {
    names.iter().any(|n| decode(name).eq(n.bytes()))
}

/// One spelling of a name: escapes of unreserved bytes are undone, the digits of all others are in upper case.
fn write_name(out: &mut Vec<u8>, name: &[u8]) {
    // A `%` that begins no escape could begin one with what is decoded behind it: `%%62a` is not `%ba`.
    if memchr::memchr_iter(b'%', name).any(|at| escape(b'%', name.get(at + 1..).unwrap_or_default()).is_none()) {
        return out.extend_from_slice(name);
    }
    let mut rest = name;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match escape(*byte, behind) {
            Some(decoded) => {
                if decoded.is_ascii_alphanumeric() || matches!(decoded, b'-' | b'.' | b'_' | b'~') {
                    out.push(decoded);
                } else {
                    out.push(b'%');
                    out.extend(behind.iter().take(2).map(u8::to_ascii_uppercase));
                }
                rest = behind.get(2..).unwrap_or_default();
            }
            None => out.push(*byte),
        }
    }
}

/// The bytes of a percent-encoded text; what is no escape stays as it is.
fn decode(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        match escape(*byte, behind) {
            Some(decoded) => {
                rest = behind.get(2..).unwrap_or_default();
                Some(decoded)
            }
            None => Some(*byte),
        }
    })
}

fn escape(byte: u8, behind: &[u8]) -> Option<u8> {
    if byte != b'%' {
        return None;
    }
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(behind.first()?)? * 16 + digit(behind.get(1)?)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(query: &str, how: &QueryKey) -> String {
        let mut out = Vec::new();
        write(&mut out, query.as_bytes(), how);
        String::from_utf8(out).unwrap()
    }

    fn names(names: &[&str]) -> Box<[Box<str>]> {
        names.iter().map(|n| Box::from(*n)).collect()
    }

    #[test]
    fn whole_and_none_do_not_look_inside() {
        assert_eq!(of("b=1&&a=%61", &QueryKey::Whole), "b=1&&a=%61");
        assert_eq!(of("b=1", &QueryKey::None), "");
    }

    #[test]
    fn sorted_forms_go_by_decoded_names() {
        for (query, expected) in [
            ("b=1&a=2", "a=2&b=1"),
            ("&&b&&a&", "a&b"),
            ("b=2&a=1&b=1", "a=1&b=2&b=1"),
            ("b=1&%61=%61", "a=%61&b=1"),
            ("a%3db=1&a=b=1", "a=b=1&a%3Db=1"),
            ("a%26b=1&%zz=1&%4=%", "%4=%&%zz=1&a%26b=1"),
            ("=x&a", "=x&a"),
            ("%%62a&%ba", "%%62a&%BA"),
            ("a+b=1&a%2bb=2", "a+b=1&a%2Bb=2"),
            ("", ""),
        ] {
            assert_eq!(of(query, &QueryKey::Sorted), expected, "{query}");
        }
    }

    #[test]
    fn parameters_are_chosen_by_name() {
        let query = "utm_source=x&id=5&%75tm_source=y&id=6&page";
        assert_eq!(of(query, &QueryKey::Only(names(&["id", "page"]))), "id=5&id=6&page");
        assert_eq!(of(query, &QueryKey::Except(names(&["utm_source"]))), "id=5&id=6&page");
        assert_eq!(of(query, &QueryKey::Only(names(&[]))), "");
        assert_eq!(of("ID=1", &QueryKey::Only(names(&["id"]))), "");
        assert!(has_any(b"a&%6eo%2Dcache=1", &names(&["no-cache"])));
        assert!(!has_any(b"a=no-cache", &names(&["no-cache"])));
    }

    #[test]
    fn callers_that_a_rule_leaves_out_are_found() {
        let found = |how: QueryKey| {
            callers(b"key=1&alt=sse&access%5Ftoken=2&keys=3", &how).map(|(_, value)| value.to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(found(QueryKey::None), [b"=1", b"=2"]);
        assert_eq!(found(QueryKey::Only(names(&["alt"]))), [b"=1", b"=2"]);
        assert_eq!(found(QueryKey::Only(names(&["alt", "key"]))), [b"=2"]);
        for how in [QueryKey::Whole, QueryKey::Sorted, QueryKey::Except(names(&["key"]))] {
            assert!(found(how).is_empty());
        }
    }

    proptest! {
        #[test]
        fn sorting_is_stable_and_done_once(query in "[a-c=&%+2367dD]{0,24}") {
            let once = of(&query, &QueryKey::Sorted);
            prop_assert_eq!(of(&once, &QueryKey::Sorted), once.clone());
            prop_assert_eq!(of(&once, &QueryKey::Except(names(&[]))), once);
        }

        #[test]
        fn one_spelling_has_one_meaning(one in "[%2367abAB]{0,8}", two in "[%2367abAB]{0,8}") {
            let bytes = |text: &str| decode(text.as_bytes()).collect::<Vec<_>>();
            let spelled = |text: &str| of(text, &QueryKey::Sorted);
            prop_assert_eq!(bytes(&spelled(&one)), bytes(&one));
            prop_assert!(spelled(&one) != spelled(&two) || bytes(&one) == bytes(&two));
        }

        #[test]
        fn values_and_what_separates_them_are_never_confused(
            one in prop::collection::vec("[ab=&%+]{0,3}", 1..4), two in prop::collection::vec("[ab=&%+]{0,3}", 1..4),
        ) {
            // Written by a careful client: everything escaped, names in order.
            let query = |values: &[String]| {
                let encode = |text: &String| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
                values.iter().enumerate().map(|(n, v)| format!("n{n}={}", encode(v))).collect::<Vec<_>>().join("&")
            };
            let same = of(&query(&one), &QueryKey::Sorted) == of(&query(&two), &QueryKey::Sorted);
            prop_assert_eq!(same, one == two);
        }
    }
}
