//! SETTINGS (RFC 9113 §6.5): what we say of ourselves, and what the peer has said of itself.

use super::budget::End;
use super::frame::{ErrorCode, PAYLOAD_BYTES_MAX, WINDOW_BYTES_INITIAL, WINDOW_BYTES_MAX, setting};
use crate::bounds;

/// Streams that a server takes before it has said how many (§6.5.2 recommends no less).
const STREAMS_UNTIL_TOLD: u32 = 100;

/// What the peer allows.
#[derive(Clone, Copy, Debug)]
pub struct PeerSettings {
    /// Window of a new stream towards it.
    pub window: u32,
    /// Payload of one frame towards it; never more than [`PAYLOAD_BYTES_MAX`] is used.
    pub frame_bytes: usize,
    /// Streams that it lets us open.
    pub streams: u32,
    /// Table of field lines that it keeps.
    pub table_bytes: usize,
    /// It takes extended CONNECT (RFC 8441).
    pub connect: bool,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            window: WINDOW_BYTES_INITIAL,
            frame_bytes: PAYLOAD_BYTES_MAX,
            streams: STREAMS_UNTIL_TOLD,
            table_bytes: 4_096,
            connect: false,
        }
    }
}

impl PeerSettings {
    /// Takes over the payload of one SETTINGS frame, whose length is a multiple of six. Returns the smallest table of field
    /// lines on the way: a frame may name one more than once.
    ///
    /// # Errors
    /// A value that no peer may send.
    pub fn apply(&mut self, payload: &[u8], from_server: bool) -> Result<usize, End> {
        let (settings, _) = payload.as_chunks::<6>();
        let mut table_bytes_least = self.table_bytes;
        for [n0, n1, v0, v1, v2, v3] in settings {
            let value = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
            match u16::from_be_bytes([*n0, *n1]) {
                setting::HEADER_TABLE_SIZE => {
                    self.table_bytes = value as usize;
                    table_bytes_least = table_bytes_least.min(self.table_bytes);
                }
                setting::ENABLE_PUSH if value > 1 || (from_server && value == 1) => {
                    return Err(End::broken(ErrorCode::ProtocolError, "setting_push"));
                }
                setting::MAX_CONCURRENT_STREAMS => self.streams = value,
                setting::INITIAL_WINDOW_SIZE if value > WINDOW_BYTES_MAX => {
                    return Err(End::broken(ErrorCode::FlowControlError, "setting_window"));
                }
                setting::INITIAL_WINDOW_SIZE => self.window = value,
                setting::MAX_FRAME_SIZE if !(16_384..=16_777_215).contains(&value) => {
                    return Err(End::broken(ErrorCode::ProtocolError, "setting_frame_size"));
                }
                setting::ENABLE_CONNECT_PROTOCOL if value > 1 || (self.connect && value == 0) => {
                    return Err(End::broken(ErrorCode::ProtocolError, "setting_connect"));
                }
                setting::ENABLE_CONNECT_PROTOCOL => self.connect = value == 1,
                _ => {}
            }
        }
        Ok(table_bytes_least)
    }
}

/// Bytes of DATA that we let a peer send ahead of who reads it: on one stream, and on all of a connection.
///
/// A client's connection has as good as no window of its own: its streams are read by strangers to each other, and those
/// who are slow must not use up what the others need. The windows of its streams bound what it holds.
pub fn windows(is_server: bool) -> (u32, u32) {
    match is_server {
        true => (bounds::HTTP2_STREAM_WINDOW_BYTES, bounds::HTTP2_CONNECTION_WINDOW_BYTES),
        false => (bounds::HTTP2_UPSTREAM_WINDOW_BYTES, WINDOW_BYTES_MAX),
    }
}

/// What a server says of itself.
pub fn of_server(streams: u32, head_bytes: usize) -> [(u16, u32); 4] {
    [
        (setting::MAX_CONCURRENT_STREAMS, streams),
        (setting::INITIAL_WINDOW_SIZE, bounds::HTTP2_STREAM_WINDOW_BYTES),
        (setting::MAX_HEADER_LIST_SIZE, u32::try_from(head_bytes).unwrap_or(u32::MAX)),
        (setting::ENABLE_CONNECT_PROTOCOL, 1),
    ]
}

/// What a client says of itself.
pub fn of_client(head_bytes: usize) -> [(u16, u32); 4] {
    [
        (setting::ENABLE_PUSH, 0),
        (setting::MAX_CONCURRENT_STREAMS, 0),
        (setting::INITIAL_WINDOW_SIZE, bounds::HTTP2_UPSTREAM_WINDOW_BYTES),
        (setting::MAX_HEADER_LIST_SIZE, u32::try_from(head_bytes).unwrap_or(u32::MAX)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(settings: &[(u16, u32)], from_server: bool) -> Result<PeerSettings, ErrorCode> {
        let mut payload = Vec::new();
        for (number, value) in settings {
            payload.extend_from_slice(&number.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        let mut peer = PeerSettings::default();
        peer.apply(&payload, from_server).map(|_| peer).map_err(|end| end.code)
    }

    #[test]
    fn values_are_taken_over_and_bad_ones_are_refused() {
        let peer = apply(&[(1, 0), (3, 7), (4, 9), (8, 1), (99, 5)], false).expect("all are allowed");
        assert_eq!((peer.table_bytes, peer.streams, peer.window, peer.connect), (0, 7, 9, true));
        assert_eq!(apply(&[(2, 2)], false).unwrap_err(), ErrorCode::ProtocolError);
        assert_eq!(apply(&[(2, 1)], true).unwrap_err(), ErrorCode::ProtocolError, "a server cannot be pushed to");
        assert!(apply(&[(2, 1)], false).is_ok());
        assert_eq!(apply(&[(4, 0x8000_0000)], false).unwrap_err(), ErrorCode::FlowControlError);
        assert_eq!(apply(&[(5, 16_383)], false).unwrap_err(), ErrorCode::ProtocolError);
        assert_eq!(apply(&[(5, 16_777_216)], false).unwrap_err(), ErrorCode::ProtocolError);
        assert_eq!(apply(&[(8, 2)], false).unwrap_err(), ErrorCode::ProtocolError);
        assert_eq!(apply(&[(8, 1), (8, 0)], false).unwrap_err(), ErrorCode::ProtocolError);
    }
}
