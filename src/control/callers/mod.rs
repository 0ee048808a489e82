//! Callers as they are kept: the store, and the commands that change it.
//!
//! Control plane only. A running gateway reads the store when it changes, see `config::calling`; it writes it by the
//! admin API alone, under the same lock as the commands.

pub mod commands;
pub mod store;
