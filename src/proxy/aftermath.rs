//! Aftermath: what an answer that went past the cache means for what is stored (RFC 9111 §4.3.5, §4.4).

use super::core::{Core, CoreService};
use super::exchange::{Client, Exchange};
use super::fetch::Answered;
use super::lookup::{Looking, Seen};
use super::route::Route;
use crate::base::clock;
use crate::cache::directives::RequestControl;
use crate::cache::key::{self};
use crate::cache::object::Content;
use crate::cache::store::Purge;
use crate::cache::{freshen, invalidation, storable};
use crate::h1;
use crate::http::Method;
use crate::stats::Pass;

/// Draws the conclusions from an answer that was fetched past the cache.
pub fn conclude(
    core: &Core,
    service: &CoreService,
    route: &Route,
    client: &Client<'_>,
    exchange: &Exchange<'_>,
    answered: &Answered<'_>,
) {
    let policies = service.shared.router.key_policies();
    if policies.is_empty() {
        return;
    }
    let passed = exchange.cache.and_then(|note| note.detail);
    let cached_here = passed.is_some_and(|reason| reason != Pass::MethodUnsafe.name());
    if !is_safe(client.head.method) && !cached_here {
        invalidate(core, service, client, answered);
    }
    if passed == Some(Pass::HeadMiss.name()) {
        compare_head(core, route, client, answered);
    }
    if passed == Some(Pass::HitForMiss.name()) {
        unmark(core, route, client, answered);
    }
}

/// Whether a method changes nothing (RFC 9110 §9.2.1). What is not known may change anything.
fn is_safe(method: Method) -> bool {
    matches!(method, Method::Get | Method::Head | Method::Options | Method::Trace)
}

/// A method that may have changed something did so to its target, and to what it names on the same origin.
fn invalidate(core: &Core, service: &CoreService, client: &Client<'_>, answered: &Answered<'_>) {
    let authority = h1::authority(client.head);
    let target = h1::target_parts(client.head);
    let mut identity = core.take_key();
    for (path, query) in invalidation::targets(authority, target.path, target.query, &answered.head) {
        for policy in service.shared.router.key_policies() {
            identity.clear();
            key::write_identity(&mut identity, policy, authority, client.peer.tls, &path, query.as_deref());
            core.cache.purge(&Purge::Url(&identity), false);
        }
    }
    core.give_key(identity);
}

/// HEAD tells whether the stored answer to GET still is what GET would bring.
fn compare_head(core: &Core, route: &Route, client: &Client<'_>, answered: &Answered<'_>) {
    let Some(policy) = &route.cache else { return };
    if answered.head.status != 200 {
        return;
    }
    let mut looking = Looking::begin(core, client, policy, RequestControl::default(), clock::unix_ms(), &[]);
    if let Seen::Answer(kept) = looking.look(core, client.head)
        && let Content::Answer(stored) = &*kept.content
        && !freshen::head_agrees(&stored.head, stored.body.length(), &answered.head)
    {
        kept.object.life.soften();
    }
    looking.end(core);
}

/// An answer that could be stored ends the time in which requests go side by side.
fn unmark(core: &Core, route: &Route, client: &Client<'_>, answered: &Answered<'_>) {
    let Some(policy) = &route.cache else { return };
    let now_ms = clock::unix_ms();
    let exchange = storable::Exchange {
        request: client.head,
        response: &answered.head,
        request_ms: now_ms,
        response_ms: now_ms,
        random: 0,
    };
    let too_large = matches!(answered.framing.body, h1::BodyLength::Length(length) if length > policy.object_bytes_max);
    let unbounded_by_length = answered.framing.body == h1::BodyLength::UntilClose;
    if too_large || unbounded_by_length || storable::terms(&exchange, policy).is_err() {
        return;
    }
    let body = client.body.as_ref().map(|b| &*b.read).unwrap_or_default();
    let mut looking = Looking::begin(core, client, policy, RequestControl::default(), now_ms, body);
    if matches!(looking.look(core, client.head), Seen::HitForMiss) {
        looking.forget(core);
    }
    looking.end(core);
}
