//! One TLS connection as a transformer of bytes: ciphertext in, plaintext out, and back.
//!
//! Owns the state of the connection and the bytes that neither side has taken yet. Never touches a socket by itself
//! (`write_to` is handed one), never waits, never reads a clock. Bounds: what is unread is at most what was fed;
//! what is unsent is what the caller wrote plus handshake and alerts, so callers write out before they write more.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ProtocolVersion, ServerConfig, ServerConnection};

use super::failure::TlsFailure;

/// Content types of the records that may come first (RFC 8446 §5.1).
pub const HANDSHAKE_RECORD: u8 = 22;
const ALERT_RECORD: u8 = 21;
/// Bytes of a record's header: type, version, length.
pub const HEADER_BYTES: usize = 5;

/// Bytes of the whole record that begins with this header.
pub fn record_bytes(header: &[u8; HEADER_BYTES]) -> usize {
    let [_, _, _, high, low] = *header;
    HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]))
}

/// What a read of plaintext gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainRead {
    /// That many bytes, more than 0, were appended.
    Data(usize),
    /// Nothing now: more ciphertext is needed.
    Empty,
    /// The peer has said with close_notify that nothing more will come (RFC 8446 §6.1), and all of it was read.
    Closed,
}

/// One TLS connection, client or server. 48 bytes, and when idle 6.3 KB on the heap, 4 KB of which are rustls' buffer
/// for the next read; more only while plaintext is unread or ciphertext unsent.
pub struct Records {
    connection: Box<Connection>,
    /// Plaintext that rustls would not hold while more ciphertext came in; older than anything rustls holds.
    spill: Vec<u8>,
    /// Bytes of `spill` that were read. Invariant: `spilled < spill.len()`, or both are 0.
    spilled: usize,
    /// The first byte that came in; a TLS peer begins with a handshake record or an alert.
    first_byte: Option<u8>,
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

    /// The client's side of a connection to a server that must prove to be `name`, before its handshake. The first
    /// flight waits to be written. `name` comes from [`super::client::verified_name`].
    ///
    /// # Errors
    /// [`TlsFailure::Internal`] when the configuration is unusable.
    pub fn connect(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, TlsFailure> {
        let connection = ClientConnection::new(config, name).map_err(|e| TlsFailure::from(&e))?;
        Ok(Self::over(Connection::Client(connection)))
    }

    /// The client's side of a connection that somebody else began. Its handshake may be over, but every byte that was
    /// received must have reached it: one that stayed behind in a buffer breaks the next record.
    pub fn client(connection: ClientConnection) -> Self {
        Self::over(Connection::Client(connection))
    }

    fn over(mut connection: Connection) -> Self {
        // The caller bounds what it writes; a limit here would make short writes out of whole buffers.
        connection.set_buffer_limit(None);
        let first_byte = (!connection.is_handshaking()).then_some(HANDSHAKE_RECORD);
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
    /// The failure is final and is returned again by later calls. Usually an alert for the peer waits to be written;
    /// after [`TlsFailure::NotTls`] it would mean nothing to the peer.
    pub fn feed(&mut self, ciphertext: &[u8]) -> Result<(), TlsFailure> {
        self.first_byte = self.first_byte.or(ciphertext.first().copied());
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
        match self.first_byte {
            Some(HANDSHAKE_RECORD | ALERT_RECORD) => TlsFailure::from(error),
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
                    // Freed, not cleared: a burst must not cost an idle connection its size.
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

    /// Writes waiting ciphertext until none is left or `socket`, which does not block, takes no more; returns the
    /// bytes written. [`Records::wants_write`] says whether some is left. Records go out 64 at a time through
    /// `write_vectored`: a `socket` without its own version of that gets one record per call.
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

    /// The certificate the peer showed, in DER; servers ask clients for none.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.connection.peer_certificates()?.first().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::*;
    use super::*;

    fn tls() -> super::super::ServerTls {
        serving(&[fixtures("ec.crt", "ec-sec1.key")], &[b"http/1.1"])
    }

    #[test]
    fn one_byte_at_a_time_is_enough() {
        let tls = tls();
        for versions in [TLS12, TLS13] {
            let (mut client, mut server) = pair(&trusting(versions, &[]), "a.test", tls.per_core());
            // Written before the handshake: kept until it can go.
            write(&mut client, b"early");
            while client.wants_write() || server.wants_write() {
                for byte in ciphertext(&mut client) {
                    server.feed(&[byte]).unwrap();
                }
                for byte in ciphertext(&mut server) {
                    client.feed(&[byte]).unwrap();
                }
            }
            assert!(!server.is_handshaking() && !client.is_handshaking());
            assert_eq!(plaintext(&mut server, 1), (b"early".to_vec(), PlainRead::Empty));
        }
    }

    #[test]
    fn a_large_write_is_cut_into_records_and_fed_at_once() {
        let tls = tls();
        for versions in [TLS12, TLS13] {
            let (mut client, mut server) = connected(&trusting(versions, &[]), "a.test", tls.per_core());
            let body: Vec<u8> = (0..1_000_003_u32).map(|i| (i * 7 + i / 251) as u8).collect();
            let parts = [IoSlice::new(&body[..5]), IoSlice::new(&[]), IoSlice::new(&body[5..])];
            assert_eq!(server.write(&parts), body.len());
            let bytes = ciphertext(&mut server);
            let mut rest = &bytes[..];
            let mut records = 0;
            while let [_, _, _, high, low, ..] = *rest {
                let length = usize::from(u16::from_be_bytes([high, low]));
                assert!(length <= 16_384 + 256, "RFC 8446 section 5.2");
                rest = &rest[5 + length..];
                records += 1;
            }
            assert!((62..=64).contains(&records), "{records} records");
            // Far more than rustls holds, in one call, nothing read in between.
            client.feed(&bytes).unwrap();
            assert_eq!(plaintext(&mut client, 10_000), (body, PlainRead::Empty));
            assert_eq!((client.spill.capacity(), client.spilled), (0, 0), "the burst's memory is given back");
        }
    }

    #[test]
    fn a_full_socket_is_not_an_error_and_nothing_is_lost() {
        let (mut client, mut server) = connected(&trusting(TLS13, &[]), "a.test", tls().per_core());
        let body = vec![b'x'; 100_000];
        write(&mut server, &body);
        let mut socket = Narrow { taken: Vec::new(), room: 50_000, step: 7_000 };
        assert_eq!(server.write_to(&mut socket).unwrap(), 50_000);
        assert!(server.wants_write());
        let full = server.write_to(&mut socket).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        socket.room = usize::MAX;
        server.write_to(&mut socket).unwrap();
        assert!(!server.wants_write());
        assert_eq!(server.write_to(&mut socket).unwrap(), 0);
        client.feed(&socket.taken).unwrap();
        assert_eq!(plaintext(&mut client, 99_999), (body, PlainRead::Empty));
    }

    #[test]
    fn a_change_of_keys_is_answered_without_plaintext() {
        let (mut client, mut server) = connected(&trusting(TLS13, &[]), "a.test", tls().per_core());
        client.connection.refresh_traffic_keys().unwrap();
        server.feed(&ciphertext(&mut client)).unwrap();
        assert_eq!(plaintext(&mut server, 9), (Vec::new(), PlainRead::Empty));
        write(&mut client, b"new keys");
        // Our own update goes out with the next data (RFC 8446 section 4.6.3).
        write(&mut server, b"here too");
        shake(&mut client, &mut server).unwrap();
        assert_eq!(plaintext(&mut server, 9).0, b"new keys");
        assert_eq!(plaintext(&mut client, 9).0, b"here too");
    }

    #[test]
    fn a_clean_close_differs_from_a_cut() {
        let tls = tls();
        for versions in [TLS12, TLS13] {
            let (mut client, mut server) = connected(&trusting(versions, &[]), "a.test", tls.per_core());
            write(&mut server, b"all of it");
            server.close_notify();
            server.close_notify();
            assert_eq!(server.write(&[IoSlice::new(b"more")]), 0, "nothing follows a close_notify");
            let bytes = ciphertext(&mut server);

            client.feed(&bytes[..bytes.len() - 1]).unwrap();
            assert!(!client.eof_is_clean(), "one byte short of the close");
            assert_eq!(client.read_into(&mut Vec::with_capacity(4)), PlainRead::Data(4));
            assert_eq!(client.read_into(&mut Vec::new()), PlainRead::Empty);
            client.feed(&bytes[bytes.len() - 1..]).unwrap();
            assert!(client.eof_is_clean());
            client.feed(b"noise after the close").unwrap();
            assert_eq!(plaintext(&mut client, 9), (b"of it".to_vec(), PlainRead::Closed));

            // The other direction is still open (RFC 8446 section 6.1).
            if versions == TLS13 {
                write(&mut client, b"still here");
                server.feed(&ciphertext(&mut client)).unwrap();
                assert_eq!(plaintext(&mut server, 99), (b"still here".to_vec(), PlainRead::Empty));
            }
            assert!(!server.eof_is_clean());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn bytes_arrive_in_order_whatever_the_cuts(
            writes in proptest::collection::vec(0_usize..40_000, 1..6),
            cut in 1_usize..70_000,
            most in 1_usize..40_000,
            read_between in any::<bool>(),
        ) {
            let (mut client, mut server) = connected(&trusting(TLS13, &[]), "a.test", tls().per_core());
            let (mut sent, mut got) = (Vec::new(), Vec::new());
            for (i, length) in writes.into_iter().enumerate() {
                let part = vec![i as u8; length];
                write(&mut client, &part);
                sent.extend_from_slice(&part);
                for piece in ciphertext(&mut client).chunks(cut) {
                    server.feed(piece).unwrap();
                    prop_assert!(server.spilled < server.spill.len() || server.spill.is_empty());
                    if read_between {
                        let mut room = Vec::with_capacity(most);
                        server.read_into(&mut room);
                        got.extend_from_slice(&room);
                    }
                }
            }
            got.extend(plaintext(&mut server, most).0);
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn any_bytes_are_survived_before_and_after_the_handshake(
            bytes in proptest::collection::vec(any::<u8>(), 1..600),
            header in any::<bool>(),
        ) {
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            let record = [&[22, 3, 3, length[0], length[1]][..], &bytes].concat();
            let input = if header { &record } else { &bytes };
            let mut fresh = Records::server(tls().per_core()).unwrap();
            let first = fresh.feed(input);
            if first.is_err() {
                prop_assert_eq!(fresh.feed(input), first);
            }
            let (_, mut server) = connected(&trusting(TLS13, &[]), "a.test", tls().per_core());
            let _ = server.feed(input);
            prop_assert_eq!(plaintext(&mut server, 99).0, b"");
        }
    }
}
