//! Small pieces without knowledge of HTTP: clock, randomness, buffers.
//!
//! Owns nothing that blocks and names no other module of the project but `bounds`.

pub mod buf;
pub mod clock;
pub mod rand;
pub mod secret;
pub mod sync;
pub mod units;
