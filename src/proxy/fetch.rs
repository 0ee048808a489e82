//! Fetch: get a connection, send the request, receive the head of the response; send the request once more where the
//! retry rule allows it. A body that is not at hand goes up beside all this, as an [`Upload`].

use std::io::IoSlice;
use std::rc::Rc;

use super::core::{Core, CoreService};
use super::exchange::{Client, Exchange};
use super::failure::Failure;
use super::headers::{self, RequestParts};
use super::route::Route;
use super::service::ExpectPolicy;
use super::upload::{Downstream, Upload, Way, drive};
use crate::base::clock;
use crate::bounds;
use crate::h1::{self, BodyLength, Reject, ResponseFraming};
use crate::http::{Method, ResponseHead};
use crate::stats::{Counter, Reason};
use crate::upstream::UpstreamOptions;
use crate::upstream::balance::{Address, Target};
use crate::upstream::client::{self, Connection, Means, Silence, UpstreamError};
use crate::upstream::retry::may_send_again;

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
    pub upload: Upload<'a>,
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
            let (error, reused) = match outcome {
                Ok(answered) => return Ok(answered),
                Err(Stop::Failure(failure)) => return Err(failure),
                Err(Stop::Upstream { error, reused }) => (error, reused),
            };
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
        self.answered(connection, head, Upload::Done, client)
    }

    async fn receive_beside_upload(
        &self,
        mut connection: Connection,
        client: &mut Client<'a>,
    ) -> Result<Answered<'a>, Stop> {
        let downstream = Downstream::of(client);
        let Some(body) = client.body.take() else { return Err(Stop::Failure(Reason::Internal.into())) };
        let way = Way {
            core: self.core,
            route: self.route,
            upstream: Rc::clone(&connection.stream),
            send_ms: self.upstream.send_ms,
            expect: self.service.shared.expect,
        };
        let mut upload = Upload::begin(body, downstream, way);
        let head = loop {
            let was_going = upload.is_going();
            match drive(&mut upload, self.final_head(&mut connection, &downstream)).await? {
                // The upstream has a right to be silent as long as it is still being asked.
                Err(UpstreamError::ReadExpired) if was_going && !downstream.timer.is_over() => {}
                Err(error) => {
                    // The body is (partly) gone: whatever the rule says, there is nothing to send again.
                    return Err(Stop::Failure(Failure::from(&error)));
                }
                Ok(head) => break head,
            }
        };
        self.answered(connection, head, upload, client)
    }

    fn answered(
        &self,
        connection: Connection,
        head: ResponseHead,
        upload: Upload<'a>,
        client: &Client<'_>,
    ) -> Result<Answered<'a>, Stop> {
        let framing = h1::response_framing(&head, client.head.method == Method::Head)
            .map_err(|reject| Stop::Failure(Failure::from(&UpstreamError::Malformed(reject))))?;
        Ok(Answered { connection, head, framing, route: self.route, upload })
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
        let silence = Silence { timer: client.timer, most_ms: self.route.read_ms, client: client.stream };
        for _ in 0..bounds::INTERIM_MAX {
            let limits = &self.service.shared.limits;
            connection.receive_head(&mut head, limits, &self.core.buffers, silence).await?;
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

/// Returns a connection that may carry another request to its pool.
pub fn give_back(core: &Core, mut connection: Connection) {
    if connection.input.is_empty() {
        connection.input.release(&core.buffers);
        let surplus = core.pools.give(connection.pool, connection.stream, clock::now_ms());
        drop(surplus);
    } else {
        connection.input.discard(&core.buffers);
    }
}
