//! Where access lines end up: stdout, a file, or a syslog server. Each takes whole lines; what could not be delivered
//! is counted in lines and never written twice.
//!
//! Used by the writer's thread alone, which may block here. A syslog server that takes nothing holds it up for a moment
//! per batch and no longer: the rest of the batch is lost, and counted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::escape::push;
use super::stamp::Stamps;
use super::{Level, event};
use crate::base::clock;
use crate::bounds;

/// Where access lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSink {
    Stdout,
    /// Appended to; made with mode 0640, because lines hold addresses of people.
    File(PathBuf),
    /// The socket of the machine's own syslog, a datagram per line in the form it reads from programs (RFC 3164).
    SyslogSocket(PathBuf),
    /// A server `HOST:PORT`, a datagram per line (RFC 5424 over UDP, RFC 5426).
    SyslogUdp(String),
}

/// Facility `local7`, severity `info` (RFC 5424 §6.2.1): where nginx puts its lines too.
const PRIORITY: &[u8] = b"<190>";

/// The open sink.
pub(super) struct Output {
    place: Place,
    /// The last write failed in the middle of a line.
    is_torn: bool,
    /// The last write failed: said once, not once per batch.
    is_failing: bool,
}

enum Place {
    Stdout,
    File(PathBuf, File),
    Syslog(Box<Syslog>),
}

/// A connection to syslog and what a message is made of.
struct Syslog {
    socket: Socket,
    host: String,
    stamps: Stamps,
    message: Vec<u8>,
}

enum Socket {
    /// Not connected: a server that was started again has a new socket under the same name.
    Local(UnixDatagram, PathBuf),
    Udp {
        name: String,
        socket: UdpSocket,
        to: SocketAddr,
    },
}

impl Output {
    /// Opens the sink.
    ///
    /// # Errors
    /// The file cannot be opened, the server has no address.
    pub fn open(sink: LogSink) -> io::Result<Self> {
        let place = match sink {
            LogSink::Stdout => Place::Stdout,
            LogSink::File(path) => {
                let file = open_append(&path)?;
                Place::File(path, file)
            }
            LogSink::SyslogSocket(path) => Place::Syslog(Syslog::local(path)?),
            LogSink::SyslogUdp(name) => Place::Syslog(Syslog::udp(name)?),
        };
        Ok(Self { place, is_torn: false, is_failing: false })
    }

    /// Opens the file again by its name; looks the server's name up again. Where that fails, what was open is kept.
    pub fn reopen(&mut self) {
        let outcome = match &mut self.place {
            Place::Stdout => return,
            Place::File(path, file) => open_append(path).map(|new| {
                *file = new;
                self.is_torn = false;
            }),
            Place::Syslog(syslog) => syslog.look_up_again(),
        };
        if let Err(error) = outcome {
            event(Level::Warn, &format!("{error}; what was open is kept"));
        }
    }

    /// Writes whole lines; returns how many of them are lost.
    pub fn write(&mut self, lines: &[u8]) -> u64 {
        let (written, result) = match &mut self.place {
            Place::Stdout => write_lines(&mut io::stdout().lock(), lines, &mut self.is_torn),
            Place::File(_, file) => write_lines(file, lines, &mut self.is_torn),
            Place::Syslog(syslog) => syslog.send(lines),
        };
        let Err(error) = result else {
            self.is_failing = false;
            return 0;
        };
        if !self.is_failing {
            self.is_failing = true;
            let text = format!("access log: cannot write to {}: {error}; lines are lost until it works", self.name());
            event(Level::Error, &text);
        }
        lines.get(written..).unwrap_or_default().iter().filter(|b| **b == b'\n').count() as u64
    }

    fn name(&self) -> String {
        match &self.place {
            Place::Stdout => "stdout".to_owned(),
            Place::File(path, _) => path.display().to_string(),
            Place::Syslog(syslog) => match &syslog.socket {
                Socket::Local(_, path) => path.display().to_string(),
                Socket::Udp { name, .. } => format!("syslog at {name}"),
            },
        }
    }
}

impl Syslog {
    fn local(path: PathBuf) -> io::Result<Box<Self>> {
        let cannot = |error: io::Error| explain(&error, "make a socket for syslog", "raise the limit on open files");
        let socket = UnixDatagram::unbound().map_err(cannot)?;
        socket.set_write_timeout(Some(Duration::from_millis(bounds::SYSLOG_WAIT_MS))).map_err(cannot)?;
        Ok(Self::over(Socket::Local(socket, path)))
    }

    fn udp(name: String) -> io::Result<Box<Self>> {
        let to = address_of(&name)?;
        let own = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let cannot = |error: io::Error| explain(&error, "make a socket for syslog", "check the machine's network");
        let socket = UdpSocket::bind(own).map_err(cannot)?;
        socket.set_write_timeout(Some(Duration::from_millis(bounds::SYSLOG_WAIT_MS))).map_err(cannot)?;
        Ok(Self::over(Socket::Udp { name, socket, to }))
    }

    fn over(socket: Socket) -> Box<Self> {
        // `-` stands for what is not known (RFC 5424 §6.2.4).
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.split_whitespace().next().unwrap_or("-").to_owned();
        Box::new(Self { socket, host, stamps: Stamps::new(TimeZone::system()), message: Vec::new() })
    }

    fn look_up_again(&mut self) -> io::Result<()> {
        if let Socket::Udp { name, to, .. } = &mut self.socket {
            *to = address_of(name)?;
        }
        Ok(())
    }

    /// Sends a datagram per line; how many bytes of them were sent, and why no more.
    fn send(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let mut sent = 0;
        let now_ms = clock::unix_ms();
        for line in lines.split_inclusive(|b| *b == b'\n') {
            self.compose(line.strip_suffix(b"\n").unwrap_or(line), now_ms);
            let outcome = match &self.socket {
                Socket::Local(socket, path) => socket.send_to(&self.message, path),
                Socket::Udp { socket, to, .. } => socket.send_to(&self.message, to),
            };
            if let Err(error) = outcome {
                return (sent, Err(error));
            }
            sent += line.len();
        }
        (sent, Ok(()))
    }

    fn compose(&mut self, line: &[u8], now_ms: u64) {
        let out = &mut self.message;
        out.clear();
        out.extend_from_slice(PRIORITY);
        let pid = std::process::id();
        match &self.socket {
            Socket::Local(..) => {
                self.stamps.bsd(now_ms, out);
                push(out, format_args!(" ringway[{pid}]: "));
            }
            Socket::Udp { .. } => {
                out.extend_from_slice(b"1 ");
                self.stamps.rfc3339(now_ms, out);
                push(out, format_args!(" {} ringway {pid} access - ", self.host));
            }
        }
        out.extend_from_slice(line);
    }
}

#[expect(clippy::disallowed_methods, reason = "on the writer's thread, at start and on SIGUSR1")]
fn address_of(name: &str) -> io::Result<SocketAddr> {
    let cannot = |error: io::Error| explain(&error, &format!("find the syslog server {name}"), "check its name");
    let mut addresses = name.to_socket_addrs().map_err(cannot)?;
    addresses.next().ok_or_else(|| cannot(io::ErrorKind::NotFound.into()))
}

/// Writes whole lines; a line that an earlier failure tore is ended first. Also how many bytes were written.
fn write_lines(sink: &mut impl Write, bytes: &[u8], is_torn: &mut bool) -> (usize, io::Result<()>) {
    if *is_torn {
        if let Err(error) = sink.write_all(b"\n") {
            return (0, Err(error));
        }
        *is_torn = false;
    }
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match sink.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                *is_torn = rest.get(count.wrapping_sub(1)) != Some(&b'\n');
                written += count;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, sink.flush())
}

fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path).map_err(|error| {
        let what = format!("open the access log {}", path.display());
        explain(&error, &what, "check the folder and its permissions")
    })
}

/// An error with what could not be done and what to do.
pub(super) fn explain(error: &io::Error, what: &str, remedy: &str) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what}: {error}; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_datagram_to_the_socket_of_the_machine_and_a_gone_server_loses_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut output = Output::open(LogSink::SyslogSocket(path.clone())).unwrap();
        assert_eq!(output.write(b"one\ntwo\n"), 0);
        let mut bytes = [0; 256];
        for expected in ["one", "two"] {
            let length = server.recv(&mut bytes).unwrap();
            let text = std::str::from_utf8(&bytes[..length]).unwrap();
            let tag = format!(" ringway[{}]: {expected}", std::process::id());
            assert!(text.starts_with("<190>") && text.ends_with(&tag), "{text}");
            assert_eq!(text.len(), "<190>Nov 24 02:30:00".len() + tag.len(), "{text}");
        }
        drop(server);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(output.write(b"three\nfour\n"), 2);
        // It comes back under its name, and so do the lines.
        let server = UnixDatagram::bind(&path).unwrap();
        assert_eq!(output.write(b"five\n"), 0);
        assert!(server.recv(&mut bytes).unwrap() > 5);
    }

    #[test]
    fn a_server_that_takes_nothing_holds_up_one_batch_for_a_moment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let _server = UnixDatagram::bind(&path).unwrap();
        let mut output = Output::open(LogSink::SyslogSocket(path)).unwrap();
        let lines = "x\n".repeat(100_000);
        let start_ms = clock::now_ms();
        let lost = output.write(lines.as_bytes());
        assert!(lost > 0 && lost < 100_000, "{lost}");
        assert!(clock::now_ms() - start_ms < 20 * bounds::SYSLOG_WAIT_MS);
    }

    #[test]
    fn a_line_is_a_message_of_the_standard_to_a_server() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let name = server.local_addr().unwrap().to_string();
        let mut output = Output::open(LogSink::SyslogUdp(name)).unwrap();
        assert_eq!(output.write(b"{\"status\":200}\n"), 0);
        output.reopen();
        let mut bytes = [0; 512];
        let length = server.recv(&mut bytes).unwrap();
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        // RFC 5424 §6: PRI VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG.
        let parts: Vec<&str> = text.splitn(8, ' ').collect();
        let pid = std::process::id().to_string();
        assert_eq!((parts[0], parts[3], parts[4], parts[5], parts[6]), ("<190>1", "ringway", &*pid, "access", "-"));
        assert!(parts[1].ends_with('Z') && !parts[2].is_empty(), "{text}");
        assert_eq!(parts[7], "{\"status\":200}");
        assert!(Output::open(LogSink::SyslogUdp("127.0.0.1".to_owned())).is_err());
    }

    /// Takes `most` bytes, then fails until told otherwise.
    struct Narrow {
        bytes: Vec<u8>,
        most: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.most).min(3);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.most -= count;
            self.bytes.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_one() {
        let mut sink = Narrow { bytes: Vec::new(), most: 7 };
        let mut is_torn = false;
        let (written, outcome) = write_lines(&mut sink, b"one\ntwo three\n", &mut is_torn);
        assert!(outcome.is_err() && written == 7 && is_torn);
        let (written, outcome) = write_lines(&mut sink, b"lost\n", &mut is_torn);
        assert!(outcome.is_err() && written == 0);
        sink.most = 100;
        assert!(write_lines(&mut sink, b"four\n", &mut is_torn).1.is_ok());
        assert!(!is_torn);
        assert_eq!(sink.bytes, b"one\ntwo\nfour\n");
    }
}
