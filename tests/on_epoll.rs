//! The behaviour suite on the epoll driver.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "suite/mod.rs"]
mod suite;

const DRIVER: &str = "epoll";
