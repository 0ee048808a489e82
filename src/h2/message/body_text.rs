//! Bodies between the framing of HTTP/1.1 and the payload of DATA.
//!
//! [`BodyText`] takes the framing off text that this process wrote itself, in pieces cut anywhere; it holds no payload
//! and tells the end of the body together with its last bytes, so that END_STREAM rides on the last DATA frame.
//! The other way DATA gets chunked framing ([`write_chunk`]).

use super::lines::BadText;
use crate::bounds;

/// How the end of a body is found in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextBody {
    /// There is no body.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunked framing.
    Chunked,
    /// Until the stream is shut down: no framing was given.
    UntilClose,
}

/// One piece of a body without its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unframed<'t> {
    /// Bytes taken from the front of the text.
    pub consumed: usize,
    /// A run of payload, possibly empty.
    pub data: &'t [u8],
    /// The body ends behind `data`; its trailer lines, if any, can be taken.
    pub end: bool,
}

/// Takes the framing off one body. 56 bytes, and trailer lines of at most [`TRAILER_TEXT_BYTES_MAX`].
#[derive(Clone, Debug)]
pub struct BodyText {
    state: State,
    /// Finished trailer lines, and of the line in the making what came.
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Done,
    UntilClose,
    /// Bytes to come, at least one.
    Length(u64),
    /// A chunk-size line.
    Size {
        size: u64,
        /// At most [`SIZE_DIGITS_MAX`].
        digits: u8,
        cr_came: bool,
    },
    /// Bytes of the chunk to come, at least one.
    Data(u64),
    /// CRLF behind the data of a chunk.
    DataEnd {
        cr_came: bool,
    },
    /// Trailer lines; the current one starts at this byte of them.
    Trailers {
        line: usize,
    },
}

/// Bytes of a trailer section as it is written here: the reader of HTTP/1.1 counts what came, and lines that came without
/// white space are longer when they are written.
pub const TRAILER_TEXT_BYTES_MAX: usize = 2 * bounds::TRAILER_BYTES_MAX;
/// Digits of a chunk size: 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;
const SIZE: State = State::Size { size: 0, digits: 0, cr_came: false };

impl BodyText {
    /// At the first byte of a body.
    pub fn new(body: TextBody) -> Self {
        let state = match body {
            TextBody::None | TextBody::Length(0) => State::Done,
            TextBody::Length(length) => State::Length(length),
            TextBody::Chunked => SIZE,
            TextBody::UntilClose => State::UntilClose,
        };
        Self { state, trailers: Vec::new() }
    }

    /// Whether nothing in the text tells the end: the stream has to.
    pub fn ends_with_stream(&self) -> bool {
        self.state == State::UntilClose
    }

    /// Whether the body is complete. One without framing never is: the shutdown of the stream ends it.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the shutdown of the stream may end the body here.
    pub fn may_end(&self) -> bool {
        matches!(self.state, State::Done | State::UntilClose)
    }

    /// Takes from the front of `text`: framing as far as there is any, payload at most `room` bytes in one run. Framing
    /// behind the run is taken too, so that `end` comes with the last payload when the text holds both.
    ///
    /// # Errors
    /// Text that this house does not write, and any text after the end.
    pub fn next<'t>(&mut self, text: &'t [u8], room: usize) -> Result<Unframed<'t>, BadText> {
        if self.is_done() && !text.is_empty() {
            return Err(BadText::Surplus);
        }
        let mut data: &[u8] = &[];
        let mut rest = text;
        while !rest.is_empty() {
            let used = match self.state {
                State::Done => break,
                State::UntilClose | State::Length(_) | State::Data(_) if !data.is_empty() => break,
                State::UntilClose | State::Length(_) | State::Data(_) => {
                    data = self.payload(rest, room);
                    if data.is_empty() {
                        break;
                    }
                    data.len()
                }
                State::Size { size, digits, cr_came } => self.size_line(rest, size, digits, cr_came)?,
                State::DataEnd { cr_came } => self.data_end(rest, cr_came)?,
                State::Trailers { line } => self.trailer_lines(rest, line)?,
            };
            rest = rest.get(used..).unwrap_or_default();
        }
        Ok(Unframed { consumed: text.len() - rest.len(), data, end: self.is_done() })
    }

    /// The trailer lines of a complete body, each with its CRLF; empty where there were none.
    pub fn take_trailers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.trailers)
    }

    fn payload<'t>(&mut self, text: &'t [u8], room: usize) -> &'t [u8] {
        let left = match self.state {
            State::Length(left) | State::Data(left) => usize::try_from(left).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let data = text.get(..left.min(room)).unwrap_or(text);
        let taken = data.len() as u64;
        self.state = match self.state {
            State::Length(left) if left == taken => State::Done,
            State::Length(left) => State::Length(left - taken),
            State::Data(left) if left == taken => State::DataEnd { cr_came: false },
            State::Data(left) => State::Data(left - taken),
            state => state,
        };
        data
    }

    /// Takes bytes of a chunk-size line: how many.
    fn size_line(&mut self, text: &[u8], mut size: u64, mut digits: u8, mut cr_came: bool) -> Result<usize, BadText> {
        for (index, byte) in text.iter().enumerate() {
            match byte {
                b'\n' if cr_came => {
                    self.state = if size == 0 { State::Trailers { line: 0 } } else { State::Data(size) };
                    return Ok(index + 1);
                }
                b'\r' if digits > 0 && !cr_came => cr_came = true,
                _ if cr_came || digits == SIZE_DIGITS_MAX => return Err(BadText::Chunk),
                digit => {
                    size = size << 4 | u64::from(char::from(*digit).to_digit(16).ok_or(BadText::Chunk)?);
                    digits += 1;
                }
            }
        }
        self.state = State::Size { size, digits, cr_came };
        Ok(text.len())
    }

    /// Takes bytes of the CRLF behind a chunk: how many.
    fn data_end(&mut self, text: &[u8], cr_came: bool) -> Result<usize, BadText> {
        let (used, next) = match (cr_came, text) {
            (false, [b'\r', b'\n', ..]) => (2, SIZE),
            (false, [b'\r']) => (1, State::DataEnd { cr_came: true }),
            (true, [b'\n', ..]) => (1, SIZE),
            _ => return Err(BadText::Chunk),
        };
        self.state = next;
        Ok(used)
    }

    /// Takes bytes of the trailer section: how many. `line` is where the current line starts among what came.
    fn trailer_lines(&mut self, text: &[u8], mut line: usize) -> Result<usize, BadText> {
        // Nearly every body ends without trailers: the empty line alone takes no memory.
        if self.trailers.is_empty() && text.starts_with(b"\r\n") {
            self.state = State::Done;
            return Ok(2);
        }
        let mut used = 0;
        while let Some(rest) = text.get(used..).filter(|rest| !rest.is_empty()) {
            let feed = memchr::memchr(b'\n', rest);
            let part = feed.and_then(|feed| rest.get(..=feed)).unwrap_or(rest);
            if self.trailers.len() + part.len() > TRAILER_TEXT_BYTES_MAX {
                return Err(BadText::TrailersTooLarge);
            }
            self.trailers.extend_from_slice(part);
            used += part.len();
            if feed.is_none() {
                break;
            }
            if self.trailers.get(line..) == Some(b"\r\n") {
                self.trailers.truncate(line);
                self.state = State::Done;
                return Ok(used);
            }
            line = self.trailers.len();
        }
        self.state = State::Trailers { line };
        Ok(used)
    }
}

/// Appends DATA as one chunk. Empty DATA is nothing: a chunk of size 0 would end the body.
pub fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let mut line = SIZE_LINE;
    let line = size_line(&mut line, data.len());
    out.reserve(data.len() + line.len() + CHUNK_END.len());
    out.extend_from_slice(line);
    out.extend_from_slice(data);
    out.extend_from_slice(CHUNK_END);
}

/// Puts DATA behind that of the last chunk of `out`, which begins at `start`: many small frames become one chunk, whose
/// framing takes no more than that of a large one.
pub fn extend_chunk(out: &mut Vec<u8>, start: usize, data: &[u8]) {
    let feed = out.get(start..).and_then(|chunk| memchr::memchr(b'\n', chunk));
    let Some(line_bytes) = feed.map(|feed| feed + 1) else { return write_chunk(out, data) };
    out.truncate(out.len().saturating_sub(CHUNK_END.len()));
    out.extend_from_slice(data);
    let bytes = out.len() - start - line_bytes;
    out.extend_from_slice(CHUNK_END);
    let mut line = SIZE_LINE;
    out.splice(start..start + line_bytes, size_line(&mut line, bytes).iter().copied());
}

/// What stands behind the data of a chunk.
const CHUNK_END: &[u8] = b"\r\n";
const SIZE_LINE: [u8; SIZE_DIGITS_MAX as usize + 2] = *b"0000000000000000\r\n";

/// The line in front of the data of a chunk, in the place of [`SIZE_LINE`]. `bytes` is at least 1.
fn size_line(line: &mut [u8; SIZE_LINE.len()], bytes: usize) -> &[u8] {
    let digits = (usize::BITS - bytes.leading_zeros()).div_ceil(4) as usize;
    let start = usize::from(SIZE_DIGITS_MAX) - digits;
    let mut rest = bytes;
    for digit in line.iter_mut().take(usize::from(SIZE_DIGITS_MAX)).rev().take(digits) {
        *digit = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
    }
    line.get(start..).unwrap_or_default()
}

/// Appends the end of a chunked body; `trailer_lines` are whole lines, possibly none.
pub fn write_last_chunk(out: &mut Vec<u8>, trailer_lines: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(trailer_lines);
    out.extend_from_slice(b"\r\n");
}
