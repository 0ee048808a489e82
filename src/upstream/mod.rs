//! The upstream side: endpoints, pools of warm connections, the client side of HTTP/1.1, the retry rule.

pub mod options;

pub use options::{EndpointOptions, EndpointTls, UpstreamOptions};
