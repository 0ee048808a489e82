//! A client and a server of ours, wired to each other: whatever the course of their exchanges, every message arrives as it
//! was sent, or both know that it did not.
//!
//! Both owners are honest and go on only when they are woken: nobody ends the connection, nobody sleeps for ever, and what
//! is said to be refused was never seen.

use std::sync::Arc;
use std::task::Waker;

use super::message::Incoming;
use super::outgoing::Outgoing;
use super::program::Choices;
use super::single::Bell;
use crate::h2::connection::{Connection, Limits, Role, Text};
use crate::h2::message::TextBody;
use crate::h2::receive::Opened;
use crate::h2::stream::Cut;
use crate::h2::streams::StreamKey;
use crate::http::{FieldId, RequestHead};

/// Exchanges of one program at most: fewer than a client may reset at once.
const EXCHANGES_MAX: usize = 90;

/// Runs a program.
pub fn pair(data: &[u8]) {
    let data = data.get(..2_048).unwrap_or(data);
    let mut choices = Choices::new(data);
    let mut run = Pair::new(choices.of(&[2, 10, 100]));
    while !choices.is_over() {
        run.step(&mut choices);
        run.check();
    }
    run.finish(&mut choices);
}

/// One side of an exchange.
struct End {
    key: StreamKey,
    incoming: Incoming,
    outgoing: Outgoing,
    /// The message of the other side is over.
    is_read: bool,
    /// Ours is, with its end.
    is_written: bool,
    /// Who waits, and rings when it may go on.
    reader: Option<Arc<Bell>>,
    writer: Option<Arc<Bell>>,
}

struct Exchange {
    /// As they were before a byte of them was written.
    request: Outgoing,
    response: Option<Outgoing>,
    client: Option<End>,
    server: Option<End>,
    /// Who has given it up.
    client_left: bool,
    server_left: bool,
    refused: bool,
}

struct Pair {
    client: Connection,
    server: Connection,
    /// Bytes under way: towards the server, towards the client.
    up: Vec<u8>,
    down: Vec<u8>,
    exchanges: Vec<Exchange>,
    now_ms: u64,
    is_leaving: bool,
}

impl Pair {
    fn new(streams: u32) -> Self {
        let limits = Limits { streams, head_bytes: 40_000, fields: 100 };
        Self {
            client: Connection::new(Role::Client { scheme: b"http" }, limits, 0),
            server: Connection::new(Role::Server, limits, 0),
            up: Vec::new(),
            down: Vec::new(),
            exchanges: Vec::new(),
            now_ms: 0,
            is_leaving: false,
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let nth = choices.byte();
        let nth = usize::from(nth) % self.exchanges.len().max(1);
        match choices.below(32) {
            0..4 => self.begin(choices),
            4 => (0..choices.below(50)).for_each(|_| self.begin(choices)),
            5..9 => {
                self.write(nth, true, choices.size());
            }
            9..13 => {
                self.write(nth, false, choices.size());
            }
            13..15 => {
                self.read(nth, true, choices.size());
            }
            15..17 => {
                self.read(nth, false, choices.size());
            }
            17..20 => {
                self.send(true, choices.size() * 8);
            }
            20..23 => {
                self.send(false, choices.size() * 8);
            }
            23..25 => {
                self.deliver_up(choices.size() * 8, choices);
            }
            25..27 => {
                self.deliver_down(choices.size() * 8);
            }
            27 => self.leave_exchange(nth, true),
            28 => self.leave_exchange(nth, false),
            29 if choices.byte().is_multiple_of(4) => {
                (0..self.exchanges.len()).for_each(|nth| self.leave_exchange(nth, false))
            }
            30 if choices.byte().is_multiple_of(8) => {
                self.server.announce_leaving();
                self.is_leaving = true;
            }
            31 if choices.byte().is_multiple_of(8) => {
                self.server.leave();
                self.is_leaving = true;
            }
            _ => self.now_ms += choices.word() as u64 % 100,
        }
    }

    fn begin(&mut self, choices: &mut Choices<'_>) {
        let mut request = Outgoing::request(choices, self.exchanges.len());
        while request.websocket && !self.client.takes_connect() {
            request = Outgoing::request(&mut Choices::new(&[]), self.exchanges.len());
        }
        if self.exchanges.len() == EXCHANGES_MAX {
            return;
        }
        let Some(key) = self.client.open() else { return };
        let client = End::new(key, Incoming::response(request.is_head), request.clone());
        self.exchanges.push(Exchange {
            request,
            response: None,
            client: Some(client),
            server: None,
            client_left: false,
            server_left: false,
            refused: false,
        });
    }

    /// Moves output onto the wire; returns how much.
    fn send(&mut self, up: bool, most: usize) -> usize {
        let (from, wire) = if up { (&mut self.client, &mut self.up) } else { (&mut self.server, &mut self.down) };
        let count = most.min(from.output().len());
        wire.extend_from_slice(&from.output()[..count]);
        from.sent(count);
        count
    }

    fn deliver_up(&mut self, most: usize, choices: &mut Choices<'_>) -> usize {
        let bytes: Vec<u8> = self.up.drain(..most.min(self.up.len())).collect();
        let mut at = 0;
        while at < bytes.len() {
            let mut head = RequestHead::default();
            let (taken, opened) =
                self.server.feed(&bytes[at..], &mut head, self.now_ms).expect("an honest client breaks no rule");
            at += taken;
            if let Some(opened) = opened {
                self.take_in(&head, opened, choices);
            }
        }
        bytes.len()
    }

    fn deliver_down(&mut self, most: usize) -> usize {
        let bytes: Vec<u8> = self.down.drain(..most.min(self.down.len())).collect();
        let fed = self.client.feed(&bytes, &mut RequestHead::default(), self.now_ms);
        assert_eq!(fed.expect("an honest server breaks no rule"), (bytes.len(), None));
        bytes.len()
    }

    /// A request has come: it is the one that was sent.
    fn take_in(&mut self, head: &RequestHead, opened: Opened, choices: &mut Choices<'_>) {
        let number = head.fields().find(|field| field.name == b"x-number").expect("the number of the exchange").value;
        let number: usize = String::from_utf8_lossy(number).parse().expect("a number");
        let exchange = &mut self.exchanges[number];
        assert!(!exchange.refused, "what was said to be refused is never seen");
        assert!(exchange.server.is_none() && !exchange.server_left && !opened.too_large);
        let request = &exchange.request;
        for (name, value) in &request.fields {
            let came = head.fields().find(|field| field.name == name.as_bytes());
            assert_eq!(came.map(|field| field.value), Some(value.as_slice()), "{name}");
        }
        assert_eq!(head.target(), format!("/{number}").as_bytes());
        assert_eq!(head.find(FieldId::Host), Some(&b"a"[..]));
        let chunked = head.find(FieldId::TransferEncoding).is_some();
        let length = head.find(FieldId::ContentLength).map(|length| String::from_utf8_lossy(length).into_owned());
        let body = match length {
            _ if request.websocket => TextBody::UntilClose,
            Some(length) => TextBody::Length(length.parse().expect("a length")),
            None if chunked => TextBody::Chunked,
            None => TextBody::None,
        };
        let response = Outgoing::response(choices, number, request.is_head, request.websocket);
        exchange.server = Some(End::new(opened.key, Incoming::body(body), response.clone()));
        exchange.response = Some(response);
    }

    /// Writes a piece; returns whether anything moved.
    fn write(&mut self, nth: usize, client: bool, most: usize) -> bool {
        let Some(exchange) = self.exchanges.get_mut(nth) else { return false };
        let (connection, end) = match client {
            true => (&mut self.client, &mut exchange.client),
            false => (&mut self.server, &mut exchange.server),
        };
        let Some(end) = end else { return false };
        if end.is_written || end.writer.as_ref().is_some_and(|bell| !bell.take()) {
            return false;
        }
        end.writer = None;
        if end.outgoing.is_written() {
            if end.outgoing.until_close {
                connection.finish(end.key);
            }
            end.is_written = true;
            return true;
        }
        let piece = end.outgoing.piece(most);
        let Ok(taken) = connection.write(end.key, &piece) else {
            // Why it is cut, reading tells.
            end.is_written = true;
            return true;
        };
        end.outgoing.taken(taken);
        if taken < piece.len() {
            let bell = Bell::new();
            connection.await_room(end.key, &Waker::from(Arc::clone(&bell)));
            end.writer = Some(bell);
        }
        taken > 0
    }

    /// Reads a piece; returns whether anything moved.
    fn read(&mut self, nth: usize, client: bool, most: usize) -> bool {
        let Some(exchange) = self.exchanges.get_mut(nth) else { return false };
        let (connection, end) = match client {
            true => (&mut self.client, &mut exchange.client),
            false => (&mut self.server, &mut exchange.server),
        };
        let Some(end) = end else { return false };
        if end.is_read || end.reader.as_ref().is_some_and(|bell| !bell.take()) {
            return false;
        }
        let bell = Bell::new();
        end.reader = None;
        if !connection.is_readable(end.key, &Waker::from(Arc::clone(&bell))) {
            end.reader = Some(bell);
            return false;
        }
        let mut buffer = Vec::with_capacity(most.max(1));
        match connection.read(end.key, &mut buffer) {
            Ok(Text::Bytes(_)) => end.incoming.push(&buffer),
            Ok(Text::End) => {
                end.is_read = true;
                exchange.arrived(client);
            }
            Ok(Text::NotReady) => assert!(!buffer.is_empty(), "who is readable has something to say"),
            Err(cut) => {
                end.is_read = true;
                exchange.broken(client, cut, self.is_leaving);
            }
        }
        true
    }

    /// One side gives up its end, whether it is done with it or not.
    fn leave_exchange(&mut self, nth: usize, client: bool) {
        let Some(exchange) = self.exchanges.get_mut(nth) else { return };
        let (connection, end, left) = match client {
            true => (&mut self.client, &mut exchange.client, &mut exchange.client_left),
            false => (&mut self.server, &mut exchange.server, &mut exchange.server_left),
        };
        let Some(end) = end.take() else { return };
        *left = true;
        if !end.is_written {
            connection.abandon(end.key);
        }
        connection.release(end.key, self.now_ms);
    }

    fn check(&mut self) {
        self.client.validate();
        self.server.validate();
        assert_eq!((self.client.end(), self.server.end()), (None, None));
    }

    /// All goes its way until nothing moves any more: then nothing is left.
    fn finish(&mut self, choices: &mut Choices<'_>) {
        let mut moves = true;
        while moves {
            moves = self.send(true, usize::MAX) + self.send(false, usize::MAX) > 0;
            moves |= self.deliver_up(usize::MAX, choices) > 0;
            moves |= self.deliver_down(usize::MAX) > 0;
            for nth in 0..self.exchanges.len() {
                for client in [true, false] {
                    moves |= self.write(nth, client, usize::MAX);
                    moves |= self.read(nth, client, 50_000);
                }
                for client in [true, false] {
                    let end = if client { &self.exchanges[nth].client } else { &self.exchanges[nth].server };
                    if end.as_ref().is_some_and(|end| end.is_read && end.is_written) {
                        self.leave_exchange(nth, client);
                        moves = true;
                    }
                }
            }
            self.check();
        }
        for (nth, exchange) in self.exchanges.iter().enumerate() {
            let is_over = exchange.client.is_none() && exchange.server.is_none();
            assert!(is_over, "nobody waits for ever: exchange {nth}, {}", exchange.state());
        }
        assert_eq!((self.client.streams(), self.server.streams()), (0, 0));
        assert_eq!(self.client.send_window, self.server.receive_window);
        assert_eq!(self.server.send_window, self.client.receive_window);
        assert_eq!(self.server.expire_orphans(u64::MAX / 2), None);
        self.check();
    }
}

impl End {
    fn new(key: StreamKey, incoming: Incoming, outgoing: Outgoing) -> Self {
        Self { key, incoming, outgoing, is_read: false, is_written: false, reader: None, writer: None }
    }

    fn state(&self) -> String {
        let Self { is_read, is_written, reader, writer, .. } = self;
        let (reader, writer) = (reader.is_some(), writer.is_some());
        format!("read {is_read} ({reader}) written {is_written} ({writer})")
    }
}

impl Exchange {
    fn state(&self) -> String {
        let of = |end: &Option<End>| end.as_ref().map(End::state);
        format!("client {:?} server {:?}", of(&self.client), of(&self.server))
    }

    /// A message has arrived: it is what was sent.
    fn arrived(&self, at_client: bool) {
        let end = if at_client { &self.client } else { &self.server };
        let sent = if at_client { self.response.as_ref() } else { Some(&self.request) };
        let incoming = &end.as_ref().expect("an end, because it has just read").incoming;
        let sent = sent.expect("no message without a sender");
        assert!(incoming.is_whole(), "a message that ends is whole");
        assert_eq!(incoming.body.len(), sent.body.len());
        assert!(incoming.body == sent.body, "the body as it was sent");
        assert_eq!(incoming.trailers, sent.trailers);
        if at_client {
            let (status, fields) = incoming.heads.last().expect("a head");
            assert_eq!(*status, sent.status);
            for field in &sent.fields {
                assert!(fields.contains(field), "{field:?}");
            }
        }
    }

    /// A message will not be whole: there is somebody who knows why.
    fn broken(&mut self, at_client: bool, cut: Cut, is_leaving: bool) {
        match (at_client, cut) {
            (true, Cut::Refused) => {
                assert!(self.server.is_none() && !self.server_left, "what was seen is not refused ({is_leaving})");
                self.refused = true;
            }
            (true, Cut::Reset) => assert!(self.server_left, "the server has given it up"),
            (false, Cut::Reset) => assert!(self.client_left, "the client has given it up"),
            (_, cut) => unreachable!("{cut:?}: no honest message is malformed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request with a body of that kind whose choices are these.
    fn wired(streams: u32, requests: usize, choices: &[u8]) -> Pair {
        let mut pair = Pair::new(streams);
        pair.settle();
        (0..requests).for_each(|_| pair.begin(&mut Choices::new(choices)));
        pair
    }

    impl Pair {
        fn settle(&mut self) {
            for _ in 0..3 {
                self.exchange();
            }
        }

        fn exchange(&mut self) {
            self.send(true, usize::MAX);
            self.send(false, usize::MAX);
            self.deliver_up(usize::MAX, &mut Choices::new(&[]));
            self.deliver_down(usize::MAX);
        }
    }

    #[test]
    fn a_server_that_gives_up_everything_at_once_does_not_blame_the_client() {
        // POST, a body of 3 × 500 bytes with its length.
        let mut pair = wired(100, 80, &[1, 0x0f, 0xa5]);
        for nth in 0..80 {
            assert_eq!(pair.exchanges[nth].request.body.len(), 1_500);
            pair.write(nth, true, 100);
        }
        pair.exchange();
        (0..80).for_each(|nth| pair.leave_exchange(nth, false));
        for _ in 0..4 {
            (0..80).for_each(|nth| {
                pair.write(nth, true, 100);
            });
        }
        pair.finish(&mut Choices::new(&[]));
    }

    #[test]
    fn a_peer_that_raises_windows_by_nothing_much_is_no_reason_to_remember_more() {
        let mut pair = wired(100, 2, &[1, 0xff, 0xff]);
        pair.client.send_window = 0;
        pair.write(0, true, usize::MAX);
        for _ in 0..1_000 {
            let mut update = Vec::new();
            crate::h2::frame::write_window_update(&mut update, 1, 1);
            pair.client.feed(&update, &mut RequestHead::default(), 0).expect("a right update");
            pair.write(0, true, usize::MAX);
            pair.client.validate();
        }
    }
}
