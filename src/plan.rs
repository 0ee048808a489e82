//! The plan: what a configuration means. Immutable; control makes it, cores take it by pointer.
//!
//! `start` parts are read once when the process begins; a reload that changes them is told so.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::secret::Secret;
use crate::bounds;
use crate::front::ListenerOptions;
use crate::log::LogOptions;
use crate::proxy::service::Service;

/// Everything the gateway was told.
#[derive(Clone)]
pub struct Plan {
    pub service: Arc<Service>,
    pub listeners: Vec<Arc<ListenerOptions>>,
    /// How long a drain waits for running exchanges, milliseconds.
    pub drain_ms: u64,
    /// `None` = nobody may purge by a signed call.
    pub purge_hook: Option<PurgeHook>,
    /// Where the keys of callers are kept; `None` = there are none.
    pub callers_store: Option<PathBuf>,
    pub start: Start,
}

/// What `POST /hooks/purge` is checked with.
#[derive(Clone, Debug)]
pub struct PurgeHook {
    /// Key of HMAC-SHA-256; at least 16 bytes.
    pub secret: Secret,
    /// How far the call's time may be from ours, and how long a call is remembered so that it works once, milliseconds.
    pub window_ms: u64,
}

/// What is read only at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub cores: Cores,
    pub driver: DriverChoice,
    /// `None` = no admin listener.
    pub admin: Option<SocketAddr>,
    /// Connections of the whole process; `None` = as many as the limit on open files allows.
    pub connections_max: Option<usize>,
    /// Bytes of request bodies that the gateway may hold at a time.
    pub in_flight_bytes: u64,
    pub access_log: AccessLog,
    pub log: LogOptions,
    /// Names of parameters and headers that are hidden in every output beside those known anyway.
    pub hidden_names: Vec<Box<str>>,
    pub cache: CacheStart,
}

/// The process-wide part of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheStart {
    /// Bytes of all stored answers together, their administration included.
    pub memory_bytes: u64,
    /// Where the live objects outlast a restart; `None` = nowhere.
    pub snapshot: Option<PathBuf>,
    /// How often they are written there; 0 = only at the end of a drain. Milliseconds.
    pub snapshot_interval_ms: u64,
}

impl Default for CacheStart {
    fn default() -> Self {
        Self {
            memory_bytes: bounds::CACHE_BYTES_DEFAULT,
            snapshot: None,
            snapshot_interval_ms: bounds::SNAPSHOT_INTERVAL_MS_DEFAULT,
        }
    }
}

/// Which cores run a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// All that the process may run on.
    All,
    /// The first so many of them.
    Count(usize),
    /// Exactly these.
    List(Vec<usize>),
}

/// Which I/O driver the cores use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring where it can be built, else epoll.
    #[default]
    Auto,
    IoUring,
    Epoll,
}

/// Where access lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    #[default]
    Stdout,
    Off,
    File(PathBuf),
    /// Socket of the machine's own syslog.
    SyslogSocket(PathBuf),
    /// A syslog server, `HOST:PORT`.
    SyslogUdp(String),
}
