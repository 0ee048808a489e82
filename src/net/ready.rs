//! Readiness of any file descriptor on the core's runtime: sockets, listeners, eventfds.
//!
//! monoio offers readiness on its TCP type only, so the descriptor is wrapped in one; no TCP call is made through it.

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::pin;
use std::task::Poll;

use monoio::net::TcpStream;

use super::Timer;

/// A descriptor the runtime can wait for. Closed on drop, once no wait is in flight.
pub struct Ready {
    io: TcpStream,
}

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    Read,
    Write,
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

    /// The number of the descriptor.
    pub fn raw(&self) -> RawFd {
        self.io.as_raw_fd()
    }

    /// The descriptor, for calls that do not block.
    pub fn fd(&self) -> BorrowedFd<'_> {
        borrow(&self.io)
    }

    /// Waits for readiness, or for the timer. Dropping this future loses nothing.
    ///
    /// # Errors
    /// Those of the poll operation itself; the socket's own error shows at the next read or write.
    pub async fn wait(&self, interest: Interest, timer: &Timer) -> io::Result<Waited> {
        match interest {
            Interest::Read => race(self.io.readable(false), timer).await,
            Interest::Write => race(self.io.writable(false), timer).await,
        }
    }
}

async fn race(ready: impl Future<Output = io::Result<()>>, timer: &Timer) -> io::Result<Waited> {
    let mut ready = pin!(ready);
    std::future::poll_fn(|context| {
        if let Poll::Ready(done) = ready.as_mut().poll(context) {
            return Poll::Ready(done.map(|()| Waited::Ready));
        }
        timer.poll_fired(context).map(|()| Ok(Waited::Expired))
    })
    .await
}

/// The descriptor of a monoio stream, which has no `AsFd` of its own.
#[expect(unsafe_code, reason = "monoio's stream gives its descriptor as a number only")]
pub(super) fn borrow(io: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns an open descriptor for as long as it lives, and the borrow is tied to it.
    unsafe { BorrowedFd::borrow_raw(io.as_raw_fd()) }
}
