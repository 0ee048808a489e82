//! Giving way: whoever has more to do than a moment's work lets the runtime look at everything else first.
//!
//! A task that wakes itself runs before anything that comes from outside (monoio looks at the driver only when no task is
//! ready), and a timer is a millisecond at least. So there is one eventfd per core: it is rung when somebody wants to
//! wait, and comes round with whatever else has happened meanwhile. Two system calls per turn, however many wait for it.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Poll, Waker};

use rustix::event::{EventfdFlags, eventfd};

use super::ready::Ready;
use super::task;

/// The turns of one core.
pub struct Turns {
    bell: OwnedFd,
    /// Turns that have passed.
    passed: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Turns {
    /// Starts to count turns on this core.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn start() -> io::Result<Rc<Self>> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let rung = Ready::new(bell.try_clone()?)?;
        let turns = Rc::new(Self { bell, passed: Cell::new(0), waiting: RefCell::default() });
        let counting = Rc::downgrade(&turns);
        let count = async move {
            loop {
                if rung.readable_unbounded().await.is_err() {
                    // The kernel was short of memory for a moment.
                    task::pause(1).await;
                }
                let Some(turns) = counting.upgrade() else { return };
                turns.pass();
            }
        };
        task::spawn(count, |_| ());
        Ok(turns)
    }

    fn pass(&self) {
        let mut count = [0; 8];
        // Nothing to read means that nobody has rung: a turn is over all the same.
        let _ = rustix::io::read(&self.bell, &mut count);
        self.passed.set(self.passed.get() + 1);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Turns that have passed.
    pub fn passed(&self) -> u64 {
        self.passed.get()
    }

    /// Waits until everything that is ready now has had its turn.
    pub async fn next(&self) {
        let until = self.passed.get() + 1;
        std::future::poll_fn(|context| {
            if self.passed.get() >= until {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if waiting.is_empty() {
                // Fails only where it is rung already.
                let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
            }
            waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};

    use monoio::{LegacyDriver, RuntimeBuilder};

    use super::*;

    /// A socket that becomes readable while somebody has endless work is seen to within a few turns.
    #[test]
    fn who_gives_way_lets_the_driver_and_others_on() {
        let mut runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build().expect("a runtime");
        runtime.block_on(async {
            let turns = Turns::start().expect("a descriptor");
            let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
            let mut far = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
            let (near, _) = listener.accept().expect("its other end");
            near.set_nonblocking(true).expect("a non-blocking socket");
            let near = Ready::new(near.into()).expect("a descriptor that can be waited for");
            let seen = Rc::new(Cell::new(false));
            let look = Rc::clone(&seen);
            task::spawn(
                async move {
                    near.readable_unbounded().await.expect("readable");
                    look.set(true);
                },
                |_| (),
            );
            let others: Vec<_> = (0..3).map(|_| Rc::clone(&turns)).collect();
            for other in others {
                task::spawn(
                    async move {
                        for _ in 0..10 {
                            other.next().await;
                        }
                    },
                    |_| (),
                );
            }
            turns.next().await;
            assert!(!seen.get());
            far.write_all(b"x").expect("sent");
            for _ in 0..100 {
                turns.next().await;
                if seen.get() {
                    break;
                }
            }
            assert!(seen.get(), "the socket was readable for {} turns", turns.passed());
        });
    }
}
