//! The framing rules of HTTP/1 (RFC 9112 §6, §9, §3.2), all of them in this one file.
//!
//! Says from a head alone how long its body is, whether the connection lives on, and refuses whatever two readers
//! could frame differently. Whoever forwards a message frames it anew from these verdicts.

use super::Reject;
use super::target;
use crate::http::{FieldId, FieldRef, Method, RequestHead, ResponseHead, Version, syntax};

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body.
    None,
    /// Content-Length, possibly 0.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
    /// Until the connection ends; responses only.
    UntilClose,
}

impl BodyLength {
    /// Whether not a single body byte can come.
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// What a request head says about the bytes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFraming {
    /// Never [`BodyLength::UntilClose`].
    pub body: BodyLength,
    /// Whether the client wants the connection to live on after the response (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub expect_continue: bool,
    /// Whether the client asks for another protocol: `Connection: upgrade` and Upgrade, HTTP/1.1, no body.
    pub upgrade: bool,
}

/// What a response head says about the bytes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFraming {
    pub body: BodyLength,
    /// Whether the connection can carry another exchange after the body.
    pub keep_alive: bool,
}

/// The framing of a request, after its Host and target were found right.
///
/// # Errors
/// Anything but one final `chunked`, Content-Length beside it, a length that is not one plain number, Host missing,
/// doubled, malformed or against the target, a target whose form the method does not allow, CONNECT.
pub fn request_framing(head: &RequestHead) -> Result<RequestFraming, Reject> {
    let seen = Seen::of(head.fields())?;
    check_host(head, seen.host)?;
    target::check_target(head)?;
    let body = seen.body(head.version)?.unwrap_or(BodyLength::None);
    let modern = head.version == Version::Http11;
    Ok(RequestFraming {
        body,
        keep_alive: seen.keep_alive(head.version),
        expect_continue: seen.expect_continue && modern && !body.is_empty(),
        upgrade: seen.connection_upgrade && seen.upgrade && modern && body.is_empty(),
    })
}

/// The framing of a response.
///
/// # Errors
/// As of a request. Ambiguity is refused before the rules for responses without body apply.
pub fn response_framing(head: &ResponseHead, request_was_head: bool) -> Result<ResponseFraming, Reject> {
    let seen = Seen::of(head.fields())?;
    let announced = seen.body(head.version)?;
    let keep_alive = seen.keep_alive(head.version);
    if request_was_head || head.status == 304 {
        return Ok(ResponseFraming { body: BodyLength::None, keep_alive });
    }
    if matches!(head.status, 100..=199 | 204) {
        // RFC 9112 §6.3: no body, whatever the fields say. Whoever announces one anyway may also send it, so that its
        // connection carries nothing else.
        let honest = announced.is_none_or(BodyLength::is_empty);
        return Ok(ResponseFraming { body: BodyLength::None, keep_alive: keep_alive && honest });
    }
    Ok(match announced {
        Some(body) => ResponseFraming { body, keep_alive },
        None => ResponseFraming { body: BodyLength::UntilClose, keep_alive: false },
    })
}

/// The members of a Connection field, or of any list of tokens: trimmed, empty ones skipped.
pub fn connection_tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(syntax::trim).filter(|token| !token.is_empty())
}

/// What one pass over the fields found.
#[derive(Default)]
struct Seen<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: bool,
    expect_continue: bool,
}

impl<'a> Seen<'a> {
    fn of(fields: impl Iterator<Item = FieldRef<'a>>) -> Result<Self, Reject> {
        let mut seen = Self::default();
        for field in fields {
            match field.id {
                FieldId::Other => {}
                FieldId::Host if seen.host.replace(field.value).is_some() => return Err(Reject::HostDuplicate),
                FieldId::ContentLength if seen.length.replace(length(field.value)?).is_some() => {
                    return Err(Reject::LengthDuplicate);
                }
                FieldId::TransferEncoding => seen.transfer_encoding(field.value)?,
                FieldId::Connection => seen.connection(field.value),
                FieldId::Upgrade => seen.upgrade |= !field.value.is_empty(),
                FieldId::Expect => seen.expect_continue |= field.value.eq_ignore_ascii_case(b"100-continue"),
                _ => {}
            }
        }
        Ok(seen)
    }

    /// Takes one Transfer-Encoding line: over all lines there must be exactly one member, `chunked`.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Reject> {
        for coding in value.split(|b| *b == b',').map(syntax::trim) {
            let chunked = coding.eq_ignore_ascii_case(b"chunked");
            match (self.chunked, chunked) {
                (false, true) => self.chunked = true,
                (true, _) => return Err(Reject::TransferCodingNotFinal),
                (false, false) => return Err(Reject::TransferCodingUnknown),
            }
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for token in connection_tokens(value) {
            self.close |= token.eq_ignore_ascii_case(b"close");
            self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
            self.connection_upgrade |= token.eq_ignore_ascii_case(b"upgrade");
        }
    }

    /// The announced body, if there is one.
    fn body(&self, version: Version) -> Result<Option<BodyLength>, Reject> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Reject::LengthWithTransferEncoding),
            (true, None) if version == Version::Http10 => Err(Reject::TransferEncodingInHttp10),
            (true, None) => Ok(Some(BodyLength::Chunked)),
            (false, length) => Ok(length.map(BodyLength::Length)),
        }
    }

    /// RFC 9112 §9.3.
    fn keep_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

/// RFC 9112 §3.2: exactly one in HTTP/1.1, at most one in HTTP/1.0, always well formed.
fn check_host(head: &RequestHead, host: Option<&[u8]>) -> Result<(), Reject> {
    match host {
        Some(host) if target::is_authority(host) => Ok(()),
        Some(_) => Err(Reject::HostBad),
        None if head.version == Version::Http10 || head.method == Method::Connect => Ok(()),
        None => Err(Reject::HostMissing),
    }
}

/// A Content-Length: 1 to 19 digits and nothing else, so that it always fits 64 bits.
fn length(value: &[u8]) -> Result<u64, Reject> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Reject::LengthBad);
    }
    Ok(value.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}
