//! The behaviour suite on the io_uring driver, and what needs to run only once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "suite/command_line.rs"]
mod command_line;
#[path = "suite/mod.rs"]
mod suite;
#[path = "suite/tidy.rs"]
mod tidy;

const DRIVER: &str = "io_uring";
