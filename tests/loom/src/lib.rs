//! The files of the gateway that loom runs, taken as they stand: nothing is written twice, nothing else is built.
#![cfg(loom)]

pub mod base;
#[path = "../../../src/cache/life.rs"]
pub mod life;
