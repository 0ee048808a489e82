//! Text of messages becomes frames: heads at once, bodies as windows and the bound of the output allow.

use super::budget::End;
use super::connection::{Connection, Role, frame_bytes};
use super::frame::{ErrorCode, HEADER_BYTES, Header, WINDOW_BYTES_MAX, flag, kind, write_reset};
use super::message::{BodyText, TextBody, encode_request, encode_response, encode_trailers, status_of};
use super::stream::{Cut, Outbound};
use super::streams::StreamKey;
use crate::bounds;
use crate::stats::Reason;

/// A frame of DATA with less than this is not worth its header, where more is to follow: it waits for room.
const DATA_BYTES_MIN: usize = 1_024;

impl Connection {
    /// Takes text of a stream's message: whole heads, and as much of a body as there is room for. Returns how many bytes
    /// of `text`; where that is not all, [`Connection::await_room`] tells when to come again with the rest.
    ///
    /// # Errors
    /// The stream or the connection is cut.
    pub fn write(&mut self, key: StreamKey, text: &[u8]) -> Result<usize, Cut> {
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(stream) = self.streams.peek(key) else { return Err(Cut::Reset) };
            let taken = match (&stream.outbound, self.end) {
                (_, Some(_)) => return Err(Cut::Reset),
                (Outbound::Cut, _) => {
                    let refused = matches!(stream.inbound, super::stream::Inbound::Cut(Cut::Refused));
                    return Err(if refused { Cut::Refused } else { Cut::Reset });
                }
                // The message is whole: what is said behind it is nobody's.
                (Outbound::Ended, _) => rest.len(),
                (Outbound::Head, _) if self.out.len() >= bounds::HTTP2_OUTPUT_BYTES_MAX => 0,
                (Outbound::Head, _) => self.write_head(key, rest)?,
                (Outbound::Body(_), _) => self.write_body(key, rest)?,
            };
            if taken == 0 {
                break;
            }
            at += taken;
        }
        Ok(at)
    }

    /// Ends a stream whose message ends with it: the end of a tunnel.
    pub fn finish(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        if matches!(&stream.outbound, Outbound::Body(body) if body.ends_with_stream()) && self.end.is_none() {
            stream.outbound = Outbound::Ended;
            let header = Header { length: 0, kind: kind::DATA, flags: flag::END_STREAM, stream: stream.id };
            header.write(&mut self.out);
        }
    }

    fn write_head(&mut self, key: StreamKey, text: &[u8]) -> Result<usize, Cut> {
        match self.role {
            Role::Server => self.write_response_head(key, text),
            Role::Client { scheme } => self.write_request_head(key, text, scheme),
        }
    }

    fn write_response_head(&mut self, key: StreamKey, text: &[u8]) -> Result<usize, Cut> {
        let Some(stream) = self.streams.get(key) else { return Err(Cut::Reset) };
        let (id, is_head) = (stream.id, stream.is_head);
        if stream.websocket && status_of(text).is_some_and(|status| (200..300).contains(&status)) {
            // To a CONNECT it would say that the tunnel is open (RFC 8441 §5).
            stream.cut(Cut::Reset);
            write_reset(&mut self.out, id, ErrorCode::ConnectError);
            return Err(Cut::Reset);
        }
        let start = begin_block(&mut self.out);
        let Ok(shape) = encode_response(&mut self.encoder, text, is_head, &mut self.out) else {
            return Err(self.unreadable());
        };
        let is_interim = (100..200).contains(&shape.status) && !shape.switched;
        let ends = !is_interim && matches!(shape.body, TextBody::None);
        if !is_interim {
            stream.outbound = if ends { Outbound::Ended } else { Outbound::Body(BodyText::new(shape.body)) };
        }
        self.end_block(start, id, ends);
        Ok(shape.head_bytes)
    }

    fn write_request_head(&mut self, key: StreamKey, text: &[u8], scheme: &'static [u8]) -> Result<usize, Cut> {
        // Streams opened before may have taken the last numbers meanwhile (RFC 9113 §5.1.1).
        if self.peer_last.is_some() || self.next_id > WINDOW_BYTES_MAX {
            return Err(Cut::Refused);
        }
        // The peer has allowed fewer since the stream was opened (§5.1.2): it never saw it.
        if self.streams.len() > self.peer.streams as usize {
            self.streams.get(key).into_iter().for_each(|stream| stream.cut(Cut::Refused));
            return Err(Cut::Refused);
        }
        let id = self.next_id;
        let start = begin_block(&mut self.out);
        let Ok(shape) = encode_request(&mut self.encoder, text, scheme, &mut self.out) else {
            // The encoder was not touched.
            self.out.truncate(start);
            return Err(self.spoil(key));
        };
        self.next_id += 2;
        self.streams.name(key, id);
        let Some(stream) = self.streams.get(key) else { return Err(Cut::Reset) };
        let ends = matches!(shape.body, TextBody::None) && shape.websocket.is_none();
        stream.send_window = i64::from(self.peer.window);
        stream.is_head = shape.is_head;
        stream.websocket = shape.websocket.is_some();
        stream.accept = shape.websocket;
        let body = if stream.websocket { TextBody::UntilClose } else { shape.body };
        stream.outbound = if ends { Outbound::Ended } else { Outbound::Body(BodyText::new(body)) };
        self.end_block(start, id, ends);
        Ok(shape.head_bytes)
    }

    /// What the house itself has written for one stream cannot be read. The others, of strangers to it perhaps, go on.
    fn spoil(&mut self, key: StreamKey) -> Cut {
        let Some(stream) = self.streams.get(key) else { return Cut::Reset };
        let id = stream.id;
        stream.cut(Cut::Reset);
        if id != 0 {
            write_reset(&mut self.out, id, ErrorCode::InternalError);
            self.remember_reset(id);
        }
        Cut::Reset
    }

    /// As [`Connection::spoil`], where a part of it is in the table of field lines already: nothing on this connection can
    /// be trusted any more.
    fn unreadable(&mut self) -> Cut {
        self.fail(End { code: ErrorCode::InternalError, reason: Reason::Internal, detail: "own_text" });
        Cut::Reset
    }

    /// Makes HEADERS, and CONTINUATION where it takes more than one frame, of a block behind `start`.
    fn end_block(&mut self, start: usize, stream: u32, end_stream: bool) {
        let most = frame_bytes(&self.peer);
        let length = self.out.len() - start - HEADER_BYTES;
        let end = if end_stream { flag::END_STREAM } else { 0 };
        if length <= most {
            let header = Header { length, kind: kind::HEADERS, flags: flag::END_HEADERS | end, stream };
            write_at(&mut self.out, start, header);
            return;
        }
        let rest = self.out.split_off(start + HEADER_BYTES + most);
        write_at(&mut self.out, start, Header { length: most, kind: kind::HEADERS, flags: end, stream });
        let mut pieces = rest.chunks(most).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { flag::END_HEADERS } else { 0 };
            Header { length: piece.len(), kind: kind::CONTINUATION, flags, stream }.write(&mut self.out);
            self.out.extend_from_slice(piece);
        }
    }

    /// One frame of DATA, and what ends the message behind it. 0 = there is no room.
    fn write_body(&mut self, key: StreamKey, text: &[u8]) -> Result<usize, Cut> {
        let room = bounds::HTTP2_OUTPUT_BYTES_MAX.saturating_sub(self.out.len());
        let most = frame_bytes(&self.peer);
        let Some(stream) = self.streams.get(key) else { return Err(Cut::Reset) };
        let Outbound::Body(body) = &mut stream.outbound else { return Ok(0) };
        let window = stream.send_window.min(self.send_window).max(0);
        let room = if room < DATA_BYTES_MIN.min(text.len()) { 0 } else { room.min(most) };
        let room = room.min(usize::try_from(window).unwrap_or(usize::MAX));
        let Ok(unframed) = body.next(text, room) else { return Err(self.spoil(key)) };
        let (id, bytes) = (stream.id, unframed.data.len() as i64);
        stream.send_window -= bytes;
        if bytes > 0 {
            stream.ticket = None;
        }
        self.send_window -= bytes;
        self.data_sent += bytes.unsigned_abs();
        let trailers = if unframed.end { body.take_trailers() } else { Vec::new() };
        let ends = unframed.end && trailers.is_empty();
        if !unframed.data.is_empty() || ends {
            let flags = if ends { flag::END_STREAM } else { 0 };
            Header { length: unframed.data.len(), kind: kind::DATA, flags, stream: id }.write(&mut self.out);
            self.out.extend_from_slice(unframed.data);
            // Who opens windows by a few bytes at a time pays for it: each wakes whoever waits.
            if bytes < window || window >= DATA_BYTES_MIN as i64 {
                self.budget.earn();
            }
        }
        if unframed.end {
            stream.outbound = Outbound::Ended;
        }
        if !trailers.is_empty() {
            let start = begin_block(&mut self.out);
            if encode_trailers(&mut self.encoder, &trailers, &mut self.out).is_err() {
                // The encoder was not touched.
                self.out.truncate(start);
                return Err(self.spoil(key));
            }
            if self.out.len() > start + HEADER_BYTES {
                self.end_block(start, id, true);
            } else {
                // No line of them may pass: an empty block would be none at all.
                write_at(
                    &mut self.out,
                    start,
                    Header { length: 0, kind: kind::DATA, flags: flag::END_STREAM, stream: id },
                );
            }
        }
        Ok(unframed.consumed)
    }
}

/// Leaves room for a frame header; returns where.
fn begin_block(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    start
}

fn write_at(out: &mut [u8], start: usize, header: Header) {
    if let Some(place) = out.get_mut(start..start + HEADER_BYTES) {
        place.copy_from_slice(&header.bytes());
    }
}
