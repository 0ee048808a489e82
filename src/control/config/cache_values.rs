//! Single values of the cache's keys: a text becomes a value or a fault. Pure; knows nothing of other keys.

use super::fields;
use super::problems::{Fault, fault};
use super::raw_cache::KeyPart;
use super::reader::did_you_mean;
use super::values::{milliseconds, quoted};
use crate::base::units;
use crate::bounds;

/// Parts of a key as they are written; `header:` is followed by a name.
const PARTS: [(&str, KeyPart); 9] = [
    ("scheme", KeyPart::Scheme),
    ("host", KeyPart::Host),
    ("path", KeyPart::Path),
    ("query", KeyPart::Query),
    ("caller", KeyPart::Caller),
    ("body", KeyPart::Body),
    ("body-json", KeyPart::BodyJson),
    ("method", KeyPart::Method),
    ("version", KeyPart::Version),
];
/// Fields that hold a caller's credentials: the part `caller` takes them as a hash, `header:` would take them as they are.
const CREDENTIALS: [&str; 6] =
    ["authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];
/// Bytes of a reason that an operator writes down.
const REASON_BYTES_MAX: usize = 256;

/// A part of the key by name.
pub(super) fn key_part(text: &str) -> Result<KeyPart, Fault> {
    if let Some((_, part)) = PARTS.iter().find(|(name, _)| *name == text) {
        return Ok(part.clone());
    }
    if let Some(name) = text.strip_prefix("header:") {
        let name = header_name(name)?;
        return match &*name {
            name if CREDENTIALS.contains(&name) => {
                let what = format!("{} holds a secret of the caller", quoted(name));
                Err(fault(what, "write \"caller\": it tells callers apart without keeping their secrets"))
            }
            "host" => Err(fault("the Host field is a part of its own", "write \"host\"")),
            _ => Ok(KeyPart::Header(name)),
        };
    }
    let mut known: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
    known.push("header:NAME");
    Err(fault(format!("{} is not a part of a key", quoted(text)), did_you_mean(text, &known)))
}

/// A field name in lower case.
pub(super) fn header_name(text: &str) -> Result<Box<str>, Fault> {
    fields::field_name(text).map(|()| text.to_ascii_lowercase().into())
}

/// The name of a query parameter, as it comes in requests (no decoding takes place).
pub(super) fn query_name(text: &str) -> Result<Box<str>, Fault> {
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b'&' | b'=' | b'#');
    match !text.is_empty() && text.bytes().all(fits) {
        true => Ok(text.into()),
        false => Err(fault(
            format!("{} is not the name of a query parameter", quoted(text)),
            "write it without =, percent-encoded where requests have it so",
        )),
    }
}

/// The name of a member of a JSON object.
pub(super) fn member_name(text: &str) -> Result<Box<str>, Fault> {
    match text {
        "" => Err(fault("is empty", "write the name of a member of the body, such as user")),
        text => Ok(text.into()),
    }
}

/// Why something unusual is switched on.
pub(super) fn reason(text: &str) -> Result<Box<str>, Fault> {
    const HINT: &str = "write why, such as \"a library sends no-cache with every call\"";
    match text.trim() {
        "" => Err(fault("is empty", HINT)),
        text if text.len() > REASON_BYTES_MAX => {
            Err(fault(format!("is longer than {REASON_BYTES_MAX} bytes"), "write the reason in a sentence"))
        }
        text if text.contains(char::is_control) => Err(fault("has a control character", HINT)),
        text => Ok(text.into()),
    }
}

/// A status whose lifetime is set; `None` = `any`.
pub(super) fn status(text: &str) -> Result<Option<u16>, Fault> {
    if text == "any" {
        return Ok(None);
    }
    match text.parse::<u16>() {
        Ok(206 | 304) => Err(fault(
            format!("an answer with status {text} is never stored by itself"),
            "leave it out: parts (206) and confirmations (304) live as long as the answer that they belong to",
        )),
        Ok(status @ 200..=599) if text.len() == 3 => Ok(Some(status)),
        _ => Err(fault(format!("{} is not a status", quoted(text)), "write a status from 200 to 599, or any")),
    }
}

/// A lifetime in milliseconds, up to the ceiling of lifetimes; zero is one.
pub(super) fn lifetime_ms(text: &str) -> Result<u64, Fault> {
    duration_between(text, 0, bounds::LIFETIME_MS_MAX)
}

/// A duration in milliseconds between two bounds, both included; parts of a millisecond are rounded up.
pub(super) fn duration_between(text: &str, least: u64, most: u64) -> Result<u64, Fault> {
    let shown = |ms: u64| units::format_duration(std::time::Duration::from_millis(ms));
    match milliseconds(text)? {
        ms if ms < least => Err(fault("is too short", format!("write at least {}", shown(least)))),
        ms if ms > most => Err(fault("is too long", format!("write at most {}", shown(most)))),
        ms => Ok(ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_key_are_read_by_name() {
        assert_eq!(key_part("body-json"), Ok(KeyPart::BodyJson));
        assert_eq!(key_part("header:X-Team"), Ok(KeyPart::Header("x-team".into())));
        for (text, said) in [
            ("hots", "did you mean `host`?"),
            ("body_json", "did you mean `body-json`?"),
            ("xyzzy", "known are scheme, host, path, query, caller, body, body-json, method, version, header:NAME"),
            ("header:", "write letters"),
            ("header:a b", "write letters"),
            ("header:X-Api-Key", "write \"caller\""),
            ("header:cookie", "write \"caller\""),
            ("header:host", "write \"host\""),
        ] {
            assert!(key_part(text).unwrap_err().hint.starts_with(said), "{text}: {:?}", key_part(text));
        }
    }

    #[test]
    fn statuses_are_those_of_whole_final_answers() {
        for (text, status_of) in [("any", None), ("200", Some(200)), ("404", Some(404)), ("599", Some(599))] {
            assert_eq!(status(text), Ok(status_of));
        }
        for text in ["206", "304", "100", "199", "600", "20", "0200", "+20", "", "2xx", "Any"] {
            assert!(status(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_keep_to_their_bounds() {
        assert_eq!(
            (lifetime_ms("0s"), lifetime_ms("0.1ms"), lifetime_ms("3650d")),
            (Ok(0), Ok(1), Ok(315_360_000_000))
        );
        assert_eq!(lifetime_ms("3651d"), Err(fault("is too long", "write at most 3650d")));
        assert_eq!(duration_between("9s", 10_000, 20_000), Err(fault("is too short", "write at least 10s")));
    }

    #[test]
    fn names_and_reasons_are_texts_of_their_kind() {
        assert_eq!(query_name("filter[name]"), Ok("filter[name]".into()));
        for text in ["", "a=1", "a&b", "a b", "é", "#"] {
            assert!(query_name(text).is_err(), "{text}");
        }
        assert_eq!(reason(" because "), Ok("because".into()));
        for text in ["", " \t", "a\nb", &"x".repeat(257)] {
            assert!(reason(text).is_err(), "{text}");
        }
        assert_eq!(header_name("X-A"), Ok("x-a".into()));
        assert!(header_name("a:").is_err() && member_name("").is_err() && member_name("ü").is_ok());
    }
}
