//! Get a connection: a warm one, a stream on one that is shared, or a new one. Address by address, until one works.
//!
//! What protocol is spoken follows from what the upstream is said to speak and from what its endpoint chooses by ALPN.

use std::rc::Rc;
use std::sync::Arc;

use super::balance::{Address, Target};
use super::client::{Connection, UpstreamError};
use super::keeper::{self, Keeper};
use super::options::Protocol;
use super::pool::Pools;
use super::sessions::{Dialling, Sessions, Turn};
use crate::base::buf::BufferPool;
use crate::base::clock;
use crate::log::CoreLog;
use crate::net::dial::{self, DialError};
use crate::net::{Deadlines, ReadError, Stream, Timer, Until, Wait};
use crate::stats::{CoreStats, Counter};

/// What of a core is needed to get connections.
pub struct Means<'a> {
    pub pools: &'a Pools,
    pub buffers: &'a Rc<BufferPool>,
    pub deadlines: &'a Rc<Deadlines>,
    pub stats: &'a Arc<CoreStats>,
    pub log: &'a Rc<CoreLog>,
    pub timer: &'a Timer,
    /// On whose behalf: when it leaves, connecting stops.
    pub until: Until<'a>,
}

/// What connection is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// How long connecting, or waiting for room on a connection, may take, milliseconds.
    pub connect_ms: u64,
    /// No warm connection of HTTP/1.1: one has just broken.
    pub fresh: bool,
    /// It is to become a tunnel for WebSocket.
    pub upgrade: bool,
}

/// What ALPN calls HTTP/2 (RFC 9113 §3.2).
const ALPN_HTTP2: &[u8] = b"h2";

/// A connection to one of the target's addresses: warm if not a fresh one is wanted, else new. A refused or silent
/// address is followed by the next one. Returns the address as well: its authority is what Host says.
///
/// # Errors
/// The last address's [`UpstreamError`], or that the watched client has left.
pub async fn connect<'t>(
    target: &'t Target,
    means: &Means<'_>,
    wanted: Wanted,
) -> Result<(Connection, &'t Address), UpstreamError> {
    let mut last = UpstreamError::NoEndpoint;
    for address in target.order(clock::now_ms()).into_iter().flatten() {
        if let Some(connection) = at_once(address, means, wanted) {
            means.stats.inc(Counter::UpstreamReuses);
            return Ok((connection, address));
        }
        let outcome = match &address.sessions {
            // An Upgrade is a matter of HTTP/1.1: where that is spoken too, it is asked for.
            Some(sessions) if !(wanted.upgrade && address.protocol == Protocol::Auto) => {
                // Boxed: most exchanges find a stream at once.
                Box::pin(shared(address, sessions, means, wanted)).await
            }
            _ => alone(address, means, wanted).await,
        };
        match outcome {
            Ok(connection) => return Ok((connection, address)),
            Err(UpstreamError::ClientGone) => return Err(UpstreamError::ClientGone),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A connection for which nothing has to be waited.
fn at_once(address: &Address, means: &Means<'_>, wanted: Wanted) -> Option<Connection> {
    if !wanted.fresh
        && matches!(address.protocol, Protocol::Auto | Protocol::H1)
        && let Some(stream) = means.pools.take(address.pool, clock::now_ms(), means.buffers)
    {
        return Some(Connection::new(stream, address, true));
    }
    // A tunnel has to know first what the peer takes.
    let sessions = address.sessions.as_ref().filter(|_| !wanted.upgrade)?;
    sessions.stream_at_once().map(|stream| Connection::new(Rc::new(stream), address, true))
}

/// A connection of HTTP/1.1 of its own.
async fn alone(address: &Address, means: &Means<'_>, wanted: Wanted) -> Result<Connection, UpstreamError> {
    let stream = dial(address, means, wanted).await.inspect_err(|error| note_failure(address, means, error))?;
    address.worked();
    let mut connection = Connection::new(Rc::new(stream), address, false);
    // Others of this pool may be streams of HTTP/2: it would be taken in their place.
    connection.poolable = address.sessions.is_none();
    Ok(connection)
}

/// A stream on a connection of HTTP/2 that is there, or comes. Where the endpoint chooses HTTP/1.1 and may do so, a
/// connection of that.
async fn shared(
    address: &Address,
    sessions: &Rc<Sessions>,
    means: &Means<'_>,
    wanted: Wanted,
) -> Result<Connection, UpstreamError> {
    let wait = Wait { timer: means.timer, deadline_ms: clock::now_ms() + wanted.connect_ms, until: means.until };
    loop {
        let (stream, reused) = match wait.bound(sessions.turn()).await.map_err(given_up)? {
            Turn::Stream(stream) => {
                means.stats.inc(Counter::UpstreamReuses);
                (stream, true)
            }
            Turn::Failed(error) => return Err(error),
            Turn::Dial(dialling) => match dial(address, means, wanted).await {
                Ok(stream) => {
                    address.worked();
                    match settle(stream, address, sessions, means, wanted, dialling)? {
                        Settled::Stream(stream) => (stream, false),
                        Settled::Connection(connection) => return Ok(connection),
                        Settled::Ended => continue,
                    }
                }
                Err(error @ (UpstreamError::ClientGone | UpstreamError::ConnectExpired)) => {
                    // Those who wait have their own patience: the next one tries.
                    note_failure(address, means, &error);
                    return Err(error);
                }
                Err(error) => {
                    if dialling.failed(&error) {
                        means.stats.inc(Counter::UpstreamConnectFailures);
                        continue;
                    }
                    note_failure(address, means, &error);
                    return Err(error);
                }
            },
        };
        if wanted.upgrade {
            wait.bound(takes_tunnel(&stream, sessions)).await.map_err(given_up)??;
        }
        return Ok(Connection::new(Rc::new(stream), address, reused));
    }
}

/// What a new connection turned out to be.
enum Settled {
    Stream(Stream),
    Connection(Connection),
    /// It has ended already.
    Ended,
}

/// Looks what the endpoint has chosen, and tells those who wait.
fn settle(
    stream: Stream,
    address: &Address,
    sessions: &Rc<Sessions>,
    means: &Means<'_>,
    wanted: Wanted,
    dialling: Dialling,
) -> Result<Settled, UpstreamError> {
    let is_http2 = match address.protocol {
        Protocol::H2c => true,
        _ => stream.protocol().as_deref() == Some(ALPN_HTTP2),
    };
    if is_http2 {
        let keeper = Keeper {
            buffers: Rc::clone(means.buffers),
            deadlines: Rc::clone(means.deadlines),
            stats: Arc::clone(means.stats),
            log: Rc::clone(means.log),
            address: address.address,
            settle_ms: wanted.connect_ms,
            send_ms: address.send_ms,
        };
        let session = keeper::begin(stream, sessions, keeper);
        return Ok(dialling.chose_http2(session).map_or(Settled::Ended, Settled::Stream));
    }
    if address.protocol == Protocol::Auto {
        dialling.chose_http1();
        return Ok(Settled::Connection(Connection::new(Rc::new(stream), address, false)));
    }
    let error = UpstreamError::Tls("it did not choose h2 by ALPN".to_owned());
    dialling.failed(&error);
    note_failure(address, means, &error);
    Err(error)
}

/// Whether a stream may become a tunnel: the peer has to have said so (RFC 8441 §3).
async fn takes_tunnel(stream: &Stream, sessions: &Sessions) -> Result<(), UpstreamError> {
    let Some(session) = stream.session() else { return Ok(()) };
    sessions.settled(session).await;
    if session.takes_connect() { Ok(()) } else { Err(UpstreamError::NoTunnel) }
}

/// Opens a connection.
async fn dial(address: &Address, means: &Means<'_>, wanted: Wanted) -> Result<Stream, UpstreamError> {
    means.stats.inc(Counter::UpstreamConnects);
    let now_ms = clock::now_ms();
    address.trying(now_ms, wanted.connect_ms);
    let wait = Wait { timer: means.timer, deadline_ms: now_ms + wanted.connect_ms, until: means.until };
    let outcome = match &address.tls {
        None => wait.bound(dial::tcp(address.address)).await.map(|dialled| dialled.map(Stream::Plain)),
        Some(tls) => {
            let is_http1 = wanted.upgrade && address.protocol == Protocol::Auto;
            let config = if is_http1 { &tls.config_h1 } else { &tls.config };
            // Boxed: rare, and larger than all the rest of an exchange.
            let dialling = dial::tls(address.address, tls.server_name.clone(), Arc::clone(config));
            Box::pin(wait.bound(dialling)).await
        }
    };
    match outcome {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(DialError::Refused)) => Err(UpstreamError::ConnectRefused),
        Ok(Err(DialError::Tls(text))) => Err(UpstreamError::Tls(text)),
        Ok(Err(DialError::Io(error))) => Err(UpstreamError::ConnectFailed(error)),
        Err(error) => Err(given_up(error)),
    }
}

fn note_failure(address: &Address, means: &Means<'_>, error: &UpstreamError) {
    if !matches!(error, UpstreamError::ClientGone) {
        means.stats.inc(Counter::UpstreamConnectFailures);
        address.failed(clock::now_ms());
    }
}

/// Why waiting for a connection was given up.
fn given_up(error: ReadError) -> UpstreamError {
    match error {
        ReadError::Io(error) => UpstreamError::ConnectFailed(error),
        ReadError::Expired => UpstreamError::ConnectExpired,
        ReadError::WatchedGone => UpstreamError::ClientGone,
    }
}
