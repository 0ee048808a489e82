//! Reading of time. The only place that asks the operating system for it.
//!
//! Codecs and policies never read a clock: they are handed values from here.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of the monotonic clock, coarse (one tick of the kernel, 1–4 ms): cheap enough for every deadline.
pub fn now_ms() -> u64 {
    let t = clock_gettime(ClockId::MonotonicCoarse);
    t.tv_sec.unsigned_abs() * 1_000 + t.tv_nsec.unsigned_abs() / 1_000_000
}

/// Microseconds of the monotonic clock, exact: for latencies.
pub fn now_us() -> u64 {
    let t = clock_gettime(ClockId::Monotonic);
    t.tv_sec.unsigned_abs() * 1_000_000 + t.tv_nsec.unsigned_abs() / 1_000
}

/// Milliseconds since the Unix epoch, coarse: for the access log and the Date field.
pub fn unix_ms() -> u64 {
    let t = clock_gettime(ClockId::RealtimeCoarse);
    t.tv_sec.unsigned_abs() * 1_000 + t.tv_nsec.unsigned_abs() / 1_000_000
}

/// Microseconds since the Unix epoch, exact: for a time that another program compares with its own.
pub fn unix_us() -> u64 {
    let t = clock_gettime(ClockId::Realtime);
    t.tv_sec.unsigned_abs() * 1_000_000 + t.tv_nsec.unsigned_abs() / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_move_forward_and_agree_on_their_unit() {
        let (ms, us) = (now_ms(), now_us());
        assert!(now_ms() >= ms);
        assert!(now_us() >= us);
        assert!((us / 1_000).abs_diff(ms) < 100, "both count from the same origin");
        assert!(unix_ms() > 1_700_000_000_000);
        assert!((unix_us() / 1_000).abs_diff(unix_ms()) < 100, "both count from the epoch");
    }
}
