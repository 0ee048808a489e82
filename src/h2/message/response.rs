//! Client side: the lines of a response block become the text of a response head of HTTP/1.1 (RFC 9113 §8.3.2).
//!
//! The text says how the body will be framed in it. Whether DATA agrees with that is the stream's business.

use super::body_text::TextBody;
use super::websocket::WebSocketAccept;
use super::{Malformed, check};
use crate::h2::hpack::FieldLine;
use crate::http::FieldId;

/// What is known where a response block ends.
#[derive(Clone, Copy, Debug)]
pub struct ResponseEnd<'a> {
    /// END_STREAM came with the block.
    pub end_stream: bool,
    /// The request was HEAD.
    pub is_head: bool,
    /// The request was an extended CONNECT for WebSocket, and this is what the text has to say when it is taken.
    pub accept: Option<&'a WebSocketAccept>,
}

/// What a response block was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeadShape {
    /// The status of the text: 101 where the block accepted an extended CONNECT.
    pub status: u16,
    /// Another response head follows (1xx).
    pub is_interim: bool,
    /// How DATA goes into the text.
    pub body: TextBody,
    /// What the DATA of the stream must add up to, where it is known: Content-Length, and 0 where the response cannot
    /// have a body, whatever its Content-Length says.
    pub content_length: Option<u64>,
    /// The stream is a tunnel now.
    pub switched: bool,
}

/// What the status line is where a tunnel begins.
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n";
/// Bytes of a status line without reason.
const STATUS_LINE_BYTES: usize = b"HTTP/1.1 200 \r\n".len();

/// Collects the lines of a response block as text, appended to a buffer.
#[derive(Debug)]
pub struct ResponseBuilder<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    /// Bytes of text that may still come.
    bytes_left: usize,
    fields_left: usize,
    /// 0 until it came; it comes first.
    status: u16,
    length: Option<Length>,
    /// Trailers were announced, or the answer is one of gRPC, whose status is in them.
    trailers: bool,
    problem: Option<Malformed>,
}

/// A Content-Length, and where its line stands in the text. `line_start <= line_end`.
#[derive(Clone, Copy, Debug)]
struct Length {
    bytes: u64,
    line_start: usize,
    line_end: usize,
}

impl<'o> ResponseBuilder<'o> {
    /// A builder that appends to `out`. `head_bytes` and `fields` bound the text, as those of a head of HTTP/1.1 do.
    pub fn new(out: &'o mut Vec<u8>, head_bytes: usize, fields: usize) -> Self {
        let start = out.len();
        let bytes_left = head_bytes.saturating_sub(STATUS_LINE_BYTES + 2);
        Self { out, start, bytes_left, fields_left: fields, status: 0, length: None, trailers: false, problem: None }
    }

    /// Takes the next line. Never fails: the first problem is remembered, and nothing is copied after it.
    #[inline]
    pub fn line(&mut self, line: FieldLine<'_>) {
        if self.problem.is_some() {
            return;
        }
        let taken = if line.name.first() == Some(&b':') { self.pseudo(line) } else { self.regular(line) };
        self.problem = taken.err();
    }

    /// Ends the head: framing and the empty line are written.
    ///
    /// # Errors
    /// The first problem of the lines, else of what they mean together; `out` is as it was before.
    pub fn finish(mut self, end: ResponseEnd<'_>) -> Result<ResponseHeadShape, Malformed> {
        let shape = match self.problem {
            Some(problem) => Err(problem),
            None => self.end(end),
        };
        if shape.is_err() {
            self.out.truncate(self.start);
        }
        shape
    }

    /// There is one pseudo-field, and it comes first (RFC 9113 §8.3.2).
    fn pseudo(&mut self, line: FieldLine<'_>) -> Result<(), Malformed> {
        if line.name != b":status" {
            return Err(Malformed::PseudoForbidden);
        }
        if self.status != 0 {
            return Err(Malformed::PseudoDuplicate);
        }
        let &[a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] = line.value else {
            return Err(Malformed::StatusBad);
        };
        self.status = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
        // HTTP/2 has no upgrades (RFC 9113 §8.6).
        if self.status == 101 {
            return Err(Malformed::StatusBad);
        }
        for part in [b"HTTP/1.1 ", line.value, b" \r\n"] {
            self.out.extend_from_slice(part);
        }
        Ok(())
    }

    #[inline]
    fn regular(&mut self, line: FieldLine<'_>) -> Result<(), Malformed> {
        if self.status == 0 {
            return Err(Malformed::PseudoMissing);
        }
        check::name(line.id, line.name)?;
        check::value(line.value)?;
        check::hop(line.id, line.value)?;
        let line_start = self.out.len();
        self.trailers |= line.id == FieldId::Trailer
            || (line.id == FieldId::ContentType && line.value.starts_with(b"application/grpc"));
        match line.id {
            // HTTP/2 does without it (RFC 8441 §5), and the text says what the client expects.
            FieldId::Other if line.name == b"sec-websocket-accept" => return Ok(()),
            FieldId::ContentLength if self.length.is_some() => return Err(Malformed::LengthDuplicate),
            _ => self.push(line.name, line.value)?,
        }
        if line.id == FieldId::ContentLength {
            let bytes = check::length(line.value).ok_or(Malformed::LengthBad)?;
            self.length = Some(Length { bytes, line_start, line_end: self.out.len() });
        }
        Ok(())
    }

    #[inline]
    fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let cost = name.len() + value.len() + 4;
        self.bytes_left = self.bytes_left.checked_sub(cost).ok_or(Malformed::TooLarge)?;
        self.fields_left = self.fields_left.checked_sub(1).ok_or(Malformed::TooLarge)?;
        self.out.reserve(cost);
        for part in [name, b": ", value, b"\r\n"] {
            self.out.extend_from_slice(part);
        }
        Ok(())
    }

    fn end(&mut self, end: ResponseEnd<'_>) -> Result<ResponseHeadShape, Malformed> {
        let status = self.status;
        match (status, end.accept) {
            (0, _) => Err(Malformed::PseudoMissing),
            (100..=199, _) => self.end_interim(end),
            (200..=299, Some(accept)) => Ok(self.switch(accept)),
            _ => self.end_final(end),
        }
    }

    fn end_interim(&mut self, end: ResponseEnd<'_>) -> Result<ResponseHeadShape, Malformed> {
        if end.end_stream {
            return Err(Malformed::EarlyEnd);
        }
        // It has no content to have a length (RFC 9110 §8.6).
        self.drop_length();
        self.out.extend_from_slice(b"\r\n");
        let status = self.status;
        Ok(ResponseHeadShape { status, is_interim: true, body: TextBody::None, content_length: None, switched: false })
    }

    fn end_final(&mut self, end: ResponseEnd<'_>) -> Result<ResponseHeadShape, Malformed> {
        let status = self.status;
        let length = self.length.map(|length| length.bytes);
        let says_other = end.is_head || status == 304;
        if end.end_stream && !says_other && length.is_some_and(|bytes| bytes > 0) {
            return Err(Malformed::LengthDisagrees);
        }
        if length.is_some() && self.trailers && !end.end_stream && !says_other && status != 204 {
            // In HTTP/1.1 nothing can follow a body of a length; here both may be said (RFC 9113 §8.1).
            self.drop_length();
            self.out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
            let body = TextBody::Chunked;
            return Ok(ResponseHeadShape { status, is_interim: false, body, content_length: None, switched: false });
        }
        let (framing, body, content_length): (&[u8], _, _) = match length {
            _ if says_other || status == 204 => (b"\r\n", TextBody::None, Some(0)),
            Some(0) => (b"\r\n", TextBody::None, Some(0)),
            Some(bytes) => (b"\r\n", TextBody::Length(bytes), Some(bytes)),
            None if end.end_stream => (b"content-length: 0\r\n\r\n", TextBody::None, Some(0)),
            None => (b"transfer-encoding: chunked\r\n\r\n", TextBody::Chunked, None),
        };
        self.out.extend_from_slice(framing);
        Ok(ResponseHeadShape { status, is_interim: false, body, content_length, switched: false })
    }

    /// Says in the words of HTTP/1.1 that an extended CONNECT was accepted (RFC 8441 §5).
    fn switch(&mut self, accept: &WebSocketAccept) -> ResponseHeadShape {
        self.drop_length();
        let line_end = self.start + STATUS_LINE_BYTES;
        self.out.splice(self.start..line_end, SWITCHING.iter().copied());
        self.out.extend_from_slice(b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ");
        self.out.extend_from_slice(accept.as_bytes());
        self.out.extend_from_slice(b"\r\n\r\n");
        ResponseHeadShape {
            status: 101,
            is_interim: false,
            body: TextBody::UntilClose,
            content_length: None,
            switched: true,
        }
    }

    /// Takes the Content-Length line back out of the text. A response to CONNECT must not have one, and whoever gets one
    /// ignores it (RFC 9110 §9.3.6).
    fn drop_length(&mut self) {
        if let Some(length) = self.length.take() {
            self.out.drain(length.line_start..length.line_end);
        }
    }
}
