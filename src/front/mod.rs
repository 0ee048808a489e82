//! Downstream connections: accept, PROXY protocol, TLS handshake, the keep-alive loop of HTTP/1.1.
//!
//! One exchange is one call of `proxy::serve`. Nothing here knows routes or upstreams.

mod asked;
pub mod connection;
pub mod http2;
pub mod listener;
mod open;
pub mod options;
pub mod proxy_protocol;

pub use listener::{Front, Listener};
pub use options::ListenerOptions;
