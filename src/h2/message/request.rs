//! Server side: the lines of a request block become a request head (RFC 9113 §8.3.1, RFC 8441 §4).
//!
//! The head is what the reader of HTTP/1.1 would have made of the same request, so that routing, framing and forwarding
//! do not know the difference: Host comes first, cookies are one line, a WebSocket stream is an upgrade. Lines are
//! judged as they come; what they mean together is judged at the end. Whether DATA agrees with Content-Length is the
//! stream's business.

use super::websocket::key_of;
use super::{Malformed, check};
use crate::bounds;
use crate::h2::hpack::FieldLine;
use crate::http::{Field, FieldId, Method, RequestHead, Span, Version, syntax};

/// What a request is, beside its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestShape {
    /// What Content-Length says; the field is in the head too.
    pub content_length: Option<u64>,
    /// An extended CONNECT for WebSocket (RFC 8441): the head says GET with an upgrade.
    pub websocket: bool,
}

/// Why there is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    Malformed(Malformed),
    /// More bytes or more fields than the bound (RFC 6585 §5: 431); the head holds what fitted.
    TooLarge,
}

impl From<Malformed> for RequestError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Pseudo-fields that came, a bit each.
mod seen {
    pub const METHOD: u8 = 1;
    pub const SCHEME: u8 = 2;
    pub const PATH: u8 = 4;
    pub const AUTHORITY: u8 = 8;
    pub const PROTOCOL: u8 = 16;
}

/// What a request line and the empty line take in HTTP/1.1 beside method and target.
const LINE_BYTES: usize = " ".len() + " HTTP/1.1\r\n".len() + "\r\n".len();
/// What a field line takes in HTTP/1.1 beside name and value.
const FIELD_BYTES: usize = ": \r\n".len();

/// Collects the lines of a request block into a head. 72 bytes.
#[derive(Debug)]
pub struct RequestBuilder<'h> {
    head: &'h mut RequestHead,
    /// Bytes of text that may still come.
    bytes_left: usize,
    fields_max: usize,
    nonce: [u8; 16],
    seen: u8,
    /// A regular field came.
    in_fields: bool,
    /// `:protocol` is `websocket`.
    websocket: bool,
    host_came: bool,
    /// Cookie fields in the head that do not follow each other.
    cookies: u16,
    content_length: Option<u64>,
    problem: Option<RequestError>,
}

impl<'h> RequestBuilder<'h> {
    /// A builder for one request. `head` is cleared. `head_bytes` and `fields` bound what the head would be in HTTP/1.1,
    /// and mean what they mean there; `nonce` becomes the key where WebSocket is asked for.
    pub fn new(head: &'h mut RequestHead, head_bytes: usize, fields: usize, nonce: [u8; 16]) -> Self {
        head.clear();
        head.version = Version::Http2;
        Self {
            head,
            bytes_left: head_bytes.min(bounds::HEAD_BYTES_MAX).saturating_sub(LINE_BYTES),
            fields_max: fields,
            nonce,
            seen: 0,
            in_fields: false,
            websocket: false,
            host_came: false,
            cookies: 0,
            content_length: None,
            problem: None,
        }
    }

    /// Takes the next line. Never fails: the first problem is remembered, and nothing is copied after it.
    #[inline]
    pub fn line(&mut self, line: FieldLine<'_>) {
        if self.problem.is_some() {
            return;
        }
        let taken = if line.name.first() == Some(&b':') { self.pseudo(line) } else { self.regular(line) };
        self.problem = taken.err();
    }

    /// Ends the head.
    ///
    /// # Errors
    /// The first problem of the lines, else of what they mean together.
    pub fn finish(mut self) -> Result<RequestShape, RequestError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        self.judge_target()?;
        if self.cookies > 1 {
            join_cookies(self.head);
        }
        if self.websocket {
            self.upgrade()?;
        }
        Ok(RequestShape { content_length: self.content_length, websocket: self.websocket })
    }

    /// Takes a pseudo-field (RFC 9113 §8.3).
    fn pseudo(&mut self, line: FieldLine<'_>) -> Result<(), RequestError> {
        if self.in_fields {
            return Err(Malformed::PseudoLate.into());
        }
        let value = line.value;
        match line.name {
            b":method" => {
                self.once(seen::METHOD)?;
                if !syntax::is_token(value) {
                    return Err(Malformed::MethodBad.into());
                }
                self.head.method = Method::of(value);
                self.head.method_span = self.copy(value, 0)?;
            }
            b":path" => {
                self.once(seen::PATH)?;
                judge_path(value)?;
                self.head.target_span = self.copy(value, 0)?;
            }
            b":scheme" => {
                self.once(seen::SCHEME)?;
                if !matches!(value, b"http" | b"https") {
                    return Err(Malformed::SchemeBad.into());
                }
            }
            b":authority" => {
                self.once(seen::AUTHORITY)?;
                judge_authority(value)?;
                self.push(FieldId::Host, FieldId::Host.name(), value)?;
            }
            b":protocol" => {
                self.once(seen::PROTOCOL)?;
                self.websocket = value.eq_ignore_ascii_case(b"websocket");
                if !syntax::is_token(value) {
                    return Err(Malformed::ValueBad.into());
                }
            }
            _ => return Err(Malformed::PseudoForbidden.into()),
        }
        Ok(())
    }

    fn once(&mut self, pseudo: u8) -> Result<(), Malformed> {
        let again = self.seen & pseudo != 0;
        self.seen |= pseudo;
        if again { Err(Malformed::PseudoDuplicate) } else { Ok(()) }
    }

    /// Takes a field.
    #[inline]
    fn regular(&mut self, line: FieldLine<'_>) -> Result<(), RequestError> {
        self.in_fields = true;
        check::name(line.id, line.name)?;
        check::value(line.value)?;
        match line.id {
            FieldId::Cookie => self.cookie(line.value),
            FieldId::Host => self.host(line.value),
            FieldId::ContentLength => self.length(line.value),
            // The key of a client that need not send one (RFC 8441 §5) gives way to ours.
            FieldId::Other if self.websocket && line.name == b"sec-websocket-key" => Ok(()),
            id => {
                check::hop(id, line.value)?;
                self.push(id, line.name, line.value)
            }
        }
    }

    /// Crumbs become one Cookie (RFC 9113 §8.2.3). Those that follow each other are joined at once.
    fn cookie(&mut self, value: &[u8]) -> Result<(), RequestError> {
        let Some(last) = self.head.fields.last_mut().filter(|field| field.id == FieldId::Cookie) else {
            self.cookies = self.cookies.saturating_add(1);
            return self.push(FieldId::Cookie, FieldId::Cookie.name(), value);
        };
        let separator: &[u8] = if last.value.len == 0 || value.is_empty() { b"" } else { b"; " };
        // The separator is charged in any case: empty crumbs do not come for nothing.
        self.bytes_left = self.bytes_left.checked_sub(value.len() + 2).ok_or(RequestError::TooLarge)?;
        // The value of the last field is the last of the bytes.
        self.head.bytes.extend_from_slice(separator);
        self.head.bytes.extend_from_slice(value);
        last.value = span(usize::from(last.value.start), self.head.bytes.len());
        Ok(())
    }

    /// Host says what `:authority` says, or stands in its place (RFC 9113 §8.3.1).
    fn host(&mut self, value: &[u8]) -> Result<(), RequestError> {
        if self.host_came {
            return Err(Malformed::HostDuplicate.into());
        }
        self.host_came = true;
        if self.seen & seen::AUTHORITY == 0 {
            judge_authority(value)?;
            return self.push(FieldId::Host, FieldId::Host.name(), value);
        }
        match self.head.find(FieldId::Host) {
            Some(authority) if authority.eq_ignore_ascii_case(value) => Ok(()),
            _ => Err(Malformed::HostDisagrees.into()),
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), RequestError> {
        let length = check::length(value).ok_or(Malformed::LengthBad)?;
        if self.content_length.replace(length).is_some() {
            return Err(Malformed::LengthDuplicate.into());
        }
        self.push(FieldId::ContentLength, FieldId::ContentLength.name(), value)
    }

    /// Appends a field to the head.
    #[inline]
    fn push(&mut self, id: FieldId, name: &[u8], value: &[u8]) -> Result<(), RequestError> {
        if self.head.fields.len() >= self.fields_max {
            return Err(RequestError::TooLarge);
        }
        let name = self.copy(name, FIELD_BYTES + value.len())?;
        let start = self.head.bytes.len();
        self.head.bytes.extend_from_slice(value);
        self.head.fields.push(Field { name, value: span(start, self.head.bytes.len()), id });
        Ok(())
    }

    /// Appends text to the head's bytes, charged with `more` beside its own length.
    #[inline]
    fn copy(&mut self, text: &[u8], more: usize) -> Result<Span, RequestError> {
        self.bytes_left = self.bytes_left.checked_sub(text.len() + more).ok_or(RequestError::TooLarge)?;
        let start = self.head.bytes.len();
        self.head.bytes.extend_from_slice(text);
        Ok(span(start, start + text.len()))
    }

    /// Which pseudo-fields there must be and must not be, and who the request is for.
    fn judge_target(&mut self) -> Result<(), Malformed> {
        let has = |pseudo| self.seen & pseudo == pseudo;
        if !has(seen::METHOD) {
            return Err(Malformed::PseudoMissing);
        }
        if self.head.method == Method::Connect {
            return self.judge_connect();
        }
        if has(seen::PROTOCOL) {
            return Err(Malformed::PseudoForbidden);
        }
        if !has(seen::SCHEME | seen::PATH) {
            return Err(Malformed::PseudoMissing);
        }
        if !has(seen::AUTHORITY) && !self.host_came {
            return Err(Malformed::HostMissing);
        }
        if self.head.target() == b"*" && self.head.method != Method::Options {
            return Err(Malformed::PathBad);
        }
        Ok(())
    }

    /// CONNECT (RFC 9113 §8.5) and its extension (RFC 8441 §4). All but WebSocket keeps its method, with the authority as
    /// target, and is refused by whoever judges targets.
    fn judge_connect(&mut self) -> Result<(), Malformed> {
        if self.seen & seen::AUTHORITY == 0 {
            return Err(Malformed::PseudoMissing);
        }
        let others = self.seen & (seen::SCHEME | seen::PATH);
        match (self.seen & seen::PROTOCOL != 0, others) {
            (false, 0) => {}
            (false, _) => return Err(Malformed::PseudoForbidden),
            (true, others) if others != seen::SCHEME | seen::PATH => return Err(Malformed::PseudoMissing),
            (true, _) => {}
        }
        if !self.websocket {
            // Host is the first field because pseudo-fields come first.
            self.head.target_span = self.head.fields.first().map_or(Span::default(), |host| host.value);
        } else if self.head.target() == b"*" {
            return Err(Malformed::PathBad);
        } else if self.content_length.is_some() {
            // DATA of a tunnel is not content (RFC 9110 §9.3.6).
            return Err(Malformed::LengthDisagrees);
        }
        Ok(())
    }

    /// Says in the words of HTTP/1.1 what an extended CONNECT for WebSocket says (RFC 8441 §5).
    fn upgrade(&mut self) -> Result<(), RequestError> {
        // Ours, whatever the bounds are: what came was within them.
        (self.bytes_left, self.fields_max) = (UPGRADE_BYTES_MAX, usize::MAX);
        self.head.method = Method::Get;
        self.head.method_span = self.copy(b"GET", 0)?;
        self.push(FieldId::Upgrade, FieldId::Upgrade.name(), b"websocket")?;
        self.push(FieldId::Connection, FieldId::Connection.name(), b"Upgrade")?;
        self.push(FieldId::Other, b"sec-websocket-key", &key_of(self.nonce))
    }
}

/// What the words of an upgrade take at most.
const UPGRADE_BYTES_MAX: usize = 256;
const _: () = assert!(bounds::HEAD_BYTES_MAX + UPGRADE_BYTES_MAX <= u16::MAX as usize, "spans are 16 bits wide");

/// Adds to a finished head without Content-Length that its body is chunked: for a stream that did not end with the head.
/// Its text in HTTP/1.1 would have said so, and the framing is judged from the head alone.
pub fn declare_chunked(head: &mut RequestHead) {
    const NAME: &[u8] = FieldId::TransferEncoding.name();
    let start = head.bytes.len();
    head.bytes.extend_from_slice(NAME);
    head.bytes.extend_from_slice(b"chunked");
    let middle = start + NAME.len();
    let value = span(middle, head.bytes.len());
    head.fields.push(Field { name: span(start, middle), value, id: FieldId::TransferEncoding });
}

/// `:path` is what the target of HTTP/1.1 in origin form is, or the asterisk (RFC 9113 §8.3.1). A fragment never goes
/// over the wire (RFC 9110 §4.2.5).
fn judge_path(path: &[u8]) -> Result<(), Malformed> {
    let form = path.first() == Some(&b'/') || path == b"*";
    if form && check::is_visible(path) && memchr::memchr(b'#', path).is_none() {
        Ok(())
    } else {
        Err(Malformed::PathBad)
    }
}

/// Whether an authority can be one at all (RFC 9113 §8.3.1: neither empty nor with user information). Host and port are
/// judged by whoever judges Host.
fn judge_authority(authority: &[u8]) -> Result<(), Malformed> {
    if authority.is_empty() || !check::is_visible(authority) || authority.contains(&b'@') {
        return Err(Malformed::AuthorityBad);
    }
    Ok(())
}

/// Writes the head anew, all Cookie fields as one where the first one stood. Rare: clients send their crumbs in a row.
#[cold]
fn join_cookies(head: &mut RequestHead) {
    let base = head.bytes.len();
    let RequestHead { bytes, fields, method_span, target_span, .. } = head;
    let copy = |bytes: &mut Vec<u8>, from: Span| {
        let start = bytes.len();
        let from = usize::from(from.start)..usize::from(from.start) + usize::from(from.len);
        bytes.extend_from_within(from);
        span(start - base, bytes.len() - base)
    };
    *method_span = copy(bytes, *method_span);
    *target_span = copy(bytes, *target_span);
    let crumbs: Vec<Span> = fields.iter().filter(|f| f.id == FieldId::Cookie).map(|f| f.value).collect();
    let mut joined = false;
    fields.retain_mut(|field| {
        let is_cookie = field.id == FieldId::Cookie;
        if is_cookie && joined {
            return false;
        }
        field.name = copy(bytes, field.name);
        if !is_cookie {
            field.value = copy(bytes, field.value);
            return true;
        }
        joined = true;
        let start = bytes.len();
        for crumb in crumbs.iter().filter(|crumb| crumb.len > 0) {
            if bytes.len() > start {
                bytes.extend_from_slice(b"; ");
            }
            copy(bytes, *crumb);
        }
        field.value = span(start - base, bytes.len() - base);
        true
    });
    bytes.drain(..base);
}

/// The range as a span. Heads are at most [`bounds::HEAD_BYTES_MAX`] long and a little more for an upgrade, so that
/// nothing is cut off.
#[inline]
fn span(start: usize, end: usize) -> Span {
    debug_assert!(start <= end && end <= usize::from(u16::MAX));
    Span { start: start as u16, len: (end - start) as u16 }
}
