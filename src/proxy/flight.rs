//! A flight: one request to the upstream on behalf of everybody who waits for its answer, on any core.
//!
//! It is a task of its own, so no client that leaves ends it. It writes what arrives into its object, decides whether the
//! answer may be stored, and ends by telling everybody how it went; a flight that panics has failed.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::ask::{Ask, Behalf, Question};
use super::core::{Core, CoreService};
use super::exchange::{Peer, RequestId};
use super::fetch::give_back;
use super::landing::{Landing, Renewal, answer_head};
use super::route::Route;
use super::transfer::{Source, TransferError, breathe};
use crate::base::clock;
use crate::bounds;
use crate::cache::answer::AnswerHead;
use crate::cache::directives::RequestControl;
use crate::cache::event_stream::{StreamEnd, StreamVerdict};
use crate::cache::fill::{Ending, Writer};
use crate::cache::front::Kept;
use crate::cache::life::State;
use crate::cache::object::Content;
use crate::cache::policy::{CachePolicy, Unwanted};
use crate::cache::{conditional, judge, key, storable};
use crate::h1::{self, BodyDecoder, BodyLength, ResponseFraming};
use crate::http::{FieldId, RequestHead, ResponseHead};
use crate::net::{ReadError, Timer, Until, Wait, task};
use crate::stats::{Counter, Gauge, NotStored, Reason};
use crate::upstream::client::Connection;

/// A response that may not be shared, for the one who led.
pub struct Handed {
    pub connection: Connection,
    pub head: ResponseHead,
    pub framing: ResponseFraming,
}

/// What a flight leaves for the one who led, and for nobody else.
#[derive(Default)]
pub struct Left {
    pub handed: Option<Handed>,
    /// Field lines that are not stored.
    pub private: Vec<u8>,
}

/// Where it leaves it.
pub type Handoff = Rc<RefCell<Left>>;

/// Everything a flight needs, all its own.
pub struct Flight {
    pub core: Rc<Core>,
    pub service: Rc<CoreService>,
    pub route: Arc<Route>,
    pub policy: Arc<CachePolicy>,
    pub request: Request,
    /// Where its object stands and where the answer goes.
    pub landing: Landing,
    pub writer: Option<Writer>,
    /// What is stored already, to be confirmed or replaced.
    pub stale: Option<Rc<Kept>>,
    pub handoff: Handoff,
    /// Nobody waits for it and it goes on all the same.
    pub background: bool,
    /// What the request of the one who led demands.
    pub control: RequestControl,
    /// The key was asked for often enough to be stored.
    pub wanted: bool,
}

/// The request of the one who led.
pub struct Request {
    pub head: RequestHead,
    pub body: Vec<u8>,
    pub framing: BodyLength,
    pub peer: Peer,
    pub trusted: bool,
    pub id: RequestId,
}

/// How a body came to its end.
struct Arrived {
    not_stored: Option<NotStored>,
}

/// Sends a flight on its way.
pub fn take_off(flight: Flight) {
    let core = Rc::clone(&flight.core);
    let on_panic = move |text: &str| {
        core.stats.inc(Counter::Panics);
        core.stats.reason(Reason::Panic);
        core.log.event(crate::log::Level::Error, &format!("a panic ended a fetch: {text}; please report it"));
    };
    task::spawn(fly(flight), on_panic);
}

/// However it ends, by a panic too: its object does not stay filling in the table.
impl Drop for Flight {
    fn drop(&mut self) {
        self.landing.leave(&self.core);
    }
}

async fn fly(mut flight: Flight) {
    let core = Rc::clone(&flight.core);
    let _active = core.stats.hold(Gauge::FlightsActive);
    let Some(mut writer) = flight.writer.take() else { return };
    let number = flight.landing.object.number;
    let ending = flight.run(&mut writer).await;
    flight.landing.leave(&core);
    core.wakes.ring(writer.end(ending), number);
}

impl Flight {
    async fn run(&mut self, writer: &mut Writer) -> Ending {
        let timer = self.core.deadlines.timer();
        let object = Arc::clone(&self.landing.object);
        let may_stop = !self.background && self.policy.unwanted == Unwanted::Stop;
        let core = Rc::clone(&self.core);
        let is_unwanted = move || match object.life.state() {
            // A drain waits for clients, not for the cache.
            State::Filling if core.draining.get() => object.life.abandon(),
            State::Filling => may_stop && !object.goes_on() && object.life.abandon(),
            State::Complete => false,
            State::Dead => object.life.followers() == 0,
        };
        let until = Until::Unwanted(&is_unwanted);
        let request_ms = clock::unix_ms();
        let (connection, head) = match self.ask(&timer, until).await {
            Ok(answered) => answered,
            Err(Reason::ClientGone) => return self.not_stored(NotStored::Unwanted, Ending::Failed(Reason::ClientGone)),
            Err(reason) => return self.not_stored(NotStored::UpstreamFailed, Ending::Failed(reason)),
        };
        // Sent: a stream may last for hours.
        self.request.body = Vec::new();
        let times = (request_ms, clock::unix_ms());
        let framing = match h1::response_framing(&head, false) {
            Ok(framing) => framing,
            Err(_) => return self.not_stored(NotStored::UpstreamFailed, Ending::Failed(Reason::UpstreamBadResponse)),
        };
        if let Some(stale) = self.stale.clone() {
            if head.status == 304 {
                return self.confirm(&stale, (connection, framing), head, times, writer);
            }
            if head.status >= 500 && stands_in(&stale, &self.control, times.1) {
                return Ending::Failed(Reason::UpstreamStatus);
            }
        }
        match self.agree(&head, framing, times) {
            Err(reason) => self.release(connection, head, framing, reason),
            Ok((answer, private)) => {
                self.handoff.borrow_mut().private = private;
                self.core.give_response_head(head);
                self.arrive(connection, framing, Arc::new(answer), writer, (&timer, until)).await
            }
        }
    }

    async fn ask(&self, timer: &Timer, until: Until<'_>) -> Result<(Connection, ResponseHead), Reason> {
        let ask = Ask::new(&self.core, &self.service, &self.route).ok_or(Reason::Internal)?;
        let mut validators = Vec::new();
        if let Some(Content::Answer(answer)) = self.stale.as_deref().map(|kept| &*kept.content) {
            conditional::write_validators(&mut validators, &answer.head.fields);
        }
        let Request { head, body, framing, peer, trusted, id } = &self.request;
        let mut host = Vec::new();
        key::write_host(&mut host, h1::authority(head), peer.tls);
        let question = Question {
            head,
            peer,
            trusted: *trusted,
            request_id: id,
            framing: *framing,
            body,
            expect_continue: false,
            upgrade: false,
            validators: Some(&validators),
            client_host: &host,
        };
        let behalf = Behalf { timer, until, interim: None };
        let mut endpoint = None;
        ask.whole(&question, behalf, &mut endpoint).await.map_err(|failure| failure.reason)
    }

    /// Whether and how the answer may be stored, as far as its head can tell.
    fn agree(
        &self,
        head: &ResponseHead,
        framing: ResponseFraming,
        (request_ms, response_ms): (u64, u64),
    ) -> Result<(AnswerHead, Vec<u8>), NotStored> {
        let random = self.core.random.next_u64();
        let exchange =
            storable::Exchange { request: &self.request.head, response: head, request_ms, response_ms, random };
        let terms = storable::terms(&exchange, &self.policy)?;
        let length = match framing.body {
            BodyLength::None => Some(0),
            BodyLength::Length(length) => Some(length),
            BodyLength::Chunked => None,
            BodyLength::UntilClose => return Err(NotStored::NoLength),
        };
        if length.is_some_and(|length| length > self.policy.object_bytes_max) {
            return Err(NotStored::TooLarge);
        }
        answer_head(&self.request.head, head, &self.policy, terms, length)
    }

    /// The answer is not to be shared: who led gets it, the others go alone, and so do the next ones for a while.
    fn release(
        &mut self,
        connection: Connection,
        head: ResponseHead,
        framing: ResponseFraming,
        reason: NotStored,
    ) -> Ending {
        // An error is no reason to give up what is stored: it may bridge the next ones.
        match self.stale.as_ref().is_some_and(|stale| outlives(stale, head.status)) {
            true => self.landing.withdraw(&self.core),
            false => self.landing.mark(&self.core, mark_ms(&self.policy, head.status)),
        }
        self.handoff.borrow_mut().handed = Some(Handed { connection, head, framing });
        self.not_stored(reason, Ending::Released(reason))
    }

    fn not_stored(&self, reason: NotStored, ending: Ending) -> Ending {
        self.policy.counters.not_stored(self.core.index, reason);
        ending
    }

    /// The upstream says that what is stored still holds (RFC 9111 §4.3.4).
    fn confirm(
        &mut self,
        stale: &Rc<Kept>,
        (connection, framing): (Connection, ResponseFraming),
        head: ResponseHead,
        times: (u64, u64),
        writer: &Writer,
    ) -> Ending {
        if framing.keep_alive {
            give_back(&self.core, connection);
        }
        let (core, policy, request) = (&*self.core, &*self.policy, &self.request.head);
        let renewal = Renewal { core, policy, request, response: &head, times };
        let (ending, reason) = self.landing.confirm(&renewal, stale, writer);
        self.core.give_response_head(head);
        reason.into_iter().fold(ending, |ending, reason| self.not_stored(reason, ending))
    }

    /// The body arrives.
    async fn arrive(
        &mut self,
        mut connection: Connection,
        framing: ResponseFraming,
        head: Arc<AnswerHead>,
        writer: &mut Writer,
        (timer, until): (&Timer, Until<'_>),
    ) -> Ending {
        self.core.wakes.ring(writer.begin(Arc::clone(&head)), self.landing.object.number);
        let mut decoder = BodyDecoder::new(framing.body);
        let mut source = Source {
            stream: &connection.stream,
            input: &mut connection.input,
            decoder: &mut decoder,
            timer,
            timeout_ms: self.route.read_ms,
            until,
            allowance: u64::MAX,
            edits: None,
        };
        let arrived = self.copy(&mut source, &head, writer, until).await;
        let done = decoder.is_done();
        self.core.stats.add(Counter::UpstreamBytesReceived, writer.written());
        match arrived {
            Err(error) => self.broken(&error),
            Ok(arrived) => {
                if framing.keep_alive && done {
                    give_back(&self.core, connection);
                }
                let stored = match arrived.not_stored {
                    Some(reason) => Err(reason),
                    None => self.store(&head, writer),
                };
                match stored {
                    Ok(()) => Ending::Whole,
                    Err(reason) => self.not_stored(reason, Ending::Whole),
                }
            }
        }
    }

    fn store(&mut self, head: &Arc<AnswerHead>, writer: &mut Writer) -> Result<(), NotStored> {
        if !self.wanted {
            return Err(NotStored::MinUses);
        }
        let body = writer.collect(|bytes| self.core.cache.charge(bytes)).ok_or(NotStored::NoRoom)?;
        self.landing.store(&self.core, &self.request.head, Arc::clone(head), body)
    }

    fn broken(&self, error: &TransferError) -> Ending {
        let (reason, ending) = match error {
            TransferError::Source(ReadError::WatchedGone) => (NotStored::Unwanted, Reason::ClientGone),
            TransferError::Source(ReadError::Expired) => (NotStored::UpstreamFailed, Reason::UpstreamReadTimeout),
            TransferError::Source(ReadError::Io(_)) => (NotStored::UpstreamFailed, Reason::UpstreamReset),
            TransferError::Malformed(_) => (NotStored::UpstreamFailed, Reason::UpstreamBadResponse),
            TransferError::Truncated | TransferError::TooLarge | TransferError::Sink(_) => {
                (NotStored::Truncated, Reason::UpstreamTruncated)
            }
        };
        self.not_stored(reason, Ending::Failed(ending))
    }

    /// Copies the body into the object; an answer that turns out too large goes on unstored, as fast as its slowest
    /// reader.
    async fn copy(
        &mut self,
        source: &mut Source<'_>,
        head: &AnswerHead,
        writer: &mut Writer,
        until: Until<'_>,
    ) -> Result<Arrived, TransferError> {
        let mut end =
            head.fields.find(FieldId::ContentType).filter(|t| is_event_stream(t)).map(|_| StreamEnd::default());
        let (mut not_stored, mut burst, mut looked_ms) = (None, 0, clock::now_ms());
        loop {
            // Bytes that keep coming never let a wait end by looking.
            if clock::now_ms() >= looked_ms + bounds::CLIENT_CHECK_MS {
                looked_ms = clock::now_ms();
                if matches!(until, Until::Unwanted(is_unwanted) if is_unwanted()) {
                    return Err(TransferError::Source(ReadError::WatchedGone));
                }
            }
            let piece = source.next(None, &self.core.buffers).await?;
            let payload = source.payload(&piece);
            if let Some(end) = &mut end {
                end.feed(payload);
            }
            if not_stored.is_none() {
                not_stored = self.append(payload, writer);
            } else {
                self.core.wakes.ring(writer.pass(payload), self.landing.object.number);
            }
            source.consume(&piece);
            let bytes = piece.bytes();
            if let Some(trailers) = piece.end {
                let verdict = end.map(|end| end.verdict());
                return Ok(Arrived { not_stored: not_stored.or_else(|| unclean(&trailers, verdict)) });
            }
            if not_stored.is_some() {
                self.wait_for_readers(writer, source.timer, until).await?;
            }
            breathe(bytes, &mut burst).await;
        }
    }

    /// Appends to the object; says why, where it is not to be stored from here on.
    fn append(&mut self, payload: &[u8], writer: &mut Writer) -> Option<NotStored> {
        let number = self.landing.object.number;
        let too_large = writer.written() + payload.len() as u64 > self.policy.object_bytes_max;
        let (reason, taken) = match too_large {
            true => (NotStored::TooLarge, 0),
            false => match writer.append(payload, |bytes| self.core.cache.charge(bytes)) {
                Ok(cores) => {
                    self.core.wakes.ring(cores, number);
                    return None;
                }
                Err(taken) => (NotStored::NoRoom, taken),
            },
        };
        writer.detach();
        match reason == NotStored::NoRoom && self.stale.is_some() {
            // What is stored is worth more than a mark.
            true => self.landing.withdraw(&self.core),
            false => self.landing.mark(&self.core, self.policy.hit_for_miss_ms),
        }
        let rest = payload.get(taken..).unwrap_or_default();
        self.core.wakes.ring(writer.pass(rest), number);
        Some(reason)
    }

    /// Waits until the slowest reader of an answer that is not stored has come along. Where it is so slow that others
    /// wait for its sake, it is left behind.
    async fn wait_for_readers(
        &self,
        writer: &mut Writer,
        timer: &Timer,
        until: Until<'_>,
    ) -> Result<(), TransferError> {
        loop {
            let (before, deadline_ms) = (writer.behind(), clock::now_ms() + LEFT_BEHIND_MS);
            match self.readers_come_along(writer, timer, until, deadline_ms).await {
                Ok(()) => {
                    writer.give_up_charge();
                    return Ok(());
                }
                Err(ReadError::Expired) if timer.is_over() => return Err(TransferError::Source(ReadError::Expired)),
                // Nothing moved, and somebody else waits.
                Err(ReadError::Expired)
                    if writer.behind() >= before && writer.is_awaited() && self.landing.object.life.followers() > 1 =>
                {
                    writer.leave_behind();
                }
                Err(ReadError::Expired) => {}
                Err(error) => return Err(TransferError::Source(error)),
            }
        }
    }

    async fn readers_come_along(
        &self,
        writer: &Writer,
        timer: &Timer,
        until: Until<'_>,
        deadline_ms: u64,
    ) -> Result<(), ReadError> {
        let place = self.core.wakes.place(self.landing.object.number);
        let room = std::future::poll_fn(|context| {
            if writer.behind() <= bounds::UNSTORED_WINDOW_BYTES {
                return std::task::Poll::Ready(());
            }
            place.wait(context.waker());
            writer.stall(self.core.index);
            // Once more: a reader that came along before the bell was hung up does not ring it.
            match writer.behind() <= bounds::UNSTORED_WINDOW_BYTES {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        });
        Wait { timer, deadline_ms, until }.bound(room).await
    }
}

/// Whether a stale answer stands in for an upstream that fails (RFC 5861 §4), for the one who led: who else waits asks
/// again on its own terms.
fn stands_in(stale: &Kept, control: &RequestControl, now_ms: u64) -> bool {
    match &*stale.content {
        Content::Answer(answer) if stale.object.life.state() == State::Complete => {
            judge::stale_on_error(&answer.head.terms, stale.object.life.is_soft(), control, now_ms)
        }
        _ => false,
    }
}

/// Whether what is stored stays although the upstream answered with something that cannot be: an error of the moment,
/// or a refusal of a request that insisted on asking while the stored answer was fresh.
fn outlives(stale: &Kept, status: u16) -> bool {
    let Content::Answer(answer) = &*stale.content else { return false };
    let fresh = !stale.object.life.is_soft() && answer.head.terms.fresh_for_ms(clock::unix_ms()) > 0;
    is_error(status) || (fresh && status >= 400)
}

fn is_event_stream(content_type: &[u8]) -> bool {
    content_type.get(..17).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
}

/// Why a body that came to its end is not to be kept all the same.
fn unclean(trailers: &[u8], verdict: Option<StreamVerdict>) -> Option<NotStored> {
    match verdict {
        Some(StreamVerdict::Error) => Some(NotStored::StreamError),
        Some(StreamVerdict::Unfinished) => Some(NotStored::StreamUnfinished),
        Some(StreamVerdict::Ended) | None => (!trailers.is_empty()).then_some(NotStored::Trailers),
    }
}

/// How long requests go side by side behind an answer that was not stored. An error is over sooner than a rule.
fn mark_ms(policy: &CachePolicy, status: u16) -> u64 {
    if is_error(status) { policy.hit_for_miss_ms.min(ERROR_MARK_MS) } else { policy.hit_for_miss_ms }
}

/// Whether a status speaks of the moment, not of the resource.
fn is_error(status: u16) -> bool {
    matches!(status, 429 | 500..=599)
}

/// How long a reader of an unstored answer may hold up others without taking a block (256 KiB where the upstream is
/// quick).
const LEFT_BEHIND_MS: u64 = 2_500;
/// Longest mark behind an error.
const ERROR_MARK_MS: u64 = 1_000;
