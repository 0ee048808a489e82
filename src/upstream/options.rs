//! What an upstream is, as the plan states it: endpoints, names, trust, time-outs. Immutable, shared by all cores.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;

/// An upstream: endpoints that answer alike.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// Name in the configuration, in logs and metrics.
    pub name: Arc<str>,
    /// Endpoints in the order written; never empty in a plan.
    pub endpoints: Vec<EndpointOptions>,
    /// Value of the Host field sent; `None` = the authority of the endpoint used.
    pub host: Option<Box<str>>,
    /// TCP connect and TLS handshake together, milliseconds.
    pub connect_ms: u64,
    /// Longest silence between two reads of a response, milliseconds.
    pub read_ms: u64,
    /// Longest wait for room to send, milliseconds.
    pub send_ms: u64,
    /// How long an idle connection is kept, milliseconds.
    pub idle_ms: u64,
    /// Idle connections kept per endpoint and core; 0 closes after each exchange.
    pub pool_idle_max: usize,
}

/// One endpoint of an upstream.
#[derive(Clone, Debug)]
pub struct EndpointOptions {
    /// Host and port as written (`api.example.com` or `10.0.0.1:8080`): what Host says unless the upstream names another.
    pub authority: Box<str>,
    /// Addresses the control plane resolved; tried in order. Empty = the name does not resolve at the moment.
    pub addresses: Vec<SocketAddr>,
    /// Set for `https://`.
    pub tls: Option<EndpointTls>,
}

/// How TLS to an endpoint is spoken.
#[derive(Clone, Debug)]
pub struct EndpointTls {
    /// Name asked for (SNI) and verified.
    pub server_name: ServerName<'static>,
    /// Trust and ALPN.
    pub config: Arc<rustls::ClientConfig>,
    /// Text that is equal exactly when trust, verification and ALPN are equal: a part of the pool key.
    pub identity: Arc<str>,
}
