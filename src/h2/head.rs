//! Field blocks of the peer become messages: requests of a client, responses of a server, trailers of both.
//!
//! Every block is decoded, whatever becomes of it: the table of field lines must stay that of the peer.

use super::budget::{End, Item};
use super::connection::Connection;
use super::frame::{ErrorCode, write_reset};
use super::hpack::{DecodeError, FieldLine};
use super::message::{
    RequestBuilder, RequestError, ResponseBuilder, ResponseEnd, TextBody, TrailerBuilder, declare_chunked,
};
use super::receive::{Opened, hasty};
use super::stream::{Inbound, Stream};
use super::streams::StreamKey;
use crate::bounds;
use crate::http::RequestHead;
use crate::stats::Reason;

/// A head that is too large counts once more for each so many lines: it is decoded all the same.
const LARGE_HEAD_LINES: u32 = 2 * bounds::FIELDS_DEFAULT as u32;

impl Connection {
    /// A field block that has come whole.
    pub(super) fn block(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        head: &mut RequestHead,
        now_ms: u64,
    ) -> Result<Option<Opened>, End> {
        if block.is_empty() {
            self.budget.spend(Item::Empty, now_ms)?;
        }
        if let Some(key) = self.streams.find(id) {
            let inbound = self.streams.peek(key).map(|stream| stream.inbound);
            let outcome = match inbound {
                Some(Inbound::Head) => self.response(key, end_stream, block)?,
                Some(Inbound::Raw(_) | Inbound::Chunked) => self.trailers(key, end_stream, block)?,
                Some(Inbound::Ended) => {
                    self.pass_over(block)?;
                    Err(ErrorCode::StreamClosed)
                }
                Some(Inbound::Cut(_)) | None => {
                    self.pass_over(block)?;
                    // Where it was the peer who reset it, nothing may follow.
                    if self.was_reset(id) { Ok(()) } else { Err(ErrorCode::StreamClosed) }
                }
            };
            return outcome.or_else(|code| self.reset(id, code, now_ms)).map(|()| None);
        }
        if self.is_server() && (self.is_idle(id) || self.is_left_behind(id)) {
            return self.request(id, end_stream, block, head, now_ms);
        }
        self.pass_over(block)?;
        match self.is_server() && !self.bury_orphan(id) && !self.was_reset(id) {
            true => Err(End::broken(ErrorCode::StreamClosed, "headers_closed")),
            false => Ok(None),
        }
    }

    /// Decodes a block; returns how many lines it has.
    fn decode(&mut self, block: &[u8], mut visit: impl FnMut(FieldLine<'_>)) -> Result<u32, End> {
        let mut lines = 0;
        let decoded = self.decoder.decode(block, |line| {
            lines += 1;
            visit(line);
        });
        self.work += lines as usize * bounds::HTTP2_LINE_BYTES;
        decoded.map(|()| lines).map_err(undecodable)
    }

    /// Decodes a block that means nothing any more.
    fn pass_over(&mut self, block: &[u8]) -> Result<(), End> {
        self.decode(block, |_| {}).map(drop)
    }

    /// A request: a new stream, or none.
    fn request(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        head: &mut RequestHead,
        now_ms: u64,
    ) -> Result<Option<Opened>, End> {
        if self.is_left_behind(id) {
            // It was told; whoever leaves has no answer for it (§6.8). Nobody goes on asking for long, though.
            self.pass_over(block)?;
            self.budget.spend(Item::Reset, now_ms)?;
            return Ok(None);
        }
        self.last_id = id;
        if !self.takes_stream() {
            self.pass_over(block)?;
            self.tally.refused += 1;
            write_reset(&mut self.out, id, ErrorCode::RefusedStream);
            self.remember_reset(id);
            // Whoever knows the bound and obeys it comes here after resets of its own only: those still have exchanges.
            self.budget.charge(Item::Reset, hasty(self.acknowledged), now_ms)?;
            return Ok(None);
        }
        let mut nonce = [0; 16];
        for (place, byte) in nonce.iter_mut().zip(id.to_be_bytes().iter().chain(&now_ms.to_be_bytes())) {
            *place = *byte;
        }
        let mut builder = RequestBuilder::new(head, self.limits.head_bytes, self.limits.fields, nonce);
        let lines = self.decode(block, |line| builder.line(line))?;
        let (shape, too_large) = match builder.finish() {
            Ok(shape) => (Some(shape), false),
            Err(RequestError::TooLarge) => {
                self.budget.charge(Item::Head, 1 + lines / LARGE_HEAD_LINES, now_ms)?;
                (None, true)
            }
            Err(RequestError::Malformed(_)) => {
                self.reset(id, ErrorCode::ProtocolError, now_ms)?;
                return Ok(None);
            }
        };
        let length = shape.as_ref().and_then(|shape| shape.content_length);
        if end_stream && length.is_some_and(|length| length > 0) {
            self.reset(id, ErrorCode::ProtocolError, now_ms)?;
            return Ok(None);
        }
        let websocket = shape.as_ref().is_some_and(|shape| shape.websocket);
        let inbound = match (end_stream, length) {
            (true, _) => Inbound::Ended,
            (false, Some(_)) => Inbound::Raw(length),
            (false, None) if websocket || too_large => Inbound::Raw(None),
            (false, None) => Inbound::Chunked,
        };
        if inbound == Inbound::Chunked {
            declare_chunked(head);
        }
        let mut stream = Stream::new(id, inbound, self.peer.window, self.stream_window);
        stream.is_head = head.method == crate::http::Method::Head;
        stream.websocket = websocket;
        let key = self.streams.insert(stream);
        Ok(Some(Opened { key, ended: end_stream, too_large }))
    }

    /// The head of a response, interim or final, becomes text.
    fn response(&mut self, key: StreamKey, end_stream: bool, block: &[u8]) -> Result<Result<(), ErrorCode>, End> {
        let Some(stream) = self.streams.get(key) else { return Ok(Ok(())) };
        let (is_head, accept) = (stream.is_head, stream.accept.take());
        // Heads know no windows: who sends interim ones without end must not fill the memory.
        let is_flood = stream.unread() > bounds::HTTP2_HEADS_WAITING_MAX * self.limits.head_bytes;
        let mut builder = ResponseBuilder::new(stream.inbox(), self.limits.head_bytes, self.limits.fields);
        self.decoder.decode(block, |line| builder.line(line)).map_err(undecodable)?;
        let Ok(shape) = builder.finish(ResponseEnd { end_stream, is_head, accept: accept.as_ref() }) else {
            return Ok(Err(ErrorCode::ProtocolError));
        };
        if is_flood {
            return Ok(Err(ErrorCode::EnhanceYourCalm));
        }
        stream.inbound = match shape.body {
            _ if shape.is_interim => Inbound::Head,
            _ if end_stream => Inbound::Ended,
            TextBody::Chunked => Inbound::Chunked,
            // HEAD, 204 and 304 have no body, whatever they say of its length (RFC 9110 §6.4.1).
            TextBody::None => Inbound::Raw(Some(0)),
            TextBody::Length(length) => Inbound::Raw(Some(length)),
            TextBody::UntilClose => Inbound::Raw(None),
        };
        if shape.is_interim {
            stream.accept = accept;
        }
        stream.wake_reader();
        // An interim response cannot be the last word (RFC 9113 §8.1).
        Ok(if shape.is_interim && end_stream { Err(ErrorCode::ProtocolError) } else { Ok(()) })
    }

    fn trailers(&mut self, key: StreamKey, end_stream: bool, block: &[u8]) -> Result<Result<(), ErrorCode>, End> {
        let mut lines = Vec::new();
        let mut builder = TrailerBuilder::new(&mut lines);
        self.decoder.decode(block, |line| builder.line(line)).map_err(undecodable)?;
        let is_good = builder.finish().is_ok() && end_stream;
        let Some(stream) = self.streams.get(key) else { return Ok(Ok(())) };
        Ok(if is_good { stream.end(&lines) } else { Err(ErrorCode::ProtocolError) })
    }
}

fn undecodable(error: DecodeError) -> End {
    match error {
        DecodeError::Bomb => End::calm(Reason::Http2Headers, error.name()),
        _ => End { code: ErrorCode::CompressionError, reason: Reason::Http2Compression, detail: error.name() },
    }
}
