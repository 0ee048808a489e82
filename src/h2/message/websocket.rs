//! The two values of a WebSocket handshake over HTTP/1.1 (RFC 6455 §4), which HTTP/2 does without (RFC 8441 §5).

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What is hashed behind the key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a Sec-WebSocket-Key: 16 in base64.
pub(super) const KEY_BYTES: usize = 24;
/// Bytes of a Sec-WebSocket-Accept: 20 in base64.
const ACCEPT_BYTES: usize = 28;

/// The value of Sec-WebSocket-Accept that answers a key. 28 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSocketAccept([u8; ACCEPT_BYTES]);

impl WebSocketAccept {
    /// The answer to a key.
    pub fn of_key(key: &[u8]) -> Self {
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        context.update(key);
        context.update(GUID);
        Self(base64_of(context.finish().as_ref()))
    }

    /// The text of the value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The value of Sec-WebSocket-Key for a nonce.
pub(super) fn key_of(nonce: [u8; 16]) -> [u8; KEY_BYTES] {
    base64_of(&nonce)
}

fn base64_of<const TEXT_BYTES: usize>(bytes: &[u8]) -> [u8; TEXT_BYTES] {
    let mut text = [0; TEXT_BYTES];
    STANDARD.encode_slice(bytes, &mut text).expect("it fits because 16 bytes make 24 of base64, and 20 make 28");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455_is_answered() {
        assert_eq!(WebSocketAccept::of_key(b"dGhlIHNhbXBsZSBub25jZQ==").as_bytes(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(&key_of(*b"the sample nonce"), b"dGhlIHNhbXBsZSBub25jZQ==");
    }
}
