//! Frames of HTTP/2 (RFC 9113 §4, §6): headers read and written, error codes, settings. Keeps no state.

/// Bytes of a frame header.
pub const HEADER_BYTES: usize = 9;
/// Payload bytes of a frame that every peer takes, and the most that is taken here (§4.2).
pub const PAYLOAD_BYTES_MAX: usize = 16_384;
/// What a client says first (§3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Window of a connection, and of a stream where nobody has said otherwise (§6.9.2).
pub const WINDOW_BYTES_INITIAL: u32 = 65_535;
/// Largest window (§6.9.1), and the largest stream number.
pub const WINDOW_BYTES_MAX: u32 = 0x7fff_ffff;

/// Types of frames that have a meaning here (§6).
pub mod kind {
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
}

/// Flags (§6); each has a meaning on some types only.
pub mod flag {
    pub const END_STREAM: u8 = 0x1;
    pub const ACK: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Numbers of settings (§6.5.2, RFC 8441 §3).
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// Why a stream or a connection ends (§7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ErrorCode {
    NoError = 0,
    ProtocolError = 1,
    InternalError = 2,
    FlowControlError = 3,
    SettingsTimeout = 4,
    StreamClosed = 5,
    FrameSizeError = 6,
    RefusedStream = 7,
    Cancel = 8,
    CompressionError = 9,
    ConnectError = 10,
    EnhanceYourCalm = 11,
    InadequateSecurity = 12,
    Http11Required = 13,
}

/// The nine bytes in front of each payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the payload, at most 2^24 - 1.
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    /// 31 bits; 0 is the connection itself.
    pub stream: u32,
}

impl Header {
    /// Reads a header.
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [a, b, c, kind, flags, s0, s1, s2, s3] = *bytes;
        Self {
            length: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
            kind,
            flags,
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        }
    }

    /// The header as it is sent.
    pub fn bytes(self) -> [u8; HEADER_BYTES] {
        let [_, a, b, c] = u32::try_from(self.length).unwrap_or(u32::MAX).to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, s0, s1, s2, s3]
    }

    /// Appends the header.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes());
    }

    /// Whether all of these flags are set.
    pub fn has(self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}

/// Appends RST_STREAM (§6.4).
pub fn write_reset(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    Header { length: 4, kind: kind::RST_STREAM, flags: 0, stream }.write(out);
    out.extend_from_slice(&(code as u32).to_be_bytes());
}

/// Appends GOAWAY (§6.8): streams above `last` were not and will not be processed.
pub fn write_goaway(out: &mut Vec<u8>, last: u32, code: ErrorCode) {
    Header { length: 8, kind: kind::GOAWAY, flags: 0, stream: 0 }.write(out);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&(code as u32).to_be_bytes());
}

/// Appends WINDOW_UPDATE (§6.9); `stream` 0 = of the connection.
pub fn write_window_update(out: &mut Vec<u8>, stream: u32, bytes: u32) {
    Header { length: 4, kind: kind::WINDOW_UPDATE, flags: 0, stream }.write(out);
    out.extend_from_slice(&bytes.to_be_bytes());
}

/// Appends PING (§6.7).
pub fn write_ping(out: &mut Vec<u8>, opaque: [u8; 8], ack: bool) {
    let flags = if ack { flag::ACK } else { 0 };
    Header { length: 8, kind: kind::PING, flags, stream: 0 }.write(out);
    out.extend_from_slice(&opaque);
}

/// Appends SETTINGS (§6.5) with these values.
pub fn write_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    Header { length: settings.len() * 6, kind: kind::SETTINGS, flags: 0, stream: 0 }.write(out);
    for (number, value) in settings {
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends the acknowledgement of SETTINGS.
pub fn write_settings_ack(out: &mut Vec<u8>) {
    Header { length: 0, kind: kind::SETTINGS, flags: flag::ACK, stream: 0 }.write(out);
}

/// Takes padding and its length off the payload of DATA or HEADERS (§6.1). `None` = the padding is longer than the frame.
pub fn unpad(header: Header, payload: &[u8]) -> Option<&[u8]> {
    if !header.has(flag::PADDED) {
        return Some(payload);
    }
    let (pad, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*pad))?)
}

/// A number of four bytes at the front; 0 where there are fewer.
pub fn number(payload: &[u8]) -> u32 {
    payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_as_it_was_written() {
        let header = Header { length: 0x01_02_03, kind: kind::HEADERS, flags: flag::END_STREAM, stream: 0x7fff_fffe };
        let mut out = Vec::new();
        header.write(&mut out);
        let bytes: [u8; HEADER_BYTES] = out.as_slice().try_into().expect("nine bytes");
        assert_eq!(Header::read(&bytes), header);
        let reserved = [0, 0, 4, 3, 0, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Header::read(&reserved).stream, 0x7fff_ffff, "the reserved bit is ignored");
    }

    #[test]
    fn padding_is_taken_off_and_never_more_than_there_is() {
        let header = |flags| Header { length: 0, kind: kind::DATA, flags, stream: 1 };
        assert_eq!(unpad(header(0), b"ab"), Some(&b"ab"[..]));
        assert_eq!(unpad(header(flag::PADDED), &[1, b'a', 0]), Some(&b"a"[..]));
        assert_eq!(unpad(header(flag::PADDED), &[2, 0, 0]), Some(&b""[..]));
        assert_eq!(unpad(header(flag::PADDED), &[3, 0, 0]), None);
        assert_eq!(unpad(header(flag::PADDED), &[]), None);
    }
}
