//! The service: everything an exchange needs to know that does not change while it runs. A part of the plan.

use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

use super::route::Router;
use crate::h1::HeadLimits;
use crate::http::RequestHead;
use crate::policy::auth::{Callers, ClientAddress, address};
use crate::upstream::UpstreamOptions;

/// Compiled routes, upstreams and the rules that hold for all of them.
#[derive(Clone, Debug, Default)]
pub struct Service {
    pub router: Router,
    pub upstreams: Vec<UpstreamOptions>,
    pub limits: HeadLimits,
    /// Peers whose forwarding fields and request ids are believed.
    pub trusted_peers: Vec<IpNet>,
    pub forwarded: ForwardedPolicy,
    pub expect: ExpectPolicy,
    /// How late a core's turn may come before it refuses work, milliseconds; `None` = it never does.
    pub overload_target_ms: Option<u64>,
    /// Pseudonym in Via (RFC 9110 §7.6.3).
    pub via: Box<str>,
    /// Whose address counts where the peer is trusted.
    pub client_address: ClientAddress,
    /// Who has a key of the house.
    pub callers: Arc<Callers>,
}

/// Which fields tell the upstream about the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedPolicy {
    /// X-Forwarded-For, -Proto, -Host.
    #[default]
    XForwarded,
    /// Forwarded (RFC 7239).
    Forwarded,
    Both,
    /// None is sent; those of the client are removed unless it is trusted.
    Off,
}

/// Who answers `Expect: 100-continue` (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpectPolicy {
    /// The gateway, as soon as it wants the body.
    #[default]
    Answer,
    /// The upstream: the expectation is forwarded and the body waits for its 100.
    Forward,
}

impl Service {
    /// Whether this peer's word about the client is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_peers.iter().any(|net| net.contains(&peer))
    }

    /// The client's address, behind a trusted peer.
    pub fn client_address(&self, head: &RequestHead, peer: IpAddr) -> IpAddr {
        address::behind_proxies(head, self.client_address, peer, |address| self.trusts(address))
    }
}
