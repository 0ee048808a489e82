//! Bodies on the wire: framing taken off in place (RFC 9112 §6–§7), and the few bytes of framing that are put on.
//!
//! The decoder keeps what it has of an unfinished size line or trailer, so it always consumes all it is given until
//! the body ends; bytes behind the end are never touched.

use super::framing::BodyLength;
use super::trailer::Trailers;
use super::{Reject, chunk::ChunkLine};

/// What one call of [`BodyDecoder::decode`] made of its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the body, moved to the front of the buffer. `payload <= consumed`.
    pub payload: usize,
    /// Bytes taken from the buffer; less than all only when `done`: the rest belongs to what follows the body.
    pub consumed: usize,
    /// Whether the body is complete.
    pub done: bool,
}

/// What the end of the connection means for a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eof {
    /// The body is complete.
    Clean,
    /// Bytes are missing (RFC 9112 §8): the message must not be passed on as a whole one.
    Truncated,
}

/// Takes the framing off one body. 64 bytes, no allocation but for trailers.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
    /// Bytes of chunk extensions that no data has paid for yet, see [`ChunkLine`].
    extension_debt: usize,
    trailers: Vec<u8>,
}

#[derive(Clone, Debug)]
enum State {
    Done,
    /// Content-Length bytes to come, at least one.
    Length(u64),
    UntilClose,
    Size(ChunkLine),
    /// Chunk bytes to come, at least one.
    Data(u64),
    /// CRLF behind chunk data; `true` when CR came.
    DataEnd(bool),
    Trailers(Trailers),
}

impl BodyDecoder {
    /// A decoder at the first byte of a body.
    pub fn new(length: BodyLength) -> Self {
        let state = match length {
            BodyLength::None | BodyLength::Length(0) => State::Done,
            BodyLength::Length(length) => State::Length(length),
            BodyLength::Chunked => State::Size(ChunkLine::default()),
            BodyLength::UntilClose => State::UntilClose,
        };
        Self { state, extension_debt: 0, trailers: Vec::new() }
    }

    /// Takes the framing off the bytes in `buf`, in place.
    ///
    /// # Errors
    /// Chunk framing or trailers that RFC 9112 §7.1 does not allow; the connection cannot be used any more.
    pub fn decode(&mut self, buf: &mut [u8]) -> Result<Decoded, Reject> {
        let (mut read, mut payload) = (0, 0);
        while !self.is_done() {
            let rest = buf.get(read..).unwrap_or_default();
            let Some(&byte) = rest.first() else { break };
            match &mut self.state {
                State::Done => break,
                State::UntilClose => {
                    payload += rest.len();
                    read += rest.len();
                }
                State::Length(left) | State::Data(left) => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= take as u64;
                    if read != payload {
                        buf.copy_within(read..read + take, payload);
                    }
                    read += take;
                    payload += take;
                    self.finish_run();
                }
                State::DataEnd(cr_came) => {
                    match (*cr_came, byte) {
                        (false, b'\r') => *cr_came = true,
                        (true, b'\n') => self.state = State::Size(ChunkLine::default()),
                        (false, b'\n') => return Err(Reject::BareLf),
                        (true, _) => return Err(Reject::BareCr),
                        (false, _) => return Err(Reject::ChunkEndBad),
                    }
                    read += 1;
                }
                State::Size(line) => {
                    let (used, size) = line.take(rest, &mut self.extension_debt)?;
                    read += used;
                    match size {
                        None => {}
                        Some(0) => self.state = State::Trailers(Trailers::default()),
                        Some(size) => self.state = State::Data(size),
                    }
                }
                State::Trailers(trailers) => {
                    let (used, ended) = trailers.take(rest)?;
                    read += used;
                    if ended {
                        self.trailers = std::mem::take(trailers).into_lines();
                        self.state = State::Done;
                    }
                }
            }
        }
        Ok(Decoded { payload, consumed: read, done: self.is_done() })
    }

    /// Whether the body is complete.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Bytes to come, where Content-Length says it.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Length(left) => Some(left),
            _ => None,
        }
    }

    /// Body bytes that must come for sure: the rest of Content-Length, or of the current chunk.
    pub fn announced(&self) -> u64 {
        match self.state {
            State::Length(left) | State::Data(left) => left,
            _ => 0,
        }
    }

    /// The trailer fields of a complete body that may be passed on, each `Name: value` and CRLF; possibly none.
    pub fn take_trailers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.trailers)
    }

    /// Takes note that the connection ended.
    pub fn eof(&mut self) -> Eof {
        match self.state {
            State::Done => Eof::Clean,
            State::UntilClose => {
                self.state = State::Done;
                Eof::Clean
            }
            _ => Eof::Truncated,
        }
    }

    /// Leaves a run of payload whose last byte was taken.
    fn finish_run(&mut self) {
        match self.state {
            State::Length(0) => self.state = State::Done,
            State::Data(0) => self.state = State::DataEnd(false),
            _ => {}
        }
    }
}

/// What stands behind the data of each chunk.
pub const CHUNK_END: &[u8] = b"\r\n";
/// The chunk of size 0. A trailer section, possibly empty, and an empty line follow it.
pub const LAST_CHUNK: &[u8] = b"0\r\n";
/// The end of a chunked body without trailers, from behind the data of the last chunk but one on.
pub const BODY_END: &[u8] = b"0\r\n\r\n";
/// Bytes of the longest chunk head: 16 digits and CRLF.
pub const CHUNK_HEAD_BYTES_MAX: usize = 18;

/// The line before the data of a chunk of `len` bytes; `len` is at least 1, since 0 ends the body.
pub fn chunk_head(len: usize, out: &mut [u8; CHUNK_HEAD_BYTES_MAX]) -> &[u8] {
    debug_assert!(len > 0);
    *out = *b"0000000000000000\r\n";
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1) as usize;
    let mut rest = len;
    for digit in out[16 - digits..16].iter_mut().rev() {
        *digit = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
    }
    &out[16 - digits..]
}

/// How a body is framed on its way out, and how much of it may still be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEncoder {
    None,
    /// Bytes to come; the peer was told exactly so many.
    Length(u64),
    Chunked,
    UntilClose,
}

impl BodyEncoder {
    /// An encoder at the first byte of a body.
    pub fn new(length: BodyLength) -> Self {
        match length {
            BodyLength::None => Self::None,
            BodyLength::Length(length) => Self::Length(length),
            BodyLength::Chunked => Self::Chunked,
            BodyLength::UntilClose => Self::UntilClose,
        }
    }

    /// Takes note of `payload` bytes to be sent; whether the announced length has room for them.
    #[must_use]
    pub fn take(&mut self, payload: u64) -> bool {
        match self {
            Self::None => payload == 0,
            Self::Length(left) => match left.checked_sub(payload) {
                Some(rest) => {
                    *left = rest;
                    true
                }
                None => false,
            },
            Self::Chunked | Self::UntilClose => true,
        }
    }

    /// Whether the body may end here.
    pub fn may_end(&self) -> bool {
        !matches!(self, Self::Length(1..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds;
    use proptest::prelude::*;

    /// Payload, trailers and what is left behind the body; every cut gives the same.
    fn read(body: &[u8]) -> Result<(String, String, String), Reject> {
        for seed in [2, 3, 7] {
            crate::h1::fuzz::chunked(&[&[seed], body].concat());
        }
        let mut decoder = BodyDecoder::new(BodyLength::Chunked);
        let mut buf = body.to_vec();
        let decoded = decoder.decode(&mut buf)?;
        assert_eq!(decoder.eof() == Eof::Clean, decoded.done);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ok((text(&buf[..decoded.payload]), text(&decoder.take_trailers()), text(&buf[decoded.consumed..])))
    }

    #[test]
    fn chunks_are_joined() {
        let of = |p: &str, t: &str, r: &str| Ok((p.to_owned(), t.to_owned(), r.to_owned()));
        assert_eq!(read(b"5\r\nhello\r\n1\r\n \r\n05\r\nworld\r\n0\r\n\r\nGET /"), of("hello world", "", "GET /"));
        assert_eq!(read(b"A;x=\"1\";y\r\n0123456789\r\n000\t ; z\r\n\r\n"), of("0123456789", "", ""));
        assert_eq!(read(b"5\r\nhel"), of("hel", "", ""));
        assert_eq!(read(b"0000000000000001\r\na\r\n0\r\n\r\n"), of("a", "", ""));
    }

    #[test]
    fn trailers_are_kept_and_those_that_steer_are_dropped() {
        let trailers = |section: &str| read(format!("0\r\n{section}\r\n").as_bytes()).map(|read| read.1);
        assert_eq!(
            trailers("X-Sum:  a b \r\nEtag: \"1\"\r\nContent-Digest: d\r\n").unwrap(),
            "X-Sum: a b\r\nEtag: \"1\"\r\nContent-Digest: d\r\n"
        );
        for name in [
            "Content-Length",
            "transfer-encoding",
            "HOST",
            "Authorization",
            "Set-Cookie",
            "content-range",
            "Trailer",
            "Connection",
            "Cache-Control",
            "max-forwards",
        ] {
            assert_eq!(trailers(&format!("{name}: 1\r\na: b\r\n")).unwrap(), "a: b\r\n", "{name}");
        }
        assert_eq!(trailers("a : b\r\n"), Err(Reject::TrailerBad));
        assert_eq!(trailers("a: b\r\n c\r\n"), Err(Reject::TrailerBad));
        assert_eq!(trailers("a: b\0\r\n"), Err(Reject::TrailerBad));
        assert_eq!(trailers("ab\r\n"), Err(Reject::TrailerBad));
        assert_eq!(trailers("a: b\n"), Err(Reject::BareLf));
        assert_eq!(trailers("a: b\rc\r\n"), Err(Reject::BareCr));
        let of_bytes = |bytes: usize| trailers(&format!("a: {}\r\n", "b".repeat(bytes - 7)));
        assert!(of_bytes(bounds::TRAILER_BYTES_MAX).is_ok());
        assert_eq!(of_bytes(bounds::TRAILER_BYTES_MAX + 1), Err(Reject::TrailerTooLarge));
    }

    #[test]
    fn violations_have_their_names() {
        let long = format!("5;{}\r\n", "x".repeat(bounds::CHUNK_LINE_BYTES_MAX));
        let cases: &[(&[u8], Reject)] = &[
            (b"\r\n", Reject::ChunkSizeBad),
            (b";x\r\n", Reject::ChunkSizeBad),
            (b" 5\r\n", Reject::ChunkSizeBad),
            (b"+5\r\n", Reject::ChunkSizeBad),
            (b"-5\r\n", Reject::ChunkSizeBad),
            (b"0x5\r\n", Reject::ChunkSizeBad),
            (b"5 \r\n", Reject::ChunkSizeBad),
            (b"5 5\r\n", Reject::ChunkSizeBad),
            (b"5\0\r\n", Reject::ChunkSizeBad),
            (b"5\n", Reject::BareLf),
            (b"5;a\n", Reject::BareLf),
            (b"5;a\rb\r\n", Reject::BareCr),
            (b"5;\0\r\n", Reject::ControlByte),
            (b"5\r5", Reject::BareCr),
            (b"00000000000000000\r\n", Reject::ChunkSizeOverflow),
            (b"10000000000000000\r\n", Reject::ChunkSizeOverflow),
            (long.as_bytes(), Reject::ChunkLineTooLong),
            (b"1\r\nab\r\n", Reject::ChunkEndBad),
            (b"1\r\na\n", Reject::BareLf),
            (b"1\r\na\rb", Reject::BareCr),
        ];
        for (input, reject) in cases {
            assert_eq!(read(input), Err(*reject), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn extensions_must_be_paid_for_by_data() {
        let chunk =
            |size: usize, extension: usize| format!("{size:x};{}\r\n{}\r\n", "e".repeat(extension), "d".repeat(size));
        assert_eq!(read((chunk(1, 200)).repeat(100).as_bytes()), Err(Reject::ChunkLineTooLong));
        assert!(read((chunk(1, 10)).repeat(5000).as_bytes()).is_ok());
        assert!(read((chunk(100, 200)).repeat(500).as_bytes()).is_ok());
    }

    #[test]
    fn lengths_are_counted() {
        let mut decoder = BodyDecoder::new(BodyLength::Length(5));
        assert_eq!(decoder.decode(&mut [0; 3]), Ok(Decoded { payload: 3, consumed: 3, done: false }));
        assert_eq!((decoder.remaining(), decoder.clone().eof()), (Some(2), Eof::Truncated));
        assert_eq!(decoder.decode(&mut [0; 3]), Ok(Decoded { payload: 2, consumed: 2, done: true }));
        assert_eq!(decoder.decode(&mut [0; 3]), Ok(Decoded { payload: 0, consumed: 0, done: true }));
        assert_eq!((decoder.remaining(), decoder.eof()), (Some(0), Eof::Clean));
        for length in [BodyLength::None, BodyLength::Length(0)] {
            assert!(BodyDecoder::new(length).is_done());
        }
        let mut decoder = BodyDecoder::new(BodyLength::UntilClose);
        assert_eq!(decoder.decode(&mut [0; 3]), Ok(Decoded { payload: 3, consumed: 3, done: false }));
        assert_eq!((decoder.eof(), decoder.is_done()), (Eof::Clean, true));
    }

    #[test]
    fn a_decoder_stays_small() {
        assert!(size_of::<BodyDecoder>() <= 80, "{}", size_of::<BodyDecoder>());
    }

    #[test]
    fn encoders_know_when_a_body_may_end() {
        let mut encoder = BodyEncoder::new(BodyLength::Length(3));
        assert!(encoder.take(2) && !encoder.may_end() && !encoder.take(2) && encoder.take(1) && encoder.may_end());
        assert!(BodyEncoder::Chunked.take(9) && BodyEncoder::Chunked.may_end());
        assert!(!BodyEncoder::None.take(1) && BodyEncoder::None.take(0));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..20), piece in 1usize..200) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(chunk_head(chunk.len(), &mut [0; CHUNK_HEAD_BYTES_MAX]));
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(CHUNK_END);
            }
            wire.extend_from_slice(BODY_END);
            let mut decoder = BodyDecoder::new(BodyLength::Chunked);
            let mut payload = Vec::new();
            for bytes in wire.chunks(piece) {
                let mut buf = bytes.to_vec();
                let decoded = decoder.decode(&mut buf).unwrap();
                payload.extend_from_slice(&buf[..decoded.payload]);
            }
            prop_assert!(decoder.is_done());
            prop_assert_eq!(payload, chunks.concat());
        }

        #[test]
        fn chunk_heads_are_plain_hexadecimal(len in 1usize..) {
            let mut out = [0; CHUNK_HEAD_BYTES_MAX];
            let expected = format!("{len:x}\r\n");
            prop_assert_eq!(chunk_head(len, &mut out), expected.as_bytes());
        }
    }
}
