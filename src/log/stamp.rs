//! Times as text, made once per second and kept.
//!
//! Reads no clock: it is handed milliseconds. The zone is looked up once, when the log of a core is made.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::escape::push;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The text of the current second, in both forms.
pub struct Stamps {
    zone: TimeZone,
    /// The second that the texts are of.
    second: Option<u64>,
    utc: Vec<u8>,
    local: Vec<u8>,
}

impl Stamps {
    /// Stamps for a zone.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, second: None, utc: Vec::new(), local: Vec::new() }
    }

    /// RFC 3339 in UTC with milliseconds: `2026-11-23T16:00:00.123Z`.
    pub fn rfc3339(&mut self, unix_ms: u64, out: &mut Vec<u8>) {
        self.refresh(unix_ms / 1_000);
        out.extend_from_slice(&self.utc);
        out.push(b'.');
        three_digits(unix_ms % 1_000, out);
        out.push(b'Z');
    }

    /// As nginx's `$time_local`: `23/Nov/2026:16:00:00 +0000`.
    pub fn local(&mut self, unix_ms: u64, out: &mut Vec<u8>) {
        self.refresh(unix_ms / 1_000);
        out.extend_from_slice(&self.local);
    }

    /// As programs write to syslog (RFC 3164 §4.1.2): `Nov  3 16:00:00`, in local time.
    pub fn bsd(&mut self, unix_ms: u64, out: &mut Vec<u8>) {
        self.refresh(unix_ms / 1_000);
        let part = |range: std::ops::Range<usize>| self.local.get(range).unwrap_or_default();
        out.extend_from_slice(part(3..6));
        out.push(b' ');
        match part(0..2) {
            [b'0', digit] => out.extend_from_slice(&[b' ', *digit]),
            day => out.extend_from_slice(day),
        }
        out.push(b' ');
        out.extend_from_slice(part(12..20));
    }

    fn refresh(&mut self, second: u64) {
        if self.second == Some(second) {
            return;
        }
        self.second = Some(second);
        // A time that no calendar has is shown as the epoch.
        let stamp = i64::try_from(second).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or_default();
        let utc = Offset::UTC.to_datetime(stamp);
        let offset = self.zone.to_offset(stamp);
        self.utc.clear();
        let (day, hour) = (Day(utc), Hour(utc));
        push(&mut self.utc, format_args!("{day}T{hour}"));
        self.local.clear();
        let local = offset.to_datetime(stamp);
        let month = usize::try_from(local.month() - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or("???");
        let sign = if offset.seconds() < 0 { '-' } else { '+' };
        let minutes = offset.seconds().unsigned_abs() / 60;
        push(
            &mut self.local,
            format_args!(
                "{:02}/{month}/{:04}:{} {sign}{:02}{:02}",
                local.day(),
                local.year(),
                Hour(local),
                minutes / 60,
                minutes % 60
            ),
        );
    }
}

/// The last three digits of a number, with leading zeros.
pub fn three_digits(value: u64, out: &mut Vec<u8>) {
    for unit in [100, 10, 1] {
        // The remainder is below ten.
        out.push(b'0' + (value / unit % 10) as u8);
    }
}

struct Day(DateTime);

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

struct Hour(DateTime);

impl std::fmt::Display for Hour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.0.hour(), self.0.minute(), self.0.second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(stamps: &mut Stamps, unix_ms: u64) -> (String, String) {
        let (mut utc, mut local) = (Vec::new(), Vec::new());
        stamps.rfc3339(unix_ms, &mut utc);
        stamps.local(unix_ms, &mut local);
        (String::from_utf8(utc).unwrap(), String::from_utf8(local).unwrap())
    }

    #[test]
    fn a_second_is_written_in_utc_and_in_local_time() {
        let mut stamps = Stamps::new(TimeZone::fixed(Offset::constant(-3)));
        let (utc, local) = both(&mut stamps, 1_795_449_600_007);
        assert_eq!((utc.as_str(), local.as_str()), ("2026-11-23T16:00:00.007Z", "23/Nov/2026:13:00:00 -0300"));
        let half = TimeZone::fixed(Offset::from_seconds(5 * 3600 + 1800).unwrap());
        let (_, local) = both(&mut Stamps::new(half), 1_795_449_600_007);
        assert_eq!(local, "23/Nov/2026:21:30:00 +0530");
    }

    #[test]
    fn syslog_has_the_day_with_a_blank() {
        let mut stamps = Stamps::new(TimeZone::UTC);
        let mut text = |unix_ms| {
            let mut out = Vec::new();
            stamps.bsd(unix_ms, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!((&*text(1_795_449_600_007), &*text(999)), ("Nov 23 16:00:00", "Jan  1 00:00:00"));
    }

    #[test]
    fn the_kept_text_follows_the_second_and_survives_absurd_times() {
        let mut stamps = Stamps::new(TimeZone::UTC);
        assert_eq!(both(&mut stamps, 999).0, "1970-01-01T00:00:00.999Z");
        assert_eq!(both(&mut stamps, 1_000).0, "1970-01-01T00:00:01.000Z");
        assert_eq!(both(&mut stamps, 0).1, "01/Jan/1970:00:00:00 +0000");
        assert!(both(&mut stamps, u64::MAX).0.starts_with("1970-01-01T"));
    }
}
