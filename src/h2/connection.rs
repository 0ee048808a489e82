//! One connection of HTTP/2, of either role: its state, and what its owner does with it.
//!
//! Bytes of the peer go in by `feed` (in `receive.rs`), text of messages by `write` (in `send.rs`); text of messages comes
//! out by [`Connection::read`], bytes for the peer by [`Connection::output`]. Whoever holds a stream releases it. Does no
//! I/O and reads no clock; wakes whom it must, and runs nobody.

use std::collections::VecDeque;
use std::task::Waker;

use super::budget::{Budget, End, Item};
use super::frame::{
    ErrorCode, HEADER_BYTES, PAYLOAD_BYTES_MAX, PREFACE, WINDOW_BYTES_INITIAL, WINDOW_BYTES_MAX, write_goaway,
    write_ping, write_reset, write_settings, write_window_update,
};
use super::hpack::{Decoder, Encoder};
use super::receive::hasty;
use super::settings::{self, PeerSettings};
use super::stream::{Cut, Inbound, Outbound, Stream};
use super::streams::{StreamKey, Streams};
use crate::bounds;

/// Which side of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    /// With the scheme of its requests.
    Client {
        scheme: &'static [u8],
    },
}

/// Bounds of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Streams that a client may have open.
    pub streams: u32,
    /// Bytes of a head, counted as its text.
    pub head_bytes: usize,
    /// Field lines of a head.
    pub fields: usize,
}

/// What reading of a stream found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// So many bytes were appended to the buffer.
    Bytes(usize),
    /// The message is over.
    End,
    NotReady,
}

/// Streams that ended without an exchange, or in the middle of one, for what their peer did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Too many were open.
    pub refused: u32,
    /// What came on them was against the rules.
    pub malformed: u32,
}

/// A field block that has not come whole.
#[derive(Debug)]
pub(super) struct Block {
    pub stream: u32,
    pub end_stream: bool,
    pub bytes: Vec<u8>,
    pub frames: usize,
}

/// How far the connection is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// The peer was told to open no more streams, and may have opened some meanwhile (RFC 9113 §6.8).
    Announced,
    /// Streams above this number are not processed.
    Last(u32),
}

/// Streams that were reset or let go from here of late: what is still under way for them is passed over. At least so many
/// are remembered, and as many as may be open: all of them may be given up at once.
const RESETS_REMEMBERED: usize = 32;
/// Content of the PING that asks whether GOAWAY was seen.
const LEAVING_PING: [u8; 8] = *b"leaving!";
/// A stream whose answer is whole while its request is not, and which nobody holds any more: clients that are still
/// sending may not look at the answer before they have sent everything, and many take a reset for a failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Orphan {
    pub id: u32,
    /// Bytes of DATA that it may still send before it is reset.
    left: usize,
    receive_window: i64,
    unannounced: u32,
    /// When something came on it last.
    heard_ms: u64,
}

/// Stream slots per stream that may be open: those that the client has closed live until their exchanges have noticed.
const SLOTS_FACTOR: usize = 2;

/// A connection. Without streams it holds no buffer; about 1.5 KiB, and the tables of field lines.
pub struct Connection {
    pub(super) role: Role,
    pub(super) limits: Limits,
    /// Bytes of DATA that a stream, and all of them, may bring beyond what was read.
    pub(super) stream_window: u32,
    connection_window: u32,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    pub(super) peer: PeerSettings,
    pub(super) streams: Streams,
    pub(super) budget: Budget,
    /// Bytes for the peer.
    pub(super) out: Vec<u8>,
    /// The beginning of a frame.
    pub(super) partial: Vec<u8>,
    pub(super) block: Option<Block>,
    /// Bytes of the preface that have come (server).
    pub(super) greeted: usize,
    /// The peer's SETTINGS have come, ours were acknowledged.
    pub(super) told: bool,
    pub(super) acknowledged: bool,
    pub(super) send_window: i64,
    /// Bytes of DATA that went out, all in all.
    pub(super) data_sent: u64,
    pub(super) receive_window: i64,
    unannounced: u32,
    /// The highest stream of the peer that was begun.
    pub(super) last_id: u32,
    /// The next stream of our own.
    pub(super) next_id: u32,
    leaving: Leaving,
    /// The last stream that the peer processes, since its GOAWAY.
    pub(super) peer_last: Option<u32>,
    resets: VecDeque<u32>,
    /// Oldest first; at most as many as streams may be open.
    pub(super) orphans: VecDeque<Orphan>,
    /// Those who wait for room, in the order of their tickets: who finds none keeps its own, and comes before those who
    /// were served meanwhile.
    waiting: VecDeque<(u64, StreamKey)>,
    next_ticket: u64,
    /// What whoever counts takes.
    pub(super) tally: Tally,
    /// See [`Connection::work`].
    pub(super) work: usize,
    /// The highest stream of the peer before the last batch.
    batch_from: u32,
    pub(super) end: Option<End>,
}

impl Connection {
    /// A connection whose first words are ready to be sent.
    pub fn new(role: Role, limits: Limits, now_ms: u64) -> Self {
        let mut out = Vec::new();
        match role {
            Role::Server => write_settings(&mut out, &settings::of_server(limits.streams, limits.head_bytes)),
            Role::Client { .. } => {
                out.extend_from_slice(PREFACE);
                write_settings(&mut out, &settings::of_client(limits.head_bytes));
            }
        }
        let (stream_window, connection_window) = settings::windows(role == Role::Server);
        write_window_update(&mut out, 0, connection_window - WINDOW_BYTES_INITIAL);
        Self {
            role,
            limits,
            stream_window,
            connection_window,
            decoder: Decoder::new(4_096),
            encoder: Encoder::new(),
            peer: PeerSettings::default(),
            streams: Streams::default(),
            budget: Budget::new(now_ms),
            out,
            partial: Vec::new(),
            block: None,
            greeted: if role == Role::Server { 0 } else { PREFACE.len() },
            told: false,
            acknowledged: false,
            send_window: i64::from(WINDOW_BYTES_INITIAL),
            data_sent: 0,
            receive_window: i64::from(connection_window),
            unannounced: 0,
            last_id: 0,
            next_id: 1,
            leaving: Leaving::No,
            peer_last: None,
            resets: VecDeque::new(),
            orphans: VecDeque::new(),
            waiting: VecDeque::new(),
            next_ticket: 0,
            tally: Tally::default(),
            work: 0,
            batch_from: 0,
            end: None,
        }
    }

    pub(super) fn is_server(&self) -> bool {
        self.role == Role::Server
    }

    /// Bytes for the peer; whoever has sent some says so by [`Connection::sent`].
    pub fn output(&self) -> &[u8] {
        &self.out
    }

    /// Whether what is said next should go into another buffer.
    pub fn lacks_buffer(&self) -> bool {
        self.out.is_empty() && self.out.capacity() < bounds::BUFFER_BYTES_LARGE
    }

    /// Puts an empty buffer in the place of the output's, which is empty, too.
    pub fn exchange_output(&mut self, empty: Vec<u8>) -> Vec<u8> {
        std::mem::replace(&mut self.out, empty)
    }

    /// So many bytes of the output were sent: whoever waits for room is told.
    pub fn sent(&mut self, bytes: usize) {
        self.out.drain(..bytes.min(self.out.len()));
        if self.out.len() < bounds::HTTP2_OUTPUT_BYTES_MAX / 2 {
            self.wake_waiting();
        }
    }

    /// Whether both sides know each other's settings.
    pub fn is_settled(&self) -> bool {
        self.told && self.acknowledged
    }

    /// Streams that somebody holds.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Another number whenever a stream was begun since: a connection whose streams are all over at once is in use, too.
    pub fn begun(&self) -> u32 {
        self.last_id.max(self.next_id)
    }

    /// Whether nothing can come of this connection any more: it has ended, or is leaving and nobody holds a stream.
    pub fn is_over(&self) -> bool {
        let left = matches!(self.leaving, Leaving::Last(_)) || self.peer_last.is_some();
        self.end.is_some() || (left && self.streams.is_empty())
    }

    /// Whether it ends with the last of its streams, at the latest.
    pub fn is_leaving(&self) -> bool {
        self.end.is_some() || self.peer_last.is_some() || self.leaving != Leaving::No
    }

    /// Why it was ended, where a rule or a budget was broken.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// What the last feeding was in work, as bytes that would have been as much.
    pub fn work(&self) -> usize {
        self.work
    }

    /// What comes from now on comes together: of streams that are opened in it its sender cannot have seen anything.
    pub fn begin_batch(&mut self) {
        self.batch_from = self.last_id;
    }

    /// Whether a stream of the peer was opened in what comes together.
    pub(super) fn is_of_batch(&self, id: u32) -> bool {
        self.is_server() && id > self.batch_from
    }

    /// What became of streams since this was asked last.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Whether the peer takes extended CONNECT (RFC 8441).
    pub fn takes_connect(&self) -> bool {
        self.peer.connect
    }

    /// Whether the peer's SETTINGS have come.
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// Streams that the peer lets us have open.
    pub fn streams_max(&self) -> u32 {
        self.peer.streams
    }

    /// How many more streams may be opened towards the peer.
    pub fn room(&self) -> usize {
        if self.is_leaving() || self.next_id > WINDOW_BYTES_MAX {
            return 0;
        }
        (self.peer.streams as usize).saturating_sub(self.streams.len())
    }

    /// Opens a stream towards the peer: it has a number from its head on. `None` where there is no room.
    pub fn open(&mut self) -> Option<StreamKey> {
        (self.room() > 0)
            .then(|| self.streams.insert(Stream::new(0, Inbound::Head, self.peer.window, self.stream_window)))
    }

    /// Whether a client may open one more stream. Requests that nobody reads any more give way to it.
    pub(super) fn takes_stream(&mut self) -> bool {
        let most = self.limits.streams as usize;
        if self.streams.len() + self.orphans.len() >= most {
            self.drop_orphan();
        }
        self.streams.len() < most || (self.streams.len() < SLOTS_FACTOR * most && self.streams.open() < most)
    }

    /// Resets the stream that has been sending to nobody for the longest time.
    fn drop_orphan(&mut self) {
        if let Some(orphan) = self.orphans.pop_front() {
            write_reset(&mut self.out, orphan.id, ErrorCode::NoError);
            self.remember_reset(orphan.id);
        }
    }

    /// Takes DATA that nobody reads; `false` = the stream is no orphan.
    pub(super) fn forget_data(&mut self, id: u32, bytes: u32, end_stream: bool, now_ms: u64) -> bool {
        let Some(index) = self.orphans.iter().position(|orphan| orphan.id == id) else { return false };
        let Some(orphan) = self.orphans.get_mut(index) else { return false };
        orphan.receive_window -= i64::from(bytes);
        orphan.unannounced += bytes;
        orphan.heard_ms = now_ms;
        let left = orphan.left.checked_sub(bytes as usize);
        if end_stream {
            self.orphans.remove(index);
        } else if left.is_none() || orphan.receive_window < 0 {
            self.orphans.remove(index);
            write_reset(&mut self.out, id, ErrorCode::NoError);
            self.remember_reset(id);
        } else {
            orphan.left = left.unwrap_or_default();
            if orphan.unannounced >= self.stream_window / 2 {
                let bytes = std::mem::take(&mut orphan.unannounced);
                orphan.receive_window += i64::from(bytes);
                write_window_update(&mut self.out, id, bytes);
            }
        }
        true
    }

    /// Resets orphans that have fallen silent. Returns when to look again, where there are others.
    pub fn expire_orphans(&mut self, now_ms: u64) -> Option<u64> {
        let is_silent = |orphan: &Orphan| orphan.heard_ms + bounds::LINGER_SILENCE_MS <= now_ms;
        while self.orphans.front().is_some_and(is_silent) {
            self.drop_orphan();
        }
        self.orphans.front().map(|orphan| orphan.heard_ms + bounds::LINGER_SILENCE_MS)
    }

    /// An orphan's request has ended one way or the other; `false` = the stream is none.
    pub(super) fn bury_orphan(&mut self, id: u32) -> bool {
        let index = self.orphans.iter().position(|orphan| orphan.id == id);
        index.and_then(|index| self.orphans.remove(index)).is_some()
    }

    /// Whether a stream of this number is one that the peer was told not to open.
    pub(super) fn is_left_behind(&self, id: u32) -> bool {
        matches!(self.leaving, Leaving::Last(last) if id > last)
    }

    /// Moves text of a stream's message to `buffer`, at most its free room.
    ///
    /// # Errors
    /// It will not be whole.
    pub fn read(&mut self, key: StreamKey, buffer: &mut Vec<u8>) -> Result<Text, Cut> {
        let Some(stream) = self.streams.get(key) else { return Err(Cut::Reset) };
        if stream.has_text() {
            let (count, freed) = stream.take(buffer);
            self.give_back(key, freed);
            return Ok(Text::Bytes(count));
        }
        match stream.inbound {
            Inbound::Ended => Ok(Text::End),
            Inbound::Cut(cut) => Err(cut),
            Inbound::Head | Inbound::Raw(_) | Inbound::Chunked => Ok(Text::NotReady),
        }
    }

    /// Whether [`Connection::read`] has something to say; else `waker` is told when it has.
    pub fn is_readable(&mut self, key: StreamKey, waker: &Waker) -> bool {
        let Some(stream) = self.streams.get(key) else { return true };
        if stream.has_text() || stream.is_received() {
            return true;
        }
        keep(&mut stream.reader, waker);
        false
    }

    /// A number that grows as DATA goes out on any stream; none where it is the stream's own window that is shut. Who waits
    /// for room while neighbours are served is not held up by the peer.
    pub fn standing(&self, key: StreamKey) -> Option<u64> {
        let is_open = self.streams.peek(key).is_some_and(|stream| stream.send_window > 0);
        is_open.then_some(self.data_sent)
    }

    /// Tells `waker` once when [`Connection::write`] may take more.
    pub fn await_room(&mut self, key: StreamKey, waker: &Waker) {
        let Some(stream) = self.streams.get(key) else { return };
        if stream.writer.is_none() {
            let ticket = *stream.ticket.get_or_insert(self.next_ticket);
            self.next_ticket += 1;
            // Woken for a window of its own that was of no use, it is still there.
            if let Err(place) = self.waiting.binary_search_by_key(&ticket, |(other, _)| *other) {
                self.waiting.insert(place, (ticket, key));
            }
        }
        keep(&mut stream.writer, waker);
    }

    /// How many wait for room; for tests.
    #[cfg(test)]
    pub(super) fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether somebody waits for room, and was not told yet that there may be some.
    pub fn is_waiting(&self, key: StreamKey) -> bool {
        self.end.is_none() && self.streams.peek(key).is_some_and(|stream| stream.writer.is_some())
    }

    /// Whether a body is to come on the stream, and nothing of it has.
    pub fn is_silent(&self, key: StreamKey) -> bool {
        self.streams.peek(key).is_some_and(|stream| !stream.heard && !stream.is_received())
    }

    /// Whether the peer has given the stream up, or is gone.
    pub fn is_cut(&self, key: StreamKey) -> bool {
        self.end.is_some()
            || self.streams.peek(key).is_none_or(|stream| {
                matches!(stream.inbound, Inbound::Cut(_)) || matches!(stream.outbound, Outbound::Cut)
            })
    }

    /// As [`Connection::is_cut`]; else `waker` is told when it is.
    pub fn is_cut_or_wakes(&mut self, key: StreamKey, waker: &Waker) -> bool {
        if self.is_cut(key) {
            return true;
        }
        if let Some(stream) = self.streams.get(key) {
            keep(&mut stream.watcher, waker);
        }
        false
    }

    /// Bytes of DATA were read: the peer may send as many more.
    pub(super) fn give_back(&mut self, key: StreamKey, bytes: u32) {
        self.give_back_to_connection(bytes);
        let Some(stream) = self.streams.get(key) else { return };
        // The streams of a connection that has ended are cut, all of them.
        if stream.is_received() {
            return;
        }
        stream.unannounced += bytes;
        if stream.unannounced >= self.stream_window / 2 {
            let bytes = std::mem::take(&mut stream.unannounced);
            stream.receive_window += i64::from(bytes);
            let id = stream.id;
            write_window_update(&mut self.out, id, bytes);
        }
    }

    /// As [`Connection::give_back`], for what belongs to no stream.
    pub(super) fn give_back_to_connection(&mut self, bytes: u32) {
        if self.end.is_some() {
            return;
        }
        self.unannounced += bytes;
        if self.unannounced >= self.connection_window / 2 {
            let bytes = std::mem::take(&mut self.unannounced);
            self.receive_window += i64::from(bytes);
            write_window_update(&mut self.out, 0, bytes);
        }
    }

    /// What of the stream is not over is to be cut: its message cannot be made whole.
    pub fn abandon(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key) {
            stream.abandoned = true;
        }
    }

    /// The holder lets go of a stream. Where it is not over, the peer is told.
    pub fn release(&mut self, key: StreamKey, now_ms: u64) {
        let Some(mut stream) = self.streams.remove(key) else { return };
        let freed = stream.forget_inbox();
        self.give_back_to_connection(freed);
        if self.end.is_some() {
            return;
        }
        if stream.is_orphaned(self.is_server()) {
            // What was read of it, or was there to be, makes room for what is still to come.
            let unannounced = stream.unannounced + freed;
            let receive_window = stream.receive_window;
            let left = bounds::LINGER_BYTES_MAX;
            self.orphans.push_back(Orphan { id: stream.id, left, receive_window, unannounced, heard_ms: now_ms });
            self.forget_data(stream.id, 0, false, now_ms);
        } else if let Some(code) = stream.farewell(self.is_server()) {
            write_reset(&mut self.out, stream.id, code);
            self.remember_reset(stream.id);
        } else if stream.lacks_end_alone() {
            self.remember_reset(stream.id);
        }
    }

    /// Resets a stream for what came on it; the holder finds it cut.
    ///
    /// # Errors
    /// The peer has made us do so too often.
    pub(super) fn reset(&mut self, id: u32, code: ErrorCode, now_ms: u64) -> Result<(), End> {
        self.tally.malformed += 1;
        write_reset(&mut self.out, id, code);
        self.remember_reset(id);
        let mut cost = 1;
        let is_of_batch = self.is_of_batch(id);
        if let Some(stream) = self.streams.find(id).and_then(|key| self.streams.get(key)) {
            stream.cut(Cut::Malformed);
            // It was a good request first.
            cost = hasty(is_of_batch);
        }
        if self.is_server() { self.budget.charge(Item::OwnReset, cost, now_ms) } else { Ok(()) }
    }

    pub(super) fn remember_reset(&mut self, id: u32) {
        if self.resets.len() >= self.resets_remembered() {
            self.resets.pop_front();
        }
        self.resets.push_back(id);
    }

    fn resets_remembered(&self) -> usize {
        RESETS_REMEMBERED.max(self.limits.streams as usize)
    }

    pub(super) fn was_reset(&self, id: u32) -> bool {
        self.resets.contains(&id)
    }

    /// Tells all who wait for room.
    pub(super) fn wake_waiting(&mut self) {
        while let Some((_, key)) = self.waiting.pop_front() {
            if let Some(stream) = self.streams.get(key) {
                stream.wake_writer();
            }
        }
    }

    /// Begins to leave: the peer is asked to open no more streams; those that are under way are served.
    pub fn announce_leaving(&mut self) {
        if self.leaving == Leaving::No && self.end.is_none() {
            self.leaving = Leaving::Announced;
            write_goaway(&mut self.out, WINDOW_BYTES_MAX, ErrorCode::NoError);
            write_ping(&mut self.out, LEAVING_PING, false);
        }
    }

    /// Leaves: streams that come from now on are not processed.
    pub fn leave(&mut self) {
        if !matches!(self.leaving, Leaving::Last(_)) && self.end.is_none() {
            self.leaving = Leaving::Last(self.last_id);
            write_goaway(&mut self.out, self.last_id, ErrorCode::NoError);
        }
    }

    /// The peer has answered a PING: it has seen what was sent before it.
    pub(super) fn pong(&mut self, content: &[u8]) {
        if self.leaving == Leaving::Announced && content == LEAVING_PING {
            self.leave();
        }
    }

    /// Ends the connection: the peer is told, and every stream is cut.
    pub fn fail(&mut self, end: End) {
        if self.end.is_none() {
            write_goaway(&mut self.out, self.last_id, end.code);
            self.close(end);
        }
    }

    /// The connection is gone without a word: every stream is cut.
    pub fn close(&mut self, end: End) {
        self.end.get_or_insert(end);
        self.partial = Vec::new();
        self.block = None;
        self.orphans.clear();
        self.streams.iter_mut().for_each(|stream| stream.cut(Cut::Reset));
        self.waiting.clear();
    }

    /// Checks what holds between any two calls, for fuzzers and tests: no byte of DATA is forgotten, none is given back
    /// twice, and what is remembered is bounded.
    pub(super) fn validate(&mut self) {
        assert!(self.partial.len() < HEADER_BYTES + PAYLOAD_BYTES_MAX);
        assert!(self.block.as_ref().is_none_or(|block| block.bytes.len() <= bounds::HEAD_BYTES_MAX));
        assert!(self.resets.len() <= self.resets_remembered());
        if self.end.is_some() {
            return;
        }
        let most = i64::from(WINDOW_BYTES_MAX);
        assert!(self.send_window <= most && self.receive_window <= most);
        let text_bytes_max = self.stream_window as usize * 6 + 4 * bounds::HEAD_BYTES_MAX;
        let mut held = 0;
        for stream in self.streams.iter_mut() {
            held += stream.validate(self.stream_window, text_bytes_max);
        }
        let due = self.receive_window + i64::from(self.unannounced) + held;
        assert_eq!(due, i64::from(self.connection_window), "what was not read yet is not given back, all else is");
        assert!(self.orphans.len() <= self.limits.streams as usize);
        for orphan in &self.orphans {
            assert_eq!(orphan.receive_window + i64::from(orphan.unannounced), i64::from(self.stream_window));
        }
        assert!(self.waiting.len() <= 4 * self.streams.len() + 64, "who waits is remembered once");
    }
}

/// Payload bytes of one frame towards the peer.
pub(super) fn frame_bytes(peer: &PeerSettings) -> usize {
    peer.frame_bytes.min(PAYLOAD_BYTES_MAX)
}

fn keep(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(kept) if kept.will_wake(waker) => {}
        _ => *place = Some(waker.clone()),
    }
}
