//! What clients are told of a limit: the fields of draft-ietf-httpapi-ratelimit-headers-10, and Retry-After.

use super::{Asker, Cause, Limit, Limits, Refused};

const SECOND_NS: u64 = 1_000_000_000;

/// Whole seconds, rounded up, at least one: nobody is sent back a moment too early.
pub fn seconds_up(ns: u64) -> u64 {
    ns.div_ceil(SECOND_NS).max(1)
}

impl Limit {
    /// `RateLimit-Policy`: the quota and the seconds in which it comes back, to the nearest.
    pub fn policy_field(&self) -> Option<String> {
        let rate = self.rate.as_ref()?;
        let window_s = ((rate.window_ns() + SECOND_NS / 2) / SECOND_NS).max(1);
        Some(format!("\"{}\";q={};w={window_s}", self.name, rate.quota()))
    }

    /// `RateLimit`: what is left, and after how many seconds: on a refusal until there is one more,
    /// else until all are there again.
    pub fn left_field(&self, remaining: u64, more_in_ns: u64) -> Option<String> {
        self.rate.as_ref()?;
        Some(format!("\"{}\";r={remaining};t={}", self.name, seconds_up(more_in_ns)))
    }
}

/// Field lines that tell a request that passes what is left, of those limits that say it; `None` = of none.
pub fn lines(limits: Limits<'_>, now_ns: u64, asker: &Asker<'_>) -> Option<Box<str>> {
    let mut lines = String::new();
    for limit in limits.iter().filter(|limit| limit.headers) {
        let (Some(rate), Some(remaining)) = (&limit.rate, limit.remaining(now_ns, asker)) else { continue };
        let used_ns = rate.quota().saturating_sub(remaining) * rate.interval_ns();
        let fields = limit.policy_field().zip(limit.left_field(remaining, used_ns));
        if let Some((policy, left)) = fields {
            lines += &format!("RateLimit-Policy: {policy}\r\nRateLimit: {left}\r\n");
        }
    }
    (!lines.is_empty()).then(|| lines.into())
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
        let Cause::Rate { ready_in_ns } = self.cause else { return Vec::new() };
        let policy = self.limit.policy_field().map(|value| ("RateLimit-Policy", value));
        let left = self.limit.left_field(0, ready_in_ns).map(|value| ("RateLimit", value));
        policy.into_iter().chain(left).collect()
    }
}
