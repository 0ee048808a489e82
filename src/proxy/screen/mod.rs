//! Screen: what a request must pass between its route and the cache. Each step is a file beside this one; the verdicts are
//! those of `policy`.
//!
//! The order is that of cost and of who must not learn what: address, caller, limits, firewall.

mod access;
mod caller;
mod inspect;
mod limits;
pub mod overload;

use super::core::{Core, CoreService};
use super::exchange::{Client, Exchange};
use super::failure::Failure;
use super::route::Route;

/// What the requests of a route must pass. Empty = everything passes.
#[derive(Clone, Debug, Default)]
pub struct Screen {}

impl Screen {
    /// Whether everything passes.
    pub fn is_open(&self) -> bool {
        true
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
    access::may_come(route, client)?;
    caller::identify(core, service, route, client, exchange).await?;
    limits::admit(core, service, route, client, exchange).await?;
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
    _service: &'s CoreService,
    route: &'s Route,
    _client: &mut Client<'_>,
    _exchange: &mut Exchange<'s>,
) -> AtOnceVerdict {
    if core.overload.lateness() == overload::Lateness::Drowned {
        return AtOnceVerdict::NotNow;
    }
    if route.screen.is_open() { AtOnceVerdict::Passed } else { AtOnceVerdict::NotNow }
}
