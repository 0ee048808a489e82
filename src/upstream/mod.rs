//! The upstream side: endpoints and their balance, pools of warm connections, the client side of HTTP/1.1, the retry rule.
//!
//! Told addresses by the plan; never resolves a name. Knows nothing of routes or clients.

pub mod balance;
pub mod client;
pub mod options;
pub mod pool;
pub mod retry;

pub use balance::Target;
pub use client::Connection;
pub use options::{EndpointOptions, EndpointTls, Protocol, UpstreamOptions};
pub use pool::Pools;
