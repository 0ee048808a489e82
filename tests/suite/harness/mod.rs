//! What the tests are written with: the gateway as a process, a client and an origin that speak raw bytes.
//!
//! Nothing here sleeps to let something happen: tests wait for bytes, lines, or the end of a process, with a deadline.
//! Nothing here uses code of the gateway but its clock.

#![allow(dead_code, reason = "each driver's binary uses its own part of the harness")]

pub mod chance;
pub mod config;
pub mod gateway;
pub mod message;
pub mod origin;
pub mod referee;
pub mod script;
pub mod tls;
pub mod wire;

use std::time::Duration;

pub use chance::Chance;
pub use config::Config;
pub use gateway::{Gateway, connect, run, text};
pub use message::{Body, End, Framing, Request, Response};
pub use origin::{Origin, ReservedPort, Serving};
pub use ringway::base::clock::{now_ms, unix_ms};
pub use script::{Case, Row, Stage};
pub use tls::Authority;
pub use wire::Connection;

/// How long a test waits for anything before it fails.
pub const WAIT: Duration = Duration::from_millis(4_500);

/// The driver under test. Where the kernel refuses io_uring the suite runs on epoll and says so.
pub fn driver() -> &'static str {
    static REFUSED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    let refused = *REFUSED.get_or_init(|| {
        let probe = io_uring::IoUring::new(8);
        if let Err(why) = &probe {
            eprintln!("note: the kernel refuses io_uring ({why}); the io_uring suite runs on epoll instead");
        }
        probe.is_err()
    });
    if refused { "epoll" } else { crate::DRIVER }
}

/// The pause between two looks at something that gives no event.
pub fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Looks again and again until it holds; for what gives no event (files under /proc, metrics, ends of processes).
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = now_ms();
    while !holds() {
        assert!(now_ms() - start < WAIT.as_millis() as u64, "not in time: {what}");
        pause();
    }
}

/// `GET path` as a client would send it.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n")
}

/// `POST path` with a length.
pub fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A 200 with a length.
pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The bytes as one chunk.
pub fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut out = format!("{:x}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out
}
