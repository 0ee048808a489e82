//! What was written about limits: `[limits]` and `[[limit]]`, each value checked by itself. The list of these keys, as
//! `raw.rs` is of the others; what they mean together is decided by `limiting.rs`.

use super::cache_values::{duration_between, header_name};
use super::problems::{At, Fault, Place, fault};
use super::raw::size;
use super::reader::{Table, did_you_mean};
use super::values::{self, quoted};
use crate::bounds;
use crate::policy::limit::KeyPart;

/// `[limits]`
#[derive(Debug, Default)]
pub(super) struct RawLimitTable {
    pub memory: Option<At<u64>>,
    pub every_route: Option<At<Vec<At<String>>>>,
}

/// `[[limit]]`
#[derive(Debug, Default)]
pub(super) struct RawLimit {
    pub place: Place,
    pub name: Option<At<String>>,
    pub key: Option<At<Vec<At<KeyPart>>>>,
    pub rate: Option<At<Often>>,
    pub burst: Option<At<u64>>,
    pub delay: Option<At<u64>>,
    pub waiting: Option<At<u64>>,
    pub in_flight: Option<At<u64>>,
    pub dry_run: Option<At<bool>>,
    pub status: Option<At<u64>>,
    pub headers: Option<At<bool>>,
    pub address_bits_v4: Option<At<u64>>,
    pub address_bits_v6: Option<At<u64>>,
}

/// So many per time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Often {
    pub count: u64,
    pub period_ns: u64,
}

/// Requests per second that a rate may have at most: beyond it the interval in nanoseconds is no longer exact to 0.1 %.
const RATE_MAX: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// Ceiling of a burst.
const BURST_MAX: u64 = 10_000_000;

/// Reads `[limits]`.
pub(super) fn table(t: &mut Table<'_>) -> RawLimitTable {
    RawLimitTable {
        memory: size(t, "memory", bounds::LIMITS_BYTES_MIN, 1 << 40),
        every_route: t.list("every_route", values::any),
    }
}

/// Reads `[[limit]]`.
pub(super) fn limit(t: &mut Table<'_>) -> RawLimit {
    const STATUS: &str = "429 or 503";
    let status = |status: u64| match status {
        429 | 503 => Ok(status),
        _ => Err(fault(format!("{status} is not a status of refusals"), format!("write {STATUS}"))),
    };
    RawLimit {
        place: t.place(),
        name: t.required("name", "add name = \"per-address\"", values::name),
        key: t.list("key", key_part),
        rate: t.parsed("rate", often),
        burst: t.count("burst", 0, BURST_MAX),
        delay: t.parsed("delay", |text| duration_between(text, 1, bounds::DELAY_MS_MAX)),
        waiting: t.count("waiting", 1, 1_000_000),
        in_flight: t.count("in_flight", 1, 1_000_000),
        dry_run: t.boolean("dry_run"),
        status: t.number_or("status", STATUS, status, |_| Err(fault("is a string", format!("write {STATUS}")))),
        headers: t.boolean("headers"),
        address_bits_v4: t.count("address_bits_v4", 1, 32),
        address_bits_v6: t.count("address_bits_v6", 1, 128),
    }
}

/// Reads a burst, of requests or connections.
pub(super) fn burst(t: &mut Table<'_>, key: &'static str) -> Option<At<u64>> {
    t.count(key, 0, BURST_MAX)
}

/// `100/s`, `100r/s`, `600/m`, `10/h`.
pub(super) fn often(text: &str) -> Result<Often, Fault> {
    const HINT: &str = "write a number per second, minute or hour, such as \"100/s\", \"600/m\" or \"10/h\"";
    let wrong = || fault(format!("{} is not a rate", quoted(text)), HINT);
    let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
    let count = count.strip_suffix('r').unwrap_or(count);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    if count.is_empty() || !count.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    match count.parse().unwrap_or(u64::MAX) {
        0 => Err(fault("is zero", "write at least 1 per hour; a route that nobody may use needs no limit")),
        count if count > RATE_MAX * seconds => {
            Err(fault("is too high", format!("write at most {RATE_MAX}/s, or no limit at all")))
        }
        count => Ok(Often { count, period_ns: seconds * SECOND_NS }),
    }
}

/// A part of a limit's key by name.
fn key_part(text: &str) -> Result<KeyPart, Fault> {
    match (text, text.strip_prefix("header:")) {
        ("address", _) => Ok(KeyPart::Address),
        ("caller", _) => Ok(KeyPart::Caller),
        ("route", _) => Ok(KeyPart::Route),
        ("all", _) => Ok(KeyPart::All),
        (_, Some(name)) => header_name(name).map(KeyPart::Header),
        _ => {
            let hint = did_you_mean(text, &["address", "caller", "route", "all", "header:NAME"]);
            Err(fault(format!("{} is not a part of a limit's key", quoted(text)), hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_numbers_per_time() {
        let often = |text| often(text).map(|often| (often.count, often.period_ns / SECOND_NS));
        assert_eq!(often("100/s"), Ok((100, 1)));
        assert_eq!(often("100r/s"), Ok((100, 1)));
        assert_eq!(often("600r/m"), Ok((600, 60)));
        assert_eq!(often("3600000000/h"), Ok((3_600_000_000, 3_600)));
        for text in ["", "100", "100/", "/s", "r/s", "1.5/s", "-1/s", "+1/s", "100/d", "0/s", "1000001/s", "1 /s"] {
            assert!(often(text).is_err(), "{text}");
        }
        assert!(often("99999999999999999999999/h").unwrap_err().hint.contains("1000000/s"));
    }

    #[test]
    fn parts_of_a_key_are_read_by_name() {
        assert_eq!(key_part("header:X-Team"), Ok(KeyPart::Header("x-team".into())));
        assert_eq!(key_part("adress").unwrap_err().hint, "did you mean `address`?");
        assert!(key_part("header:").is_err() && key_part("").is_err());
    }
}
