//! What is written of the log, and what it means.

use super::*;
use crate::log::{AccessFormat, Field, LogOptions, SHARE_WHOLE};
use crate::plan::AccessLog;

fn start(lines: &str) -> crate::plan::Start {
    load_text(&with("server", &format!("[log]\n{lines}"))).unwrap_or_else(|e| panic!("{e}")).plan.start
}

#[test]
fn fields_headers_sampling_and_hidden_names_reach_the_plan() {
    let start = start(
        "access = \"syslog:/dev/log\"\nfields = [\"status\", \"time\"]\nheaders = [\"X-Team\"]\n\
         response_headers = [\"x-rest\"]\nsample = 0.01\nslow = \"250ms\"\nalways = [\"5xx\", \"429\"]\n\
         redact = { headers = [\"X-Account\"], query = [\"tenant[id]\"] }",
    );
    assert_eq!(start.access_log, AccessLog::SyslogSocket("/dev/log".into()));
    let log = &start.log;
    assert_eq!((&*log.fields, log.format), (&[Field::Status, Field::Time][..], AccessFormat::Json));
    assert_eq!((&*log.request_headers, &*log.response_headers), (&["x-team".into()][..], &["x-rest".into()][..]));
    assert_eq!((log.sampling.share, log.sampling.slow_us), (SHARE_WHOLE / 100, 250_000));
    assert_eq!(log.sampling.always, [500..=599, 429..=429]);
    assert_eq!(start.hidden_names, ["x-account".into(), "tenant[id]".into()]);
}

#[test]
fn a_bare_log_is_json_with_everything() {
    assert_eq!(start("").log, LogOptions::of(AccessFormat::Json));
    assert_eq!(start("sample = 0").log.sampling.share, 0);
    assert_eq!(start("sample = 1").log.sampling.share, SHARE_WHOLE);
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (lines, expected) in [
        ("fields = [\"statsu\"]", "3:11: log.fields[0]: \"statsu\" is not a known value; did you mean `status`?"),
        ("fields = [\"time\", \"time\"]", "3:19: log.fields[1]: another field has the name \"time\""),
        ("headers = [\"a b\"]", "3:12: log.headers[0]: \"a b\" is not a header name"),
        ("headers = [\"a\", \"A\"]", "3:17: log.headers[1]: another header has the name \"a\""),
        ("sample = 1.5", "3:10: log.sample: is out of range; write a number from 0 to 1"),
        ("sample = nan", "3:10: log.sample: is out of range; write a number from 0 to 1"),
        ("sample = \"1%\"", "3:10: log.sample: is a string, but must be a number from 0 to 1"),
        ("sample = 0.5\nalways = [\"6xx\"]", "4:11: log.always[0]: \"6xx\" is no status; write \"5xx\" or \"429\""),
        ("access = \"syslog:udp:h\"", "3:10: log.access: \"syslog:udp:h\" names no server with a port"),
        ("redact = { query = [\"12\"] }", "3:21: log.redact.query[0]: \"12\" is not a name of a parameter"),
    ] {
        let shown = load_text(&with("server", &format!("[log]\n{lines}"))).unwrap_err().to_string();
        assert!(shown.contains(expected), "{lines}: {shown}");
    }
}

#[test]
fn what_has_no_effect_is_said() {
    let text = with("server", "[log]\nformat = \"combined\"\nfields = [\"time\"]\nslow = \"1s\"");
    let warnings = load_text(&text).unwrap_or_else(|e| panic!("{e}")).warnings.join("\n");
    assert!(warnings.contains("log.fields: has no effect: only JSON lines have chosen fields"), "{warnings}");
    assert!(warnings.contains("log.slow: has no effect: every line is written"), "{warnings}");
}
