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
