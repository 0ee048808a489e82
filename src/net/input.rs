//! Bytes read from a stream and not consumed yet. Holds a pooled buffer only while there are any.

use std::io;
use std::task::{Context, Poll};

use super::ready::Waited;
use super::{Read, Stream, Timer};
use crate::base::buf::BufferPool;
use crate::base::clock;
use crate::bounds;

/// Unconsumed bytes of one connection. `bytes[start..]` are unread; invariant: `start <= bytes.len()`.
pub struct Input {
    bytes: Vec<u8>,
    start: usize,
    /// Trying comes before waiting. False only where the last read has taken all there was (plaintext of TLS
    /// included), or the peer is known to speak only when asked.
    eager: bool,
    /// The last read filled its buffer: the next one is a large one.
    large: bool,
}

/// How long to wait for bytes, and what else may end the wait.
#[derive(Clone, Copy)]
pub struct Wait<'a> {
    pub timer: &'a Timer,
    /// Coarse monotonic clock, milliseconds.
    pub deadline_ms: u64,
    pub until: Until<'a>,
}

/// What ends a wait besides bytes and the deadline.
#[derive(Clone, Copy)]
pub enum Until<'a> {
    /// Nothing.
    Deadline,
    /// A drain: nobody would miss what is awaited.
    Drained,
    /// The peer of this connection leaves: on its behalf bytes are awaited.
    Gone(&'a Stream),
    /// Nobody wants them any more: asked as often as a watched connection is looked at.
    Unwanted(&'a dyn Fn() -> bool),
}

/// What filling brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    Bytes,
    /// The peer ended its side.
    End,
}

/// Why there are no bytes.
#[derive(Debug)]
pub enum ReadError {
    Io(io::Error),
    /// The deadline passed.
    Expired,
    /// The watched connection's peer has left, or nobody wants the bytes any more.
    WatchedGone,
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Input {
    /// Nothing read yet; the first fill tries before it waits.
    pub const fn eager() -> Self {
        Self { bytes: Vec::new(), start: 0, eager: true, large: false }
    }

    /// Nothing read yet; the first fill waits: for a peer that answers a question still to be asked.
    pub const fn patient() -> Self {
        Self { bytes: Vec::new(), start: 0, eager: false, large: false }
    }

    /// What is there.
    pub fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// What is there, for decoding in place.
    pub fn unread_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }

    /// Marks `count` bytes as done with.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Whether nothing is unread.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Gives the buffer back where nothing is unread.
    pub fn release(&mut self, pool: &BufferPool) {
        if self.is_empty() && self.bytes.capacity() > 0 {
            self.start = 0;
            pool.give(std::mem::take(&mut self.bytes));
        }
    }

    /// Gives the buffer back whatever is in it.
    pub fn discard(&mut self, pool: &BufferPool) {
        self.consume(usize::MAX / 2);
        self.release(pool);
    }

    /// Passes over all that is there where that is at most `most` empty lines and nothing else. Returns how many.
    pub fn skip_empty_lines(&mut self, most: usize) -> usize {
        let unread = self.unread();
        let lines = unread.len() / 2;
        if lines > most || !unread.chunks(2).all(|line| line == b"\r\n") {
            return 0;
        }
        self.consume(2 * lines);
        lines
    }

    /// Keeps unread bytes in no more room than they need: for a peer that is slow to send the rest.
    pub fn shrink(&mut self, pool: &BufferPool) {
        let unread = self.unread();
        if self.bytes.capacity() >= bounds::BUFFER_BYTES && unread.len() < bounds::BUFFER_BYTES / 4 {
            let kept = unread.to_vec();
            self.start = 0;
            pool.give(std::mem::replace(&mut self.bytes, kept));
        }
    }

    /// Bytes are there for sure: the next [`Input::try_fill_eagerly`] tries.
    pub fn expect_bytes(&mut self) {
        self.eager = true;
    }

    /// As [`Input::try_fill`], but without a system call where the last read has told that nothing is left.
    ///
    /// # Errors
    /// Those of [`Stream::try_read`].
    pub fn try_fill_eagerly(&mut self, stream: &Stream, pool: &BufferPool) -> io::Result<Read> {
        if self.eager { self.try_fill(stream, pool) } else { Ok(Read::NotReady) }
    }

    /// Appends at least one byte, waiting for it without holding an empty buffer.
    ///
    /// # Errors
    /// [`ReadError`]; what was unread stays unread.
    pub async fn fill(&mut self, stream: &Stream, pool: &BufferPool, wait: Wait<'_>) -> Result<Filled, ReadError> {
        loop {
            if self.eager {
                match self.try_fill(stream, pool)? {
                    Read::Bytes(_) => return Ok(Filled::Bytes),
                    Read::End => return Ok(Filled::End),
                    Read::NotReady => self.eager = false,
                }
            }
            self.release(pool);
            wait.readable(stream).await?;
            self.eager = true;
        }
    }

    /// Appends what is there at the moment.
    ///
    /// # Errors
    /// Those of [`Stream::try_read`].
    pub fn try_fill(&mut self, stream: &Stream, pool: &BufferPool) -> io::Result<Read> {
        self.make_room(pool);
        let read = stream.try_read(&mut self.bytes, pool)?;
        // A full buffer means that more is likely there (on TLS: perhaps decrypted already).
        self.eager = self.bytes.len() == self.bytes.capacity();
        self.large |= self.eager;
        Ok(read)
    }

    fn make_room(&mut self, pool: &BufferPool) {
        if self.is_empty() && self.large && self.bytes.capacity() < bounds::BUFFER_BYTES_LARGE {
            self.release(pool);
        }
        if self.bytes.capacity() == 0 {
            self.bytes = if self.large { pool.large() } else { pool.small() };
            return;
        }
        if self.bytes.len() < self.bytes.capacity() {
            return;
        }
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
            return;
        }
        let mut larger = if self.bytes.len() < bounds::BUFFER_BYTES { pool.small() } else { pool.large() };
        if larger.capacity() <= self.bytes.len() {
            larger.reserve(self.bytes.len() + bounds::BUFFER_BYTES);
        }
        larger.extend_from_slice(&self.bytes);
        pool.give(std::mem::replace(&mut self.bytes, larger));
    }
}

impl Wait<'_> {
    /// Waits for the stream to be readable.
    async fn readable(self, stream: &Stream) -> Result<(), ReadError> {
        loop {
            self.arm()?;
            let mut readable = std::pin::pin!(stream.readable(self.timer));
            let waited = std::future::poll_fn(|context| match readable.as_mut().poll(context) {
                Poll::Ready(waited) => Poll::Ready(Ok(waited)),
                Poll::Pending if self.is_gone(context) => Poll::Ready(Err(ReadError::WatchedGone)),
                Poll::Pending => Poll::Pending,
            })
            .await;
            self.timer.disarm();
            if waited?? == Waited::Ready {
                return Ok(());
            }
            self.look()?;
        }
    }

    /// Runs `work` to its end within the bounds of this wait; given up, it is dropped.
    ///
    /// # Errors
    /// [`ReadError::Expired`] or [`ReadError::WatchedGone`].
    pub async fn bound<T>(self, work: impl Future<Output = T>) -> Result<T, ReadError> {
        let mut work = std::pin::pin!(work);
        loop {
            self.arm()?;
            let done = std::future::poll_fn(|context| match work.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Ok(Some(done))),
                Poll::Pending if self.is_gone(context) => Poll::Ready(Err(ReadError::WatchedGone)),
                Poll::Pending => self.timer.poll_fired(context).map(|()| Ok(None)),
            })
            .await;
            self.timer.disarm();
            if let Some(done) = done? {
                return Ok(done);
            }
            self.look()?;
        }
    }

    /// Whether the watched client is known to be gone: of a stream of HTTP/2 that is told at once, and wakes this task.
    fn is_gone(self, context: &mut Context<'_>) -> bool {
        matches!(self.until, Until::Gone(client) if client.poll_gone(context))
    }

    /// Arms the timer for the deadline, or for the next look at the watched connection.
    fn arm(self) -> Result<(), ReadError> {
        let now = clock::now_ms();
        if now >= self.deadline_ms || self.timer.is_over() {
            return Err(ReadError::Expired);
        }
        match self.until {
            Until::Deadline => self.timer.arm(self.deadline_ms),
            Until::Drained => self.timer.arm_idle(self.deadline_ms),
            Until::Gone(_) | Until::Unwanted(_) => {
                self.timer.arm(self.deadline_ms.min(now + bounds::CLIENT_CHECK_MS));
            }
        }
        Ok(())
    }

    /// The timer fired: whether that ends the wait before its deadline.
    fn look(self) -> Result<(), ReadError> {
        match self.until {
            Until::Deadline => Ok(()),
            Until::Drained => Err(ReadError::Expired),
            Until::Gone(client) if client.is_gone() => Err(ReadError::WatchedGone),
            Until::Unwanted(is_unwanted) if is_unwanted() => Err(ReadError::WatchedGone),
            Until::Gone(_) | Until::Unwanted(_) => Ok(()),
        }
    }
}
