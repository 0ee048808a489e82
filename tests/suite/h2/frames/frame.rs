//! Frames of HTTP/2 as a test writes them (RFC 9113 §4, §6): well formed by the builders, and any other way by hand.
//!
//! Shares no code with the gateway: the numbers stand here once more.

use super::fields::Fields;

/// What a client says first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113 §6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
/// RFC 9218 §7.1.
pub const PRIORITY_UPDATE: u8 = 16;

/// Flags (RFC 9113 §6).
pub const ACK: u8 = 0x1;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const WITH_PRIORITY: u8 = 0x20;

/// Settings (RFC 9113 §6.5.2, RFC 8441 §3).
pub const HEADER_TABLE_SIZE: u16 = 1;
pub const ENABLE_PUSH: u16 = 2;
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;
pub const MAX_FRAME_SIZE: u16 = 5;
pub const MAX_HEADER_LIST_SIZE: u16 = 6;
pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// Error codes (RFC 9113 §7).
pub const NO_ERROR: u32 = 0;
pub const PROTOCOL_ERROR: u32 = 1;
pub const INTERNAL_ERROR: u32 = 2;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const SETTINGS_TIMEOUT: u32 = 4;
pub const STREAM_CLOSED: u32 = 5;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const COMPRESSION_ERROR: u32 = 9;
pub const CONNECT_ERROR: u32 = 10;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// Largest window (RFC 9113 §6.9.1).
pub const WINDOW_MAX: u32 = 0x7fff_ffff;
/// Window of the connection, and of a stream where nobody has said otherwise (RFC 9113 §6.9.2).
pub const WINDOW: u32 = 65_535;
/// Payload bytes that every peer takes (RFC 9113 §4.2).
pub const FRAME_BYTES: usize = 16_384;

/// A frame. One that was read and carries a field block has it decoded, its CONTINUATIONs included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
    pub fields: Fields,
}

impl Frame {
    /// A frame of any kind, with any flags and payload.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into(), fields: Vec::new() }
    }

    /// DATA.
    pub fn data(stream: u32, bytes: impl AsRef<[u8]>, end: bool) -> Self {
        Self::new(DATA, u8::from(end) * END_STREAM, stream, bytes.as_ref())
    }

    /// DATA with so much padding.
    pub fn padded_data(stream: u32, bytes: impl AsRef<[u8]>, padding: u8, end: bool) -> Self {
        let mut payload = vec![padding];
        payload.extend_from_slice(bytes.as_ref());
        payload.resize(payload.len() + usize::from(padding), 0);
        Self::new(DATA, PADDED | (u8::from(end) * END_STREAM), stream, payload)
    }

    /// HEADERS with a whole block.
    pub fn headers(stream: u32, block: impl Into<Vec<u8>>, end: bool) -> Self {
        Self::new(HEADERS, END_HEADERS | (u8::from(end) * END_STREAM), stream, block)
    }

    /// HEADERS whose block goes on in CONTINUATION.
    pub fn headers_begun(stream: u32, block: impl Into<Vec<u8>>, end: bool) -> Self {
        Self::new(HEADERS, u8::from(end) * END_STREAM, stream, block)
    }

    /// CONTINUATION, the last of its block or not.
    pub fn continuation(stream: u32, block: impl Into<Vec<u8>>, last: bool) -> Self {
        Self::new(CONTINUATION, u8::from(last) * END_HEADERS, stream, block)
    }

    /// PRIORITY: depends on another stream, with a weight.
    pub fn priority(stream: u32, on: u32, weight: u8) -> Self {
        Self::new(PRIORITY, 0, stream, [&on.to_be_bytes()[..], &[weight]].concat())
    }

    /// RST_STREAM.
    pub fn reset(stream: u32, code: u32) -> Self {
        Self::new(RST_STREAM, 0, stream, code.to_be_bytes())
    }

    /// SETTINGS.
    pub fn settings(settings: &[(u16, u32)]) -> Self {
        let bytes = settings.iter().flat_map(|(n, v)| n.to_be_bytes().into_iter().chain(v.to_be_bytes()));
        Self::new(SETTINGS, 0, 0, bytes.collect::<Vec<u8>>())
    }

    /// The acknowledgement of SETTINGS.
    pub fn settings_ack() -> Self {
        Self::new(SETTINGS, ACK, 0, [])
    }

    /// PUSH_PROMISE with a whole block.
    pub fn push_promise(stream: u32, promised: u32, block: &[u8]) -> Self {
        Self::new(PUSH_PROMISE, END_HEADERS, stream, [&promised.to_be_bytes()[..], block].concat())
    }

    /// PING.
    pub fn ping(opaque: u64) -> Self {
        Self::new(PING, 0, 0, opaque.to_be_bytes())
    }

    /// The answer to PING.
    pub fn ping_ack(opaque: u64) -> Self {
        Self::new(PING, ACK, 0, opaque.to_be_bytes())
    }

    /// GOAWAY.
    pub fn goaway(last: u32, code: u32) -> Self {
        Self::new(GOAWAY, 0, 0, [last.to_be_bytes(), code.to_be_bytes()].concat())
    }

    /// WINDOW_UPDATE; stream 0 is the connection.
    pub fn window_update(stream: u32, bytes: u32) -> Self {
        Self::new(WINDOW_UPDATE, 0, stream, bytes.to_be_bytes())
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_of_length(self.payload.len())
    }

    /// The same with a length that may be another one than the payload's.
    pub fn bytes_of_length(&self, length: usize) -> Vec<u8> {
        let length = u32::try_from(length).expect("24 bits").to_be_bytes();
        let mut out = length[1..].to_vec();
        out.extend_from_slice(&[self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&self.payload);
        out
    }

    /// Whether all of these flags are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// Whether this ends its direction of the stream.
    pub fn ends(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.has(END_STREAM)
    }

    /// The error code of RST_STREAM or GOAWAY, the increment of WINDOW_UPDATE.
    #[track_caller]
    pub fn number(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        let bytes = self.payload.get(at..at + 4).expect("a payload with a number");
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }

    /// The last stream that a GOAWAY names.
    #[track_caller]
    pub fn last_stream(&self) -> u32 {
        assert_eq!(self.kind, GOAWAY);
        let bytes = self.payload.get(..4).expect("a payload with a stream");
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }

    /// The content of DATA without its padding.
    #[track_caller]
    pub fn content(&self) -> &[u8] {
        unpadded(self.flags, &self.payload)
    }
}

/// The frames as one run of bytes.
pub fn together(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::bytes).collect()
}

/// A payload of DATA or HEADERS without padding (RFC 9113 §6.1).
#[track_caller]
pub fn unpadded(flags: u8, payload: &[u8]) -> &[u8] {
    if flags & PADDED == 0 {
        return payload;
    }
    let (padding, rest) = payload.split_first().expect("a length of the padding");
    let end = rest.len().checked_sub(usize::from(*padding)).expect("padding inside the frame");
    &rest[..end]
}
