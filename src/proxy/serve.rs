//! The life of one exchange, top to bottom. Each line is a step; the steps are in the files beside this one.

use super::core::{Core, CoreService};
pub use super::deliver::Next;
use super::deliver::deliver;
use super::exchange::{Client, Exchange};
use super::failure::Failure;
use super::fetch::{Reply, fetch};
use super::route::{Route, has_dot_segment};
use base64::Engine as _;

use crate::base::clock;
use crate::h1::{self, BodyLength};
use crate::http::{FieldId, Method, Version};
use crate::log::AccessRecord;
use crate::stats::{Counter, Gauge, Histogram, Reason};

/// Serves one request: the head is read, the body may still be on its way.
pub async fn serve(core: &Core, client: Client<'_>) -> Next {
    let service = core.service();
    // Bound behind the service, so that its body may be lent to an upload that knows the service.
    let mut client = client;
    let client = &mut client;
    let mut exchange = Exchange::begin(core, &service.shared, client);
    core.stats.inc(Counter::Requests);
    let _active = core.stats.hold(Gauge::ExchangesActive);
    let reply = match route(&service, client, &mut exchange) {
        Ok(route) => fetch(core, &service, route, client, &mut exchange).await,
        Err(failure) => Reply::Failed(failure),
    };
    let next = deliver(core, &service, client, &mut exchange, reply).await;
    finish(core, client, &mut exchange);
    next
}

/// Answers a request that was refused before it was understood. `client.head` holds what could be read of it.
pub async fn refuse(core: &Core, client: Client<'_>, failure: Failure) -> Next {
    let service = core.service();
    let mut client = client;
    let mut exchange = Exchange::begin(core, &service.shared, &client);
    core.stats.inc(Counter::Requests);
    let next = deliver(core, &service, &mut client, &mut exchange, Reply::Failed(failure)).await;
    finish(core, &client, &mut exchange);
    next
}

/// Route: which upstream, and whether the body may be as large as it says.
fn route<'s>(service: &'s CoreService, client: &Client<'_>, exchange: &mut Exchange) -> Result<&'s Route, Failure> {
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
    exchange.route = Some(route.name.clone());
    match client.framing.body {
        BodyLength::Length(length) if length > route.body_bytes_max => Err(Reason::BodyTooLarge.into()),
        _ => Ok(route),
    }
}

/// Finish: the exchange becomes counters and one line of the log.
fn finish(core: &Core, client: &Client<'_>, exchange: &mut Exchange) {
    if exchange.failure.is_some() && client.timer.is_over() {
        // Whatever wait it was that ended: it ended because the drain did.
        exchange.failure = Some(Reason::Draining.into());
    }
    let exchange = &*exchange;
    let now_us = clock::now_us();
    let since_start = |at: u64| at.saturating_sub(exchange.started_us);
    let upstream_us =
        exchange.upstream_started_us.map(|from| exchange.upstream_ended_us.unwrap_or(now_us).saturating_sub(from));
    let first_byte_us = exchange.first_byte_us.map(since_start);
    let stats = &core.stats;
    stats.status(exchange.status);
    stats.observe(Histogram::ExchangeTotal, since_start(now_us));
    upstream_us.into_iter().for_each(|us| stats.observe(Histogram::UpstreamTime, us));
    first_byte_us.into_iter().for_each(|us| stats.observe(Histogram::TimeToFirstByte, us));
    stats.add(Counter::BytesSent, exchange.bytes_sent);
    stats.add(Counter::BytesReceived, client.progress.body_bytes.get());
    if let Some(failure) = exchange.failure {
        stats.reason(failure.reason);
    }
    let head = client.head;
    let user = if core.log.is_on() { head.find(FieldId::Authorization).and_then(basic_user) } else { None };
    core.log.access(&AccessRecord {
        unix_ms: clock::unix_ms(),
        client: client.peer.ip(),
        user: user.as_deref(),
        method: head.method_text(),
        target: head.target(),
        version: if head.version == Version::Http11 { "HTTP/1.1" } else { "HTTP/1.0" },
        status: exchange.status,
        bytes_sent: exchange.bytes_sent,
        bytes_received: client.progress.body_bytes.get(),
        referer: head.find(FieldId::Referer),
        user_agent: head.find(FieldId::UserAgent),
        host: h1::authority(head),
        request_id: exchange.request_id.as_bytes(),
        route: exchange.route.as_deref().unwrap_or_default(),
        upstream: exchange.upstream.as_deref().unwrap_or_default(),
        endpoint: exchange.endpoint,
        reason: exchange.failure.map(|f| f.reason.name()),
        total_us: since_start(now_us),
        upstream_us,
        first_byte_us,
        core: core.number,
    });
}

/// The user of Basic credentials (RFC 7617 §2); never the password.
fn basic_user(authorization: &[u8]) -> Option<Vec<u8>> {
    let (scheme, credentials) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut user = base64::engine::general_purpose::STANDARD.decode(credentials.trim_ascii()).ok()?;
    let colon = memchr::memchr(b':', &user)?;
    user.truncate(colon);
    (!user.is_empty()).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_basic_credentials_is_known_and_nothing_else() {
        assert_eq!(basic_user(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").as_deref(), Some(&b"Aladdin"[..]));
        assert_eq!(basic_user(b"basic   QWxhZGRpbjpvcGVuIHNlc2FtZQ==").as_deref(), Some(&b"Aladdin"[..]));
        for other in ["Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic", "Basic !", "Basic QWxhZGRpbg==", "Basic OnB3"] {
            assert_eq!(basic_user(other.as_bytes()), None, "{other}");
        }
    }
}
