//! Heads on their way through: what is stripped, kept, set (RFC 9110 §7.6, RFC 7239). Pure: heads in, bytes out.
//!
//! Framing fields are always written anew from the verdict of `h1::framing`, never copied. What the gateway sets itself
//! is written after the copying, so no Connection field of a peer can remove it.

use std::cell::OnceCell;
use std::io::Write as _;
use std::net::IpAddr;

use super::exchange::{CacheNote, Peer, Refusal, RequestId};
use super::failure::Failure;
use super::route::{Edits, Route};
use super::service::{ForwardedPolicy, Service};
use crate::base::secret::Secret;
use crate::cache::AnswerHead;
use crate::cache::cache_status;
use crate::cache::conditional::{self, STRIPPED};
use crate::cache::fields::field_lines;
use crate::h1::{self, BodyLength, connection_tokens};
use crate::http::head::FieldRef;
use crate::http::{FieldId, RequestHead, ResponseHead, Version};
use crate::policy::auth::key;
use crate::upstream::Credential;

/// What a request head for an upstream is made of.
pub struct RequestParts<'a> {
    pub service: &'a Service,
    pub route: &'a Route,
    pub head: &'a RequestHead,
    pub peer: &'a Peer,
    pub trusted: bool,
    pub request_id: &'a RequestId,
    /// Host sent, unless the route sets one.
    pub host: &'a [u8],
    pub body: BodyLength,
    pub forward_expect: bool,
    pub upgrade: bool,
    /// For an answer that is to be stored: lines sent in place of the client's own conditions and range.
    pub validators: Option<&'a [u8]>,
    /// The client's host as the upstream is told: for an answer that is to be stored, in the spelling of its key.
    pub client_host: &'a [u8],
}

/// Appends the head of the upstream request, empty line included.
pub fn write_request(out: &mut Vec<u8>, parts: &RequestParts<'_>) {
    out.extend_from_slice(parts.head.method_text());
    out.push(b' ');
    write_target(out, parts.route, parts.head);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let edits = &parts.route.request;
    write_own(out, edits, b"Host", parts.host);
    let replaced = |id| parts.validators.is_some() && STRIPPED.contains(&id);
    let house = House::of(parts.service, parts.route);
    copy_fields(out, parts.head.fields(), edits, |f| {
        !belongs_to_gateway(f.id)
            && !house.replaces(f)
            && !is_twin(f, parts.route, house)
            && !replaced(f.id)
            && (parts.trusted || !is_forwarding(f))
    });
    house.write(out, edits);
    out.extend_from_slice(parts.validators.unwrap_or_default());
    write_client(out, parts);
    write_framing(out, parts.body);
    if parts.forward_expect {
        write_field(out, b"Expect", b"100-continue");
    }
    write_connection(out, parts);
    write_via(out, edits, parts.head.version, parts.service.via.as_bytes());
    write_own(out, edits, b"X-Request-Id", parts.request_id.as_bytes());
    write_brought(out, edits);
    out.extend_from_slice(b"\r\n");
}

/// What becomes of the client's credential.
#[derive(Clone, Copy)]
struct House<'a> {
    /// It does not go any further.
    keeps: bool,
    /// What goes instead.
    credential: Option<(&'a str, &'a Secret)>,
}

impl<'a> House<'a> {
    fn of(service: &'a Service, route: &Route) -> Self {
        let credential = service.upstreams.get(route.upstream).and_then(|upstream| upstream.credential.as_ref());
        Self {
            // A key of the house means nothing to an upstream, whatever that itself is sent.
            keeps: credential.is_some() || route.screen.callers,
            credential: credential.and_then(Credential::field),
        }
    }

    /// Whether a field may hold a credential, or has the name of what goes instead.
    fn replaces(self, field: FieldRef<'_>) -> bool {
        self.keeps
            && (key::FIELDS.contains(&field.id)
                || self.credential.is_some_and(|(name, _)| name.as_bytes().eq_ignore_ascii_case(field.name)))
    }

    fn write(self, out: &mut Vec<u8>, edits: &Edits) {
        if let Some((name, value)) = self.credential.filter(|(name, _)| !edits.sets(name.as_bytes())) {
            write_field(out, name.as_bytes(), value.expose());
        }
    }
}

fn write_target(out: &mut Vec<u8>, route: &Route, head: &RequestHead) {
    let target = h1::target_parts(head);
    match &route.rewrite {
        Some(rewrite) => rewrite.apply(target.path, out),
        None => out.extend_from_slice(target.path),
    }
    if let Some(query) = target.query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
}

/// Fields of one connection, in either direction (RFC 9110 §7.6.1). TE and Proxy-Authorization are those of requests.
fn is_hop_by_hop(id: FieldId) -> bool {
    matches!(
        id,
        FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::TransferEncoding
            | FieldId::Upgrade
    )
}

/// Request fields that are never copied: hop-by-hop, framing, or written by the gateway itself.
fn belongs_to_gateway(id: FieldId) -> bool {
    is_hop_by_hop(id)
        || matches!(
            id,
            FieldId::Host
                | FieldId::ProxyAuthorization
                | FieldId::Te
                | FieldId::ContentLength
                | FieldId::Expect
                | FieldId::Forwarded
                | FieldId::Http2Settings
                | FieldId::XForwardedFor
                | FieldId::XForwardedHost
                | FieldId::XForwardedProto
                | FieldId::XRealIp
                | FieldId::XRequestId
        )
}

/// Whether a field belongs to the X-Forwarded family, of which only the best known have numbers: who is not trusted has
/// no say in any of them.
fn is_forwarding(field: FieldRef<'_>) -> bool {
    const PREFIX: &[u8] = b"x-forwarded-";
    field.id == FieldId::Other && field.name.get(..PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(PREFIX))
}

/// Whether what the upstream gets under this name is not what the client sent: then Vary on it cannot be judged.
pub fn is_rewritten(name: &[u8]) -> bool {
    let id = FieldId::of(name);
    let family = FieldRef { id, name, value: b"" };
    (belongs_to_gateway(id) && id != FieldId::Host) || id == FieldId::Via || is_forwarding(family)
}

/// Whether a name with underscores would be read by CGI-like upstreams as one that the gateway or the route guards.
fn is_twin(field: FieldRef<'_>, route: &Route, house: House<'_>) -> bool {
    if field.id != FieldId::Other || memchr::memchr(b'_', field.name).is_none() {
        return false;
    }
    let plain: Vec<u8> = field.name.iter().map(|b| if *b == b'_' { b'-' } else { *b }).collect();
    let family = FieldRef { id: FieldId::of(&plain), name: &plain, value: field.value };
    // The word of a trusted peer counts in its own spelling only: in another one it would not be in a key.
    let is_family = is_forwarding(family);
    let tells_apart = route.cache.as_ref().is_some_and(|policy| policy.tells_apart(family.id, &plain));
    belongs_to_gateway(family.id) || is_family || tells_apart || house.replaces(family) || route.request.drops(&plain)
}

/// Copies the fields that are end-to-end, wanted by `keep` and not dropped by the route's edits.
fn copy_fields<'a>(
    out: &mut Vec<u8>,
    fields: impl Iterator<Item = FieldRef<'a>> + Clone,
    edits: &Edits,
    keep: impl Fn(FieldRef<'_>) -> bool,
) {
    let named = fields.clone().any(|f| f.id == FieldId::Connection && names_fields(f.value));
    let edited = !edits.set.is_empty() || !edits.remove.is_empty();
    for field in fields.clone() {
        let dropped = !keep(field)
            || (named && is_named_by_connection(fields.clone(), field.name))
            || (edited && edits.drops(field.name));
        if !dropped {
            write_field(out, field.name, field.value);
        }
    }
}

/// Whether a Connection field names more than the usual connection options.
pub fn names_fields(value: &[u8]) -> bool {
    connection_tokens(value).any(|t| {
        !t.eq_ignore_ascii_case(b"close")
            && !t.eq_ignore_ascii_case(b"keep-alive")
            && !t.eq_ignore_ascii_case(b"upgrade")
            && !t.eq_ignore_ascii_case(b"te")
    })
}

fn is_named_by_connection<'a>(fields: impl Iterator<Item = FieldRef<'a>>, name: &[u8]) -> bool {
    fields
        .filter(|f| f.id == FieldId::Connection)
        .any(|f| connection_tokens(f.value).any(|token| token.eq_ignore_ascii_case(name)))
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A field of the gateway's own, unless the route's edits remove it or set it to something else.
fn write_own(out: &mut Vec<u8>, edits: &Edits, name: &[u8], value: &[u8]) {
    if !edits.drops(name) {
        write_field(out, name, value);
    }
}

fn write_framing(out: &mut Vec<u8>, body: BodyLength) {
    match body {
        BodyLength::None | BodyLength::UntilClose => {}
        BodyLength::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyLength::Length(length) => {
            write_field(out, b"Content-Length", itoa::Buffer::new().format(length).as_bytes())
        }
    }
}

/// Via names the protocol the message came in (RFC 9110 §7.6.3).
fn write_via(out: &mut Vec<u8>, edits: &Edits, received: Version, pseudonym: &[u8]) {
    if edits.drops(b"via") {
        return;
    }
    out.extend_from_slice(match received {
        Version::Http10 => b"Via: 1.0 ",
        Version::Http11 => b"Via: 1.1 ",
        Version::Http2 => b"Via: 2.0 ",
    });
    out.extend_from_slice(pseudonym);
    out.extend_from_slice(b"\r\n");
}

/// Fields the edits bring in.
fn write_brought(out: &mut Vec<u8>, edits: &Edits) {
    for (name, value) in edits.brings() {
        write_field(out, name.as_bytes(), value.expose());
    }
}

fn write_connection(out: &mut Vec<u8>, parts: &RequestParts<'_>) {
    let trailers = parts.head.fields().any(|f| f.id == FieldId::Te && accepts_trailers(f.value));
    if trailers {
        out.extend_from_slice(b"TE: trailers\r\n");
    }
    match (parts.upgrade, trailers) {
        (true, _) => out.extend_from_slice(b"Upgrade: websocket\r\nConnection: upgrade\r\n"),
        (false, true) => out.extend_from_slice(b"Connection: TE\r\n"),
        (false, false) => {}
    }
}

fn accepts_trailers(te: &[u8]) -> bool {
    connection_tokens(te).any(|token| token.eq_ignore_ascii_case(b"trailers"))
}

/// Tells the upstream who the client is. The word of a trusted peer is passed on and continued, anybody else's replaced.
fn write_client(out: &mut Vec<u8>, parts: &RequestParts<'_>) {
    let policy = parts.service.forwarded;
    let x_forwarded = matches!(policy, ForwardedPolicy::XForwarded | ForwardedPolicy::Both);
    let forwarded = matches!(policy, ForwardedPolicy::Forwarded | ForwardedPolicy::Both);
    let host = parts.client_host;
    let edits = &parts.route.request;
    if parts.trusted {
        let passed_on = |id| match id {
            FieldId::XForwardedFor => !x_forwarded,
            FieldId::Forwarded => !forwarded,
            FieldId::XRealIp | FieldId::XForwardedHost | FieldId::XForwardedProto => true,
            _ => false,
        };
        parts.head.fields().filter(|f| passed_on(f.id)).for_each(|f| write_own(out, edits, f.name, f.value));
    }
    if x_forwarded {
        if !edits.drops(b"x-forwarded-for") {
            write_list(out, parts, FieldId::XForwardedFor, b"X-Forwarded-For: ");
            let _ = write!(out, "{}\r\n", parts.peer.ip());
        }
        let given = |id| parts.trusted && parts.head.find(id).is_some();
        if !given(FieldId::XForwardedProto) {
            write_own(out, edits, b"X-Forwarded-Proto", parts.peer.scheme().as_bytes());
        }
        if !given(FieldId::XForwardedHost) && !host.is_empty() {
            write_own(out, edits, b"X-Forwarded-Host", host);
        }
    }
    if forwarded && !edits.drops(b"forwarded") {
        write_list(out, parts, FieldId::Forwarded, b"Forwarded: ");
        match parts.peer.ip() {
            IpAddr::V4(ip) => drop(write!(out, "for={ip}")),
            IpAddr::V6(ip) => drop(write!(out, "for=\"[{ip}]\"")),
        }
        let _ = write!(out, ";proto={}", parts.peer.scheme());
        if !host.is_empty() {
            out.extend_from_slice(b";host=\"");
            out.extend_from_slice(host);
            out.push(b'"');
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Begins a list field with the members a trusted peer sent.
fn write_list(out: &mut Vec<u8>, parts: &RequestParts<'_>, id: FieldId, name: &[u8]) {
    out.extend_from_slice(name);
    if parts.trusted {
        for field in parts.head.fields().filter(|f| f.id == id && !f.value.is_empty()) {
            out.extend_from_slice(field.value);
            out.extend_from_slice(b", ");
        }
    }
}

/// What a response head for a client is made of.
pub struct ResponseParts<'a> {
    pub head: &'a ResponseHead,
    pub edits: &'a Edits,
    pub via: &'a [u8],
    pub request_id: &'a RequestId,
    /// How the body is framed towards the client.
    pub body: BodyLength,
    /// The response to HEAD, and 304, may say a length without a body: it is copied.
    pub bodiless: bool,
    pub client_version: Version,
    pub keep_alive: bool,
    /// The response is `101 Switching Protocols`.
    pub upgrade: bool,
    pub date: [u8; super::core::DATE_BYTES],
    /// What the cache did, where the route has one.
    pub cache: Option<&'a CacheNote>,
    /// Surrogate-Key and Cache-Tag are not for the client.
    pub strip_tags: bool,
}

/// Appends the head of the response to the client, empty line included.
pub fn write_response(out: &mut Vec<u8>, parts: &ResponseParts<'_>) {
    write_status_line(out, parts.head.status, parts.head.reason());
    let length_stays = parts.bodiless && parts.body == BodyLength::None;
    let edits = parts.edits;
    copy_fields(out, parts.head.fields(), edits, |field| match field.id {
        FieldId::XRequestId => false,
        FieldId::SurrogateKey | FieldId::CacheTag => !parts.strip_tags,
        FieldId::ContentLength => length_stays,
        id => !is_hop_by_hop(id),
    });
    write_framing(out, parts.body);
    if parts.head.find(FieldId::Date).is_none() {
        write_own(out, edits, b"Date", &parts.date);
    }
    write_via(out, edits, parts.head.version, parts.via);
    if let Some(note) = parts.cache {
        write_cache_status(out, edits, parts.via, note);
    }
    write_own(out, edits, b"X-Request-Id", parts.request_id.as_bytes());
    write_brought(out, edits);
    if parts.upgrade {
        out.extend_from_slice(b"Upgrade: websocket\r\nConnection: upgrade\r\n");
    } else {
        write_persistence(out, parts.client_version, parts.keep_alive);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_cache_status(out: &mut Vec<u8>, edits: &Edits, name: &[u8], note: &CacheNote) {
    if !edits.drops(b"cache-status") {
        out.extend_from_slice(b"Cache-Status: ");
        cache_status::write(out, name, &note.status);
        out.extend_from_slice(b"\r\n");
    }
}

/// What a response out of the cache is made of.
pub struct StoredParts<'a> {
    pub service: &'a Service,
    pub route: &'a Route,
    pub request_id: &'a RequestId,
    pub note: Option<&'a CacheNote>,
    /// Field lines for this client alone, which are not stored.
    pub private: &'a [u8],
    /// The answer was fetched for this very request: as long as it has no age, it says none (RFC 9111 §5.1).
    pub is_own: bool,
    /// Unix epoch, milliseconds.
    pub now_ms: u64,
    pub answer: &'a AnswerHead,
    /// Where the head of the whole answer is kept between two hits.
    pub rendered: Option<&'a OnceCell<Box<[u8]>>>,
    pub status: u16,
    /// How the body is framed, or would be (HEAD).
    pub body: BodyLength,
    pub range: Option<RangeField>,
    pub client_version: Version,
    pub keep_alive: bool,
}

/// What a 206 or 416 says about its part.
pub enum RangeField {
    /// Content-Range.
    Part(String),
    /// Content-Type of several parts.
    Several(Vec<u8>),
}

/// Appends the head of a response out of the cache, empty line included.
pub fn write_stored(out: &mut Vec<u8>, parts: &StoredParts<'_>) {
    let edits = &parts.route.response;
    match parts.rendered {
        Some(rendered) if parts.status == parts.answer.status && parts.range.is_none() => {
            out.extend_from_slice(rendered.get_or_init(|| {
                let mut text = Vec::new();
                write_lasting(&mut text, parts);
                text.into()
            }));
        }
        _ => write_lasting(out, parts),
    }
    match &parts.range {
        Some(RangeField::Part(value)) => write_field(out, b"Content-Range", value.as_bytes()),
        Some(RangeField::Several(value)) => write_field(out, b"Content-Type", value),
        None => {}
    }
    // What answers with 204 has no length (RFC 9110 §8.6).
    write_framing(out, if parts.status == 204 { BodyLength::None } else { parts.body });
    if !parts.private.is_empty() {
        copy_fields(out, field_lines(parts.private), edits, |_| true);
    }
    let age_s = parts.answer.terms.age_ms(parts.now_ms) / 1_000;
    if !parts.is_own || age_s > 0 {
        write_field(out, b"Age", itoa::Buffer::new().format(age_s).as_bytes());
    }
    if let Some(note) = parts.note {
        write_cache_status(out, edits, parts.service.via.as_bytes(), note);
    }
    write_own(out, edits, b"X-Request-Id", parts.request_id.as_bytes());
    write_persistence(out, parts.client_version, parts.keep_alive);
    out.extend_from_slice(b"\r\n");
}

/// The part of a stored head that is the same at each hit.
fn write_lasting(out: &mut Vec<u8>, parts: &StoredParts<'_>) {
    let (answer, edits) = (parts.answer, &parts.route.response);
    let reason = if parts.status == answer.status { &*answer.reason } else { reason_phrase(parts.status).as_bytes() };
    write_status_line(out, parts.status, reason);
    let strip_tags = parts.route.cache.as_ref().is_some_and(|policy| policy.strip_tags);
    let several = matches!(parts.range, Some(RangeField::Several(_)));
    let keep = |field: FieldRef<'_>| match field.id {
        FieldId::SurrogateKey | FieldId::CacheTag => !strip_tags,
        FieldId::ContentType => !several,
        _ => true,
    };
    match parts.status {
        304 if answer.status != 304 => {
            let tagged = answer.fields.find(FieldId::Etag).is_some();
            copy_fields(out, answer.fields.iter(), edits, |f| keep(f) && conditional::belongs_to_304(&f, tagged));
        }
        412 | 416 => copy_fields(out, answer.fields.iter(), edits, |f| f.id == FieldId::Date),
        _ => copy_fields(out, answer.fields.iter(), edits, keep),
    }
    write_via(out, edits, answer.version, parts.service.via.as_bytes());
    write_brought(out, edits);
}

/// Appends an interim (1xx) response without hop-by-hop fields and what the edits remove.
pub fn write_interim(out: &mut Vec<u8>, head: &ResponseHead, edits: &Edits) {
    write_status_line(out, head.status, head.reason());
    copy_fields(out, head.fields(), edits, |field| !is_hop_by_hop(field.id) && field.id != FieldId::ContentLength);
    out.extend_from_slice(b"\r\n");
}

/// Trailer lines without those that the edits remove or set.
pub fn edit_trailers(lines: Vec<u8>, edits: &Edits) -> Vec<u8> {
    if lines.is_empty() || (edits.set.is_empty() && edits.remove.is_empty()) {
        return lines;
    }
    let kept = lines.split_inclusive(|b| *b == b'\n').filter(|line| {
        let name = line.split(|b| *b == b':').next().unwrap_or_default();
        !edits.drops(name)
    });
    kept.flatten().copied().collect()
}

fn write_status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

fn write_persistence(out: &mut Vec<u8>, version: Version, keep_alive: bool) {
    match (version, keep_alive) {
        (_, false) => out.extend_from_slice(b"Connection: close\r\n"),
        (Version::Http10, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (_, true) => {}
    }
}

/// Adds whole field lines, which `write` appends, to a head that is written.
pub fn append_lines(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    const END: &[u8] = b"\r\n";
    if out.ends_with(END) {
        out.truncate(out.len() - END.len());
        write(out);
        out.extend_from_slice(END);
    }
}

/// What a response of the gateway's own is made of.
pub struct FailureParts<'a> {
    pub failure: Failure,
    /// What is said beyond the failure.
    pub refusal: Option<&'a Refusal>,
    pub request_id: &'a RequestId,
    pub date: &'a [u8],
    pub client_version: Version,
    pub keep_alive: bool,
    pub without_body: bool,
}

/// Appends a whole response of the gateway's own: a JSON error. Returns the bytes of its body.
pub fn write_failure(out: &mut Vec<u8>, parts: &FailureParts<'_>) -> u64 {
    let FailureParts { failure, refusal, request_id, date, .. } = *parts;
    let answer = failure.answer();
    let status = refusal.and_then(|refusal| refusal.status).unwrap_or(answer.status);
    let mut body = Vec::with_capacity(256);
    let _ = write!(body, "{{\"error\":{{\"type\":\"{}\",\"message\":\"", answer.kind);
    // All other texts are ours or of a character set that needs no escaping (see RequestId).
    match refusal.and_then(|refusal| refusal.message.as_deref()) {
        Some(message) => escape_json(message, &mut body),
        None => body.extend_from_slice(answer.message.as_bytes()),
    }
    if let Some(detail) = failure.detail {
        let _ = write!(body, " ({detail})");
    }
    body.extend_from_slice(b"\",\"request_id\":\"");
    body.extend_from_slice(request_id.as_bytes());
    body.extend_from_slice(b"\"}}\n");
    write_status_line(out, status, reason_phrase(status).as_bytes());
    write_field(out, b"Content-Type", b"application/json");
    write_framing(out, BodyLength::Length(body.len() as u64));
    write_field(out, b"Date", date);
    write_field(out, b"X-Request-Id", request_id.as_bytes());
    match refusal.and_then(|refusal| refusal.retry_after_s) {
        Some(seconds) => write_field(out, b"Retry-After", itoa::Buffer::new().format(seconds).as_bytes()),
        None if status == 503 => write_field(out, b"Retry-After", b"1"),
        None => {}
    }
    for (name, value) in refusal.map_or(&[][..], |refusal| &refusal.fields) {
        write_field(out, name.as_bytes(), value.as_bytes());
    }
    write_persistence(out, parts.client_version, parts.keep_alive);
    out.extend_from_slice(b"\r\n");
    if parts.without_body {
        return 0;
    }
    out.extend_from_slice(&body);
    body.len() as u64
}

/// A text inside of a JSON string (RFC 8259 §7).
fn escape_json(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 | 0x7f => {
                let _ = write!(out, "\\u{byte:04x}");
            }
            byte => out.push(byte),
        }
    }
}

/// The reason phrases of the statuses that the gateway itself sends.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
