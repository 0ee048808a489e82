//! Fetch: the client's request goes to the upstream as it came, past the cache or where there is none. A body that is
//! not at hand goes up beside the response, as an [`Upload`].

use std::rc::Rc;

use super::ask::{Ask, Behalf, Question};
use super::core::{Core, CoreService};
use super::exchange::{Client, Exchange};
use super::failure::Failure;
use super::route::Route;
use super::screen::overload;
use super::upload::{Downstream, Home, Upload, Way, drive};
use crate::base::clock;
use crate::bounds;
use crate::h1::{self, BodyLength, ResponseFraming};
use crate::http::{Method, ResponseHead};
use crate::net::Until;
use crate::stats::{Counter, Reason};
use crate::upstream::client::{Connection, UpstreamError};
use crate::upstream::retry::Progress;

/// A response head and everything its body needs.
pub struct Answered<'a> {
    pub connection: Connection,
    pub head: ResponseHead,
    pub framing: ResponseFraming,
    pub route: &'a Route,
    pub upload: Upload<'a>,
}

/// Asks the route's upstream.
///
/// # Errors
/// Why there is no response.
pub async fn fetch<'a>(
    core: &'a Core,
    service: &'a CoreService,
    route: &'a Route,
    client: &mut Client<'a>,
    exchange: &mut Exchange<'a>,
) -> Result<Answered<'a>, Failure> {
    overload::may_ask(core, exchange)?;
    let ask = Ask::new(core, service, route).ok_or(Failure::from(Reason::Internal))?;
    exchange.upstream = Some(&ask.upstream.name);
    exchange.upstream_started_us = Some(clock::now_us());
    let (connection, head, upload) = match client.whole_body().map(<[u8]>::len) {
        Some(length) => send_whole(&ask, client, exchange, length).await?,
        None => {
            client.progress.held.reach(core, upload_bytes(client))?;
            Box::pin(send_beside(&ask, client, exchange)).await?
        }
    };
    let framing = h1::response_framing(&head, client.head.method == Method::Head)
        .map_err(|reject| Failure::from(&UpstreamError::Malformed(reject)))?;
    Ok(Answered { connection, head, framing, route, upload })
}

/// What an upload holds at most: a buffer, and the copy for an upstream that processed nothing.
fn upload_bytes(client: &Client<'_>) -> u64 {
    let most = (bounds::BUFFER_BYTES_LARGE + bounds::KEPT_UPLOAD_BYTES_MAX) as u64;
    if let BodyLength::Length(length) = client.framing.body { length.min(most) } else { most }
}

fn question<'q>(client: &'q Client<'_>, exchange: &'q Exchange<'_>, body: &'q [u8]) -> Question<'q> {
    Question {
        head: client.head,
        peer: &client.peer,
        trusted: exchange.trusted,
        request_id: &exchange.request_id,
        framing: client.framing.body,
        body,
        expect_continue: client.framing.expect_continue,
        upgrade: client.framing.upgrade,
        validators: None,
        client_host: h1::authority(client.head),
    }
}

async fn send_whole<'a>(
    ask: &Ask<'a>,
    client: &mut Client<'a>,
    exchange: &mut Exchange<'a>,
    length: usize,
) -> Result<(Connection, ResponseHead, Upload<'a>), Failure> {
    let mut endpoint = None;
    let outcome = {
        let body = client.body.as_ref().and_then(|b| b.at_hand().get(..length)).unwrap_or_default();
        let interim = Some(Downstream::of(client));
        let behalf = Behalf { timer: client.timer, until: Until::Gone(client.stream), interim };
        ask.whole(&question(client, exchange, body), behalf, &mut endpoint).await
    };
    exchange.endpoint = endpoint;
    let (connection, head) = outcome?;
    if let Some(body) = &mut client.body {
        body.consume(length);
    }
    client.progress.body_bytes.set(length as u64);
    client.progress.body_read.set(true);
    Ok((connection, head, Upload::Done))
}

async fn send_beside<'a>(
    ask: &Ask<'a>,
    client: &mut Client<'a>,
    exchange: &mut Exchange<'a>,
) -> Result<(Connection, ResponseHead, Upload<'a>), Failure> {
    let downstream = Downstream::of(client);
    let behalf = Behalf { timer: client.timer, until: Until::Gone(client.stream), interim: Some(downstream) };
    let home = Home::default();
    home.set(client.body.take());
    let mut attempts = 0;
    loop {
        let mut endpoint = None;
        let outcome = ask.begin(&question(client, exchange, &[]), behalf, &mut endpoint).await;
        exchange.endpoint = endpoint;
        let mut connection = outcome?;
        let Some(body) = home.take() else { return Err(Reason::Internal.into()) };
        let way = Way {
            core: ask.core,
            route: ask.route,
            upstream: Rc::clone(&connection.stream),
            send_ms: ask.upstream.send_ms,
            expect: ask.service.shared.expect,
        };
        let mut upload = Upload::begin(body, &home, downstream, way);
        let error = match answer_beside(ask, &mut connection, &mut upload, behalf).await? {
            Ok(head) => return Ok((connection, head, upload)),
            Err(error) => error,
        };
        // Else the body is (partly) gone: whatever the rule says, there is nothing to send again.
        drop(upload);
        let body = home.take();
        attempts += 1;
        let is_untouched = matches!(error, UpstreamError::Closed(Progress::NotProcessed));
        if !is_untouched || body.is_none() || attempts >= bounds::ATTEMPTS_MAX {
            return Err(Failure::from(&error));
        }
        home.set(body);
        ask.core.stats.inc(Counter::UpstreamRetries);
    }
}

/// The final response head, while the body goes up.
async fn answer_beside(
    ask: &Ask<'_>,
    connection: &mut Connection,
    upload: &mut Upload<'_>,
    behalf: Behalf<'_>,
) -> Result<Result<ResponseHead, UpstreamError>, Failure> {
    loop {
        let was_going = upload.is_going();
        match drive(upload, ask.final_head(connection, behalf)).await? {
            // The upstream has a right to be silent as long as it is still being asked.
            Err(UpstreamError::ReadExpired) if was_going && !behalf.timer.is_over() => {}
            outcome => return Ok(outcome),
        }
    }
}

/// Returns a connection that may carry another request to its pool.
pub fn give_back(core: &Core, mut connection: Connection) {
    if connection.poolable && connection.input.is_empty() {
        connection.input.release(&core.buffers);
        let surplus = core.pools.give(connection.pool, connection.stream, clock::now_ms());
        drop(surplus);
    } else {
        connection.input.discard(&core.buffers);
    }
}
