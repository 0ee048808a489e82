//! The framing rules of HTTP/1 (RFC 9112 §6, §9, §3.2), all of them in this one file.
//!
//! Says from a head alone how long its body is, whether the connection lives on, and refuses whatever two readers
//! could frame differently. Whoever forwards a message frames it anew from these verdicts.

use super::Reject;
pub use super::target::{TargetParts, authority, target_parts};
use super::target::{check_target, is_authority};
use crate::http::{Field, FieldId, Method, RequestHead, ResponseHead, Version, syntax};

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
    /// Whether the client asks for WebSocket: `Connection: upgrade` and exactly `Upgrade: websocket`, HTTP/1.1, no
    /// body. Any other protocol is not asked for upstream; the request is served as it is (RFC 9110 §7.8).
    pub upgrade: bool,
}

impl RequestFraming {
    /// Of a request that was refused before its framing was known: no body to wait for, and nothing may follow it.
    pub fn last() -> Self {
        Self { body: BodyLength::None, keep_alive: false, expect_continue: false, upgrade: false }
    }
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
    let seen = Seen::of(&head.bytes, &head.fields)?;
    check_host(head, seen.host)?;
    check_target(head)?;
    let body = seen.body(head.version)?.unwrap_or(BodyLength::None);
    let modern = head.version.is_modern();
    Ok(RequestFraming {
        body,
        keep_alive: seen.keep_alive(head.version),
        expect_continue: seen.expect_continue && modern && !body.is_empty(),
        upgrade: seen.asks_for_websocket() && modern && body.is_empty(),
    })
}

/// The framing of a response.
///
/// # Errors
/// As of a request. Ambiguity is refused before the rules for responses without body apply.
pub fn response_framing(head: &ResponseHead, request_was_head: bool) -> Result<ResponseFraming, Reject> {
    let seen = Seen::of(&head.bytes, &head.fields)?;
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
    /// Upgrade lines that say exactly `websocket`, and others.
    websocket: u8,
    other_upgrade: bool,
    expect_continue: bool,
}

impl<'a> Seen<'a> {
    fn of(bytes: &'a [u8], fields: &[Field]) -> Result<Self, Reject> {
        let mut seen = Self::default();
        for field in fields {
            // Resolved only where it is looked at: most fields say nothing about framing.
            let value = || field.value.of(bytes);
            match field.id {
                FieldId::Host => once(&mut seen.host, value(), Reject::HostDuplicate)?,
                FieldId::ContentLength => once(&mut seen.length, length(value())?, Reject::LengthDuplicate)?,
                FieldId::TransferEncoding => seen.transfer_encoding(value())?,
                FieldId::Connection => seen.connection(value()),
                FieldId::Upgrade => seen.upgrade(value()),
                FieldId::Expect => seen.expect_continue |= value().eq_ignore_ascii_case(b"100-continue"),
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

    /// Only WebSocket is a protocol to change to: a tunnel in h2c would pass every rule of the gateway by.
    fn upgrade(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"websocket") {
            self.websocket = self.websocket.saturating_add(1);
        } else {
            self.other_upgrade |= !value.is_empty();
        }
    }

    fn connection(&mut self, value: &[u8]) {
        for token in connection_tokens(value) {
            self.close |= token.eq_ignore_ascii_case(b"close");
            self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
            self.connection_upgrade |= token.eq_ignore_ascii_case(b"upgrade");
        }
    }

    fn asks_for_websocket(&self) -> bool {
        self.connection_upgrade && self.websocket == 1 && !self.other_upgrade
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
        !self.close && (version.is_modern() || self.keep_alive)
    }
}

/// Fills the slot, or refuses when it is filled.
fn once<T>(slot: &mut Option<T>, value: T, reject: Reject) -> Result<(), Reject> {
    if slot.replace(value).is_some() { Err(reject) } else { Ok(()) }
}

/// RFC 9112 §3.2: exactly one in HTTP/1.1, at most one in HTTP/1.0, always well formed.
fn check_host(head: &RequestHead, host: Option<&[u8]>) -> Result<(), Reject> {
    match host {
        Some(host) if is_authority(host) => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::{HeadLimits, Parsed, RequestParser, parse_response};

    fn request(text: &str) -> RequestHead {
        let mut head = RequestHead::default();
        let verdict = RequestParser::default().parse(text.as_bytes(), &HeadLimits::default(), &mut head);
        assert_eq!(verdict, Ok(Parsed::Complete { head_bytes: text.len() }), "{text:?}");
        head
    }

    fn framing(fields: &str) -> Result<RequestFraming, Reject> {
        request_framing(&request(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")))
    }

    fn response(start: &str, fields: &str, request_was_head: bool) -> Result<ResponseFraming, Reject> {
        let text = format!("{start}\r\n{fields}\r\n");
        let mut head = ResponseHead::default();
        let verdict = parse_response(text.as_bytes(), &HeadLimits::default(), &mut head);
        assert_eq!(verdict, Ok(Parsed::Complete { head_bytes: text.len() }), "{text:?}");
        response_framing(&head, request_was_head)
    }

    #[test]
    fn bodies_of_requests() {
        let body = |fields: &str| framing(fields).map(|f| f.body);
        assert_eq!(body(""), Ok(BodyLength::None));
        assert_eq!(body("Content-Length: 0\r\n"), Ok(BodyLength::Length(0)));
        assert_eq!(body("Content-Length: 0042\r\n"), Ok(BodyLength::Length(42)));
        let most = 9_999_999_999_999_999_999;
        assert_eq!(body(&format!("Content-Length: {most}\r\n")), Ok(BodyLength::Length(most)));
        assert_eq!(body("Transfer-Encoding: Chunked\r\n"), Ok(BodyLength::Chunked));
        for bad in ["", "+5", "-5", "5,5", "5, 5", "0x5", "5 5", "5;", "18446744073709551616", "\u{665}"] {
            assert_eq!(body(&format!("Content-Length: {bad}\r\n")), Err(Reject::LengthBad), "{bad}");
        }
        assert_eq!(body("Content-Length: 5\r\ncontent-length: 5\r\n"), Err(Reject::LengthDuplicate));
        let both = Err(Reject::LengthWithTransferEncoding);
        assert_eq!(body("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), both);
        assert_eq!(body("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), both);
        for bad in ["", "gzip", "identity", "xchunked", "chunked;q=1", "gzip, chunked", "\u{b}chunked", ", chunked"] {
            let bad = bad.replace('\u{b}', "\"");
            let fields = format!("Transfer-Encoding: {bad}\r\n");
            assert_eq!(body(&fields), Err(Reject::TransferCodingUnknown), "{bad}");
        }
        for bad in ["chunked, gzip", "chunked, chunked", "chunked,", "chunked\r\nTransfer-Encoding: chunked"] {
            let fields = format!("Transfer-Encoding: {bad}\r\n");
            assert_eq!(body(&fields), Err(Reject::TransferCodingNotFinal), "{bad}");
        }
        let old = request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(request_framing(&old), Err(Reject::TransferEncodingInHttp10));
    }

    #[test]
    fn connections_live_on_as_the_client_says() {
        let keep_alive = |text: &str| request_framing(&request(text)).unwrap().keep_alive;
        assert!(keep_alive("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(!keep_alive("GET / HTTP/1.1\r\nHost: a\r\nConnection: x , Close\r\n\r\n"));
        assert!(!keep_alive("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n"));
        assert!(!keep_alive("GET / HTTP/1.0\r\n\r\n"));
        assert!(keep_alive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
        let tokens: Vec<_> = connection_tokens(b" a,, \tb ,c\t,").collect();
        assert_eq!(tokens, [b"a", b"b", b"c"]);
    }

    #[test]
    fn expectations_and_upgrades_count_where_they_make_sense() {
        let expect = |fields: &str| framing(fields).unwrap().expect_continue;
        assert!(expect("Content-Length: 5\r\nExpect: 100-Continue\r\n"));
        assert!(!expect("Expect: 100-continue\r\n"));
        assert!(!expect("Content-Length: 0\r\nExpect: 100-continue\r\n"));
        assert!(!expect("Content-Length: 5\r\nExpect: tea\r\n"));
        let old = request("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        assert!(!request_framing(&old).unwrap().expect_continue);
        let upgrade = |fields: &str| framing(fields).unwrap().upgrade;
        assert!(upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"));
        assert!(!upgrade("Upgrade: websocket\r\n"));
        assert!(!upgrade("Connection: upgrade\r\nUpgrade: h2c\r\n"));
        assert!(!upgrade("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n"));
        assert!(!upgrade("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"));
        assert!(!upgrade("Connection: upgrade\r\n"));
        assert!(!upgrade("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n"));
    }

    #[test]
    fn hosts_are_one_and_well_formed() {
        let verdict = |text: &str| request_framing(&request(text)).map(|_| ());
        assert_eq!(verdict("GET / HTTP/1.1\r\n\r\n"), Err(Reject::HostMissing));
        assert_eq!(verdict("GET / HTTP/1.0\r\n\r\n"), Ok(()));
        assert_eq!(verdict("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), Err(Reject::HostDuplicate));
        assert_eq!(verdict("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), Err(Reject::HostDuplicate));
        for good in ["a", "a.b-c_d~1:80", "a:", "127.0.0.1:65535", "[::1]", "[2001:db8::1]:443"] {
            assert_eq!(verdict(&format!("GET / HTTP/1.1\r\nHost: {good}\r\n\r\n")), Ok(()), "{good}");
        }
        let bad = [
            "",
            "a b",
            "a,b",
            "u@a",
            "a/b",
            "a:b",
            "a:65536",
            "a:080080",
            ":80",
            "[::1",
            "::1",
            "[x]",
            "[::1]x",
            "a:1:2",
            "[fe80::1%25lo]",
            "a%41",
            "\u{e9}",
        ];
        for bad in bad {
            assert_eq!(verdict(&format!("GET / HTTP/1.1\r\nHost: {bad}\r\n\r\n")), Err(Reject::HostBad), "{bad}");
        }
    }

    #[test]
    fn targets_have_the_form_of_their_method() {
        let verdict =
            |line: &str| request_framing(&request(&format!("{line} HTTP/1.1\r\nHost: a:80\r\n\r\n"))).map(|_| ());
        for good in [
            "GET /",
            "GET /a?b",
            "GET //a//b/..",
            "OPTIONS *",
            "GET HTTP://A/x",
            "GET http://a:80",
            "GET http://a?q",
            "OPTIONS http://a:",
        ] {
            assert_eq!(verdict(good), Ok(()), "{good}");
        }
        for bad in [
            "GET *",
            "GET a",
            "GET a:80",
            "GET ftp://a/",
            "GET http:/a",
            "GET http://",
            "GET http:///x",
            "GET http://a:x/",
            "GET ?x",
        ] {
            assert_eq!(verdict(bad), Err(Reject::BadTarget), "{bad}");
        }
        assert_eq!(verdict("GET /a#b"), Err(Reject::TargetFragment));
        assert_eq!(verdict("GET http://u:p@a/"), Err(Reject::TargetUserinfo));
        assert_eq!(verdict("GET http://b/"), Err(Reject::HostDisagrees));
        assert_eq!(verdict("GET https://a/"), Err(Reject::HostDisagrees));
        assert_eq!(verdict("GET http://a:8080/"), Err(Reject::HostDisagrees));
        assert_eq!(verdict("CONNECT a:80"), Err(Reject::ConnectRefused));
        assert_eq!(request_framing(&request("CONNECT a:80 HTTP/1.1\r\n\r\n")), Err(Reject::ConnectRefused));
    }

    #[test]
    fn bodies_of_responses() {
        let ok = "HTTP/1.1 200 OK";
        let framed = |body, keep_alive| Ok(ResponseFraming { body, keep_alive });
        assert_eq!(response(ok, "Content-Length: 5\r\n", false), framed(BodyLength::Length(5), true));
        assert_eq!(response(ok, "Transfer-Encoding: chunked\r\n", false), framed(BodyLength::Chunked, true));
        assert_eq!(response(ok, "", false), framed(BodyLength::UntilClose, false));
        assert_eq!(
            response(ok, "Connection: close\r\nContent-Length: 5\r\n", false),
            framed(BodyLength::Length(5), false)
        );
        assert_eq!(response("HTTP/1.0 200 OK", "Content-Length: 5\r\n", false), framed(BodyLength::Length(5), false));
        assert_eq!(response(ok, "Content-Length: 5\r\n", true), framed(BodyLength::None, true));
        assert_eq!(response(ok, "", true), framed(BodyLength::None, true));
        assert_eq!(response("HTTP/1.1 304 x", "Content-Length: 5\r\n", false), framed(BodyLength::None, true));
        assert_eq!(response("HTTP/1.1 204 x", "", false), framed(BodyLength::None, true));
        assert_eq!(response("HTTP/1.1 204 x", "Content-Length: 0\r\n", false), framed(BodyLength::None, true));
        assert_eq!(response("HTTP/1.1 204 x", "Content-Length: 5\r\n", false), framed(BodyLength::None, false));
        assert_eq!(
            response("HTTP/1.1 103 x", "Transfer-Encoding: chunked\r\n", false),
            framed(BodyLength::None, false)
        );
        assert_eq!(response("HTTP/1.1 101 x", "Connection: upgrade\r\n", false), framed(BodyLength::None, true));
        for (fields, reject) in [
            ("Content-Length: 5, 5\r\n", Reject::LengthBad),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Reject::LengthDuplicate),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Reject::LengthWithTransferEncoding),
            ("Transfer-Encoding: gzip\r\n", Reject::TransferCodingUnknown),
            ("Transfer-Encoding: chunked, gzip\r\n", Reject::TransferCodingNotFinal),
        ] {
            assert_eq!(response(ok, fields, false), Err(reject), "{fields}");
            assert_eq!(response(ok, fields, true), Err(reject), "{fields}");
        }
        let old = response("HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n", false);
        assert_eq!(old, Err(Reject::TransferEncodingInHttp10));
    }
}
