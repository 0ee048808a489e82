//! What a listener is, as the plan states it. Immutable, shared by all cores.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::policy::limit::Limit;
use crate::tls::server::ServerTls;

/// One listening address and how its connections are treated. Times are milliseconds.
pub struct ListenerOptions {
    pub address: SocketAddr,
    /// Present = TLS is spoken.
    pub tls: Option<ServerTls>,
    /// Silence allowed between two requests of a connection.
    pub idle_ms: u64,
    /// From the first byte of a request head to its end.
    pub head_ms: u64,
    /// Between two reads of a request body.
    pub body_ms: u64,
    /// Between two writes to a client that does not read.
    pub send_ms: u64,
    /// For the whole TLS handshake, and for the PROXY protocol header.
    pub handshake_ms: u64,
    /// A PROXY protocol header (v1 or v2) must open each connection.
    pub proxy_protocol: bool,
    /// HTTP/2 is spoken too: offered by ALPN where TLS is, and taken in clear from a client that begins with its preface
    /// (RFC 9113 §3.3).
    pub http2: bool,
    /// Streams that one HTTP/2 connection may have open, from 1 to [`crate::bounds::HTTP2_STREAMS_MAX`].
    pub http2_streams: u32,
    /// How often an address may connect; `None` = as often as it likes.
    pub arrivals: Option<Arc<Limit>>,
}
