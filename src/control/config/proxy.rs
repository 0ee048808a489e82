//! `ringway proxy`: the plan of a command line. It is written down as a raw configuration and goes the same way as a file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::problems::{At, Place, Problems};
use super::raw::{RawCertificate, RawConfig, RawListener, RawRoute, RawServer, RawUpstream};
use super::raw_cache::{RawCache, RawPolicy};
use super::raw_log::{Access, RawLog};
use super::{ConfigErrors, Keep, Loaded, Names, defaults, endpoint, finish, from_process};
use crate::plan::AccessLog;

/// What errors name instead of a file.
const COMMAND_LINE: &str = "command line";

/// The options of `ringway proxy`.
#[derive(Clone, Debug, Default)]
pub struct ProxyArguments {
    /// `--to`: URL of the upstream.
    pub to: String,
    /// `--listen`; empty = 127.0.0.1:8080.
    pub listen: Vec<SocketAddr>,
    /// `--tls-cert`, a PEM chain. Together with `tls_key`, all listeners speak TLS.
    pub tls_cert: Option<PathBuf>,
    /// `--tls-key`
    pub tls_key: Option<PathBuf>,
    /// `--admin`; `None` = the default address, if it is free.
    pub admin: Option<AdminChoice>,
    /// `--access-log`
    pub access_log: AccessLog,
    /// `--cache`: answers are stored by RFC 9111, identical calls in flight are merged.
    pub cache: bool,
    /// `--cache-memory`, bytes.
    pub cache_memory: Option<u64>,
}

/// What `--admin` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminChoice {
    Off,
    At(SocketAddr),
}

/// The plan of `ringway proxy`: every request goes to one upstream, all else is the default. Blocks on files and names.
///
/// # Errors
/// All at once; their paths are the options at fault.
pub fn proxy_plan(arguments: &ProxyArguments, keep: &Keep) -> Result<Loaded, ConfigErrors> {
    let problems = Problems::default();
    let raw = raw(arguments, &problems);
    finish(&raw, problems, "", Path::new(COMMAND_LINE), keep, &from_process, Names::Resolved)
}

fn raw(arguments: &ProxyArguments, problems: &Problems) -> RawConfig {
    let certificate = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(cert), Some(key)) => Some(|| RawCertificate {
            cert: Some(path("--tls-cert", cert)),
            key: Some(path("--tls-key", key)),
            names: None,
        }),
        (Some(_), None) => {
            problems.error(&place("--tls-key"), "is missing", "--tls-cert needs the key of the certificate beside it");
            None
        }
        (None, Some(_)) => {
            problems.error(&place("--tls-cert"), "is missing", "--tls-key needs its certificate beside it");
            None
        }
        (None, None) => None,
    };
    let listen = match arguments.listen.as_slice() {
        [] => &[defaults::PROXY_LISTEN],
        addresses => addresses,
    };
    let listener = |address: &SocketAddr| RawListener {
        address: Some(at("--listen", *address)),
        tls: certificate.iter().map(|make| make()).collect(),
        ..RawListener::default()
    };
    let to = problems.keep(&place("--to"), endpoint::endpoint(&arguments.to));
    let upstream = RawUpstream {
        name: Some(at("--to", "upstream".to_owned())),
        endpoints: to.map(|to| at("--to", vec![at("--to", to)])),
        ..RawUpstream::default()
    };
    let route = RawRoute {
        name: Some(at("--to", "all".to_owned())),
        upstream: Some(at("--to", "upstream".to_owned())),
        cache: arguments.cache.then(|| RawPolicy { place: place("--cache"), ..RawPolicy::default() }),
        ..RawRoute::default()
    };
    let access = match &arguments.access_log {
        AccessLog::Stdout => Access::Stdout,
        AccessLog::Off => Access::Off,
        AccessLog::File(file) => Access::File(file.to_string_lossy().into_owned()),
        AccessLog::SyslogSocket(path) => Access::SyslogSocket(path.to_string_lossy().into_owned()),
        AccessLog::SyslogUdp(server) => Access::SyslogUdp(server.clone()),
    };
    RawConfig {
        server: RawServer {
            admin: arguments.admin.map(|choice| match choice {
                AdminChoice::Off => at("--admin", None),
                AdminChoice::At(address) => at("--admin", Some(address)),
            }),
            ..RawServer::default()
        },
        cache: RawCache {
            memory: arguments.cache_memory.map(|bytes| at("--cache-memory", bytes)),
            ..RawCache::default()
        },
        log: RawLog { access: Some(at("--access-log", access)), ..RawLog::default() },
        callers: None,
        listeners: listen.iter().map(listener).collect(),
        upstreams: vec![upstream],
        routes: vec![route],
        ..RawConfig::default()
    }
}

fn place(option: &str) -> Place {
    Place { offset: None, path: option.to_owned() }
}

fn at<T>(option: &str, value: T) -> At<T> {
    At { value, place: place(option) }
}

fn path(option: &str, path: &Path) -> At<String> {
    at(option, path.to_string_lossy().into_owned())
}
