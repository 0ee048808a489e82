//! HTTP/2 on the wire (RFC 9113), for both sides: bytes in, heads and bodies out; messages in, bytes out.
//!
//! Towards the rest of the house each stream looks like a connection of HTTP/1.1 with one exchange on it: a request head
//! comes as a [`crate::http::RequestHead`], and a response is taken as the text that `proxy` writes for everybody (and
//! the other way round towards upstreams). Does no I/O, reads no clock, names no runtime. Strict on purpose: what two
//! readers could understand differently ends the stream or the connection with a named reason.

pub mod budget;
pub mod connection;
pub mod frame;
#[doc(hidden)]
pub mod fuzz;
mod head;
pub mod hpack;
pub mod message;
mod receive;
mod send;
mod settings;
mod stream;
mod streams;
#[cfg(test)]
mod tests;

pub use budget::End;
pub use connection::{Connection, Limits, Role, Tally, Text};
pub use receive::Opened;
pub use stream::Cut;
pub use streams::StreamKey;
