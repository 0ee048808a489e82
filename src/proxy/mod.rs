//! The pipeline of one exchange, in the field's verbs: receive → route → look up → {hit | follow | fetch} →
//! deliver → finish.
//!
//! [`serve`] is the list of steps; each step has its file. Protocol details of the two sides end here: what comes in is
//! a request head and a source of its body, what goes out is a reply and a sink.

pub mod aftermath;
pub mod ask;
pub mod core;
pub mod deliver;
pub mod exchange;
pub mod failure;
pub mod fetch;
pub mod flight;
pub mod follow;
pub mod gather;
pub mod headers;
pub mod hit;
pub mod in_flight;
pub mod landing;
pub mod lookup;
pub mod obtain;
pub mod route;
pub mod screen;
pub mod serve;
pub mod service;
pub mod transfer;
pub mod tunnel;
pub mod upload;
pub mod wakes;

pub use core::Core;
pub use exchange::{Client, Peer};
pub use serve::{Next, Served, refuse, serve, serve_at_once, serve_rest};
