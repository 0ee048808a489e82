//! Upstreams: endpoints, trust and time-outs. Names are left without addresses; `names.rs` fills them in.

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::defaults;
use super::endpoint::Endpoint;
use super::listeners::opens;
use super::problems::{At, Problems};
use super::raw::RawUpstream;
use super::resolve::{Context, items, or, refuse_twice};
use crate::bounds;
use crate::tls::{ClientTlsOptions, client_config};
use crate::upstream::{EndpointOptions, EndpointTls, UpstreamOptions};

/// What is offered to upstreams by ALPN.
const ALPN: &str = "http/1.1";

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
            connect_ms: or(&upstream.connect_timeout, defaults::UPSTREAM_CONNECT_MS),
            read_ms: or(&upstream.read_timeout, defaults::UPSTREAM_READ_MS),
            send_ms: or(&upstream.send_timeout, defaults::UPSTREAM_SEND_MS),
            idle_ms: or(&upstream.idle_timeout, defaults::UPSTREAM_IDLE_MS),
            pool_idle_max: upstream
                .pool
                .as_ref()
                .and_then(|pool| usize::try_from(pool.value).ok())
                .unwrap_or(bounds::POOL_IDLE_DEFAULT),
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
    Some(EndpointTls { server_name, config: trust.config.clone(), identity: trust.identity.clone() })
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
    known: RefCell<BTreeMap<Arc<str>, Arc<ClientConfig>>>,
}

#[derive(Clone)]
struct Trust {
    identity: Arc<str>,
    config: Arc<ClientConfig>,
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
        let identity: Arc<str> = identity(ca.as_ref(), insecure).into();
        if let Some(config) = self.known.borrow().get(&identity) {
            return Some(Trust { identity, config: config.clone() });
        }
        let options = ClientTlsOptions { ca, insecure, alpn: vec![ALPN.as_bytes().to_vec()] };
        let place = raw.ca.as_ref().map(|ca| &ca.place).or(raw.endpoints.as_ref().map(|list| &list.place))?;
        let config = client_config(&options).map_err(|e| context.problems.error(place, e.to_string(), "")).ok()?;
        self.known.borrow_mut().insert(identity.clone(), config.clone());
        Some(Trust { identity, config })
    }
}

/// A text for everything that trust depends on. The content of the file takes part: after a change of it, pooled
/// connections that were verified by the old one are not used again.
fn identity(ca: Option<&PathBuf>, insecure: bool) -> String {
    let roots = match ca {
        None => "system".to_owned(),
        Some(path) => {
            let mut hasher = DefaultHasher::new();
            hasher.write(&std::fs::read(path).unwrap_or_default());
            format!("{}#{:016x}", path.display(), hasher.finish())
        }
    };
    let verify = if insecure { "insecure" } else { "verify" };
    format!("{roots} {verify} {ALPN}")
}
