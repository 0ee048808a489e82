//! The client side of HTTP/1.1: get a connection, send a request head, receive a response head.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;

use super::balance::{Address, Target};
use super::pool::{PoolId, Pools};
use super::retry::{Ending, Progress};
use crate::base::buf::BufferPool;
use crate::base::clock;
use crate::h1::{self, HeadLimits, Parsed, Reject};
use crate::http::ResponseHead;
use crate::net::dial::{self, DialError};
use crate::net::stream::WriteError;
use crate::net::{Filled, Input, ReadError, Stream, Timer, Until, Wait};
use crate::stats::{CoreStats, Counter};

/// A connection to an upstream in use by one exchange.
pub struct Connection {
    pub stream: Rc<Stream>,
    pub input: Input,
    pub pool: PoolId,
    pub address: SocketAddr,
    /// It carried an exchange before.
    pub reused: bool,
    /// Something came back in this exchange: it is not sent again.
    heard: bool,
}

/// What of a core is needed to get connections.
pub struct Means<'a> {
    pub pools: &'a Pools,
    pub buffers: &'a BufferPool,
    pub stats: &'a CoreStats,
    pub timer: &'a Timer,
    /// On whose behalf: when it leaves, connecting stops.
    pub until: Until<'a>,
}

/// How long an upstream may be silent, and on whose behalf it is asked.
#[derive(Clone, Copy)]
pub struct Silence<'a> {
    pub timer: &'a Timer,
    pub most_ms: u64,
    pub until: Until<'a>,
}

impl<'a> Silence<'a> {
    fn wait(self) -> Wait<'a> {
        let deadline_ms = clock::now_ms().saturating_add(self.most_ms);
        Wait { timer: self.timer, deadline_ms, until: self.until }
    }
}

/// Why an upstream gave no answer.
#[derive(Debug)]
pub enum UpstreamError {
    /// There is no address to try.
    NoEndpoint,
    ConnectRefused,
    ConnectExpired,
    ConnectFailed(io::Error),
    Tls(String),
    /// It closed or reset the connection.
    Closed(Progress),
    /// It took nothing for the whole send time-out.
    SendExpired,
    /// It sent nothing for the whole read time-out.
    ReadExpired,
    /// What it sent is not a response.
    Malformed(Reject),
    /// The caller's client has left; nobody wants the answer.
    ClientGone,
}

impl UpstreamError {
    /// What the retry rule asks for.
    pub fn ending(&self) -> (Progress, Ending) {
        match self {
            Self::Closed(progress) => (*progress, Ending::Closed),
            _ => (Progress::Sent, Ending::Other),
        }
    }
}

/// A connection to one of the target's addresses: warm if `fresh` is not demanded, else new. A refused or silent address
/// is followed by the next one. Returns the address as well: its authority is what Host says.
///
/// # Errors
/// The last address's [`UpstreamError`], or that the watched client has left.
pub async fn connect<'t>(
    target: &'t Target,
    means: &Means<'_>,
    connect_ms: u64,
    fresh: bool,
) -> Result<(Connection, &'t Address), UpstreamError> {
    let mut last = UpstreamError::NoEndpoint;
    for address in target.order(clock::now_ms()).into_iter().flatten() {
        let warm = if fresh { None } else { means.pools.take(address.pool, clock::now_ms(), means.buffers) };
        if let Some(stream) = warm {
            means.stats.inc(Counter::UpstreamReuses);
            return Ok((Connection::new(stream, address, true), address));
        }
        means.stats.inc(Counter::UpstreamConnects);
        address.trying(clock::now_ms(), connect_ms);
        let wait = Wait { timer: means.timer, deadline_ms: clock::now_ms() + connect_ms, until: means.until };
        match dial_one(address, wait).await {
            Ok(stream) => {
                address.worked();
                return Ok((Connection::new(Rc::new(stream), address, false), address));
            }
            Err(UpstreamError::ClientGone) => return Err(UpstreamError::ClientGone),
            Err(error) => {
                means.stats.inc(Counter::UpstreamConnectFailures);
                address.failed(clock::now_ms());
                last = error;
            }
        }
    }
    Err(last)
}

async fn dial_one(address: &Address, wait: Wait<'_>) -> Result<Stream, UpstreamError> {
    let outcome = match &address.tls {
        None => wait.bound(dial::tcp(address.address)).await.map(|dialled| dialled.map(Stream::Plain)),
        Some(tls) => {
            // Boxed: rare, and larger than all the rest of an exchange.
            let dialling = dial::tls(address.address, tls.server_name.clone(), tls.config.clone());
            Box::pin(wait.bound(dialling)).await
        }
    };
    match outcome {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(DialError::Refused)) => Err(UpstreamError::ConnectRefused),
        Ok(Err(DialError::Tls(text))) => Err(UpstreamError::Tls(text)),
        Ok(Err(DialError::Io(error))) | Err(ReadError::Io(error)) => Err(UpstreamError::ConnectFailed(error)),
        Err(ReadError::Expired) => Err(UpstreamError::ConnectExpired),
        Err(ReadError::WatchedGone) => Err(UpstreamError::ClientGone),
    }
}

impl Connection {
    fn new(stream: Rc<Stream>, address: &Address, reused: bool) -> Self {
        Self { stream, input: Input::patient(), pool: address.pool, address: address.address, reused, heard: false }
    }

    /// Sends a request that is at hand as a whole.
    ///
    /// # Errors
    /// [`UpstreamError::Closed`] or [`UpstreamError::SendExpired`].
    pub async fn send(&self, request: &[u8], body: &[u8], timer: &Timer, send_ms: u64) -> Result<(), UpstreamError> {
        let mut parts = [IoSlice::new(request), IoSlice::new(body)];
        let count = if body.is_empty() { 1 } else { 2 };
        let parts = parts.get_mut(..count).unwrap_or_default();
        self.stream.write_all(parts, timer, send_ms).await.map_err(|error| match error {
            WriteError::Expired => UpstreamError::SendExpired,
            WriteError::Untouched(_) => UpstreamError::Closed(Progress::NothingSent),
            WriteError::Broken(_) => UpstreamError::Closed(Progress::Sent),
        })
    }

    /// Receives the next response head, interim or final, into `head`. What follows it stays in the input.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn receive_head(
        &mut self,
        head: &mut ResponseHead,
        limits: &HeadLimits,
        buffers: &BufferPool,
        silence: Silence<'_>,
    ) -> Result<(), UpstreamError> {
        let mut seen = 0;
        loop {
            // Another try makes sense only behind another line: a slow sender must not cost a parse per byte.
            let fresh = self.input.unread().get(seen..).unwrap_or_default();
            if memchr::memchr(b'\n', fresh).is_some() || self.input.unread().len() >= limits.head_bytes {
                match h1::parse_response(self.input.unread(), limits, head).map_err(UpstreamError::Malformed)? {
                    Parsed::Complete { head_bytes } => {
                        self.input.consume(head_bytes);
                        return Ok(());
                    }
                    Parsed::Partial => {}
                }
            }
            seen = self.input.unread().len();
            let begun = if self.heard { Progress::ResponseBegun } else { Progress::Sent };
            match self.input.fill(&self.stream, buffers, silence.wait()).await {
                Ok(Filled::Bytes) => self.heard = true,
                Ok(Filled::End) | Err(ReadError::Io(_)) => return Err(UpstreamError::Closed(begun)),
                Err(ReadError::Expired) => return Err(UpstreamError::ReadExpired),
                Err(ReadError::WatchedGone) => return Err(UpstreamError::ClientGone),
            }
        }
    }
}
