//! Deliver: the reply goes out to the client, while the rest of the request may still go up.

use std::io::IoSlice;
use std::rc::Rc;

use super::core::{Core, CoreService};
use super::exchange::{Client, Exchange};
use super::failure::{CLIENT_CLOSED_REQUEST, Failure};
use super::fetch::{Answered, give_back};
use super::headers::{self, ResponseParts};
use super::obtain::Followed;
use super::route::Route;
use super::screen::tell_limits;
use super::transfer::{Sink, Source, TransferError, transfer};
use super::tunnel::{Side, tunnel};
use super::upload::{Upload, drive};
use super::{follow, hit};
use crate::base::clock;
use crate::bounds;
use crate::cache::front::Kept;
use crate::h1::{BodyDecoder, BodyEncoder, BodyLength};
use crate::http::{FieldId, Method};
use crate::net::stream::WriteError;
use crate::net::{Filled, ReadError, Until, Wait};
use crate::stats::{Counter, Gauge, Reason};

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next request may come.
    KeepAlive,
    /// It is closed; `linger` = the client is there, and what it may still send must not turn our close into a reset,
    /// which would destroy our last words.
    Close { linger: bool },
    /// It is reset: a proper end would make a cut response look whole.
    Reset,
}

/// How an exchange goes on.
pub enum Reply<'a> {
    /// There is no response: the failure table says what the client is told.
    Failed(Failure),
    /// A response whose body follows on the connection.
    Answered(Box<Answered<'a>>),
    /// `101`: the connection is a tunnel from here on.
    Switched(Box<Answered<'a>>),
    /// A stored answer.
    Stored(&'a Route, Rc<Kept>),
    /// An answer that is still arriving.
    Followed(&'a Route, Followed),
}

impl<'a> Reply<'a> {
    /// What an upstream answered.
    pub fn of(answered: Box<Answered<'a>>) -> Self {
        if answered.head.status == 101 { Self::Switched(answered) } else { Self::Answered(answered) }
    }
}

/// Sends the reply.
pub async fn deliver(
    core: &Rc<Core>,
    service: &CoreService,
    client: &mut Client<'_>,
    exchange: &mut Exchange<'_>,
    reply: Reply<'_>,
) -> Next {
    let next = match reply {
        Reply::Failed(failure) => fail(core, client, exchange, failure).await,
        Reply::Answered(answered) => answer(core, service, client, exchange, answered).await,
        Reply::Switched(answered) => Box::pin(switch(core, service, client, exchange, answered)).await,
        Reply::Stored(route, kept) => hit::send(hit::Case { core, service, route, client }, exchange, &kept).await,
        Reply::Followed(route, followed) => follow::follow(core, service, route, client, exchange, followed).await,
    };
    exchange.upstream_ended_us.get_or_insert_with(clock::now_us);
    next
}

/// Sends a failure's response, unless nobody is there to get it.
async fn fail(core: &Core, client: &mut Client<'_>, exchange: &mut Exchange<'_>, failure: Failure) -> Next {
    // At the drain's deadline every wait ends: whatever it was for, the drain is the reason.
    let failure = if client.timer.is_over() { Reason::Draining.into() } else { failure };
    exchange.failure = Some(failure);
    let refused = exchange.refusal.as_deref().and_then(|refusal| refusal.status);
    exchange.status = refused.unwrap_or(failure.answer().status);
    if failure.is_silent() {
        return Next::Close { linger: false };
    }
    // A client that sends more than it may is not worth reading on.
    let drainable = failure.reason != Reason::BodyTooLarge && is_drainable(client);
    let keep_alive = client.framing.keep_alive && !core.draining.get() && drainable;
    let mut out = core.buffers.small();
    let parts = headers::FailureParts {
        failure,
        refusal: exchange.refusal.as_deref(),
        request_id: &exchange.request_id,
        date: &core.date(),
        client_version: client.head.version,
        keep_alive,
        without_body: client.head.method == Method::Head,
    };
    let body_bytes = headers::write_failure(&mut out, &parts);
    let head_bytes = out.len().saturating_sub(usize::try_from(body_bytes).unwrap_or_default());
    exchange.note_head(core, out.get(..head_bytes).unwrap_or_default());
    exchange.first_byte();
    client.progress.response_begun.set(true);
    exchange.bytes_sent += body_bytes;
    let sent = client.stream.write_all(&mut [IoSlice::new(&out)], client.timer, client.send_ms).await;
    core.buffers.give(out);
    if sent.is_err() {
        return Next::Close { linger: false };
    }
    if keep_alive && drain(core, client).await { Next::KeepAlive } else { Next::Close { linger: true } }
}

/// Whether the unread body is worth waiting for: none, or a small one of known length that is on its way.
fn is_drainable(client: &Client<'_>) -> bool {
    let uninvited = client.framing.expect_continue && client.body.as_ref().is_some_and(|b| b.input.is_empty());
    match (client.framing.body, &client.body) {
        _ if client.progress.body_read.get() => true,
        (BodyLength::None, _) => true,
        (BodyLength::Length(length), Some(_)) => length <= bounds::DRAIN_BYTES_MAX as u64 && !uninvited,
        _ => false,
    }
}

/// Reads and forgets an unread body, so that its bytes never become somebody's request.
async fn drain(core: &Core, client: &mut Client<'_>) -> bool {
    if client.progress.body_read.get() {
        return true;
    }
    let Some(body) = &mut client.body else { return false };
    let deadline_ms = clock::now_ms() + bounds::DRAIN_MS_MAX;
    while !body.decoder.is_done() {
        if body.input.is_empty() {
            let wait = Wait { timer: client.timer, deadline_ms, until: Until::Deadline };
            if !matches!(body.input.fill(client.stream, &core.buffers, wait).await, Ok(Filled::Bytes)) {
                return false;
            }
        }
        let Ok(decoded) = body.decoder.decode(body.input.unread_mut()) else { return false };
        body.input.consume(decoded.consumed);
    }
    client.progress.body_read.set(true);
    true
}

/// How the body is framed towards the client, given how it comes.
fn towards_client(client: &Client<'_>, body: BodyLength) -> BodyLength {
    match body {
        BodyLength::Chunked | BodyLength::UntilClose if client.is_modern() => BodyLength::Chunked,
        BodyLength::Chunked | BodyLength::UntilClose => BodyLength::UntilClose,
        known => known,
    }
}

async fn answer(
    core: &Core,
    service: &CoreService,
    client: &mut Client<'_>,
    exchange: &mut Exchange<'_>,
    mut answered: Box<Answered<'_>>,
) -> Next {
    let body = towards_client(client, answered.framing.body);
    // A client that is still sending its body has no use for a connection that we stop reading from.
    let keep_alive = client.framing.keep_alive
        && !core.draining.get()
        && body != BodyLength::UntilClose
        && matches!(answered.upload, Upload::Done);
    let mut pending = begin(core, service, client, exchange, &answered, (body, keep_alive));
    let mut decoder = BodyDecoder::new(answered.framing.body);
    let mut sink = sink(client, &mut pending, BodyEncoder::new(body));
    sink.last = !keep_alive;
    let outcome = copy(core, client, &mut answered, &mut decoder, &mut sink).await;
    let (sent, touched) = (sink.sent, sink.touched);
    core.buffers.give(pending);
    exchange.bytes_sent += sent;
    exchange.upstream_ended_us = Some(clock::now_us());
    match outcome {
        Ok(()) => {
            let reusable = answered.framing.keep_alive && matches!(answered.upload, Upload::Done) && decoder.is_done();
            let Answered { connection, head, .. } = *answered;
            core.give_response_head(head);
            if reusable {
                give_back(core, connection);
            }
            if keep_alive { Next::KeepAlive } else { Next::Close { linger: true } }
        }
        Err(failure) if !touched && !failure.is_silent() => {
            // Not a byte went out: the client can still be told properly.
            drop(answered);
            exchange.first_byte_us = None;
            fail(core, client, exchange, failure).await
        }
        Err(failure) => broken(exchange, failure, body),
    }
}

/// Ends a response that was cut, so that the client cannot take it for a whole one: a chunked body lacks its last
/// chunk, a length its bytes; only where the end of the connection is the end of the body it takes a reset.
pub fn broken(exchange: &mut Exchange<'_>, failure: Failure, body: BodyLength) -> Next {
    exchange.failure = Some(failure);
    if failure.is_silent() {
        exchange.status = CLIENT_CLOSED_REQUEST;
    }
    if body == BodyLength::UntilClose { Next::Reset } else { Next::Close { linger: !failure.is_silent() } }
}

/// Begins a response: writes its head, to go out with the first bytes behind it, and notes that it has begun.
fn begin(
    core: &Core,
    service: &CoreService,
    client: &Client<'_>,
    exchange: &mut Exchange<'_>,
    answered: &Answered<'_>,
    (body, keep_alive): (BodyLength, bool),
) -> Vec<u8> {
    let mut out = core.buffers.small();
    let parts = ResponseParts {
        head: &answered.head,
        edits: &answered.route.response,
        via: service.shared.via.as_bytes(),
        request_id: &exchange.request_id,
        body,
        bodiless: client.head.method == Method::Head || answered.head.status == 304,
        client_version: client.head.version,
        keep_alive,
        upgrade: answered.head.status == 101,
        date: core.date(),
        cache: exchange.cache.as_ref(),
        strip_tags: answered.route.cache.as_ref().is_some_and(|policy| policy.strip_tags),
    };
    headers::write_response(&mut out, &parts);
    tell_limits(core, client, exchange, &mut out);
    exchange.note_head(core, &out);
    exchange.status = answered.head.status;
    exchange.first_byte();
    client.progress.response_begun.set(true);
    out
}

/// Where a response body goes, behind the head in `pending`.
pub fn sink<'a>(client: &Client<'a>, pending: &'a mut Vec<u8>, encoder: BodyEncoder) -> Sink<'a> {
    Sink {
        stream: client.stream,
        pending,
        encoder,
        timer: client.timer,
        timeout_ms: client.send_ms,
        sent: 0,
        touched: false,
        last: false,
        traffic: None,
    }
}

/// The response body goes down, what is left of the request body goes up.
async fn copy(
    core: &Core,
    client: &Client<'_>,
    answered: &mut Answered<'_>,
    decoder: &mut BodyDecoder,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let Answered { connection, upload, route, .. } = answered;
    let mut source = Source {
        stream: &connection.stream,
        input: &mut connection.input,
        decoder,
        timer: client.timer,
        timeout_ms: route.read_ms,
        until: Until::Gone(client.stream),
        allowance: u64::MAX,
        edits: Some(&route.response),
    };
    let outcome = loop {
        let was_going = upload.is_going();
        let outcome = match upload {
            Upload::Going(_) => Box::pin(drive(upload, transfer(&mut source, sink, &core.buffers))).await?,
            _ => transfer(&mut source, sink, &core.buffers).await,
        };
        match outcome {
            // The upstream has a right to be silent as long as it is still being asked.
            Err(TransferError::Source(ReadError::Expired)) if was_going && !client.timer.is_over() => {}
            outcome => break outcome,
        }
    };
    core.stats.add(Counter::UpstreamBytesReceived, sink.sent);
    outcome.map_err(|error| match error {
        TransferError::Source(ReadError::Expired) => Reason::UpstreamReadTimeout.into(),
        TransferError::Source(ReadError::WatchedGone) => Reason::ClientGone.into(),
        TransferError::Source(ReadError::Io(_)) => Reason::UpstreamReset.into(),
        TransferError::Truncated | TransferError::TooLarge => Reason::UpstreamTruncated.into(),
        TransferError::Malformed(reject) => {
            Failure { reason: Reason::UpstreamBadResponse, detail: Some(reject.name()) }
        }
        TransferError::Sink(error) => sink_failure(&error),
    })
}

/// Why a client did not take the response.
pub fn sink_failure(error: &WriteError) -> Failure {
    match error {
        WriteError::Expired => Reason::SendTimeout.into(),
        _ => Reason::ClientGone.into(),
    }
}

/// `101`: the head goes out, then the connection is a tunnel.
async fn switch(
    core: &Core,
    service: &CoreService,
    client: &mut Client<'_>,
    exchange: &mut Exchange<'_>,
    mut answered: Box<Answered<'_>>,
) -> Next {
    let protocol = answered.head.find(FieldId::Upgrade).unwrap_or_default();
    if !protocol.eq_ignore_ascii_case(b"websocket") {
        let failure = Failure { reason: Reason::UpstreamBadResponse, detail: Some("upgrade_not_asked_for") };
        return fail(core, client, exchange, failure).await;
    }
    let Some(body) = client.body.take() else { return fail(core, client, exchange, Reason::Internal.into()).await };
    let mut pending = begin(core, service, client, exchange, &answered, (BodyLength::None, true));
    client.progress.body_read.set(true);
    core.stats.inc(Counter::Tunnels);
    let _open = core.stats.hold(Gauge::TunnelsOpen);
    let upstream = Rc::clone(&answered.connection.stream);
    let near = Side { stream: client.stream, input: body.input, timer: client.timer };
    let timer = core.deadlines.timer();
    let far = Side { stream: &upstream, input: &mut answered.connection.input, timer: &timer };
    let (up, down) = tunnel(core, near, far, &mut pending, client.send_ms).await;
    core.buffers.give(pending);
    exchange.bytes_sent += down;
    client.progress.body_bytes.set(up);
    Next::Close { linger: false }
}
