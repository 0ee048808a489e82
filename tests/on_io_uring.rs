//! The behaviour suite on the io_uring driver, and what needs to run only once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "suite/mod.rs"]
mod suite;

const DRIVER: &str = "io_uring";
