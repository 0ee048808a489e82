//! One exchange as one line, in each of the formats.
//!
//! Pure: appends to a batch, reads no clock. Everything that a client sent passes `escape`; target and referer pass
//! `redact` before that, and are cut after it, so that a cut never hides what makes a value a secret.

use super::redact;
use super::stamp::Stamps;
use super::{AccessFormat, AccessRecord, escape};
use crate::bounds;

/// Buffers that live from line to line.
pub struct Scratch {
    pub stamps: Stamps,
    /// The redacted form of the field that is being written.
    pub clean: Vec<u8>,
}

/// Appends the line of an exchange, line feed included; nothing when the format is off.
pub fn access(format: AccessFormat, record: &AccessRecord<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) {
    match format {
        AccessFormat::Json => json(record, scratch, out),
        AccessFormat::Sanitized => text(record, scratch, out, None),
        AccessFormat::Combined => text(record, scratch, out, Some(record.user_agent)),
        AccessFormat::Off => {}
    }
}

/// The common fields of the two text formats; `agent` is `None` where its place is masked.
fn text(record: &AccessRecord<'_>, scratch: &mut Scratch, out: &mut Vec<u8>, agent: Option<Option<&[u8]>>) {
    escape::push(out, format_args!("{} - ", record.client.to_canonical()));
    match record.user {
        Some(user) if !user.is_empty() => escape::word(cut(user, bounds::LOG_FIELD_BYTES_MAX).0, out),
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
    escape::push(out, format_args!("\" {} {} \"", record.status, record.bytes_sent));
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

fn json(record: &AccessRecord<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let most = bounds::LOG_FIELD_BYTES_MAX;
    out.extend_from_slice(b"{\"time\":\"");
    scratch.stamps.rfc3339(record.unix_ms, out);
    escape::push(out, format_args!("\",\"client\":\"{}\",\"method\":\"", record.client.to_canonical()));
    field(record.method, most, escape::json, out);
    out.extend_from_slice(b"\",\"host\":\"");
    field(record.host, most, escape::json, out);
    out.extend_from_slice(b"\",\"path\":\"");
    uri(record.target, bounds::LOG_TARGET_BYTES_MAX, escape::json, &mut scratch.clean, out);
    out.extend_from_slice(b"\",\"version\":\"");
    field(record.version.as_bytes(), most, escape::json, out);
    escape::push(
        out,
        format_args!(
            "\",\"status\":{},\"bytes_sent\":{},\"bytes_received\":{}",
            record.status, record.bytes_sent, record.bytes_received
        ),
    );
    milliseconds("duration_ms", Some(record.total_us), out);
    milliseconds("upstream_ms", record.upstream_us, out);
    milliseconds("first_byte_ms", record.first_byte_us, out);
    string("route", Some(record.route.as_bytes()), out);
    string("upstream", Some(record.upstream.as_bytes()), out);
    match record.endpoint {
        Some(endpoint) => escape::push(out, format_args!(",\"endpoint\":\"{endpoint}\"")),
        None => out.extend_from_slice(b",\"endpoint\":null"),
    }
    string("request_id", Some(record.request_id), out);
    string("reason", record.reason.map(str::as_bytes), out);
    if let Some(referer) = record.referer {
        out.extend_from_slice(b",\"referer\":\"");
        uri(referer, most, escape::json, &mut scratch.clean, out);
        out.push(b'"');
    }
    match record.user_agent {
        Some(agent) => {
            out.extend_from_slice(b",\"user_agent\":\"");
            free(agent, escape::json, &mut scratch.clean, out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b",\"user_agent\":null"),
    }
    if let Some(user) = record.user {
        string("user", Some(user), out);
    }
    escape::push(out, format_args!(",\"core\":{}}}\n", record.core));
}

/// How a place in a line escapes bytes.
type Escape = fn(&[u8], &mut Vec<u8>);

/// `,"name":"value"` or `,"name":null`.
fn string(name: &str, value: Option<&[u8]>, out: &mut Vec<u8>) {
    escape::push(out, format_args!(",\"{name}\":"));
    let Some(value) = value else { return out.extend_from_slice(b"null") };
    out.push(b'"');
    field(value, bounds::LOG_FIELD_BYTES_MAX, escape::json, out);
    out.push(b'"');
}

/// `,"name":1.234` from microseconds, or null.
fn milliseconds(name: &str, micros: Option<u64>, out: &mut Vec<u8>) {
    match micros {
        Some(us) => escape::push(out, format_args!(",\"{name}\":{}.{:03}", us / 1_000, us % 1_000)),
        None => escape::push(out, format_args!(",\"{name}\":null")),
    }
}

fn uri(bytes: &[u8], most: usize, escape: Escape, clean: &mut Vec<u8>, out: &mut Vec<u8>) {
    clean.clear();
    redact::uri(bytes, clean);
    field(clean, most, escape, out);
}

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
