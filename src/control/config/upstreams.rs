//! Upstreams: endpoints, trust and time-outs. Names are left without addresses; `names.rs` fills them in.

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::endpoint::Endpoint;
use super::listeners::opens;
use super::problems::{At, Problems};
use super::raw::RawUpstream;
use super::resolve::{Context, items, or, refuse_twice};
use super::{calling, defaults};
use crate::bounds;
use crate::policy::limit::Capacity;
use crate::tls::{CertificateError, ClientTlsOptions, client_config, with_alpn};
use crate::upstream::{EndpointOptions, EndpointTls, Protocol, UpstreamOptions};

/// HTTP/1.1 and HTTP/2 as ALPN names them.
const H1: &[u8] = b"http/1.1";
/// See [`H1`].
const H2: &[u8] = b"h2";

/// All upstreams, in the order written and with their indices, even those with problems.
pub(super) fn resolve(raw: &[RawUpstream], context: &Context<'_>) -> Vec<UpstreamOptions> {
    let names = raw.iter().filter_map(|u| u.name.as_ref()).map(|name| (name.as_str(), &name.place));
    refuse_twice("upstream", names, context.problems);
    let trusts = Trusts::default();
    raw.iter()
        .map(|upstream| UpstreamOptions {
            name: upstream.name.as_ref().map_or("", |name| name.as_str()).into(),
            endpoints: endpoints(upstream, &trusts, context),
            host: upstream.host.as_ref().map(|host| host.as_str().into()),
            protocol: or(&upstream.protocol, Protocol::Auto),
            connect_ms: or(&upstream.connect_timeout, defaults::UPSTREAM_CONNECT_MS),
            read_ms: or(&upstream.read_timeout, defaults::UPSTREAM_READ_MS),
            send_ms: or(&upstream.send_timeout, defaults::UPSTREAM_SEND_MS),
            idle_ms: or(&upstream.idle_timeout, defaults::UPSTREAM_IDLE_MS),
            pool_idle_max: upstream
                .pool
                .as_ref()
                .and_then(|pool| usize::try_from(pool.value).ok())
                .unwrap_or(bounds::POOL_IDLE_DEFAULT),
            credential: calling::credential(upstream, context),
            capacity: upstream
                .in_flight
                .as_ref()
                .zip(upstream.name.as_ref())
                .map(|(most, name)| Capacity { most: most.value, crowd: context.registry.crowd(name) }),
        })
        .collect()
}

fn endpoints(raw: &RawUpstream, trusts: &Trusts, context: &Context<'_>) -> Vec<EndpointOptions> {
    let written = items(&raw.endpoints);
    // A list whose members were all refused is empty too; that is said already, member by member.
    let refused = |path: &str| context.problems.any_under(path);
    if let Some(list) = raw.endpoints.as_ref().filter(|list| list.is_empty() && !refused(&list.place.path)) {
        context.problems.error(&list.place, "is empty", "write at least one, such as \"https://api.example.com\"");
    }
    refuse_other_schemes(raw, context.problems);
    warn_without_effect(raw, context.problems);
    let trust = match written.iter().any(|endpoint| endpoint.tls) {
        true => trusts.of(raw, context),
        false => None,
    };
    written
        .iter()
        .map(|endpoint| EndpointOptions {
            authority: endpoint.authority.as_str().into(),
            addresses: endpoint.literal().map(|ip| SocketAddr::new(ip, endpoint.port)).into_iter().collect(),
            tls: trust.as_ref().filter(|_| endpoint.tls).and_then(|trust| tls(endpoint, raw, trust, context)),
        })
        .collect()
}

fn tls(endpoint: &At<Endpoint>, raw: &RawUpstream, trust: &Trust, context: &Context<'_>) -> Option<EndpointTls> {
    let (name, place) = match &raw.sni {
        Some(sni) => (&sni.value, &sni.place),
        None => (&endpoint.host, &endpoint.place),
    };
    let server_name = ServerName::try_from(name.clone())
        .map_err(|_| context.problems.error(place, format!("{name:?} cannot be verified in TLS"), "set `sni`"))
        .ok()?;
    let Trust { config, config_h1, identity } = trust.clone();
    Some(EndpointTls { server_name, config, config_h1, identity })
}

/// A protocol that is spoken over TLS alone, or in clear alone, fits endpoints of that kind only.
fn refuse_other_schemes(raw: &RawUpstream, problems: &Problems) {
    let (tls, what, hint) = match or(&raw.protocol, Protocol::Auto) {
        Protocol::Auto | Protocol::H1 => return,
        Protocol::H2 => {
            (true, "is http://, but protocol = \"h2\" is over TLS", "write https://, or protocol = \"h2c\"")
        }
        Protocol::H2c => {
            (false, "is https://, but protocol = \"h2c\" is in clear", "write http://, or protocol = \"h2\"")
        }
    };
    for endpoint in items(&raw.endpoints).iter().filter(|endpoint| endpoint.tls != tls) {
        problems.error(&endpoint.place, what, hint);
    }
}

/// `sni`, `ca` and `insecure` say something about TLS only.
fn warn_without_effect(raw: &RawUpstream, problems: &Problems) {
    if items(&raw.endpoints).iter().any(|endpoint| endpoint.tls) {
        if let Some(insecure) = raw.insecure.as_ref().filter(|at| at.value) {
            let what =
                "certificates of this upstream are not verified: anybody in between can read and change everything";
            problems.warn(&insecure.place, what, "name its authority with `ca` instead");
        }
        return;
    }
    let places = [
        raw.sni.as_ref().map(|at| &at.place),
        raw.ca.as_ref().map(|at| &at.place),
        raw.insecure.as_ref().map(|at| &at.place),
    ];
    for place in places.into_iter().flatten() {
        problems.warn(place, "has no effect: no endpoint is https://", "remove it or write https://");
    }
}

/// Trust settings met so far, so that equal ones share one session cache and the system's roots are read once.
#[derive(Default)]
struct Trusts {
    /// By the text of the trust alone; what is offered is HTTP/1.1.
    roots: RefCell<BTreeMap<String, Arc<ClientConfig>>>,
    /// By identity.
    known: RefCell<BTreeMap<String, Trust>>,
}

/// What connections to the endpoints of an upstream begin with, see [`EndpointTls`].
#[derive(Clone)]
struct Trust {
    identity: Arc<str>,
    config: Arc<ClientConfig>,
    config_h1: Arc<ClientConfig>,
}

impl Trusts {
    fn of(&self, raw: &RawUpstream, context: &Context<'_>) -> Option<Trust> {
        let insecure = or(&raw.insecure, false);
        let ca = raw.ca.as_ref().map(|ca| (context.path(ca), &ca.place));
        if let Some((path, place)) = &ca
            && !opens(path, place, context)
        {
            return None;
        }
        context.ticketer.as_ref()?; // nothing outside may be read, the system's roots included
        let ca = ca.map(|(path, _)| path);
        let roots = roots(ca.as_ref(), insecure);
        let alpn = alpn(or(&raw.protocol, Protocol::Auto));
        let offered: Vec<_> = alpn.iter().map(|protocol| String::from_utf8_lossy(protocol)).collect();
        let identity = format!("{roots} {}", offered.join(","));
        if let Some(trust) = self.known.borrow().get(&identity) {
            return Some(trust.clone());
        }
        let place = raw.ca.as_ref().map(|ca| &ca.place).or(raw.endpoints.as_ref().map(|list| &list.place))?;
        let options = ClientTlsOptions { ca, insecure, alpn: vec![H1.to_vec()] };
        let config_h1 =
            self.over(roots, &options).map_err(|error| context.problems.error(place, error.to_string(), "")).ok()?;
        let config = if alpn == [H1] { config_h1.clone() } else { with_alpn(&config_h1, alpn) };
        let trust = Trust { identity: identity.as_str().into(), config, config_h1 };
        self.known.borrow_mut().insert(identity, trust.clone());
        Some(trust)
    }

    /// The configuration over these roots, made once.
    fn over(&self, roots: String, options: &ClientTlsOptions) -> Result<Arc<ClientConfig>, CertificateError> {
        if let Some(config) = self.roots.borrow().get(&roots) {
            return Ok(config.clone());
        }
        let config = client_config(options)?;
        self.roots.borrow_mut().insert(roots, config.clone());
        Ok(config)
    }
}

/// What is offered to the TLS endpoints of an upstream, the best first.
fn alpn(protocol: Protocol) -> &'static [&'static [u8]] {
    match protocol {
        Protocol::Auto => &[H2, H1],
        Protocol::H1 => &[H1],
        // In clear nothing is offered; a TLS endpoint beside it has been refused.
        Protocol::H2 | Protocol::H2c => &[H2],
    }
}

/// A text for everything that trust depends on. The content of the file takes part: after a change of it, pooled
/// connections that were verified by the old one are not used again.
fn roots(ca: Option<&PathBuf>, insecure: bool) -> String {
    let roots = match ca {
        None => "system".to_owned(),
        Some(path) => {
            let mut hasher = DefaultHasher::new();
            hasher.write(&std::fs::read(path).unwrap_or_default());
            format!("{}#{:016x}", path.display(), hasher.finish())
        }
    };
    format!("{roots} {}", if insecure { "insecure" } else { "verify" })
}
