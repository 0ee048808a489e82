//! One TLS connection as a transformer of bytes: ciphertext in, plaintext out, and back.
//!
//! Owns the state of the connection and the bytes that neither side has taken yet. Never touches a socket by itself
//! (`write_to` is handed one), never waits, never reads a clock. Bounds: what is unread is at most what was fed;
//! what is unsent is what the caller wrote plus handshake and alerts, so callers write out before they write more.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::{ClientConnection, Connection, ProtocolVersion, ServerConfig, ServerConnection};

use super::failure::TlsFailure;

/// Content types of the records that may come first (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;
const ALERT_RECORD: u8 = 21;

/// What a read of plaintext gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainRead {
    /// That many bytes, more than 0, stand at the start of the buffer.
    Data(usize),
    /// Nothing now: more ciphertext is needed.
    Empty,
    /// The peer has said with close_notify that nothing more will come (RFC 8446 §6.1), and all of it was read.
    Closed,
}

/// One TLS connection, client or server. About 1 KB, boxed inside, plus 4 KB of rustls' receive buffer.
pub struct Records {
    connection: Box<Connection>,
    /// Plaintext that rustls would not hold while more ciphertext came in; older than anything rustls holds.
    spill: Vec<u8>,
    /// Bytes of `spill` that were read. Invariant: `spilled < spill.len()`, or both are 0.
    spilled: usize,
    /// The first byte that came in, 0 before it; a TLS peer begins with a handshake record or an alert.
    first_byte: u8,
    /// The failure that ended the connection.
    failed: Option<TlsFailure>,
    /// close_notify came.
    peer_closed: bool,
    /// close_notify was queued by us.
    closing: bool,
}

impl Records {
    /// The server's side of a connection, before its handshake.
    ///
    /// # Errors
    /// [`TlsFailure::Internal`] when the configuration is unusable.
    pub fn server(config: Arc<ServerConfig>) -> Result<Self, TlsFailure> {
        let connection = ServerConnection::new(config).map_err(|e| TlsFailure::from(&e))?;
        Ok(Self::over(Connection::Server(connection)))
    }

    /// The client's side of a connection, before or after its handshake.
    pub fn client(connection: ClientConnection) -> Self {
        Self::over(Connection::Client(connection))
    }

    fn over(mut connection: Connection) -> Self {
        // The caller bounds what it writes; a limit here would make short writes out of whole buffers.
        connection.set_buffer_limit(None);
        let first_byte = if connection.is_handshaking() { 0 } else { HANDSHAKE_RECORD };
        // A connection that was used before may have its close_notify behind it.
        let peer_closed = connection.process_new_packets().is_ok_and(|state| state.peer_has_closed());
        Self {
            connection: Box::new(connection),
            spill: Vec::new(),
            spilled: 0,
            first_byte,
            failed: None,
            peer_closed,
            closing: false,
        }
    }

    /// Whether the handshake still goes on. It ends inside [`Records::feed`].
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Takes in all of `ciphertext`, in any cut. What comes after the peer's close_notify is ignored
    /// (RFC 8446 §6.1). Afterwards there may be plaintext to read and ciphertext to write.
    ///
    /// # Errors
    /// The failure is final and is returned again by later calls; an alert for the peer may wait to be written.
    pub fn feed(&mut self, ciphertext: &[u8]) -> Result<(), TlsFailure> {
        if self.first_byte == 0 {
            self.first_byte = ciphertext.first().copied().unwrap_or(0);
        }
        if self.failed.is_none() {
            self.failed = self.take_in(ciphertext).err();
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn take_in(&mut self, mut ciphertext: &[u8]) -> Result<(), TlsFailure> {
        // An empty slice must not reach rustls: it would take it for the end of the stream.
        while !ciphertext.is_empty() && !self.peer_closed {
            match self.connection.read_tls(&mut ciphertext) {
                Ok(0) => break,
                Ok(_) => {
                    let state = self.connection.process_new_packets().map_err(|e| self.failure(&e))?;
                    self.peer_closed = state.peer_has_closed();
                }
                // rustls holds little more than 16 KB of plaintext: make room and go on.
                Err(_) if self.spill_plaintext() > 0 => {}
                Err(_) => return Err(TlsFailure::BadRecord),
            }
        }
        Ok(())
    }

    fn failure(&self, error: &rustls::Error) -> TlsFailure {
        match (error, self.first_byte) {
            (_, HANDSHAKE_RECORD | ALERT_RECORD) => TlsFailure::from(error),
            _ => TlsFailure::NotTls,
        }
    }

    /// Moves what rustls holds behind the spill; returns how much that was.
    fn spill_plaintext(&mut self) -> usize {
        let before = self.spill.len();
        // Ends with WouldBlock when rustls is empty; `read_to_end` keeps what it got until then.
        let _ = self.connection.reader().read_to_end(&mut self.spill);
        self.spill.len() - before
    }

    /// Moves plaintext into `out`, in order.
    pub fn read(&mut self, out: &mut [u8]) -> PlainRead {
        if out.is_empty() {
            return PlainRead::Empty;
        }
        let waiting = &self.spill[self.spilled..];
        if !waiting.is_empty() {
            let n = waiting.len().min(out.len());
            out[..n].copy_from_slice(&waiting[..n]);
            self.spilled += n;
            if self.spilled == self.spill.len() {
                // Freed, not cleared: a burst must not cost an idle connection its size.
                self.spill = Vec::new();
                self.spilled = 0;
            }
            return PlainRead::Data(n);
        }
        match self.connection.reader().read(out) {
            Ok(0) => PlainRead::Closed,
            Ok(n) => PlainRead::Data(n),
            Err(_) => PlainRead::Empty,
        }
    }

    /// Appends plaintext to `out` until its capacity is full or nothing is left. An empty room reads nothing.
    pub fn read_into(&mut self, out: &mut Vec<u8>) -> PlainRead {
        let before = out.len();
        let mut ended = false;
        while out.len() < out.capacity() {
            let room = out.capacity() - out.len();
            if self.spilled < self.spill.len() {
                let waiting = &self.spill[self.spilled..];
                let take = waiting.len().min(room);
                out.extend_from_slice(&waiting[..take]);
                self.spilled += take;
                if self.spilled == self.spill.len() {
                    (self.spill, self.spilled) = (Vec::new(), 0);
                }
                continue;
            }
            let mut reader = self.connection.reader();
            let Ok(chunk) = reader.fill_buf() else { break };
            ended = chunk.is_empty();
            let take = chunk.len().min(room);
            out.extend_from_slice(&chunk[..take]);
            reader.consume(take);
            if ended {
                break;
            }
        }
        match out.len() - before {
            0 if ended => PlainRead::Closed,
            0 => PlainRead::Empty,
            count => PlainRead::Data(count),
        }
    }

    /// Takes plaintext, in records of at most 16 KB; during the handshake it is kept until the handshake allows it.
    /// Returns the number of bytes taken: all of them, or 0 after a failure or after [`Records::close_notify`].
    pub fn write(&mut self, parts: &[IoSlice<'_>]) -> usize {
        if self.closing {
            return 0;
        }
        self.connection.writer().write_vectored(parts).unwrap_or(0)
    }

    /// Whether ciphertext waits for [`Records::write_to`].
    pub fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Writes waiting ciphertext with vectored writes until none is left or `socket` takes no more; returns the bytes
    /// written. [`Records::wants_write`] says whether some is left.
    ///
    /// # Errors
    /// Those of `socket`; `WouldBlock` only when nothing at all was written.
    pub fn write_to(&mut self, socket: &mut dyn Write) -> io::Result<usize> {
        let mut written = 0;
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && written > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Queues close_notify, once: nothing can be written after it (RFC 8446 §6.1).
    pub fn close_notify(&mut self) {
        if !self.closing {
            self.closing = true;
            self.connection.send_close_notify();
        }
    }

    /// Whether an end of the socket's stream now would be a clean one: the peer has sent close_notify. If not, what
    /// was read may have been cut short by anybody on the path.
    pub fn eof_is_clean(&self) -> bool {
        self.peer_closed
    }

    /// The application protocol agreed on (RFC 7301), known once the handshake is over.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// The name the client asked for (SNI, RFC 6066 §3), in lower case. Servers only.
    pub fn server_name(&self) -> Option<&str> {
        match &*self.connection {
            Connection::Server(connection) => connection.server_name(),
            Connection::Client(_) => None,
        }
    }

    /// `"TLSv1.2"` or `"TLSv1.3"`, once it is agreed on.
    pub fn protocol_version(&self) -> Option<&'static str> {
        match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            _ => None,
        }
    }

    /// Whether the handshake resumed an earlier session; `None` while it is not decided.
    pub fn resumed(&self) -> Option<bool> {
        self.connection.handshake_kind().map(|kind| kind == rustls::HandshakeKind::Resumed)
    }
}
