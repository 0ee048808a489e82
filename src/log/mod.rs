//! Log lines of exchanges and events of the process.
//!
//! A core formats its access lines into a batch and hands the batch to the writer thread through a bounded queue: when
//! the writer is behind, lines are dropped and counted, a core never waits. Secrets never reach a line: targets, referers
//! and chosen headers go through [`redact`], and nothing of a body can be logged at all.
//! Whatever bytes a client sends, one exchange is one line and a JSON line is valid JSON.

mod core;
mod escape;
mod fields;
mod format;
mod options;
pub mod redact;
mod sink;
mod stamp;
mod writer;

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

pub use self::core::CoreLog;
pub use self::fields::Field;
pub use self::options::{LogOptions, SHARE_WHOLE, Sampling};
pub use self::sink::LogSink;
pub use self::writer::{LogLane, LogWriter};

/// Shape of an access line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    /// One JSON object per line.
    Json,
    /// Client, user, local time, request, status, bytes, referer, then `"***"` in the place of the user agent.
    Sanitized,
    /// As nginx and Apache call it: the same with the user agent.
    Combined,
    /// No access log.
    Off,
}

impl AccessFormat {
    /// Every format, by its name in the configuration.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("json", Self::Json), ("sanitized", Self::Sanitized), ("combined", Self::Combined), ("off", Self::Off)];

    /// The format of that name in the configuration.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }
}

/// The value of a header of the request by its name in lower case; asked only for those that the log was told to show.
pub type Header<'a> = &'a dyn Fn(&str) -> Option<&'a [u8]>;

/// What is known of an exchange when it ended. Bytes are as the client sent them: escaping and redaction happen here.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// End of the exchange, milliseconds since the Unix epoch.
    pub unix_ms: u64,
    pub client: IpAddr,
    /// The user part of Basic credentials; never the password. What looks like a key is hidden when it is written.
    pub user: Option<&'a [u8]>,
    pub method: &'a [u8],
    /// The request target as received; redacted when it is written.
    pub target: &'a [u8],
    /// `HTTP/1.1` and the like.
    pub version: &'static str,
    /// Status code of the response; 499 when the client left before one.
    pub status: u16,
    /// Bytes of the response body sent to the client.
    pub bytes_sent: u64,
    /// Bytes of the request body received from the client.
    pub bytes_received: u64,
    pub referer: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
    pub host: &'a [u8],
    pub request_id: &'a [u8],
    /// Name of the route, empty when none took the request.
    pub route: &'a str,
    /// Name of the upstream, empty when none was chosen.
    pub upstream: &'a str,
    pub endpoint: Option<SocketAddr>,
    /// Name of the negative outcome, if there was one.
    pub reason: Option<&'static str>,
    /// Name of the key that asked.
    pub caller: Option<&'a str>,
    /// Rule of the firewall that matched: its id, its message, the name of the variable.
    pub rule: Option<(u64, &'a str, &'a str)>,
    /// How the cache answered; `None` = the route has none.
    pub cache: Option<&'a str>,
    /// Why it did so, where there is a reason.
    pub cache_detail: Option<&'a str>,
    /// Microseconds from the first byte of the request to the last of the response.
    pub total_us: u64,
    pub upstream_us: Option<u64>,
    pub first_byte_us: Option<u64>,
    pub core: u16,
    /// The head of the response as it was sent; empty where nobody asked for a part of it.
    pub response_head: &'a [u8],
}

/// Weight of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    /// The name that opens the line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Writes an event of the process (start, reload, a warning) to stderr as one line `level: message`.
///
/// Blocks on stderr: for the control plane and for a process that ends. A core uses [`CoreLog::event`].
pub fn event(level: Level, message: &str) {
    let mut line = Vec::with_capacity(message.len() + 16);
    event_line(level, message, &mut line);
    // Nobody is left to be told that stderr is gone.
    let _ = std::io::stderr().lock().write_all(&line);
}

/// One line, whatever the message holds.
fn event_line(level: Level, message: &str, out: &mut Vec<u8>) {
    let mut clean = Vec::with_capacity(message.len());
    redact::text(message.as_bytes(), &mut clean);
    out.extend_from_slice(level.name().as_bytes());
    out.extend_from_slice(b": ");
    escape::line(&clean, out);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_without_keys() {
        let mut out = Vec::new();
        event_line(Level::Warn, "naïve \"x\"\nerror: forged\u{9b}1m Bearer abcdef", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "warn: naïve \"x\"\\x0aerror: forged\\xc2\\x9b1m Bearer ***\n");
    }

    #[test]
    fn formats_have_names() {
        assert_eq!(AccessFormat::from_name("sanitized"), Some(AccessFormat::Sanitized));
        assert_eq!(AccessFormat::from_name("xml"), None);
    }
}
