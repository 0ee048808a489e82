//! What was written about the log: `[log]`, each value checked by itself. The list of these keys, as `raw.rs` is of the
//! others; what they mean together is decided by `logging.rs`.

use std::ops::RangeInclusive;

use super::fields;
use super::problems::{At, Fault, fault};
use super::reader::Table;
use super::values::{self, quoted};
use crate::log::{AccessFormat, Field, SHARE_WHOLE};

/// `[log]`
#[derive(Debug, Default)]
pub(super) struct RawLog {
    pub access: Option<At<Access>>,
    pub format: Option<At<AccessFormat>>,
    pub fields: Option<At<Vec<At<Field>>>>,
    pub headers: Option<At<Vec<At<String>>>>,
    pub response_headers: Option<At<Vec<At<String>>>>,
    /// In millionths.
    pub sample: Option<At<u32>>,
    pub slow: Option<At<u64>>,
    pub always: Option<At<Vec<At<RangeInclusive<u16>>>>>,
    pub redact: RawRedact,
}

/// `[log.redact]`
#[derive(Debug, Default)]
pub(super) struct RawRedact {
    pub headers: Option<At<Vec<At<String>>>>,
    pub query: Option<At<Vec<At<String>>>>,
}

/// Where access lines go, as written: paths are not resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Stdout,
    Off,
    File(String),
    SyslogSocket(String),
    SyslogUdp(String),
}

/// Bytes of a name that is hidden: more are not compared.
const HIDDEN_NAME_BYTES_MAX: usize = 64;

/// Reads `[log]`.
pub(super) fn log(t: &mut Table<'_>) -> RawLog {
    RawLog {
        access: t.parsed("access", access),
        format: t.parsed("format", |text| values::choice(text, AccessFormat::NAMES)),
        fields: t.list("fields", |text| values::choice(text, Field::NAMES)),
        headers: t.list("headers", header),
        response_headers: t.list("response_headers", header),
        sample: t.share("sample", SHARE_WHOLE),
        slow: t.parsed("slow", values::duration_ms),
        always: t.list("always", statuses),
        redact: t.table("redact", redact).unwrap_or_default(),
    }
}

fn redact(t: &mut Table<'_>) -> RawRedact {
    RawRedact { headers: t.list("headers", header), query: t.list("query", hidden_name) }
}

fn access(text: &str) -> Result<Access, Fault> {
    const HINT: &str = "write \"syslog:/dev/log\" or \"syslog:udp:HOST:PORT\"";
    let Some(target) = text.strip_prefix("syslog:") else {
        return Ok(match text {
            "stdout" => Access::Stdout,
            "off" => Access::Off,
            path => Access::File(values::file_name(path)?),
        });
    };
    let Some(server) = target.strip_prefix("udp:") else {
        return match target.starts_with('/') {
            true => Ok(Access::SyslogSocket(values::file_name(target)?)),
            false => Err(fault(format!("{} names no syslog", quoted(text)), HINT)),
        };
    };
    let port = server.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
    match port.and_then(|port| port.parse::<u16>().ok()).is_some_and(|port| port > 0) {
        true => Ok(Access::SyslogUdp(server.to_owned())),
        false => Err(fault(format!("{} names no server with a port", quoted(text)), HINT)),
    }
}

fn header(text: &str) -> Result<String, Fault> {
    fields::field_name(text).map(|()| text.to_ascii_lowercase())
}

/// The name of a parameter: compared by its letters and digits.
fn hidden_name(text: &str) -> Result<String, Fault> {
    match text.len() <= HIDDEN_NAME_BYTES_MAX && text.bytes().any(|b| b.is_ascii_alphabetic()) {
        true => Ok(text.to_owned()),
        false => {
            let hint = "write 1 to 64 bytes with a letter of ASCII among them, such as \"account\"";
            Err(fault(format!("{} is not a name of a parameter", quoted(text)), hint))
        }
    }
}

/// A status, or a class of them.
fn statuses(text: &str) -> Result<RangeInclusive<u16>, Fault> {
    let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok()).filter(|c| (1..=5).contains(c));
    let single = text.parse::<u16>().ok().filter(|status| (100..=599).contains(status) && text.len() == 3);
    match (class, single) {
        (Some(class), _) => Ok(class * 100..=class * 100 + 99),
        (None, Some(status)) => Ok(status..=status),
        (None, None) => Err(fault(format!("{} is no status", quoted(text)), "write \"5xx\" or \"429\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_the_log_are_told_apart() {
        for (text, expected) in [
            ("stdout", Some(Access::Stdout)),
            ("off", Some(Access::Off)),
            ("a/b.log", Some(Access::File("a/b.log".to_owned()))),
            ("syslog:/dev/log", Some(Access::SyslogSocket("/dev/log".to_owned()))),
            ("syslog:udp:logs.example:514", Some(Access::SyslogUdp("logs.example:514".to_owned()))),
            ("syslog:udp:[::1]:514", Some(Access::SyslogUdp("[::1]:514".to_owned()))),
            ("syslog:", None),
            ("syslog:tcp:h:1", None),
            ("syslog:udp:h", None),
            ("syslog:udp::514", None),
            ("syslog:udp:h:0", None),
            ("", None),
        ] {
            assert_eq!(access(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn statuses_are_single_or_classes() {
        assert_eq!((statuses("5xx").unwrap(), statuses("429").unwrap()), (500..=599, 429..=429));
        for text in ["", "xx", "6xx", "0xx", "600", "99", "+429", "4x", "4XX"] {
            assert!(statuses(text).is_err(), "{text}");
        }
    }
}
