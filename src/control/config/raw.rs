//! What was written: every key of the configuration file with its place, each value checked by itself.
//!
//! This file is the list of keys. What they mean together is decided by `resolve.rs` and the files beside it. `None` means
//! that the key was not written, or that its value was refused and the error is noted.

use ipnet::IpNet;
use std::net::SocketAddr;

use super::defaults;
use super::endpoint::{self, Endpoint};
use super::problems::{At, Place, fault};
use super::raw_cache::{self, RawCache, RawPolicy};
use super::raw_callers::{self, RawAccess, RawCallers, RawCredential};
use super::raw_limits::{self, Often, RawLimit, RawLimitTable};
use super::raw_log::{self, RawLog};
use super::raw_waf::{self, RawWaf};
use super::reader::Table;
use super::values;
use crate::base::secret::Secret;
use crate::bounds;
use crate::plan::{Cores, DriverChoice};
use crate::policy::auth::ClientAddress;
use crate::proxy::service::{ExpectPolicy, ForwardedPolicy};
use crate::upstream::Protocol;

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct RawConfig {
    pub server: RawServer,
    pub log: RawLog,
    pub cache: RawCache,
    /// `None` = there are no keys of the house.
    pub callers: Option<RawCallers>,
    pub listeners: Vec<RawListener>,
    pub upstreams: Vec<RawUpstream>,
    pub routes: Vec<RawRoute>,
    pub limit_table: RawLimitTable,
    pub limits: Vec<RawLimit>,
    pub wafs: Vec<RawWaf>,
}

/// `[server]`
#[derive(Debug, Default)]
pub(super) struct RawServer {
    pub cores: Option<At<Cores>>,
    pub driver: Option<At<DriverChoice>>,
    pub drain: Option<At<u64>>,
    /// Inner `None` = `off`.
    pub admin: Option<At<Option<SocketAddr>>>,
    pub connections_max: Option<At<u64>>,
    pub trusted_peers: Option<At<Vec<At<IpNet>>>>,
    pub forwarded: Option<At<ForwardedPolicy>>,
    pub expect: Option<At<ExpectPolicy>>,
    pub via: Option<At<String>>,
    /// The firewall of routes that name none.
    pub waf: Option<At<String>>,
    pub in_flight_bytes: Option<At<u64>>,
    pub limits: RawLimits,
    pub client_address: Option<At<ClientAddress>>,
    pub access: RawAccess,
    pub overload: RawOverload,
}

/// `[server.overload]`
#[derive(Debug, Default)]
pub(super) struct RawOverload {
    /// Inner `None` = `off`.
    pub target: Option<At<Option<u64>>>,
}

/// `[server.limits]`
#[derive(Debug, Default)]
pub(super) struct RawLimits {
    pub head: Option<At<u64>>,
    pub request_line: Option<At<u64>>,
    pub fields: Option<At<u64>>,
    pub body: Option<At<u64>>,
}

/// `[[listener]]`
#[derive(Debug, Default)]
pub(super) struct RawListener {
    pub address: Option<At<SocketAddr>>,
    pub idle_timeout: Option<At<u64>>,
    pub head_timeout: Option<At<u64>>,
    pub body_timeout: Option<At<u64>>,
    pub send_timeout: Option<At<u64>>,
    pub handshake_timeout: Option<At<u64>>,
    pub proxy_protocol: Option<At<bool>>,
    pub http2: Option<At<bool>>,
    pub http2_streams: Option<At<u64>>,
    pub tls: Vec<RawCertificate>,
    pub new_connections: Option<At<Often>>,
    pub new_connections_burst: Option<At<u64>>,
}

/// `[[listener.tls]]`
#[derive(Debug, Default)]
pub(super) struct RawCertificate {
    pub cert: Option<At<String>>,
    pub key: Option<At<String>>,
    pub names: Option<At<Vec<At<String>>>>,
}

/// `[[upstream]]`
#[derive(Debug, Default)]
pub(super) struct RawUpstream {
    pub name: Option<At<String>>,
    pub endpoints: Option<At<Vec<At<Endpoint>>>>,
    pub protocol: Option<At<Protocol>>,
    pub host: Option<At<String>>,
    pub sni: Option<At<String>>,
    pub ca: Option<At<String>>,
    pub insecure: Option<At<bool>>,
    pub connect_timeout: Option<At<u64>>,
    pub read_timeout: Option<At<u64>>,
    pub send_timeout: Option<At<u64>>,
    pub idle_timeout: Option<At<u64>>,
    pub pool: Option<At<u64>>,
    pub credential: Option<RawCredential>,
    pub in_flight: Option<At<u64>>,
}

/// `[[route]]`
#[derive(Debug, Default)]
pub(super) struct RawRoute {
    pub place: Place,
    pub name: Option<At<String>>,
    pub host: Option<At<String>>,
    pub path: Option<At<String>>,
    pub exact: Option<At<String>>,
    pub methods: Option<At<Vec<At<String>>>>,
    pub headers: Vec<Pair>,
    pub upstream: Option<At<String>>,
    pub strip_prefix: Option<At<String>>,
    pub replace_prefix: Option<At<String>>,
    pub body_max: Option<At<u64>>,
    pub connect_timeout: Option<At<u64>>,
    pub read_timeout: Option<At<u64>>,
    pub request: RawEdits,
    pub response: RawEdits,
    pub waf: Option<At<String>>,
    /// `None` = the route has no cache.
    pub cache: Option<RawPolicy>,
    pub access: RawAccess,
    pub limits: Option<At<Vec<At<String>>>>,
}

/// A header name and its value as written.
pub(super) type Pair = (At<String>, At<Secret>);

/// `[route.request]` and `[route.response]`
#[derive(Debug, Default)]
pub(super) struct RawEdits {
    pub set: Vec<Pair>,
    pub add: Vec<Pair>,
    pub remove: Option<At<Vec<At<String>>>>,
}

/// Reads the whole file.
pub(super) fn config(t: &mut Table<'_>) -> RawConfig {
    const LISTENER: &str = "add [[listener]] with address = \"127.0.0.1:8080\"";
    const UPSTREAM: &str = "add [[upstream]] with name and endpoints";
    const ROUTE: &str = "add [[route]] with upstream = \"NAME\"";
    RawConfig {
        server: t.table("server", server).unwrap_or_default(),
        log: t.table("log", raw_log::log).unwrap_or_default(),
        cache: t.table("cache", raw_cache::cache).unwrap_or_default(),
        callers: t.table("callers", raw_callers::callers),
        listeners: t.required_tables("listener", LISTENER, listener),
        upstreams: t.required_tables("upstream", UPSTREAM, upstream),
        routes: t.required_tables("route", ROUTE, route),
        limit_table: t.table("limits", raw_limits::table).unwrap_or_default(),
        limits: t.tables("limit", raw_limits::limit),
        wafs: t.tables("waf", raw_waf::waf),
    }
}

fn server(t: &mut Table<'_>) -> RawServer {
    let drivers = [("auto", DriverChoice::Auto), ("io_uring", DriverChoice::IoUring), ("epoll", DriverChoice::Epoll)];
    let forwarded = [
        ("x-forwarded", ForwardedPolicy::XForwarded),
        ("forwarded", ForwardedPolicy::Forwarded),
        ("both", ForwardedPolicy::Both),
        ("off", ForwardedPolicy::Off),
    ];
    let client_address = [
        ("peer", ClientAddress::Peer),
        ("x-forwarded-for", ClientAddress::XForwardedFor),
        ("forwarded", ClientAddress::Forwarded),
    ];
    let expect = [("answer", ExpectPolicy::Answer), ("forward", ExpectPolicy::Forward)];
    RawServer {
        cores: t.number_or(
            "cores",
            "a count such as 4, or a list such as \"0-3,6\"",
            values::core_count,
            values::cores,
        ),
        driver: t.parsed("driver", |text| values::choice(text, &drivers)),
        drain: t.parsed("drain", values::duration_ms),
        admin: t.parsed("admin", |text| match text {
            "off" => Ok(None),
            text => values::socket_address(text).map(Some),
        }),
        connections_max: t.count("connections_max", 1, bounds::CONNECTIONS_MAX as u64),
        trusted_peers: t.list("trusted_peers", values::network),
        forwarded: t.parsed("forwarded", |text| values::choice(text, &forwarded)),
        expect: t.parsed("expect", |text| values::choice(text, &expect)),
        via: t.parsed("via", values::via),
        waf: t.parsed("waf", values::any),
        in_flight_bytes: size(t, "in_flight_bytes", bounds::IN_FLIGHT_BYTES_MIN, u64::MAX),
        limits: t.table("limits", limits).unwrap_or_default(),
        client_address: t.parsed("client_address", |text| values::choice(text, &client_address)),
        access: raw_callers::access(t),
        overload: t.table("overload", overload).unwrap_or_default(),
    }
}

fn overload(t: &mut Table<'_>) -> RawOverload {
    let target = |text: &str| match text {
        "off" => Ok(None),
        text => match values::duration_ms(text)? {
            ms if ms < bounds::OVERLOAD_TARGET_MS_MIN => {
                Err(fault("is shorter than 5ms", "write a longer one, or off"))
            }
            ms => Ok(Some(ms)),
        },
    };
    RawOverload { target: t.parsed("target", target) }
}

fn limits(t: &mut Table<'_>) -> RawLimits {
    RawLimits {
        head: size(t, "head", defaults::HEAD_BYTES_MIN, bounds::HEAD_BYTES_MAX as u64),
        request_line: size(t, "request_line", defaults::REQUEST_LINE_BYTES_MIN, bounds::HEAD_BYTES_MAX as u64),
        fields: t.count("fields", 1, bounds::FIELDS_MAX as u64),
        body: size(t, "body", 1, u64::MAX),
    }
}

/// A size between two bounds, both included.
pub(super) fn size(t: &mut Table<'_>, key: &'static str, least: u64, most: u64) -> Option<At<u64>> {
    let number = |n| values::size_in_range(n, least, most);
    t.number_or(key, "a size such as \"64KiB\"", number, |text| values::size_between(text, least, most))
}

fn listener(t: &mut Table<'_>) -> RawListener {
    RawListener {
        address: t.required("address", "add address = \"127.0.0.1:8080\"", values::socket_address),
        idle_timeout: t.parsed("idle_timeout", values::duration_ms),
        head_timeout: t.parsed("head_timeout", values::duration_ms),
        body_timeout: t.parsed("body_timeout", values::duration_ms),
        send_timeout: t.parsed("send_timeout", values::duration_ms),
        handshake_timeout: t.parsed("handshake_timeout", values::duration_ms),
        proxy_protocol: t.boolean("proxy_protocol"),
        http2: t.boolean("http2"),
        http2_streams: t.count("http2_streams", 1, u64::from(bounds::HTTP2_STREAMS_MAX)),
        tls: t.tables("tls", |t| RawCertificate {
            cert: t.required("cert", "add cert = \"FILE.pem\"", values::file_name),
            key: t.required("key", "add key = \"FILE.key\"", values::file_name),
            names: t.list("names", values::certificate_name),
        }),
        new_connections: t.parsed("new_connections", raw_limits::often),
        new_connections_burst: raw_limits::burst(t, "new_connections_burst"),
    }
}

fn upstream(t: &mut Table<'_>) -> RawUpstream {
    let protocols = [("auto", Protocol::Auto), ("h1", Protocol::H1), ("h2", Protocol::H2), ("h2c", Protocol::H2c)];
    if !t.has("endpoints") {
        t.missing("endpoints", "add endpoints = [\"https://api.example.com\"]");
    }
    RawUpstream {
        name: t.required("name", "add name = \"api\"", values::name),
        endpoints: t.list("endpoints", endpoint::endpoint),
        protocol: t.parsed("protocol", |text| values::choice(text, &protocols)),
        host: t.parsed("host", endpoint::authority),
        sni: t.parsed("sni", values::host_name),
        ca: t.parsed("ca", values::file_name),
        insecure: t.boolean("insecure"),
        connect_timeout: t.parsed("connect_timeout", values::duration_ms),
        read_timeout: t.parsed("read_timeout", values::duration_ms),
        send_timeout: t.parsed("send_timeout", values::duration_ms),
        idle_timeout: t.parsed("idle_timeout", values::duration_ms),
        pool: t.count("pool", 0, bounds::POOL_IDLE_MAX as u64),
        credential: t.table("credential", raw_callers::credential),
        in_flight: t.count("in_flight", 1, 1_000_000),
    }
}

fn route(t: &mut Table<'_>) -> RawRoute {
    RawRoute {
        place: t.place(),
        name: t.parsed("name", values::name),
        host: t.parsed("host", values::host_pattern),
        path: t.parsed("path", values::path),
        exact: t.parsed("exact", values::path),
        methods: t.list("methods", values::method),
        headers: t.pairs("headers", secret),
        upstream: t.required("upstream", "add upstream = \"NAME\"", values::any),
        strip_prefix: t.parsed("strip_prefix", values::path),
        replace_prefix: t.parsed("replace_prefix", values::path),
        body_max: size(t, "body_max", 1, u64::MAX),
        connect_timeout: t.parsed("connect_timeout", values::duration_ms),
        read_timeout: t.parsed("read_timeout", values::duration_ms),
        request: t.table("request", edits).unwrap_or_default(),
        response: t.table("response", edits).unwrap_or_default(),
        waf: t.parsed("waf", values::any),
        cache: t.table("cache", raw_cache::policy),
        access: raw_callers::access(t),
        limits: t.list("limits", values::any),
    }
}

fn edits(t: &mut Table<'_>) -> RawEdits {
    RawEdits { set: t.pairs("set", secret), add: t.pairs("add", secret), remove: t.list("remove", values::any) }
}

/// A value that may be a secret, unresolved.
pub(super) fn secret(text: &str) -> Secret {
    text.into()
}
