//! Ask: get a connection to the route's upstream, send a request, receive the final head of the response; send it once
//! more where the retry rule allows it. On behalf of a client, or of everybody who waits for an answer to be stored.

use std::io::IoSlice;
use std::net::SocketAddr;

use super::core::{Core, CoreService};
use super::exchange::{Peer, RequestId};
use super::failure::Failure;
use super::headers::{self, RequestParts};
use super::route::Route;
use super::service::ExpectPolicy;
use super::upload::Downstream;
use crate::bounds;
use crate::h1::{BodyLength, Reject};
use crate::http::{Method, RequestHead, ResponseHead};
use crate::net::{Timer, Until};
use crate::policy::limit::Member;
use crate::stats::{Counter, Reason};
use crate::upstream::UpstreamOptions;
use crate::upstream::balance::{Address, Target};
use crate::upstream::client::{Connection, Silence, UpstreamError};
use crate::upstream::connect::{Means, Wanted, connect};
use crate::upstream::retry::may_send_again;

/// Who is asked.
pub struct Ask<'a> {
    pub core: &'a Core,
    pub service: &'a CoreService,
    pub route: &'a Route,
    pub upstream: &'a UpstreamOptions,
    target: &'a Target,
}

/// What is asked.
pub struct Question<'a> {
    pub head: &'a RequestHead,
    pub peer: &'a Peer,
    pub trusted: bool,
    pub request_id: &'a RequestId,
    /// How the body is framed.
    pub framing: BodyLength,
    /// The body, or the empty beginning of one that is sent beside.
    pub body: &'a [u8],
    pub expect_continue: bool,
    pub upgrade: bool,
    /// For an answer that is to be stored: field lines that are sent in place of the client's own conditions and range.
    pub validators: Option<&'a [u8]>,
    /// The client's host as the upstream is told.
    pub client_host: &'a [u8],
}

/// On whose behalf.
#[derive(Clone, Copy)]
pub struct Behalf<'a> {
    pub timer: &'a Timer,
    /// What ends the asking.
    pub until: Until<'a>,
    /// Who gets the interim responses.
    pub interim: Option<Downstream<'a>>,
}

impl<'a> Ask<'a> {
    /// The upstream of a route, as this core sees it.
    pub fn new(core: &'a Core, service: &'a CoreService, route: &'a Route) -> Option<Self> {
        let upstream = service.shared.upstreams.get(route.upstream)?;
        let target = service.targets.get(route.upstream)?;
        Some(Self { core, service, route, upstream, target })
    }

    /// Sends a request whose body is at hand, and receives the final head.
    ///
    /// # Errors
    /// Why there is no response.
    pub async fn whole(
        &self,
        question: &Question<'_>,
        behalf: Behalf<'_>,
        endpoint: &mut Option<SocketAddr>,
    ) -> Result<(Connection, ResponseHead), Failure> {
        let place = self.enter()?;
        let mut attempts = 0;
        loop {
            let error = match self.send(question, behalf, endpoint, attempts > 0).await {
                Err(stop) => stop,
                Ok(mut connection) => match self.final_head(&mut connection, behalf).await {
                    Ok(head) => {
                        connection.place = place;
                        return Ok((connection, head));
                    }
                    Err(error) => Stop { error, reused: connection.reused },
                },
            };
            attempts += 1;
            self.again(question.head.method, &error, attempts, *endpoint)?;
        }
    }

    /// Sends a request head whose body follows beside everything else.
    ///
    /// # Errors
    /// Why it could not be sent.
    pub async fn begin(
        &self,
        question: &Question<'_>,
        behalf: Behalf<'_>,
        endpoint: &mut Option<SocketAddr>,
    ) -> Result<Connection, Failure> {
        let place = self.enter()?;
        let mut attempts = 0;
        loop {
            match self.send(question, behalf, endpoint, attempts > 0).await {
                Ok(mut connection) => {
                    connection.place = place;
                    return Ok(connection);
                }
                Err(error) => {
                    attempts += 1;
                    self.again(question.head.method, &error, attempts, *endpoint)?;
                }
            }
        }
    }

    /// Takes a place among the requests in flight to the upstream, where those are counted.
    fn enter(&self) -> Result<Option<Member>, Failure> {
        let Some(capacity) = &self.upstream.capacity else { return Ok(None) };
        capacity.enter().map(Some).ok_or(Failure::from(Reason::UpstreamBusy))
    }

    /// Whether to try once more.
    fn again(
        &self,
        method: Method,
        Stop { error, reused }: &Stop,
        attempts: usize,
        endpoint: Option<SocketAddr>,
    ) -> Result<(), Failure> {
        let (progress, ending) = error.ending();
        // Where only the stream was reset, its connection was as good as another one to the same address.
        let warm = *reused && !matches!(error, UpstreamError::StreamReset(_));
        let elsewhere = warm || self.target.len() > 1;
        if attempts >= bounds::ATTEMPTS_MAX || !may_send_again(method, progress, ending, elsewhere) {
            self.note(error, endpoint);
            return Err(Failure::from(error));
        }
        self.core.stats.inc(Counter::UpstreamRetries);
        Ok(())
    }

    /// One connection, one sending.
    async fn send(
        &self,
        question: &Question<'_>,
        behalf: Behalf<'_>,
        endpoint: &mut Option<SocketAddr>,
        fresh: bool,
    ) -> Result<Connection, Stop> {
        let core = self.core;
        let means = Means {
            pools: &core.pools,
            buffers: &core.buffers,
            deadlines: &core.deadlines,
            stats: &core.stats,
            log: &core.log,
            timer: behalf.timer,
            until: behalf.until,
        };
        let wanted = Wanted { connect_ms: self.route.connect_ms, fresh, upgrade: question.upgrade };
        let connected = connect(self.target, &means, wanted).await;
        let (connection, address) = connected.map_err(|error| Stop { error, reused: false })?;
        *endpoint = Some(address.address);
        let mut request = core.buffers.small();
        self.write_head(&mut request, question, address);
        let sent = connection.send(&request, question.body, behalf.timer, self.upstream.send_ms).await;
        let sent_bytes = (request.len() + question.body.len()) as u64;
        core.buffers.give(request);
        sent.map_err(|error| Stop { error, reused: connection.reused })?;
        core.stats.add(Counter::UpstreamBytesSent, sent_bytes);
        Ok(connection)
    }

    fn write_head(&self, out: &mut Vec<u8>, question: &Question<'_>, address: &Address) {
        let forward_expect = question.expect_continue && self.service.shared.expect == ExpectPolicy::Forward;
        let parts = RequestParts {
            service: &self.service.shared,
            route: self.route,
            head: question.head,
            peer: question.peer,
            trusted: question.trusted,
            request_id: question.request_id,
            host: self.upstream.host.as_deref().unwrap_or(&address.authority).as_bytes(),
            body: question.framing,
            forward_expect,
            upgrade: question.upgrade,
            validators: question.validators,
            client_host: question.client_host,
        };
        headers::write_request(out, &parts);
    }

    /// The final response head; interim ones are passed on to a client that understands them.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn final_head(
        &self,
        connection: &mut Connection,
        behalf: Behalf<'_>,
    ) -> Result<ResponseHead, UpstreamError> {
        let mut head = self.core.take_response_head();
        let silence = Silence { timer: behalf.timer, most_ms: self.route.read_ms, until: behalf.until };
        for _ in 0..bounds::INTERIM_MAX {
            let limits = &self.service.shared.limits;
            connection.receive_head(&mut head, limits, &self.core.buffers, silence).await?;
            match head.status {
                101 if behalf.interim.is_some_and(|client| client.upgrade) => return Ok(head),
                101 => return Err(UpstreamError::Malformed(Reject::BadStatus)),
                100..=199 => {
                    if let Some(client) = &behalf.interim {
                        self.interim(&head, client).await?;
                    }
                }
                _ => return Ok(head),
            }
            head.clear();
        }
        Err(UpstreamError::Malformed(Reject::BadStatus))
    }

    async fn interim(&self, head: &ResponseHead, client: &Downstream<'_>) -> Result<(), UpstreamError> {
        let wanted = if head.status == 100 {
            client.progress.body_wanted.set(true);
            client.awaits_continue && self.service.shared.expect == ExpectPolicy::Forward
        } else {
            client.modern
        };
        if wanted { Box::pin(self.pass_on(head, client)).await } else { Ok(()) }
    }

    async fn pass_on(&self, head: &ResponseHead, client: &Downstream<'_>) -> Result<(), UpstreamError> {
        let mut out = self.core.buffers.small();
        headers::write_interim(&mut out, head, &self.route.response);
        let sent = client.stream.write_all(&mut [IoSlice::new(&out)], client.timer, client.send_ms).await;
        self.core.buffers.give(out);
        sent.map_err(|_| UpstreamError::ClientGone)
    }

    /// The text of an error that has one goes to the log, once per failed exchange.
    fn note(&self, error: &UpstreamError, endpoint: Option<SocketAddr>) {
        let text = match error {
            UpstreamError::Tls(text) => text.clone(),
            UpstreamError::ConnectFailed(error) => error.to_string(),
            _ => return,
        };
        let message = format!("upstream {} ({endpoint:?}): {text}", self.upstream.name);
        self.core.log.event(crate::log::Level::Warn, &message);
    }
}

/// How an attempt failed: the retry rule decides.
struct Stop {
    error: UpstreamError,
    reused: bool,
}
