//! Screen: what a request must pass between its route and the cache. Each step is a file beside this one; the verdicts are
//! those of `policy`.
//!
//! The order is that of cost and of who must not learn what: address, caller, limits, the model that a body names,
//! firewall. A request whose key does not count is charged to limits by address, then refused; its body is not read.

mod access;
mod caller;
mod inspect;
mod limits;
pub mod overload;

use std::sync::Arc;

use caller::Asked;

use super::core::{Core, CoreService};
use super::exchange::{Client, Exchange};
use super::failure::Failure;
use super::route::Route;
use crate::policy::auth::AccessRule;
use crate::policy::limit::Limit;
use crate::policy::waf::guard::Guard;

/// What the requests of a route must pass. Empty = everything passes.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// The rules of a firewall.
    pub waf: Option<Arc<Guard>>,
    /// From which addresses; all must admit the client.
    pub access: Box<[Arc<AccessRule>]>,
    /// A key of the house is needed.
    pub callers: bool,
    /// All must let the request pass.
    pub limits: Box<[Arc<Limit>]>,
}

impl Screen {
    /// Whether everything passes.
    pub fn is_open(&self) -> bool {
        self.access.is_empty() && !self.callers && self.limits.is_empty() && self.waf.is_none()
    }
}

/// Screen: whether the request may go on.
///
/// # Errors
/// Which step refused it; `exchange.refusal` holds what the client is told beyond that.
pub async fn screen<'s>(
    core: &Core,
    service: &'s CoreService,
    route: &'s Route,
    client: &mut Client<'_>,
    exchange: &mut Exchange<'s>,
) -> Result<(), Failure> {
    overload::may_begin(core, route, exchange)?;
    if route.screen.is_open() {
        return Ok(());
    }
    access::may_come(route, exchange.address)?;
    let known = caller::identify(service, route, client, exchange);
    limits::admit(core, route, client, exchange).await?;
    match known? {
        Asked::Allowed => {}
        Asked::SeeBody { caller, named } => {
            Box::pin(caller::judge_body(core, caller, route, client, named)).await?;
        }
    }
    inspect::inspect(core, route, client, exchange).await
}

/// What the screen says without waiting for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtOnceVerdict {
    Passed,
    /// It takes the usual way, where it is screened from the beginning: nothing was charged.
    NotNow,
}

/// Screen, for a request without a body that a stored answer answers.
pub fn screen_at_once<'s>(
    core: &Core,
    service: &'s CoreService,
    route: &'s Route,
    client: &mut Client<'_>,
    exchange: &mut Exchange<'s>,
) -> AtOnceVerdict {
    if core.overload.lateness() == overload::Lateness::Drowned {
        return AtOnceVerdict::NotNow;
    }
    if route.screen.is_open() {
        return AtOnceVerdict::Passed;
    }
    let passes = access::may_come(route, exchange.address).is_ok()
        && caller::identify_at_once(service, route, client, exchange)
        && inspect::passes_at_once(core, route, client, exchange);
    // Last: it is the only step that takes something.
    if passes { limits::admit_at_once(core, route, client, exchange) } else { AtOnceVerdict::NotNow }
}

/// The request that [`screen_at_once`] has let pass is answered.
pub fn settle(core: &Core, route: &Route, exchange: &Exchange<'_>) {
    limits::settle(core, route, exchange);
}

/// Adds to a response's head what is left of the limits that say it.
pub fn tell_limits(core: &Core, client: &Client<'_>, exchange: &Exchange<'_>, out: &mut Vec<u8>) {
    if let Some(route) = exchange.route {
        limits::tell(core, route, client, exchange, out);
    }
}

/// Takes back what [`screen_at_once`] has charged for a request that takes the usual way after all.
pub fn take_back<'s>(core: &Core, route: &'s Route, client: &Client<'_>, exchange: &mut Exchange<'s>) {
    limits::take_back(core, route, client, exchange);
}
