//! Limits: whether the request keeps within rates and numbers at once.
//!
//! Where one limit refuses, none is charged. A request that may wait for its time waits here, and is given up when its
//! client leaves; what it takes of the numbers in flight it holds until its exchange ends.

use std::net::IpAddr;

use super::AtOnceVerdict;
use crate::base::clock;
use crate::net::{ReadError, Until, Wait};
use crate::policy::limit::{Applied, Asker, Cause, Outcome, Receipt, Refused, Verdict, charge, write_lines};
use crate::proxy::core::Core;
use crate::proxy::exchange::{Client, Exchange, Refusal};
use crate::proxy::failure::Failure;
use crate::proxy::headers;
use crate::proxy::route::Route;
use crate::stats::Reason;

/// Charges the request to all limits of its route and of its caller's key; waits where a limit lets it wait.
///
/// # Errors
/// Which kind of limit refused it, or that the client left while it waited.
pub async fn admit<'s>(
    core: &Core,
    route: &'s Route,
    client: &mut Client<'_>,
    exchange: &mut Exchange<'s>,
) -> Result<(), Failure> {
    let limits = applied(route, exchange);
    if limits.is_empty() {
        return Ok(());
    }
    let receipt = {
        let asker = asker(route, client, exchange.address, exchange.caller);
        match charge(core.desk(exchange.started_us), limits, &asker, &mut exchange.seats) {
            Verdict::Passed(receipt) => receipt,
            Verdict::Refused(refused) => return Err(refuse(core, exchange, refused)),
        }
    };
    if receipt.wait_ns > 0 {
        // Boxed: rare, and it would make every exchange larger.
        Box::pin(wait(core, route, client, exchange, &receipt)).await?;
    }
    receipt.count(core.index, limits);
    Ok(())
}

/// The same without waiting: what is refused, or is to wait, takes the usual way and is charged there.
pub fn admit_at_once<'s>(
    core: &Core,
    route: &'s Route,
    client: &Client<'_>,
    exchange: &mut Exchange<'s>,
) -> AtOnceVerdict {
    let limits = applied(route, exchange);
    if limits.is_empty() {
        return AtOnceVerdict::Passed;
    }
    let desk = core.desk(exchange.started_us);
    let asker = asker(route, client, exchange.address, exchange.caller);
    match charge(desk, limits, &asker, &mut exchange.seats) {
        Verdict::Passed(receipt) if receipt.wait_ns == 0 => {
            exchange.receipt = receipt;
            AtOnceVerdict::Passed
        }
        Verdict::Passed(receipt) => {
            receipt.give_back(desk, limits, &asker, &mut exchange.seats);
            AtOnceVerdict::NotNow
        }
        Verdict::Refused(_) => AtOnceVerdict::NotNow,
    }
}

/// Counts what [`admit_at_once`] has charged, now that the answer is on its way.
pub fn settle(core: &Core, route: &Route, exchange: &Exchange<'_>) {
    exchange.receipt.count(core.index, applied(route, exchange));
}

/// Takes back what [`admit_at_once`] has charged.
pub fn take_back<'s>(core: &Core, route: &'s Route, client: &Client<'_>, exchange: &mut Exchange<'s>) {
    let receipt = std::mem::take(&mut exchange.receipt);
    let asker = asker(route, client, exchange.address, exchange.caller);
    receipt.give_back(core.desk(exchange.started_us), applied(route, exchange), &asker, &mut exchange.seats);
}

/// Adds to a response's head what is left, of the limits that say it.
pub fn tell(core: &Core, route: &Route, client: &Client<'_>, exchange: &Exchange<'_>, out: &mut Vec<u8>) {
    let limits = applied(route, exchange);
    if !limits.iter().any(|limit| limit.headers) {
        return;
    }
    let now_ns = core.desk(exchange.started_us).now_ns;
    let asker = asker(route, client, exchange.address, exchange.caller);
    headers::append_lines(out, |out| write_lines(out, limits, now_ns, &asker));
}

fn applied<'s>(route: &'s Route, exchange: &Exchange<'s>) -> Applied<'s> {
    match route.screen.callers && exchange.caller.is_none() {
        true => Applied::strangers(&route.screen.limits),
        false => Applied { of_caller: exchange.caller_limits, ..Applied::route(&route.screen.limits) },
    }
}

/// Addresses are those of clients, behind proxies that are trusted.
fn asker<'a>(route: &'a Route, client: &'a Client<'_>, address: IpAddr, caller: Option<&'a str>) -> Asker<'a> {
    Asker { address, caller, route: &route.name, head: Some(client.head) }
}

/// Waits until the request's time has come, in a line that has an end.
async fn wait<'s>(
    core: &Core,
    route: &'s Route,
    client: &Client<'_>,
    exchange: &mut Exchange<'s>,
    receipt: &Receipt,
) -> Result<(), Failure> {
    let limits = applied(route, exchange);
    let Some(slowest) = receipt.slowest(limits) else { return Ok(()) };
    let failure = match slowest.waiting.enter() {
        None => {
            let cause = Cause::Rate { ready_in_ns: receipt.wait_ns };
            refuse(core, exchange, Refused { limit: slowest, cause })
        }
        Some(_waits) => {
            let deadline_ms = clock::now_ms() + receipt.wait_ns.div_ceil(1_000_000);
            let until = Until::Gone(client.stream);
            let wait = Wait { timer: client.timer, deadline_ms, until };
            match wait.bound(std::future::pending::<()>()).await {
                // The drain is over, and its end is not the request's time.
                Err(ReadError::Expired) if client.timer.is_over() => Reason::Draining.into(),
                Ok(()) | Err(ReadError::Expired) => return Ok(()),
                Err(_) => Reason::ClientGone.into(),
            }
        }
    };
    let asker = asker(route, client, exchange.address, exchange.caller);
    receipt.give_back_late(core.desk(exchange.started_us), limits, &asker, &mut exchange.seats);
    Err(failure)
}

/// What the client is told, and what is counted.
fn refuse(core: &Core, exchange: &mut Exchange<'_>, refused: Refused<'_>) -> Failure {
    let limit = refused.limit;
    limit.state.counters.count(core.index, Outcome::Refused);
    let (reason, what) = match refused.cause {
        Cause::Rate { .. } => (Reason::RateLimited, "too many requests"),
        Cause::InFlight => (Reason::InFlightLimited, "too many requests at once"),
    };
    exchange.refusal = Some(Box::new(Refusal {
        status: Some(limit.status),
        message: Some(format!("{what}: limit {}", limit.name).into()),
        retry_after_s: Some(refused.retry_after_s()),
        fields: refused.fields(),
    }));
    reason.into()
}
