//! Who on this core waits for which object, and the bells of the other cores. One wake per core and burst.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use ahash::AHashMap;

use crate::net::mailbox::Outbox;

/// The numbers of objects that have grown, on their way to a core.
pub type Bell = Outbox<u64>;

/// The waiting tasks of one core.
pub struct Wakes {
    /// This core's place among the bells.
    core: usize,
    /// One of each core, this one's too (it is not rung).
    bells: Box<[Bell]>,
    waiting: RefCell<AHashMap<u64, AHashMap<u64, Waker>>>,
    places: Cell<u64>,
}

/// One waiting task's place; given up on drop.
pub struct Place {
    wakes: Rc<Wakes>,
    number: u64,
    place: u64,
}

impl Wakes {
    /// Nobody waits yet.
    pub fn new(core: usize, bells: Box<[Bell]>) -> Rc<Self> {
        Rc::new(Self { core, bells, waiting: RefCell::default(), places: Cell::new(0) })
    }

    /// Rings the cores whose bits are set: the object of this number has grown or ended.
    pub fn ring(&self, cores: u64, number: u64) {
        if cores == 0 {
            return;
        }
        if cores & (1 << (self.core % 64)) != 0 {
            self.woken(number);
        }
        for (core, bell) in self.bells.iter().enumerate() {
            if core != self.core && cores & (1 << (core % 64)) != 0 {
                // A full box tells its reader to look at everything.
                let _ = bell.send(number);
            }
        }
    }

    /// Rings one core for an object.
    pub fn ring_core(&self, core: usize, number: u64) {
        if core == self.core {
            self.woken(number);
        } else if let Some(bell) = self.bells.get(core) {
            let _ = bell.send(number);
        }
    }

    /// A place to wait at for an object.
    pub fn place(self: &Rc<Self>, number: u64) -> Place {
        let place = self.places.get();
        self.places.set(place + 1);
        Place { wakes: Rc::clone(self), number, place }
    }

    /// Wakes everybody on this core who waits for the object.
    pub fn woken(&self, number: u64) {
        let tasks = self.waiting.borrow_mut().remove(&number);
        tasks.into_iter().flatten().for_each(|(_, waker)| waker.wake());
    }

    /// Wakes everybody: some ring was missed.
    pub fn all_woken(&self) {
        let tasks = self.waiting.take();
        tasks.into_values().flatten().for_each(|(_, waker)| waker.wake());
    }
}

impl Place {
    /// Wakes `waker` at the next ring.
    pub fn wait(&self, waker: &Waker) {
        let mut waiting = self.wakes.waiting.borrow_mut();
        waiting.entry(self.number).or_default().insert(self.place, waker.clone());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.wakes.waiting.borrow_mut();
        if let Some(tasks) = waiting.get_mut(&self.number) {
            tasks.remove(&self.place);
            if tasks.is_empty() {
                waiting.remove(&self.number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::net::mailbox::mailbox;

    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_ring_wakes_who_waits_here_and_reaches_the_other_core_once() {
        let ((here, _), (there, inbox)) = (mailbox(4).expect("an eventfd"), mailbox(4).expect("an eventfd"));
        let wakes = Wakes::new(0, vec![here, there].into());
        let count = Arc::new(Count(AtomicU32::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let (a, b, gone) = (wakes.place(7), wakes.place(7), wakes.place(7));
        [&a, &b, &gone, &a].into_iter().for_each(|place| place.wait(&waker));
        drop(gone);
        wakes.ring(0b11, 7);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!((inbox.take(), inbox.take()), (Some(7), None));
        wakes.ring(0b11, 7);
        assert_eq!(count.0.load(Ordering::Relaxed), 2, "nobody waits any more");
        a.wait(&waker);
        wakes.all_woken();
        assert_eq!(count.0.load(Ordering::Relaxed), 3);
        drop((a, b));
        assert!(wakes.waiting.borrow().is_empty());
    }
}
