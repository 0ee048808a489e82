//! The Cache-Status field (RFC 9211): how the cache handled a request, told to whoever reads the response.
//!
//! Writes the value of one member; names no request, no key and no caller.

use crate::http::syntax;

/// Why a request went to the upstream (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fwd {
    /// The cache was not asked.
    Bypass,
    /// The method asks for the upstream.
    Method,
    /// Nothing is stored under the URI.
    UriMiss,
    /// Something is stored under the URI, for other request fields.
    VaryMiss,
    /// Nothing fits, for a reason that is not told apart.
    Miss,
    /// Something fresh is stored, but the request does not take it.
    Request,
    /// What is stored is stale.
    Stale,
    /// What is stored is a part only.
    Partial,
}

impl Fwd {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Bypass => b"bypass",
            Self::Method => b"method",
            Self::UriMiss => b"uri-miss",
            Self::VaryMiss => b"vary-miss",
            Self::Miss => b"miss",
            Self::Request => b"request",
            Self::Stale => b"stale",
            Self::Partial => b"partial",
        }
    }
}

/// How a request was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Answered from a fresh stored answer with so many seconds left.
    Hit { ttl_s: i64 },
    /// Answered from a stale stored answer: seconds are zero or negative; more is shown as zero.
    HitStale { ttl_s: i64 },
    /// The upstream was asked.
    Forward {
        why: Fwd,
        /// The upstream's status, where it answered: 304 for an answer that it confirmed.
        status: Option<u16>,
        stored: bool,
        /// Another request had already asked the upstream for this one.
        collapsed: bool,
        detail: Option<&'static str>,
    },
    /// The gateway answered by itself: neither from the cache nor from the upstream (`only-if-cached` and nothing stored).
    Neither { detail: &'static str },
}

/// Appends the value of the field, with `name` as the cache's name. Allocates nothing but room in `out`.
pub fn write(out: &mut Vec<u8>, name: &[u8], status: &Status) {
    write_item(out, name);
    match *status {
        Status::Hit { ttl_s } => write_hit(out, ttl_s),
        Status::HitStale { ttl_s } => write_hit(out, ttl_s.min(0)),
        Status::Forward { why, status, stored, collapsed, detail } => {
            out.extend_from_slice(b"; fwd=");
            out.extend_from_slice(why.name());
            if let Some(status) = status {
                out.extend_from_slice(b"; fwd-status=");
                out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
            }
            if stored {
                out.extend_from_slice(b"; stored");
            }
            if collapsed {
                out.extend_from_slice(b"; collapsed");
            }
            write_detail(out, detail);
        }
        Status::Neither { detail } => write_detail(out, Some(detail)),
    }
}

fn write_hit(out: &mut Vec<u8>, ttl_s: i64) {
    out.extend_from_slice(b"; hit; ttl=");
    out.extend_from_slice(itoa::Buffer::new().format(ttl_s).as_bytes());
}

fn write_detail(out: &mut Vec<u8>, detail: Option<&str>) {
    if let Some(detail) = detail {
        out.extend_from_slice(b"; detail=");
        write_item(out, detail.as_bytes());
    }
}

/// A token where the text is one, else a string (RFC 8941 §3.3.3–4); bytes that no string may hold become `?`.
fn write_item(out: &mut Vec<u8>, text: &[u8]) {
    let is_token = text.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'*')
        && text.iter().all(|b| syntax::is_token_byte(*b) || matches!(b, b':' | b'/'));
    if is_token {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0x20..=0x7e => out.push(*byte),
            _ => out.push(b'?'),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, status: Status) -> String {
        let mut out = Vec::new();
        write(&mut out, name.as_bytes(), &status);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn each_status_is_a_member_of_rfc_9211() {
        let forward = |why| Status::Forward { why, status: None, stored: false, collapsed: false, detail: None };
        assert_eq!(written("ringway", Status::Hit { ttl_s: 30 }), "ringway; hit; ttl=30");
        assert_eq!(written("ringway", Status::HitStale { ttl_s: -7 }), "ringway; hit; ttl=-7");
        assert_eq!(written("ringway", Status::HitStale { ttl_s: 7 }), "ringway; hit; ttl=0");
        assert_eq!(
            written(
                "ringway",
                Status::Forward {
                    why: Fwd::UriMiss,
                    status: Some(200),
                    stored: true,
                    collapsed: true,
                    detail: Some("min_uses")
                }
            ),
            "ringway; fwd=uri-miss; fwd-status=200; stored; collapsed; detail=min_uses"
        );
        assert_eq!(written("ringway", Status::Neither { detail: "only_if_cached" }), "ringway; detail=only_if_cached");
        for (why, name) in [
            (Fwd::Bypass, "bypass"),
            (Fwd::Method, "method"),
            (Fwd::VaryMiss, "vary-miss"),
            (Fwd::Miss, "miss"),
            (Fwd::Request, "request"),
            (Fwd::Stale, "stale"),
            (Fwd::Partial, "partial"),
        ] {
            assert_eq!(written("r", forward(why)), format!("r; fwd={name}"));
        }
    }

    #[test]
    fn a_name_that_is_no_token_is_quoted() {
        let hit = Status::Hit { ttl_s: 0 };
        assert_eq!(written("edge.example:8080/a", hit), "edge.example:8080/a; hit; ttl=0");
        assert_eq!(written("10.0.0.1", hit), "\"10.0.0.1\"; hit; ttl=0");
        assert_eq!(written("a \"b\"\\ \u{e9}", hit), "\"a \\\"b\\\"\\\\ ??\"; hit; ttl=0");
        assert_eq!(written("", hit), "\"\"; hit; ttl=0");
    }
}
