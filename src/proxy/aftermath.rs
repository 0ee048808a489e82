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
use crate::h1::{self, BodyLength};
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
        compare_head(core, route, client, exchange, answered);
    }
    if let Some(key) = &exchange.marked {
        unmark(core, route, client, key, answered);
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
fn compare_head(core: &Core, route: &Route, client: &Client<'_>, exchange: &Exchange<'_>, answered: &Answered<'_>) {
    let Some(policy) = &route.cache else { return };
    if answered.head.status != 200 {
        return;
    }
    let mut looking = Looking::begin(core, client, exchange.trusted, policy, RequestControl::default(), &[]);
    if let Seen::Answer(kept) = looking.look(core, client.head)
        && let Content::Answer(stored) = &*kept.content
        && !freshen::head_agrees(&stored.head, stored.body.length(), &answered.head)
    {
        kept.object.life.soften();
    }
    looking.end(core);
}

/// An answer that could be stored ends the time in which requests go side by side.
fn unmark(core: &Core, route: &Route, client: &Client<'_>, key: &[u8], answered: &Answered<'_>) {
    let Some(policy) = &route.cache else { return };
    let (request, response, now_ms) = (client.head, &answered.head, clock::unix_ms());
    let exchange = storable::Exchange { request, response, request_ms: now_ms, response_ms: now_ms, random: 0 };
    let fits = match answered.framing.body {
        BodyLength::Length(length) => length <= policy.object_bytes_max,
        BodyLength::None | BodyLength::Chunked => true,
        BodyLength::UntilClose => false,
    };
    if !fits || storable::terms(&exchange, policy).is_err() {
        return;
    }
    let hash = key::hash(core.cache.salt(), key, &[]);
    if let Some(mark) = core.cache.find(hash, key)
        && matches!(mark.content().as_deref(), Some(Content::HitForMiss { .. }))
    {
        core.front.forget(key);
        core.cache.remove(hash, &mark);
    }
}
