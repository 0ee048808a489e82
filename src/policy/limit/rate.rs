//! The arithmetic of a rate: GCRA, the generic cell rate algorithm (ITU-T I.371, annex A).
//!
//! A key's whole state is one number, the theoretical arrival time (TAT): when the next request would come if all came
//! evenly. A key that was idle has a TAT in the past, which says as much as none. Pure: times are nanoseconds of one
//! monotonic clock that somebody else reads.

/// Ceiling of [`Rate::window_ns`] and of a delay, about 36 years: sums of such times fit 64 bits.
pub const WINDOW_NS_MAX: u64 = 1 << 60;
/// The most tokens that a core takes at one go.
pub const LEASE_MAX: u64 = 64;

/// So many requests per time, and how many beyond the first may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Between two requests that come evenly; at least 1.
    interval_ns: u64,
    /// How far ahead of `now` a TAT may be: `burst × interval_ns`.
    tolerance_ns: u64,
    /// How much longer a request may wait for its time; 0 = it is refused instead.
    patience_ns: u64,
    /// Tokens that one lease has at most.
    lease_max: u64,
}

/// What a cell's TAT says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many tokens were taken; the first may be used after a wait, which only a single one has.
    Tokens { tat_ns: u64, tokens: u64, wait_ns: u64 },
    /// There is none, and for so long there will be none.
    Refused { ready_in_ns: u64 },
}

impl Rate {
    /// `count` requests per `period_ns`, `burst` beyond the first at once. `None` where the numbers are out of range:
    /// no request, more than one per nanosecond, or a window beyond [`WINDOW_NS_MAX`].
    pub fn new(count: u64, period_ns: u64, burst: u64, patience_ns: u64) -> Option<Self> {
        let interval_ns = period_ns.checked_div(count).filter(|interval| *interval > 0)?;
        let tolerance_ns = interval_ns.checked_mul(burst)?;
        let window_ns = tolerance_ns.checked_add(interval_ns)?.checked_add(patience_ns)?;
        let lease_max = ((burst + 1) / 16).clamp(1, LEASE_MAX);
        (window_ns <= WINDOW_NS_MAX).then_some(Self { interval_ns, tolerance_ns, patience_ns, lease_max })
    }

    /// Between two requests that come evenly.
    pub fn interval_ns(&self) -> u64 {
        self.interval_ns
    }

    /// How many may come at once after an idle time.
    pub fn quota(&self) -> u64 {
        self.tolerance_ns / self.interval_ns + 1
    }

    /// After how long an idle key has its whole quota back.
    pub fn window_ns(&self) -> u64 {
        self.tolerance_ns + self.interval_ns
    }

    /// Tokens that one lease has at most: the error of the limit is below this for each core.
    pub fn lease_max(&self) -> u64 {
        self.lease_max
    }

    /// Size class of the window, its binary logarithm: how full cells of different rates are can be compared by it.
    pub fn class(&self) -> u8 {
        let window_ns = self.window_ns() + self.patience_ns;
        63 - window_ns.leading_zeros().min(62) as u8
    }

    /// Takes up to `wanted` tokens (at least 1 is asked for), of those at hand at most one part in `sharers`: the nearer
    /// the edge, the fewer, so that nobody's idle tokens make others wait.
    pub fn take(&self, tat_ns: u64, now_ns: u64, wanted: u64, sharers: u64) -> Taken {
        let from_ns = tat_ns.max(now_ns);
        let ahead_ns = from_ns - now_ns;
        let Some(room_ns) = self.tolerance_ns.checked_sub(ahead_ns) else {
            let wait_ns = ahead_ns - self.tolerance_ns;
            if wait_ns > self.patience_ns {
                return Taken::Refused { ready_in_ns: wait_ns - self.patience_ns };
            }
            return Taken::Tokens { tat_ns: from_ns + self.interval_ns, tokens: 1, wait_ns };
        };
        let at_hand = room_ns / self.interval_ns + 1;
        let tokens = wanted.min(self.lease_max).min(at_hand / sharers.max(1)).max(1);
        Taken::Tokens { tat_ns: from_ns + tokens * self.interval_ns, tokens, wait_ns: 0 }
    }

    /// Requests that would pass now, one after the other, without a wait.
    pub fn remaining(&self, tat_ns: u64, now_ns: u64) -> u64 {
        let ahead_ns = tat_ns.saturating_sub(now_ns);
        self.tolerance_ns.checked_sub(ahead_ns).map_or(0, |room_ns| room_ns / self.interval_ns + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    /// Takes one token of a cell; whether it was there.
    fn one(rate: &Rate, tat: &mut u64, now: u64) -> bool {
        match rate.take(*tat, now, 1, 1) {
            Taken::Tokens { tat_ns, .. } => {
                *tat = tat_ns;
                true
            }
            Taken::Refused { .. } => false,
        }
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate() {
        let rate = Rate::new(100, SECOND, 200, 0).unwrap();
        assert_eq!((rate.quota(), rate.window_ns(), rate.lease_max()), (201, 2_010_000_000, 12));
        let (mut tat, start) = (0, 5 * SECOND);
        let admitted = (0..1_000).filter(|_| one(&rate, &mut tat, start)).count();
        assert_eq!(admitted, 201);
        assert_eq!(rate.take(tat, start, 1, 1), Taken::Refused { ready_in_ns: 10_000_000 });
        assert_eq!((rate.remaining(tat, start), rate.remaining(tat, start + SECOND)), (0, 100));
        let admitted = (1..=10_000u64).filter(|ms| one(&rate, &mut tat, start + ms * 1_000_000)).count();
        assert_eq!(admitted, 1_000, "in ten seconds");
        assert_eq!(rate.remaining(0, start), 201);
    }

    #[test]
    fn who_may_wait_is_told_how_long() {
        let rate = Rate::new(10, SECOND, 0, SECOND / 4).unwrap();
        let mut tat = 0;
        let mut waits = Vec::new();
        loop {
            match rate.take(tat, 1_000, 8, 1) {
                Taken::Tokens { tat_ns, tokens, wait_ns } => {
                    assert_eq!(tokens, 1);
                    waits.push(wait_ns / 1_000_000);
                    tat = tat_ns;
                }
                Taken::Refused { ready_in_ns } => {
                    assert_eq!(ready_in_ns, 50_000_000);
                    break;
                }
            }
        }
        assert_eq!(waits, [0, 100, 200]);
    }

    #[test]
    fn numbers_out_of_range_are_no_rate() {
        assert_eq!(Rate::new(0, SECOND, 0, 0), None);
        assert_eq!(Rate::new(SECOND + 1, SECOND, 0, 0), None);
        assert_eq!(Rate::new(1, SECOND, u64::MAX, 0), None);
        assert_eq!(Rate::new(1, 1 << 40, 1 << 30, 0), None);
        assert!(Rate::new(1, 86_400 * SECOND, 1_000, 0).is_some());
        assert_eq!((Rate::new(1, 1, 0, 0).unwrap().class(), Rate::new(1, 1 << 59, 0, 0).unwrap().class()), (1, 59));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// Over any stretch of time: the burst and one, and what the rate gives.
        #[test]
        fn never_more_than_burst_and_rate(
            count in 1u64..5_000, burst in 0u64..300, wanted in 1u64..70, sharers in 1u64..5,
            steps in proptest::collection::vec(0u64..50_000_000, 1..300),
        ) {
            let rate = Rate::new(count, SECOND, burst, 0).unwrap();
            let (mut tat, start) = (0, 3 * SECOND);
            let (mut now, mut taken) = (start, 0);
            for step in steps {
                now += step;
                match rate.take(tat, now, wanted, sharers) {
                    Taken::Tokens { tat_ns, tokens, wait_ns } => {
                        prop_assert!(tokens >= 1 && tokens <= wanted && wait_ns == 0);
                        prop_assert!(tat_ns > tat);
                        tat = tat_ns;
                        taken += tokens;
                    }
                    Taken::Refused { ready_in_ns } => {
                        let is_refused = |now| matches!(rate.take(tat, now, 1, 1), Taken::Refused { .. });
                        prop_assert!(!is_refused(now + ready_in_ns));
                        prop_assert!(is_refused(now + ready_in_ns - 1));
                    }
                }
                prop_assert!(taken <= burst + 1 + (now - start) / rate.interval_ns());
            }
        }
    }
}
