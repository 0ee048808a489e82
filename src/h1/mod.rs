//! HTTP/1.1 on the wire (RFC 9112): bytes in, verdicts out.
//!
//! Reads heads, says how long a body is, takes body framing off and puts it on. Does no I/O, reads no clock and keeps
//! no connection: whoever owns the socket calls these functions with what it has. Strict on purpose: whatever two
//! readers could understand differently is refused with a name ([`Reject`]).

pub mod body;
mod chunk;
pub mod framing;
#[doc(hidden)]
pub mod fuzz;
pub mod reject;
pub mod request;
pub mod response;
mod scan;
pub mod target;
#[cfg(test)]
pub mod testing;
mod trailer;

pub use body::{BodyDecoder, BodyEncoder, Decoded, Eof, chunk_head};
pub use framing::{
    BodyLength, RequestFraming, ResponseFraming, TargetParts, authority, connection_tokens, request_framing,
    response_framing, target_parts,
};
pub use reject::Reject;
pub use request::RequestParser;
pub use response::parse_response;

use crate::bounds;

/// Bounds of one head. No head may be larger than [`bounds::HEAD_BYTES_MAX`], whatever stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of a whole head, empty line included.
    pub head_bytes: usize,
    /// Bytes of a request line, its CRLF included.
    pub request_line_bytes: usize,
    /// Field lines.
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            head_bytes: bounds::HEAD_BYTES_DEFAULT,
            request_line_bytes: bounds::REQUEST_LINE_BYTES_DEFAULT,
            fields: bounds::FIELDS_DEFAULT,
        }
    }
}

/// What reading of a head came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The head goes on beyond the input; call again with the same bytes and more behind them.
    Partial,
    /// The head is complete and took this many bytes from the front of the input.
    Complete { head_bytes: usize },
}
