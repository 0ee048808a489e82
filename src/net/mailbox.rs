//! A bounded queue to one core and the eventfd that wakes it, once per burst.
//!
//! A sender never waits: a full queue is an answer. Whoever reads is told that something was missed.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::ArrayQueue;
use rustix::event::{EventfdFlags, eventfd};

struct Shared<T> {
    queue: ArrayQueue<T>,
    /// Whether a wake is on its way: one per burst.
    notified: AtomicBool,
    /// Something did not fit.
    missed: AtomicBool,
    wake: OwnedFd,
}

/// The senders' end.
pub struct Outbox<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// The core's end.
pub struct Inbox<T> {
    shared: Arc<Shared<T>>,
}

/// A mailbox with room for `most` messages.
///
/// # Errors
/// The process has no descriptor left.
pub fn mailbox<T>(most: usize) -> io::Result<(Outbox<T>, Inbox<T>)> {
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let (notified, missed) = (AtomicBool::new(false), AtomicBool::new(false));
    let shared = Arc::new(Shared { queue: ArrayQueue::new(most), notified, missed, wake });
    Ok((Outbox { shared: Arc::clone(&shared) }, Inbox { shared }))
}

impl<T> Outbox<T> {
    /// Hands a message over; `false` = the core is behind by the whole queue and this one is dropped.
    #[must_use]
    pub fn send(&self, message: T) -> bool {
        let taken = self.shared.queue.push(message).is_ok();
        if !taken {
            self.shared.missed.store(true, Ordering::Release);
        }
        if !self.shared.notified.swap(true, Ordering::AcqRel) {
            // Fails only when the counter is full, and then the core has a wake waiting already.
            let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
        }
        taken
    }
}

impl<T> Inbox<T> {
    /// A descriptor that is readable when messages may be there.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn wake_descriptor(&self) -> io::Result<OwnedFd> {
        self.shared.wake.try_clone()
    }

    /// Quits the wake; messages sent from now on wake again. Call it before emptying the queue.
    pub fn quit_wake(&self) {
        let mut count = [0; 8];
        // Nothing to read means that nothing woke us.
        let _ = rustix::io::read(&self.shared.wake, &mut count);
        self.shared.notified.swap(false, Ordering::AcqRel);
    }

    /// The next message.
    pub fn take(&self) -> Option<T> {
        self.shared.queue.pop()
    }

    /// Whether a message was dropped since the last call.
    pub fn take_missed(&self) -> bool {
        self.shared.missed.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_in_order_and_a_full_box_says_so() {
        let (outbox, inbox) = mailbox(64).expect("an eventfd");
        for n in 0..64u64 {
            assert!(outbox.send(n));
        }
        assert!(!inbox.take_missed());
        assert!(!outbox.send(0));
        assert!(inbox.take_missed() && !inbox.take_missed());
        inbox.quit_wake();
        for n in 0..64u64 {
            assert_eq!(inbox.take(), Some(n));
        }
        assert_eq!(inbox.take(), None);
    }
}
