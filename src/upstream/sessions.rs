//! The connections of HTTP/2 to one address, on one core: shared by all exchanges that have room on them.
//!
//! The oldest with room is filled first, so that those which are not needed any more fall idle and leave. As long as a
//! connection is being opened, those who would open another one wait for it: one at a time, unless the address is known
//! to choose HTTP/1.1. Does no I/O of its own, and is never borrowed across an await.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use super::client::UpstreamError;
use super::queue::{Place, Queue};
use crate::base::clock;
use crate::bounds;
use crate::net::{Session, Stream};

/// The sessions of one pool.
#[derive(Default)]
pub struct Sessions {
    /// How long one without streams lives, milliseconds.
    pub idle_ms: u64,
    /// How many without streams are kept.
    idle_max: usize,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Oldest first.
    live: Vec<Rc<Session>>,
    queue: Queue,
    /// Somebody opens a connection on behalf of all who wait.
    dialling: bool,
    /// ALPN chose HTTP/1.1 the last time.
    is_http1: bool,
    /// Failures that were shared with those who waited, and the last one.
    failures: u64,
    failure: Option<UpstreamError>,
    /// No further connection before this, as long as there is one: the last attempt failed.
    not_before_ms: u64,
    /// Who waits for settings.
    watchers: Vec<Waker>,
    /// The pool is gone: whatever is left leaves as soon as it can.
    closed: bool,
}

/// What somebody who needs a connection is to do.
pub enum Turn {
    /// Use this stream.
    Stream(Stream),
    /// Open a connection, and say what came of it.
    Dial(Dialling),
    /// Whoever opened a connection has failed, for a reason that holds for everybody.
    Failed(UpstreamError),
}

/// A connection being opened. Dropped without a word, the next one tries.
pub struct Dialling {
    sessions: Rc<Sessions>,
    /// Others wait for it.
    exclusive: bool,
}

/// Somebody who waits.
struct Waiter<'a> {
    sessions: &'a Sessions,
    place: Option<Place>,
    /// Failures so far when it came: those of later are its own, too.
    failures: u64,
}

impl Sessions {
    /// No session yet.
    pub fn new(idle_ms: u64, idle_max: usize) -> Rc<Self> {
        Rc::new(Self { idle_ms, idle_max, inner: RefCell::default() })
    }

    /// A stream on a session that has room, where nobody waits for one.
    pub fn stream_at_once(&self) -> Option<Stream> {
        let inner = &mut *self.inner.borrow_mut();
        inner.queue.is_open(inner.room()).then(|| inner.open())?
    }

    /// Waits for a turn. Unbounded: the caller bounds it.
    pub async fn turn(self: &Rc<Self>) -> Turn {
        let failures = self.inner.borrow().failures;
        let mut waiter = Waiter { sessions: self, place: None, failures };
        poll_fn(|context| self.poll_turn(&mut waiter, context)).await
    }

    fn poll_turn(self: &Rc<Self>, waiter: &mut Waiter<'_>, context: &Context<'_>) -> Poll<Turn> {
        let mut guard = self.inner.borrow_mut();
        let inner = &mut *guard;
        if inner.failures > waiter.failures
            && let Some(failure) = &inner.failure
        {
            return Poll::Ready(Turn::Failed(again(failure)));
        }
        let is_called = match waiter.place {
            Some(place) => !inner.queue.is_waiting(place),
            None => inner.queue.is_open(inner.turns()),
        };
        if is_called || inner.is_http1 {
            if is_called && let Some(stream) = inner.open() {
                return Poll::Ready(Turn::Stream(stream));
            }
            let exclusive = !inner.is_http1;
            if !exclusive || inner.may_dial() {
                inner.dialling |= exclusive;
                return Poll::Ready(Turn::Dial(Dialling { sessions: Rc::clone(self), exclusive }));
            }
        }
        let place = *waiter.place.get_or_insert_with(|| inner.queue.enter());
        inner.queue.wait(place, context.waker());
        // A pause may be over, and those who came before do not know.
        let turns = inner.turns();
        let wakers = inner.queue.call(turns);
        drop(guard);
        wakers.into_iter().for_each(Waker::wake);
        Poll::Pending
    }

    /// Waits until the peer of a session has said its settings, or the session is about to end. Unbounded as
    /// [`Sessions::turn`].
    pub async fn settled(&self, session: &Session) {
        poll_fn(|context| {
            if session.is_told() || session.is_leaving() {
                return Poll::Ready(());
            }
            self.inner.borrow_mut().watchers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// A session has come to its end.
    pub fn remove(&self, session: &Rc<Session>) {
        self.inner.borrow_mut().live.retain(|live| !Rc::ptr_eq(live, session));
        self.changed();
    }

    /// The pool is gone: each session leaves with the last of its streams, those to come too.
    pub fn close(&self) {
        self.inner.borrow_mut().closed = true;
        self.changed();
    }

    /// How many are kept without a stream.
    pub fn idle(&self) -> usize {
        self.inner.borrow().live.iter().filter(|session| session.streams() == 0 && !session.is_leaving()).count()
    }

    /// There may be more or less room than before: whoever has a turn now is called, and idle sessions leave where there
    /// are too many, the youngest first.
    pub fn changed(&self) {
        let idle_max = if self.inner.borrow().closed { 0 } else { self.idle_max };
        let (surplus, wakers) = {
            let inner = &mut *self.inner.borrow_mut();
            let idle = inner.live.iter().filter(|session| session.streams() == 0 && !session.is_leaving());
            // Who waits may need them.
            let kept = if inner.queue.is_empty() { idle_max } else { usize::MAX };
            let surplus: Vec<_> = idle.skip(kept).map(Rc::clone).collect();
            let turns = inner.turns();
            let mut wakers = inner.queue.call(turns);
            wakers.append(&mut inner.watchers);
            (surplus, wakers)
        };
        surplus.iter().for_each(|session| session.leave());
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Inner {
    /// Opens a stream on the oldest session with room.
    fn open(&mut self) -> Option<Stream> {
        self.live.iter().find_map(|session| {
            if room(session) == 0 {
                return None;
            }
            // The end of an idle one may be there unread: what is written on it then could be lost, and not be repeated.
            if session.streams() == 0 && session.transport().is_gone() {
                session.leave();
                return None;
            }
            session.open()
        })
    }

    fn room(&self) -> usize {
        self.live.iter().map(|session| room(session)).fold(0, usize::saturating_add)
    }

    /// How many may have their turn now: there is room for so many, or one may open a connection.
    fn turns(&self) -> usize {
        self.room().max(usize::from(self.may_dial()))
    }

    /// Whether a further connection may be opened: none is under way, in any of its steps, and the last attempt did not
    /// fail just now while others were of use.
    fn may_dial(&self) -> bool {
        let is_settling = |session: &Rc<Session>| !session.is_told() && !session.is_leaving();
        let is_paused = clock::now_ms() < self.not_before_ms && self.is_of_use();
        !self.dialling && !is_paused && !self.live.iter().any(is_settling)
    }

    /// Whether there is a session that will have room again.
    fn is_of_use(&self) -> bool {
        self.live.iter().any(|session| !session.is_leaving())
    }
}

/// Streams that a session has room for. As long as the peer has not said how many it takes there is one, for who opened
/// the connection: more might be refused.
fn room(session: &Session) -> usize {
    match session.is_told() {
        true => session.room(),
        false => session.room().min(usize::from(session.streams() == 0)),
    }
}

impl Dialling {
    /// The peer speaks HTTP/2 on the session: others may share it. The stream is for who opened it.
    pub fn chose_http2(self, session: Rc<Session>) -> Option<Stream> {
        let owner: Weak<Sessions> = Rc::downgrade(&self.sessions);
        session.report_to(move || owner.upgrade().iter().for_each(|sessions| sessions.changed()));
        let stream = session.open();
        let inner = &mut *self.sessions.inner.borrow_mut();
        inner.is_http1 = false;
        inner.not_before_ms = 0;
        inner.live.push(session);
        stream
    }

    /// The peer speaks HTTP/1.1: nobody waits for anybody any more.
    pub fn chose_http1(self) {
        let wakers = {
            let inner = &mut *self.sessions.inner.borrow_mut();
            inner.is_http1 = true;
            inner.queue.call_all()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// No connection came about. Returns whether it is worth waiting for room on those that are there; else all who wait
    /// have failed, too.
    pub fn failed(self, error: &UpstreamError) -> bool {
        let (is_of_use, wakers) = {
            let inner = &mut *self.sessions.inner.borrow_mut();
            let is_of_use = inner.is_of_use();
            if is_of_use {
                inner.not_before_ms = clock::now_ms() + bounds::COOL_DOWN_MS;
                (true, Vec::new())
            } else {
                inner.failures += 1;
                inner.failure = Some(again(error));
                (false, inner.queue.call_all())
            }
        };
        wakers.into_iter().for_each(Waker::wake);
        is_of_use
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        if self.exclusive {
            self.sessions.inner.borrow_mut().dialling = false;
            self.sessions.changed();
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.sessions.inner.borrow_mut().queue.leave(place);
            // Its turn is the next one's, where it did not use it up.
            self.sessions.changed();
        }
    }
}

/// The same error for somebody else who has it.
fn again(error: &UpstreamError) -> UpstreamError {
    match error {
        UpstreamError::ConnectRefused => UpstreamError::ConnectRefused,
        UpstreamError::Tls(text) => UpstreamError::Tls(text.clone()),
        UpstreamError::ConnectFailed(error) => UpstreamError::ConnectFailed(
            error.raw_os_error().map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error),
        ),
        _ => UpstreamError::ConnectExpired,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};

    use super::*;

    fn poll(turn: Pin<&mut impl Future<Output = Turn>>) -> Option<Turn> {
        match turn.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    fn dialling(turn: Option<Turn>) -> Dialling {
        let Some(Turn::Dial(dialling)) = turn else { panic!("a turn to dial") };
        dialling
    }

    #[test]
    fn one_dials_while_the_others_wait_and_the_next_one_where_it_gives_up() {
        let sessions = Sessions::new(1_000, 1);
        let [mut a, mut b, mut c] = std::array::from_fn(|_| Box::pin(sessions.turn()));
        let first = dialling(poll(a.as_mut()));
        assert!(poll(b.as_mut()).is_none() && poll(c.as_mut()).is_none());
        drop(first);
        assert!(poll(c.as_mut()).is_none(), "the other one came before");
        let second = dialling(poll(b.as_mut()));
        assert!(poll(c.as_mut()).is_none());
        drop((a, b));
        drop(second);
        drop(dialling(poll(c.as_mut())));
    }

    #[test]
    fn a_place_that_is_given_up_holds_nobody_up() {
        let sessions = Sessions::new(1_000, 1);
        let [mut a, mut b, mut c] = std::array::from_fn(|_| Box::pin(sessions.turn()));
        let first = dialling(poll(a.as_mut()));
        assert!(poll(b.as_mut()).is_none() && poll(c.as_mut()).is_none());
        // It was called, and leaves without coming.
        drop(first);
        drop(b);
        drop(dialling(poll(c.as_mut())));
    }

    #[test]
    fn a_failure_is_shared_by_those_who_waited_and_by_nobody_who_comes_later() {
        let sessions = Sessions::new(1_000, 1);
        let [mut a, mut b] = std::array::from_fn(|_| Box::pin(sessions.turn()));
        let first = dialling(poll(a.as_mut()));
        assert!(poll(b.as_mut()).is_none());
        assert!(!first.failed(&UpstreamError::ConnectRefused), "there is no other connection to wait for");
        assert!(matches!(poll(b.as_mut()), Some(Turn::Failed(UpstreamError::ConnectRefused))));
        drop((a, b));
        drop(dialling(poll(pin!(sessions.turn()))));
    }

    #[test]
    fn where_http_1_is_chosen_nobody_waits_any_more() {
        let sessions = Sessions::new(1_000, 1);
        let [mut a, mut b, mut c] = std::array::from_fn(|_| Box::pin(sessions.turn()));
        let first = dialling(poll(a.as_mut()));
        assert!(poll(b.as_mut()).is_none());
        first.chose_http1();
        let (_second, _third) = (dialling(poll(b.as_mut())), dialling(poll(c.as_mut())));
        assert!(sessions.stream_at_once().is_none());
        assert_eq!(sessions.idle(), 0);
    }
}
