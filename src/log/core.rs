//! The log of one core: lines are formatted here and leave in batches.
//!
//! Never blocks and, once its buffers exist, never allocates: written batches come back from the writer to be filled
//! again. What does not fit the queue is dropped and counted.

use std::cell::RefCell;

use jiff::tz::TimeZone;

use super::format::{self, Scratch};
use super::stamp::Stamps;
use super::writer::{Batch, LogLane, Stream};
use super::{AccessFormat, AccessRecord, Level, event_line};
use crate::bounds;

/// Room kept at the end of a batch so that a usual line does not make it grow.
const LINE_BYTES_USUAL: usize = 2 * 1024;

/// The log of one core. Stays on the core's thread; holds one batch of [`bounds::LOG_BATCH_BYTES`].
pub struct CoreLog {
    format: AccessFormat,
    /// `None`: nothing is written anywhere.
    lane: Option<LogLane>,
    state: RefCell<State>,
}

struct State {
    batch: Vec<u8>,
    /// Lines in `batch`.
    lines: u64,
    scratch: Scratch,
    /// Lines dropped since [`CoreLog::take_dropped`] was asked last.
    dropped: u64,
    /// Events that may still be written before the next flush.
    events_left: usize,
}

impl CoreLog {
    /// A log that writes through `lane`. Looks up the system's time zone: make it before the core starts to serve.
    pub fn new(format: AccessFormat, lane: LogLane) -> Self {
        Self::build(format, Some(lane))
    }

    /// A log that drops everything without counting it: for tests of other modules.
    pub fn disabled() -> Self {
        Self::build(AccessFormat::Off, None)
    }

    fn build(format: AccessFormat, lane: Option<LogLane>) -> Self {
        let scratch = Scratch { stamps: Stamps::new(TimeZone::system()), clean: Vec::new() };
        let state =
            State { batch: Vec::new(), lines: 0, scratch, dropped: 0, events_left: bounds::LOG_EVENTS_PER_FLUSH };
        Self { format, lane, state: RefCell::new(state) }
    }

    /// Whether access lines are written at all.
    pub fn is_on(&self) -> bool {
        self.lane.is_some() && self.format != AccessFormat::Off
    }

    /// Appends the line of an exchange to the batch.
    pub fn access(&self, record: &AccessRecord<'_>) {
        let Some(lane) = &self.lane else { return };
        if self.format == AccessFormat::Off {
            return;
        }
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.batch.capacity() == 0 {
            state.batch = lane.buffer();
        }
        format::access(self.format, record, &mut state.scratch, &mut state.batch);
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
        }
    }

    #[test]
    fn lines_leave_in_batches_and_never_more_than_the_lane_holds() {
        let log = CoreLog::new(AccessFormat::Json, lane_without_writer());
        log.flush();
        assert_eq!(log.lane.as_ref().unwrap().waiting(), 0, "an empty batch is not handed over");
        let mut lines = 0_u64;
        while log.lane.as_ref().unwrap().waiting() < bounds::LOG_BATCHES_MAX {
            log.access(&record(b"/"));
            lines += 1;
        }
        assert!(lines > bounds::LOG_BATCHES_MAX as u64 * 50);
        assert_eq!(log.take_dropped(), 0);
        log.access(&record(b"/"));
        log.access(&record(b"/"));
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
    fn events_are_bounded_between_flushes() {
        let log = CoreLog::new(AccessFormat::Off, lane_without_writer());
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
        let log = CoreLog::new(AccessFormat::Off, lane_without_writer());
        log.access(&record(b"/"));
        log.flush();
        assert_eq!(log.lane.as_ref().unwrap().waiting(), 0);
        let log = CoreLog::disabled();
        log.access(&record(b"/"));
        log.event(Level::Error, "x");
        log.flush();
        assert_eq!(log.take_dropped(), 0);
    }
}
