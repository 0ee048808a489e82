//! Messages between field blocks and the text of HTTP/1.1 (RFC 9113 §8).
//!
//! Four ways: a request block becomes a head ([`RequestBuilder`]), the text of a response becomes a block
//! ([`encode_response`]); towards upstreams the text of a request becomes a block ([`encode_request`]) and a response
//! block becomes text ([`ResponseBuilder`]). Trailers and bodies have the same pairs. What a peer sent is judged as
//! strictly as the reader of HTTP/1.1 judges, so that nothing passes in one version that would be refused in the other.
//! Keeps no connection and no stream, counts no DATA, does no I/O.

mod body_text;
mod check;
mod lines;
mod malformed;
mod request;
mod request_text;
mod response;
mod response_text;
#[cfg(test)]
mod tests;
mod trailers;
mod websocket;

pub use body_text::{BodyText, TextBody, Unframed, extend_chunk, write_chunk, write_last_chunk};
pub use lines::BadText;
pub use malformed::Malformed;
pub use request::{RequestBuilder, RequestError, RequestShape, declare_chunked};
pub use request_text::{RequestText, encode_request};
pub use response::{ResponseBuilder, ResponseEnd, ResponseHeadShape};
pub use response_text::{ResponseShape, encode_response, status_of};
pub use trailers::{TrailerBuilder, encode_trailers};
pub use websocket::WebSocketAccept;
