//! What a key means that was not written, as far as it is not a bound (`crate::bounds`). Times are milliseconds.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// `[server] drain`
pub(super) const DRAIN_MS: u64 = 30_000;
/// `[server] admin`
pub(super) const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9901);
/// `[server] via`
pub(super) const VIA: &str = "ringway";
/// The smallest `[server.limits] head`.
pub(super) const HEAD_BYTES_MIN: u64 = 256;
/// The smallest `[server.limits] request_line`.
pub(super) const REQUEST_LINE_BYTES_MIN: u64 = 64;

/// `[[listener]]`
pub(super) const LISTENER_IDLE_MS: u64 = 75_000;
pub(super) const LISTENER_HEAD_MS: u64 = 10_000;
pub(super) const LISTENER_BODY_MS: u64 = 30_000;
pub(super) const LISTENER_SEND_MS: u64 = 30_000;
pub(super) const LISTENER_HANDSHAKE_MS: u64 = 10_000;

/// `[[upstream]]`
pub(super) const UPSTREAM_CONNECT_MS: u64 = 3_000;
pub(super) const UPSTREAM_READ_MS: u64 = 30_000;
pub(super) const UPSTREAM_SEND_MS: u64 = 30_000;
pub(super) const UPSTREAM_IDLE_MS: u64 = 60_000;

/// The smallest `[cache] snapshot_interval`.
pub(super) const SNAPSHOT_INTERVAL_MS_MIN: u64 = 1_000;
/// `[cache] hook_window`, and its bounds: calls are remembered as long as that.
pub(super) const HOOK_WINDOW_MS: u64 = 300_000;
pub(super) const HOOK_WINDOW_MS_MIN: u64 = 1_000;
pub(super) const HOOK_WINDOW_MS_MAX: u64 = 24 * 3_600 * 1_000;
/// The smallest `[cache] hook_secret`.
pub(super) const HOOK_SECRET_BYTES_MIN: usize = 16;
/// An object may fill at most one part in so many of the cache.
pub(super) const OBJECTS_PER_CACHE_MIN: u64 = 4;

/// Where `ringway proxy` listens.
pub(super) const PROXY_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
