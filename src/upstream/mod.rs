//! The upstream side: endpoints and their balance, pools of warm connections, sessions of HTTP/2 that are shared, how a
//! request is sent and its response head received, the retry rule.
//!
//! Told addresses by the plan; never resolves a name. Knows nothing of routes or clients.

pub mod balance;
pub mod client;
pub mod connect;
mod keeper;
pub mod options;
pub mod pool;
mod queue;
pub mod retry;
pub mod sessions;

pub use balance::Target;
pub use client::Connection;
pub use options::{Credential, EndpointOptions, EndpointTls, Protocol, UpstreamOptions};
pub use pool::Pools;
