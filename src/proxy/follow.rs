//! Follow: the response to a request out of an answer that is still arriving, from its first byte on.

use std::rc::Rc;
use std::task::Poll;

use super::core::{Core, CoreService};
use super::deliver::{self, Next};
use super::exchange::{Client, Exchange};
use super::failure::Failure;
use super::headers::{self, StoredParts};
use super::obtain::Followed;
use super::route::Route;
use super::screen::tell_limits;
use super::transfer::Sink;
use crate::base::clock;
use crate::bounds;
use crate::cache::conditional::{self, Verdict};
use crate::cache::fill::{Ending, Follower, Step};
use crate::h1::{BodyEncoder, BodyLength};
use crate::net::{ReadError, Until, Wait};
use crate::stats::{Gauge, Reason};

/// Sends an answer on its way, until it ends or the client leaves.
pub async fn follow(
    core: &Rc<Core>,
    service: &CoreService,
    route: &Route,
    client: &Client<'_>,
    exchange: &mut Exchange<'_>,
    followed: Followed,
) -> Next {
    let _following = core.stats.hold(Gauge::FollowersActive);
    let Followed { mut follower, head, leads, private } = followed;
    let bodiless = matches!(head.status, 204 | 304);
    let mut body = match head.length {
        _ if bodiless => BodyLength::None,
        Some(length) => BodyLength::Length(length),
        None if client.is_modern() => BodyLength::Chunked,
        None => BodyLength::UntilClose,
    };
    let mut status = head.status;
    match conditional::evaluate(client.head, head.status, &head.fields, head.terms.response_ms) {
        Verdict::Send => {}
        Verdict::NotModified => (status, body) = (304, BodyLength::None),
        Verdict::PreconditionFailed => (status, body) = (412, BodyLength::Length(0)),
    }
    let keep_alive = client.framing.keep_alive && !core.draining.get() && body != BodyLength::UntilClose;
    let mut pending = core.buffers.small();
    headers::write_stored(
        &mut pending,
        &StoredParts {
            service: &service.shared,
            route,
            private: &private,
            is_own: leads,
            request_id: &exchange.request_id,
            note: exchange.cache.as_ref(),
            now_ms: clock::unix_ms(),
            answer: &head,
            rendered: None,
            status,
            body,
            range: None,
            client_version: client.head.version,
            keep_alive,
        },
    );
    tell_limits(core, client, exchange, &mut pending);
    exchange.status = status;
    exchange.note_head(core, &pending);
    exchange.first_byte();
    client.progress.response_begun.set(true);
    let mut sink = deliver::sink(client, &mut pending, BodyEncoder::new(body));
    sink.last = !keep_alive;
    let outcome = match status == head.status {
        true => copy(core, client, &mut follower, &mut sink).await,
        // The client has it already: the answer goes on arriving for the others.
        false => {
            // Of a known length: an endless stream that nobody reads would not end.
            if head.length.is_some() {
                follower.object().go_on();
            }
            sink.put(&[], Some(&Vec::new()), &core.buffers).await.map_err(|e| deliver::sink_failure(&e))
        }
    };
    exchange.bytes_sent += sink.sent;
    core.buffers.give(pending);
    exchange.upstream_ended_us = Some(clock::now_us());
    match outcome {
        Ok(()) if keep_alive => Next::KeepAlive,
        Ok(()) => Next::Close { linger: true },
        Err(failure) => deliver::broken(exchange, failure, body),
    }
}

/// Copies from the answer to the client as both come along; several small segments leave as one.
async fn copy(
    core: &Rc<Core>,
    client: &Client<'_>,
    follower: &mut Follower,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let number = follower.object().number;
    let mut several = Vec::new();
    let mut burst = 0;
    let outcome = loop {
        let step = match follower.next(core.index) {
            Step::Wait => {
                // The head goes out before the wait.
                sink.put(&[], None, &core.buffers).await.map_err(|e| deliver::sink_failure(&e))?;
                core.buffers.give(std::mem::take(sink.pending));
                core.buffers.give(std::mem::take(&mut several));
                Box::pin(more(core, client, follower)).await?
            }
            step => step,
        };
        match step {
            Step::Wait => {}
            Step::Ended(Ending::Whole) => break sink.put(&[], Some(&Vec::new()), &core.buffers).await,
            Step::Ended(Ending::Failed(Reason::ClientGone)) => return Err(Reason::UpstreamReset.into()),
            Step::Ended(Ending::Failed(reason)) => return Err(reason.into()),
            Step::Ended(_) => return Err(Reason::Internal.into()),
            Step::Ready(first) => {
                let sent = match gather(core, follower, &first, &mut several) {
                    false => sink.put(&first, None, &core.buffers).await,
                    true => sink.put(&several, None, &core.buffers).await,
                };
                sent.map_err(|e| deliver::sink_failure(&e))?;
                super::transfer::breathe(first.len().max(several.len()), &mut burst).await;
                several.clear();
                drop(first);
                if let Some(stalled) = follower.stalled() {
                    core.wakes.ring_core(stalled, number);
                }
            }
        }
    };
    core.buffers.give(several);
    outcome.map_err(|e| deliver::sink_failure(&e))
}

/// Gathers small segments that are there already behind the first one; `false` = the first one goes alone.
fn gather(core: &Core, follower: &mut Follower, first: &[u8], several: &mut Vec<u8>) -> bool {
    if first.len() >= SMALL_BYTES {
        return false;
    }
    while first.len() + several.len() < bounds::BUFFER_BYTES_LARGE - SMALL_BYTES {
        match follower.next_small(SMALL_BYTES) {
            None => break,
            Some(segment) => {
                if several.is_empty() {
                    if several.capacity() == 0 {
                        *several = core.buffers.large();
                    }
                    several.extend_from_slice(first);
                }
                several.extend_from_slice(&segment);
            }
        }
    }
    !several.is_empty()
}

/// A segment below this size is worth copying behind another one.
const SMALL_BYTES: usize = 8 * 1024;

/// Waits for more.
async fn more(core: &Rc<Core>, client: &Client<'_>, follower: &mut Follower) -> Result<Step<bytes::Bytes>, Failure> {
    let place = core.wakes.place(follower.object().number);
    let wait = Wait { timer: client.timer, deadline_ms: u64::MAX, until: Until::Gone(client.stream) };
    let next = std::future::poll_fn(|context| match follower.next(core.index) {
        Step::Wait => {
            place.wait(context.waker());
            Poll::Pending
        }
        step => Poll::Ready(step),
    });
    wait.bound(next).await.map_err(|error| match error {
        ReadError::Expired => Reason::Draining.into(),
        ReadError::WatchedGone | ReadError::Io(_) => Reason::ClientGone.into(),
    })
}
