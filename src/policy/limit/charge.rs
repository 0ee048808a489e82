//! Charging a request to several limits: all must let it pass, and where one does not, none has been charged.

use super::key::{Asker, Key};
use super::leases::{Leases, Spent};
use super::table::{Counted, KeptSeat, Seat};
use super::{Applied, Limit, Outcome};
use crate::bounds;

/// Where and when charges are made.
#[derive(Clone, Copy)]
pub struct Desk<'c> {
    /// Those of this core.
    pub leases: &'c Leases,
    /// Place of this core among those that serve, from 0.
    pub core: usize,
    /// Monotonic.
    pub now_ns: u64,
}

/// The counts that a request is in. Leaves them when dropped.
#[derive(Debug, Default)]
pub struct Seats<'l>([Option<Seat<'l>>; bounds::IN_FLIGHT_LIMITS_MAX + bounds::LIMITS_PER_KEY_MAX]);

/// [`Seats`] that need no plan to live. Leaves them when dropped.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "they are held, not looked at")]
pub struct KeptSeats(Vec<KeptSeat>);

/// What a request was charged to; bit `i` stands for limit `i` of those that apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    charged: u32,
    delayed: u32,
    would_refuse: u32,
    /// How long the request is to wait.
    pub wait_ns: u64,
    /// Which limit has the longest wait.
    slowest: usize,
}

/// Why a limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its rate is used up; there may be a token after so long.
    Rate { ready_in_ns: u64 },
    /// As many requests of the key as may be are in flight.
    InFlight,
}

/// Who refuses, and why.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'l> {
    pub limit: &'l Limit,
    pub cause: Cause,
}

/// Whether a request passes its limits.
#[derive(Debug)]
pub enum Verdict<'l> {
    Passed(Receipt),
    Refused(Refused<'l>),
}

impl<'l> Seats<'l> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    fn take(&mut self, seat: Seat<'l>) {
        // The configuration and the store of keys refuse more of them than there is room for.
        if let Some(free) = self.0.iter_mut().find(|seat| seat.is_none()) {
            *free = Some(seat);
        }
    }

    fn leave_last(&mut self) {
        if let Some(last) = self.0.iter_mut().rev().find(|seat| seat.is_some()) {
            *last = None;
        }
    }

    /// The same counts, for longer than the plan may last.
    pub fn keep(&mut self) -> KeptSeats {
        KeptSeats(self.0.iter_mut().filter_map(Option::take).map(Seat::keep).collect())
    }

    /// Leaves all counts.
    pub fn leave(&mut self) {
        *self = Self::default();
    }
}

/// Charges a request to all limits, or to none.
pub fn charge<'l>(desk: Desk<'_>, limits: Applied<'l>, asker: &Asker<'_>, seats: &mut Seats<'l>) -> Verdict<'l> {
    let mut receipt = Receipt::default();
    for (index, limit) in limits.iter().enumerate() {
        match limit.charge(desk, asker, seats) {
            Ok(wait_ns) => {
                receipt.charged |= 1 << index;
                receipt.delayed |= u32::from(wait_ns > 0) << index;
                // A dry run only counts: it makes nobody wait either.
                if wait_ns > receipt.wait_ns && !limit.dry_run {
                    (receipt.wait_ns, receipt.slowest) = (wait_ns, index);
                }
            }
            Err(_) if limit.dry_run => receipt.would_refuse |= 1 << index,
            Err(cause) => {
                receipt.give_back(desk, limits, asker, seats);
                return Verdict::Refused(Refused { limit, cause });
            }
        }
    }
    Verdict::Passed(receipt)
}

impl Receipt {
    /// Takes all charges back that were made a moment ago: the request is refused after all, or is charged once more.
    pub fn give_back(&self, desk: Desk<'_>, limits: Applied<'_>, asker: &Asker<'_>, seats: &mut Seats<'_>) {
        self.give_back_but(self.delayed, desk, limits, asker, seats);
    }

    /// Takes all charges back after a wait. A bucket may be full again by now, and what is given back to it then is gone;
    /// in a lease it would be there on top.
    pub fn give_back_late(&self, desk: Desk<'_>, limits: Applied<'_>, asker: &Asker<'_>, seats: &mut Seats<'_>) {
        self.give_back_but(u32::MAX, desk, limits, asker, seats);
    }

    /// Those that `shared` says go to the table, the others to this core's leases.
    fn give_back_but(
        &self,
        shared: u32,
        desk: Desk<'_>,
        limits: Applied<'_>,
        asker: &Asker<'_>,
        seats: &mut Seats<'_>,
    ) {
        seats.leave();
        for (index, limit) in limits.iter().enumerate().filter(|(index, _)| self.charged & (1 << index) != 0) {
            let Some(rate) = &limit.rate else { continue };
            let (key, table) = (limit.key_of(asker), &*limit.state.table);
            match shared & (1 << index) {
                0 => desk.leases.give_back(table, key, rate),
                _ => desk.leases.give_back_shared(table, key, rate),
            }
        }
    }

    /// Counts the request as one that passes.
    pub fn count(&self, core: usize, limits: Applied<'_>) {
        for (index, limit) in limits.iter().enumerate() {
            let outcome = match 1 << index {
                bit if self.would_refuse & bit != 0 => Outcome::DryRun,
                bit if self.delayed & bit != 0 => Outcome::Delayed,
                _ => Outcome::Passed,
            };
            limit.state.counters.count(core, outcome);
        }
    }

    /// The limit that makes the request wait longest.
    pub fn slowest<'l>(&self, limits: Applied<'l>) -> Option<&'l Limit> {
        limits.iter().nth(self.slowest).filter(|_| self.wait_ns > 0)
    }
}

impl Limit {
    fn key_of(&self, asker: &Asker<'_>) -> Key {
        self.state.table.key(self.state.number, &self.key, self.prefixes, asker)
    }

    /// Charges a request to this limit alone. Returns the wait.
    fn charge<'l>(&'l self, desk: Desk<'_>, asker: &Asker<'_>, seats: &mut Seats<'l>) -> Result<u64, Cause> {
        let (key, table) = (self.key_of(asker), &self.state.table);
        let mut seated = false;
        if let Some(most) = self.in_flight {
            match table.enter(key, most, desk.now_ns) {
                Counted::Refused => return Err(Cause::InFlight),
                Counted::Untracked => {}
                Counted::Seated(seat) => {
                    seats.take(seat);
                    seated = true;
                }
            }
        }
        let Some(rate) = &self.rate else { return Ok(0) };
        match desk.leases.spend(table, key, rate, desk.now_ns) {
            Spent::Passed { wait_ns } => Ok(wait_ns),
            Spent::Refused { ready_in_ns } => {
                if seated {
                    seats.leave_last();
                }
                Err(Cause::Rate { ready_in_ns })
            }
        }
    }

    /// Charges a connection, which has a rate only. Whether it may come.
    pub fn lets_in(&self, desk: Desk<'_>, asker: &Asker<'_>) -> bool {
        let Some(rate) = &self.rate else { return true };
        let spent = desk.leases.spend(&self.state.table, self.key_of(asker), rate, desk.now_ns);
        let passed = matches!(spent, Spent::Passed { .. });
        self.state.counters.count(desk.core, if passed { Outcome::Passed } else { Outcome::Refused });
        passed
    }

    /// How many requests of this asker would pass now.
    pub fn remaining(&self, now_ns: u64, asker: &Asker<'_>) -> Option<u64> {
        let rate = self.rate.as_ref()?;
        Some(self.state.table.remaining(self.key_of(asker), rate, now_ns))
    }
}
