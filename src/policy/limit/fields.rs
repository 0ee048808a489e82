//! What clients are told of a limit: the fields of draft-ietf-httpapi-ratelimit-headers-10, and Retry-After.

use std::fmt::{Display, Formatter, Result};
use std::io::Write as _;

use super::{Applied, Asker, Cause, Rate, Refused};

const SECOND_NS: u64 = 1_000_000_000;

/// Whole seconds, rounded up, at least one: nobody is sent back a moment too early.
pub fn seconds_up(ns: u64) -> u64 {
    ns.div_ceil(SECOND_NS).max(1)
}

/// Value of `RateLimit-Policy`: the quota and the seconds in which it comes back, to the nearest.
struct Policy<'l>(&'l str, &'l Rate);

impl Display for Policy<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let window_s = ((self.1.window_ns() + SECOND_NS / 2) / SECOND_NS).max(1);
        write!(f, "\"{}\";q={};w={window_s}", self.0, self.1.quota())
    }
}

/// Value of `RateLimit`: what is left, and after how many seconds: on a refusal until there is one more, else until all
/// are there again.
struct Left<'l> {
    name: &'l str,
    remaining: u64,
    more_in_ns: u64,
}

impl Display for Left<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "\"{}\";r={};t={}", self.name, self.remaining, seconds_up(self.more_in_ns))
    }
}

/// Appends the field lines that tell a request that passes what is left, of those limits that say it. Allocates nothing
/// where `out` has room.
pub fn write_lines(out: &mut Vec<u8>, limits: Applied<'_>, now_ns: u64, asker: &Asker<'_>) {
    for limit in limits.iter().filter(|limit| limit.headers) {
        let (Some(rate), Some(remaining)) = (&limit.rate, limit.remaining(now_ns, asker)) else { continue };
        let more_in_ns = rate.quota().saturating_sub(remaining) * rate.interval_ns();
        let (policy, left) = (Policy(&limit.name, rate), Left { name: &limit.name, remaining, more_in_ns });
        // Writing to memory does not fail.
        let _ = write!(out, "RateLimit-Policy: {policy}\r\nRateLimit: {left}\r\n");
    }
}

impl Refused<'_> {
    /// When it makes sense to try again, seconds. How long what is in flight takes nobody knows: a second.
    pub fn retry_after_s(&self) -> u64 {
        match self.cause {
            Cause::Rate { ready_in_ns } => seconds_up(ready_in_ns),
            Cause::InFlight => 1,
        }
    }

    /// The fields of the refusal.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let (Cause::Rate { ready_in_ns }, Some(rate)) = (self.cause, &self.limit.rate) else { return Vec::new() };
        let name = &*self.limit.name;
        let left = Left { name, remaining: 0, more_in_ns: ready_in_ns };
        vec![("RateLimit-Policy", Policy(name, rate).to_string()), ("RateLimit", left.to_string())]
    }
}
