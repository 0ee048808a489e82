//! The life of one exchange, top to bottom. Each line is a step; the steps are in the files beside this one.

use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;

use super::aftermath::conclude;
use super::core::{Core, CoreService};
pub use super::deliver::Next;
use super::deliver::{Reply, deliver, sink_failure};
use super::exchange::{Client, Exchange};
use super::failure::Failure;
use super::fetch::fetch;
use super::hit::{self, AtOnce, Case, Rest};
use super::lookup::{Looking, Seen, refusal};
use super::obtain::{Obtained, obtain, serve_now};
use super::route::{Route, has_dot_segment};
use super::screen::{AtOnceVerdict, screen, screen_at_once, settle, take_back};
use crate::base::clock;
use crate::cache::directives::RequestControl;
use crate::cache::front::Kept;
use crate::h1::{self, BodyLength};
use crate::http::{FieldId, Method};
use crate::log::AccessRecord;
use crate::net::{Stream, Timer};
use crate::stats::{Counter, Gauge, Histogram, Reason};

/// Serves one request: the head is read, the body may still be on its way.
pub async fn serve(core: &Rc<Core>, client: Client<'_>) -> Next {
    let service = core.service();
    // Bound behind the service, so that its body may be lent to an upload that knows the service.
    let mut client = client;
    let client = &mut client;
    let mut exchange = Exchange::begin(core, &service.shared, client);
    core.stats.inc(Counter::Requests);
    let _active = core.stats.hold(Gauge::ExchangesActive);
    let reply = match route(&service, client, &mut exchange) {
        Err(failure) => Reply::Failed(failure),
        Ok(route) => match screen(core, &service, route, client, &mut exchange).await {
            Err(failure) => Reply::Failed(failure),
            Ok(()) => match look_up(core, &service, route, client, &mut exchange).await {
                Obtained::Pass => go_past(core, &service, route, client, &mut exchange).await,
                Obtained::Hit(kept) => Reply::Stored(route, kept),
                Obtained::Follow(followed) => Reply::Followed(route, followed),
                Obtained::Alone(answered) => Reply::of(answered),
                Obtained::Failed(failure) => Reply::Failed(failure),
            },
        },
    };
    let next = deliver(core, &service, client, &mut exchange, reply).await;
    finish(core, client, &mut exchange);
    next
}

/// What became of a request that could be served without waiting for anything.
pub enum Served {
    /// It is answered.
    Done(Next),
    /// It is answered, but for bytes that the socket had no room for.
    Part(Box<Rest>),
    /// It takes the usual way; nothing was done for it yet.
    NotNow,
}

/// Serves a request that a stored answer answers: the same steps as [`serve`], none of which waits,
/// so that a hit needs no memory of its own.
pub fn serve_at_once(core: &Rc<Core>, client: &mut Client<'_>) -> Served {
    let service = core.service();
    if service.shared.router.key_policies().is_empty() || !client.framing.body.is_empty() {
        return Served::NotNow;
    }
    let mut exchange = Exchange::begin(core, &service.shared, client);
    let Ok(route) = route(&service, client, &mut exchange) else { return Served::NotNow };
    let Some(kept) = look_up_at_once(core, route, client, &mut exchange) else { return Served::NotNow };
    if screen_at_once(core, &service, route, client, &mut exchange) != AtOnceVerdict::Passed {
        return Served::NotNow;
    }
    let _active = core.stats.hold(Gauge::ExchangesActive);
    let sent = hit::send_at_once(Case { core, service: &service, route, client }, &mut exchange, kept);
    if matches!(sent, AtOnce::NotNow) {
        take_back(core, route, client, &mut exchange);
        return Served::NotNow;
    }
    settle(core, route, &exchange);
    core.stats.inc(Counter::Requests);
    client.progress.body_read.set(true);
    finish(core, client, &mut exchange);
    match sent {
        AtOnce::Done(next) => Served::Done(next),
        AtOnce::Part(rest) => Served::Part(Box::new(rest)),
        AtOnce::NotNow => Served::NotNow,
    }
}

/// Sends what [`serve_at_once`] could not.
pub async fn serve_rest(core: &Core, stream: &Stream, timer: &Timer, send_ms: u64, rest: Rest) -> Next {
    hit::send_rest(core, stream, timer, send_ms, rest).await.unwrap_or_else(|error| {
        core.stats.reason(sink_failure(&error).reason);
        Next::Close { linger: false }
    })
}

/// Answers a request that was refused before it was understood. `client.head` holds what could be read of it.
pub async fn refuse(core: &Rc<Core>, client: Client<'_>, failure: Failure) -> Next {
    let service = core.service();
    let mut client = client;
    let mut exchange = Exchange::begin(core, &service.shared, &client);
    core.stats.inc(Counter::Requests);
    let next = deliver(core, &service, &mut client, &mut exchange, Reply::Failed(failure)).await;
    finish(core, &client, &mut exchange);
    next
}

/// Route: which upstream, and whether the body may be as large as it says.
fn route<'s>(
    service: &'s CoreService,
    client: &Client<'_>,
    exchange: &mut Exchange<'s>,
) -> Result<&'s Arc<Route>, Failure> {
    let path = match h1::target_parts(client.head).path {
        b"*" => b"/",
        path => path,
    };
    if has_dot_segment(path) {
        return Err(Failure { reason: Reason::BadRequest, detail: Some("dot_segment_in_path") });
    }
    // A TRACE comes back with what the route has added to it, secrets too (RFC 9110 §9.3.8 lets a recipient refuse).
    if client.head.method == Method::Trace {
        return Err(Reason::MethodNotAllowed.into());
    }
    let authority = h1::authority(client.head);
    let route = service.shared.router.find(authority, path, client.head).ok_or(Failure::from(Reason::NoRoute))?;
    exchange.route = Some(route);
    match client.framing.body {
        BodyLength::Length(length) if length > route.body_bytes_max => Err(Reason::BodyTooLarge.into()),
        _ => Ok(route),
    }
}

/// Look up: what the cache has for the request, where its route has one.
async fn look_up<'a>(
    core: &'a Rc<Core>,
    service: &'a Rc<CoreService>,
    route: &'a Arc<Route>,
    client: &mut Client<'a>,
    exchange: &mut Exchange<'a>,
) -> Obtained<'a> {
    match &route.cache {
        None => Obtained::Pass,
        Some(policy) => obtain(core, service, route, policy, client, exchange).await,
    }
}

/// Look up, for an answer that is stored and may be used as it is.
fn look_up_at_once(core: &Core, route: &Route, client: &Client<'_>, exchange: &mut Exchange<'_>) -> Option<Rc<Kept>> {
    let policy = route.cache.as_ref()?;
    let control = RequestControl::of(client.head, policy.ignore_client_no_cache.is_some());
    if refusal(client, policy, &control).is_some() {
        return None;
    }
    let mut looking = Looking::begin(core, client, exchange.trusted, policy, control, &[]);
    let kept = match looking.look(core, client.head) {
        Seen::Answer(kept) => Some(kept),
        Seen::Filling(_) | Seen::HitForMiss | Seen::Nothing => None,
    };
    let note = kept.as_deref().and_then(|kept| serve_now(policy, &looking.control, kept, looking.now_ms));
    looking.end(core);
    match note {
        // What is to be refreshed beside takes the usual way, unless it has just been tried.
        Some((note, refresh)) if !refresh || kept.as_deref().is_some_and(is_resting) => {
            exchange.cache = Some(note);
            kept
        }
        _ => None,
    }
}

fn is_resting(kept: &Kept) -> bool {
    clock::now_ms() < kept.object.rests_until_ms()
}

/// Past the cache: fetch, then conclude what the answer means for what is stored.
async fn go_past<'a>(
    core: &'a Rc<Core>,
    service: &'a Rc<CoreService>,
    route: &'a Arc<Route>,
    client: &mut Client<'a>,
    exchange: &mut Exchange<'a>,
) -> Reply<'a> {
    match fetch(core, service, route, client, exchange).await {
        Err(failure) => Reply::Failed(failure),
        Ok(answered) => {
            conclude(core, service, route, client, exchange, &answered);
            Reply::of(Box::new(answered))
        }
    }
}

/// Finish: the exchange becomes counters and one line of the log.
fn finish(core: &Core, client: &Client<'_>, exchange: &mut Exchange<'_>) {
    if exchange.failure.is_some() && client.timer.is_over() {
        // Whatever wait it was that ended: it ended because the drain did.
        exchange.failure = Some(Reason::Draining.into());
    }
    let now_us = clock::now_us();
    if client.progress.response_begun.get() {
        // What was sent at once began and ended in one moment.
        exchange.first_byte_us.get_or_insert(now_us);
    }
    let exchange = &*exchange;
    let since_start = |at: u64| at.saturating_sub(exchange.started_us);
    let stats = &core.stats;
    stats.status(exchange.status);
    stats.observe(Histogram::ExchangeTotal, since_start(now_us));
    upstream_us(exchange, now_us).into_iter().for_each(|us| stats.observe(Histogram::UpstreamTime, us));
    exchange.first_byte_us.map(since_start).into_iter().for_each(|us| stats.observe(Histogram::TimeToFirstByte, us));
    stats.add(Counter::BytesSent, exchange.bytes_sent);
    stats.add(Counter::BytesReceived, client.progress.body_bytes.get());
    if let Some(failure) = exchange.failure {
        stats.reason(failure.reason);
    }
    if let (Some(note), Some(policy)) = (&exchange.cache, exchange.route.and_then(|route| route.cache.as_deref())) {
        policy.counters.outcome(core.index, note.outcome);
    }
    let failed = exchange.failure.is_some() || exchange.rule.is_some();
    if !core.log.takes(exchange.status, failed, since_start(now_us)) {
        return;
    }
    log_line(core, client, exchange, now_us);
}

/// The line of an exchange that has one.
fn log_line(core: &Core, client: &Client<'_>, exchange: &Exchange<'_>, now_us: u64) {
    let since_start = |at: u64| at.saturating_sub(exchange.started_us);
    let head = client.head;
    // Where keys are asked for, what stands there may be one.
    let names_user = !exchange.route.is_some_and(|route| route.screen.callers);
    let user = if names_user { head.find(FieldId::Authorization).and_then(basic_user) } else { None };
    let record = AccessRecord {
        unix_ms: clock::unix_ms(),
        client: exchange.address,
        user: user.as_deref(),
        method: head.method_text(),
        target: head.target(),
        version: head.version.name(),
        status: exchange.status,
        bytes_sent: exchange.bytes_sent,
        bytes_received: client.progress.body_bytes.get(),
        referer: head.find(FieldId::Referer),
        user_agent: head.find(FieldId::UserAgent),
        host: h1::authority(head),
        request_id: exchange.request_id.as_bytes(),
        route: exchange.route.map_or("", |route| &*route.name),
        upstream: exchange.upstream.unwrap_or_default(),
        endpoint: exchange.endpoint,
        reason: exchange.failure.map(|f| f.reason.name()),
        caller: exchange.caller,
        rule: exchange.rule.as_deref().map(|rule| (rule.id, &*rule.message, &*rule.variable)),
        cache: exchange.cache.map(|note| note.outcome.name()),
        cache_detail: exchange.cache.and_then(|note| note.detail),
        total_us: since_start(now_us),
        upstream_us: upstream_us(exchange, now_us),
        first_byte_us: exchange.first_byte_us.map(since_start),
        core: core.number,
        response_head: exchange.response_head.as_deref().unwrap_or_default(),
    };
    let header = |name: &str| head.fields().find(|f| f.name.eq_ignore_ascii_case(name.as_bytes())).map(|f| f.value);
    core.log.access(&record, &header);
}

/// From the choice of the upstream to the end of its response, as far as it came to that.
fn upstream_us(exchange: &Exchange<'_>, now_us: u64) -> Option<u64> {
    exchange.upstream_started_us.map(|from| exchange.upstream_ended_us.unwrap_or(now_us).saturating_sub(from))
}

/// The user of Basic credentials (RFC 7617 §2); never the password, nor a user without one: that is how API keys are
/// sent.
fn basic_user(authorization: &[u8]) -> Option<Vec<u8>> {
    let (scheme, credentials) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut user = base64::engine::general_purpose::STANDARD.decode(credentials.trim_ascii()).ok()?;
    let colon = memchr::memchr(b':', &user)?;
    let is_alone = colon + 1 == user.len();
    user.truncate(colon);
    (!user.is_empty() && !is_alone).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_basic_credentials_is_known_and_nothing_else() {
        assert_eq!(basic_user(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").as_deref(), Some(&b"Aladdin"[..]));
        assert_eq!(basic_user(b"basic   QWxhZGRpbjpvcGVuIHNlc2FtZQ==").as_deref(), Some(&b"Aladdin"[..]));
        for other in [
            "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Basic",
            "Basic !",
            "Basic QWxhZGRpbg==",
            "Basic OnB3",
            "Basic c2stMTo=",
        ] {
            assert_eq!(basic_user(other.as_bytes()), None, "{other}");
        }
    }
}
