//! The way of a request body up that was not at hand as a whole: a future beside the response, polled by the same task.
//!
//! Also the client as both directions see it while its body is lent out, and `Expect: 100-continue` (RFC 9110 §10.1.1).

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use super::core::Core;
use super::exchange::{Client, Progress, RequestBody};
use super::failure::Failure;
use super::route::Route;
use super::service::ExpectPolicy;
use super::transfer::{Piece, Sink, Source, TransferError, breathe};
use crate::base::buf::BufferPool;
use crate::base::clock;
use crate::bounds;
use crate::h1::{BodyEncoder, BodyLength};
use crate::net::stream::WriteError;
use crate::net::{ReadError, Stream, Timer, Until};
use crate::stats::{Counter, Reason};

/// What tells a client that its body is wanted.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The way of the request body up.
pub enum Upload<'a> {
    /// All of it is sent, or there is none.
    Done,
    Going(Pin<Box<dyn Future<Output = Result<(), TransferError>> + 'a>>),
    /// The upstream stopped taking it; it may answer all the same.
    Broken,
}

/// What an upload needs beside the body and the client.
pub struct Way<'a> {
    pub core: &'a Core,
    pub route: &'a Route,
    pub upstream: Rc<Stream>,
    /// Longest wait for room towards the upstream, milliseconds.
    pub send_ms: u64,
    pub expect: ExpectPolicy,
}

/// The client's side while its body is lent to an upload.
#[derive(Clone, Copy)]
pub struct Downstream<'a> {
    pub stream: &'a Stream,
    pub timer: &'a Timer,
    pub progress: &'a Progress,
    pub body: BodyLength,
    pub body_ms: u64,
    pub send_ms: u64,
    pub upgrade: bool,
    pub modern: bool,
    pub awaits_continue: bool,
}

/// Where a body comes home to when its upload ends or is given up, as long as all of it can be sent again: the upstream
/// may say that it has processed nothing.
pub type Home<'a> = Rc<Cell<Option<RequestBody<'a>>>>;

/// A body as long as it is lent to an upload.
struct Lent<'a> {
    body: Option<RequestBody<'a>>,
    /// A copy of what has left the input, as long as it is short.
    kept: Option<Vec<u8>>,
    /// Bytes at the front of the input that are in `kept` already.
    taken: usize,
    home: Home<'a>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let (Some(mut body), Some(kept)) = (self.body.take(), self.kept.take()) {
            body.input.consume(self.taken);
            body.read.extend_from_slice(&kept);
            self.home.set(Some(body));
        }
    }
}

impl<'a> Upload<'a> {
    /// Begins to send the body; it goes on whenever [`drive`] is polled.
    pub fn begin(body: RequestBody<'a>, home: &Home<'a>, client: Downstream<'a>, way: Way<'a>) -> Self {
        // Only HTTP/2 can say that nothing was processed.
        let kept = way.upstream.is_multiplexed().then(Vec::new);
        let lent = Lent { body: Some(body), kept, taken: 0, home: Rc::clone(home) };
        Self::Going(Box::pin(upload(lent, client, way)))
    }

    /// Whether bytes are still on their way.
    pub fn is_going(&self) -> bool {
        matches!(self, Self::Going(_))
    }
}

async fn upload(mut lent: Lent<'_>, client: Downstream<'_>, way: Way<'_>) -> Result<(), TransferError> {
    let Way { core, route, upstream, send_ms, expect } = way;
    let Lent { body: Some(RequestBody { input, decoder, read }), kept, taken, .. } = &mut lent else { return Ok(()) };
    let timer = core.deadlines.timer();
    if client.awaits_continue && input.is_empty() && read.is_empty() {
        match expect {
            ExpectPolicy::Answer => client.invite()?,
            ExpectPolicy::Forward => client.wait_for_continue(&timer).await,
        }
    }
    let mut source = Source {
        stream: client.stream,
        input,
        decoder,
        timer: &timer,
        timeout_ms: client.body_ms,
        until: Until::Deadline,
        allowance: route.body_bytes_max.saturating_sub(read.len() as u64),
        edits: Some(&route.request),
    };
    let mut pending = Vec::new();
    let mut sink = Sink {
        stream: &upstream,
        pending: &mut pending,
        encoder: BodyEncoder::new(client.body),
        timer: &timer,
        timeout_ms: send_ms,
        sent: 0,
        touched: false,
        last: false,
        traffic: None,
    };
    let outcome = match sink.put(read, None, &core.buffers).await {
        Ok(()) => send_on(&mut source, &mut sink, &core.buffers, kept, taken).await,
        Err(error) => Err(TransferError::Sink(error)),
    };
    client.progress.body_bytes.set(sink.sent);
    client.progress.body_read.set(source.decoder.is_done());
    core.stats.add(Counter::UpstreamBytesSent, sink.sent);
    core.buffers.give(pending);
    outcome
}

/// As `transfer`, and keeps a copy of what it has sent as long as that is wanted.
async fn send_on(
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    buffers: &BufferPool,
    kept: &mut Option<Vec<u8>>,
    taken: &mut usize,
) -> Result<(), TransferError> {
    let mut burst = 0;
    loop {
        let piece = source.next(Some(&mut *sink), buffers).await?;
        keep(kept, source.payload(&piece), &piece);
        *taken = piece.bytes();
        sink.put(source.payload(&piece), piece.end.as_ref(), buffers).await.map_err(TransferError::Sink)?;
        source.consume(&piece);
        *taken = 0;
        if piece.end.is_some() {
            return Ok(());
        }
        breathe(piece.bytes(), &mut burst).await;
    }
}

/// Puts a piece to the copy, or gives the copy up: it would be too long, or trailers would be missing from it.
fn keep(kept: &mut Option<Vec<u8>>, payload: &[u8], piece: &Piece) {
    let has_trailers = piece.end.as_ref().is_some_and(|trailers| !trailers.is_empty());
    match kept {
        Some(copy) if copy.len() + payload.len() <= bounds::KEPT_UPLOAD_BYTES_MAX && !has_trailers => {
            copy.extend_from_slice(payload);
        }
        _ => *kept = None,
    }
}

impl<'a> Downstream<'a> {
    /// What of the client both directions need.
    pub fn of(client: &Client<'a>) -> Self {
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

    /// Tells the client that its body is wanted, unless the answer has begun already. Never waits: behind a wait the
    /// answer might have begun. A client whose buffer has no room for a line sends its body without the invitation.
    fn invite(&self) -> Result<(), TransferError> {
        if self.progress.response_begun.get() || self.stream.try_send(CONTINUE) {
            return Ok(());
        }
        Err(TransferError::Source(ReadError::WatchedGone))
    }

    /// Waits for the upstream's word, but not for ever: clients send after a while by themselves (RFC 9110 §10.1.1).
    async fn wait_for_continue(&self, timer: &Timer) {
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
