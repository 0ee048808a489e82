//! One exchange on a connection, whichever HTTP it speaks: send a request, receive a response head.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;

use super::balance::Address;
use super::pool::PoolId;
use super::retry::{Ending, Progress};
use crate::base::buf::BufferPool;
use crate::base::clock;
use crate::h1::{self, HeadLimits, Parsed, Reject};
use crate::h2::frame::ErrorCode;
use crate::http::{ResponseHead, Version};
use crate::net::stream::WriteError;
use crate::net::{Filled, Input, ReadError, Stream, Timer, Until, Wait};
use crate::policy::limit::Member;

/// A connection to an upstream in use by one exchange.
pub struct Connection {
    pub stream: Rc<Stream>,
    pub input: Input,
    pub pool: PoolId,
    pub address: SocketAddr,
    /// It carried an exchange before.
    pub reused: bool,
    /// It may wait in its pool for another exchange, where this one leaves it fit to.
    pub poolable: bool,
    /// Its place among the requests in flight to the upstream, where those are counted.
    pub place: Option<Member>,
    /// Something came back in this exchange: it is not sent again.
    heard: bool,
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
    /// It reset the stream, and the connection lives on.
    StreamReset(Progress),
    /// What it sent on a stream breaks the rules of HTTP/2 (RFC 9113 §8.1.1).
    StreamMalformed,
    /// It was to speak HTTP/2 and does not.
    NotHttp2,
    /// It speaks HTTP/2 and takes no WebSocket over it (RFC 8441).
    NoTunnel,
    /// The caller's client has left; nobody wants the answer.
    ClientGone,
}

impl UpstreamError {
    /// What the retry rule asks for.
    pub fn ending(&self) -> (Progress, Ending) {
        match self {
            Self::Closed(progress) | Self::StreamReset(progress) => (*progress, Ending::Closed),
            _ => (Progress::Sent, Ending::Other),
        }
    }
}

impl Connection {
    pub(super) fn new(stream: Rc<Stream>, address: &Address, reused: bool) -> Self {
        // A stream of HTTP/2 is used once.
        let poolable = !stream.is_multiplexed();
        let (pool, address) = (address.pool, address.address);
        Self { stream, input: Input::patient(), pool, address, reused, poolable, place: None, heard: false }
    }

    /// Sends a request that is at hand as a whole.
    ///
    /// # Errors
    /// [`UpstreamError::Closed`] or [`UpstreamError::SendExpired`].
    pub async fn send(&self, request: &[u8], body: &[u8], timer: &Timer, send_ms: u64) -> Result<(), UpstreamError> {
        let mut parts = [IoSlice::new(request), IoSlice::new(body)];
        let count = if body.is_empty() { 1 } else { 2 };
        let parts = parts.get_mut(..count).unwrap_or_default();
        match self.stream.write_all(parts, timer, send_ms).await {
            Ok(()) => Ok(()),
            Err(WriteError::Expired) => Err(UpstreamError::SendExpired),
            Err(WriteError::Untouched(error)) => Err(self.broken(&error, Progress::NothingSent)),
            // The peer may have answered before it stopped reading (RFC 9113 §8.1); if not, reading says why.
            Err(WriteError::Broken(_)) if self.stream.is_multiplexed() => Ok(()),
            Err(WriteError::Broken(_)) => Err(UpstreamError::Closed(Progress::Sent)),
        }
    }

    /// What it means that the stream broke after so much progress.
    fn broken(&self, error: &io::Error, progress: Progress) -> UpstreamError {
        let Some(session) = self.stream.session() else { return UpstreamError::Closed(progress) };
        match (error.kind(), session.end().map(|end| end.code)) {
            (io::ErrorKind::ConnectionAborted, _) if !self.heard => UpstreamError::Closed(Progress::NotProcessed),
            (io::ErrorKind::InvalidData, _) => UpstreamError::StreamMalformed,
            (_, None) => UpstreamError::StreamReset(progress),
            (_, Some(ErrorCode::SettingsTimeout)) => UpstreamError::ConnectExpired,
            (_, Some(code)) if code != ErrorCode::NoError && !session.is_told() => UpstreamError::NotHttp2,
            _ => UpstreamError::Closed(progress),
        }
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
                        if self.stream.is_multiplexed() {
                            head.version = Version::Http2;
                        }
                        return Ok(());
                    }
                    Parsed::Partial => {}
                }
            }
            seen = self.input.unread().len();
            let begun = if self.heard { Progress::ResponseBegun } else { Progress::Sent };
            match self.input.fill(&self.stream, buffers, silence.wait()).await {
                Ok(Filled::Bytes) => self.heard = true,
                Ok(Filled::End) => return Err(UpstreamError::Closed(begun)),
                Err(ReadError::Io(error)) => return Err(self.broken(&error, begun)),
                Err(ReadError::Expired) => {
                    self.stream.session().into_iter().for_each(|session| session.doubt(silence.most_ms));
                    return Err(UpstreamError::ReadExpired);
                }
                Err(ReadError::WatchedGone) => return Err(UpstreamError::ClientGone),
            }
        }
    }
}
