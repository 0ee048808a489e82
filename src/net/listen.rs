//! Listening sockets: made by control with every option set, accepted from by the cores.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Socket, Type};

use super::ready::{Ready, Waited};
use super::{Timer, dial};

/// Connections that may wait to be accepted, per core.
pub const BACKLOG: usize = 4096;

/// Opens one socket per core on the same address (SO_REUSEPORT). With port 0 the system chooses one port for all.
///
/// # Errors
/// Those of bind; `AddrInUse` also when another process listens there with SO_REUSEPORT, which would silently
/// share the clients.
pub fn open(address: SocketAddr, cores: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    // A socket without SO_REUSEPORT finds out whether anybody else is there.
    let probe = bind(address, false)?;
    let address = probe.local_addr()?;
    drop(probe);
    let listeners = (0..cores).map(|_| bind(address, true)).collect::<io::Result<Vec<_>>>()?;
    Ok((address, listeners))
}

fn bind(address: SocketAddr, share: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if share {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Inherited by every accepted socket: one system call less per connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if share {
        socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    }
    Ok(socket.into())
}

/// A listener on a core.
pub struct Acceptor {
    ready: Ready,
}

/// What one look at the queue brought.
pub enum Accepted {
    Connection(OwnedFd, SocketAddr),
    /// Nobody waits.
    Empty,
    /// The connection went away before it was taken; look again.
    Gone,
}

impl Acceptor {
    /// Takes over a listening socket.
    ///
    /// # Errors
    /// Those of registering it with the driver.
    pub fn new(listener: TcpListener) -> io::Result<Self> {
        Ok(Self { ready: Ready::new(listener.into())? })
    }

    /// Waits until somebody connects, or the timer fires.
    ///
    /// # Errors
    /// Those of the poll operation.
    pub fn wait<'a>(&'a self, timer: &'a Timer) -> impl Future<Output = io::Result<Waited>> + 'a {
        self.ready.readable(timer)
    }

    /// Takes one connection if there is one.
    ///
    /// # Errors
    /// Those of accept4(2) that concern the listener or the process (EMFILE, ENOMEM …).
    pub fn try_accept(&self) -> io::Result<Accepted> {
        match acceptfrom_with(self.ready.fd(), SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((fd, peer)) => Ok(peer.and_then(peer_address).map_or(Accepted::Gone, |p| Accepted::Connection(fd, p))),
            Err(Errno::AGAIN) => Ok(Accepted::Empty),
            Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO | Errno::NETDOWN | Errno::HOSTUNREACH) => {
                Ok(Accepted::Gone)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn peer_address(address: SocketAddrAny) -> Option<SocketAddr> {
    SocketAddr::try_from(address).ok()
}

/// Closes a connection at once with a reset, without a word: for one too many.
pub fn refuse(fd: OwnedFd) {
    use std::os::fd::AsFd;
    dial::set_reset_on_close(fd.as_fd());
}
