//! One TCP socket: non-blocking calls on our own buffers, readiness from the runtime.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown};

use super::ready::{Ready, Waited};
use super::stream::Read;
use super::{Timer, dial};

/// A connected TCP socket.
pub struct Socket {
    ready: Ready,
}

impl Socket {
    /// Takes a connected non-blocking descriptor.
    ///
    /// # Errors
    /// See [`Ready::new`].
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { ready: Ready::new(fd)? })
    }

    pub(super) fn from_ready(ready: Ready) -> Self {
        Self { ready }
    }

    pub(super) fn into_ready(self) -> Ready {
        self.ready
    }

    /// Reads what is there into the free room of `buffer`. Full room is the caller's duty: none reads nothing.
    ///
    /// # Errors
    /// Those of recv(2) but "not ready".
    pub fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<Read> {
        loop {
            let room = rustix::buffer::spare_capacity(buffer);
            match recv(self.ready.fd(), room, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Ok(Read::End),
                Ok((count, _)) => return Ok(Read::Bytes(count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Read::NotReady),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads into a slice, or only looks (`peek`): for the few bytes of a header whose end must not be passed.
    /// `Ok(None)` = nothing at the moment, `Ok(Some(0))` = the end.
    ///
    /// # Errors
    /// Those of recv(2).
    pub fn try_read_slice(&self, room: &mut [u8], peek: bool) -> io::Result<Option<usize>> {
        let flags = if peek { RecvFlags::PEEK | RecvFlags::DONTWAIT } else { RecvFlags::DONTWAIT };
        match recv(self.ready.fd(), room, flags) {
            Ok((_, count)) => Ok(Some(count)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends what fits. `Ok(None)` = no room at the moment.
    ///
    /// # Errors
    /// Those of sendmsg(2) but "not ready".
    pub fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        loop {
            // One part is the common case (head and small body in one buffer) and send is the cheaper call.
            let sent = match parts {
                [one] => send(self.ready.fd(), one, flags),
                _ => sendmsg(self.ready.fd(), parts, &mut SendAncillaryBuffer::default(), flags),
            };
            match sent {
                Ok(count) => return Ok(Some(count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for bytes (or the end), or for the timer.
    ///
    /// # Errors
    /// See [`Ready::readable`].
    pub fn readable<'a>(&'a self, timer: &'a Timer) -> impl Future<Output = io::Result<Waited>> + 'a {
        self.ready.readable(timer)
    }

    /// Waits for room to send, or for the timer.
    ///
    /// # Errors
    /// See [`Ready::readable`].
    pub fn writable<'a>(&'a self, timer: &'a Timer) -> impl Future<Output = io::Result<Waited>> + 'a {
        self.ready.writable(timer)
    }

    /// Whether the peer has closed its side or the connection is broken, even where unread bytes are still there.
    pub fn peer_closed(&self) -> bool {
        let fd = self.ready.fd();
        let mut fds = [PollFd::new(&fd, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&now)) {
            Ok(0) | Err(_) => false,
            Ok(_) => fds[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR),
        }
    }

    /// Whether an idle connection may be used: open, and nothing unasked-for has come.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0u8; 1];
        matches!(recv(self.ready.fd(), &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT), Err(Errno::AGAIN))
    }

    /// Sends FIN; reading goes on.
    pub fn shutdown_write(&self) {
        // Fails only where the peer has reset the connection already, which is as good.
        let _ = shutdown(self.ready.fd(), Shutdown::Write);
    }

    /// Makes close send a reset, so that the peer knows that what it has got is not whole.
    pub fn reset_on_close(&self) {
        dial::set_reset_on_close(self.ready.fd());
    }
}
