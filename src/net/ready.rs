//! Readiness of any file descriptor on the core's runtime: sockets, listeners, eventfds.
//!
//! monoio offers readiness on its TCP type only, so the descriptor is wrapped in one; no TCP call is made through it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use monoio::net::TcpStream;
use pin_project_lite::pin_project;

use super::Timer;

/// A descriptor the runtime can wait for. Closed on drop, once no wait is in flight.
pub struct Ready {
    io: TcpStream,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Waited {
    Ready,
    Expired,
}

impl Ready {
    /// Registers a non-blocking descriptor.
    ///
    /// # Errors
    /// Those of registering it with epoll; the descriptor is closed then.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { io: TcpStream::from_std(std::net::TcpStream::from(fd))? })
    }

    /// A descriptor that monoio made or took part in.
    pub fn from_io(io: TcpStream) -> Self {
        Self { io }
    }

    /// The stream under it, for a library that wants monoio's own type.
    pub fn into_io(self) -> TcpStream {
        self.io
    }

    /// The descriptor, for calls that do not block.
    pub fn fd(&self) -> BorrowedFd<'_> {
        borrow(&self.io)
    }

    /// Waits until a read has something to say, or the timer fires. Dropping this future loses nothing.
    ///
    /// # Errors
    /// Those of the poll operation itself; the socket's own error shows at the next read or write.
    pub fn readable<'a>(&'a self, timer: &'a Timer) -> impl Future<Output = io::Result<Waited>> + 'a {
        Race { ready: self.io.readable(false), timer }
    }

    /// Waits until there is room to send, or the timer fires. As [`Ready::readable`].
    ///
    /// # Errors
    /// Those of the poll operation itself.
    pub fn writable<'a>(&'a self, timer: &'a Timer) -> impl Future<Output = io::Result<Waited>> + 'a {
        Race { ready: self.io.writable(false), timer }
    }
}

impl Ready {
    /// Waits until there is room to send: for work that is bounded as a whole.
    ///
    /// # Errors
    /// Those of the poll operation itself.
    pub fn writable_unbounded(&self) -> impl Future<Output = io::Result<()>> + '_ {
        self.io.writable(false)
    }

    /// Waits until a read has something to say: for what has no deadline.
    ///
    /// # Errors
    /// Those of the poll operation itself.
    pub fn readable_unbounded(&self) -> impl Future<Output = io::Result<()>> + '_ {
        self.io.readable(false)
    }
}

pin_project! {
    /// Readiness or time-out. By hand, and the functions above are no `async fn`: every coroutine around a wait would
    /// store its arguments once more, and this is what tens of thousands of idle connections consist of.
    struct Race<'a, R> {
        #[pin]
        ready: R,
        timer: &'a Timer,
    }
}

impl<R: Future<Output = io::Result<()>>> Future for Race<'_, R> {
    type Output = io::Result<Waited>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(done) = this.ready.poll(context) {
            return Poll::Ready(done.map(|()| Waited::Ready));
        }
        this.timer.poll_fired(context).map(|()| Ok(Waited::Expired))
    }
}

/// The descriptor of a monoio stream, which has no `AsFd` of its own.
#[expect(unsafe_code, reason = "monoio's stream gives its descriptor as a number only")]
pub(super) fn borrow(io: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns an open descriptor for as long as it lives, and the borrow is tied to it.
    unsafe { BorrowedFd::borrow_raw(io.as_raw_fd()) }
}
