//! One blocking connection, plain or TLS, read message by message. Both the client and the origin are made of it.
//!
//! Every read and write has a deadline, so that a gateway that hangs fails its test instead of the whole run.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use ringway::base::clock;
use rustls::{ClientConnection, ServerConnection, StreamOwned};

use super::WAIT;
use super::message::{Body, End, Framing, Head, Request, Response, parse_field};

/// What the bytes travel on.
pub enum Wire {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// A connection with the bytes that were read and not yet taken.
pub struct Connection {
    pub wire: Wire,
    buffer: Vec<u8>,
}

impl Connection {
    /// Takes over a stream and gives it the deadlines of the tests.
    pub fn new(wire: Wire) -> Self {
        let connection = Self { wire, buffer: Vec::new() };
        let tcp = connection.tcp();
        tcp.set_nodelay(true).expect("TCP_NODELAY");
        tcp.set_read_timeout(Some(WAIT)).expect("read timeout");
        tcp.set_write_timeout(Some(WAIT)).expect("write timeout");
        connection
    }

    /// The socket underneath.
    pub fn tcp(&self) -> &TcpStream {
        match &self.wire {
            Wire::Plain(tcp) => tcp,
            Wire::Client(tls) => &tls.sock,
            Wire::Server(tls) => &tls.sock,
        }
    }

    /// The address of this end.
    pub fn address(&self) -> SocketAddr {
        self.tcp().local_addr().expect("a connected socket has an address")
    }

    /// Sends all of it; the end of the connection is the caller's business.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let writer: &mut dyn Write = match &mut self.wire {
            Wire::Plain(tcp) => tcp,
            Wire::Client(tls) => tls,
            Wire::Server(tls) => tls,
        };
        writer.write_all(bytes)?;
        writer.flush()
    }

    /// Sends all of it.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the peer takes what the test sends");
    }

    /// Waits for more bytes and keeps them.
    pub fn fill(&mut self) -> Result<(), End> {
        let mut piece = [0_u8; 16 * 1024];
        let reader: &mut dyn Read = match &mut self.wire {
            Wire::Plain(tcp) => tcp,
            Wire::Client(tls) => tls,
            Wire::Server(tls) => tls,
        };
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Err(End::Closed),
                Ok(n) => {
                    self.buffer.extend_from_slice(&piece[..n]);
                    return Ok(());
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Err(End::Silent),
                Err(_) => return Err(End::Reset),
            }
        }
    }

    /// Bytes that have come and were not taken, without waiting.
    pub fn pending(&mut self) -> &[u8] {
        self.tcp().set_read_timeout(Some(Duration::from_millis(1))).expect("read timeout");
        while self.fill().is_ok() {}
        self.tcp().set_read_timeout(Some(WAIT)).expect("read timeout");
        &self.buffer
    }

    /// Bytes that are there to be taken at this moment: the cheap kind of [`Connection::pending`].
    pub fn arrived(&mut self) -> &[u8] {
        self.tcp().set_nonblocking(true).expect("O_NONBLOCK");
        while self.fill().is_ok() {}
        self.tcp().set_nonblocking(false).expect("O_NONBLOCK");
        &self.buffer
    }

    /// Asserts that nothing comes for so long: how a test lets time pass.
    #[track_caller]
    pub fn silent_for(&mut self, ms: u64) {
        self.tcp().set_read_timeout(Some(Duration::from_millis(ms))).expect("read timeout");
        let filled = self.fill();
        self.tcp().set_read_timeout(Some(WAIT)).expect("read timeout");
        assert_eq!(filled, Err(End::Silent), "{:?}", String::from_utf8_lossy(&self.buffer));
    }

    /// Sends pieces of at most 16 KB as one TLS record each, all records in one write (as a TLS server).
    #[track_caller]
    pub fn send_in_one_flight(&mut self, pieces: &[&[u8]]) {
        let Wire::Server(tls) = &mut self.wire else { panic!("a TLS server") };
        let mut flight = Vec::new();
        for piece in pieces {
            tls.conn.writer().write_all(piece).expect("the records take it");
            while tls.conn.wants_write() {
                tls.conn.write_tls(&mut flight).expect("a Vec takes everything");
            }
        }
        tls.sock.write_all(&flight).expect("the peer takes what the test sends");
    }

    /// The next bytes, as many as have come, at least one.
    #[track_caller]
    pub fn read_some(&mut self) -> Vec<u8> {
        if self.buffer.is_empty() {
            self.fill().expect("bytes from the peer");
        }
        std::mem::take(&mut self.buffer)
    }

    /// Exactly so many bytes.
    pub fn take(&mut self, count: usize) -> Result<Vec<u8>, End> {
        while self.buffer.len() < count {
            self.fill()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Exactly these bytes come next.
    #[track_caller]
    pub fn expect_bytes(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let got = self.take(bytes.len()).expect("bytes from the peer");
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(bytes));
    }

    /// A line without its CRLF.
    fn line(&mut self) -> Result<String, End> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(line[..at].iter().map(|&b| char::from(b)).collect());
            }
            self.fill()?;
        }
    }

    /// The next head, whoever sent it.
    #[track_caller]
    pub fn try_head(&mut self) -> Result<Head, End> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let raw: Vec<u8> = self.buffer.drain(..at + 4).collect();
                return Ok(Head::parse(&raw).unwrap_or_else(|why| panic!("not a strict head: {why}")));
            }
            self.fill()?;
        }
    }

    /// The next chunk, or `None` at the last one with the trailers put into `body`.
    #[track_caller]
    pub fn next_chunk(&mut self, body: &mut Body) -> Result<Option<Vec<u8>>, End> {
        let line = self.line()?;
        let hex = !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(hex, "chunk-size line {line:?}");
        let size = usize::from_str_radix(&line, 16).expect("a chunk size that fits");
        if size > 0 {
            let chunk = self.take(size)?;
            let end = self.take(2)?;
            assert_eq!(end, b"\r\n", "a chunk ends in CRLF");
            body.bytes.extend_from_slice(&chunk);
            body.chunks.push(chunk.clone());
            return Ok(Some(chunk));
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(None);
            }
            body.trailers.push(parse_field(&line).expect("a trailer field"));
        }
    }

    /// The body that the framing promises; a premature end is noted in it.
    #[track_caller]
    pub fn body(&mut self, framing: Framing, until_close: bool) -> Body {
        let mut body = Body::default();
        let done = match framing {
            Framing::Chunked => loop {
                match self.next_chunk(&mut body) {
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(end) => break Err(end),
                }
            },
            Framing::Length(length) => {
                let done = self.take(length).map(|bytes| body.bytes = bytes);
                if done.is_err() {
                    body.bytes = std::mem::take(&mut self.buffer);
                }
                done
            }
            Framing::Unsaid if until_close => {
                let (bytes, end) = self.rest();
                body.bytes = bytes;
                if end == End::Closed { Ok(()) } else { Err(end) }
            }
            Framing::Unsaid => Ok(()),
        };
        body.cut = done.err();
        body
    }

    /// Everything until the connection ends.
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Err(end) = self.fill() {
                return (std::mem::take(&mut self.buffer), end);
            }
        }
    }

    /// Asserts that nothing more comes and that the peer closes.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        let (bytes, end) = self.rest();
        assert_eq!(String::from_utf8_lossy(&bytes), "", "nothing but the end was expected");
        assert_eq!(end, End::Closed);
    }

    /// Waits until the peer has gone, in order or not; returns the milliseconds it took.
    #[track_caller]
    pub fn wait_gone(&mut self) -> u64 {
        let before = clock::now_ms();
        let (_, end) = self.rest();
        assert_ne!(end, End::Silent, "the peer should have gone");
        clock::now_ms() - before
    }

    /// Closes the sending direction only.
    pub fn shutdown_write(&mut self) {
        self.tcp().shutdown(Shutdown::Write).expect("shutdown");
    }

    /// Waits until the peer's kernel has everything that was sent on this (IPv4) connection, its end included. Loopback is
    /// no shortcut: under load bytes and FIN arrive some time after the call that sent them.
    #[track_caller]
    pub fn wait_delivered(&self) {
        let port = |address: SocketAddr| format!(":{:04X}", address.port());
        let (local, remote) = (port(self.address()), port(self.tcp().peer_addr().expect("a connected socket")));
        super::eventually("what was sent has arrived", || {
            let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table of connections");
            let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let mut ours = rows.filter(|row| row.len() > 4 && row[1].ends_with(&local) && row[2].ends_with(&remote));
            // State 04 is FIN_WAIT1: the FIN is not acknowledged; then bytes to send, bytes to read.
            ours.next().is_none_or(|row| row[3] != "04" && row[4].starts_with("00000000:"))
        });
    }

    /// Ends the connection by RST.
    pub fn reset(self) {
        set_reset(self.tcp());
    }

    /// The next request; panics when none comes or it is not a strict one.
    #[track_caller]
    pub fn read_request(&mut self) -> Request {
        let mut request = self.read_request_head();
        let framing = request.head.framing().expect("a strict framing of the request");
        request.body = self.body(framing, false);
        assert_eq!(request.body.cut, None, "the request is whole: {:?}", request.head.start);
        request
    }

    /// The head of the next request, its body left unread.
    #[track_caller]
    pub fn read_request_head(&mut self) -> Request {
        Request::of(self.try_head().expect("a request"))
    }

    /// The head of the next response, its body left unread.
    #[track_caller]
    pub fn read_response_head(&mut self) -> Response {
        Response::of(self.try_head().expect("a response"))
    }

    /// The next response, interim ones included, with whatever body its framing gives.
    #[track_caller]
    pub fn read_response(&mut self) -> Response {
        let head = self.read_response_head();
        self.finish_response(head, false)
    }

    /// The next response to a HEAD request.
    #[track_caller]
    pub fn read_response_to_head(&mut self) -> Response {
        let head = self.read_response_head();
        self.finish_response(head, true)
    }

    /// The body of a response whose head was read (RFC 9112 §6.3).
    #[track_caller]
    pub fn finish_response(&mut self, mut response: Response, to_head: bool) -> Response {
        let framing = response.head.framing().expect("a strict framing of the response");
        let bodiless = to_head || response.status < 200 || response.status == 204 || response.status == 304;
        if response.status < 200 || response.status == 204 {
            assert_eq!(framing, Framing::Unsaid, "RFC 9110 §8.6: no length on {}", response.status);
        }
        if !bodiless {
            response.body = self.body(framing, true);
        }
        response
    }
}

/// Makes closing this socket send RST.
pub fn set_reset(tcp: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(tcp, Some(Duration::ZERO)).expect("SO_LINGER");
}
