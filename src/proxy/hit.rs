//! Hit: the response to a request out of a stored answer: whole, a part of it, or that the client has it already.
//!
//! Composing does no I/O; [`send`] waits for the client, [`send_at_once`] never does.

use std::io::IoSlice;
use std::ops::Range;
use std::rc::Rc;

use super::core::{Core, CoreService};
use super::deliver::{self, Next};
use super::exchange::{Client, Exchange};
use super::headers::{self, StoredParts};
use super::route::Route;
use super::screen::tell_limits;
use super::transfer::{Sink, breathe};
use crate::base::clock;
use crate::cache::answer::{Answer, Body};
use crate::cache::conditional::{self, Verdict};
use crate::cache::front::Kept;
use crate::cache::object::Content;
use crate::cache::range::{self, Multipart, Selection};
use crate::h1::{BodyEncoder, BodyLength};
use crate::http::Method;
use crate::net::stream::WriteError;
use crate::net::{Stream, Timer};
use crate::policy::limit::KeptSeats;
use crate::stats::Reason;

/// What of the stored body goes out behind the head.
enum Selected {
    Nothing,
    Whole,
    Part(Range<u64>),
    Parts(Multipart),
}

/// Bytes of a body that are sent without a wait being prepared for.
const AT_ONCE_BYTES_MAX: u64 = 256 * 1024;
/// Bytes of a body that are copied behind the head, so that both leave in one plain send.
const COPY_BYTES_MAX: u64 = 8 * 1024;

/// What was sent without waiting.
pub enum AtOnce {
    /// Everything.
    Done(Next),
    /// A part: so many bytes of head and body, by [`send_rest`] to be followed by the others.
    Part(Rest),
    /// Nothing: it is to be composed and sent in the usual way.
    NotNow,
}

/// What is left to be sent of a hit.
pub struct Rest {
    kept: Rc<Kept>,
    /// What leads: the head, and a small body copied behind it.
    head: Vec<u8>,
    /// The stored body follows.
    chunks_follow: bool,
    sent: usize,
    next: Next,
    /// The request is in flight until all is sent.
    seats: KeptSeats,
}

struct Composed {
    selected: Selected,
    status: u16,
}

/// Whose request is answered, and by which rules.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub core: &'a Core,
    pub service: &'a CoreService,
    pub route: &'a Route,
    pub client: &'a Client<'a>,
}

/// Writes the head of the response, and says what follows it.
fn compose(
    case: Case<'_>,
    exchange: &Exchange<'_>,
    kept: &Kept,
    answer: &Answer,
    out: &mut Vec<u8>,
    keep_alive: bool,
) -> Composed {
    let Case { core, service, route, client } = case;
    let stored = &answer.head;
    let length = answer.body.length();
    let verdict = conditional::evaluate(client.head, stored.status, &stored.fields, stored.terms.response_ms);
    let selection = match verdict {
        Verdict::Send if stored.status == 200 => range::select(client.head, &stored.fields, length),
        _ => Selection::Whole,
    };
    let is_head = client.head.method == Method::Head;
    let mut parts = StoredParts {
        service: &service.shared,
        route,
        private: &[],
        is_own: false,
        request_id: &exchange.request_id,
        note: exchange.cache.as_ref(),
        now_ms: clock::unix_ms(),
        answer: stored,
        // What a later plan has rendered is not for an exchange of this one, nor the other way round.
        rendered: kept.rendered().filter(|_| core.is_current(service)),
        status: stored.status,
        body: BodyLength::Length(length),
        range: None,
        client_version: client.head.version,
        keep_alive,
    };
    let selected = match (verdict, selection) {
        (Verdict::NotModified, _) => {
            (parts.status, parts.body) = (304, BodyLength::None);
            Selected::Nothing
        }
        (Verdict::PreconditionFailed, _) => {
            (parts.status, parts.body) = (412, BodyLength::Length(0));
            Selected::Nothing
        }
        (Verdict::Send, Selection::Whole) if is_head => Selected::Nothing,
        (Verdict::Send, Selection::Whole) => Selected::Whole,
        (Verdict::Send, Selection::One(part)) => {
            (parts.status, parts.body) = (206, BodyLength::Length(part.end - part.start));
            parts.range = Some(headers::RangeField::Part(range::content_range(&part, length)));
            Selected::Part(part)
        }
        (Verdict::Send, Selection::Several(ranges)) => {
            let multipart = Multipart::new(ranges, length, &stored.fields, core.random.next_u64());
            (parts.status, parts.body) = (206, BodyLength::Length(multipart.content_length()));
            parts.range = Some(headers::RangeField::Several(multipart.content_type()));
            Selected::Parts(multipart)
        }
        (Verdict::Send, Selection::Unsatisfiable) => {
            (parts.status, parts.body) = (416, BodyLength::Length(0));
            parts.range = Some(headers::RangeField::Part(range::unsatisfied_range(length)));
            Selected::Nothing
        }
    };
    headers::write_stored(out, &parts);
    tell_limits(core, client, exchange, out);
    // A stored 204 has no body and no length.
    let selected = if length == 0 && matches!(selected, Selected::Whole) { Selected::Nothing } else { selected };
    Composed { selected, status: parts.status }
}

fn keeps_alive(core: &Core, client: &Client<'_>) -> bool {
    client.framing.keep_alive && !core.draining.get()
}

fn next_of(keep_alive: bool) -> Next {
    if keep_alive { Next::KeepAlive } else { Next::Close { linger: true } }
}

/// Sends a stored answer without waiting, where the socket takes it.
pub fn send_at_once(case: Case<'_>, exchange: &mut Exchange<'_>, kept: Rc<Kept>) -> AtOnce {
    let Case { core, client, .. } = case;
    let Content::Answer(answer) = &*kept.content else { return AtOnce::NotNow };
    let keep_alive = keeps_alive(core, client);
    if answer.body.length() > AT_ONCE_BYTES_MAX || !keep_alive {
        return AtOnce::NotNow;
    }
    let mut head = core.buffers.small();
    let composed = compose(case, exchange, &kept, answer, &mut head, keep_alive);
    let body: &Body = match composed.selected {
        Selected::Nothing | Selected::Whole => &answer.body,
        Selected::Part(_) | Selected::Parts(_) => {
            core.buffers.give(head);
            return AtOnce::NotNow;
        }
    };
    exchange.status = composed.status;
    exchange.note_head(core, &head);
    client.progress.response_begun.set(true);
    let with_body = matches!(composed.selected, Selected::Whole);
    exchange.bytes_sent += if with_body { body.length() } else { 0 };
    let chunks_follow = with_body && body.length() > COPY_BYTES_MAX;
    if with_body && !chunks_follow {
        body.chunks().iter().for_each(|chunk| head.extend_from_slice(chunk));
    }
    let sent = match chunks_follow {
        false => client.stream.try_write(&mut [IoSlice::new(&head)]),
        true => write_chunks(client, &head, body),
    };
    match sent {
        Ok(None) => {
            core.buffers.give(head);
            AtOnce::Done(next_of(keep_alive))
        }
        Ok(Some(sent)) => {
            let (next, seats) = (next_of(keep_alive), exchange.seats.keep());
            AtOnce::Part(Rest { kept, head, chunks_follow, sent, next, seats })
        }
        Err(_) => {
            core.buffers.give(head);
            exchange.failure = Some(Reason::ClientGone.into());
            exchange.status = super::failure::CLIENT_CLOSED_REQUEST;
            AtOnce::Done(Next::Close { linger: false })
        }
    }
}

/// Head and chunks in one gathering write.
fn write_chunks(client: &Client<'_>, head: &[u8], body: &Body) -> std::io::Result<Option<usize>> {
    const SLICES: usize = 1 + (AT_ONCE_BYTES_MAX / 4096) as usize;
    let mut slices: [IoSlice<'_>; SLICES] = std::array::from_fn(|_| IoSlice::new(&[]));
    let mut count = 0;
    for (slot, bytes) in slices.iter_mut().zip(std::iter::once(head).chain(body.chunks().iter().map(|c| &**c))) {
        *slot = IoSlice::new(bytes);
        count += 1;
    }
    if count <= body.chunks().len() {
        // More chunks than slices: the usual way sends them.
        return Ok(Some(0));
    }
    client.stream.try_write(slices.get_mut(..count).unwrap_or_default())
}

/// Sends what [`send_at_once`] could not.
///
/// # Errors
/// The client is gone, or takes nothing.
pub async fn send_rest(
    core: &Core,
    stream: &Stream,
    timer: &Timer,
    send_ms: u64,
    rest: Rest,
) -> Result<Next, WriteError> {
    let Rest { kept, head, chunks_follow, sent, next, seats: _seats } = rest;
    let Content::Answer(answer) = &*kept.content else { return Ok(next) };
    let chunks = if chunks_follow { answer.body.chunks() } else { &[] };
    let mut slices: Vec<IoSlice<'_>> =
        std::iter::once(&head[..]).chain(chunks.iter().map(|c| &**c)).map(IoSlice::new).collect();
    let mut left = &mut slices[..];
    IoSlice::advance_slices(&mut left, sent);
    let outcome = stream.write_all(left, timer, send_ms).await;
    core.buffers.give(head);
    outcome.map(|()| next)
}

/// Sends a stored answer, or what the request wants of it.
pub async fn send(case: Case<'_>, exchange: &mut Exchange<'_>, kept: &Kept) -> Next {
    let Case { core, client, .. } = case;
    let Content::Answer(answer) = &*kept.content else { return Next::Close { linger: false } };
    let keep_alive = keeps_alive(core, client);
    let mut pending = core.buffers.small();
    let composed = compose(case, exchange, kept, answer, &mut pending, keep_alive);
    exchange.status = composed.status;
    exchange.note_head(core, &pending);
    exchange.first_byte();
    client.progress.response_begun.set(true);
    let mut sink = deliver::sink(client, &mut pending, BodyEncoder::new(BodyLength::None));
    sink.last = !keep_alive;
    let outcome = send_selected(core, &mut sink, &composed.selected, &answer.body).await;
    exchange.bytes_sent += sink.sent;
    core.buffers.give(pending);
    match outcome {
        Ok(()) => next_of(keep_alive),
        Err(error) => {
            exchange.failure = Some(deliver::sink_failure(&error));
            exchange.status = super::failure::CLIENT_CLOSED_REQUEST;
            Next::Close { linger: false }
        }
    }
}

async fn send_selected(core: &Core, sink: &mut Sink<'_>, selected: &Selected, body: &Body) -> Result<(), WriteError> {
    let buffers = &core.buffers;
    match selected {
        Selected::Nothing => {}
        Selected::Whole => send_range(core, sink, body, &(0..body.length())).await?,
        Selected::Part(part) => send_range(core, sink, body, part).await?,
        Selected::Parts(multipart) => {
            let mut text = Vec::new();
            for (index, part) in multipart.ranges().iter().enumerate() {
                text.clear();
                multipart.write_part_head(&mut text, index);
                sink.put_raw(&text, false, buffers).await?;
                send_range(core, sink, body, part).await?;
            }
            text.clear();
            multipart.write_end(&mut text);
            sink.put_raw(&text, false, buffers).await?;
        }
    }
    sink.put_raw(&[], true, buffers).await
}

/// Sends the bytes of a body that lie in a range.
async fn send_range(core: &Core, sink: &mut Sink<'_>, body: &Body, range: &Range<u64>) -> Result<(), WriteError> {
    let (mut at, mut burst) = (0u64, 0);
    for chunk in body.chunks() {
        let (from, to) = (at.max(range.start), (at + chunk.len() as u64).min(range.end));
        if from < to {
            let index = |position: u64| usize::try_from(position - at).unwrap_or(usize::MAX);
            let bytes = chunk.get(index(from)..index(to)).unwrap_or_default();
            sink.put_raw(bytes, false, &core.buffers).await?;
            breathe(bytes.len(), &mut burst).await;
        }
        at += chunk.len() as u64;
    }
    Ok(())
}
