//! Downstream connections: accept, TLS handshake, HTTP/1.1 keep-alive loop; one exchange is one call of `proxy::serve`.

pub mod options;

pub use options::ListenerOptions;
