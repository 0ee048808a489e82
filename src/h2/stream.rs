//! One stream (RFC 9113 §5): what came on it and waits to be read, how far its message towards the peer is, its windows.
//!
//! Knows no other stream and writes no frames. `id` 0 = a client's stream whose head is still to be sent.

use std::task::Waker;

use super::frame::{ErrorCode, WINDOW_BYTES_MAX};
use super::message::{BodyText, WebSocketAccept, extend_chunk, write_chunk, write_last_chunk};
use crate::bounds;

/// How far the peer's message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// The head of the response is awaited (client only).
    Head,
    /// DATA goes into the inbox as it comes; so many bytes are to come where that is known.
    Raw(Option<u64>),
    /// DATA goes into the inbox as chunks of HTTP/1.1: only so can the end, and trailers, be told.
    Chunked,
    /// END_STREAM has come.
    Ended,
    /// It will not be whole.
    Cut(Cut),
}

/// Why a message is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The peer has reset the stream, or the connection is gone.
    Reset,
    /// The peer has said that it did not and will not process it (RFC 9113 §8.7): it may be sent again.
    Refused,
    /// What came is against the rules, and the stream was reset for it.
    Malformed,
}

/// How far our message is.
#[derive(Debug)]
pub enum Outbound {
    /// The head of a message is next: interim ones are followed by others.
    Head,
    Body(BodyText),
    /// END_STREAM has gone out.
    Ended,
    /// RST_STREAM went one of both ways.
    Cut,
}

/// One stream as long as somebody holds it.
#[derive(Debug)]
pub struct Stream {
    pub id: u32,
    pub inbound: Inbound,
    pub outbound: Outbound,
    /// Text for whoever reads: a body, or (client) heads too. `inbox[read..]` is unread.
    inbox: Vec<u8>,
    read: usize,
    /// Where the last chunk of the inbox begins: as long as nothing of it was read, DATA that follows joins it.
    chunk: Option<usize>,
    /// Bytes of DATA that came and were not given back to the windows yet: at least those that are in the inbox.
    held: u32,
    /// Something of the body has come.
    pub heard: bool,
    /// Bytes that the stream's window is to be raised by.
    pub unannounced: u32,
    /// Bytes of DATA that the peer may still send.
    pub receive_window: i64,
    /// Bytes of DATA that it still takes; negative where it made windows smaller (RFC 9113 §6.9.2).
    pub send_window: i64,
    /// The request was HEAD: its response has no body.
    pub is_head: bool,
    /// The stream is a tunnel for WebSocket; a client's holds what the 101 is to say.
    pub websocket: bool,
    pub accept: Option<WebSocketAccept>,
    /// Whoever holds the stream wants it cut, not ended.
    pub abandoned: bool,
    /// Since when it waits for room to send, by number; none once it has sent some.
    pub ticket: Option<u64>,
    pub reader: Option<Waker>,
    pub writer: Option<Waker>,
    /// Who wants to know when it is cut.
    pub watcher: Option<Waker>,
}

impl Stream {
    /// A stream on which nothing has come or gone.
    pub fn new(id: u32, inbound: Inbound, send_window: u32, receive_window: u32) -> Self {
        Self {
            id,
            inbound,
            outbound: Outbound::Head,
            inbox: Vec::new(),
            read: 0,
            chunk: None,
            held: 0,
            heard: false,
            unannounced: 0,
            receive_window: i64::from(receive_window),
            send_window: i64::from(send_window),
            is_head: false,
            websocket: false,
            accept: None,
            abandoned: false,
            ticket: None,
            reader: None,
            writer: None,
            watcher: None,
        }
    }

    /// Whether the peer sees it as open (RFC 9113 §5.1.2: it counts against the bound).
    pub fn is_open(&self) -> bool {
        !(self.is_received() && self.is_sent())
    }

    /// Whether nothing more will come.
    pub fn is_received(&self) -> bool {
        matches!(self.inbound, Inbound::Ended | Inbound::Cut(_))
    }

    /// Whether both messages are whole and only END_STREAM of the peer's is still to come: it needs no reset.
    pub fn lacks_end_alone(&self) -> bool {
        matches!((&self.inbound, &self.outbound), (Inbound::Raw(Some(0)), Outbound::Ended)) && !self.abandoned
    }

    /// Whether the answer is whole while the request is still coming, and nobody wants the rest.
    pub fn is_orphaned(&self, is_server: bool) -> bool {
        is_server && !self.abandoned && matches!(self.outbound, Outbound::Ended) && !self.is_received()
    }

    /// Whether nothing more will go.
    pub fn is_sent(&self) -> bool {
        matches!(self.outbound, Outbound::Ended | Outbound::Cut)
    }

    /// The place for text that is put in front of whoever reads.
    pub fn inbox(&mut self) -> &mut Vec<u8> {
        // A reader who never catches up: what was read is let go where that is at least as much as is moved.
        if self.read > self.inbox.len() / 2 {
            self.inbox.drain(..self.read);
            self.read = 0;
        }
        &mut self.inbox
    }

    /// Bytes of DATA that were put into the inbox and not given back to the windows yet.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Puts DATA into the inbox.
    pub fn put(&mut self, data: &[u8]) {
        self.heard |= !data.is_empty();
        // A frame of DATA is short.
        self.held += data.len() as u32;
        match (self.inbound, self.chunk) {
            (_, _) if data.is_empty() => {}
            // Frames of one byte would otherwise take six bytes each, of which the windows count one.
            (Inbound::Chunked, Some(start)) => extend_chunk(&mut self.inbox, start, data),
            (Inbound::Chunked, None) => {
                self.chunk = Some(self.inbox.len());
                write_chunk(&mut self.inbox, data);
            }
            _ => self.inbox.extend_from_slice(data),
        }
    }

    /// Moves unread text to `buffer`, at most its free room. Returns how much, and how many bytes of DATA that frees.
    pub fn take(&mut self, buffer: &mut Vec<u8>) -> (usize, u32) {
        let unread = self.inbox.get(self.read..).unwrap_or_default();
        let count = unread.len().min(buffer.capacity() - buffer.len());
        buffer.extend_from_slice(unread.get(..count).unwrap_or_default());
        self.read += count;
        self.chunk = self.chunk.filter(|start| *start >= self.read);
        if self.read == self.inbox.len() {
            self.inbox = Vec::new();
            self.read = 0;
            self.chunk = None;
        } else if self.read >= bounds::BUFFER_BYTES && self.read >= self.inbox.len() / 2 {
            // A reader may be a little behind for ever. What is moved is never more than what is thrown away.
            self.inbox.drain(..self.read);
            self.chunk = self.chunk.map(|start| start - self.read);
            self.read = 0;
        }
        // Framing that was put on is no DATA. Of unread text any byte may be: what is held is no less than that.
        let freed = self.held.saturating_sub(u32::try_from(self.unread()).unwrap_or(u32::MAX));
        self.held -= freed;
        (count, freed)
    }

    /// Forgets unread text; returns the bytes of DATA that this frees.
    pub fn forget_inbox(&mut self) -> u32 {
        self.inbox = Vec::new();
        self.read = 0;
        self.chunk = None;
        std::mem::take(&mut self.held)
    }

    /// Bytes of text that wait to be read.
    pub fn unread(&self) -> usize {
        self.inbox.len() - self.read
    }

    /// Whether text waits to be read.
    pub fn has_text(&self) -> bool {
        self.read < self.inbox.len()
    }

    /// END_STREAM has come, with these trailer lines.
    ///
    /// # Errors
    /// With the code of a reset: bytes are missing.
    pub fn end(&mut self, trailer_lines: &[u8]) -> Result<(), ErrorCode> {
        match self.inbound {
            Inbound::Raw(Some(1..)) => return Err(ErrorCode::ProtocolError),
            Inbound::Chunked => write_last_chunk(&mut self.inbox, trailer_lines),
            _ => {}
        }
        self.inbound = Inbound::Ended;
        self.wake_reader();
        Ok(())
    }

    /// Ends both directions. The first cut says why: who was refused is not cut once more by the end of the connection.
    pub fn cut(&mut self, cut: Cut) {
        let is_over = match self.inbound {
            Inbound::Cut(_) => true,
            Inbound::Ended => cut != Cut::Refused,
            _ => false,
        };
        if !is_over {
            self.inbound = Inbound::Cut(cut);
        }
        if !matches!(self.outbound, Outbound::Ended) {
            self.outbound = Outbound::Cut;
        }
        self.wake_reader();
        self.wake_writer();
        self.watcher.take().into_iter().for_each(Waker::wake);
    }

    /// Something can be read, or nothing will come any more.
    pub fn wake_reader(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
    }

    /// There is room, or there will be none any more.
    pub fn wake_writer(&mut self) {
        self.writer.take().into_iter().for_each(Waker::wake);
    }

    /// Checks what holds between any two calls; returns the bytes of DATA that it holds.
    pub fn validate(&self, window: u32, text_bytes_max: usize) -> i64 {
        let held = i64::from(self.held);
        if !self.is_received() {
            let due = self.receive_window + i64::from(self.unannounced) + held;
            assert_eq!(due, i64::from(window), "the window of stream {}", self.id);
        }
        assert!(self.read <= self.inbox.len() && self.unread() <= text_bytes_max, "{} bytes wait", self.unread());
        assert!(
            self.inbox.len() <= 2 * text_bytes_max,
            "{} bytes are kept, {} unread",
            self.inbox.len(),
            self.unread()
        );
        assert!(self.send_window <= i64::from(WINDOW_BYTES_MAX) || !self.is_open());
        held
    }

    /// What RST_STREAM has to say where the holder lets go of a stream that is not over; `None` = it is over.
    pub fn farewell(&self, is_server: bool) -> Option<ErrorCode> {
        if self.id == 0 || !self.is_open() || matches!(self.outbound, Outbound::Cut) || self.lacks_end_alone() {
            return None;
        }
        Some(if is_server { ErrorCode::InternalError } else { ErrorCode::Cancel })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_catches_up_makes_nothing_grow() {
        let mut stream = Stream::new(1, Inbound::Raw(None), 65_535, 65_535);
        stream.put(&[b'x'; 5_000]);
        for _ in 0..1_000 {
            stream.put(&[b'x'; 1_000]);
            let mut buffer = Vec::with_capacity(1_000);
            assert_eq!(stream.take(&mut buffer), (1_000, 1_000));
            assert!(stream.inbox.len() < 50_000, "what was read is let go");
        }
        assert_eq!((stream.unread(), stream.held), (5_000, 5_000));
    }

    #[test]
    fn framing_that_was_put_on_gives_nothing_back() {
        let mut stream = Stream::new(1, Inbound::Chunked, 65_535, 65_535);
        let (mut window, mut text) = (65_535_u32, 0);
        for _ in 0..20 {
            // A peer that sends byte by byte all that it may, to a reader who is slower.
            for _ in 0..std::mem::take(&mut window) {
                stream.put(b"x");
            }
            text = text.max(stream.unread());
            let mut buffer = Vec::with_capacity(65_535);
            window += stream.take(&mut buffer).1;
        }
        assert!(text <= 6 * 65_535, "{text} bytes of text for a window of 65,535");
        let mut buffer = Vec::with_capacity(1 << 20);
        window += stream.take(&mut buffer).1;
        assert_eq!((window, stream.unread()), (65_535, 0));
    }
}
