//! Those who wait for a turn on the sessions of one pool: first come, first called.
//!
//! Who is called comes back, and has its turn or waits again in its old place. Keeps numbers and wakers only: what a turn
//! is, and how many there are, is the caller's. Never wakes: it hands wakers over, to be woken outside of all borrows.

use std::collections::BTreeMap;
use std::task::Waker;

/// A queue.
#[derive(Default)]
pub struct Queue {
    waiting: BTreeMap<u64, Waker>,
    /// Those who were called and did not come yet.
    called: usize,
    next: u64,
}

/// A place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

impl Queue {
    /// Whether somebody who has no place may have one of so many turns: nobody came before.
    pub fn is_open(&self, turns: usize) -> bool {
        self.waiting.is_empty() && self.called < turns
    }

    /// Whether nobody has a place.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.called == 0
    }

    /// The place behind all others; it belongs to somebody who has come, not to one who waits.
    pub fn enter(&mut self) -> Place {
        self.next += 1;
        self.called += 1;
        Place(self.next)
    }

    /// Whether this place was not called yet.
    pub fn is_waiting(&self, place: Place) -> bool {
        self.waiting.contains_key(&place.0)
    }

    /// Waits to be called, or goes on waiting with another waker.
    pub fn wait(&mut self, place: Place, waker: &Waker) {
        if self.waiting.insert(place.0, waker.clone()).is_none() {
            self.called -= 1;
        }
    }

    /// Gives a place up.
    pub fn leave(&mut self, place: Place) {
        if self.waiting.remove(&place.0).is_none() {
            self.called -= 1;
        }
    }

    /// Calls as many as there are turns for, in their order; those who were called before have theirs first.
    pub fn call(&mut self, turns: usize) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while self.called < turns
            && let Some((_, waker)) = self.waiting.pop_first()
        {
            self.called += 1;
            wakers.push(waker);
        }
        wakers
    }

    /// Calls everybody.
    pub fn call_all(&mut self) -> Vec<Waker> {
        self.call(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waiter(queue: &mut Queue) -> Place {
        let place = queue.enter();
        queue.wait(place, Waker::noop());
        place
    }

    #[test]
    fn turns_go_by_order_of_arrival_and_a_turn_that_is_not_taken_goes_to_the_next() {
        let mut queue = Queue::default();
        assert!(queue.is_open(1) && !queue.is_open(0));
        let [a, b, c] = std::array::from_fn(|_| waiter(&mut queue));
        assert!(!queue.is_open(5), "others came before");
        assert_eq!(queue.call(1).len(), 1);
        assert!(!queue.is_waiting(a) && queue.is_waiting(b));
        assert!(queue.call(1).is_empty(), "its turn is still its own");
        queue.leave(a);
        assert_eq!(queue.call(1).len(), 1);
        assert!(!queue.is_waiting(b));
        queue.wait(b, Waker::noop());
        assert_eq!(queue.call(1).len(), 1);
        assert!(!queue.is_waiting(b) && queue.is_waiting(c), "its place is the old one");
        assert_eq!(queue.call_all().len(), 1);
        queue.leave(b);
        queue.leave(c);
        assert!(queue.is_open(1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn nobody_waits_while_there_are_turns_for_all_who_came_before(steps in prop::collection::vec((0u8..4, 0usize..8), 1..64)) {
            let mut queue = Queue::default();
            let mut places = Vec::new();
            for (step, number) in steps {
                match step {
                    0 => places.push(waiter(&mut queue)),
                    1 if number < places.len() => queue.leave(places.remove(number)),
                    2 if number < places.len() => queue.wait(places[number], Waker::noop()),
                    _ => {
                        queue.call(number);
                        let called = places.iter().filter(|place| !queue.is_waiting(**place)).count();
                        prop_assert_eq!(called, queue.called);
                        prop_assert!(called >= number.min(places.len()));
                    }
                }
            }
            for place in places {
                queue.leave(place);
            }
            prop_assert!(queue.is_empty());
        }
    }
}
