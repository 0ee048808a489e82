//! Which stored answers an unsafe request makes worthless (RFC 9111 §4.4): those of its target and of the places on the
//! same origin that its response names. A small resolver of references (RFC 3986 §5.2); what is odd is passed over.

use crate::h1::target::split_port;
use crate::http::head::FieldRef;
use crate::http::{FieldId, ResponseHead};

/// Path and query of a URI on the request's own origin.
pub type Target = (Vec<u8>, Option<Vec<u8>>);

/// What a response to an unsafe method invalidates: nothing after an error; else the target itself, first, and what
/// Location and Content-Location name on the same host and port.
///
/// `authority`, `target_path` and `query` are those of the request. Its scheme is not asked for: origins behind a
/// gateway that ends TLS name themselves by `http:`.
pub fn targets(authority: &[u8], target_path: &[u8], query: Option<&[u8]>, response: &ResponseHead) -> Vec<Target> {
    if !(200..400).contains(&response.status) {
        return Vec::new();
    }
    let mut targets = vec![(target_path.to_vec(), query.map(<[u8]>::to_vec))];
    let is_place = |f: &FieldRef<'_>| matches!(f.id, FieldId::Location | FieldId::ContentLocation);
    for place in response.fields().filter(is_place) {
        if let Some(target) = resolve(authority, target_path, query, place.value)
            && !targets.contains(&target)
        {
            targets.push(target);
        }
    }
    targets
}

/// A reference resolved against the target (RFC 3986 §5.2.2). Nothing for another origin, or what is no reference.
fn resolve(authority: &[u8], base: &[u8], base_query: Option<&[u8]>, reference: &[u8]) -> Option<Target> {
    if !reference.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let reference = split_at_byte(reference, b'#').0;
    let (scheme, rest) = split_scheme(reference)?;
    let (path_and_query, absolute) = match rest.strip_prefix(b"//") {
        Some(rest) => {
            let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
            let (theirs, path) = rest.split_at(end);
            if !is_same_authority(authority, theirs, scheme) {
                return None;
            }
            (path, true)
        }
        // `http:path` is a reference of old that readers understand differently.
        None if scheme.is_some() => return None,
        None => (rest, false),
    };
    let (path, query) = split_at_byte(path_and_query, b'?');
    let query = query.map(<[u8]>::to_vec);
    if path.is_empty() && !absolute {
        return Some((base.to_vec(), query.or_else(|| base_query.map(<[u8]>::to_vec))));
    }
    let path = match path {
        [] => b"/".to_vec(),
        [b'/', ..] => without_dot_segments(path),
        relative => {
            // RFC 3986 §5.2.3; `*` of OPTIONS is no path to stand beside.
            let folder = memchr::memrchr(b'/', base)?;
            without_dot_segments(&[base.get(..=folder)?, relative].concat())
        }
    };
    Some((path, query))
}

/// Scheme of a reference (http or https) and what follows its colon; nothing for a URI of another scheme.
fn split_scheme(reference: &[u8]) -> Option<(Option<Scheme>, &[u8])> {
    let end = reference.iter().position(|b| matches!(b, b':' | b'/' | b'?'));
    match end.map(|end| reference.split_at(end)) {
        Some((scheme, rest @ [b':', ..])) => {
            let scheme = match scheme {
                s if s.eq_ignore_ascii_case(b"http") => Scheme::Http,
                s if s.eq_ignore_ascii_case(b"https") => Scheme::Https,
                _ => return None,
            };
            Some((Some(scheme), rest.get(1..)?))
        }
        _ => Some((None, reference)),
    }
}

#[derive(Clone, Copy)]
enum Scheme {
    Http,
    Https,
}

/// Whether two authorities name one host and port. The port that the reference's scheme has anyway counts as none.
fn is_same_authority(own: &[u8], theirs: &[u8], scheme: Option<Scheme>) -> bool {
    let usual: &[u8] = match scheme {
        Some(Scheme::Http) => b"80",
        Some(Scheme::Https) => b"443",
        None => b"",
    };
    let parts = |authority| {
        let (host, port) = split_port(authority);
        (host, port.filter(|port| !port.is_empty() && *port != usual))
    };
    let ((host, port), (their_host, their_port)) = (parts(own), parts(theirs));
    !host.is_empty() && host.eq_ignore_ascii_case(their_host) && port == their_port
}

/// RFC 3986 §5.2.4, for a path that starts with `/`.
fn without_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    let mut segments = path.get(1..).unwrap_or_default().split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    out.truncate(memchr::memrchr(b'/', &out).unwrap_or(0));
                }
                // What a dot segment at the end leaves is a folder.
                if is_last {
                    out.push(b'/');
                }
            }
            segment => {
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
    }
    out
}

/// What stands before the first such byte, and what behind it.
fn split_at_byte(text: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(byte, text) {
        Some(at) => {
            let (front, behind) = text.split_at(at);
            (front, behind.get(1..))
        }
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fields::testing::response;
    use super::*;

    fn shown(targets: &[Target]) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        targets.iter().map(|(p, q)| text(p) + &q.as_ref().map_or(String::new(), |q| format!("?{}", text(q)))).collect()
    }

    fn of(authority: &str, lines: &str) -> Vec<String> {
        shown(&targets(authority.as_bytes(), b"/b/c/d;p", Some(b"q"), &response(201, lines)))
    }

    #[test]
    fn errors_and_interim_answers_invalidate_nothing() {
        for (status, count) in
            [(200, 1), (204, 1), (303, 1), (304, 1), (399, 1), (400, 0), (404, 0), (500, 0), (100, 0)]
        {
            assert_eq!(targets(b"a", b"/x", None, &response(status, "")).len(), count, "{status}");
        }
    }

    #[test]
    fn references_resolve_as_in_rfc_3986() {
        // §5.4.1 and §5.4.2, with an authority of ours.
        let rows = [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("//a/g", "/g"),
            ("//a", "/"),
            ("//a?y", "/?y"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g#s", "/b/c/g"),
            ("g?y#s", "/b/c/g?y"),
            (";x", "/b/c/;x"),
            ("", "/b/c/d;p?q"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            ("..g", "/b/c/..g"),
            ("./g/.", "/b/c/g/"),
            ("g/./h", "/b/c/g/h"),
            ("g/../h", "/b/c/h"),
            ("g?y/../x", "/b/c/g?y/../x"),
            ("/a//../b", "/a/b"),
            ("http://a/g", "/g"),
            ("HTTPS://A/g?", "/g?"),
        ];
        for (reference, target) in rows {
            let mut expected = vec!["/b/c/d;p?q".to_owned(), target.to_owned()];
            expected.dedup();
            assert_eq!(of("a", &format!("Location: {reference}\r\n")), expected, "{reference}");
        }
    }

    #[test]
    fn only_the_same_origin_is_named() {
        let rows = [
            ("a.example", "http://a.example:80/x", true),
            ("a.example", "https://A.Example:443/x", true),
            ("a.example:443", "https://a.example/x", true),
            ("a.example", "http://a.example:/x", true),
            ("a.example:8080", "http://a.example:8080/x", true),
            ("a.example:8080", "//a.example:8080/x", true),
            ("[::1]:8080", "http://[::1]:8080/x", true),
            ("a.example", "http://a.example:8080/x", false),
            ("a.example:8080", "http://a.example/x", false),
            ("a.example", "http://a.example:443/x", false),
            ("a.example", "http://b.example/x", false),
            ("a.example", "http://a.example.b/x", false),
            ("a.example", "http://u@a.example/x", false),
            ("a.example", "//b.example/x", false),
            ("a.example", "http:///x", false),
            ("a.example", "http:x", false),
            ("a.example", "ftp://a.example/x", false),
            ("a.example", "mailto:x", false),
            ("a.example", "/a b", false),
            ("a.example", "/\u{e9}", false),
            ("", "http:///x", false),
            ("", "///x", false),
        ];
        for (authority, reference, named) in rows {
            let count = of(authority, &format!("Content-Location: {reference}\r\n")).len();
            assert_eq!(count, 1 + usize::from(named), "{authority} {reference}");
        }
    }

    #[test]
    fn every_place_counts_once() {
        assert_eq!(of("a", "Location: /x\r\nContent-Location: /y\r\nlocation: /x\r\n"), ["/b/c/d;p?q", "/x", "/y"]);
        assert_eq!(shown(&targets(b"a", b"*", None, &response(200, "Location: x\r\n"))), ["*"]);
    }

    proptest! {
        #[test]
        fn what_is_found_is_a_path_without_dots(reference in "[./?#:a@h%-]{0,30}", path in "(/[a.]{0,3}){1,4}") {
            let found = targets(b"h", path.as_bytes(), None, &response(200, &format!("Location: {reference}\r\n")));
            // An empty reference leaves the target's own path as it is.
            for (target, _) in found.iter().skip(1).filter(|(target, _)| target != path.as_bytes()) {
                prop_assert_eq!(target.first(), Some(&b'/'));
                prop_assert!(target.split(|b| *b == b'/').all(|segment| segment != b"." && segment != b".."));
            }
        }
    }
}
