//! Request targets and authorities (RFC 9112 §3.2, RFC 3986 §3.2).
//!
//! Only splits and checks: nothing is decoded or normalised, so that the gateway routes by the bytes that it forwards.

use super::Reject;
use crate::http::{FieldId, Method, RequestHead};

/// The parts of a request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetParts<'a> {
    /// `host[:port]` of an absolute-form target.
    pub authority: Option<&'a [u8]>,
    /// Starts with `/`, or is `*`.
    pub path: &'a [u8],
    /// What stands behind the first `?`.
    pub query: Option<&'a [u8]>,
}

/// Splits the target of a request that `request_framing` accepted; of any other the path may be anything.
pub fn target_parts(head: &RequestHead) -> TargetParts<'_> {
    let target = head.target();
    if target.first() == Some(&b'/') {
        return split_query(None, target);
    }
    let Some((_, rest)) = split_scheme(target) else { return split_query(None, target) };
    let authority_end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let mut parts = split_query(Some(authority), path);
    if parts.path.is_empty() {
        // RFC 9112 §3.2.4: OPTIONS for a whole server comes through a proxy as an absolute form without path.
        let whole_server = head.method == Method::Options && parts.query.is_none();
        parts.path = if whole_server { b"*" } else { b"/" };
    }
    parts
}

/// The authority a request is for: that of an absolute-form target, else the Host field; empty when an HTTP/1.0
/// request names none.
pub fn authority(head: &RequestHead) -> &[u8] {
    if head.target().first() != Some(&b'/')
        && let Some(authority) = target_parts(head).authority
    {
        return authority;
    }
    head.find(FieldId::Host).unwrap_or_default()
}

/// Whether the target has a form that its method allows (RFC 9112 §3.2).
///
/// Characters that RFC 3986 does not allow but browsers send (`|`, `^`, `{`, …) pass: nothing here decodes them.
///
/// # Errors
/// Named by what is wrong with the target.
pub(super) fn check_target(head: &RequestHead) -> Result<(), Reject> {
    let target = head.target();
    if head.method == Method::Connect {
        return Err(Reject::ConnectRefused);
    }
    if memchr::memchr(b'#', target).is_some() {
        return Err(Reject::TargetFragment);
    }
    match target {
        [b'/', ..] => Ok(()),
        b"*" if head.method == Method::Options => Ok(()),
        _ => {
            let (scheme, _) = split_scheme(target).ok_or(Reject::BadTarget)?;
            let authority = target_parts(head).authority.unwrap_or_default();
            if authority.contains(&b'@') {
                return Err(Reject::TargetUserinfo);
            }
            if !is_authority(authority) {
                return Err(Reject::BadTarget);
            }
            match head.find(FieldId::Host) {
                Some(host) if !same_authority(scheme, authority, host) => Err(Reject::HostDisagrees),
                _ => Ok(()),
            }
        }
    }
}

/// Whether the text is `host[:port]` as this gateway takes it.
///
/// Stricter than RFC 3986: of the registered name only letters, digits, `-`, `.`, `_` and `~` are taken, because no
/// name in DNS holds others and readers differ in what they make of them; of the literals only IPv6 without zone.
pub fn is_authority(text: &[u8]) -> bool {
    let (host, port) = split_port(text);
    if !port.is_none_or(is_port) {
        return false;
    }
    match host {
        [b'[', inner @ .., b']'] => {
            std::str::from_utf8(inner).is_ok_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
        }
        [] => false,
        name => name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')),
    }
}

/// Host and port of an authority; the port is what stands behind the colon, possibly nothing.
pub fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    match authority.iter().rposition(|b| *b == b':') {
        // A colon inside of brackets belongs to the address.
        Some(colon) if !authority.get(colon..).unwrap_or_default().contains(&b']') => {
            let (host, port) = authority.split_at(colon);
            (host, port.get(1..))
        }
        _ => (authority, None),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

fn split_scheme(target: &[u8]) -> Option<(Scheme, &[u8])> {
    for (scheme, prefix) in [(Scheme::Http, &b"http://"[..]), (Scheme::Https, &b"https://"[..])] {
        if let Some((start, rest)) = target.split_at_checked(prefix.len())
            && start.eq_ignore_ascii_case(prefix)
        {
            return Some((scheme, rest));
        }
    }
    None
}

fn split_query<'a>(authority: Option<&'a [u8]>, path_and_query: &'a [u8]) -> TargetParts<'a> {
    match memchr::memchr(b'?', path_and_query) {
        Some(mark) => {
            let (path, query) = path_and_query.split_at(mark);
            TargetParts { authority, path, query: query.get(1..) }
        }
        None => TargetParts { authority, path: path_and_query, query: None },
    }
}

/// RFC 3986 §3.2.3: a port may be empty; ours has at most 5 digits and fits 16 bits.
fn is_port(port: &[u8]) -> bool {
    port.len() <= 5
        && port.iter().all(u8::is_ascii_digit)
        && port.iter().fold(0u32, |n, d| n * 10 + u32::from(d - b'0')) <= 65_535
}

fn same_authority(scheme: Scheme, one: &[u8], two: &[u8]) -> bool {
    let normal = |authority| {
        let (host, port) = split_port(authority);
        let default: &[u8] = if scheme == Scheme::Http { b"80" } else { b"443" };
        (host, port.filter(|p| !p.is_empty()).unwrap_or(default))
    };
    let ((host_one, port_one), (host_two, port_two)) = (normal(one), normal(two));
    host_one.eq_ignore_ascii_case(host_two) && port_one == port_two
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::testing::request_head;

    fn head(line: &str) -> RequestHead {
        request_head(&format!("{line} HTTP/1.1\r\nHost: from.host\r\n\r\n"))
    }

    #[test]
    fn targets_are_split_without_change() {
        let parts = |line| {
            let head = head(line);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let parts = target_parts(&head);
            (parts.authority.map(text), text(parts.path), parts.query.map(text), text(authority(&head)))
        };
        let of = |a: Option<&str>, p: &str, q: Option<&str>, e: &str| {
            (a.map(str::to_owned), p.to_owned(), q.map(str::to_owned), e.to_owned())
        };
        assert_eq!(parts("GET /a/b"), of(None, "/a/b", None, "from.host"));
        assert_eq!(parts("GET /a%2f?b?c"), of(None, "/a%2f", Some("b?c"), "from.host"));
        assert_eq!(parts("GET /?"), of(None, "/", Some(""), "from.host"));
        assert_eq!(parts("OPTIONS *"), of(None, "*", None, "from.host"));
        assert_eq!(parts("GET http://A:1/x?y"), of(Some("A:1"), "/x", Some("y"), "A:1"));
        assert_eq!(parts("GET https://a"), of(Some("a"), "/", None, "a"));
        assert_eq!(parts("GET http://a?y/z"), of(Some("a"), "/", Some("y/z"), "a"));
        assert_eq!(parts("OPTIONS http://a"), of(Some("a"), "*", None, "a"));
        assert_eq!(parts("OPTIONS http://a?"), of(Some("a"), "/", Some(""), "a"));
    }

    #[test]
    fn ports_are_split_off() {
        assert_eq!(split_port(b"a:80"), (&b"a"[..], Some(&b"80"[..])));
        assert_eq!(split_port(b"a:"), (&b"a"[..], Some(&b""[..])));
        assert_eq!(split_port(b"[::1]"), (&b"[::1]"[..], None));
        assert_eq!(split_port(b"[::1]:8"), (&b"[::1]"[..], Some(&b"8"[..])));
    }
}
