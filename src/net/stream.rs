//! A byte stream to a peer: plain TCP, TLS over it, or one stream of an HTTP/2 connection over either, which looks like a
//! connection of HTTP/1.1 with one exchange on it. Both directions may be used at once through `&self`.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::ready::Waited;
use super::session::Channel;
use super::{Session, Socket, Timer};
use crate::base::buf::BufferPool;
use crate::base::clock;
use crate::tls::failure::TlsFailure;
use crate::tls::records::{PlainRead, Records};

/// What carries the bytes.
pub enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream>),
    Multiplexed(Channel),
}

/// TLS over a socket. The records are borrowed only between awaits.
pub struct TlsStream {
    socket: Socket,
    records: RefCell<Records>,
}

/// What a non-blocking read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes were appended to the buffer.
    Bytes(usize),
    /// The peer has ended its side, properly as far as the transport can tell.
    End,
    /// Nothing at the moment.
    NotReady,
}

/// Why writing stopped.
#[derive(Debug)]
pub enum WriteError {
    /// The connection broke before any of these bytes was taken.
    Untouched(io::Error),
    /// The connection broke; some of the bytes may have reached the peer.
    Broken(io::Error),
    /// The peer took nothing for the whole time-out.
    Expired,
}

/// Why a TLS handshake failed.
#[derive(Debug)]
pub enum HandshakeError {
    Io(io::Error),
    Tls(TlsFailure),
    /// The peer closed in the middle.
    Closed,
    Expired,
}

impl Stream {
    /// A TLS stream whose handshake is over, or about to be made by [`Stream::handshake`].
    pub fn tls(socket: Socket, records: Records) -> Self {
        Self::Tls(Box::new(TlsStream { socket, records: RefCell::new(records) }))
    }

    /// The socket under it.
    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.socket,
            Self::Multiplexed(channel) => channel.session().transport().socket(),
        }
    }

    /// Whether it is one of several streams on a connection.
    pub fn is_multiplexed(&self) -> bool {
        matches!(self, Self::Multiplexed(_))
    }

    /// The connection of HTTP/2 that it is a stream of.
    pub fn session(&self) -> Option<&Rc<Session>> {
        match self {
            Self::Multiplexed(channel) => Some(channel.session()),
            _ => None,
        }
    }

    /// Whether the peer has left, even where unread bytes are still there.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Multiplexed(channel) => channel.is_cut(),
            _ => self.socket().peer_closed(),
        }
    }

    /// Whether nothing has come of a message that is to come: of one stream among several only.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Multiplexed(channel) if channel.is_silent())
    }

    /// Whether the peer is known to have left without a system call; else the task is woken when it leaves. Of one stream
    /// among several only: a connection of its own has to be looked at ([`Stream::is_gone`]).
    pub fn poll_gone(&self, context: &mut Context<'_>) -> bool {
        matches!(self, Self::Multiplexed(channel) if channel.poll_cut(context))
    }

    /// What was agreed on by ALPN.
    pub fn protocol(&self) -> Option<Vec<u8>> {
        match self {
            Self::Tls(tls) => tls.records.borrow().alpn().map(<[u8]>::to_vec),
            _ => None,
        }
    }

    /// Appends what is there to `buffer`, at most its free room.
    ///
    /// # Errors
    /// Of the socket, or `InvalidData` for a TLS record that is not one.
    pub fn try_read(&self, buffer: &mut Vec<u8>, pool: &BufferPool) -> io::Result<Read> {
        match self {
            Self::Plain(socket) => socket.try_read(buffer),
            Self::Tls(tls) => tls.try_read(buffer, pool),
            Self::Multiplexed(channel) => channel.try_read(buffer),
        }
    }

    /// Waits until [`Stream::try_read`] has something to say, or the timer fires.
    ///
    /// # Errors
    /// Those of the poll operation.
    pub fn readable<'a>(&'a self, timer: &'a Timer) -> impl Future<Output = io::Result<Waited>> + 'a {
        match self {
            Self::Multiplexed(channel) => Readable::Channel { channel, timer },
            _ => Readable::Socket { ready: self.socket().readable(timer) },
        }
    }

    /// Waits for room to send under the stream, or for the timer: for whoever sends without waiting.
    ///
    /// # Errors
    /// Those of the poll operation.
    pub fn writable<'a>(&'a self, timer: &'a Timer) -> impl Future<Output = io::Result<Waited>> + 'a {
        self.socket().writable(timer)
    }

    /// Sends all parts and, on TLS, everything still held back; each wait for room is bounded by `timeout_ms`.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write_all(&self, parts: &mut [IoSlice<'_>], timer: &Timer, timeout_ms: u64) -> Result<(), WriteError> {
        match self {
            Self::Plain(socket) => write_plain(socket, parts, timer, timeout_ms).await,
            Self::Tls(tls) => {
                tls.records.borrow_mut().write(parts);
                tls.flush(timer, timeout_ms).await
            }
            Self::Multiplexed(channel) => write_channel(channel, parts, timer, timeout_ms).await,
        }
    }

    /// As [`Stream::write_all`], and with it the goodbye of TLS: nothing is sent after this.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write_last(
        &self,
        parts: &mut [IoSlice<'_>],
        timer: &Timer,
        timeout_ms: u64,
    ) -> Result<(), WriteError> {
        if let Self::Tls(tls) = self {
            {
                let mut records = tls.records.borrow_mut();
                records.write(parts);
                records.close_notify();
            }
            return tls.flush(timer, timeout_ms).await;
        }
        self.write_all(parts, timer, timeout_ms).await?;
        if let Self::Multiplexed(channel) = self {
            channel.finish();
        }
        Ok(())
    }

    /// Sends as much as goes without waiting; `None` = everything is sent. `Some` = so many bytes are taken: go on behind
    /// them with [`Stream::write_all`], even where none is left (TLS may hold back records).
    ///
    /// # Errors
    /// The connection broke.
    pub fn try_write(&self, parts: &mut [IoSlice<'_>]) -> io::Result<Option<usize>> {
        let bytes: usize = parts.iter().map(|p| p.len()).sum();
        match self {
            Self::Plain(socket) => {
                let taken = socket.try_write(parts)?.unwrap_or(0);
                Ok((taken < bytes).then_some(taken))
            }
            Self::Tls(tls) => {
                tls.records.borrow_mut().write(parts);
                Ok(if tls.try_flush()? { None } else { Some(bytes) })
            }
            Self::Multiplexed(channel) => {
                let taken = channel.try_write(parts)?;
                Ok((taken < bytes).then_some(taken))
            }
        }
    }

    /// Sends a few bytes without waiting; `false` = the connection is of no use any more. No room at all is no failure:
    /// nothing is sent then. (On TLS what finds no room goes out before anything else.)
    pub fn try_send(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Plain(socket) => match socket.try_write(&[IoSlice::new(bytes)]) {
                Ok(Some(count)) => count == bytes.len(),
                Ok(None) => true,
                Err(_) => false,
            },
            Self::Tls(tls) => {
                tls.records.borrow_mut().write(&[IoSlice::new(bytes)]);
                tls.try_flush().is_ok()
            }
            Self::Multiplexed(channel) => channel.try_write(&[IoSlice::new(bytes)]).is_ok(),
        }
    }

    /// Server side of the handshake, bounded by the timer as it is armed.
    ///
    /// # Errors
    /// [`HandshakeError`]; an alert was sent where there is one.
    pub async fn handshake(&self, timer: &Timer, pool: &BufferPool) -> Result<(), HandshakeError> {
        match self {
            Self::Plain(_) | Self::Multiplexed(_) => Ok(()),
            Self::Tls(tls) => tls.handshake(timer, pool).await,
        }
    }

    /// Whether the TLS session is a resumed one.
    pub fn resumed(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.records.borrow().resumed() == Some(true))
    }

    /// Says goodbye (close_notify on TLS) and sends FIN. Best effort: the peer may be gone.
    pub fn shutdown(&self) {
        match self {
            Self::Multiplexed(channel) => return channel.finish(),
            Self::Tls(tls) => {
                tls.records.borrow_mut().close_notify();
                let _ = tls.try_flush();
            }
            Self::Plain(_) => {}
        }
        self.socket().shutdown_write();
    }

    /// Makes the end of this stream a reset, so that the peer knows that what it has got is not whole.
    pub fn reset_on_close(&self) {
        match self {
            Self::Multiplexed(channel) => channel.abandon(),
            _ => self.socket().reset_on_close(),
        }
    }

    /// Whether an idle pooled connection may carry another request.
    pub fn is_quiet(&self, pool: &BufferPool) -> bool {
        match self {
            Self::Plain(socket) => socket.is_quiet(),
            // It has carried its exchange.
            Self::Multiplexed(_) => false,
            // A session ticket may come at any time: it is taken. Plaintext nobody asked for, decrypted already or
            // not, or the peer's goodbye mean that the connection is spent.
            Self::Tls(tls) => {
                let mut buffer = pool.small();
                let quiet = matches!(tls.try_read(&mut buffer, pool), Ok(Read::NotReady));
                pool.give(buffer);
                quiet
            }
        }
    }
}

async fn write_channel(
    channel: &Channel,
    mut parts: &mut [IoSlice<'_>],
    timer: &Timer,
    timeout_ms: u64,
) -> Result<(), WriteError> {
    IoSlice::advance_slices(&mut parts, 0);
    let mut touched = false;
    // Woken for nothing, it goes on waiting for the same thing: pings and neighbours buy a stream no time.
    let mut since = None;
    while !parts.is_empty() {
        match channel.try_write(parts) {
            Ok(0) => {
                if timer.is_over() {
                    return Err(WriteError::Expired);
                }
                let standing = channel.standing();
                let deadline_ms = match since {
                    Some((before, deadline_ms)) if standing.is_none() || standing == before => deadline_ms,
                    _ => clock::now_ms() + timeout_ms,
                };
                since = Some((standing, deadline_ms));
                timer.arm(deadline_ms);
                let waited = channel.room(timer).await;
                timer.disarm();
                if waited == Waited::Expired {
                    return Err(WriteError::Expired);
                }
            }
            Ok(count) => {
                touched = true;
                since = None;
                IoSlice::advance_slices(&mut parts, count);
            }
            Err(error) if touched => return Err(WriteError::Broken(error)),
            Err(error) => return Err(WriteError::Untouched(error)),
        }
    }
    Ok(())
}

async fn write_plain(
    socket: &Socket,
    mut parts: &mut [IoSlice<'_>],
    timer: &Timer,
    timeout_ms: u64,
) -> Result<(), WriteError> {
    IoSlice::advance_slices(&mut parts, 0);
    let mut touched = false;
    while !parts.is_empty() {
        match socket.try_write(parts) {
            Ok(Some(count)) => {
                touched = true;
                IoSlice::advance_slices(&mut parts, count);
            }
            Ok(None) => wait_for_room(socket, timer, timeout_ms).await?,
            Err(error) if touched => return Err(WriteError::Broken(error)),
            Err(error) => return Err(WriteError::Untouched(error)),
        }
    }
    Ok(())
}

async fn wait_for_room(socket: &Socket, timer: &Timer, timeout_ms: u64) -> Result<(), WriteError> {
    if timer.is_over() {
        return Err(WriteError::Expired);
    }
    timer.arm(clock::now_ms() + timeout_ms);
    let waited = socket.writable(timer).await;
    timer.disarm();
    match waited {
        Ok(Waited::Ready) => Ok(()),
        Ok(Waited::Expired) => Err(WriteError::Expired),
        Err(error) => Err(WriteError::Broken(error)),
    }
}

pin_project! {
    /// Readiness of either kind of stream. By hand, for the reason of `ready`.
    #[project = ReadableProjection]
    enum Readable<'a, R> {
        Socket {
            #[pin]
            ready: R,
        },
        Channel {
            channel: &'a Channel,
            timer: &'a Timer,
        },
    }
}

impl<R: Future<Output = io::Result<Waited>>> Future for Readable<'_, R> {
    type Output = io::Result<Waited>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ReadableProjection::Socket { ready } => ready.poll(context),
            ReadableProjection::Channel { channel, timer } => channel.poll_readable(timer, context),
        }
    }
}

impl TlsStream {
    fn try_read(&self, buffer: &mut Vec<u8>, pool: &BufferPool) -> io::Result<Read> {
        let mut records = self.records.borrow_mut();
        match records.read_into(buffer) {
            PlainRead::Data(count) => return Ok(Read::Bytes(count)),
            PlainRead::Closed => return Ok(Read::End),
            PlainRead::Empty => {}
        }
        let mut ciphertext = pool.large();
        let outcome = self.read_records(&mut records, &mut ciphertext, buffer);
        pool.give(ciphertext);
        outcome
    }

    fn read_records(&self, records: &mut Records, ciphertext: &mut Vec<u8>, buffer: &mut Vec<u8>) -> io::Result<Read> {
        loop {
            ciphertext.clear();
            match self.socket.try_read(ciphertext)? {
                Read::NotReady => return Ok(Read::NotReady),
                // No close_notify came before it: the end may be an attacker's (RFC 8446 §6.1).
                Read::End => return Err(io::ErrorKind::UnexpectedEof.into()),
                Read::Bytes(_) => {}
            }
            let fed = records.feed(ciphertext);
            if records.wants_write() {
                // An alert or a key update; where it does not fit now it goes out with the next write.
                let _ = flush_records(&self.socket, records);
            }
            if let Err(failure) = fed {
                return Err(io::Error::new(io::ErrorKind::InvalidData, failure.name()));
            }
            match records.read_into(buffer) {
                PlainRead::Data(count) => return Ok(Read::Bytes(count)),
                PlainRead::Closed => return Ok(Read::End),
                PlainRead::Empty => {}
            }
        }
    }

    fn try_flush(&self) -> io::Result<bool> {
        flush_records(&self.socket, &mut self.records.borrow_mut())
    }

    async fn flush(&self, timer: &Timer, timeout_ms: u64) -> Result<(), WriteError> {
        while !self.try_flush().map_err(WriteError::Broken)? {
            wait_for_room(&self.socket, timer, timeout_ms).await?;
        }
        Ok(())
    }

    async fn handshake(&self, timer: &Timer, pool: &BufferPool) -> Result<(), HandshakeError> {
        loop {
            if !self.try_flush().map_err(HandshakeError::Io)? {
                expire(self.socket.writable(timer).await)?;
                continue;
            }
            if !self.records.borrow().is_handshaking() {
                return Ok(());
            }
            expire(self.socket.readable(timer).await)?;
            let mut ciphertext = pool.small();
            let step = self.handshake_step(&mut ciphertext);
            pool.give(ciphertext);
            step?;
        }
    }

    fn handshake_step(&self, ciphertext: &mut Vec<u8>) -> Result<(), HandshakeError> {
        match self.socket.try_read(ciphertext).map_err(HandshakeError::Io)? {
            Read::NotReady => Ok(()),
            Read::End => Err(HandshakeError::Closed),
            Read::Bytes(_) => {
                let fed = self.records.borrow_mut().feed(ciphertext);
                fed.map_err(|failure| {
                    let _ = self.try_flush();
                    HandshakeError::Tls(failure)
                })
            }
        }
    }
}

fn expire(waited: io::Result<Waited>) -> Result<(), HandshakeError> {
    match waited {
        Ok(Waited::Ready) => Ok(()),
        Ok(Waited::Expired) => Err(HandshakeError::Expired),
        Err(error) => Err(HandshakeError::Io(error)),
    }
}

/// Sends pending records; `false` = the socket has no room for the rest.
fn flush_records(socket: &Socket, records: &mut Records) -> io::Result<bool> {
    while records.wants_write() {
        match records.write_to(&mut Direct { socket }) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Lets rustls write its records straight into the socket, without a copy of ours between.
struct Direct<'a> {
    socket: &'a Socket,
}

impl io::Write for Direct<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.try_write(parts)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
