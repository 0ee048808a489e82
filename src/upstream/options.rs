//! What an upstream is, as the plan states it: endpoints, names, trust, time-outs. Immutable, shared by all cores.

use crate::base::secret::Secret;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;

use crate::policy::limit::Capacity;

/// Which HTTP is spoken to the endpoints of an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `https://`: HTTP/2 or HTTP/1.1, as the endpoint chooses by ALPN (RFC 7301). `http://`: HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 on every endpoint.
    H1,
    /// HTTP/2 over TLS, and nothing else: all endpoints are `https://`, and one that does not choose `h2` is of no use.
    H2,
    /// HTTP/2 in clear by prior knowledge (RFC 9113 §3.3): all endpoints are `http://`.
    H2c,
}

/// An upstream: endpoints that answer alike.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// Name in the configuration, in logs and metrics.
    pub name: Arc<str>,
    /// Endpoints in the order written; never empty in a plan.
    pub endpoints: Vec<EndpointOptions>,
    /// Value of the Host field sent; `None` = the authority of the endpoint used.
    pub host: Option<Box<str>>,
    /// What is spoken to the endpoints.
    pub protocol: Protocol,
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
    /// What requests are sent with in place of the client's own credential; `None` = that passes.
    pub credential: Option<Credential>,
    /// Requests in flight to it, over all cores; `None` = any number.
    pub capacity: Option<Capacity>,
}

/// The house's credential at an upstream: a field of each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The client's own is removed, and that is all.
    Nothing,
    Field {
        name: Box<str>,
        value: Secret,
    },
}

impl Credential {
    /// Name and value of the field, where there is one.
    pub fn field(&self) -> Option<(&str, &Secret)> {
        match self {
            Self::Nothing => None,
            Self::Field { name, value } => Some((name, value)),
        }
    }
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
    /// Trust, and by ALPN the protocols that [`Protocol`] allows.
    pub config: Arc<rustls::ClientConfig>,
    /// The same trust, offering `http/1.1` alone: for what HTTP/2 cannot carry to this endpoint, such as an Upgrade. The
    /// same pointer as `config` where that offers nothing else.
    pub config_h1: Arc<rustls::ClientConfig>,
    /// Text that is equal exactly when trust, verification and the ALPN of `config` are equal: a part of the pool key.
    pub identity: Arc<str>,
}
