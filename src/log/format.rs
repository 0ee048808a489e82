//! One exchange as one line, in each of the formats.
//!
//! Pure: appends to a batch, reads no clock. Everything that a client sent passes `escape`; target and referer pass
//! `redact` before that, and are cut after it, so that a cut never hides what makes a value a secret.

use std::net::{IpAddr, SocketAddr};

use super::stamp::{self, Stamps};
use super::{AccessFormat, AccessRecord, Field, Header, LogOptions, escape, redact};
use crate::bounds;

/// Buffers that live from line to line.
pub struct Scratch {
    pub stamps: Stamps,
    /// The redacted form of the field that is being written.
    pub clean: Vec<u8>,
}

/// Appends the line of an exchange, line feed included; nothing when the format is off.
pub fn access(
    options: &LogOptions,
    record: &AccessRecord<'_>,
    header: Header<'_>,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    match options.format {
        AccessFormat::Json => json(options, record, header, scratch, out),
        AccessFormat::Sanitized => text(record, scratch, out, None),
        AccessFormat::Combined => text(record, scratch, out, Some(record.user_agent)),
        AccessFormat::Off => {}
    }
}

/// The common fields of the two text formats; `agent` is `None` where its place is masked.
fn text(record: &AccessRecord<'_>, scratch: &mut Scratch, out: &mut Vec<u8>, agent: Option<Option<&[u8]>>) {
    address(record.client, out);
    out.extend_from_slice(b" - ");
    match record.user {
        Some(user) if !user.is_empty() => free(user, escape::word, &mut scratch.clean, out),
        _ => out.push(b'-'),
    }
    out.extend_from_slice(b" [");
    scratch.stamps.local(record.unix_ms, out);
    out.extend_from_slice(b"] \"");
    // A request that could not be read has neither method nor target.
    if record.method.is_empty() && record.target.is_empty() {
        out.push(b'-');
    } else {
        field(record.method, bounds::LOG_FIELD_BYTES_MAX, escape::quoted, out);
        out.push(b' ');
        uri(record.target, bounds::LOG_TARGET_BYTES_MAX, escape::quoted, &mut scratch.clean, out);
        out.push(b' ');
        out.extend_from_slice(record.version.as_bytes());
    }
    out.extend_from_slice(b"\" ");
    number(u64::from(record.status), out);
    out.push(b' ');
    number(record.bytes_sent, out);
    out.extend_from_slice(b" \"");
    match record.referer {
        Some(referer) if !referer.is_empty() => {
            uri(referer, bounds::LOG_FIELD_BYTES_MAX, escape::quoted, &mut scratch.clean, out);
        }
        _ => out.push(b'-'),
    }
    out.extend_from_slice(b"\" \"");
    match agent {
        None => out.extend_from_slice(b"***"),
        Some(Some(agent)) if !agent.is_empty() => free(agent, escape::quoted, &mut scratch.clean, out),
        Some(_) => out.push(b'-'),
    }
    out.extend_from_slice(b"\"\n");
}

/// A JSON line of the chosen fields; what there is not is `null` or left out, see the table of fields.
fn json(options: &LogOptions, record: &AccessRecord<'_>, header: Header<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let start = out.len();
    for field in &options.fields {
        json_field(*field, record, scratch, out);
    }
    if !options.request_headers.is_empty() {
        let mut headers = Headers::begin(b",\"headers\":{", out);
        for name in &options.request_headers {
            headers.put(name, header(name), &mut scratch.clean);
        }
    }
    if !options.response_headers.is_empty() {
        let mut headers = Headers::begin(b",\"response_headers\":{", out);
        for name in &options.response_headers {
            headers.put(name, value_of(record.response_head, name), &mut scratch.clean);
        }
    }
    // Every field begins with a comma: the first one's becomes the brace.
    match out.get_mut(start) {
        Some(first) => *first = b'{',
        None => out.push(b'{'),
    }
    out.extend_from_slice(b"}\n");
}

fn json_field(field: Field, record: &AccessRecord<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let key = field.key();
    let text = |value: &str, out: &mut Vec<u8>| string(key, Some(value.as_bytes()), out);
    let count = |value: u64, out: &mut Vec<u8>| {
        out.extend_from_slice(key);
        number(value, out);
    };
    let optional = |value: Option<&str>, out: &mut Vec<u8>| value.into_iter().for_each(|value| text(value, out));
    match field {
        Field::Time => quoted(key, out, |out| scratch.stamps.rfc3339(record.unix_ms, out)),
        Field::Client => quoted(key, out, |out| address(record.client, out)),
        Field::Method => string(key, Some(record.method), out),
        Field::Host => string(key, Some(record.host), out),
        Field::Path => {
            let most = bounds::LOG_TARGET_BYTES_MAX;
            quoted(key, out, |out| uri(record.target, most, escape::json, &mut scratch.clean, out));
        }
        Field::Version => text(record.version, out),
        Field::Status => count(u64::from(record.status), out),
        Field::BytesSent => count(record.bytes_sent, out),
        Field::BytesReceived => count(record.bytes_received, out),
        Field::Duration => milliseconds(key, Some(record.total_us), out),
        Field::Upstream => milliseconds(key, record.upstream_us, out),
        Field::FirstByte => milliseconds(key, record.first_byte_us, out),
        Field::Route => text(record.route, out),
        Field::UpstreamName => text(record.upstream, out),
        Field::Endpoint => {
            out.extend_from_slice(key);
            endpoint(record.endpoint, out);
        }
        Field::RequestId => string(key, Some(record.request_id), out),
        Field::Reason => string(key, record.reason.map(str::as_bytes), out),
        Field::Caller => optional(record.caller, out),
        Field::Rule => record.rule.into_iter().for_each(|(id, ..)| count(id, out)),
        Field::RuleMessage => optional(record.rule.map(|(_, message, _)| message), out),
        Field::RuleVariable => optional(record.rule.map(|(.., variable)| variable), out),
        Field::Cache => optional(record.cache, out),
        Field::CacheDetail if record.cache.is_some() => string(key, record.cache_detail.map(str::as_bytes), out),
        Field::CacheDetail => {}
        Field::Referer => {
            let most = bounds::LOG_FIELD_BYTES_MAX;
            let put = |referer: &[u8]| {
                quoted(key, out, |out| uri(referer, most, escape::json, &mut scratch.clean, out));
            };
            record.referer.into_iter().for_each(put);
        }
        Field::UserAgent => match record.user_agent {
            Some(agent) => quoted(key, out, |out| free(agent, escape::json, &mut scratch.clean, out)),
            None => string(key, None, out),
        },
        Field::User => {
            let put = |user: &[u8]| quoted(key, out, |out| free(user, escape::json, &mut scratch.clean, out));
            record.user.into_iter().for_each(put);
        }
        Field::Core => count(u64::from(record.core), out),
    }
}

/// A key with a string that `value` writes the inside of.
fn quoted(key: &[u8], out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(key);
    out.push(b'"');
    value(out);
    out.push(b'"');
}

/// An object of headers that is being written; closed when it is dropped.
struct Headers<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Headers<'o> {
    fn begin(key: &[u8], out: &'o mut Vec<u8>) -> Self {
        out.extend_from_slice(key);
        Self { out, is_first: true }
    }

    /// A header with its value, secrets hidden; nothing when the message has none of this name.
    fn put(&mut self, name: &str, value: Option<&[u8]>, clean: &mut Vec<u8>) {
        let Some(value) = value else { return };
        self.out.extend_from_slice(if self.is_first { b"\"" } else { b",\"" });
        self.is_first = false;
        escape::json(name.as_bytes(), self.out);
        self.out.extend_from_slice(b"\":\"");
        clean.clear();
        redact::header(name.as_bytes(), value, clean);
        field(clean, bounds::LOG_FIELD_BYTES_MAX, escape::json, self.out);
        self.out.push(b'"');
    }
}

impl Drop for Headers<'_> {
    fn drop(&mut self) {
        self.out.push(b'}');
    }
}

/// The value of the first field of a head with this name (RFC 9112 §5).
fn value_of<'h>(head: &'h [u8], name: &str) -> Option<&'h [u8]> {
    head.split(|b| *b == b'\n').skip(1).find_map(|line| {
        let (found, rest) = line.split_at_checked(name.len())?;
        let value = rest.strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
    })
}

/// How a place in a line escapes bytes.
type Escape = fn(&[u8], &mut Vec<u8>);

/// A key with its value as a JSON string, or null.
fn string(key: &[u8], value: Option<&[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    let Some(value) = value else { return out.extend_from_slice(b"null") };
    out.push(b'"');
    field(value, bounds::LOG_FIELD_BYTES_MAX, escape::json, out);
    out.push(b'"');
}

/// A key with microseconds as milliseconds, or null.
fn milliseconds(key: &[u8], micros: Option<u64>, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    let Some(micros) = micros else { return out.extend_from_slice(b"null") };
    number(micros / 1_000, out);
    out.push(b'.');
    stamp::three_digits(micros % 1_000, out);
}

fn number(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// An address in text; an IPv4 address that came over an IPv6 socket is shown as IPv4. By hand for IPv4, because it
/// stands in nearly every line and the formatter of the standard library costs several times as much.
fn address(ip: IpAddr, out: &mut Vec<u8>) {
    let ip = match ip.to_canonical() {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => return escape::push(out, format_args!("{ip}")),
    };
    for (index, octet) in ip.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        number(u64::from(octet), out);
    }
}

/// An endpoint as a JSON string, or null.
fn endpoint(endpoint: Option<SocketAddr>, out: &mut Vec<u8>) {
    match endpoint {
        Some(SocketAddr::V4(v4)) => {
            out.push(b'"');
            address(IpAddr::V4(*v4.ip()), out);
            out.push(b':');
            number(u64::from(v4.port()), out);
            out.push(b'"');
        }
        Some(v6) => escape::push(out, format_args!("\"{v6}\"")),
        None => out.extend_from_slice(b"null"),
    }
}

fn uri(bytes: &[u8], most: usize, escape: Escape, clean: &mut Vec<u8>, out: &mut Vec<u8>) {
    clean.clear();
    redact::uri(bytes, clean);
    field(clean, most, escape, out);
}

/// Text that is not a URI; some APIs take a key as the user name of Basic credentials.
fn free(bytes: &[u8], escape: Escape, clean: &mut Vec<u8>, out: &mut Vec<u8>) {
    clean.clear();
    redact::text(bytes, clean);
    field(clean, bounds::LOG_FIELD_BYTES_MAX, escape, out);
}

/// Escapes a field, cut to `most` bytes; what was cut ends in `...`.
fn field(bytes: &[u8], most: usize, escape: Escape, out: &mut Vec<u8>) {
    let (kept, is_cut) = cut(bytes, most);
    escape(kept, out);
    if is_cut {
        out.extend_from_slice(b"...");
    }
}

/// The first `most` bytes, less a character that the cut would split.
fn cut(bytes: &[u8], most: usize) -> (&[u8], bool) {
    if bytes.len() <= most {
        return (bytes, false);
    }
    let is_inside = |at: &usize| bytes.get(*at).is_some_and(|b| b & 0xc0 == 0x80);
    // A character of UTF-8 has at most three bytes after its first.
    let end = (most.saturating_sub(3)..=most).rev().find(|at| !is_inside(at)).unwrap_or(most);
    (bytes.get(..end).unwrap_or(bytes), true)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn record() -> AccessRecord<'static> {
        AccessRecord {
            unix_ms: 1_795_449_600_123,
            client: IpAddr::V6(Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped()),
            user: None,
            method: b"POST",
            target: b"/v1/messages?key=abc&beta=true",
            version: "HTTP/1.1",
            status: 200,
            bytes_sent: 512,
            bytes_received: 64,
            referer: None,
            user_agent: Some(b"curl/8 \"x\""),
            host: b"api.example.com",
            request_id: b"r-1",
            route: "llm",
            upstream: "anthropic",
            endpoint: Some("[2001:db8::1]:443".parse().unwrap()),
            reason: None,
            caller: None,
            rule: None,
            cache: None,
            cache_detail: None,
            total_us: 12_034,
            upstream_us: Some(999),
            first_byte_us: None,
            core: 3,
            response_head: b"",
        }
    }

    fn write(format: AccessFormat, record: &AccessRecord<'_>) -> String {
        write_with(&LogOptions::of(format), record, &|_| None)
    }

    fn write_with(options: &LogOptions, record: &AccessRecord<'_>, header: Header<'_>) -> String {
        let mut scratch = Scratch { stamps: Stamps::new(TimeZone::UTC), clean: Vec::new() };
        let mut out = Vec::new();
        access(options, record, header, &mut scratch, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_sanitized_line_is_that_of_the_article() {
        let mut record = record();
        record.user = Some(b"ann b]");
        record.referer = Some(b"https://ann:pw@example.org/a?token=x");
        assert_eq!(
            write(AccessFormat::Sanitized, &record),
            "192.0.2.7 - ann\\x20b\\x5d [23/Nov/2026:16:00:00 +0000] \"POST /v1/messages?key=***&beta=true HTTP/1.1\" \
             200 512 \"https://***@example.org/a?token=***\" \"***\"\n"
        );
    }

    #[test]
    fn the_combined_line_has_the_user_agent_and_dashes_for_what_is_missing() {
        let mut record = record();
        assert!(write(AccessFormat::Combined, &record).ends_with(" 200 512 \"-\" \"curl/8 \\x22x\\x22\"\n"));
        (record.method, record.target, record.user_agent, record.status) = (b"", b"", None, 400);
        let line = write(AccessFormat::Combined, &record);
        assert_eq!(line, "192.0.2.7 - - [23/Nov/2026:16:00:00 +0000] \"-\" 400 512 \"-\" \"-\"\n");
        assert_eq!(write(AccessFormat::Off, &record), "");
    }

    #[test]
    fn the_json_line_holds_every_field() {
        let mut record = record();
        assert_eq!(
            write(AccessFormat::Json, &record),
            "{\"time\":\"2026-11-23T16:00:00.123Z\",\"client\":\"192.0.2.7\",\"method\":\"POST\",\
             \"host\":\"api.example.com\",\"path\":\"/v1/messages?key=***&beta=true\",\"version\":\"HTTP/1.1\",\
             \"status\":200,\"bytes_sent\":512,\"bytes_received\":64,\"duration_ms\":12.034,\"upstream_ms\":0.999,\
             \"first_byte_ms\":null,\"route\":\"llm\",\"upstream\":\"anthropic\",\"endpoint\":\"[2001:db8::1]:443\",\
             \"request_id\":\"r-1\",\"reason\":null,\"user_agent\":\"curl/8 \\\"x\\\"\",\"core\":3}\n"
        );
        record.reason = Some("client_gone");
        record.user = Some(b"ann");
        record.referer = Some(b"https://e.org/?code=1");
        let line: Value = serde_json::from_str(&write(AccessFormat::Json, &record)).unwrap();
        assert_eq!((&line["reason"], &line["user"]), (&Value::from("client_gone"), &Value::from("ann")));
        assert_eq!(line["referer"], "https://e.org/?code=***");
    }

    #[test]
    fn a_json_line_has_the_chosen_fields_and_headers_in_the_order_written() {
        let mut options = LogOptions::of(AccessFormat::Json);
        options.fields = vec![Field::Status, Field::Caller, Field::Time, Field::Path];
        let mut record = record();
        let header: Header<'_> = &|name| match name {
            "x-team" => Some(b"a \"b\""),
            "authorization" => Some(b"Bearer PLANTED"),
            "x-note" => Some(b"see https://h/?api_key=PLANTED"),
            _ => None,
        };
        assert_eq!(
            write_with(&options, &record, header),
            "{\"status\":200,\"time\":\"2026-11-23T16:00:00.123Z\",\"path\":\"/v1/messages?key=***&beta=true\"}\n"
        );
        options.fields.clear();
        assert_eq!(write_with(&options, &record, header), "{}\n");
        options.request_headers = vec!["x-team".into(), "authorization".into(), "x-none".into(), "x-note".into()];
        let asked = "\"headers\":{\"x-team\":\"a \\\"b\\\"\",\"authorization\":\"***\",\"x-note\":\"***\"}";
        assert_eq!(write_with(&options, &record, header), format!("{{{asked}}}\n"));
        options.response_headers = vec!["x-rest".into(), "set-cookie".into(), "x".into()];
        record.response_head = b"HTTP/1.1 200 X: no\r\nX-Rest:  7 \r\nSet-Cookie: id=PLANTED\r\nX-Rest: 8\r\n\r\n";
        let line = write_with(&options, &record, header);
        assert!(line.ends_with(",\"response_headers\":{\"x-rest\":\"7\",\"set-cookie\":\"***\"}}\n"), "{line}");
    }

    #[test]
    fn a_long_field_is_cut_between_characters_and_after_redaction() {
        let long = "é".repeat(bounds::LOG_FIELD_BYTES_MAX);
        let target = format!("/{}?key=PLANTED", "x".repeat(bounds::LOG_TARGET_BYTES_MAX - 5));
        let mut record = record();
        (record.host, record.target) = (long.as_bytes(), target.as_bytes());
        let line: Value = serde_json::from_str(&write(AccessFormat::Json, &record)).unwrap();
        assert_eq!(line["host"], format!("{}...", "é".repeat(bounds::LOG_FIELD_BYTES_MAX / 2)));
        assert!(line["path"].as_str().unwrap().ends_with("x?key..."));
        assert_eq!(cut("ab\u{e9}".as_bytes(), 3), (&b"ab"[..], true));
        assert_eq!(cut(b"abc", 3), (&b"abc"[..], false));
        assert_eq!(cut(&[0x80; 9], 5), (&[0x80; 5][..], true));
    }

    proptest! {
        #[test]
        fn any_bytes_give_one_line_of_valid_shape(
            bytes in prop::collection::vec(any::<u8>(), 0..96), status in 100_u16..600, micros in any::<u64>(),
        ) {
            let mut record = record();
            (record.method, record.target, record.host, record.request_id) = (&bytes, &bytes, &bytes, &bytes);
            let some = Some(bytes.as_slice());
            (record.user, record.referer, record.user_agent) = (some, some, some);
            (record.status, record.total_us, record.upstream_us) = (status, micros, Some(micros));
            let line = write(AccessFormat::Json, &record);
            prop_assert_eq!(line.matches('\n').count(), 1);
            let parsed: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(parsed["status"].as_u64(), Some(u64::from(status)));
            if let Ok(text) = std::str::from_utf8(&bytes) {
                prop_assert_eq!(parsed["host"].as_str(), Some(text));
            }
            for format in [AccessFormat::Sanitized, AccessFormat::Combined] {
                let line = write(format, &record);
                prop_assert!(line.bytes().all(|b| matches!(b, 0x20..=0x7e | b'\n')));
                // Three quoted fields, so six quotes, whatever came.
                prop_assert_eq!((line.matches('\n').count(), line.matches('"').count()), (1, 6));
            }
        }

        #[test]
        fn no_planted_secret_reaches_a_line(noise in "[a-z0-9/=;]{0,20}", name in "(api[-_]?)?key|access_token|sig|Password") {
            let query = format!("/p?x=1&{name}={noise}PLANTED&y=2");
            let referer = format!("https://{}:PLANTED@h.example{query}", noise.replace(['/', ';', '='], "-"));
            let agent = format!("app/1 Bearer {}PLANTED", noise.replace(' ', ""));
            let mut record = record();
            let user = format!("sk_live_0123{}PLANTED", noise.replace(['/', ';', '='], "-"));
            (record.target, record.referer, record.user_agent, record.user) =
                (query.as_bytes(), Some(referer.as_bytes()), Some(agent.as_bytes()), Some(user.as_bytes()));
            for (_, format) in AccessFormat::NAMES {
                prop_assert!(!write(*format, &record).contains("PLANTED"));
            }
        }
    }
}
