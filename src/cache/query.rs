//! What of a query becomes part of a key: all of it, nothing, or its parameters by name and in order.
//!
//! Pure. Values are never decoded: two spellings of a value may mean two things to an origin. Names are compared after
//! percent-decoding and written in one spelling (RFC 3986 §6.2.2), so that nobody gets past a rule by writing `%61` for
//! `a`; no two queries that an origin may tell apart are made one unless the rule drops what differs.

use super::policy::QueryKey;

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
