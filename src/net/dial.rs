//! Opening connections to upstreams: TCP by readiness, TLS by monoio-rustls. Never resolves a name.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use monoio::BufResult;
use monoio::buf::{IoBuf, IoBufMut, IoVecBuf, IoVecBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRent};
use monoio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, connect, recv, socket_with, sockopt};
use rustls::pki_types::ServerName;

use super::ready::Ready;
use super::{Socket, Stream};
use crate::tls::records::{HEADER_BYTES, Records, record_bytes};

/// Why no connection came about. Nothing of the request has left yet in any of these cases.
#[derive(Debug)]
pub enum DialError {
    /// The peer answered that nothing listens there.
    Refused,
    /// TLS failed: certificate, name, version.
    Tls(String),
    /// No route, no port left, and the like.
    Io(io::Error),
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::ConnectionRefused { Self::Refused } else { Self::Io(error) }
    }
}

impl From<Errno> for DialError {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// Connects. Unbounded: the caller bounds it, see [`super::Wait::bound`].
///
/// # Errors
/// [`DialError`].
pub async fn tcp(address: SocketAddr) -> Result<Socket, DialError> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    // Requests are written whole: waiting for more bytes would only delay them.
    sockopt::set_tcp_nodelay(&fd, true)?;
    match connect(&fd, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let ready = Ready::new(fd)?;
    ready.writable_unbounded().await?;
    match sockopt::socket_error(ready.fd())? {
        Ok(()) => Ok(Socket::from_ready(ready)),
        Err(error) => Err(error.into()),
    }
}

/// Connects and makes the TLS handshake. Unbounded as [`tcp`].
///
/// # Errors
/// [`DialError`].
pub async fn tls(
    address: SocketAddr,
    name: ServerName<'static>,
    config: Arc<rustls::ClientConfig>,
) -> Result<Stream, DialError> {
    let socket = tcp(address).await?;
    let io = RecordIo::new(socket.into_ready().into_io());
    let stream = monoio_rustls::TlsConnector::from(config).connect(name, io).await;
    let (io, connection) = stream.map_err(|error| tls_error(io::Error::from(error)))?.into_parts();
    Ok(Stream::tls(Socket::from_ready(Ready::from_io(io.io)), Records::client(connection)))
}

fn tls_error(error: io::Error) -> DialError {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => DialError::Io(error),
        _ => DialError::Tls(error.to_string()),
    }
}

/// Close sends RST instead of FIN.
pub(super) fn set_reset_on_close(fd: BorrowedFd<'_>) {
    // Fails only on a descriptor that is no socket.
    let _ = sockopt::set_socket_linger(fd, Some(Duration::ZERO));
}

/// Reads never past the end of a TLS record.
///
/// monoio-rustls reads into a buffer of its own and drops it in `into_parts`. The handshake ends exactly at a record's
/// end, so with this reader under it nothing can be left in that buffer.
struct RecordIo {
    io: TcpStream,
    /// The record header as far as it is known.
    header: [u8; HEADER_BYTES],
    /// Invariant: `0 <= header_bytes <= HEADER_BYTES`.
    header_bytes: usize,
    /// Bytes of the current record that are still to be read, header included.
    remaining: usize,
}

impl RecordIo {
    fn new(io: TcpStream) -> Self {
        Self { io, header: [0; HEADER_BYTES], header_bytes: 0, remaining: 0 }
    }

    /// How many bytes may be read without passing the end of the record; looks at a header before it is read.
    async fn allowed(&mut self) -> io::Result<usize> {
        if self.remaining == 0 && self.header_bytes == HEADER_BYTES {
            self.header_bytes = 0;
        }
        if self.header_bytes < HEADER_BYTES {
            self.peek_header().await?;
        }
        Ok(self.remaining)
    }

    async fn peek_header(&mut self) -> io::Result<()> {
        loop {
            self.io.readable(false).await?;
            let room = self.header.get_mut(self.header_bytes..).unwrap_or_default();
            let fd = super::ready::borrow(&self.io);
            match recv(fd, room, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                // The end of the connection: the read itself reports it.
                Ok((_, 0)) => {
                    self.remaining = 1;
                    return Ok(());
                }
                Ok((_, count)) => {
                    self.header_bytes += count;
                    self.remaining += count;
                    if self.header_bytes == HEADER_BYTES {
                        self.remaining += record_bytes(&self.header) - HEADER_BYTES;
                    }
                    return Ok(());
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsyncReadRent for RecordIo {
    async fn read<T: IoBufMut>(&mut self, mut buffer: T) -> BufResult<usize, T> {
        let allowed = match self.allowed().await {
            Ok(allowed) => allowed.min(buffer.bytes_total()),
            Err(error) => return (Err(error), buffer),
        };
        let (outcome, bytes) = self.io.read(Vec::with_capacity(allowed)).await;
        if let Ok(count) = outcome {
            self.remaining = self.remaining.saturating_sub(count);
            fill(&mut buffer, &bytes);
        }
        (outcome, buffer)
    }

    async fn readv<T: IoVecBufMut>(&mut self, buffer: T) -> BufResult<usize, T> {
        (Err(io::ErrorKind::Unsupported.into()), buffer)
    }
}

impl AsyncWriteRent for RecordIo {
    async fn write<T: IoBuf>(&mut self, buffer: T) -> BufResult<usize, T> {
        self.io.write(buffer).await
    }

    async fn writev<T: IoVecBuf>(&mut self, buffer: T) -> BufResult<usize, T> {
        self.io.writev(buffer).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.io.flush().await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.io.shutdown().await
    }
}

/// Copies `bytes` to the front of a buffer that has room for them.
#[expect(unsafe_code, reason = "monoio's buffers are written through a pointer")]
fn fill<T: IoBufMut>(buffer: &mut T, bytes: &[u8]) {
    assert!(bytes.len() <= buffer.bytes_total(), "the read was bounded by the room of the buffer");
    // SAFETY: write_ptr points to bytes_total() writable bytes that nobody else borrows, and bytes.len() of them,
    // checked above, are initialised by the copy before set_init says so.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.write_ptr(), bytes.len());
        buffer.set_init(bytes.len());
    }
}
