//! Durations and sizes as people write them: `250ms`, `1.5s`, `5m`, `64KiB`, `10MB`, `4096`.
//!
//! Owns both directions: text to value, and value to the shortest exact text that reads back as the same value.
//! Never guesses: a duration without a unit, an unknown unit or an unclear one (`KB`) is an error that names the text
//! and the forms that are allowed. Arithmetic is in whole numbers, so `0.1s` is exactly 100 ms.

use std::fmt;
use std::time::Duration;

/// Units of a duration with their nanoseconds, smallest first.
const DURATION_UNITS: [(&str, u128); 6] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("h", 3_600 * NANOS_PER_SECOND),
    ("d", 86_400 * NANOS_PER_SECOND),
];

/// Units of a size with their bytes; the powers of two come first, because sizes are printed in them.
const SIZE_UNITS: [(&str, u128); 10] = [
    ("", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];
/// How many of [`SIZE_UNITS`] are used for printing.
const SIZE_UNITS_PRINTED: usize = 5;

const NANOS_PER_SECOND: u128 = 1_000_000_000;
/// The longest duration that is accepted, 36,500 days: its milliseconds and microseconds fit any integer of the project.
const DURATION_NANOS_MAX: u128 = 36_500 * 86_400 * NANOS_PER_SECOND;
/// Digits of a number, its fraction included: its product with the largest unit fits 128 bits.
const DIGITS_MAX: usize = 20;
/// Characters of the refused text that an error repeats.
const QUOTED_CHARS_MAX: usize = 40;

const _: () = {
    // 10^20 − 1 times the largest unit stays below 2^128, about 3.4 × 10^38.
    assert!(DURATION_UNITS[5].1 < u128::MAX / 10u128.pow(DIGITS_MAX as u32));
    assert!(SIZE_UNITS[9].1 < u128::MAX / 10u128.pow(DIGITS_MAX as u32));
};

/// Why a text is not a duration or a size. Its `Display` names the text and the allowed forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitError {
    text: String,
    wanted: Wanted,
    reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Duration,
    Size,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Number,
    Unit,
    UnitMissing,
    TooLarge,
    TooFine,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, forms) = match self.wanted {
            Wanted::Duration => ("duration", "a number and us, ms, s, m, h or d, such as 250ms, 1.5s or 5m"),
            Wanted::Size => (
                "size",
                "a number of bytes, or a number and kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as 4096 or 64KiB",
            ),
        };
        let why = match (self.reason, self.wanted) {
            (Reason::Number, _) => "it does not begin with a plain decimal number",
            (Reason::Unit, _) => "its unit is unknown (units are case-sensitive)",
            (Reason::UnitMissing, _) => "it has no unit",
            (Reason::TooLarge, Wanted::Duration) => "it is longer than 36500d",
            (Reason::TooLarge, Wanted::Size) => "it is larger than 64 bits can hold",
            (Reason::TooFine, Wanted::Duration) => "it is not a whole number of nanoseconds",
            (Reason::TooFine, Wanted::Size) => "it is not a whole number of bytes",
        };
        // Debug quoting keeps control characters of a configuration file out of the terminal.
        write!(f, "{:?} is not a {noun}: {why}; write {forms}", self.text)
    }
}

impl std::error::Error for UnitError {}

/// Reads a duration: a decimal number, optionally with a fraction, and one of `us`, `ms`, `s`, `m`, `h`, `d`.
/// Blanks around the text are ignored, none may stand inside.
///
/// # Errors
/// No number, no or an unknown unit, a fraction below one nanosecond, or more than 36,500 days.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let nanos = parse(text, &DURATION_UNITS, DURATION_NANOS_MAX).map_err(|r| error(text, Wanted::Duration, r))?;
    // Both casts keep the value: the bound above is far below 2^64 seconds, and the rest is below 10^9.
    Ok(Duration::new((nanos / NANOS_PER_SECOND) as u64, (nanos % NANOS_PER_SECOND) as u32))
}

/// Reads a size in bytes: a decimal number alone, or followed by `B`, a power of 1000 (`kB`, `MB`, `GB`, `TB`) or of
/// 1024 (`KiB`, `MiB`, `GiB`, `TiB`). A fraction is fine where whole bytes come out (`1.5KiB`).
///
/// # Errors
/// No number, an unknown unit, a fraction of a byte, or more than 64 bits hold.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let bytes = parse(text, &SIZE_UNITS, u128::from(u64::MAX)).map_err(|r| error(text, Wanted::Size, r))?;
    Ok(bytes as u64) // keeps the value: bounded by u64::MAX above
}

/// Writes a duration in the largest unit that divides it: `1500ms`, `90s`, `2h`, `0s`; what is finer than a
/// microsecond becomes its fraction (`0.25us`). [`parse_duration`] reads the same value back, up to its ceiling.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    for (unit, scale) in DURATION_UNITS.iter().rev() {
        if nanos.is_multiple_of(*scale) {
            return format!("{}{unit}", nanos / scale);
        }
    }
    let fraction = format!("{:03}", nanos % 1_000);
    format!("{}.{}us", nanos / 1_000, fraction.trim_end_matches('0'))
}

/// Writes a size in the largest power of 1024 that divides it: `64KiB`, `1GiB`, else in plain bytes (`1000`).
/// [`parse_size`] reads the same value back.
pub fn format_size(bytes: u64) -> String {
    let bytes = u128::from(bytes);
    for (unit, scale) in SIZE_UNITS.iter().take(SIZE_UNITS_PRINTED).rev() {
        if bytes != 0 && bytes.is_multiple_of(*scale) {
            return format!("{}{unit}", bytes / scale);
        }
    }
    bytes.to_string()
}

fn error(text: &str, wanted: Wanted, reason: Reason) -> UnitError {
    let mut quoted: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    UnitError { text: quoted, wanted, reason }
}

/// `number × unit` in the smallest unit of the table; exact, or an error.
fn parse(text: &str, units: &[(&str, u128)], max: u128) -> Result<u128, Reason> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return Err(Reason::Number),
        Some(parts) => parts,
        None => (number, ""),
    };
    if whole.is_empty() || fraction.contains('.') {
        return Err(Reason::Number);
    }
    let scale = match units.iter().find(|(name, _)| *name == unit) {
        Some((_, scale)) => *scale,
        None if unit.is_empty() => return Err(Reason::UnitMissing),
        None => return Err(Reason::Unit),
    };
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if whole.len() > DIGITS_MAX {
        return Err(Reason::TooLarge);
    }
    if whole.len() + fraction.len() > DIGITS_MAX {
        return Err(Reason::TooFine);
    }
    // No overflow: at most DIGITS_MAX digits, and their product with any unit fits (asserted above).
    let digits = whole.bytes().chain(fraction.bytes()).fold(0u128, |n, digit| n * 10 + u128::from(digit - b'0'));
    let divisor = fraction.bytes().fold(1u128, |n, _| n * 10);
    let product = digits * scale;
    if !product.is_multiple_of(divisor) {
        return Err(Reason::TooFine);
    }
    match product / divisor {
        value if value > max => Err(Reason::TooLarge),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_exactly() {
        for (text, nanos) in [
            ("250ms", 250_000_000u64),
            ("3s", 3_000_000_000),
            ("5m", 300_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1d", 86_400_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0.1s", 100_000_000),
            ("20us", 20_000),
            ("0.25us", 250),
            ("0s", 0),
            ("007s", 7_000_000_000),
            ("1.500000000000000000000s", 1_500_000_000),
            (" 2m ", 120_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_exactly() {
        for (text, bytes) in [
            ("64KiB", 65_536),
            ("10MiB", 10_485_760),
            ("1GiB", 1 << 30),
            ("2TiB", 2 << 40),
            ("1kB", 1_000),
            ("10MB", 10_000_000),
            ("4096", 4_096),
            ("4096B", 4_096),
            ("1.5KiB", 1_536),
            ("0", 0),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_or_a_size_is_refused_with_its_reason() {
        let duration = |text| parse_duration(text).unwrap_err().reason;
        for text in ["", "s", ".5s", "1.s", "1.2.3s", "-1s", "+1s", "١s", "∞"] {
            assert_eq!(duration(text), Reason::Number, "{text}");
        }
        for text in ["1S", "1sec", "1 s", "1Ms", "1e3s", "1s1m", "1µs"] {
            assert_eq!(duration(text), Reason::Unit, "{text}");
        }
        assert_eq!(duration("5"), Reason::UnitMissing);
        assert_eq!(duration("36501d"), Reason::TooLarge);
        assert_eq!(duration("99999999999999999999d"), Reason::TooLarge);
        assert_eq!(duration("999999999999999999999999999999us"), Reason::TooLarge);
        assert_eq!(duration("0.0001us"), Reason::TooFine);
        let size = |text| parse_size(text).unwrap_err().reason;
        for text in ["1KB", "1kb", "1k", "1K", "64Kib", "1 KiB", "1PiB"] {
            assert_eq!(size(text), Reason::Unit, "{text}");
        }
        assert_eq!(size("1.5"), Reason::TooFine);
        assert_eq!(size("18446744073709551616"), Reason::TooLarge);
        assert_eq!(size("16777216TiB"), Reason::TooLarge);
    }

    #[test]
    fn an_error_names_the_text_and_the_allowed_forms() {
        let message = parse_duration("5").unwrap_err().to_string();
        assert_eq!(
            message,
            "\"5\" is not a duration: it has no unit; write a number and us, ms, s, m, h or d, such as 250ms, 1.5s or 5m"
        );
        let message = parse_size("1\u{1b}KB").unwrap_err().to_string();
        assert!(message.starts_with("\"1\\u{1b}KB\" is not a size"), "{message}");
        assert!(parse_size(&"x".repeat(9_999)).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn values_are_written_in_the_largest_unit_that_divides_them() {
        for text in ["250ms", "1500ms", "90s", "5m", "2h", "1d", "0s", "0.25us", "1000.001us"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["64KiB", "10MiB", "1GiB", "1000", "1025", "0", "3TiB"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back(seconds in 0u64..36_500 * 86_400, nanos in 0u32..1_000_000_000, whole: bool) {
            let duration = Duration::new(seconds, if whole { 0 } else { nanos });
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn a_written_size_reads_back(bytes: u64, shift in 0u32..64) {
            let bytes = (bytes >> shift) << (shift / 2);
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_a_value_or_an_error_that_can_be_shown(text in "[ 0-9.]{0,30}[a-zA-Zµ\\PC]{0,4}") {
            if let Err(e) = parse_duration(&text) { prop_assert!(e.to_string().contains("is not a duration")); }
            if let Err(e) = parse_size(&text) { prop_assert!(e.to_string().contains("is not a size")); }
        }
    }
}
