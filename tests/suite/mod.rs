//! The behaviour of the gateway, area by area: the real executable between a scripted client and a scripted origin.
//!
//! The first line of each test says what must hold. Areas come from simple to complex; `regression.rs` holds one test
//! per bug that was found elsewhere than here.

pub mod harness;

mod bodies;
mod caching;
mod callers;
mod config;
mod crs;
#[path = "screening/crs_cases.rs"]
mod crs_cases;
mod drain;
mod firewall;
mod flights;
mod forwarding;
mod h2;
mod h2_upstream;
mod heads;
mod keepalive;
mod limits;
mod log;
mod malformed;
mod observability;
mod overload;
mod proxy_protocol;
mod regression;
mod reload;
mod retries;
mod rfc9111;
mod routing;
mod secrets;
mod self_test;
mod streaming;
mod tls;
mod upgrade;
mod upstream_failures;
