//! ringway: one binary between a team and a remote HTTP API.
//!
//! The modules are listed from the lowest rank to the highest; a module imports only from strictly lower ranks
//! (`docs/architecture.md`, held by `tests/suite/tidy.rs`).

// rank 0
pub mod base;
pub mod bounds;
// rank 1
pub mod http;
pub mod log;
pub mod stats;
// rank 2
pub mod h1;
pub mod h2;
pub mod tls;
// rank 3
pub mod cache;
pub mod net;
pub mod policy;
// rank 4
pub mod upstream;
// rank 5
pub mod proxy;
// rank 6
pub mod front;
// rank 7
pub mod order;
pub mod plan;
// rank 8
pub mod control;
pub mod worker;
