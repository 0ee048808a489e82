//! Requests of HTTP/2 that have come and are not begun: which of them is begun when.
//!
//! One connection may ask for hundreds of things at once. The first few begin at once; for the others their connections
//! stand in a line, so that whoever asks for little does not wait behind one who asks for much. A request whose body does
//! not come is held back where many of its connection are under way: it would cost an upstream connection for nothing.
//! Starts no tasks, and knows no exchange.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::bounds;
use crate::h1::RequestFraming;
use crate::http::RequestHead;
use crate::net::Stream;
use crate::proxy::failure::Failure;
use crate::stats::Reason;

/// A request that is served by a task of its own.
pub struct Asked {
    pub stream: Stream,
    pub head: RequestHead,
    pub framing: Result<RequestFraming, Failure>,
    pub started_us: u64,
}

/// What is to become of a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Begin,
    /// Begin, and count it among the silent ones as long as it is one.
    BeginSilent,
    /// Its body did not begin to come in its time.
    Late,
    /// Not yet: too many others are silent.
    Wait,
    /// Not yet: its body may be on its way.
    Young,
    /// Its client has given it up.
    Gone,
}

impl Asked {
    /// What is to become of it, where so many of its connection are silent.
    pub fn fate(&self, silent: usize, body_ms: u64, now_us: u64) -> Fate {
        if self.stream.is_gone() {
            return Fate::Gone;
        }
        let Ok(framing) = self.framing else { return Fate::Begin };
        if framing.body.is_empty() || !self.stream.is_silent() {
            return Fate::Begin;
        }
        let age_ms = now_us.saturating_sub(self.started_us) / 1_000;
        match silent < bounds::HTTP2_SILENT_MAX {
            _ if age_ms >= body_ms => Fate::Late,
            false => Fate::Wait,
            true if age_ms < bounds::HTTP2_SILENCE_MS && !framing.expect_continue => Fate::Young,
            true => Fate::BeginSilent,
        }
    }

    /// The same, refused for being late.
    pub fn late(self) -> Self {
        Self { framing: Err(Reason::BodyTimeout.into()), ..self }
    }
}

/// The connections of one core that have requests to begin. 8 bytes for each.
#[derive(Default)]
pub struct Line {
    /// Whoever is in front is next.
    numbers: RefCell<VecDeque<u64>>,
    next: Cell<u64>,
    /// The turn of the core that is under way, and how many requests may still be begun in it.
    turn: Cell<u64>,
    left: Cell<usize>,
}

/// A connection's place in the line; given up when dropped.
pub struct Place {
    line: Rc<Line>,
    number: u64,
}

impl Line {
    /// The last place.
    pub fn enter(self: &Rc<Self>) -> Place {
        let number = self.next.get();
        self.next.set(number + 1);
        self.numbers.borrow_mut().push_back(number);
        Place { line: Rc::clone(self), number }
    }
}

impl Place {
    /// How many requests this connection may begin in a turn; 0 = others come first. Whoever was granted some and has more
    /// enters anew.
    pub fn grant(&self, turn: u64) -> usize {
        let line = &*self.line;
        if line.turn.replace(turn) != turn {
            line.left.set(bounds::HTTP2_BEGIN_PER_TURN);
        }
        let numbers = line.numbers.borrow();
        let part = bounds::HTTP2_BEGIN_PER_TURN / numbers.len().clamp(1, bounds::HTTP2_BEGINNERS);
        let is_next = numbers.iter().take(bounds::HTTP2_BEGINNERS).any(|number| *number == self.number);
        let granted = if is_next { part.min(line.left.get()) } else { 0 };
        line.left.set(line.left.get() - granted);
        granted
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut numbers = self.line.numbers.borrow_mut();
        if let Some(index) = numbers.iter().position(|number| *number == self.number) {
            numbers.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_in_front_share_a_turn_and_go_to_the_end() {
        let line = Rc::<Line>::default();
        let mut places: VecDeque<_> = (0..5).map(|_| line.enter()).collect();
        for turn in 1..=20 {
            let granted: Vec<_> = places.iter().map(|place| place.grant(turn)).collect();
            assert_eq!(granted, [4, 4, 0, 0, 0], "turn {turn}");
            for _ in 0..2 {
                places.pop_front();
                places.push_back(line.enter());
                assert_eq!(places[2].grant(turn), 0, "who moves up waits for the next turn");
            }
        }
        places.drain(1..);
        assert_eq!(places[0].grant(21), bounds::HTTP2_BEGIN_PER_TURN, "alone in the line");
        places.clear();
        assert!(line.numbers.borrow().is_empty());
    }
}
