//! Deadlines of one core: a sweep over a dense array instead of a timer armed per read.
//!
//! A [`Timer`] is one slot. Waiting code arms it, polls it beside its readiness, and disarms it; the sweep (one task per
//! core, every [`crate::bounds::SWEEP_MS`]) marks expired slots and wakes their waiters. Arming is one store, no system call.
//! 40 bytes per slot.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::task;
use super::turns::Turns;
use crate::base::clock;
use crate::bounds;

const NEVER: u64 = u64::MAX;

/// All timers of one core.
#[derive(Default)]
pub struct Deadlines {
    slots: RefCell<Slots>,
    /// Every wait ends at once from now on.
    over: Cell<bool>,
    /// Begun by the first who gives way; none where there was no descriptor left.
    turns: OnceCell<Option<Rc<Turns>>>,
}

#[derive(Default)]
struct Slots {
    /// `at[i]`: when slot i fires, milliseconds of the coarse monotonic clock; `NEVER` = not armed.
    at: Vec<u64>,
    states: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Slot {
    fired: bool,
    /// Whether a drain ends this wait: nobody would miss it.
    idle: bool,
    /// Fired to make room for somebody else.
    displaced: bool,
    waker: Option<Waker>,
}

/// One slot, freed on drop. Belongs to one waiting task at a time.
pub struct Timer {
    owner: Rc<Deadlines>,
    index: u32,
}

impl Deadlines {
    /// No timers yet.
    pub fn new() -> Rc<Self> {
        Rc::new(Self::default())
    }

    /// A timer that is not armed.
    pub fn timer(self: &Rc<Self>) -> Timer {
        let mut slots = self.slots.borrow_mut();
        let index = match slots.free.pop() {
            Some(index) => index,
            None => {
                slots.at.push(NEVER);
                slots.states.push(Slot::default());
                u32::try_from(slots.at.len() - 1)
                    .expect("fewer timers than file descriptors, because each belongs to one")
            }
        };
        Timer { owner: Rc::clone(self), index }
    }

    /// Fires what is due at `now_ms`, a turn's work at most; whether there may be more.
    #[must_use]
    pub fn sweep(&self, now_ms: u64) -> bool {
        self.fire(|at, _| at <= now_ms, bounds::FIRES_PER_TURN) == bounds::FIRES_PER_TURN
    }

    /// Fires every timer armed by [`Timer::arm_idle`]: the core drains.
    pub fn fire_idle(&self) {
        self.fire(|_, idle| idle, usize::MAX);
    }

    /// Ends every wait, now and from now on: the drain's deadline has come.
    pub fn end_all(&self) {
        self.over.set(true);
        self.fire(|_, _| true, usize::MAX);
    }

    /// Fires at most so many; returns how many it was.
    fn fire(&self, due: impl Fn(u64, bool) -> bool, most: usize) -> usize {
        let (mut wakers, mut fired) = (Vec::new(), 0);
        {
            let slots = &mut *self.slots.borrow_mut();
            for (at, state) in slots.at.iter_mut().zip(&mut slots.states) {
                if fired == most {
                    break;
                }
                if *at != NEVER && due(*at, state.idle) {
                    fired += 1;
                    *at = NEVER;
                    state.fired = true;
                    wakers.extend(state.waker.take());
                }
            }
        }
        // Woken outside of the borrow: a waker may run code of the executor.
        wakers.into_iter().for_each(Waker::wake);
        fired
    }

    /// Gives everything else on the core that is ready now its turn.
    pub async fn give_way(&self) {
        match self.turns.get_or_init(|| Turns::start().ok()) {
            Some(turns) => turns.next().await,
            None => task::pause(1).await,
        }
    }
}

impl Timer {
    fn with<T>(&self, work: impl FnOnce(&mut u64, &mut Slot) -> T) -> T {
        let slots = &mut *self.owner.slots.borrow_mut();
        let index = self.index as usize;
        let at = slots.at.get_mut(index).expect("a slot lives as long as its timer, because only drop frees it");
        let state = slots.states.get_mut(index).expect("as above: both arrays have the same length");
        work(at, state)
    }

    /// Fires at `at_ms` of the coarse monotonic clock; forgets an earlier firing.
    pub fn arm(&self, at_ms: u64) {
        self.with(|at, state| {
            *at = at_ms;
            state.fired = false;
            state.idle = false;
        });
    }

    /// As [`Timer::arm`], for a wait that a drain may end at once.
    pub fn arm_idle(&self, at_ms: u64) {
        self.arm(at_ms);
        self.with(|_, state| state.idle = true);
    }

    /// Never fires until armed again.
    pub fn disarm(&self) {
        self.with(|at, state| {
            *at = NEVER;
            *state = Slot::default();
        });
    }

    /// Fires now, whatever it was armed for: how a drain reaches a connection that waits.
    pub fn fire_now(&self) {
        let waker = self.with(|at, state| {
            *at = NEVER;
            state.fired = true;
            state.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Fires now, to make room for somebody else.
    pub fn displace(&self) {
        self.with(|_, state| state.displaced = true);
        self.fire_now();
    }

    /// Whether it was [`Timer::displace`] that fired it.
    pub fn was_displaced(&self) -> bool {
        self.with(|_, state| state.displaced)
    }

    /// Another number whenever everybody on the core has had a turn.
    pub fn turn(&self) -> u64 {
        match self.owner.turns.get() {
            Some(Some(turns)) => turns.passed(),
            _ => clock::now_ms(),
        }
    }

    /// See [`Deadlines::give_way`].
    pub async fn give_way(&self) {
        self.owner.give_way().await;
    }

    /// Whether all waits are over, whatever their own deadlines say.
    pub fn is_over(&self) -> bool {
        self.owner.over.get()
    }

    /// Ready once it has fired.
    pub fn poll_fired(&self, context: &mut Context<'_>) -> Poll<()> {
        self.with(|_, state| {
            if state.fired {
                return Poll::Ready(());
            }
            match &state.waker {
                Some(waker) if waker.will_wake(context.waker()) => {}
                _ => state.waker = Some(context.waker().clone()),
            }
            Poll::Pending
        })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
        self.owner.slots.borrow_mut().free.push(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(timer: &Timer) -> bool {
        timer.poll_fired(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_timer_fires_when_due_and_not_before() {
        let deadlines = Deadlines::new();
        let (early, late) = (deadlines.timer(), deadlines.timer());
        early.arm(10);
        late.arm(20);
        assert!(!deadlines.sweep(9));
        assert!(!fired(&early));
        assert!(!deadlines.sweep(10));
        assert!(fired(&early));
        assert!(!fired(&late));
        early.arm(30);
        assert!(!fired(&early), "arming again forgets the firing");
        late.fire_now();
        assert!(fired(&late));
        early.arm_idle(1_000);
        late.arm(1_000);
        deadlines.fire_idle();
        assert!(fired(&early) && !fired(&late), "a drain ends idle waits only");
    }

    #[test]
    fn a_dropped_timer_frees_its_slot_and_never_fires_for_the_next_owner() {
        let deadlines = Deadlines::new();
        let first = deadlines.timer();
        first.arm(5);
        let index = first.index;
        drop(first);
        let second = deadlines.timer();
        assert_eq!(second.index, index);
        assert!(!deadlines.sweep(100));
        assert!(!fired(&second));
    }

    #[test]
    fn what_is_due_all_at_once_fires_in_turns() {
        let deadlines = Deadlines::new();
        let timers: Vec<_> = (0..bounds::FIRES_PER_TURN + 5).map(|_| deadlines.timer()).collect();
        timers.iter().for_each(|timer| timer.arm(10));
        assert!(deadlines.sweep(10));
        assert_eq!(timers.iter().filter(|timer| fired(timer)).count(), bounds::FIRES_PER_TURN);
        assert!(!deadlines.sweep(10));
        assert!(timers.iter().all(fired));
    }
}
