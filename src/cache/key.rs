//! The key of a stored answer: which parts of a request make two requests the same question.
//!
//! Pure. A key is a row of parts, each a tag, its length and its bytes, so that no part can be read as another whatever
//! a client writes into it. The URL stands in front, for whoever drops answers by address. Credentials and bodies
//! are never in a key as they came, only as salted SHA-256. A key is looked up by its hash, which nobody can aim.

use aws_lc_rs::digest;

use super::policy::{Authorization, BodyKey, CachePolicy, KeyPolicy, QueryKey};
use super::{canonical_json, query};
use crate::h1;
use crate::http::head::{FieldRef, RequestHead};
use crate::http::{FieldId, Method};
use crate::log::redact;

/// 128 bits of SHA-256 over a key and the values of the fields its answer varies by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyHash(pub u128);

/// What a key is made of.
#[derive(Clone, Copy, Debug)]
pub struct KeyRequest<'a> {
    pub head: &'a RequestHead,
    /// `http` or `https`: how the client came.
    pub scheme: &'a str,
    /// The peer's word about the client is believed, and passed on.
    pub trusted: bool,
    /// The whole body; empty where there is none.
    pub body: &'a [u8],
    /// A secret of the process: makes digests of credentials worthless elsewhere and hashes unpredictable.
    pub salt: &'a [u8; SALT_BYTES],
}

/// Bytes of the salt.
pub const SALT_BYTES: usize = 32;

/// Tags of the parts. A new meaning takes a new number: snapshots hold keys.
mod tag {
    pub const IDENTITY: u8 = 1;
    pub const METHOD: u8 = 2;
    pub const ROUTE: u8 = 3;
    pub const VERSION: u8 = 4;
    pub const BUMPS: u8 = 5;
    pub const SCHEME: u8 = 6;
    pub const HEADER: u8 = 7;
    /// A field whose name is that of a secret: the digest of its lines.
    pub const HEADER_SECRET: u8 = 8;
    pub const CALLER: u8 = 9;
    pub const BODY_RAW: u8 = 10;
    pub const BODY_JSON: u8 = 11;
    pub const BODY_TYPE: u8 = 12;
    pub const FORWARDED: u8 = 13;
    pub const VARIANT: u8 = super::VARIANT_TAG;
}

/// Tag of the part that tells variants apart; [`write`] never writes it.
pub const VARIANT_TAG: u8 = 0xFE;

/// Fields by which a caller is known, in the order their lines are hashed. Proxy-Authorization is for the gateway
/// itself and says nothing about what the origin will answer.
pub const CALLER_FIELDS: [FieldId; 5] =
    [FieldId::Authorization, FieldId::XApiKey, FieldId::ApiKey, FieldId::XGoogApiKey, FieldId::Cookie];

/// Bytes of a part before its value: tag and length.
const PART_HEAD_BYTES: usize = 5;
/// Keys up to this size are hashed in one go on the stack.
const HASH_STACK_BYTES: usize = 1024;
/// Distance of a key's second place.
const REFRESH: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834;

/// Appends the key of a request on a route.
///
/// HEAD has the key of GET: its answer may come from a stored GET (RFC 9110 §9.3.2). Two requests have one key only
/// where the policy leaves out what tells them apart.
pub fn write(out: &mut Vec<u8>, policy: &CachePolicy, request: &KeyRequest<'_>) {
    let (head, key) = (request.head, &policy.key);
    let parts = h1::target_parts(head);
    let tls = request.scheme.eq_ignore_ascii_case("https");
    part(out, tag::IDENTITY, |out| write_identity(out, key, h1::authority(head), tls, parts.path, parts.query));
    let method = if head.method == Method::Head { b"GET" } else { head.method_text() };
    part(out, tag::METHOD, |out| out.extend_from_slice(method));
    part(out, tag::ROUTE, |out| out.extend_from_slice(policy.route.as_bytes()));
    part(out, tag::VERSION, |out| out.extend_from_slice(policy.version.as_bytes()));
    part(out, tag::BUMPS, |out| {
        out.extend_from_slice(&policy.bumped().to_le_bytes());
        out.extend_from_slice(&policy.ground.to_le_bytes());
    });
    if request.trusted {
        write_forwarded(out, head);
    }
    if key.scheme {
        part(out, tag::SCHEME, |out| out.extend(request.scheme.bytes().map(|b| b.to_ascii_lowercase())));
    }
    for name in &key.headers {
        write_header(out, name, request);
    }
    if key.caller && policy.authorization != Authorization::Shared {
        write_caller(out, &key.query, parts.query.unwrap_or_default(), request);
    }
    if !request.body.is_empty() {
        write_body(out, &key.body, request);
    }
}

/// Appends the URL as the key sees it, without any frame around it: host in lower case without final dot and without
/// a port that is the scheme's default (`*` where the key has no host), path as it came (or `*`), and where the key
/// takes something of the query, `?` and that. This is what [`identity`] gives back and what a purge by URL compares.
pub fn write_identity(
    out: &mut Vec<u8>,
    key_policy: &KeyPolicy,
    authority: &[u8],
    tls: bool,
    path: &[u8],
    query: Option<&[u8]>,
) {
    if key_policy.host {
        write_host(out, authority, tls);
    } else {
        out.push(b'*');
    }
    out.extend_from_slice(if key_policy.path { path } else { b"*" });
    let Some(query) = query else { return };
    let mark = out.len();
    out.push(b'?');
    query::write(out, query, &key_policy.query);
    // `/a?` is another URL than `/a` (RFC 3986 §6.2.3) where the query counts as it came, and only there.
    if out.len() == mark + 1 && key_policy.query != QueryKey::Whole {
        out.truncate(mark);
    }
}

/// The URL of a key, as [`write_identity`] wrote it; empty where the bytes are no key.
pub fn identity(key: &[u8]) -> &[u8] {
    match parts(key).next() {
        Some((tag::IDENTITY, value)) => value,
        _ => b"",
    }
}

/// Whether the request says who calls: Authorization, Cookie or one of the fields for API keys.
pub fn has_caller(head: &RequestHead) -> bool {
    head.fields.iter().any(|f| CALLER_FIELDS.contains(&f.id))
}

/// The place of a key, among the answers that were chosen by these values (empty where none were).
pub fn hash(salt: &[u8; SALT_BYTES], key: &[u8], vary: &[u8]) -> KeyHash {
    let length = (key.len() as u64).to_le_bytes();
    let pieces: [&[u8]; 4] = [salt, &length, key, vary];
    KeyHash(u128::from_le_bytes(*sha256(&pieces).first_chunk().expect("16 bytes because a digest has 32")))
}

impl KeyHash {
    /// A second place for the same key, for what is kept beside its answer.
    pub fn refresh(self) -> Self {
        Self(self.0 ^ REFRESH)
    }

    /// 32 hexadecimal digits.
    pub fn to_hex(self) -> String {
        format!("{:032x}", self.0)
    }

    /// Reads what [`Self::to_hex`] wrote, in any case; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hex { u128::from_str_radix(text, 16).ok().map(Self) } else { None }
    }
}

impl std::fmt::Display for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Appends a host in the one spelling that keys have: lower case, without final dot and default port.
pub fn write_host(out: &mut Vec<u8>, authority: &[u8], tls: bool) {
    let (host, port) = h1::target::split_port(authority);
    let host = host.strip_suffix(b".").unwrap_or(host);
    out.extend(host.iter().map(u8::to_ascii_lowercase));
    let Some(port) = port else { return };
    let zeros = port.iter().take_while(|b| **b == b'0').count();
    let port = port.get(zeros..).unwrap_or_default();
    let default: &[u8] = if tls { b"443" } else { b"80" };
    if !port.is_empty() && port != default {
        out.push(b':');
        out.extend_from_slice(port);
    }
}

/// What a trusted peer says about the request that it passes on, but for the client's address: the upstream gets to see
/// it and may build redirects and links from it.
fn write_forwarded(out: &mut Vec<u8>, head: &RequestHead) {
    const FAMILY: &[u8] = b"x-forwarded-";
    let is_family = |f: &FieldRef<'_>| f.name.get(..FAMILY.len()).is_some_and(|p| p.eq_ignore_ascii_case(FAMILY));
    let wanted = |f: &FieldRef<'_>| f.id == FieldId::Forwarded || (is_family(f) && f.id != FieldId::XForwardedFor);
    if !head.fields().any(|f| wanted(&f)) {
        return;
    }
    part(out, tag::FORWARDED, |out| {
        for field in head.fields().filter(wanted) {
            write_text(out, &field.name.to_ascii_lowercase());
            if field.id != FieldId::Forwarded {
                write_text(out, field.value);
                continue;
            }
            for pair in field.value.split(|b| matches!(b, b';' | b',')).map(crate::http::syntax::trim) {
                let is = |name: &[u8]| pair.get(..name.len()).is_some_and(|p| p.eq_ignore_ascii_case(name));
                if !is(b"for=") && !is(b"by=") {
                    write_text(out, pair);
                }
            }
        }
    });
}

/// Name and lines of a field; no part where the request has none. Lines are not joined: an origin that reads only the
/// first of them gives other answers to `a, b` than to `a` and `b`.
fn write_header(out: &mut Vec<u8>, name: &str, request: &KeyRequest<'_>) {
    let lines = || named(request.head, name);
    if lines().next().is_none() {
        return;
    }
    if redact::is_secret_name(name.as_bytes()) {
        part(out, tag::HEADER_SECRET, |out| {
            write_text(out, name.as_bytes());
            digest_of(out, request.salt, |out| lines().for_each(|line| write_text(out, line.value)));
        });
    } else {
        part(out, tag::HEADER, |out| {
            write_text(out, name.as_bytes());
            lines().for_each(|line| write_text(out, line.value));
        });
    }
}

fn named<'a>(head: &'a RequestHead, name: &str) -> impl Iterator<Item = FieldRef<'a>> {
    head.fields().filter(move |f| f.name.eq_ignore_ascii_case(name.as_bytes()))
}

/// Who calls, as a digest; no part where the request does not say. A credential that stands in the query counts here
/// where the URL of the key has lost it.
fn write_caller(out: &mut Vec<u8>, how: &QueryKey, query: &[u8], request: &KeyRequest<'_>) {
    let lost = || query::callers(query, how);
    if !has_caller(request.head) && lost().next().is_none() {
        return;
    }
    part(out, tag::CALLER, |out| {
        digest_of(out, request.salt, |out| {
            for id in CALLER_FIELDS {
                write_lines(out, request.head, id);
            }
            for (name, value) in lost() {
                // No field has this name.
                [b"?", name, value].iter().for_each(|text| write_text(out, text));
            }
        });
    });
}

/// Name and value of each line of a field.
fn write_lines(out: &mut Vec<u8>, head: &RequestHead, id: FieldId) {
    for line in head.fields().filter(|f| f.id == id) {
        write_text(out, id.name());
        write_text(out, line.value);
    }
}

/// The body as a digest, and how the request says it is to be read: an origin answers the same bytes as a form and as
/// JSON in different ways.
fn write_body(out: &mut Vec<u8>, how: &BodyKey, request: &KeyRequest<'_>) {
    let reading = [FieldId::ContentType, FieldId::ContentEncoding];
    if request.head.fields.iter().any(|f| reading.contains(&f.id)) {
        part(out, tag::BODY_TYPE, |out| {
            for id in reading {
                write_lines(out, request.head, id);
            }
        });
    }
    if let BodyKey::Json { except } = how {
        let mut canonical = Vec::with_capacity(request.body.len());
        if canonical_json::write(&mut canonical, request.body, except).is_ok() {
            part(out, tag::BODY_JSON, |out| out.extend_from_slice(&sha256(&[request.salt, &canonical])));
            return;
        }
    }
    // With `BodyKey::None` too: nobody may ask, but if somebody does, no two bodies share an answer.
    part(out, tag::BODY_RAW, |out| out.extend_from_slice(&sha256(&[request.salt, request.body])));
}

fn part(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[tag, 0, 0, 0, 0]);
    write(out);
    let length = out.len() - start - PART_HEAD_BYTES;
    let length = u32::try_from(length).expect("fits because a head has at most 60 KiB, twice that with names");
    if let Some(place) = out.get_mut(start + 1..start + PART_HEAD_BYTES) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// Length and bytes, within a part.
fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).expect("fits because a head has at most 60 KiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text);
}

fn take_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// Appends the digest of what `write` appends; that itself does not stay.
fn digest_of(out: &mut Vec<u8>, salt: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(salt);
    write(out);
    let digest = digest::digest(&digest::SHA256, out.get(start..).unwrap_or_default());
    // Not only cut off: a secret would stay behind the end.
    if let Some(secret) = out.get_mut(start..) {
        secret.fill(0);
    }
    out.truncate(start);
    out.extend_from_slice(digest.as_ref());
}

fn sha256(pieces: &[&[u8]]) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut buffer = [0; HASH_STACK_BYTES];
    let mut length = 0;
    let total = pieces.iter().map(|p| p.len()).sum::<usize>();
    let digest = if total <= HASH_STACK_BYTES {
        for piece in pieces {
            if let Some(place) = buffer.get_mut(length..length + piece.len()) {
                place.copy_from_slice(piece);
            }
            length += piece.len();
        }
        digest::digest(&digest::SHA256, buffer.get(..length).unwrap_or_default())
    } else {
        let mut context = digest::Context::new(&digest::SHA256);
        pieces.iter().for_each(|piece| context.update(piece));
        context.finish()
    };
    *digest.as_ref().first_chunk().expect("32 bytes because that is what SHA-256 has")
}

/// The parts of a key in order; ends where the bytes are no key.
fn parts(key: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = key;
    std::iter::from_fn(move || {
        let (tag, behind) = rest.split_first()?;
        let (value, behind) = take_text(behind)?;
        rest = behind;
        Some((*tag, value))
    })
}

/// The parts of a key by name, for an operator's eyes: no credential, no body, no secret of the query, and of the
/// header fields only the harmless ones with their values.
pub fn describe(key: &[u8]) -> Vec<(&'static str, String)> {
    parts(key).map(|(tag, value)| describe_part(tag, value)).collect()
}

fn describe_part(tag: u8, value: &[u8]) -> (&'static str, String) {
    match tag {
        tag::IDENTITY => {
            let mut clean = Vec::with_capacity(value.len());
            redact::uri(value, &mut clean);
            ("url", printable(&clean))
        }
        tag::METHOD => ("method", printable(value)),
        tag::ROUTE => ("route", String::from_utf8_lossy(value).into_owned()),
        tag::VERSION => ("version", String::from_utf8_lossy(value).into_owned()),
        tag::BUMPS => ("bumps", value.first_chunk().map_or(0, |n| u64::from_le_bytes(*n)).to_string()),
        tag::SCHEME => ("scheme", printable(value)),
        tag::HEADER => ("header", describe_header(value)),
        tag::HEADER_SECRET => {
            ("header", take_text(value).map_or_else(String::new, |(n, d)| printable(n) + ": " + &short(d)))
        }
        tag::CALLER => ("caller", short(value)),
        tag::BODY_RAW => ("body", short(value)),
        tag::BODY_JSON => ("body-json", short(value)),
        tag::BODY_TYPE => ("body-type", describe_lines(value)),
        tag::FORWARDED => ("forwarded", short(&sha256(&[value]))),
        // The values of the fields that choose among variants; see `write_variant`.
        tag::VARIANT => ("variant", short(&sha256(&[value]))),
        _ => ("unknown", short(&sha256(&[value]))),
    }
}

fn describe_header(value: &[u8]) -> String {
    const HARMLESS: [FieldId; 4] =
        [FieldId::Accept, FieldId::AcceptEncoding, FieldId::AcceptLanguage, FieldId::ContentType];
    let Some((name, mut rest)) = take_text(value) else { return String::new() };
    if !HARMLESS.contains(&FieldId::of(name)) {
        return printable(name) + ": ***";
    }
    let mut lines = Vec::new();
    while let Some((line, behind)) = take_text(rest) {
        lines.push(printable(line));
        rest = behind;
    }
    printable(name) + ": " + &lines.join(", ")
}

/// Pairs of name and value.
fn describe_lines(value: &[u8]) -> String {
    let mut lines = Vec::new();
    let mut rest = value;
    while let Some((name, behind)) = take_text(rest)
        && let Some((line, behind)) = take_text(behind)
    {
        lines.push(printable(name) + ": " + &printable(line));
        rest = behind;
    }
    lines.join(", ")
}

/// `sha256:` and the first 8 digits of a digest.
fn short(digest: &[u8]) -> String {
    let digits: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("sha256:{digits}")
}

fn printable(text: &[u8]) -> String {
    text.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use proptest::prelude::*;

    use super::*;
    use crate::cache::counters::RouteCounters;
    use crate::http::head::{Field, Span};

    const SALT: [u8; SALT_BYTES] = [7; SALT_BYTES];

    fn policy() -> CachePolicy {
        CachePolicy::plain("api".into(), Arc::new(AtomicU64::new(3)), RouteCounters::new(1))
    }

    /// A head with any bytes in it, also such as the parser refuses.
    fn head(method: &str, target: &[u8], fields: &[(&str, &[u8])]) -> RequestHead {
        let mut head = RequestHead { method: Method::of(method.as_bytes()), ..RequestHead::default() };
        let mut add = |text: &[u8]| {
            let start = u16::try_from(head.bytes.len()).unwrap();
            head.bytes.extend_from_slice(text);
            Span { start, len: u16::try_from(text.len()).unwrap() }
        };
        (head.method_span, head.target_span) = (add(method.as_bytes()), add(target));
        let field = |(name, value): &(&str, &[u8])| Field {
            name: add(name.as_bytes()),
            value: add(value),
            id: FieldId::of(name.as_bytes()),
        };
        head.fields = fields.iter().map(field).collect();
        head
    }

    fn key_of(policy: &CachePolicy, head: &RequestHead, scheme: &str, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, policy, &KeyRequest { head, scheme, trusted: false, body, salt: &SALT });
        out
    }

    fn plain(target: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        key_of(&policy(), &head("GET", target.as_bytes(), &fields), "http", b"")
    }

    fn url(host: &str, tls: bool, target: &str, key: &KeyPolicy) -> String {
        let mut out = Vec::new();
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q.as_bytes())));
        write_identity(&mut out, key, host.as_bytes(), tls, path.as_bytes(), query);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_url_stands_in_front_in_one_spelling() {
        let all = KeyPolicy::default();
        for (host, tls, target, expected) in [
            ("Example.COM", false, "/A?b=%61", "example.com/A?b=%61"),
            ("example.com.:80", false, "/", "example.com/"),
            ("example.com:0080", false, "/", "example.com/"),
            ("example.com:", true, "/?", "example.com/?"),
            ("example.com:443", true, "/", "example.com/"),
            ("example.com:443", false, "/", "example.com:443/"),
            ("example.com:80", true, "/", "example.com:80/"),
            ("[::1]:80", false, "/", "[::1]/"),
            ("[FE80::1]", false, "/", "[fe80::1]/"),
            ("", false, "/a", "/a"),
        ] {
            assert_eq!(url(host, tls, target, &all), expected, "{host}");
        }
        assert_eq!(url("a", false, "/x?y", &KeyPolicy { host: false, ..all.clone() }), "*/x?y");
        assert_eq!(url("a", false, "/x?y", &KeyPolicy { path: false, ..all.clone() }), "a*?y");
        for query in [QueryKey::None, QueryKey::Only(Box::new(["z".into()])), QueryKey::Except(Box::new(["y".into()]))]
        {
            assert_eq!(url("a", false, "/x?y", &KeyPolicy { query, ..all.clone() }), "a/x");
        }
        assert_eq!(url("a", false, "/x?c&b", &KeyPolicy { query: QueryKey::Sorted, ..all }), "a/x?b&c");
        let key = plain("http://EXAMPLE.com:80/a?b", &[("host", "example.com")]);
        assert_eq!(identity(&key), b"example.com/a?b");
        assert_eq!(key, plain("/a?b", &[("host", "Example.com.")]));
        assert_eq!(
            (identity(b""), identity(&[1, 9, 0, 0, 0]), identity(&[2, 0, 0, 0, 0])),
            (&b""[..], &b""[..], &b""[..])
        );
    }

    #[test]
    fn each_part_of_a_request_counts() {
        let fields: &[(&str, &[u8])] = &[("host", b"a")];
        let base = key_of(&policy(), &head("GET", b"/", fields), "http", b"");
        assert_eq!(base, key_of(&policy(), &head("HEAD", b"/", fields), "HTTP", b""));
        let mut keys = vec![base];
        for method in ["POST", "QUERY", "get"] {
            keys.push(key_of(&policy(), &head(method, b"/", fields), "http", b""));
        }
        keys.push(key_of(&policy(), &head("GET", b"/", fields), "https", b""));
        keys.push(key_of(&policy(), &head("GET", b"/?", fields), "http", b""));
        keys.push(key_of(&policy(), &head("GET", b"/", fields), "http", b"x"));
        keys.push(key_of(&CachePolicy { route: "b".into(), ..policy() }, &head("GET", b"/", fields), "http", b""));
        keys.push(key_of(&CachePolicy { version: "2".into(), ..policy() }, &head("GET", b"/", fields), "http", b""));
        let bumped = policy();
        bumped.bumps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        keys.push(key_of(&bumped, &head("GET", b"/", fields), "http", b""));
        keys.push(key_of(&policy().stands_on("another"), &head("GET", b"/", fields), "http", b""));
        let unique: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(unique.len(), keys.len());
    }

    #[test]
    fn callers_are_kept_apart_unless_told_otherwise() {
        let with = |fields: &[(&str, &str)]| plain("/", fields);
        let keys = [
            with(&[]),
            with(&[("authorization", "Bearer a")]),
            with(&[("authorization", "Bearer b")]),
            with(&[("authorization", "")]),
            with(&[("x-api-key", "Bearer a")]),
            with(&[("api-key", "Bearer a")]),
            with(&[("x-goog-api-key", "Bearer a")]),
            with(&[("cookie", "Bearer a")]),
            with(&[("cookie", "Bearer "), ("cookie", "a")]),
            with(&[("authorization", "Bearer a"), ("cookie", "b")]),
        ];
        let unique: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(unique.len(), keys.len());
        assert!(keys.iter().all(|key| memchr::memmem::find(key, b"Bearer").is_none()));
        // For the gateway, not for the origin.
        assert_eq!(with(&[("proxy-authorization", "x"), ("x-forwarded-for", "1.2.3.4")]), keys[0]);
        // The order of fields does not matter, that of the lines of one field does.
        assert_eq!(with(&[("COOKIE", "b"), ("Authorization", "Bearer a")]), keys[9]);
        let shared = CachePolicy { authorization: Authorization::Shared, ..policy() };
        let nobody = CachePolicy { key: KeyPolicy { caller: false, ..KeyPolicy::default() }, ..policy() };
        for policy in [shared, nobody] {
            let head = head("GET", b"/", &[("authorization", b"a")]);
            assert!(has_caller(&head));
            assert_eq!(key_of(&policy, &head, "http", b""), keys[0]);
        }
        // A credential in the query is no less one where the URL of the key has no query.
        let without_query =
            CachePolicy { key: KeyPolicy { query: QueryKey::None, ..KeyPolicy::default() }, ..policy() };
        let of = |target: &str| key_of(&without_query, &head("GET", target.as_bytes(), &[]), "http", b"");
        assert_eq!(of("/?a=1"), of("/"));
        assert_ne!(of("/?key=1"), of("/"));
        assert_ne!(of("/?key=1"), of("/?key=2"));
        let salted = |salt| {
            let (mut out, head) = (Vec::new(), head("GET", b"/", &[("authorization", b"a")]));
            write(
                &mut out,
                &policy(),
                &KeyRequest { head: &head, scheme: "http", trusted: false, body: b"", salt: &[salt; SALT_BYTES] },
            );
            out
        };
        assert_ne!(salted(1), salted(2));
    }

    #[test]
    fn bodies_count_by_their_bytes_or_by_their_meaning() {
        let of = |how: BodyKey, kind: &str, body: &str| {
            let policy = CachePolicy { key: KeyPolicy { body: how, ..KeyPolicy::default() }, ..policy() };
            key_of(&policy, &head("POST", b"/", &[("content-type", kind.as_bytes())]), "http", body.as_bytes())
        };
        let json = |body: &str| of(BodyKey::Json { except: Box::new(["user".into()]) }, "application/json", body);
        let raw = |body: &str| of(BodyKey::Raw, "application/json", body);
        assert_eq!(json(r#"{"a":1,"b":[2]}"#), json(r#"{ "b":[ 2],"user":"me", "\u0061":1}"#));
        assert_ne!(json(r#"{"a":1}"#), json(r#"{"a":1.0}"#));
        assert_ne!(json("{}"), json(""));
        assert_ne!(raw("{}"), raw("{ }"));
        // What is no JSON counts by its bytes, and never as the same as JSON.
        assert_eq!(json("{"), raw("{"));
        assert_ne!(json("{"), json("{ "));
        assert_ne!(json("{}"), raw("{}"));
        // An origin reads a form in another way than JSON.
        assert_ne!(of(BodyKey::Raw, "text/plain", "{}"), raw("{}"));
    }

    #[test]
    fn fields_of_the_key_are_absent_or_empty_or_there() {
        let key = KeyPolicy { headers: Box::new(["accept".into(), "x-tenant-token".into()]), ..KeyPolicy::default() };
        let policy = CachePolicy { key, ..policy() };
        let of = |fields: &[(&str, &[u8])]| key_of(&policy, &head("GET", b"/", fields), "http", b"");
        let keys = [
            of(&[]),
            of(&[("accept", b"")]),
            of(&[("accept", b"a, b")]),
            of(&[("accept", b"a"), ("accept", b"b")]),
            of(&[("x-tenant-token", b"SECRET")]),
            of(&[("x-tenant-token", b"SECRET2")]),
        ];
        let unique: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(unique.len(), keys.len());
        assert!(keys.iter().all(|key| memchr::memmem::find(key, b"SECRET").is_none()));
        assert_eq!(of(&[("Accept", b"a"), ("x", b"1"), ("ACCEPT", b"b")]), keys[3]);
    }

    #[test]
    fn an_operator_sees_what_a_key_is_made_of_and_no_secret() {
        let key = KeyPolicy {
            headers: Box::new(["accept".into(), "x-tenant".into(), "x-token".into()]),
            body: BodyKey::Json { except: Box::default() },
            ..KeyPolicy::default()
        };
        let policy = CachePolicy { key, version: "v1".into(), ..policy() };
        let fields: &[(&str, &[u8])] = &[
            ("host", b"A"),
            ("accept", b"text/html"),
            ("accept", b"\xff\n"),
            ("x-tenant", b"PLANTED"),
            ("x-token", b"PLANTED"),
            ("authorization", b"PLANTED"),
            ("content-type", b"application/json"),
        ];
        let key = key_of(&policy, &head("POST", b"/p?key=PLANTED&b=1", fields), "https", b"{\"PLANTED\":1}");
        let described = describe(&key);
        let shown: Vec<_> =
            described.iter().map(|(name, text)| (*name, text.split("sha256:").next().unwrap())).collect();
        assert_eq!(
            shown,
            [
                ("url", "a/p?key=***&b=1"),
                ("method", "POST"),
                ("route", "api"),
                ("version", "v1"),
                ("bumps", "3"),
                ("scheme", "https"),
                ("header", "accept: text/html, \\xff\\n"),
                ("header", "x-tenant: ***"),
                ("header", "x-token: "),
                ("caller", ""),
                ("body-type", "content-type: application/json"),
                ("body-json", ""),
            ]
        );
        for (_, text) in &described {
            assert!(!text.contains("PLANTED"));
            assert!(text.split_once("sha256:").is_none_or(|(_, digits)| digits.len() == 8));
        }
        assert!(describe(b"\x01\xff\xff\xff\xff").is_empty());
    }

    #[test]
    fn a_hash_has_32_digits_and_a_second_place() {
        let hash = super::hash(&SALT, b"key", b"vary");
        assert_eq!(KeyHash::from_hex(&hash.to_hex()), Some(hash));
        assert_eq!(KeyHash::from_hex(&hash.to_string().to_uppercase()), Some(hash));
        assert_eq!(KeyHash(1).to_hex(), "00000000000000000000000000000001");
        for text in ["", "1", "+0000000000000000000000000000001", "0x000000000000000000000000000000"] {
            assert_eq!(KeyHash::from_hex(text), None);
        }
        assert_ne!(hash.refresh(), hash);
        assert_eq!(hash.refresh().refresh(), hash);
        // On the stack and beyond it; where the key ends and the values begin is part of it.
        for size in [0, 1, HASH_STACK_BYTES - 40, HASH_STACK_BYTES - 39, 5000] {
            let bytes = vec![1; size + 1];
            let (key, vary) = bytes.split_at(size);
            assert_ne!(super::hash(&SALT, key, vary), super::hash(&SALT, &bytes, b""));
            assert_ne!(super::hash(&SALT, key, b""), super::hash(&SALT, key, vary));
            assert_ne!(super::hash(&[8; SALT_BYTES], key, vary), super::hash(&SALT, key, vary));
        }
    }

    /// What somebody who wants to be taken for another would write.
    fn any_text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                &b"::"[..],
                b"\0",
                b"\x01\0\0\0\0",
                b"\x02\x03\0\0\0GET",
                b"\x07\x01\0\0\0a",
                b"a",
                b"b",
                b"&",
                b"=",
                b"/",
                b"\n",
            ])
            .prop_map(<[u8]>::to_vec),
            prop::collection::vec(any::<u8>(), 0..3),
        ];
        prop::collection::vec(piece, 0..3).prop_map(|pieces| pieces.concat())
    }

    type Parts = (Vec<u8>, Option<Vec<u8>>, Vec<Vec<u8>>, Vec<Vec<u8>>, Option<Vec<u8>>, Vec<u8>);

    fn any_request() -> impl Strategy<Value = Parts> {
        let path = any_text().prop_map(|text| text.into_iter().filter(|b| *b != b'?').collect::<Vec<_>>());
        let lines = || prop::collection::vec(any_text(), 0..3);
        (path, prop::option::of(any_text()), lines(), lines(), prop::option::of(any_text()), any_text())
    }

    fn key_of_parts(parts: &Parts) -> Vec<u8> {
        let (path, query, one, two, caller, body) = parts;
        let mut target = [b"/", &path[..]].concat();
        if let Some(query) = query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        let mut fields: Vec<(&str, &[u8])> = vec![("host", b"h")];
        fields.extend(one.iter().map(|v| ("x-one", &v[..])));
        fields.extend(two.iter().map(|v| ("x-on", &v[..])));
        fields.extend(caller.iter().map(|v| ("x-api-key", &v[..])));
        let key = KeyPolicy {
            headers: Box::new(["x-one".into(), "x-on".into()]),
            body: BodyKey::Raw,
            ..KeyPolicy::default()
        };
        key_of(&CachePolicy { key, ..policy() }, &head("POST", &target, &fields), "http", body)
    }

    proptest! {
        #[test]
        fn two_requests_have_one_key_only_where_they_are_the_same(one in any_request(), two in any_request(), mixed in any::<[bool; 6]>()) {
            // Mostly alike, so that what differs stands alone.
            let take = |index: usize| mixed[index];
            let other: Parts = (
                if take(0) { two.0.clone() } else { one.0.clone() },
                if take(1) { two.1.clone() } else { one.1.clone() },
                if take(2) { two.2.clone() } else { one.2.clone() },
                if take(3) { two.3.clone() } else { one.3.clone() },
                if take(4) { two.4.clone() } else { one.4.clone() },
                if take(5) { two.5.clone() } else { one.5.clone() },
            );
            let (key, other_key) = (key_of_parts(&one), key_of_parts(&other));
            prop_assert_eq!(key == other_key, one == other);
            // No key is the beginning of another: what is put behind one cannot make it another.
            let parts_of = |key: &[u8]| parts(key).map(|(tag, value)| (tag, value.len())).collect::<Vec<_>>();
            let bytes: usize = parts_of(&key).iter().map(|(_, length)| length + PART_HEAD_BYTES).sum();
            prop_assert_eq!(bytes, key.len());
            prop_assert!(describe(&key).len() == parts_of(&key).len());
        }

        #[test]
        fn any_bytes_are_described(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            describe(&bytes);
            identity(&bytes);
        }
    }
}
