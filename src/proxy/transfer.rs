//! The one loop that copies a body from one stream to another, for both directions and for tunnels.
//!
//! Pull: the source is asked only when the sink has taken everything before. What one direction holds is at most one
//! buffer. Every read goes out at once, so an event of a stream never waits for a full buffer.

use std::cell::Cell;
use std::io::IoSlice;

use super::headers::edit_trailers;
use super::route::Edits;
use crate::base::buf::BufferPool;
use crate::base::clock;
use crate::bounds;
use crate::h1::body::{BODY_END, CHUNK_END, CHUNK_HEAD_BYTES_MAX, LAST_CHUNK};
use crate::h1::{BodyDecoder, BodyEncoder, Eof, Reject, chunk_head};
use crate::net::stream::WriteError;
use crate::net::{Filled, Input, Read, ReadError, Stream, Timer, Until, Wait, task};

/// Where a body comes from.
pub struct Source<'a> {
    pub stream: &'a Stream,
    pub input: &'a mut Input,
    pub decoder: &'a mut BodyDecoder,
    pub timer: &'a Timer,
    /// Longest silence, milliseconds.
    pub timeout_ms: u64,
    /// On whose behalf the body is read.
    pub until: Until<'a>,
    /// Body bytes that are still allowed.
    pub allowance: u64,
    /// What the route does to trailer fields.
    pub edits: Option<&'a Edits>,
}

/// Where a body goes.
pub struct Sink<'a> {
    pub stream: &'a Stream,
    /// Bytes that go out before the body: a head.
    pub pending: &'a mut Vec<u8>,
    pub encoder: BodyEncoder,
    pub timer: &'a Timer,
    /// Longest wait for room, milliseconds.
    pub timeout_ms: u64,
    /// Body bytes sent, framing not counted.
    pub sent: u64,
    /// Whether anything at all has been handed to the stream.
    pub touched: bool,
    /// The connection closes behind this body: the goodbye of TLS leaves with its end.
    pub last: bool,
    /// Told of each sending.
    pub traffic: Option<Traffic<'a>>,
}

/// How the two ways of a tunnel know of each other.
#[derive(Clone, Copy)]
pub struct Traffic<'a> {
    /// When anything was sent last, either way; coarse monotonic clock, milliseconds.
    pub last_ms: &'a Cell<u64>,
    /// Bytes sent this way.
    pub bytes: &'a Cell<u64>,
}

/// Why a transfer stopped before its end.
#[derive(Debug)]
pub enum TransferError {
    /// The source broke, or fell silent, or the watched client left.
    Source(ReadError),
    /// The source ended inside the body.
    Truncated,
    /// The source's framing is wrong.
    Malformed(Reject),
    /// More than the allowance.
    TooLarge,
    Sink(WriteError),
}

/// A payload up to this size is copied behind the pending head, so that both leave in one plain send.
const COPY_BYTES_MAX: usize = 8 * 1024;

/// Some of a body: the front of its source's input, framing taken off.
pub struct Piece {
    payload: usize,
    consumed: usize,
    /// The body ends behind it, with these trailer lines.
    pub end: Option<Vec<u8>>,
}

/// Copies a body to its end.
///
/// # Errors
/// [`TransferError`]; the message towards the sink is then not whole and must not look whole.
pub async fn transfer(source: &mut Source<'_>, sink: &mut Sink<'_>, buffers: &BufferPool) -> Result<(), TransferError> {
    let mut burst = 0;
    loop {
        let piece = source.next(Some(&mut *sink), buffers).await?;
        sink.put(source.payload(&piece), piece.end.as_ref(), buffers).await.map_err(TransferError::Sink)?;
        source.consume(&piece);
        if piece.end.is_some() {
            return Ok(());
        }
        breathe(piece.consumed, &mut burst).await;
    }
}

/// Two fast peers never make a task wait: the others of the core get their turn all the same.
pub async fn breathe(bytes: usize, burst: &mut usize) {
    *burst += bytes;
    if *burst >= bounds::BURST_BYTES_MAX {
        *burst = 0;
        task::pause(1).await;
    }
}

impl Piece {
    /// Bytes that it took from the input.
    pub fn bytes(&self) -> usize {
        self.consumed
    }
}

impl Source<'_> {
    /// The next piece; [`Source::consume`] it before asking again. Where it has to be waited for, what is pending in
    /// `sink` goes out first.
    ///
    /// # Errors
    /// Those of the source, and of the sink's pending bytes.
    pub async fn next(&mut self, sink: Option<&mut Sink<'_>>, buffers: &BufferPool) -> Result<Piece, TransferError> {
        let mut ended = self.decoder.is_done();
        if !ended && self.input.is_empty() {
            ended = self.more(sink, buffers).await? == Filled::End;
            if ended && self.decoder.eof() == Eof::Truncated {
                return Err(TransferError::Truncated);
            }
        }
        let decoded = self.decoder.decode(self.input.unread_mut()).map_err(TransferError::Malformed)?;
        self.allowance = self.allowance.checked_sub(decoded.payload as u64).ok_or(TransferError::TooLarge)?;
        // Announced is as good as sent: there is no use in waiting for bytes that will not be taken.
        if self.decoder.announced() > self.allowance {
            return Err(TransferError::TooLarge);
        }
        let end = if ended || decoded.done { Some(self.trailers()) } else { None };
        Ok(Piece { payload: decoded.payload, consumed: decoded.consumed, end })
    }

    /// The bytes of a piece.
    pub fn payload(&self, piece: &Piece) -> &[u8] {
        self.input.unread().get(..piece.payload).unwrap_or_default()
    }

    /// Marks a piece as done with.
    pub fn consume(&mut self, piece: &Piece) {
        self.input.consume(piece.consumed);
    }

    fn trailers(&mut self) -> Vec<u8> {
        let lines = self.decoder.take_trailers();
        match self.edits {
            Some(edits) => edit_trailers(lines, edits),
            None => lines,
        }
    }

    /// Fetches bytes. Where none are there at the moment, the sink's pending head goes out before waiting.
    async fn more(&mut self, sink: Option<&mut Sink<'_>>, buffers: &BufferPool) -> Result<Filled, TransferError> {
        if let Some(sink) = sink {
            if !sink.pending.is_empty() {
                match self.input.try_fill(self.stream, buffers).map_err(|e| TransferError::Source(e.into()))? {
                    Read::Bytes(_) => return Ok(Filled::Bytes),
                    Read::End => return Ok(Filled::End),
                    Read::NotReady => sink.put(&[], None, buffers).await.map_err(TransferError::Sink)?,
                }
            }
            // A stream that is silent most of the time holds no buffer meanwhile.
            buffers.give(std::mem::take(sink.pending));
        }
        let deadline_ms = clock::now_ms().saturating_add(self.timeout_ms);
        let wait = Wait { timer: self.timer, deadline_ms, until: self.until };
        self.input.fill(self.stream, buffers, wait).await.map_err(TransferError::Source)
    }
}

impl Sink<'_> {
    /// Sends what is pending, then `payload` with its framing, then the end of the body where `end` holds its trailers.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn put(&mut self, payload: &[u8], end: Option<&Vec<u8>>, buffers: &BufferPool) -> Result<(), WriteError> {
        let chunked = self.encoder == BodyEncoder::Chunked;
        // Never more than the peer was told: the lengths of both sides come from one verdict.
        let payload = if self.encoder.take(payload.len() as u64) { payload } else { &[] };
        let mut line = [0; CHUNK_HEAD_BYTES_MAX];
        let (head, tail): (&[u8], &[u8]) = match (chunked, payload.len()) {
            (true, 1..) => (chunk_head(payload.len(), &mut line), CHUNK_END),
            _ => (&[], &[]),
        };
        let (last, trailers): (&[u8], &[u8]) = match end {
            Some(trailers) if chunked && trailers.is_empty() => (BODY_END, &[]),
            Some(trailers) if chunked => (LAST_CHUNK, trailers),
            _ => (&[], &[]),
        };
        let close: &[u8] = if trailers.is_empty() { &[] } else { CHUNK_END };
        self.sent += payload.len() as u64;
        self.send([head, payload, tail, last, trailers, close], self.last && end.is_some(), buffers).await
    }

    /// Sends what is pending and bytes that need no framing; `end` = nothing follows.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn put_raw(&mut self, bytes: &[u8], end: bool, buffers: &BufferPool) -> Result<(), WriteError> {
        self.sent += bytes.len() as u64;
        self.send([bytes, &[], &[], &[], &[], &[]], self.last && end, buffers).await
    }

    async fn send(&mut self, parts: [&[u8]; 6], farewell: bool, buffers: &BufferPool) -> Result<(), WriteError> {
        let bytes: usize = parts.iter().map(|p| p.len()).sum();
        if bytes == 0 && self.pending.is_empty() {
            return Ok(());
        }
        self.touched = true;
        if let Some(traffic) = self.traffic {
            traffic.last_ms.set(clock::now_ms());
            traffic.bytes.set(self.sent);
        }
        if bytes <= COPY_BYTES_MAX {
            if self.pending.capacity() == 0 {
                *self.pending = buffers.small();
            }
            parts.iter().for_each(|p| self.pending.extend_from_slice(p));
            let mut one = [IoSlice::new(self.pending)];
            match farewell {
                true => self.stream.write_last(&mut one, self.timer, self.timeout_ms).await?,
                false => self.stream.write_all(&mut one, self.timer, self.timeout_ms).await?,
            }
        } else {
            let [a, b, c, d, e, f] = parts;
            let mut all = [&*self.pending, a, b, c, d, e, f].map(IoSlice::new);
            self.stream.write_all(&mut all, self.timer, self.timeout_ms).await?;
        }
        self.pending.clear();
        Ok(())
    }
}
