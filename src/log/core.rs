//! The log of one core: lines are formatted here and leave in batches.
//!
//! Never blocks and, once its buffers exist, never allocates: written batches come back from the writer to be filled
//! again. What does not fit the queue is dropped and counted.

use std::cell::RefCell;

use jiff::tz::TimeZone;

use super::format::{self, Scratch};
use super::stamp::Stamps;
use super::writer::{Batch, LogLane, Stream};
use super::{AccessFormat, AccessRecord, Header, Level, LogOptions, SHARE_WHOLE, event_line};
use crate::base::rand::Random;
use crate::bounds;

/// Room kept at the end of a batch so that a usual line does not make it grow.
const LINE_BYTES_USUAL: usize = 2 * 1024;

/// The log of one core. Stays on the core's thread; holds one batch of [`bounds::LOG_BATCH_BYTES`].
pub struct CoreLog {
    options: LogOptions,
    /// `None`: nothing is written anywhere.
    lane: Option<LogLane>,
    random: Random,
    state: RefCell<State>,
}

struct State {
    batch: Vec<u8>,
    /// Lines in `batch`.
    lines: u64,
    scratch: Scratch,
    /// Lines dropped since [`CoreLog::take_dropped`] was asked last.
    dropped: u64,
    /// Lines left out by sampling since [`CoreLog::take_sampled_out`] was asked last.
    sampled_out: u64,
    /// Events that may still be written before the next flush.
    events_left: usize,
}

impl CoreLog {
    /// A log that writes through `lane`. Looks up the system's time zone: make it before the core starts to serve.
    pub fn new(options: LogOptions, lane: LogLane) -> Self {
        Self::build(options, Some(lane))
    }

    /// A log of events alone.
    pub fn of_events(lane: LogLane) -> Self {
        Self::build(LogOptions::of(AccessFormat::Off), Some(lane))
    }

    /// A log that drops everything without counting it: for tests of other modules.
    pub fn disabled() -> Self {
        Self::build(LogOptions::of(AccessFormat::Off), None)
    }

    fn build(options: LogOptions, lane: Option<LogLane>) -> Self {
        let scratch = Scratch { stamps: Stamps::new(TimeZone::system()), clean: Vec::new() };
        let state = State {
            batch: Vec::new(),
            lines: 0,
            scratch,
            dropped: 0,
            sampled_out: 0,
            events_left: bounds::LOG_EVENTS_PER_FLUSH,
        };
        Self { options, lane, random: Random::from_os(), state: RefCell::new(state) }
    }

    /// Whether access lines are written at all.
    pub fn is_on(&self) -> bool {
        self.lane.is_some() && self.options.format != AccessFormat::Off
    }

    /// Whether an exchange has a line; one that has none by the sampling is counted. `failed`: it was refused, or ended
    /// badly. To be asked once per exchange.
    pub fn takes(&self, status: u16, failed: bool, total_us: u64) -> bool {
        let sampling = &self.options.sampling;
        if sampling.share == SHARE_WHOLE || !self.is_on() {
            return self.is_on();
        }
        let taken = sampling.is_certain(status, failed, total_us)
            || self.random.below(u64::from(SHARE_WHOLE)) < u64::from(sampling.share);
        if !taken {
            self.state.borrow_mut().sampled_out += 1;
        }
        taken
    }

    /// Whether lines hold headers of responses.
    pub fn wants_response_head(&self) -> bool {
        self.is_on() && self.options.format == AccessFormat::Json && !self.options.response_headers.is_empty()
    }

    /// Appends the line of an exchange to the batch.
    pub fn access(&self, record: &AccessRecord<'_>, header: Header<'_>) {
        let Some(lane) = &self.lane else { return };
        if self.options.format == AccessFormat::Off {
            return;
        }
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.batch.capacity() == 0 {
            state.batch = lane.buffer();
        }
        format::access(&self.options, record, header, &mut state.scratch, &mut state.batch);
        state.lines += 1;
        if state.batch.len() + LINE_BYTES_USUAL > bounds::LOG_BATCH_BYTES {
            state.hand_over(lane);
        }
    }

    /// Writes an event of this core to stderr, by way of the writer. Beyond [`bounds::LOG_EVENTS_PER_FLUSH`] between
    /// two flushes, events are dropped and counted: a fault that repeats must not drown the log.
    pub fn event(&self, level: Level, message: &str) {
        let Some(lane) = &self.lane else { return };
        let mut state = self.state.borrow_mut();
        let mut bytes = Vec::with_capacity(message.len() + 16);
        event_line(level, message, &mut bytes);
        let may_write = state.events_left > 0;
        state.events_left = state.events_left.saturating_sub(1);
        if !may_write || lane.send(Batch { stream: Stream::Events, bytes }).is_err() {
            state.dropped += 1;
        }
    }

    /// Hands over what is in the batch. To be called about every 100 ms and when the core drains.
    pub fn flush(&self) {
        let Some(lane) = &self.lane else { return };
        let mut state = self.state.borrow_mut();
        state.events_left = bounds::LOG_EVENTS_PER_FLUSH;
        if !state.batch.is_empty() {
            state.hand_over(lane);
        }
    }

    /// Lines dropped since the last call: the caller adds them to its counters.
    pub fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.state.borrow_mut().dropped)
    }

    /// Lines left out by sampling since the last call.
    pub fn take_sampled_out(&self) -> u64 {
        std::mem::take(&mut self.state.borrow_mut().sampled_out)
    }
}

impl Drop for CoreLog {
    fn drop(&mut self) {
        self.flush();
    }
}

impl State {
    fn hand_over(&mut self, lane: &LogLane) {
        let bytes = std::mem::take(&mut self.batch);
        let lines = std::mem::take(&mut self.lines);
        if let Err(refused) = lane.send(Batch { stream: Stream::Access, bytes }) {
            self.dropped += lines;
            self.batch = refused.bytes;
            self.batch.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::writer::lane_without_writer;
    use super::*;

    fn record(target: &[u8]) -> AccessRecord<'_> {
        AccessRecord {
            unix_ms: 0,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            user: None,
            method: b"GET",
            target,
            version: "HTTP/1.1",
            status: 200,
            bytes_sent: 0,
            bytes_received: 0,
            referer: None,
            user_agent: None,
            host: b"",
            request_id: b"",
            route: "",
            upstream: "",
            endpoint: None,
            reason: None,
            caller: None,
            rule: None,
            cache: None,
            cache_detail: None,
            total_us: 0,
            upstream_us: None,
            first_byte_us: None,
            core: 0,
            response_head: b"",
        }
    }

    #[test]
    fn lines_leave_in_batches_and_never_more_than_the_lane_holds() {
        let log = CoreLog::new(LogOptions::of(AccessFormat::Json), lane_without_writer());
        log.flush();
        assert_eq!(log.lane.as_ref().unwrap().waiting(), 0, "an empty batch is not handed over");
        let mut lines = 0_u64;
        while log.lane.as_ref().unwrap().waiting() < bounds::LOG_BATCHES_MAX {
            log.access(&record(b"/"), &|_| None);
            lines += 1;
        }
        assert!(lines > bounds::LOG_BATCHES_MAX as u64 * 50);
        assert_eq!(log.take_dropped(), 0);
        log.access(&record(b"/"), &|_| None);
        log.access(&record(b"/"), &|_| None);
        log.flush();
        assert_eq!((log.take_dropped(), log.take_dropped()), (2, 0));
        assert!(log.state.borrow().batch.is_empty(), "the refused batch is used again");
        let mut written = 0;
        while let Some(batch) = log.lane.as_ref().unwrap().take() {
            assert!(batch.len() <= bounds::LOG_BATCH_BYTES && batch.ends_with(b"\n"));
            written += batch.iter().filter(|&&b| b == b'\n').count() as u64;
        }
        assert_eq!(written, lines);
    }

    #[test]
    fn sampling_leaves_out_a_share_and_counts_it() {
        let mut options = LogOptions::of(AccessFormat::Json);
        options.sampling.share = SHARE_WHOLE / 10;
        let log = CoreLog::new(options, lane_without_writer());
        let taken = (0..10_000).filter(|_| log.takes(200, false, 0)).count() as u64;
        assert!((700..1_300).contains(&taken), "{taken}");
        assert_eq!((log.take_sampled_out(), log.take_sampled_out()), (10_000 - taken, 0));
        assert!((0..100).all(|_| log.takes(404, false, 0) && log.takes(200, true, 0)));
        assert!(!CoreLog::disabled().takes(500, true, 0));
    }

    #[test]
    fn events_are_bounded_between_flushes() {
        let log = CoreLog::of_events(lane_without_writer());
        for _ in 0..bounds::LOG_EVENTS_PER_FLUSH + 3 {
            log.event(Level::Warn, "again");
        }
        assert_eq!(log.take_dropped(), 3);
        log.flush();
        log.event(Level::Warn, "again");
        assert_eq!(log.take_dropped(), 0);
        assert_eq!(log.lane.as_ref().unwrap().take().unwrap(), b"warn: again\n");
    }

    #[test]
    fn a_log_that_is_off_or_disabled_writes_nothing() {
        let log = CoreLog::of_events(lane_without_writer());
        log.access(&record(b"/"), &|_| None);
        log.flush();
        assert_eq!(log.lane.as_ref().unwrap().waiting(), 0);
        let log = CoreLog::disabled();
        log.access(&record(b"/"), &|_| None);
        log.event(Level::Error, "x");
        log.flush();
        assert_eq!(log.take_dropped(), 0);
    }
}
