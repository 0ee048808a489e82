//! Fetch: get a connection, send the request, receive the head of the response; send the request once more where the
//! retry rule allows it. A body that is not at hand goes up beside all this, as an [`Upload`].

use std::future::Future;
use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use super::core::{Core, CoreService};
use super::exchange::{Client, Exchange, Progress, RequestBody};
use super::failure::Failure;
use super::headers::{self, RequestParts};
use super::route::Route;
use super::service::ExpectPolicy;
use super::transfer::{Sink, Source, TransferError, transfer};
use crate::base::clock;
use crate::bounds;
use crate::h1::{self, BodyEncoder, BodyLength, Reject, ResponseFraming};
use crate::http::{Method, ResponseHead};
use crate::net::stream::WriteError;
use crate::net::{ReadError, Stream, Wait};
use crate::stats::{Counter, Reason};
use crate::upstream::balance::{Address, Target};
use crate::upstream::client::{self, Connection, Means, UpstreamError};
use crate::upstream::retry::may_send_again;
use crate::upstream::{Pools, UpstreamOptions};

/// How an exchange goes on after fetching.
pub enum Reply<'a> {
    /// There is no response: the failure table says what the client is told.
    Failed(Failure),
    /// A response whose body follows on the connection.
    Answered(Box<Answered<'a>>),
    /// `101`: the connection is a tunnel from here on.
    Switched(Box<Answered<'a>>),
}

/// A response head and everything its body needs.
pub struct Answered<'a> {
    pub connection: Connection,
    pub head: ResponseHead,
    pub framing: ResponseFraming,
    pub route: &'a Route,
    pub upstream: &'a UpstreamOptions,
    pub upload: Upload<'a>,
}

/// The way of the request body up.
pub enum Upload<'a> {
    /// All of it is sent, or there is none.
    Done,
    Going(Pin<Box<dyn Future<Output = Result<(), TransferError>> + 'a>>),
    /// The upstream stopped taking it; it may answer all the same.
    Broken,
}

impl Upload<'_> {
    /// Whether bytes are still on their way.
    pub fn is_going(&self) -> bool {
        matches!(self, Self::Going(_))
    }
}

/// What stays the same for all attempts of one exchange.
struct Ask<'a> {
    core: &'a Core,
    service: &'a CoreService,
    route: &'a Route,
    upstream: &'a UpstreamOptions,
    target: &'a Target,
}

/// Asks the route's upstream.
pub async fn fetch<'a>(
    core: &'a Core,
    service: &'a CoreService,
    route: &'a Route,
    client: &mut Client<'a>,
    exchange: &mut Exchange,
) -> Reply<'a> {
    let pair = service.shared.upstreams.get(route.upstream).zip(service.targets.get(route.upstream));
    let Some((upstream, target)) = pair else { return Reply::Failed(Reason::Internal.into()) };
    exchange.upstream = Some(upstream.name.clone());
    exchange.upstream_started_us = Some(clock::now_us());
    let ask = Ask { core, service, route, upstream, target };
    match ask.answer(client, exchange).await {
        Err(failure) => Reply::Failed(failure),
        Ok(answered) if answered.head.status == 101 => Reply::Switched(Box::new(answered)),
        Ok(answered) => Reply::Answered(Box::new(answered)),
    }
}

/// Bytes of the body that are at hand and complete it, where that is so.
fn whole_body(client: &Client<'_>) -> Option<usize> {
    match (client.framing.body, &client.body) {
        (BodyLength::None, _) | (_, None) => Some(0),
        (BodyLength::Length(length), Some(body)) => {
            let length = usize::try_from(length).ok()?;
            (length <= body.input.unread().len()).then_some(length)
        }
        _ => None,
    }
}

impl<'a> Ask<'a> {
    async fn answer(&self, client: &mut Client<'a>, exchange: &mut Exchange) -> Result<Answered<'a>, Failure> {
        let whole = whole_body(client);
        let mut fresh = false;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let outcome = self.attempt(client, exchange, whole, fresh).await;
            let error = match outcome {
                Ok(mut answered) => {
                    answered.framing = self.framing(&answered, client)?;
                    return Ok(answered);
                }
                Err(Stop::Failure(failure)) => return Err(failure),
                Err(Stop::Upstream { error, reused }) => (error, reused),
            };
            let (error, reused) = error;
            let (progress, ending) = error.ending();
            let elsewhere = reused || self.target.len() > 1;
            if attempts >= bounds::ATTEMPTS_MAX || !may_send_again(client.head.method, progress, ending, elsewhere) {
                self.note(&error, exchange);
                return Err(Failure::from(&error));
            }
            self.core.stats.inc(Counter::UpstreamRetries);
            fresh = true;
        }
    }

    /// One connection, one sending, one response head.
    async fn attempt(
        &self,
        client: &mut Client<'a>,
        exchange: &mut Exchange,
        whole: Option<usize>,
        fresh: bool,
    ) -> Result<Answered<'a>, Stop> {
        let means = Means {
            pools: &self.core.pools,
            buffers: &self.core.buffers,
            stats: &self.core.stats,
            timer: client.timer,
            client: client.stream,
        };
        let (connection, address) =
            client::connect(self.target, &means, self.route.connect_ms, fresh).await.map_err(Stop::of(false))?;
        exchange.endpoint = Some(address.address);
        let mut request = self.core.buffers.small();
        self.write_head(&mut request, client, exchange, address);
        let body = whole.and_then(|n| client.body.as_ref().and_then(|b| b.input.unread().get(..n))).unwrap_or_default();
        let sent = connection.send(&request, body, client.timer, self.upstream.send_ms).await;
        let sent_bytes = (request.len() + body.len()) as u64;
        self.core.buffers.give(request);
        sent.map_err(Stop::of(connection.reused))?;
        self.core.stats.add(Counter::UpstreamBytesSent, sent_bytes);
        match whole {
            Some(length) => self.receive_whole(connection, client, length).await,
            None => Box::pin(self.receive_beside_upload(connection, client)).await,
        }
    }

    async fn receive_whole(
        &self,
        mut connection: Connection,
        client: &mut Client<'a>,
        length: usize,
    ) -> Result<Answered<'a>, Stop> {
        let reused = connection.reused;
        let head = self.final_head(&mut connection, &Downstream::of(client)).await.map_err(Stop::of(reused))?;
        if let Some(body) = &mut client.body {
            body.input.consume(length);
        }
        client.progress.body_bytes.set(length as u64);
        client.progress.body_read.set(true);
        Ok(self.answered(connection, head, Upload::Done))
    }

    async fn receive_beside_upload(
        &self,
        mut connection: Connection,
        client: &mut Client<'a>,
    ) -> Result<Answered<'a>, Stop> {
        let downstream = Downstream::of(client);
        let Some(body) = client.body.take() else { return Err(Stop::Failure(Reason::Internal.into())) };
        let mut upload = Upload::Going(self.upload(body, &downstream, Rc::clone(&connection.stream)));
        let head = loop {
            let was_going = upload.is_going();
            match drive(&mut upload, self.final_head(&mut connection, &downstream)).await? {
                // The upstream has a right to be silent as long as it is still being asked.
                Err(UpstreamError::ReadExpired) if was_going => {}
                Err(error) => {
                    // The body is (partly) gone: whatever the rule says, there is nothing to send again.
                    return Err(Stop::Failure(Failure::from(&error)));
                }
                Ok(head) => break head,
            }
        };
        Ok(self.answered(connection, head, upload))
    }

    fn answered(&self, connection: Connection, head: ResponseHead, upload: Upload<'a>) -> Answered<'a> {
        let framing = ResponseFraming { body: BodyLength::None, keep_alive: false };
        Answered { connection, head, framing, route: self.route, upstream: self.upstream, upload }
    }

    fn framing(&self, answered: &Answered<'_>, client: &Client<'_>) -> Result<ResponseFraming, Failure> {
        h1::response_framing(&answered.head, client.head.method == Method::Head)
            .map_err(|reject| Failure::from(&UpstreamError::Malformed(reject)))
    }

    fn write_head(&self, out: &mut Vec<u8>, client: &Client<'_>, exchange: &Exchange, address: &Address) {
        let forward_expect = client.framing.expect_continue && self.service.shared.expect == ExpectPolicy::Forward;
        let parts = RequestParts {
            service: &self.service.shared,
            route: self.route,
            head: client.head,
            peer: &client.peer,
            trusted: exchange.trusted,
            request_id: &exchange.request_id,
            host: self.upstream.host.as_deref().unwrap_or(&address.authority).as_bytes(),
            body: client.framing.body,
            forward_expect,
            upgrade: client.framing.upgrade,
        };
        headers::write_request(out, &parts);
    }

    /// The final response head; interim ones are passed on to a client that understands them.
    async fn final_head(
        &self,
        connection: &mut Connection,
        client: &Downstream<'_>,
    ) -> Result<ResponseHead, UpstreamError> {
        let mut head = self.core.take_response_head();
        for _ in 0..bounds::INTERIM_MAX {
            let deadline_ms = clock::now_ms() + self.route.read_ms;
            let wait = Wait { timer: client.timer, deadline_ms, watch: Some(client.stream), idle: false };
            let limits = &self.service.shared.limits;
            connection.receive_head(&mut head, limits, &self.core.buffers, wait).await?;
            match head.status {
                101 if client.upgrade => return Ok(head),
                101 => return Err(UpstreamError::Malformed(Reject::BadStatus)),
                100 => {
                    client.progress.body_wanted.set(true);
                    if client.awaits_continue && self.service.shared.expect == ExpectPolicy::Forward {
                        Box::pin(self.pass_on(&head, client)).await?;
                    }
                }
                102..=199 if client.modern => Box::pin(self.pass_on(&head, client)).await?,
                102..=199 => {}
                _ => return Ok(head),
            }
            head.clear();
        }
        Err(UpstreamError::Malformed(Reject::BadStatus))
    }

    async fn pass_on(&self, head: &ResponseHead, client: &Downstream<'_>) -> Result<(), UpstreamError> {
        let mut out = self.core.buffers.small();
        headers::write_interim(&mut out, head, &self.route.response);
        let sent = client.stream.write_all(&mut [IoSlice::new(&out)], client.timer, client.send_ms).await;
        self.core.buffers.give(out);
        sent.map_err(|_| UpstreamError::ClientGone)
    }

    fn upload(
        &self,
        body: RequestBody<'a>,
        client: &Downstream<'a>,
        upstream: Rc<Stream>,
    ) -> Pin<Box<dyn Future<Output = Result<(), TransferError>> + 'a>> {
        let (core, client, edits_of) = (self.core, *client, self.route);
        let (allowance, send_ms) = (self.route.body_bytes_max, self.upstream.send_ms);
        let forward = self.service.shared.expect == ExpectPolicy::Forward;
        Box::pin(async move {
            let RequestBody { input, mut decoder } = body;
            let timer = core.deadlines.timer();
            if client.awaits_continue && input.is_empty() {
                if forward {
                    client.wait_for_continue(&timer).await;
                } else {
                    client.invite(&timer).await?;
                }
            }
            let encoder = BodyEncoder::new(client.body);
            let (stream, watch) = (client.stream, None);
            let mut source = Source {
                stream,
                input,
                decoder: &mut decoder,
                timer: &timer,
                timeout_ms: client.body_ms,
                watch,
                allowance,
                edits: Some(&edits_of.request),
            };
            let mut pending = core.buffers.small();
            let mut sink = Sink {
                stream: &upstream,
                pending: &mut pending,
                encoder,
                timer: &timer,
                timeout_ms: send_ms,
                sent: 0,
                touched: false,
                traffic: None,
            };
            let outcome = transfer(&mut source, &mut sink, &core.buffers).await;
            client.progress.body_bytes.set(sink.sent);
            client.progress.body_read.set(decoder.is_done());
            core.stats.add(Counter::UpstreamBytesSent, sink.sent);
            core.buffers.give(pending);
            outcome
        })
    }

    /// The text of an error that has one goes to the log, once per failed exchange.
    fn note(&self, error: &UpstreamError, exchange: &Exchange) {
        let endpoint = exchange.endpoint;
        let text = match error {
            UpstreamError::Tls(text) => text.clone(),
            UpstreamError::ConnectFailed(error) => error.to_string(),
            _ => return,
        };
        let message = format!("upstream {} ({endpoint:?}): {text}", self.upstream.name);
        self.core.log.event(crate::log::Level::Warn, &message);
    }
}

/// Why an attempt stopped.
enum Stop {
    /// The upstream failed: the retry rule decides.
    Upstream { error: UpstreamError, reused: bool },
    /// The exchange is over.
    Failure(Failure),
}

impl Stop {
    fn of(reused: bool) -> impl FnOnce(UpstreamError) -> Self {
        move |error| Self::Upstream { error, reused }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// What both directions need of the client while its body is lent to the upload.
#[derive(Clone, Copy)]
struct Downstream<'a> {
    stream: &'a Stream,
    timer: &'a crate::net::Timer,
    progress: &'a Progress,
    body: BodyLength,
    body_ms: u64,
    send_ms: u64,
    upgrade: bool,
    modern: bool,
    awaits_continue: bool,
}

impl<'a> Downstream<'a> {
    fn of(client: &Client<'a>) -> Self {
        Self {
            stream: client.stream,
            timer: client.timer,
            progress: client.progress,
            body: client.framing.body,
            body_ms: client.body_ms,
            send_ms: client.send_ms,
            upgrade: client.framing.upgrade,
            modern: client.is_modern(),
            awaits_continue: client.framing.expect_continue,
        }
    }

    /// Tells the client that its body is wanted, unless the answer has begun already.
    async fn invite(&self, timer: &crate::net::Timer) -> Result<(), TransferError> {
        if self.progress.response_begun.get() {
            return Ok(());
        }
        let mut text = [IoSlice::new(b"HTTP/1.1 100 Continue\r\n\r\n")];
        let sent = self.stream.write_all(&mut text, timer, self.send_ms).await;
        sent.map_err(|_| TransferError::Source(ReadError::WatchedGone))
    }

    /// Waits for the upstream's word, but not for ever: clients send after a while by themselves (RFC 9110 §10.1.1).
    async fn wait_for_continue(&self, timer: &crate::net::Timer) {
        timer.arm(clock::now_ms() + bounds::CONTINUE_MS_MAX);
        std::future::poll_fn(|context| {
            // The other direction, polled in this very task, sets the mark: no waker is needed for it.
            if self.progress.body_wanted.get() { Poll::Ready(()) } else { timer.poll_fired(context) }
        })
        .await;
        timer.disarm();
    }
}

/// Runs `main` to its end with the upload beside it. An upload that ends well is forgotten; one that broke towards the
/// upstream too, for the upstream may have answered before it stopped reading; one that broke on the client's side ends both.
///
/// # Errors
/// The client's failure.
pub async fn drive<T>(upload: &mut Upload<'_>, main: impl Future<Output = T>) -> Result<T, Failure> {
    let mut main = std::pin::pin!(main);
    std::future::poll_fn(|context| {
        if let Poll::Ready(done) = main.as_mut().poll(context) {
            return Poll::Ready(Ok(done));
        }
        let Upload::Going(going) = upload else { return Poll::Pending };
        match going.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => {
                *upload = Upload::Done;
                Poll::Pending
            }
            Poll::Ready(Err(error)) => match client_failure(&error) {
                Some(failure) => Poll::Ready(Err(failure)),
                None => {
                    *upload = Upload::Broken;
                    Poll::Pending
                }
            },
        }
    })
    .await
}

/// The failure of an upload that is the client's, or that no answer can follow.
fn client_failure(error: &TransferError) -> Option<Failure> {
    Some(match error {
        TransferError::Source(ReadError::Expired) => Reason::BodyTimeout.into(),
        TransferError::Source(_) => Reason::ClientReset.into(),
        TransferError::Truncated => Reason::ClientTruncated.into(),
        TransferError::Malformed(reject) => Failure::from(*reject),
        TransferError::TooLarge => Reason::BodyTooLarge.into(),
        TransferError::Sink(WriteError::Expired) => Reason::UpstreamWriteTimeout.into(),
        TransferError::Sink(_) => return None,
    })
}

/// Returns a connection that may carry another request to its pool.
pub fn give_back(core: &Core, pools: &Pools, mut connection: Connection) {
    if connection.input.is_empty() {
        connection.input.release(&core.buffers);
        let surplus = pools.give(connection.pool, connection.stream, clock::now_ms());
        drop(surplus);
    } else {
        connection.input.discard(&core.buffers);
    }
}
