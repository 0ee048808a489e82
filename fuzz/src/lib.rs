//! Properties of the log and of routes that hold for all bytes, for the targets of this package and for the bounded
//! smoke on stable (`tests/fuzz_smoke.rs` includes this file). Each panics where its property breaks.
//!
//! Uses the public surface alone; properties that need more stand beside their code (`ringway::h1::fuzz`).

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ringway::log::{AccessFormat, AccessRecord, CoreLog, LogOptions, LogSink, LogWriter, redact};
use ringway::proxy::route::{Rewrite, has_dot_segment};

/// What must never come out again.
const PLANTED: &[u8] = b"PLANTED";

/// Secrets of requests are hidden whatever stands around them, and what is hidden stays as it is.
pub fn redaction(data: &[u8]) {
    let data = data.get(..512).unwrap_or(data);
    if has(data, PLANTED) {
        return;
    }
    let (before, after) = halves(data);
    for (lead, secret) in [
        (&b"/a?"[..], &b"&key=PLANTED"[..]),
        (b"/a?", b"&Api-Key=PLANTED"),
        (b"/a?", b"&x=sk-PLANTED"),
        (b"/a?", b"&acces%73_token=PLANTED"),
        (b"https://h/a?", b"&password=PLANTED"),
    ] {
        let target = [lead, before, secret, b"&", after].concat();
        assert!(!has(&clean_uri(&target), PLANTED), "{}", target.escape_ascii());
    }
    let user = [b"https://user:PLANTED@h/", data].concat();
    assert!(!has(&clean_uri(&user), PLANTED), "{}", user.escape_ascii());
    let free = [before, b" Bearer PLANTED ", after].concat();
    let mut words = Vec::new();
    redact::text(&free, &mut words);
    assert!(!has(&words, PLANTED), "{}", free.escape_ascii());
    // Of a target with a path alone: what is hidden elsewhere may look like a scheme the second time.
    let once = clean_uri(&[b"/a", data].concat());
    assert_eq!(clean_uri(&once), once, "{}", data.escape_ascii());
}

/// Whatever a request holds, each format writes one line without its secrets; that of JSON is valid.
pub fn access_line(data: &[u8]) {
    let data = data.get(..4096).unwrap_or(data);
    if has(data, PLANTED) {
        return;
    }
    let (before, after) = halves(data);
    let target = [b"/a?", before, b"&key=PLANTED&", after].concat();
    let referer = [b"https://user:PLANTED@h/", after].concat();
    let agent = [before, b" Bearer PLANTED ", after].concat();
    let head = [b"HTTP/1.1 200 OK\r\nSet-Cookie: PLANTED\r\nX-A: ", after, b"\r\nX-B: ", before].concat();
    let record = AccessRecord {
        unix_ms: 1_795_449_600_123,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user: Some(b"sk_live_0123456789PLANTED"),
        method: before,
        target: &target,
        version: "HTTP/1.1",
        status: 200,
        bytes_sent: u64::MAX,
        bytes_received: 0,
        referer: Some(&referer),
        user_agent: Some(&agent),
        host: after,
        request_id: data,
        route: "llm",
        upstream: "llm",
        endpoint: None,
        reason: None,
        caller: None,
        rule: None,
        cache: None,
        cache_detail: None,
        total_us: u64::MAX,
        upstream_us: Some(1_000),
        first_byte_us: None,
        core: 0,
        response_head: &head,
    };
    for format in [AccessFormat::Json, AccessFormat::Sanitized, AccessFormat::Combined] {
        let line = written(format, &record);
        assert!(line.ends_with(b"\n") && line.iter().filter(|b| **b == b'\n').count() == 1, "{format:?}: one line");
        assert!(!has(&line, PLANTED), "{format:?}: {}", line.escape_ascii());
        if format == AccessFormat::Json {
            let value = serde_json::from_slice::<serde_json::Value>(&line);
            assert!(value.is_ok_and(|v| v["path"].is_string() && v["status"] == 200), "{}", line.escape_ascii());
        } else {
            assert!(line.iter().all(|b| matches!(b, b' '..=b'~' | b'\n')), "{}", line.escape_ascii());
            assert_eq!(line.iter().filter(|b| **b == b'"').count(), 6, "{}", line.escape_ascii());
        }
    }
}

/// A rewritten path begins with exactly one slash, and neither a rewrite nor a careless reader makes a dot segment of a
/// path that was found to have none.
pub fn path(data: &[u8]) {
    let data = data.get(..1024).unwrap_or(data);
    let plain = [b"/", data].concat();
    assert_eq!(has_dot_segment(&plain), reads_as_dots(&plain), "{}", plain.escape_ascii());
    for (strip, replace) in [("/v1", ""), ("/v1", "/"), ("/v1", "/v2"), ("/v1", "/v2/"), ("/v1/", "/"), ("/", "/v2")] {
        // As a route matches it: the prefix ends where a segment ends.
        let slash: &[u8] = if strip.ends_with('/') || data.is_empty() { b"" } else { b"/" };
        let path = [strip.as_bytes(), slash, data].concat();
        let mut out = Vec::new();
        Rewrite { strip: strip.into(), replace: replace.into() }.apply(&path, &mut out);
        let case = || format!("{strip} -> {replace}: {} gives {}", path.escape_ascii(), out.escape_ascii());
        assert!(out.first() == Some(&b'/') && out.get(1) != Some(&b'/'), "{}", case());
        assert!(has_dot_segment(&path) || !has_dot_segment(&out), "{}", case());
    }
}

/// The plain way to say it: decode once what could be a dot or a slash, cut parameters off, look at the segments.
fn reads_as_dots(path: &[u8]) -> bool {
    let text: String = path.iter().map(|byte| char::from(*byte)).collect();
    let text = text.replace("%2e", "%2E").replace("%2f", "%2F").replace("%5c", "%5C");
    let text = text.replace("%2E", ".").replace("%2F", "/").replace("%5C", "/").replace('\\', "/");
    text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).any(|name| name == "." || name == "..")
}

/// What the log's writer put into its file.
fn written(format: AccessFormat, record: &AccessRecord<'_>) -> Vec<u8> {
    static FILES: AtomicU64 = AtomicU64::new(0);
    let name = format!("ringway-line-{}-{}", std::process::id(), FILES.fetch_add(1, Ordering::Relaxed));
    let file = std::env::temp_dir().join(name);
    let line = write_to(&file, format, record);
    std::fs::remove_file(&file).expect("the file is removed, because this test alone made it");
    line
}

fn write_to(file: &Path, format: AccessFormat, record: &AccessRecord<'_>) -> Vec<u8> {
    let (writer, lanes) = LogWriter::start(LogSink::File(file.to_owned()), 1).expect("a writer");
    for lane in lanes {
        let mut options = LogOptions::of(format);
        options.request_headers = vec!["x-api-key".into(), "x-note".into()];
        options.response_headers = vec!["set-cookie".into(), "x-a".into(), "x-b".into()];
        CoreLog::new(options, lane).access(record, &|name| match name {
            "x-note" => Some(record.referer.unwrap_or_default()),
            _ => Some(PLANTED),
        });
    }
    assert!(writer.finish());
    std::fs::read(file).expect("the file of the log")
}

fn clean_uri(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    redact::uri(input, &mut out);
    out
}

fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    data.split_at(data.len() / 2)
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
