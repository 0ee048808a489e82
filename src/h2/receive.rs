//! Frames of the peer, one after the other: each changes the state of the connection or of one stream, or ends it.

use super::budget::{BLOCK_FRAMES_MAX, End, HASTE, Item};
use super::connection::{Block, Connection};
use super::frame::{
    ErrorCode, HEADER_BYTES, Header, PAYLOAD_BYTES_MAX, PREFACE, WINDOW_BYTES_MAX, flag, kind, number, unpad,
    write_ping, write_settings_ack,
};
use super::stream::{Cut, Inbound, Outbound, Stream};
use super::streams::StreamKey;
use crate::bounds;
use crate::http::RequestHead;
use crate::stats::Reason;

/// SETTINGS count once more for each so many bytes: 32 of them.
const SETTINGS_BYTES: usize = 32 * 6;

/// A request whose head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub key: StreamKey,
    /// Nothing follows the head.
    pub ended: bool,
    /// The head is larger than it may be: what fitted is there.
    pub too_large: bool,
}

impl Connection {
    /// Takes bytes of the peer up to the end of the next request head, which is in `head` then (of a server; a client's
    /// `head` stays as it is). Returns how many bytes were taken: all, where no request
    /// came and there were no more than [`bounds::HTTP2_FRAMES_MAX`] frames.
    ///
    /// # Errors
    /// The peer broke a rule of the connection or overdrew a budget. GOAWAY is in the output, every stream is cut.
    pub fn feed(&mut self, bytes: &[u8], head: &mut RequestHead, now_ms: u64) -> Result<(usize, Option<Opened>), End> {
        if let Some(end) = self.end {
            return Err(end);
        }
        let fed = self.frames(bytes, head, now_ms);
        fed.inspect_err(|end| self.fail(*end))
    }

    fn frames(&mut self, bytes: &[u8], head: &mut RequestHead, now_ms: u64) -> Result<(usize, Option<Opened>), End> {
        let mut at = self.greet(bytes)?;
        self.work = 0;
        let mut frames = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() || frames == bounds::HTTP2_FRAMES_MAX {
                self.work += at + frames * bounds::HTTP2_FRAME_BYTES;
                return Ok((at, None));
            }
            frames += 1;
            let opened = if self.partial.is_empty() {
                let Some((header, payload)) = whole_frame(rest)? else {
                    self.partial.extend_from_slice(rest);
                    self.work += bytes.len() + frames * bounds::HTTP2_FRAME_BYTES;
                    return Ok((bytes.len(), None));
                };
                at += HEADER_BYTES + header.length;
                self.frame(header, payload, head, now_ms)?
            } else {
                at += self.complete(rest);
                let frame = std::mem::take(&mut self.partial);
                match whole_frame(&frame)? {
                    Some((header, payload)) => self.frame(header, payload, head, now_ms)?,
                    None => {
                        self.partial = frame;
                        None
                    }
                }
            };
            if opened.is_some() {
                self.work += at + frames * bounds::HTTP2_FRAME_BYTES + bounds::HTTP2_REQUEST_BYTES;
                return Ok((at, opened));
            }
        }
    }

    /// Takes the preface of a client; returns how many bytes.
    fn greet(&mut self, bytes: &[u8]) -> Result<usize, End> {
        let awaited = PREFACE.get(self.greeted..).unwrap_or_default();
        let count = awaited.len().min(bytes.len());
        if awaited.get(..count) != bytes.get(..count) {
            return Err(End::broken(ErrorCode::ProtocolError, "preface"));
        }
        self.greeted += count;
        Ok(count)
    }

    /// Moves bytes to the frame that has begun, at most to its end; returns how many.
    fn complete(&mut self, rest: &[u8]) -> usize {
        let wanted = match self.partial.first_chunk() {
            Some(header) => HEADER_BYTES + Header::read(header).length,
            None => HEADER_BYTES,
        };
        let count = wanted.saturating_sub(self.partial.len()).min(rest.len());
        self.partial.extend_from_slice(rest.get(..count).unwrap_or_default());
        count
    }

    fn frame(
        &mut self,
        header: Header,
        payload: &[u8],
        head: &mut RequestHead,
        now_ms: u64,
    ) -> Result<Option<Opened>, End> {
        let is_settings = header.kind == kind::SETTINGS && !header.has(flag::ACK);
        if !self.told && !is_settings {
            return Err(End::broken(ErrorCode::ProtocolError, "settings_first"));
        }
        if let Some(block) = &self.block
            && !(header.kind == kind::CONTINUATION && header.stream == block.stream)
        {
            return Err(End::broken(ErrorCode::ProtocolError, "block_interrupted"));
        }
        match header.kind {
            kind::DATA => self.data(header, payload, now_ms)?,
            kind::HEADERS => return self.headers(header, payload, head, now_ms),
            kind::CONTINUATION => return self.continuation(header, payload, head, now_ms),
            kind::PRIORITY => self.priority(header, payload, now_ms)?,
            kind::RST_STREAM => self.rst_stream(header, payload, now_ms)?,
            kind::SETTINGS => self.settings(header, payload, now_ms)?,
            kind::PUSH_PROMISE => return Err(End::broken(ErrorCode::ProtocolError, "push_promise")),
            kind::PING => self.ping(header, payload, now_ms)?,
            kind::GOAWAY => self.goaway(header, payload, now_ms)?,
            kind::WINDOW_UPDATE => self.window_update(header, payload, now_ms)?,
            // PRIORITY_UPDATE (RFC 9218), ALTSVC, what is to come: read and forgotten (§5.5).
            _ => self.budget.spend(Item::Priority, now_ms)?,
        }
        Ok(None)
    }

    /// Whether nobody has begun a stream of this number yet. One behind the last that is processed may have been begun:
    /// it is not followed.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        match (self.is_server(), id % 2 == 1) {
            (true, true) => id > self.last_id && !self.is_left_behind(id),
            (false, true) => id >= self.next_id,
            (_, false) => true,
        }
    }

    fn data(&mut self, header: Header, payload: &[u8], now_ms: u64) -> Result<(), End> {
        if header.stream == 0 || self.is_idle(header.stream) {
            return Err(End::broken(ErrorCode::ProtocolError, "data_idle"));
        }
        let data = unpad(header, payload).ok_or(End::broken(ErrorCode::ProtocolError, "data_padding"))?;
        // Padding counts, too (§6.9.1). A frame has at most 16,384 bytes.
        let bytes = payload.len() as u32;
        self.receive_window -= i64::from(bytes);
        if self.receive_window < 0 {
            return Err(End::broken(ErrorCode::FlowControlError, "connection_window"));
        }
        if data.is_empty() && !header.has(flag::END_STREAM) {
            self.budget.spend(Item::Empty, now_ms)?;
        }
        let Some(key) = self.streams.find(header.stream) else {
            self.give_back_to_connection(bytes);
            if self.forget_data(header.stream, bytes, header.has(flag::END_STREAM), now_ms) {
                return Ok(());
            }
            // What is under way for a stream that we have reset, or told not to come, is passed over; who sends on one that
            // was over is told.
            return match self.was_reset(header.stream) || self.is_left_behind(header.stream) {
                true => Ok(()),
                false => self.reset(header.stream, ErrorCode::StreamClosed, now_ms),
            };
        };
        let Some(stream) = self.streams.get(key) else { return Ok(()) };
        let held = stream.held();
        let mut outcome = receive_data(stream, data, bytes, header.has(flag::END_STREAM));
        // What is not in the inbox, padding above all, goes back to the windows at once; the rest when it was read.
        let unheld = bytes - (stream.held() - held);
        stream.wake_reader();
        self.give_back(key, unheld);
        if outcome == Err(None) && !self.was_reset(header.stream) {
            // It was the peer who reset the stream.
            outcome = Err(Some(ErrorCode::StreamClosed));
        }
        match outcome {
            Err(Some(code)) => self.reset(header.stream, code, now_ms),
            Ok(()) | Err(None) => Ok(()),
        }
    }

    fn headers(
        &mut self,
        header: Header,
        payload: &[u8],
        head: &mut RequestHead,
        now_ms: u64,
    ) -> Result<Option<Opened>, End> {
        if header.stream == 0 || header.stream.is_multiple_of(2) || (!self.is_server() && self.is_idle(header.stream)) {
            return Err(End::broken(ErrorCode::ProtocolError, "headers_stream"));
        }
        let mut fragment = unpad(header, payload).ok_or(End::broken(ErrorCode::ProtocolError, "headers_padding"))?;
        if header.has(flag::PRIORITY) {
            let size = End::broken(ErrorCode::FrameSizeError, "headers_priority");
            let (priority, rest) = fragment.split_at_checked(5).ok_or(size)?;
            if number(priority) & WINDOW_BYTES_MAX == header.stream {
                return Err(End::broken(ErrorCode::ProtocolError, "depends_on_itself"));
            }
            fragment = rest;
        }
        let end_stream = header.has(flag::END_STREAM);
        if header.has(flag::END_HEADERS) {
            return self.block(header.stream, end_stream, fragment, head, now_ms);
        }
        if fragment.is_empty() {
            self.budget.spend(Item::Empty, now_ms)?;
        }
        self.block = Some(Block { stream: header.stream, end_stream, bytes: fragment.to_vec(), frames: 1 });
        Ok(None)
    }

    fn continuation(
        &mut self,
        header: Header,
        payload: &[u8],
        head: &mut RequestHead,
        now_ms: u64,
    ) -> Result<Option<Opened>, End> {
        let Some(mut block) = self.block.take() else {
            return Err(End::broken(ErrorCode::ProtocolError, "continuation_alone"));
        };
        block.frames += 1;
        block.bytes.extend_from_slice(payload);
        // Compressed it is hardly larger than the head that it makes.
        if block.frames > BLOCK_FRAMES_MAX || block.bytes.len() > bounds::HEAD_BYTES_MAX {
            return Err(End::calm(Reason::Http2Continuation, "endless_block"));
        }
        if header.has(flag::END_HEADERS) {
            return self.block(block.stream, block.end_stream, &block.bytes, head, now_ms);
        }
        self.block = Some(block);
        Ok(None)
    }

    fn priority(&mut self, header: Header, payload: &[u8], now_ms: u64) -> Result<(), End> {
        if header.stream == 0 {
            return Err(End::broken(ErrorCode::ProtocolError, "priority_stream"));
        }
        if payload.len() != 5 {
            return Err(End::broken(ErrorCode::FrameSizeError, "priority_size"));
        }
        if number(payload) & WINDOW_BYTES_MAX == header.stream {
            return Err(End::broken(ErrorCode::ProtocolError, "depends_on_itself"));
        }
        self.budget.spend(Item::Priority, now_ms)
    }

    fn rst_stream(&mut self, header: Header, payload: &[u8], now_ms: u64) -> Result<(), End> {
        if payload.len() != 4 {
            return Err(End::broken(ErrorCode::FrameSizeError, "reset_size"));
        }
        if header.stream == 0 || self.is_idle(header.stream) {
            return Err(End::broken(ErrorCode::ProtocolError, "reset_idle"));
        }
        let is_orphan = self.bury_orphan(header.stream);
        let refused = number(payload) == ErrorCode::RefusedStream as u32;
        let is_of_batch = self.is_of_batch(header.stream);
        let mut is_answered = !is_of_batch;
        if let Some(stream) = self.streams.find(header.stream).and_then(|key| self.streams.get(key)) {
            let untouched = matches!(stream.inbound, Inbound::Head) && !stream.has_text();
            // What came together with the request cannot have been said for its answer.
            is_answered = !matches!(stream.outbound, Outbound::Head) && !is_of_batch;
            stream.cut(if refused && untouched { Cut::Refused } else { Cut::Reset });
        }
        // Whose answer has begun, or is over, was not begun for nothing: readers of streams leave all the time.
        match self.is_server() && !is_orphan {
            true if is_answered => self.budget.spend(Item::Priority, now_ms),
            true => self.budget.charge(Item::Reset, hasty(is_of_batch), now_ms),
            false => Ok(()),
        }
    }

    fn settings(&mut self, header: Header, payload: &[u8], now_ms: u64) -> Result<(), End> {
        if header.stream != 0 {
            return Err(End::broken(ErrorCode::ProtocolError, "settings_stream"));
        }
        if (header.has(flag::ACK) && !payload.is_empty()) || !payload.len().is_multiple_of(6) {
            return Err(End::broken(ErrorCode::FrameSizeError, "settings_size"));
        }
        // Hardly anybody has a dozen to say.
        let cost = 1 + u32::try_from(payload.len() / SETTINGS_BYTES).unwrap_or(u32::MAX);
        self.budget.charge(Item::Settings, cost, now_ms)?;
        if header.has(flag::ACK) {
            self.acknowledged = true;
            return Ok(());
        }
        self.told = true;
        let former = self.peer.window;
        let from_server = !self.is_server();
        let table_bytes_least = self.peer.apply(payload, from_server)?;
        // The smallest counts, too: what did not fit then is gone (RFC 7541 §4.2).
        self.encoder.set_table_bytes_max(table_bytes_least);
        self.encoder.set_table_bytes_max(self.peer.table_bytes);
        write_settings_ack(&mut self.out);
        let change = i64::from(self.peer.window) - i64::from(former);
        for stream in self.streams.iter_mut() {
            stream.send_window += change;
            if stream.send_window > i64::from(WINDOW_BYTES_MAX) {
                return Err(End::broken(ErrorCode::FlowControlError, "stream_window"));
            }
        }
        if change > 0 {
            self.wake_waiting();
        }
        Ok(())
    }

    fn ping(&mut self, header: Header, payload: &[u8], now_ms: u64) -> Result<(), End> {
        if header.stream != 0 {
            return Err(End::broken(ErrorCode::ProtocolError, "ping_stream"));
        }
        let Ok(content) = payload.try_into() else {
            return Err(End::broken(ErrorCode::FrameSizeError, "ping_size"));
        };
        self.budget.spend(Item::Ping, now_ms)?;
        match header.has(flag::ACK) {
            true => self.pong(payload),
            false => write_ping(&mut self.out, content, true),
        }
        Ok(())
    }

    fn goaway(&mut self, header: Header, payload: &[u8], now_ms: u64) -> Result<(), End> {
        if header.stream != 0 {
            return Err(End::broken(ErrorCode::ProtocolError, "goaway_stream"));
        }
        if payload.len() < 8 {
            return Err(End::broken(ErrorCode::FrameSizeError, "goaway_size"));
        }
        self.budget.spend(Item::Settings, now_ms)?;
        let last = number(payload) & WINDOW_BYTES_MAX;
        let last = self.peer_last.map_or(last, |before| before.min(last));
        self.peer_last = Some(last);
        if !self.is_server() {
            // Never processed: they may be sent again elsewhere (§6.8).
            let behind = self.streams.iter_mut().filter(|stream| stream.id == 0 || stream.id > last);
            behind.for_each(|stream| stream.cut(Cut::Refused));
        }
        Ok(())
    }

    fn window_update(&mut self, header: Header, payload: &[u8], now_ms: u64) -> Result<(), End> {
        if payload.len() != 4 {
            return Err(End::broken(ErrorCode::FrameSizeError, "window_size"));
        }
        self.budget.spend(Item::Window, now_ms)?;
        let more = i64::from(number(payload) & WINDOW_BYTES_MAX);
        let most = i64::from(WINDOW_BYTES_MAX);
        if header.stream == 0 {
            self.send_window += more;
            if more == 0 {
                return Err(End::broken(ErrorCode::ProtocolError, "window_zero"));
            }
            if self.send_window > most {
                return Err(End::broken(ErrorCode::FlowControlError, "connection_window"));
            }
            self.wake_waiting();
            return Ok(());
        }
        if self.is_idle(header.stream) {
            return Err(End::broken(ErrorCode::ProtocolError, "window_idle"));
        }
        let Some(stream) = self.streams.find(header.stream).and_then(|key| self.streams.get(key)) else {
            return Ok(());
        };
        stream.send_window += more;
        let code = match stream.send_window > most {
            _ if more == 0 => ErrorCode::ProtocolError,
            true => ErrorCode::FlowControlError,
            false => {
                stream.wake_writer();
                return Ok(());
            }
        };
        self.reset(header.stream, code, now_ms)
    }
}

/// What the end of a stream before its time costs.
pub(super) fn hasty(is_of_batch: bool) -> u32 {
    if is_of_batch { HASTE } else { 1 }
}

/// The frame at the front, where it is whole.
fn whole_frame(bytes: &[u8]) -> Result<Option<(Header, &[u8])>, End> {
    let Some(header) = bytes.first_chunk().map(Header::read) else { return Ok(None) };
    if header.length > PAYLOAD_BYTES_MAX {
        return Err(End::broken(ErrorCode::FrameSizeError, "frame_size"));
    }
    Ok(bytes.get(HEADER_BYTES..HEADER_BYTES + header.length).map(|payload| (header, payload)))
}

/// Puts DATA into a stream's inbox. `bytes` is what it takes of the window.
///
/// # Errors
/// With the code of a reset, or none where the stream is cut already and what comes is passed over.
fn receive_data(stream: &mut Stream, data: &[u8], bytes: u32, end_stream: bool) -> Result<(), Option<ErrorCode>> {
    match stream.inbound {
        Inbound::Cut(_) => return Err(None),
        Inbound::Ended => return Err(Some(ErrorCode::StreamClosed)),
        Inbound::Head => return Err(Some(ErrorCode::ProtocolError)),
        Inbound::Raw(_) | Inbound::Chunked => {}
    }
    stream.receive_window -= i64::from(bytes);
    if stream.receive_window < 0 {
        return Err(Some(ErrorCode::FlowControlError));
    }
    if let Inbound::Raw(Some(left)) = &mut stream.inbound {
        // More than was announced (§8.1.1).
        *left = left.checked_sub(data.len() as u64).ok_or(Some(ErrorCode::ProtocolError))?;
    }
    stream.put(data);
    if end_stream { stream.end(&[]).map_err(Some) } else { Ok(()) }
}
