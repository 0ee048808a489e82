//! The body of a streamed answer: server-sent events, one frame each, at the pace that was asked for.
//!
//! Owns pacing and the staged cut. Each event is flushed by itself: between two of them the body is pending at least
//! once, and a pending body makes hyper flush. Dropped early, it counts as aborted by the client. Never renders JSON.

use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::options::{Behaviour, Cut};
use super::reply::{Kind, Reply};
use super::stats::{Stage, Watch};
use super::{anthropic, openai};
use crate::base::clock;

/// A stream under way.
pub struct EventStream {
    reply: Reply,
    watch: Watch,
    chunk_delay: Duration,
    timestamps: bool,
    /// Events of the whole stream.
    count: usize,
    /// Cut after so many events, at most `count`.
    cut: Option<usize>,
    /// Events handed over, at most `count`.
    sent: usize,
    pause: Pause,
}

/// What stands between two events.
enum Pause {
    Due,
    Sleeping(Pin<Box<Sleep>>),
    Over,
}

impl EventStream {
    /// A stream that begins when it is first polled.
    pub fn new(reply: Reply, behaviour: &Behaviour, mut watch: Watch) -> Self {
        watch.reached(Stage::Streaming { events: 0 });
        let count = match reply.kind {
            Kind::Message => anthropic::event_count(&reply),
            Kind::Chat | Kind::Completion => openai::event_count(&reply),
        };
        let cut = match behaviour.cut {
            Cut::Never => None,
            Cut::After(events) => Some(events.min(count)),
            // Keeps the value: the remainder is below count, which is a usize.
            Cut::Anywhere(draw) => Some((draw % count as u64) as usize),
        };
        let (chunk_delay, timestamps) = (behaviour.chunk_delay, behaviour.timestamps);
        Self { reply, watch, chunk_delay, timestamps, count, cut, sent: 0, pause: Pause::Due }
    }

    /// The delay before the next event: between two tokens only, so that the first one is not late.
    fn delay(&self) -> Duration {
        let first = match self.reply.kind {
            Kind::Message => anthropic::EVENTS_BEFORE,
            Kind::Chat | Kind::Completion => openai::events_before(self.reply.kind),
        };
        let between_tokens = self.sent > first && self.sent < first + self.reply.tokens;
        if between_tokens { self.chunk_delay } else { Duration::ZERO }
    }

    fn next(&mut self) -> Option<io::Result<Frame<Bytes>>> {
        if self.cut == Some(self.sent) {
            self.watch.reached(Stage::Cut);
            return Some(Err(io::Error::other("the stream is cut, as it was asked for")));
        }
        let (name, data) = match self.reply.kind {
            Kind::Message => anthropic::event(&self.reply, self.sent).map(|(name, data)| (Some(name), data))?,
            Kind::Chat | Kind::Completion => (None, openai::event(&self.reply, self.sent)?),
        };
        self.sent += 1;
        let over = self.sent == self.count && self.cut.is_none();
        self.watch.reached(if over { Stage::Done } else { Stage::Streaming { events: self.sent } });
        let sent_us = self.timestamps.then(clock::unix_us);
        Some(Ok(Frame::data(Bytes::from(written(name, &data, sent_us)))))
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        loop {
            match &mut this.pause {
                Pause::Due => match this.delay() {
                    Duration::ZERO => {
                        this.pause = Pause::Over;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    delay => this.pause = Pause::Sleeping(Box::pin(tokio::time::sleep(delay))),
                },
                Pause::Sleeping(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    this.pause = Pause::Over;
                }
                Pause::Over => {
                    this.pause = Pause::Due;
                    return Poll::Ready(this.next());
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.cut.is_none() && self.sent == self.count
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// One event (WHATWG HTML §9.2): a comment with the send time in Unix microseconds if wanted, name, data, empty line.
fn written(name: Option<&str>, data: &str, sent_us: Option<u64>) -> String {
    let mut out = String::with_capacity(data.len() + 64);
    if let Some(us) = sent_us {
        // Writing into a String cannot fail.
        let _ = writeln!(out, ": t={us}");
    }
    if let Some(name) = name {
        let _ = writeln!(out, "event: {name}");
    }
    let _ = write!(out, "data: {data}\n\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_as_the_format_wants() {
        assert_eq!(written(None, "[DONE]", None), "data: [DONE]\n\n");
        assert_eq!(written(Some("ping"), "{}", Some(5)), ": t=5\nevent: ping\ndata: {}\n\n");
    }
}
