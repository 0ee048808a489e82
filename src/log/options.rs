//! What the access log writes and which lines it leaves out. Decided once, at start; reads no clock and no file.

use std::ops::RangeInclusive;

use super::{AccessFormat, Field};

/// One in so many: what a share is counted in.
pub const SHARE_WHOLE: u32 = 1_000_000;

/// What one core's log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    pub format: AccessFormat,
    /// Of a JSON line, in this order.
    pub fields: Vec<Field>,
    /// Names of request headers that a JSON line has, in lower case.
    pub request_headers: Vec<Box<str>>,
    /// The same of the response, as it was sent.
    pub response_headers: Vec<Box<str>>,
    pub sampling: Sampling,
}

/// Which lines are written. Refusals and failures always are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Share of the other lines, in millionths: [`SHARE_WHOLE`] is all of them.
    pub share: u32,
    /// An exchange that took at least so long always has its line, microseconds.
    pub slow_us: u64,
    /// One with such a status always has it.
    pub always: Vec<RangeInclusive<u16>>,
}

impl LogOptions {
    /// Lines of this format with every field, none left out.
    pub fn of(format: AccessFormat) -> Self {
        Self {
            format,
            fields: Field::ALL.to_vec(),
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            sampling: Sampling::default(),
        }
    }
}

impl Sampling {
    /// Whether an exchange has its line whatever the share is. `failed`: it was refused, or ended badly.
    pub fn is_certain(&self, status: u16, failed: bool, total_us: u64) -> bool {
        failed || total_us >= self.slow_us || self.always.iter().any(|range| range.contains(&status))
    }
}

impl Default for Sampling {
    /// Every line.
    fn default() -> Self {
        Self { share: SHARE_WHOLE, slow_us: 1_000_000, always: vec![400..=499, 500..=599] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_refusals_and_slow_exchanges_are_certain() {
        let sampling = Sampling { share: 0, slow_us: 1_000, always: vec![429..=429, 500..=599] };
        for (status, failed, total_us, expected) in [
            (200, false, 999, false),
            (200, false, 1_000, true),
            (200, true, 0, true),
            (428, false, 0, false),
            (429, false, 0, true),
            (503, false, 0, true),
        ] {
            assert_eq!(sampling.is_certain(status, failed, total_us), expected, "{status} {failed} {total_us}");
        }
    }
}
