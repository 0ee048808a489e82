//! Orders: the only way control speaks to a core. A bounded queue per core and an eventfd that wakes it once per burst.
//!
//! A core never waits for control, and control never waits for a core: a full queue is an answer.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::ArrayQueue;
use rustix::event::{EventfdFlags, eventfd};

use crate::bounds;
use crate::plan::Plan;

/// What a core is told.
pub enum Order {
    /// New exchanges use this plan; `listeners` is parallel to the plan's.
    Adopt { plan: Arc<Plan>, listeners: Vec<ListenerOrder> },
    /// No new connection; leave when the running exchanges have ended, at the latest at `deadline_ms` of the coarse
    /// monotonic clock.
    Drain { deadline_ms: u64 },
}

/// One listener of a plan, for one core.
pub struct ListenerOrder {
    /// The same number in the next plan means the same sockets.
    pub id: u64,
    /// The core's socket, where the listener is new.
    pub socket: Option<TcpListener>,
}

struct Shared {
    queue: ArrayQueue<Order>,
    /// Whether a wake is on its way: one per burst.
    notified: AtomicBool,
    wake: OwnedFd,
}

/// Control's end.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

/// The core's end.
pub struct Inbox {
    shared: Arc<Shared>,
}

/// A queue for one core.
///
/// # Errors
/// The process has no descriptor left.
pub fn queue() -> io::Result<(Outbox, Inbox)> {
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let queue = ArrayQueue::new(bounds::ORDERS_MAX);
    let shared = Arc::new(Shared { queue, notified: AtomicBool::new(false), wake });
    Ok((Outbox { shared: Arc::clone(&shared) }, Inbox { shared }))
}

impl Outbox {
    /// Hands an order over; `false` = the core is behind by [`bounds::ORDERS_MAX`] orders and this one is dropped.
    #[must_use]
    pub fn send(&self, order: Order) -> bool {
        let taken = self.shared.queue.push(order).is_ok();
        if !self.shared.notified.swap(true, Ordering::AcqRel) {
            // Fails only when the counter is full, and then the core has a wake waiting already.
            let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
        }
        taken
    }
}

impl Inbox {
    /// A descriptor that is readable when orders may be there.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn wake_descriptor(&self) -> io::Result<OwnedFd> {
        self.shared.wake.try_clone()
    }

    /// Quits the wake; orders sent from now on wake again. Call it before emptying the queue.
    pub fn quit_wake(&self) {
        let mut count = [0; 8];
        // Nothing to read means that nothing woke us.
        let _ = rustix::io::read(&self.shared.wake, &mut count);
        self.shared.notified.swap(false, Ordering::AcqRel);
    }

    /// The next order.
    pub fn take(&self) -> Option<Order> {
        self.shared.queue.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_arrive_in_order_and_a_full_queue_says_so() {
        let (outbox, inbox) = queue().expect("an eventfd");
        for n in 0..bounds::ORDERS_MAX as u64 {
            assert!(outbox.send(Order::Drain { deadline_ms: n }));
        }
        assert!(!outbox.send(Order::Drain { deadline_ms: 0 }));
        inbox.quit_wake();
        for n in 0..bounds::ORDERS_MAX as u64 {
            assert!(matches!(inbox.take(), Some(Order::Drain { deadline_ms }) if deadline_ms == n));
        }
        assert!(inbox.take().is_none());
    }
}
